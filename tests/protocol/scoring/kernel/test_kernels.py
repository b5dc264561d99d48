"""One suite for every kernel: numpy, each level of the C extension, torch."""

from __future__ import annotations

import numpy as np
import pytest
from cohort_protocol.scoring.errors import ScoringInputInvalid
from cohort_protocol.scoring.gram import PlainSum, gram_matrix, weighted_sum
from cohort_protocol.scoring.kernel import Pass, gram_shard, merge, weighted_total
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.protocol.scoring.kernel import plain

SAME_KERNEL = settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
EDGES = (-32768, -32767, 32767, 0, 1, -1, 255, -256)
WIDE_EDGES = (-(2**31), 2**31 - 1, 2**31 - 2**15, 2**31 - 2**15 - 1, 2**31 - 2**16, -(2**15), 2**15, 2**15 - 1, 0)
int16 = st.one_of(st.sampled_from(EDGES), st.integers(-32768, 32767))
int32 = st.one_of(st.sampled_from(WIDE_EDGES), st.integers(-(2**31), 2**31 - 1))
SUB = 4096
"""Most columns of a sub-block of the C extension, whose edges deserve a test (half of it with more than 64 rows)."""


@st.composite
def rounds(draw):
    d = draw(st.integers(1, 40))
    narrow = draw(st.lists(st.lists(int16, min_size=d, max_size=d), min_size=1, max_size=6))
    wide = draw(st.lists(st.lists(int32, min_size=d, max_size=d), max_size=3))
    return [np.array(row, np.int16) for row in narrow], [np.array(row, np.int64) for row in wide]


@SAME_KERNEL
@given(rounds(), st.integers(1, 41))
def test_products_are_those_of_python_integers(kernel, both, block):
    narrow, wide = both
    total = np.zeros(narrow[0].size, np.int32)
    shard = gram_shard(Pass(kernel, 1, block), narrow, wide, total=total)
    assert shard.gram == plain.gram([*narrow, *wide])
    assert all(type(value) is int for line in shard.gram for value in line)
    assert total.tolist() == plain.weighted(narrow, [1] * len(narrow))


@SAME_KERNEL
@given(rounds(), st.integers(1, 41), st.booleans(), st.data())
def test_weighted_sums_are_those_of_python_integers(kernel, both, block, from_total, data):
    narrow, _ = both
    n = len(narrow)
    weights = data.draw(st.lists(st.sampled_from([0, 1, 7, 65536 // n]), min_size=n, max_size=n))
    total = np.sum(narrow, axis=0, dtype=np.int32) if from_total else None
    result = weighted_total(Pass(kernel, 1, block), narrow, weights, total)
    assert result.dtype == np.int32
    assert result.tolist() == plain.weighted(narrow, weights)


@pytest.mark.parametrize("d", [1, 31, 32, 33, SUB - 1, SUB, SUB + 1, 3 * SUB + 17])
@pytest.mark.parametrize("n", [1, 2, 4, 5, 6, 10, 11, 33])
def test_rows_that_fill_no_tile(kernel, n, d):
    """Numbers of rows beside a multiple of five, every tail beside a multiple of the vectors."""
    rng = np.random.default_rng(n * 100_003 + d)
    narrow = [rng.integers(-32768, 32768, d).astype(np.int16) for _ in range(n)]
    wide = [rng.integers(-(2**31), 2**31 - 2**15, d) for _ in range(n % 3)]
    assert gram_shard(Pass(kernel), narrow, wide).gram == plain.gram_of_many([*narrow, *wide])


def test_a_hundred_rows(kernel):
    rng = np.random.default_rng(5)
    narrow = [np.clip(rng.normal(0, 900, 5000), -32768, 32767).astype(np.int16) for _ in range(100)]
    narrow[17][:], narrow[63][:] = 0, -32768
    total = np.zeros(5000, np.int32)
    shard = gram_shard(Pass(kernel), narrow, total=total)
    assert shard.gram == plain.gram_of_many(narrow)
    assert (total == np.sum(narrow, axis=0, dtype=np.int64)).all()


@pytest.mark.parametrize("low", [-32768, -32767, 32767])
@pytest.mark.parametrize("other", [-32768, 32767, 1])
def test_the_largest_products_there_are(kernel, low, other):
    """Pairs of -32768 are the one case in which a pair product leaves 32 bits."""
    d = 3 * SUB + 5
    rows = [np.full(d, low, np.int16), np.full(d, other, np.int16), np.zeros(d, np.int16)]
    gram = gram_shard(Pass(kernel), rows, [np.full(d, -(2**31), np.int64)]).gram
    assert gram[0][:3] == (low * low * d, low * other * d, 0)
    assert gram[1][1] == other * other * d
    assert gram[3] == (-(2**31) * low * d, -(2**31) * other * d, 0, d << 62)


def test_one_large_entry_among_small_ones(kernel):
    """The bound of 32-bit sums is of whole sub-blocks: what is large in one of them only must count there."""
    rng = np.random.default_rng(1)
    rows = [rng.integers(-20, 21, 4 * SUB).astype(np.int16) for _ in range(6)]
    for row in rows[1:]:
        row[SUB : SUB + 300] = -32768
    assert gram_shard(Pass(kernel), rows).gram == plain.gram_of_many(rows)


@pytest.mark.parametrize("size", [4090, 4095, 4096, 4097, 5800, 8192, 11600, 16384])
def test_rows_at_the_edge_of_the_bound(kernel, size):
    """Sums over a sub-block just below, at and above 2^31 in a lane of 4, 8, 16 or 2048 columns."""
    d = 2 * SUB
    rows = [np.full(d, size, np.int16), np.full(d, -size, np.int16), np.full(d, size // 2, np.int16)]
    assert gram_shard(Pass(kernel), rows).gram == plain.gram_of_many(rows)


@pytest.mark.parametrize("size", [1, 723, 724, 725, 1023, 1024, 1025, 1448, 1449, 2048])
def test_equal_rows_at_the_edge_of_the_bound_of_one_lane(kernel, size):
    d = SUB
    rows = [np.full(d, size, np.int16), np.full(d, size, np.int16)]
    assert gram_shard(Pass(kernel), rows).gram == ((d * size * size,) * 2,) * 2


@pytest.mark.parametrize("shift", [0, 1, 2, 3, 7])
def test_buffers_at_any_address(kernel, shift):
    rng = np.random.default_rng(shift)
    d = SUB + 77

    def placed(values: np.ndarray) -> np.ndarray:
        buffer = bytearray(shift) + values.tobytes()
        return np.frombuffer(buffer, values.dtype, offset=shift)

    narrow = [placed(rng.integers(-32768, 32768, d).astype(np.int16)) for _ in range(3)]
    wide = [placed(rng.integers(-(2**31), 2**31, d))]
    how = Pass(kernel)
    assert gram_shard(how, narrow, wide).gram == plain.gram_of_many([*narrow, *wide])
    assert weighted_total(how, narrow, [3, 0, 65533]).tolist() == plain.weighted(narrow, [3, 0, 65533])


def test_strided_and_read_only_rows(kernel):
    table = np.arange(3000, dtype=np.int16).reshape(1000, 3)
    table.flags.writeable = False
    rows = [table[:, 0], table[::-1, 1]]
    assert gram_shard(Pass(kernel), rows).gram == plain.gram_of_many(rows)


@pytest.mark.parametrize("threads", [1, 2, 3, 8])
@pytest.mark.parametrize("block", [None, 1000, 2048, 65536])
def test_threads_and_blocks_change_nothing(kernel, threads, block):
    rng = np.random.default_rng(0)
    d = 20_011
    narrow = [rng.integers(-5000, 5000, d).astype(np.int16) for _ in range(7)]
    wide = [rng.integers(-(2**31), 2**31 - 2**15, d) for _ in range(2)]
    weights = [9000, 0, 9000, 9000, 11, 9000, 0]
    how, total = Pass(kernel, threads, block), np.zeros(d, np.int32)
    assert gram_shard(how, narrow, wide, total=total).gram == plain.gram_of_many([*narrow, *wide])
    result = weighted_total(how, narrow, weights, total)
    assert (result == np.tensordot(weights, np.array(narrow, np.int64), 1)).all()


@SAME_KERNEL
@given(rounds(), st.data())
def test_shards_add_up_to_the_whole(kernel, both, data):
    narrow, wide = both
    d = narrow[0].size
    cuts = sorted(data.draw(st.sets(st.integers(1, d - 1), max_size=4))) if d > 1 else []
    edges = list(zip([0, *cuts], [*cuts, d], strict=True))
    shards = [gram_shard(Pass(kernel), narrow, wide, *edge) for edge in data.draw(st.permutations(edges))]
    assert merge(shards, d) == plain.gram([*narrow, *wide])
    weights = [65536 // len(narrow)] * len(narrow)
    parts = [weighted_total(Pass(kernel), narrow, weights, None, *edge) for edge in edges]
    assert np.concatenate(parts).tolist() == plain.weighted(narrow, weights)


@pytest.mark.parametrize("value", [2**31, -(2**31) - 1, 2**62, -(2**63), 2**63 - 1])
def test_wide_values_out_of_range_are_refused(kernel, value):
    row = np.zeros(5000, np.int64)
    row[4999] = value
    total = np.zeros(5000, np.int32)
    with pytest.raises(ScoringInputInvalid, match="leaves 32 bits"):
        gram_shard(Pass(kernel), [np.ones(5000, np.int16)], [row], total=total)


def test_the_weighted_sum_of_2_to_the_16_reaches_minus_2_to_the_31(kernel):
    row = np.array([-32768, 32767], np.int16)
    for total in (None, np.array([-65536, 65534], np.int32)):
        assert weighted_total(Pass(kernel), [row, row], [65536, 0], total).tolist() == [-(2**31), 2**31 - 2**16]


@pytest.mark.parametrize("d", [1, 31, 33, SUB - 1, SUB + 1, 3 * SUB + 17])
@pytest.mark.parametrize("weights", [[7, 7, 7], [5, 5, 0], [0, 0, 65536], [21_845, 21_845, 21_846]])
@pytest.mark.parametrize("block", [None, 1000])
def test_the_plain_sum_becomes_the_weighted_sum_in_its_own_memory(kernel, d, weights, block):
    rng = np.random.default_rng(d)
    rows = [rng.integers(-32768, 32768, d).astype(np.int16) for _ in weights]
    total = PlainSum(d)
    gram_matrix(rows, block=block, kernel=kernel, total=total)
    result = weighted_sum(rows, weights, block, kernel=kernel, total=total)
    assert result.dtype == np.int64
    assert np.shares_memory(result, total.values)
    assert (result == np.tensordot(weights, np.array(rows, np.int64), 1)).all()


def test_settling_wraps_as_signed_numbers(kernel):
    sums, into = np.array([2**31 - 1, -(2**31), 5], np.int32), np.empty(3, np.int64)
    kernel.settle([np.array([1, -1, 2], np.int16)], [1], 1, sums, into)
    assert into.tolist() == [-(2**31), 2**31 - 1, 7]
