from __future__ import annotations

from cohort_worker.rounds.margins import batch_due, partial_receipts_due, receipts_awaited_until, reveals_due
from hypothesis import given
from hypothesis import strategies as st

START = 1_700_000_000


@given(window=st.integers(1, 90 * 86400))
def test_every_mark_lies_in_its_window_and_receipts_come_before_reveals(window: int) -> None:
    end = START + window
    assert START <= batch_due(START, end) < end
    assert START <= partial_receipts_due(START, end) <= reveals_due(START, end) < end


@given(window=st.integers(0, 90 * 86400), ready=st.integers(0, 90 * 86400), wait=st.integers(0, 3600))
def test_a_proof_waits_for_receipts_no_longer_than_half_of_what_is_left(window: int, ready: int, wait: int) -> None:
    end, ready_at = START + window, START + ready
    until = receipts_awaited_until(ready_at, end, wait)
    assert ready_at <= until <= ready_at + wait
    assert until <= max(ready_at, (ready_at + end) // 2)


def test_a_long_window_is_hardly_shortened() -> None:
    day = START + 86400
    assert day - batch_due(START, day) == 120
    assert day - partial_receipts_due(START, day) == 600
    assert day - reveals_due(START, day) == 120


def test_a_short_window_leaves_time_for_a_transaction() -> None:
    assert batch_due(START, START + 20) == START + 15
    assert partial_receipts_due(START, START + 20) == START + 10
    assert reveals_due(START, START + 20) == START + 15
    assert batch_due(START, START + 4) == START + 2
