from __future__ import annotations

from cohort_worker.rounds.margins import batch_due, partial_receipts_due, reveals_due
from hypothesis import given
from hypothesis import strategies as st

START = 1_700_000_000


@given(window=st.integers(1, 90 * 86400))
def test_every_mark_lies_in_its_window_and_receipts_come_before_reveals(window: int) -> None:
    end = START + window
    assert START <= batch_due(START, end) < end
    assert START <= partial_receipts_due(START, end) <= reveals_due(START, end) < end


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
