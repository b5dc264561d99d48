"""Re-adds all money of a market from the chain alone: token balances, token transfers, the market's events.

Three books that know nothing of each other must agree: what the market's events say of each project, what the
market's own ledger says, and what the token says that everybody holds. Neither the service nor its database is asked.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from cohort_protocol.chain.client import ChainClient
from cohort_protocol.chain.events import (
    Claimed,
    FeeCredited,
    FeesWithdrawn,
    MarketEvent,
    MarketLogs,
    MemberJoined,
    ProjectCreated,
    ProjectFunded,
    ProjectRefunded,
    RoundDefaulted,
    RoundOpened,
    RoundSettled,
    RoundVoided,
    RowPaid,
    StakeWithdrawn,
)
from cohort_protocol.chain.market import Market
from cohort_protocol.chain.token import Token, Transfer
from cohort_protocol.chain.types import Ledger
from cohort_protocol.errors import InvalidInput

from cohort_devnet.demo.report import Money

ZERO_ADDRESS = "0x" + "00" * 20
LEDGER_FIELDS = ("deposited", "free", "held", "claimable", "claimed", "fees", "burned", "refunded")


@dataclass
class ProjectBook:
    """One project's money as its events tell it. Base units."""

    token: str = ""
    aggregator_fee: int = 0
    deposited: int = 0
    free: int = 0
    held: int = 0
    claimable: int = 0
    claimed: int = 0
    fees: int = 0
    burned: int = 0
    refunded: int = 0
    stakes: int = 0
    """Of members who have not taken theirs back."""
    staked: int = 0
    """All stakes ever paid in."""
    budgets: dict[int, int] = field(default_factory=dict)
    """Round -> budget, of rounds that are not closed."""
    row_pay: dict[int, int] = field(default_factory=lambda: defaultdict(int))
    """Round -> sum of its rows' pay."""
    earned: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    """Trainer -> sum of pay, claimed or not."""
    taken: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    """Trainer -> sum of claims."""
    findings: list[str] = field(default_factory=list)

    def close(self, round: int, paid: int, fee: int, burned: int) -> None:
        """A round's budget leaves `held`: paid, fee and burned go their ways, the rest is free again."""
        budget = self.budgets.pop(round, None)
        if budget is None:
            self.findings.append(f"round {round} was closed but never opened, or closed twice")
            return
        if paid + fee + burned > budget:
            self.findings.append(f"round {round} spent {paid + fee + burned} of a budget of {budget}")
        if paid != self.row_pay[round]:
            self.findings.append(f"round {round} says it paid {paid}, its rows were paid {self.row_pay[round]}")
        self.held -= budget
        self.claimable += paid
        self.burned += burned
        self.free += budget - paid - fee - burned

    @property
    def in_contract(self) -> int:
        """What the market must hold for this project, without fees (which are booked by aggregator)."""
        return self.free + self.held + self.claimable + self.burned + self.stakes


def books_of(events: Iterable[MarketEvent]) -> tuple[dict[int, ProjectBook], dict[str, int]]:
    """(project -> book, token -> fees taken out) from a market's events since its first block, in order."""
    books: dict[int, ProjectBook] = defaultdict(ProjectBook)
    withdrawn: dict[str, int] = defaultdict(int)
    for event in events:
        if isinstance(event, FeesWithdrawn):
            withdrawn[event.token] += event.amount
            continue
        project = getattr(event, "project", None)
        if project is not None:
            _book(books[project], event)
    for number, book in books.items():
        if any(book.taken[trainer] > book.earned[trainer] for trainer in list(book.taken)):
            book.findings.append("a trainer claimed more than it earned")
        book.findings = [f"project {number}: {finding}" for finding in book.findings]
    return dict(books), dict(withdrawn)


def _book(book: ProjectBook, event: MarketEvent) -> None:
    match event:
        case ProjectCreated():
            book.token, book.aggregator_fee = event.token, event.terms.aggregator_fee
        case ProjectFunded():
            book.deposited += event.amount
            book.free += event.amount
        case MemberJoined():
            book.stakes += event.stake
            book.staked += event.stake
        case StakeWithdrawn():
            book.stakes -= event.amount
        case RoundOpened():
            book.budgets[event.round] = event.budget
            book.free -= event.budget
            book.held += event.budget
        case RowPaid():
            book.row_pay[event.round] += event.pay
            book.earned[event.trainer] += event.pay
        case FeeCredited():
            book.fees += event.amount
        case RoundSettled():
            book.close(event.round, event.paid, event.fee, event.burned)
        case RoundVoided():
            book.close(event.round, event.paid, 0, 0)
        case RoundDefaulted():
            # The fee that nobody earned is burned.
            book.close(event.round, event.paid, 0, book.aggregator_fee)
        case Claimed():
            book.claimable -= event.amount
            book.claimed += event.amount
            book.taken[event.trainer] += event.amount
        case ProjectRefunded():
            book.free -= event.amount
            book.refunded += event.amount


def holdings(transfers: Iterable[Transfer]) -> dict[str, int]:
    """Holder -> tokens, by all transfers since the token's creation. The zero address mints and burns."""
    held: dict[str, int] = defaultdict(int)
    for transfer in transfers:
        held[transfer.sender] -= transfer.amount
        held[transfer.receiver] += transfer.amount
    held.pop(ZERO_ADDRESS, None)
    return dict(held)


def ledger_findings(project: int, book: ProjectBook, ledger: Ledger) -> list[str]:
    """Where events and the contract's own ledger differ, in words."""
    found = []
    for name in LEDGER_FIELDS:
        by_events, by_contract = getattr(book, name), getattr(ledger, name)
        if by_events != by_contract:
            found.append(f"project {project}: {name} is {by_events} by events, {by_contract} in the contract's ledger")
    spread = sum(getattr(book, name) for name in LEDGER_FIELDS[1:])
    if spread != book.deposited:
        found.append(f"project {project}: {book.deposited} were paid in, {spread} are accounted for")
    negative = [name for name in LEDGER_FIELDS if getattr(book, name) < 0]
    if negative:
        found.append(f"project {project}: {', '.join(negative)} below zero")
    return found


def transfer_findings(books: Sequence[ProjectBook], transfers: Iterable[Transfer], market: str) -> list[str]:
    """Compares what went out of the contract to each trainer with what it claimed (and got back as stake)."""
    received: dict[str, int] = defaultdict(int)
    for transfer in transfers:
        if transfer.sender == market:
            received[transfer.receiver] += transfer.amount
    found = []
    claimed: dict[str, int] = defaultdict(int)
    for book in books:
        for trainer, amount in book.taken.items():
            claimed[trainer] += amount
    for trainer, amount in claimed.items():
        if received[trainer] < amount:
            found.append(f"{trainer} claimed {amount} and received {received[trainer]}")
    return found


def re_add(client: ChainClient, market_address: str, token_address: str, project: int) -> Money:
    """The money of one project, and whether everything of the whole market adds up in this token.

    Reads the newest block. Raises `InvalidInput` if there is no such project, and what `ChainClient` raises.
    """
    market, token = Market(client, market_address), Token(client, token_address)
    last = client.block_number()
    books, withdrawn = books_of(MarketLogs(client, market.address).fetch(0, last))
    if project not in books:
        raise InvalidInput(f"no project {project} at {market.address}; there are: {sorted(books) or 'none'}")
    transfers = token.transfers(0, last)
    held = holdings(transfers)
    of_token = {number: book for number, book in books.items() if book.token == token.address}
    findings = [finding for book in books.values() for finding in book.findings]
    for number, book in of_token.items():
        findings += ledger_findings(number, book, market.ledger_of(number, last))
    findings += transfer_findings(list(of_token.values()), transfers, market.address)

    balance, supply = token.balance_of(market.address, last), token.total_supply(last)
    owed = sum(book.in_contract + book.fees for book in of_token.values()) - withdrawn.get(token.address, 0)
    asked = sum(book.deposited + book.staked for book in of_token.values())
    unasked = sum(transfer.amount for transfer in transfers if transfer.receiver == market.address) - asked
    if balance != owed + unasked or unasked < 0:
        findings.append(
            f"the contract holds {balance}; its projects, fees and stakes come to {owed}, and {unasked} came unasked"
        )
    for holder, amount in held.items():
        if (found := token.balance_of(holder, last)) != amount:
            findings.append(f"{holder} holds {found}, by transfers it should be {amount}")
    if supply != sum(held.values()):
        findings.append(f"the token's supply is {supply}, all holders together have {sum(held.values())}")

    book = books[project]
    return Money(
        paid_in=book.deposited,
        claimed=book.claimed,
        claimable=book.claimable,
        held=book.held,
        refunded=book.refunded,
        free=book.free,
        fees=book.fees,
        burned=book.burned,
        stakes=book.stakes,
        contract_balance=balance,
        unasked=unasked,
        supply=supply,
        balanced=not findings,
        findings=findings,
    )
