"""Re-adds all money of a market from the chain alone: token balances, token transfers, the market's events.

Three books that know nothing of each other must agree: what the market's events say of each project, what the
market's own ledger says, and what the token says that everybody holds. Neither the service nor its database is asked.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

from cohort_protocol.audit.books import LEDGER_FIELDS, OF_THE_DEPOSIT, ProjectBook
from cohort_protocol.chain.client import ChainClient
from cohort_protocol.chain.events import MarketEvent, MarketLogs
from cohort_protocol.chain.market import Market
from cohort_protocol.chain.token import Token, Transfer
from cohort_protocol.chain.types import ZERO_ADDRESS, Ledger
from cohort_protocol.errors import InvalidInput

from cohort_devnet.demo.report import Money


def books_of(events: Iterable[MarketEvent]) -> dict[int, ProjectBook]:
    """Project -> book, from a market's events since its first block, in order."""
    books: dict[int, ProjectBook] = defaultdict(ProjectBook)
    for event in events:
        project = getattr(event, "project", None)
        if project is not None:
            books[project].take(event)
    for number, book in books.items():
        book.findings = [f"project {number}: {finding}" for finding in book.findings]
    return dict(books)


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
    spread = sum(getattr(book, name) for name in OF_THE_DEPOSIT)
    if spread != book.deposited:
        found.append(f"project {project}: {book.deposited} were paid in, {spread} are accounted for")
    negative = [name for name in LEDGER_FIELDS if getattr(book, name) < 0]
    if negative:
        found.append(f"project {project}: {', '.join(negative)} below zero")
    for aggregator, bond in book.bond_accounts.items():
        if bond.free < 0 or bond.locked < 0:
            found.append(f"project {project}: the bond of {aggregator} is {bond.free} free and {bond.locked} locked")
    return found


def transfer_findings(books: Sequence[ProjectBook], transfers: Iterable[Transfer], market: str) -> list[str]:
    """Compares what went from the contract to each address with all that events say it was sent: pay, stakes, bonds,
    rewards, fees and refunds."""
    received: dict[str, int] = defaultdict(int)
    for transfer in transfers:
        if transfer.sender == market:
            received[transfer.receiver] += transfer.amount
    due: dict[str, int] = defaultdict(int)
    for book in books:
        for receiver, amount in book.sent.items():
            due[receiver] += amount
    return [
        f"{receiver} was sent {due[receiver]} by events, by the token's transfers {received[receiver]}"
        for receiver in sorted({*due, *received})
        if due[receiver] != received[receiver]
    ]


def re_add(client: ChainClient, market_address: str, token_address: str, project: int) -> Money:
    """The money of one project, and whether everything of the whole market adds up in this token.

    Reads the newest block. Raises `InvalidInput` if there is no such project, and what `ChainClient` raises.
    """
    market, token = Market(client, market_address), Token(client, token_address)
    last = client.block_number()
    books = books_of(MarketLogs(client, market.address).fetch(0, last))
    if project not in books:
        raise InvalidInput(f"no project {project} at {market.address}; there are: {sorted(books) or 'none'}")
    transfers = token.transfers(0, last)
    of_token = {number: book for number, book in books.items() if book.token == token.address}
    findings = [finding for book in books.values() for finding in book.findings]
    for number, book in of_token.items():
        findings += ledger_findings(number, book, market.ledger_of(number, last))
    findings += transfer_findings(list(of_token.values()), transfers, market.address)

    balance, supply = token.balance_of(market.address, last), token.total_supply(last)
    owed = sum(book.in_contract for book in of_token.values())
    asked = sum(book.received for book in of_token.values())
    unasked = sum(transfer.amount for transfer in transfers if transfer.receiver == market.address) - asked
    if balance != owed + unasked or unasked < 0:
        findings.append(
            f"the contract holds {balance}; its projects, stakes and bonds come to {owed}, and {unasked} came unasked"
        )
    held = holdings(transfers)
    for holder, amount in held.items():
        if (found := token.balance_of(holder, last)) != amount:
            findings.append(f"{holder} holds {found}, by transfers it should be {amount}")
    if supply != sum(held.values()):
        findings.append(f"the token's supply is {supply}, all holders together have {sum(held.values())}")
    return _money(books[project], balance, unasked, supply, findings)


def _money(book: ProjectBook, balance: int, unasked: int, supply: int, findings: list[str]) -> Money:
    return Money(
        paid_in=book.deposited,
        claimed=book.claimed,
        claimable=book.claimable,
        held=book.held,
        refunded=book.refunded,
        free=book.free,
        fees=book.fees,
        protocol_fees=book.protocol_fees + book.protocol_fees_collected,
        protocol_fees_collected=book.protocol_fees_collected,
        burned=book.burned,
        stakes=book.stakes,
        stakes_burned=book.stakes_burned,
        stake_rewards=book.stake_rewards,
        bonds=book.bonds,
        bonds_burned=book.bonds_burned,
        contract_balance=balance,
        unasked=unasked,
        supply=supply,
        balanced=not findings,
        findings=findings,
    )
