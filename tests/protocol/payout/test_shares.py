"""Pay of a round: the rule by hand, and its properties on any input."""

from __future__ import annotations

import pytest
from cohort_protocol.errors import InvalidInput
from cohort_protocol.payout import default_pay, distributable, pays, protocol_fee, undistributed, void_pay
from hypothesis import given
from hypothesis import strategies as st

ONE = 2**30
D = 1_000_000

rounds = st.lists(st.tuples(st.integers(0, 2**64 - 1), st.booleans()), min_size=1, max_size=32).map(
    lambda rows: ([0 if rejected else score for score, rejected in rows], [int(rejected) for _, rejected in rows])
)
budgets = st.integers(1, 2**128 - 1)
floors = st.integers(1, 2**64 - 1)
caps = st.integers(1, 255)


def test_pay_is_in_proportion_to_the_scores() -> None:
    assert pays([ONE, 2 * ONE, ONE], [0, 0, 0], D, ONE, 3) == [250_000, 500_000, 250_000]


def test_division_rounds_down() -> None:
    assert pays([1, 1, 1], [0, 0, 0], 100, 1, 3) == [33, 33, 33]


def test_a_rejected_row_earns_nothing() -> None:
    assert pays([0, ONE], [1, 0], D, 1, 2) == [0, D]


def test_below_the_floor_a_round_pays_only_in_proportion() -> None:
    assert pays([1, 3], [0, 0], D, 16, 2) == [D // 16, 3 * D // 16]
    assert pays([4, 12], [0, 0], D, 16, 2) == [D // 4, 3 * D // 4]


def test_nobody_gets_more_than_the_cap() -> None:
    assert pays([98, 1, 1, 0], [0, 0, 0, 0], D, 1, 2) == [D * 2 // 4, D // 100, D // 100, 0]
    assert pays([98, 1, 1, 0], [0, 0, 0, 0], D, 1, 255) == [980_000, 10_000, 10_000, 0]


@given(rounds, budgets, floors, caps)
def test_a_round_never_pays_more_than_it_has(rows, distributable: int, floor: int, cap: int) -> None:
    scores, reasons = rows
    pay = pays(scores, reasons, distributable, floor, cap)
    assert sum(pay) <= distributable
    assert all(0 <= amount <= max(distributable * cap // len(pay), 0) for amount in pay)
    assert all(amount == 0 for amount, score in zip(pay, scores, strict=True) if score == 0)


@given(rounds, budgets, floors, caps)
def test_more_score_never_earns_less(rows, distributable: int, floor: int, cap: int) -> None:
    scores, reasons = rows
    pay = pays(scores, reasons, distributable, floor, cap)
    ordered = [amount for _, amount in sorted(zip(scores, pay, strict=True))]
    assert ordered == sorted(ordered)


@given(rounds, budgets, floors, caps)
def test_everything_that_is_not_paid_is_accounted_for(rows, distributable: int, floor: int, cap: int) -> None:
    pay = pays(*rows, distributable, floor, cap)
    dust, burned = undistributed(pay, distributable)
    assert sum(pay) + dust + burned == distributable
    assert dust < len(pay)
    assert dust == 0 or burned == 0


def test_dust_is_less_than_a_unit_per_row() -> None:
    assert undistributed([33, 33, 33], 100) == (1, 0)
    assert undistributed([33, 33, 31], 99) == (2, 0)
    assert undistributed([33, 33, 30], 99) == (0, 3)
    with pytest.raises(InvalidInput):
        undistributed([60, 60], 100)


@pytest.mark.parametrize(
    ("scores", "reasons", "distributable", "floor", "cap"),
    [
        ([], [], D, 1, 1),
        ([1] * 33, [0] * 33, D, 1, 1),
        ([1], [0, 0], D, 1, 1),
        ([1], [1], D, 1, 1),
        ([-1], [0], D, 1, 1),
        ([2**64], [0], D, 1, 1),
        ([1], [0], -1, 1, 1),
        ([1], [0], D, 0, 1),
        ([1], [0], D, 1, 0),
    ],
)
def test_bad_input_is_refused(scores, reasons, distributable: int, floor: int, cap: int) -> None:
    with pytest.raises(InvalidInput):
        pays(scores, reasons, distributable, floor, cap)


def test_void_pays_a_slot_and_default_an_equal_part() -> None:
    assert void_pay(1001, 8) == 125
    assert default_pay(1001, 3) == 333
    for bad in ((-1, 3), (5, 0), (5, 33)):
        with pytest.raises(InvalidInput):
            void_pay(*bad)
        with pytest.raises(InvalidInput):
            default_pay(*bad)


def test_both_fees_come_out_of_the_budget() -> None:
    assert protocol_fee(1_000_099, 100) == 10_000, "rounded down"
    assert protocol_fee(99, 100) == 0
    assert distributable(1_000_000, 30_000, protocol_fee(1_000_000, 100)) == 960_000
    for bad in ((10, 11, 0), (10, 5, 6), (10, -1, 0), (10, 0, -1)):
        with pytest.raises(InvalidInput):
            distributable(*bad)
    for bad in ((-1, 100), (5, 10_001), (5, -1)):
        with pytest.raises(InvalidInput):
            protocol_fee(*bad)
