"""Re-adding the money: honest books add up, and every way of cooking them is found."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import pytest
from cohort_devnet.demo.money import ZERO_ADDRESS, books_of, holdings, ledger_findings, transfer_findings
from cohort_protocol.chain.events import (
    Claimed,
    FeeCredited,
    FeesWithdrawn,
    LogPosition,
    MarketEvent,
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
from cohort_protocol.chain.token import Transfer
from cohort_protocol.chain.types import Ledger, ProjectTerms, Windows
from hypothesis import given
from hypothesis import strategies as st

AT = LogPosition(1, 0, b"\x01" * 32, b"\x02" * 32)
MARKET, TOKEN, OWNER, AGGREGATOR = (f"0x{digit * 40}" for digit in "1234")
TRAINERS = [f"0x{index + 5:040x}" for index in range(4)]
BUDGET, FEE = 1000, 20


def terms() -> ProjectTerms:
    return ProjectTerms(
        token=TOKEN, verifier=MARKET, spec_digest=b"", policy_hash=b"", initial_model=b"", round_budget=BUDGET,
        aggregator_fee=FEE, stake=50, score_floor=1, rounds=3, dimension=1, slots=4, min_trainers=1, quorum=1,
        share_cap=4, windows=Windows(1, 0, 1, 1), witnesses=(OWNER,), aggregators=(AGGREGATOR,),
    )  # fmt: skip


def opened(number: int) -> RoundOpened:
    return RoundOpened(AT, 1, number, BUDGET, b"", 4, 1, 1, 2, 3)


def rows(number: int, pays: Iterable[int]) -> list[RowPaid]:
    return [RowPaid(AT, 1, number, TRAINERS[row], row, 1, 0, pay) for row, pay in enumerate(pays)]


def settled(number: int, paid: int, burned: int = 0) -> RoundSettled:
    return RoundSettled(AT, 1, number, AGGREGATOR, b"", b"", b"", b"", paid, FEE, burned)


def history() -> list[MarketEvent]:
    """A settled round with dust, a void one, a defaulted one; some claims, a refund."""
    return [
        ProjectCreated(AT, 1, OWNER, TOKEN, terms()),
        ProjectFunded(AT, 1, OWNER, 3 * BUDGET),
        *(MemberJoined(AT, 1, trainer, 50, 0) for trainer in TRAINERS),
        opened(1),
        *rows(1, [500, 300, 178, 0]),
        FeeCredited(AT, 1, AGGREGATOR, FEE),
        settled(1, 978),
        opened(2),
        *rows(2, [245]),
        RoundVoided(AT, 1, 2, b"", 245),
        opened(3),
        *rows(3, [490, 490]),
        RoundDefaulted(AT, 1, 3, b"", 980),
        Claimed(AT, 1, 1, TRAINERS[0], 0, 500),
        Claimed(AT, 1, 2, TRAINERS[0], 0, 245),
        FeesWithdrawn(AT, TOKEN, AGGREGATOR, FEE),
        ProjectRefunded(AT, 1, OWNER, 757),
        StakeWithdrawn(AT, 1, TRAINERS[3], 50),
    ]


def ledger() -> Ledger:
    return Ledger(deposited=3000, free=0, held=0, claimable=1458, claimed=745, fees=20, burned=20, refunded=757)


def test_honest_books_add_up() -> None:
    books, withdrawn = books_of(history())
    book = books[1]
    assert book.findings == []
    assert ledger_findings(1, book, ledger()) == []
    assert withdrawn == {TOKEN: FEE}
    assert book.stakes == 150
    assert book.in_contract == 1458 + 20 + 150
    assert dict(book.earned) == {TRAINERS[0]: 1235, TRAINERS[1]: 790, TRAINERS[2]: 178, TRAINERS[3]: 0}


@pytest.mark.parametrize("name", ["deposited", "free", "held", "claimable", "claimed", "fees", "burned", "refunded"])
def test_a_ledger_that_differs_by_one_unit_is_found(name: str) -> None:
    books, _ = books_of(history())
    wrong = replace(ledger(), **{name: getattr(ledger(), name) + 1})
    assert any(name in finding for finding in ledger_findings(1, books[1], wrong))


def test_a_round_that_pays_more_than_its_budget_is_found() -> None:
    events = [*history()[:7], *rows(1, [981]), settled(1, 981)]
    assert any("budget of 1000" in finding for finding in books_of(events)[0][1].findings)


def test_a_round_whose_rows_and_sum_differ_is_found() -> None:
    events = [*history()[:7], *rows(1, [500]), settled(1, 501)]
    assert any("its rows were paid 500" in finding for finding in books_of(events)[0][1].findings)


def test_a_round_closed_twice_is_found() -> None:
    events = [*history()[:7], RoundVoided(AT, 1, 1, b"", 0), RoundVoided(AT, 1, 1, b"", 0)]
    assert any("closed twice" in finding for finding in books_of(events)[0][1].findings)


def test_a_trainer_who_claims_more_than_it_earned_is_found() -> None:
    events = [*history(), Claimed(AT, 1, 1, TRAINERS[0], 0, 500)]
    assert any("more than it earned" in finding for finding in books_of(events)[0][1].findings)


def test_a_refund_of_money_that_is_not_free_is_found() -> None:
    events = [*history(), ProjectRefunded(AT, 1, OWNER, 10)]
    books, _ = books_of(events)
    wrong = replace(ledger(), refunded=767, free=-10)
    assert any("below zero" in finding for finding in ledger_findings(1, books[1], wrong))


def test_a_claim_whose_tokens_never_came_is_found() -> None:
    books, _ = books_of(history())
    sent = [Transfer(AT, MARKET, TRAINERS[0], 745)]
    assert transfer_findings(list(books.values()), sent, MARKET) == []
    short = [Transfer(AT, MARKET, TRAINERS[0], 744)]
    assert "claimed 745 and received 744" in transfer_findings(list(books.values()), short, MARKET)[0]


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4), st.integers(0, 10**30)), max_size=30))
def test_holdings_neither_make_nor_lose_tokens(moves: list[tuple[int, int, int]]) -> None:
    parties = [ZERO_ADDRESS, *TRAINERS]
    transfers = [Transfer(AT, parties[a], parties[b], amount) for a, b, amount in moves]
    minted = sum(t.amount for t in transfers if t.sender == ZERO_ADDRESS)
    burned = sum(t.amount for t in transfers if t.receiver == ZERO_ADDRESS)
    assert sum(holdings(transfers).values()) == minted - burned
