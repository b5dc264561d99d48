"""The filter on rounds whose answer is plain."""

from __future__ import annotations

import numpy as np
import pytest
from cohort_protocol.scoring.filter import filter_rows, leave_one_out_cosines
from cohort_protocol.scoring.fixed_point import ONE
from cohort_protocol.scoring.gram import gram_matrix
from cohort_protocol.scoring.outcome import Reason

ACCEPTED, TOO_SMALL, OPPOSES = Reason.ACCEPTED, Reason.TOO_SMALL, Reason.OPPOSES_OTHERS


def filtered(*rows, clip=20_000, norm=500, cosine=-1_000):
    gram = gram_matrix([np.array(row, np.int16) for row in rows])
    return filter_rows(gram, len(rows), clip, norm, cosine)


def noisy(direction, count, spread, seed=0):
    random = np.random.default_rng(seed)
    return [direction + spread * random.standard_normal(len(direction)) for _ in range(count)]


def test_a_lone_row_is_accepted_and_not_clipped():
    kept = filtered([3, 4])
    assert kept.reasons == (ACCEPTED,)
    assert kept.clips == kept.voices == (ONE,)
    assert kept.norms == (5 << 16,)


def test_a_lone_zero_row_is_too_small():
    kept = filtered([0, 0])
    assert kept.reasons == (TOO_SMALL,)
    assert kept.clips == (0,)
    assert kept.cosines == (None,)
    assert kept.accepted == ()


def test_norms_are_clipped_to_twice_the_median():
    kept = filtered([100, 0], [100, 0], [101, 0], [400, 0])
    assert kept.median_norm == (100 + 101) << 15
    assert kept.clips[:3] == (ONE, ONE, ONE)
    assert kept.clips[3] == 2 * kept.median_norm * ONE // (400 << 16)


def test_the_length_limit_is_inclusive():
    kept = filtered([100, 0], [100, 0], [100, 0], [5, 0], [4, 0])
    assert kept.reasons == (ACCEPTED, ACCEPTED, ACCEPTED, ACCEPTED, TOO_SMALL)


def test_zero_rows_have_no_say_in_the_median():
    kept = filtered([0, 0], [0, 0], [0, 0], [7, 1], [7, 2])
    assert kept.reasons == (TOO_SMALL,) * 3 + (ACCEPTED,) * 2
    assert kept.clips[3:] == (ONE, ONE)


def test_two_opposite_rows_both_go_since_nobody_can_tell():
    assert filtered([5, 1], [-5, -1]).reasons == (OPPOSES, OPPOSES)


def test_orthogonal_rows_stay():
    kept = filtered([5, 0], [0, 5])
    assert kept.reasons == (ACCEPTED, ACCEPTED)
    assert kept.cosines == (0, 0)


def test_the_cosine_limit_is_inclusive():
    # cos = -0.1 exactly: (1, 0) against (-1, sqrt(99)) is not integer, so take the limit from a row's own cosine.
    kept = filtered([10, 0], [-1, 30])
    limit = kept.cosines[0]
    assert -ONE // 10 < limit < 0
    above, below = -((-limit * 10_000 + ONE - 1) // ONE), -(-limit * 10_000 // ONE)
    assert above * ONE <= limit * 10_000 <= below * ONE
    assert filtered([10, 0], [-1, 30], cosine=above).reasons == (ACCEPTED, ACCEPTED)
    assert filtered([10, 0], [-1, 30], cosine=below).reasons == (OPPOSES, OPPOSES)


@pytest.mark.parametrize("flippers", [1, 2, 3])
def test_flippers_do_not_take_honest_rows_with_them(flippers):
    """Three flippers of eight at twice the length: every honest cosine with all others is negative at first."""
    random = np.random.default_rng(5)
    direction = 40 * random.standard_normal(2000)
    honest = noisy(direction, 8 - flippers, 60, seed=1)
    cheats = [-2 * row for row in noisy(direction, flippers, 60, seed=2)]
    kept = filtered(*[np.rint(row) for row in honest + cheats])
    assert kept.reasons == (ACCEPTED,) * len(honest) + (OPPOSES,) * flippers
    assert min(kept.cosines[: len(honest)]) > ONE // 10


def test_shouting_does_not_win_over_the_others():
    """One row of a hundred times the length in the opposite direction: equal voices leave it alone against three."""
    rows = [[10, 1], [10, -1], [10, 2], [-1000, 0]]
    assert filtered(*rows).reasons == (ACCEPTED, ACCEPTED, ACCEPTED, OPPOSES)


def test_leave_one_out_by_hand():
    rows = [[1, 0], [0, 1], [1, 1]]
    gram = gram_matrix([np.array(row, np.int16) for row in rows])
    cosines = leave_one_out_cosines(gram, [0, 1, 2], [ONE, ONE, ONE])
    # Others of row 0: (1, 2), so 1/sqrt(5); of row 2: (1, 1), so 1.
    assert cosines == [int(ONE / 5**0.5), int(ONE / 5**0.5), ONE]
    assert leave_one_out_cosines(gram, [1], [ONE, ONE, ONE]) == [0]
