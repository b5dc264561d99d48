"""A record in a project: the rule by hand, and the promises it makes on any input."""

from __future__ import annotations

import pytest
from cohort_protocol.chain.types import Record
from cohort_protocol.errors import InvalidInput
from cohort_protocol.standing import next_record, standing_weight
from hypothesis import given
from hypothesis import strategies as st

D = 1_000_000
FULL = 65_536
rows_and_pay = st.tuples(st.integers(1, 32), st.integers(1, 2**112 - 1)).flatmap(
    lambda pair: st.tuples(st.just(pair[0]), st.integers(0, pair[1]), st.just(pair[1]))
)
weights = st.integers(0, FULL)
records = st.builds(
    Record,
    credit=st.integers(0, 2**24 - 1),
    usefulness=st.integers(0, 40_000),
    rounds=st.integers(0, 2**16 - 1),
    rejections=st.integers(0, 127),
)


def after(record: Record, pay: int, rejected: bool = False, weight: int = FULL) -> Record:
    return next_record(record, pay=pay, rejected=rejected, rows=4, distributable=D, weight=weight)


def test_an_average_share_or_more_earns_a_thousand() -> None:
    assert after(Record(), D // 4).credit == 1_000
    assert after(Record(), D).credit == 1_000


def test_less_earns_in_proportion_and_dust_nothing() -> None:
    assert after(Record(), D // 8).credit == 500
    assert after(Record(), 249).credit == 0
    assert after(Record(), 250).credit == 1


def test_credit_counts_as_far_as_the_fee_does() -> None:
    assert after(Record(), D // 4, weight=FULL // 2).credit == 500
    assert after(Record(), D // 4, weight=0) == Record(0, 1_250, 1, 0)


def test_a_rejected_row_earns_nothing_and_is_counted() -> None:
    start = Record(1_000, 800, 5, 1)
    assert after(start, 0, rejected=True) == Record(1_000, 700, 6, 2)
    assert after(start, D // 4) == Record(2_000, (7 * 800 + 10_000) // 8, 6, 1)


def test_usefulness_is_a_moving_average_of_share_times_rows() -> None:
    assert after(Record(), D // 4).usefulness == 10_000 // 8
    assert after(Record(usefulness=10_000), D // 4).usefulness == 10_000
    assert after(Record(), D).usefulness == 40_000 // 8
    assert after(Record(usefulness=8), 0).usefulness == 7


def test_counts_stop_at_their_maximum() -> None:
    full = Record(2**24 - 1, 40_000, 2**16 - 1, 127)
    assert after(full, D) == full
    assert after(full, 0, rejected=True) == Record(2**24 - 1, 35_000, 2**16 - 1, 127)
    assert after(Record(credit=2**24 - 500), D).credit == 2**24 - 1


def test_the_weight_of_a_fee() -> None:
    assert standing_weight(10, 20) == FULL // 2
    assert standing_weight(20, 20) == standing_weight(10**30, 20) == FULL
    assert standing_weight(1, 65_537) == 0
    assert standing_weight(10**30, 0) == 0, "a token that is not listed"


@given(records, rows_and_pay, weights, st.booleans())
def test_records_stay_in_range_and_pack(record: Record, row, weight: int, rejected: bool) -> None:
    rows, pay, distributable = row
    found = next_record(
        record, pay=0 if rejected else pay, rejected=rejected, rows=rows, distributable=distributable, weight=weight
    )
    assert record.credit <= found.credit <= 2**24 - 1
    assert 0 <= found.usefulness <= 40_000
    assert Record.unpack(found.pack()) == found
    assert found.pack() < 2**64
    if rejected:
        assert found.credit == record.credit
        assert found.usefulness <= record.usefulness


@given(records, rows_and_pay, weights)
def test_more_pay_or_weight_never_earns_less(record: Record, row, weight: int) -> None:
    rows, pay, distributable = row

    def credit(pay: int, weight: int) -> int:
        return next_record(
            record, pay=pay, rejected=False, rows=rows, distributable=distributable, weight=weight
        ).credit

    assert credit(pay // 2, weight) <= credit(pay, weight)
    assert credit(pay, weight // 2) <= credit(pay, weight)


@pytest.mark.parametrize(
    ("pay", "rows", "distributable", "weight"),
    [(1, 0, 10, 1), (1, 1, 0, 1), (-1, 1, 10, 1), (11, 1, 10, 1), (1, 1, 10, FULL + 1), (1, 1, 10, -1)],
)
def test_bad_input_is_refused(pay: int, rows: int, distributable: int, weight: int) -> None:
    with pytest.raises(InvalidInput):
        next_record(Record(), pay=pay, rejected=False, rows=rows, distributable=distributable, weight=weight)
