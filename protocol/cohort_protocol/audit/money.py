"""Checks of a project's money: events against the market's own ledgers, ledgers against the token's."""

from __future__ import annotations

from cohort_protocol.audit.books import LEDGER_FIELDS, OF_THE_DEPOSIT
from cohort_protocol.audit.cases import ProjectCase
from cohort_protocol.audit.findings import Check, Result, agreed, unknown
from cohort_protocol.chain.token import Token
from cohort_protocol.chain.types import Record

MAX_PROJECTS = 2_000
"""Of the same market, whose ledgers are added up."""


def ledger(case: ProjectCase) -> Result:
    """deposited = free + held + claimable + claimed + fees + burned + refunded, by events and in the market."""
    book = case.book
    found = case.sources.market.ledger_of(case.number, case.head.number)
    problems = list(book.findings)
    for name in LEDGER_FIELDS:
        by_events, by_market = getattr(book, name), getattr(found, name)
        if by_events != by_market:
            problems.append(f"{name} is {by_events} by events and {by_market} in the market's ledger")
        if by_events < 0:
            problems.append(f"{name} is {by_events} by events, below zero")
    spread = sum(getattr(book, name) for name in OF_THE_DEPOSIT)
    if spread != book.deposited:
        problems.append(f"{book.deposited} were paid in, {spread} are accounted for")
    if not found.balanced:
        problems.append("the market's own ledger does not add up")
    figures = {name: getattr(book, name) for name in LEDGER_FIELDS}
    return agreed(
        problems, "paid in = free + held + claimable + claimed + fees + burned + refunded, exactly", **figures
    )


def token_balance(case: ProjectCase) -> Result:
    """The market holds at least what it owes in the project's token: to every project, trainer and aggregator."""
    market, head = case.sources.market, case.head.number
    count = market.project_count(head)
    if count > MAX_PROJECTS:
        return unknown(f"the market has {count} projects, at most {MAX_PROJECTS} are added up", projects=count)
    token = case.terms.token
    numbers = [number for number in range(1, count + 1) if market.terms_of(number).token == token]
    owed = 0
    for number in numbers:
        one = market.ledger_of(number, head)
        owed += one.free + one.held + one.claimable + one.burned + one.protocol_fees
        owed += one.stakes + one.stakes_burned + one.bonds + one.bonds_burned
    held = Token(case.sources.client, token).balance_of(market.address, head)
    problems = [] if held >= owed else [f"the market holds {held} of the token, it owes {owed}"]
    figures = {"held": held, "owed": owed, "projects_in_token": len(numbers)}
    more = f"; {held - owed} came without a call" if held > owed else ", exactly"
    return agreed(problems, f"the market holds {held} of the token and owes {owed}{more}", **figures)


def bonds(case: ProjectCase) -> Result:
    """The bond of every aggregator, free and locked, by events and in the market."""
    market, problems = case.sources.market, []
    for aggregator, account in case.book.bond_accounts.items():
        found = market.bond_of(case.number, aggregator, case.head.number)
        if (account.free, account.locked) != (found.free, found.locked):
            problems.append(
                f"the bond of {aggregator} is {account.free} free and {account.locked} locked by events, {found.free} "
                f"and {found.locked} in the market"
            )
    free = sum(account.free for account in case.book.bond_accounts.values())
    locked = sum(account.locked for account in case.book.bond_accounts.values())
    return agreed(problems, f"bonds of {len(case.book.bond_accounts)} aggregators agree", free=free, locked=locked)


def claims(case: ProjectCase) -> Result:
    """Every claim is of a row that earned just that, made once; and the market marks just these rounds as paid out."""
    record, problems = case.record, []
    due = {
        (entry.number, row.member): pay
        for entry in record.ordered()
        for row, pay in zip(entry.rows, entry.pays(), strict=False)
    }
    taken: dict[int, set[int]] = {}
    paid = count = 0
    for event in record.claims:
        count, paid = count + len(event.rounds), paid + event.amount
        expected = [due.pop((round, event.member), None) for round in event.rounds]
        if None in expected or sum(pay or 0 for pay in expected) != event.amount:
            owed = ", ".join("nothing (any more)" if pay is None else str(pay) for pay in expected)
            problems.append(
                f"member {event.member} took {event.amount} for the rounds {list(event.rounds)}, which owed it {owed}"
            )
        taken.setdefault(event.member, set()).update(event.rounds)
    ended = [entry.number for entry in record.ordered() if entry.end is not None]
    for member in sorted(record.trainers):
        marked = (
            case.sources.market.claimed_among(case.number, member, ended, case.head.number) if ended else frozenset()
        )
        if marked != (found := taken.get(member, set())):
            problems.append(
                f"member {member} was paid for rounds {sorted(found)} by events, {sorted(marked)} by the market's marks"
            )
    left = sum(due.values())
    text = f"{count} claims took {paid}, {left} of {paid + left} earned are still claimable"
    return agreed(problems, text, claims=count, claimed=paid, unclaimed=left)


def records(case: ProjectCase) -> Result:
    """The standing of every member in this project: as its last settled row says, and as the market keeps it."""
    last: dict[int, Record] = {}
    for entry in case.record.ordered():
        if entry.settled is not None:
            for row, settled in zip(entry.rows, entry.settled.rows, strict=False):
                last[row.member] = settled.record
    problems = []
    for member in sorted(case.record.trainers):
        found = case.sources.market.record_of(case.number, member, case.head.number)
        if found != (expected := last.get(member, Record())):
            problems.append(f"member {member} has {_words(found)} in the market, by events {_words(expected)}")
    credit = sum(one.credit for one in last.values())
    return agreed(problems, f"records of {len(case.record.trainers)} members agree", credit=credit)


def _words(record: Record) -> str:
    return (
        f"credit {record.credit}, usefulness {record.usefulness}, {record.rounds} rounds, {record.rejections} "
        "rejections"
    )


CHECKS: tuple[Check[ProjectCase], ...] = (
    Check("ledger", "money by events against the market's ledger, and the equation of deposits", ledger),
    Check("token-balance", "the token's balance of the market against everything that it owes", token_balance),
    Check("bonds", "bonds of aggregators by events against the market", bonds),
    Check("claims", "claims against the pay of rows and the market's marks of paid rounds", claims),
    Check("records", "records of members after their last round against the market", records),
)
