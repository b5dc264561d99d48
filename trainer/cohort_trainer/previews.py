"""What joining a project means, for the person who is about to pay its stake."""

from __future__ import annotations

from dataclasses import dataclass

from cohort_protocol.chain.types import Ledger
from cohort_protocol.commitments import ZERO32

from cohort_trainer.amounts import MAX_SYMBOL, format_amount, rough_amount
from cohort_trainer.connection import Connection
from cohort_trainer.durations import in_words
from cohort_trainer.errors import BalanceTooLow, ProjectOver
from cohort_trainer.foreign_words import printable
from cohort_trainer.projects import VerifiedProject

JOIN_GAS = 400_000
"""Generous bound of permit + join + delegate + the first commitSelf, for the question whether the account can pay."""


@dataclass(frozen=True)
class Preview:
    """What joining means. Amounts in base units."""

    project: VerifiedProject
    ledger: Ledger
    members: int
    round: int
    ended: bool
    aggregators: tuple[str, ...]
    slash_window: int
    """Seconds."""
    staked: bool
    """Somebody has paid the stake already."""
    symbol: str
    decimals: int
    token_balance: int
    coin_balance: int
    """wei"""
    gas_price: int
    """wei per gas"""

    @property
    def rounds_funded(self) -> int:
        """Rounds that the free escrow pays for."""
        return self.ledger.free // self.project.terms.round_budget

    @property
    def rounds_left(self) -> int:
        return max(0, self.project.terms.rounds - self.round)

    @property
    def equal_share(self) -> int:
        """Pay of one round for an average contribution when every slot is filled: D / N."""
        return self.project.distributable // self.project.terms.slots

    @property
    def most(self) -> int:
        """Most that one trainer can get in a full round: the share cap."""
        terms, distributable = self.project.terms, self.project.distributable
        return min(distributable, distributable * terms.share_cap // terms.slots)

    @property
    def stake_due(self) -> int:
        """What joining takes now."""
        return 0 if self.staked else self.project.terms.stake

    def lines(self) -> list[str]:
        """For the prompt: terms, windows, witnesses, what is paid, what is at stake."""
        terms, spec = self.project.terms, self.project.spec
        lines = [
            f"Project {self.project.id}: {spec.title}",
            *([f"  {spec.description}"] if spec.description else []),
            f"  Owner        {self.project.owner}",
            f"  Model        {spec.model.family}, {terms.dimension:,} parameters; policy {spec.policy.name!r}",
            f"  Your data    examples of shape {' x '.join(map(str, spec.data.shape))}, {spec.data.classes} classes"
            + (f": {spec.data.description}" if spec.data.description else ""),
            f"  Rounds       {self.round} of at most {terms.rounds} opened; escrow pays for {self.rounds_funded} more",
            *self._phases(),
            f"  Trainers     {self.members} joined, {terms.slots} slots, at least {terms.min_trainers} in a round"
            + ("; only those on the owner's list" if terms.access_root != ZERO32 else ""),
            *([f"  Reliability  at least {terms.min_reliability / 100:.2f}% to join"] if terms.min_reliability else []),
            f"  Witnesses    {terms.quorum} of {len(terms.witnesses)} must sign: {', '.join(terms.witnesses)}",
            f"  Aggregators  {', '.join(self.aggregators)}; a bond of {self._money(terms.bond)} on each round",
            *self._verifier(),
            *self._paid(),
            *self._at_stake(),
        ]
        return [printable(line) for line in lines]

    def _money(self, value: int) -> str:
        return format_amount(value, self.decimals, self.symbol)

    def _about(self, value: int) -> str:
        return rough_amount(value, self.decimals, self.symbol)

    def _verifier(self) -> list[str]:
        verifier = f"  Verifier     {self.project.terms.verifier}"
        if self.project.spec.settlement == "attested":
            return [
                f"{verifier} (attested: a bad quorum of witnesses can misjudge updates, but never pay",
                "               more than the round's budget)",
            ]
        return [
            f"{verifier} (proven: the chain checks a proof of scores, pay and model; a bad quorum of",
            "               witnesses can refuse updates or misstate the validation rows, and no more)",
        ]

    def _phases(self) -> list[str]:
        windows = self.project.terms.windows
        return [
            f"  Phases       commit {windows.commit} s, guard {windows.guard} s, reveal {windows.reveal} s, then "
            f"rescue {windows.rescue} s,",
            f"               settle {windows.settle} s, takeover {windows.takeover} s (upper bounds: a phase ends when "
            "everyone has acted)",
        ]

    def _paid(self) -> list[str]:
        project, rounds = self.project, min(self.rounds_funded, self.rounds_left)
        return [
            f"  Paid         {self._money(project.distributable)} per round in all; an average contribution in a full "
            f"round earns {self._about(self.equal_share)},",
            f"               a useless one 0, the best at most {self._about(self.most)}. {rounds} more rounds: 0 to "
            f"{self._about(self.most * rounds)}, on average {self._about(self.equal_share * rounds)}",
        ]

    def _at_stake(self) -> list[str]:
        windows, stake = self.project.terms.windows, self.project.terms.stake
        locked = in_words(windows.commit + windows.guard + windows.reveal + windows.rescue + self.slash_window)
        coin = rough_amount(JOIN_GAS * self.gas_price, 18, "").strip()
        who = ", paid for you already; only you can take it out" if self.staked else " now"
        return [
            f"  At stake     {self._money(stake)}{who}: yours again after you leave and no commitment",
            f"               can be slashed any more (at most {locked} after a round opened). All of it is lost if you",
            "               commit in a round and open the commitment in no way; `run` opens it itself within",
            f"               {in_words(windows.rescue)} after the reveals if nobody else has, as long as it runs",
            f"  You hold     {self._money(self.token_balance)}",
            f"  Gas          up to {JOIN_GAS:,} to join, about {coin} of the chain's coin",
            "               at today's price; commits and reveals are posted for you",
        ]


def preview(connection: Connection, project: VerifiedProject, trainer: str) -> Preview:
    """Reads what the prompt shows. Raises `ChainUnavailable`."""
    token = connection.token(project.terms.token)
    market = connection.market
    progress = market.progress_of(project.id)
    return Preview(
        project=project,
        ledger=market.ledger_of(project.id),
        members=progress.members,
        round=progress.round,
        ended=progress.ended,
        aggregators=market.aggregators_of(project.id),
        slash_window=market.profile().slash_window,
        staked=market.member_of(project.id, trainer).staked,
        symbol=printable(token.symbol())[:MAX_SYMBOL],
        decimals=token.decimals(),
        token_balance=token.balance_of(trainer),
        coin_balance=connection.chain.balance(trainer),
        gas_price=connection.chain.block().base_fee,
    )


def check_can_join(shown: Preview, trainer: str) -> None:
    """Raises `ProjectOver` or `BalanceTooLow`, before anything is sent."""
    if shown.ended or shown.rounds_left == 0:
        raise ProjectOver(
            f"project {shown.project.id} is over: no round opens any more. `cohort projects` lists those that run"
        )
    if shown.token_balance < shown.stake_due:
        raise BalanceTooLow(
            f"joining takes {format_amount(shown.stake_due, shown.decimals, shown.symbol)}, {trainer} holds "
            f"{format_amount(shown.token_balance, shown.decimals, shown.symbol)} of token {shown.project.terms.token}"
        )
    if shown.coin_balance < JOIN_GAS * shown.gas_price:
        raise BalanceTooLow(
            f"{trainer} holds {shown.coin_balance} wei and needs about {JOIN_GAS * shown.gas_price} for gas: "
            "send it some"
        )
