"""Joining and leaving a project, with everything a trainer should know before money moves."""

from __future__ import annotations

from dataclasses import dataclass

import structlog
from cohort_protocol.chain import TransactionReverted, TransactionSender
from cohort_protocol.chain.events import MemberJoined
from cohort_protocol.chain.types import Ledger, Member

from cohort_trainer.amounts import format_amount
from cohort_trainer.chain_events import find_events
from cohort_trainer.connection import Connection
from cohort_trainer.errors import BalanceTooLow, NotAMember, ProjectUnsafe, StillLeaving
from cohort_trainer.projects import VerifiedProject

log = structlog.get_logger(__name__)

JOIN_GAS = 250_000
"""Generous bound of approve + join + the first commitSelf, for the question whether the account can pay for gas."""


@dataclass(frozen=True)
class Preview:
    """What joining means. Amounts in base units."""

    project: VerifiedProject
    ledger: Ledger
    members: int
    round: int
    ended: bool
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
        return self.ledger.free // self.project.terms.round_budget if self.project.terms.round_budget else 0

    @property
    def rounds_left(self) -> int:
        return max(0, self.project.terms.rounds - self.round)

    @property
    def equal_share(self) -> int:
        """Pay of one round for an average contribution when every slot is filled: D / N."""
        terms = self.project.terms
        return terms.distributable // terms.slots

    @property
    def most(self) -> int:
        """Most that one trainer can get in a full round: the share cap."""
        terms = self.project.terms
        return min(terms.distributable, terms.distributable * terms.share_cap // terms.slots)

    def lines(self) -> list[str]:
        """For the prompt: terms, windows, witnesses, what is paid, what is at stake."""
        terms, spec = self.project.terms, self.project.spec

        def money(value: int) -> str:
            return format_amount(value, self.decimals, self.symbol)

        windows = terms.windows
        coin = JOIN_GAS * self.gas_price / 10**18
        rounds = min(self.rounds_funded, self.rounds_left)
        return [
            f"Project {self.project.id}: {spec.title}",
            *([f"  {spec.description}"] if spec.description else []),
            f"  Owner        {self.project.owner}",
            f"  Model        {spec.model.family}, {terms.dimension:,} parameters; policy {spec.policy.name!r}",
            f"  Your data    examples of shape {' x '.join(map(str, spec.data.shape))}, {spec.data.classes} classes"
            + (f": {spec.data.description}" if spec.data.description else ""),
            f"  Rounds       {self.round} of at most {terms.rounds} opened; escrow pays for {self.rounds_funded} more",
            f"  Phases       commit {windows.commit} s, guard {windows.guard} s, reveal {windows.reveal} s, settle "
            f"{windows.settle} s (upper bounds: a phase ends when everyone has acted)",
            f"  Trainers     {self.members} joined, {terms.slots} slots, at least {terms.min_trainers} in a round",
            f"  Witnesses    {terms.quorum} of {len(terms.witnesses)} must sign: {', '.join(terms.witnesses)}",
            f"  Aggregators  {', '.join(terms.aggregators)}",
            f"  Verifier     {terms.verifier} (attested: a bad quorum of witnesses can misjudge updates, but never pay",
            "               more than the round's budget)",
            f"  Paid         {money(terms.distributable)} per round in all; an average contribution in a full round "
            f"earns {money(self.equal_share)},",
            f"               a useless one 0, the best at most {money(self.most)}. {rounds} more rounds: 0 to "
            f"{money(self.most * rounds)}, on average {money(self.equal_share * rounds)}",
            f"  At stake     {money(terms.stake)} now, returned when you leave and the round that runs has ended",
            f"  You hold     {money(self.token_balance)}",
            f"  Gas          up to {JOIN_GAS:,} to join, about {coin:.6f} of the chain's coin",
            "               at today's price; commits and reveals are posted for you",
        ]


def preview(connection: Connection, project: VerifiedProject, trainer: str) -> Preview:
    """Reads what the prompt shows. Raises `ChainUnavailable`."""
    token = connection.token(project.terms.token)
    progress = connection.market.progress_of(project.id)
    return Preview(
        project=project,
        ledger=connection.market.ledger_of(project.id),
        members=connection.market.member_count(project.id),
        round=progress.round,
        ended=progress.ended,
        symbol=_printable(token.symbol()),
        decimals=token.decimals(),
        token_balance=token.balance_of(trainer),
        coin_balance=connection.chain.balance(trainer),
        gas_price=connection.chain.block().base_fee,
    )


def check_can_join(shown: Preview, trainer: str) -> None:
    """Raises `ProjectUnsafe` (over) or `BalanceTooLow`, before anything is sent."""
    if shown.ended or shown.rounds_left == 0:
        raise ProjectUnsafe(f"project {shown.project.id} is over: no round opens any more")
    stake = shown.project.terms.stake
    if shown.token_balance < stake:
        raise BalanceTooLow(
            f"joining takes {format_amount(stake, shown.decimals, shown.symbol)}, {trainer} holds "
            f"{format_amount(shown.token_balance, shown.decimals, shown.symbol)} of token {shown.project.terms.token}"
        )
    if shown.coin_balance < JOIN_GAS * shown.gas_price:
        raise BalanceTooLow(
            f"{trainer} holds {shown.coin_balance} wei and needs about {JOIN_GAS * shown.gas_price} for gas: "
            "send it some"
        )


def join(connection: Connection, project: VerifiedProject, sender: TransactionSender) -> Member:
    """Approves exactly the stake and joins, unless done before. Safe to run again after a crash at any point.

    Raises `TransactionReverted`, `TransactionLost`, `InsufficientFunds`.
    """
    market, trainer = connection.market, sender.address
    member = market.member_of(project.id, trainer)
    if member.active:
        return member
    if member.left:
        raise StillLeaving(
            f"{trainer} has left project {project.id} and its stake is still there: `withdraw` it, then join again"
        )
    token = connection.token(project.terms.token)
    if token.allowance(trainer, market.address) < project.terms.stake:
        # Approving twice does no harm, so that this intent need not outlive a crash.
        moment = connection.chain.block_number()
        sender.execute(token.approve(market.address, project.terms.stake), f"approve stake {project.id} at {moment}")
    intent = f"join {project.id} time {_times_joined(connection, project.id, trainer)}"
    try:
        sender.execute(market.join(project.id), intent)
    except TransactionReverted as error:
        if error.name != "AlreadyMember":
            raise
    member = market.member_of(project.id, trainer)
    log.info("joined", project=project.id, trainer=trainer, from_round=member.joined_round + 1)
    return member


def leave(connection: Connection, project: int, sender: TransactionSender) -> Member:
    """Takes part in no round opened from now on. Raises `NotAMember`, `TransactionReverted`."""
    market, trainer = connection.market, sender.address
    member = market.member_of(project, trainer)
    if member.stake == 0:
        raise NotAMember(f"{trainer} is no trainer of project {project}: nothing to leave")
    if not member.left:
        sender.execute(market.leave(project), f"leave {project} time {_times_joined(connection, project, trainer)}")
        member = market.member_of(project, trainer)
        log.info("left", project=project, trainer=trainer, last_round=member.left_round)
    return member


def withdraw(connection: Connection, project: int, sender: TransactionSender) -> int:
    """Takes the stake back after `leave`; base units. Raises `NotAMember`, or `TransactionReverted` with the contract's
    reason (still a member; the round that was running has not ended)."""
    market, trainer = connection.market, sender.address
    member = market.member_of(project, trainer)
    if member.stake == 0:
        raise NotAMember(f"{trainer} has no stake in project {project}: it was withdrawn, or never joined")
    request = market.withdraw_stake(project, trainer)
    market.simulate(request, trainer)
    sender.execute(request, f"withdraw {project} time {_times_joined(connection, project, trainer)}")
    log.info("stake-withdrawn", project=project, trainer=trainer, amount=str(member.stake))
    return member.stake


def _times_joined(connection: Connection, project: int, trainer: str) -> int:
    """How often the trainer has joined so far: makes each stay in a project an intent of its own."""
    config = connection.config
    return len(find_events(connection.chain, config.market, MemberJoined, [project, trainer], config.start_block))


def _printable(text: str) -> str:
    """Anyone can deploy a token whose name holds terminal escapes."""
    return "".join(character if character.isprintable() else "?" for character in text)[:16]
