"""Re-adding the money: honest books add up, and every way of cooking them is found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from cohort_devnet.demo.money import books_of, holdings, ledger_findings, transfer_findings
from cohort_protocol.audit.books import LEDGER_FIELDS, ProjectBook
from cohort_protocol.chain.events import (
    AdmittedRow,
    BondDeposited,
    BondReleased,
    BondSlashed,
    BondWithdrawn,
    Claimed,
    LogPosition,
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
    SettledRow,
    Staked,
    StakeSlashed,
    StakeWithdrawn,
    UpdatesAdmitted,
)
from cohort_protocol.chain.token import Transfer
from cohort_protocol.chain.types import ZERO_ADDRESS, Ledger, NextModel, ProjectTerms, Record, Windows
from hypothesis import given
from hypothesis import strategies as st

AT = LogPosition(1, 0, b"\x01" * 32, b"\x02" * 32)
MARKET, TOKEN, OWNER, PROTOCOL, STRANGER = (f"0x{digit * 40}" for digit in "12345")
AGGREGATORS = [f"0x{index + 0xA0:040x}" for index in range(2)]
TRAINERS = [f"0x{index + 5:040x}" for index in range(4)]
BUDGET, FEE, PROTOCOL_FEE, STAKE, BOND = 1000, 20, 10, 490, 500
CID = bytes(36)


def terms() -> ProjectTerms:
    return ProjectTerms(
        token=TOKEN, verifier=MARKET, policy=MARKET, verifier_code_hash=b"", policy_code_hash=b"", spec_digest=b"",
        policy_hash=b"", initial_model=b"", validation_root=b"", access_root=b"", round_budget=BUDGET,
        aggregator_fee=FEE, stake=STAKE, bond=BOND, score_floor=1, rounds=4, dimension=1, exponent=-14,
        min_reliability=0, slots=4, min_trainers=1, quorum=1, share_cap=4, windows=Windows(2, 0, 1, 1, 1, 1, 0),
        witnesses=(OWNER,), aggregators=tuple(AGGREGATORS),
    )  # fmt: skip


def opened(number: int, members: Sequence[int]) -> list[MarketEvent]:
    """Accepted by the first aggregator, opened, and these members' updates admitted."""
    rows = tuple(AdmittedRow(row, member, b"", CID) for row, member in enumerate(members))
    return [
        RoundAccepted(AT, 1, number, AGGREGATORS[0], BOND),
        RoundOpened(AT, 1, number, AGGREGATORS[0], b"", BUDGET, 4, 1, 2, 3),
        UpdatesAdmitted(AT, 1, number, 0, rows[:2]),
        UpdatesAdmitted(AT, 1, number, 2, rows[2:]),
    ]


def settled(number: int, pays: Sequence[int], paid: int | None = None, burned: int = 0, by: int = 0) -> RoundSettled:
    rows = tuple(SettledRow(row, 0, 1, pay, Record()) for row, pay in enumerate(pays))
    model = NextModel(cid=CID, commitment=b"")
    return RoundSettled(
        AT, 1, number, AGGREGATORS[by], b"", model, CID, sum(pays) if paid is None else paid, burned, rows
    )


def before() -> list[MarketEvent]:
    """Everything up to an opened first round with four rows."""
    return [
        ProjectCreated(AT, 1, OWNER, TOKEN, terms(), PROTOCOL_FEE, 65_536),
        ProjectFunded(AT, 1, OWNER, 4 * BUDGET),
        *(MemberJoined(AT, 1, trainer, number, 0) for number, trainer in enumerate(TRAINERS, 1)),
        *(Staked(AT, 1, trainer, number, trainer, STAKE) for number, trainer in enumerate(TRAINERS, 1)),
        *(BondDeposited(AT, 1, aggregator, BOND) for aggregator in AGGREGATORS),
        *opened(1, [1, 2, 3, 4]),
    ]


def history() -> list[MarketEvent]:
    """A settled round with dust, a void one, one that another aggregator settled, a defaulted one; a slashed stake;
    claims, fees, bonds and stakes taken out, a refund."""
    return [
        *before(),
        settled(1, [500, 300, 168, 0]),
        *opened(2, [3]),
        RoundVoided(AT, 1, 2, b"", 242, (3,)),
        BondReleased(AT, 1, 2, AGGREGATORS[0], BOND),
        *opened(3, [1, 3]),
        BondSlashed(AT, 1, 3, AGGREGATORS[0], BOND // 2, BOND // 2),
        settled(3, [400, 400], burned=170, by=1),
        StakeSlashed(AT, 1, 3, 4, TRAINERS[3], STRANGER, STAKE // 10, STAKE - STAKE // 10),
        BondDeposited(AT, 1, AGGREGATORS[0], BOND - FEE),
        *opened(4, [1, 2]),
        RoundDefaulted(AT, 1, 4, b"", 485, (1, 2)),
        BondSlashed(AT, 1, 4, AGGREGATORS[0], 0, BOND),
        Claimed(AT, 1, 1, TRAINERS[0], 500 + 485, 0, (1, 4)),
        Claimed(AT, 1, 3, STRANGER, 242, 0, (2,)),
        ProtocolFeesCollected(AT, 1, PROTOCOL, PROTOCOL_FEE),
        BondWithdrawn(AT, 1, AGGREGATORS[1], 700),
        ProjectRefunded(AT, 1, OWNER, 760),
        StakeWithdrawn(AT, 1, TRAINERS[2], 3, STAKE),
    ]


def ledger() -> Ledger:
    return Ledger(
        deposited=4000, free=0, held=0, claimable=300 + 168 + 800 + 485, claimed=1227, fees=60, burned=170 + 30,
        refunded=760, stakes=2 * STAKE, bonds=70, stakes_burned=441, bonds_burned=750, protocol_fees=10,
    )  # fmt: skip


def book_of(events: Sequence[MarketEvent]) -> ProjectBook:
    return books_of(events)[1]


def test_honest_books_add_up() -> None:
    book = book_of(history())
    assert book.findings == []
    assert ledger().balanced
    assert ledger_findings(1, book, ledger()) == []
    assert book.in_contract == book.received - sum(book.sent.values())
    assert book.stake_rewards == 49
    assert book.protocol_fees_collected == PROTOCOL_FEE
    assert {member: amount for member, amount in book.earned.items() if amount} == {
        1: 500 + 400 + 485,
        2: 300 + 485,
        3: 168 + 242 + 400,
    }
    assert dict(book.taken) == {1: 985, 3: 242}
    assert (book.bond_accounts[AGGREGATORS[0]].free, book.bond_accounts[AGGREGATORS[0]].locked) == (0, 0)


@pytest.mark.parametrize("name", LEDGER_FIELDS)
def test_a_ledger_that_differs_by_one_unit_is_found(name: str) -> None:
    wrong = replace(ledger(), **{name: getattr(ledger(), name) + 1})
    assert any(f" {name} is " in finding for finding in ledger_findings(1, book_of(history()), wrong))


def test_a_round_that_pays_more_than_its_budget_is_found() -> None:
    book = book_of([*before(), settled(1, [971, 0, 0, 0])])
    assert any("spent 1001 of a budget of 1000" in finding for finding in book.findings)


def test_a_round_whose_rows_and_sum_differ_is_found() -> None:
    book = book_of([*before(), settled(1, [500, 0, 0, 0], paid=501)])
    assert any("its rows were paid 500" in finding for finding in book.findings)


def test_a_round_that_pays_rows_that_were_not_admitted_is_found() -> None:
    book = book_of([*before(), settled(1, [100] * 5)])
    assert any("paid 5 rows, 4 were admitted" in finding for finding in book.findings)


def test_a_round_closed_twice_is_found() -> None:
    book = book_of([*before(), *[RoundVoided(AT, 1, 1, b"", 0, (1, 2, 3, 4))] * 2])
    assert any("closed twice" in finding for finding in book.findings)


@pytest.mark.parametrize(
    ("member", "amount", "rounds"),
    [
        (1, 500, (1,)),  # for the second time
        (1, 0, (1,)),  # the same, for nothing
        (2, 301, (1,)),  # more than it earned
        (2, 299, (1,)),  # less
        (3, 485, (4,)),  # somebody else's
        (2, 1, (9,)),  # of no round
        (2, 300, (1, 9)),  # of a round and none
    ],
)
def test_a_claim_of_what_is_not_owed_is_found(member: int, amount: int, rounds: tuple[int, ...]) -> None:
    book = book_of([*history(), Claimed(AT, 1, member, STRANGER, amount, 0, rounds)])
    assert any(f"member {member} claimed {amount}" in finding for finding in book.findings)


def test_a_refund_of_money_that_is_not_free_is_found() -> None:
    book = book_of([*history(), ProjectRefunded(AT, 1, OWNER, 10)])
    wrong = replace(ledger(), refunded=770, free=-10)
    assert any("below zero" in finding for finding in ledger_findings(1, book, wrong))


def test_a_bond_that_is_taken_out_while_it_is_locked_is_found() -> None:
    events = [*before(), BondWithdrawn(AT, 1, AGGREGATORS[0], 1)]
    wrong = replace(ledger(), bonds=0)
    assert any("-1 free and 500 locked" in finding for finding in ledger_findings(1, book_of(events), wrong))


def test_tokens_sent_that_no_event_tells_of_are_found_and_the_reverse() -> None:
    book = book_of(history())
    sent = [Transfer(AT, MARKET, receiver, amount) for receiver, amount in book.sent.items()]
    assert transfer_findings([book], sent, MARKET) == []
    short = [replace(one, amount=one.amount - (one.receiver == TRAINERS[0])) for one in sent]
    assert "was sent 985 by events, by the token's transfers 984" in transfer_findings([book], short, MARKET)[0]
    more = [*sent, Transfer(AT, MARKET, AGGREGATORS[0], 1)]
    assert "was sent 0 by events, by the token's transfers 1" in transfer_findings([book], more, MARKET)[0]


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4), st.integers(0, 10**30)), max_size=30))
def test_holdings_neither_make_nor_lose_tokens(moves: list[tuple[int, int, int]]) -> None:
    parties = [ZERO_ADDRESS, *TRAINERS]
    transfers = [Transfer(AT, parties[a], parties[b], amount) for a, b, amount in moves]
    minted = sum(t.amount for t in transfers if t.sender == ZERO_ADDRESS)
    burned = sum(t.amount for t in transfers if t.receiver == ZERO_ADDRESS)
    assert sum(holdings(transfers).values()) == minted - burned
