"""Standing: the rule by hand, and the promises it makes on any input."""

from __future__ import annotations

import pytest
from cohort_protocol.chain.types import Standing
from cohort_protocol.errors import InvalidInput
from cohort_protocol.standing import next_standing, reliability_after, usefulness_after
from hypothesis import given
from hypothesis import strategies as st

D = 1_000_000
rows_and_pay = st.tuples(st.integers(1, 32), st.integers(1, 2**128 - 1)).flatmap(
    lambda pair: st.tuples(st.just(pair[0]), st.integers(0, pair[1]), st.just(pair[1]))
)
reliabilities = st.integers(0, 10_000)
usefulnesses = st.integers(0, 40_000)


def accepted(reliability: int, pay: int, rows: int = 4, distributable: int = D) -> int:
    return reliability_after(reliability, pay=pay, rejected=False, rows=rows, distributable=distributable)


def rejected(reliability: int) -> int:
    return reliability_after(reliability, pay=0, rejected=True, rows=4, distributable=D)


def test_an_average_share_earns_five_percent_of_what_is_missing() -> None:
    assert accepted(0, D // 4) == 500
    assert accepted(500, D // 4) == 500 + 475
    assert accepted(10_000, D // 4) == 10_000


def test_more_than_an_average_share_earns_no_more() -> None:
    assert accepted(0, D) == accepted(0, D // 4)


def test_half_a_share_earns_half_and_dust_nothing() -> None:
    assert accepted(0, D // 8) == 250
    assert accepted(0, 400) == 0
    assert accepted(0, 0) == 0


def test_a_rejected_row_costs_a_fifth() -> None:
    assert rejected(10_000) == 8_000
    assert rejected(4) == 4, "0.8 rounds down to nothing"
    assert rejected(0) == 0


def test_usefulness_is_a_moving_average_of_share_times_rows() -> None:
    def after(usefulness: int, pay: int, hostile: bool = False) -> int:
        return usefulness_after(usefulness, pay=pay, rejected=hostile, rows=4, distributable=D)

    assert after(0, D // 4) == 10_000 // 8
    assert after(10_000, D // 4) == 10_000
    assert after(0, D) == 40_000 // 8
    assert after(8, 0) == 7
    assert after(10_000, 0, hostile=True) == 8_750


def test_a_standing_counts_rows_and_rejections() -> None:
    start = Standing(1_000, 800, 5, 1)
    good = next_standing(start, pay=D // 4, rejected=False, rows=4, distributable=D)
    assert good == Standing(1_450, (7 * 800 + 10_000) // 8, 6, 1)
    bad = next_standing(start, pay=0, rejected=True, rows=4, distributable=D)
    assert bad == Standing(800, 700, 6, 2)


@given(reliabilities, rows_and_pay)
def test_good_behaviour_never_lowers_reliability(reliability: int, row) -> None:
    rows, pay, distributable = row
    assert reliability <= accepted(reliability, pay, rows, distributable) <= 10_000


@given(reliabilities)
def test_bad_behaviour_never_raises_it(reliability: int) -> None:
    assert 0 <= rejected(reliability) <= reliability


@given(reliabilities, rows_and_pay)
def test_more_pay_never_earns_less(reliability: int, row) -> None:
    rows, pay, distributable = row
    assert accepted(reliability, pay // 2, rows, distributable) <= accepted(reliability, pay, rows, distributable)


@given(usefulnesses, rows_and_pay, st.booleans())
def test_usefulness_stays_in_range(usefulness: int, row, hostile: bool) -> None:
    rows, pay, distributable = row
    after = usefulness_after(usefulness, pay=pay, rejected=hostile, rows=rows, distributable=distributable)
    assert 0 <= after <= 40_000
    if hostile:
        assert after <= usefulness


@given(st.integers(0, 50), rows_and_pay)
def test_a_newcomer_never_outranks_who_stayed(rounds: int, row) -> None:
    """A new identity is worth no more than an old one that lost everything."""
    rows, pay, distributable = row
    old, new = rejected(10_000), 0
    for _ in range(rounds):
        old, new = (accepted(value, pay, rows, distributable) for value in (old, new))
    assert new <= old


@pytest.mark.parametrize(("pay", "rows", "distributable"), [(1, 0, 10), (1, 1, 0), (-1, 1, 10), (11, 1, 10)])
def test_bad_input_is_refused(pay: int, rows: int, distributable: int) -> None:
    with pytest.raises(InvalidInput):
        reliability_after(0, pay=pay, rejected=False, rows=rows, distributable=distributable)
    with pytest.raises(InvalidInput):
        usefulness_after(0, pay=pay, rejected=False, rows=rows, distributable=distributable)
