"""One project's money as the market's events tell it: every event of the chain in order, nothing else."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

from cohort_protocol.chain.events import (
    BondDeposited,
    BondReleased,
    BondSlashed,
    BondWithdrawn,
    Claimed,
    MarketEvent,
    MemberJoined,
    ProjectCreated,
    ProjectFunded,
    ProjectRefunded,
    ProtocolFeesCollected,
    RoundAccepted,
    RoundDefaulted,
    RoundOpened,
    RoundSettled,
    RoundVoided,
    Staked,
    StakeSlashed,
    StakeWithdrawn,
    UpdatesAdmitted,
)

OF_THE_DEPOSIT = ("free", "held", "claimable", "claimed", "fees", "burned", "refunded")
"""What the money that was paid in has become."""

BESIDE_IT = ("stakes", "bonds", "stakes_burned", "bonds_burned", "protocol_fees")

LEDGER_FIELDS = ("deposited", *OF_THE_DEPOSIT, *BESIDE_IT)


@dataclass
class BondAccount:
    """One aggregator's bond, its fees included. Base units."""

    free: int = 0
    locked: int = 0


@dataclass
class ProjectBook:
    """Base units of the project's token."""

    token: str = ""
    aggregator_fee: int = 0
    protocol_fee: int = 0
    """Of each settled round."""
    bond: int = 0
    """Behind each round."""
    deposited: int = 0
    free: int = 0
    held: int = 0
    claimable: int = 0
    claimed: int = 0
    fees: int = 0
    burned: int = 0
    refunded: int = 0
    stakes: int = 0
    """In the contract, of trainers."""
    stakes_burned: int = 0
    stake_rewards: int = 0
    """Part of slashed stakes that went to those who had them slashed."""
    bonds_burned: int = 0
    protocol_fees: int = 0
    """Not collected yet."""
    protocol_fees_collected: int = 0
    received: int = 0
    """All that was ever paid in: deposits, stakes, bonds."""
    bond_accounts: dict[str, BondAccount] = field(default_factory=lambda: defaultdict(BondAccount))
    budgets: dict[int, int] = field(default_factory=dict)
    """Round -> budget, of rounds that are not closed."""
    rows: dict[int, list[int]] = field(default_factory=lambda: defaultdict(list))
    """Round -> members of its rows, of rounds that are not closed."""
    trainers: dict[int, str] = field(default_factory=dict)
    """Member number -> address."""
    earned: dict[int, int] = field(default_factory=lambda: defaultdict(int))
    """Member -> sum of pay, claimed or not."""
    taken: dict[int, int] = field(default_factory=lambda: defaultdict(int))
    """Member -> sum of claims."""
    sent: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    """Address -> all that the contract sent it for this project."""
    findings: list[str] = field(default_factory=list)
    _to_settler: dict[int, int] = field(default_factory=dict)
    """Round -> part of its acceptor's bond that goes to whoever settles instead."""
    _unclaimed: dict[tuple[int, int], int] = field(default_factory=dict)
    """(round, member) -> pay, not taken out yet."""

    @property
    def bonds(self) -> int:
        """In the contract, of aggregators, their fees included."""
        return sum(bond.free + bond.locked for bond in self.bond_accounts.values())

    @property
    def in_contract(self) -> int:
        """What the market must hold for this project."""
        of_owner = self.free + self.held + self.claimable + self.burned + self.protocol_fees
        return of_owner + self.stakes + self.stakes_burned + self.bonds + self.bonds_burned

    def take(self, event: MarketEvent) -> None:
        """Books one event."""
        match event:
            case ProjectCreated():
                self.token = event.token
                self.aggregator_fee, self.protocol_fee = event.terms.aggregator_fee, event.protocol_fee
                self.bond = event.terms.bond
            case ProjectFunded():
                self.deposited += event.amount
                self.received += event.amount
                self.free += event.amount
            case ProjectRefunded():
                self.free -= event.amount
                self.refunded += event.amount
                self.sent[event.owner] += event.amount
            case ProtocolFeesCollected():
                self.protocol_fees -= event.amount
                self.protocol_fees_collected += event.amount
                self.sent[event.recipient] += event.amount
            case MemberJoined() | Staked() | StakeWithdrawn() | StakeSlashed():
                self._take_stake(event)
            case BondDeposited() | BondWithdrawn() | RoundAccepted() | BondReleased() | BondSlashed():
                self._take_bond(event)
            case _:
                self._take_round(event)

    def _take_stake(self, event: MemberJoined | Staked | StakeWithdrawn | StakeSlashed) -> None:
        self.trainers[event.member] = event.trainer
        match event:
            case Staked():
                self.stakes += event.amount
                self.received += event.amount
            case StakeWithdrawn():
                self.stakes -= event.amount
                self.sent[event.trainer] += event.amount
            case StakeSlashed():
                self.stakes -= event.reward + event.burned
                self.stakes_burned += event.burned
                self.stake_rewards += event.reward
                self.sent[event.caller] += event.reward

    def _take_bond(self, event: BondDeposited | BondWithdrawn | RoundAccepted | BondReleased | BondSlashed) -> None:
        bond = self.bond_accounts[event.aggregator]
        match event:
            case BondDeposited():
                bond.free += event.amount
                self.received += event.amount
            case BondWithdrawn():
                bond.free -= event.amount
                self.sent[event.aggregator] += event.amount
            case RoundAccepted():
                bond.free -= event.bond
                bond.locked += event.bond
            case BondReleased():
                bond.locked -= event.bond
                bond.free += event.bond
            case BondSlashed():
                bond.locked -= event.to_settler + event.burned
                self.bonds_burned += event.burned
                self._to_settler[event.round] = event.to_settler

    def _take_round(self, event: MarketEvent) -> None:
        match event:
            case RoundOpened():
                self.budgets[event.round] = event.budget
                self.free -= event.budget
                self.held += event.budget
            case UpdatesAdmitted():
                self.rows[event.round] += [row.member for row in event.rows]
            case RoundSettled():
                self._close(event.round, [row.pay for row in event.rows], event.paid, self._fees, event.burned)
                self.fees += self._fees
                self.protocol_fees += self.protocol_fee
                self._pay_settler(event)
            case RoundVoided():
                pays = [event.share] * len(event.members)
                self._close(event.round, pays, sum(pays), 0, 0)
            case RoundDefaulted():
                # The fees that nobody earned are burned.
                pays = [event.share] * len(event.members)
                self._close(event.round, pays, sum(pays), 0, self._fees)
            case Claimed():
                self._take_claim(event)

    def _pay_settler(self, event: RoundSettled) -> None:
        """The fee, and the acceptor's own bond again; of one that was slashed just before, the settler's part."""
        account = self.bond_accounts[event.settler]
        if event.round in self._to_settler:
            account.free += self._to_settler.pop(event.round)
        else:
            account.locked -= self.bond
            account.free += self.bond
        account.free += self.aggregator_fee

    @property
    def _fees(self) -> int:
        return self.aggregator_fee + self.protocol_fee

    def _close(self, round: int, pays: list[int], paid: int, fees: int, burned: int) -> None:
        """A round's budget leaves `held`: pay, fees and what is burned go their ways, the rest is free again."""
        budget, members = self.budgets.pop(round, None), self.rows.pop(round, [])
        if budget is None:
            self.findings.append(f"round {round} was closed but never opened, or closed twice")
            return
        if paid + fees + burned > budget:
            self.findings.append(f"round {round} spent {paid + fees + burned} of a budget of {budget}")
        if paid != sum(pays):
            self.findings.append(f"round {round} says it paid {paid}, its rows were paid {sum(pays)}")
        if len(members) != len(pays):
            self.findings.append(f"round {round} paid {len(pays)} rows, {len(members)} were admitted")
        for member, pay in zip(members, pays, strict=False):
            self.earned[member] += pay
            self._unclaimed[round, member] = pay
        self.held -= budget
        self.claimable += paid
        self.burned += burned
        self.free += budget - paid - fees - burned

    def _take_claim(self, event: Claimed) -> None:
        self.claimable -= event.amount
        self.claimed += event.amount
        self.taken[event.member] += event.amount
        self.sent[event.to] += event.amount
        due = [self._unclaimed.pop((round, event.member), None) for round in event.rounds]
        if None in due or sum(pay or 0 for pay in due) != event.amount:
            owed = ", ".join(f"{'nothing (any more)' if pay is None else pay}" for pay in due)
            self.findings.append(
                f"member {event.member} claimed {event.amount} for the rounds {list(event.rounds)}, which owe it {owed}"
            )
