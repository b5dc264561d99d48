"""The C extension for sums over points, against the discrete logarithm that only tests know. Skipped where it cannot
run."""

from __future__ import annotations

import numpy as np
import pytest
from cohort_protocol.proof import msm
from cohort_protocol.proof.curve import INFINITY, Point
from cohort_protocol.proof.msm import Multiplier, multi_multiply
from cohort_protocol.proof.msm_native import (
    LEAST_POINTS,
    native_msm,
    native_msm_status,
    sum_of_multiples,
    sum_of_products,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.protocol.proof.plain import R, at, scalars, tau_of, times
from tests.protocol.proof.rounds import SEED, srs_of

pytestmark = pytest.mark.skipif(native_msm() is None, reason="no C compiler at install, or no AVX-512 IFMA here")

TAU = tau_of(SEED)
POWERS = srs_of(1 << 10).points


def expected(values: list[int]) -> Point:
    return Point(*times(at(values, TAU)))


def found(point: np.ndarray | None) -> Point:
    assert point is not None, "the extension left it to the library"
    return msm._point(point)


def filled(values: list[int], count: int, seed: int) -> list[int]:
    rng = np.random.default_rng(seed)
    rest = [int.from_bytes(rng.bytes(32), "big") % R for _ in range(count - len(values))]
    return [value % R for value in values] + rest


@settings(deadline=None, max_examples=30)
@given(st.lists(st.sampled_from([0, 1, R - 1, R - 2, R // 2, 2**253, 2**252 - 1]), max_size=20), st.integers(256, 300))
def test_any_scalars(values: list[int], count: int) -> None:
    numbers = filled(values, count, len(values))
    assert found(sum_of_products(POWERS[:count], scalars(numbers))) == expected(numbers)


@pytest.mark.parametrize("value", [0, 1, 2, R - 1, 2**253 + 12345])
def test_one_scalar_for_all(value: int) -> None:
    """All points in one bucket of each window, or none in any."""
    numbers = [value] * 1000
    assert found(sum_of_products(POWERS[:1000], scalars(numbers))) == expected(numbers)


@settings(deadline=None, max_examples=30)
@given(st.sampled_from([1, 3, 7, 15, 16, 17, 18, 31, 33, 48, 63]), st.integers(0, 2**32))
def test_integers_of_any_length(bits: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    values = rng.integers(-(2**bits), 2**bits, 700) if bits < 63 else rng.integers(-(2**63), 2**63 - 1, 700)
    values[:2] = -(2**bits), 2**bits - 1
    sizes = np.abs(values).view(np.uint64)
    assert found(sum_of_multiples(POWERS[:700], sizes, values < 0)) == expected([int(value) % R for value in values])


def test_a_bucket_of_more_points_than_a_group() -> None:
    """65,536 is the group of msm.c; then many groups of a few buckets."""
    count = 100_000
    powers, ones = srs_of(1 << 17).points[:count], np.ones(count, np.uint64)
    total = (pow(TAU, count, R) - 1) * pow(TAU - 1, -1, R)
    assert found(sum_of_multiples(powers, ones, np.zeros(count, bool))) == expected([total % R])
    sizes = np.arange(count, dtype=np.uint64) % np.uint64(5)
    values = [int(size) for size in sizes]
    assert found(sum_of_multiples(powers, sizes, np.zeros(count, bool))) == expected(values)


@pytest.mark.parametrize("sign", [1, -1])
def test_the_same_point_twice_is_left_to_the_library(sign: int) -> None:
    """Affine formulas can add neither a point to itself nor to its negative; the sum comes out right all the same."""
    points, values = POWERS[:600].copy(), np.ones(600, np.int16)
    points[1], values[1] = points[0], sign
    assert sum_of_multiples(points, np.abs(values).astype(np.uint64), values < 0) is None
    numbers = [1 + sign, 0] + [1] * 598
    assert msm._integer_chunk(points, values) == expected(numbers)
    assert sum_of_products(points, scalars([1] * 600)) is None
    assert multi_multiply(points, scalars([1] * 600)) == expected([2, 0] + [1] * 598)


def test_a_sum_that_is_infinity() -> None:
    """sum tau^i P_i - tau^(i+1) P_(i-1)... : P_1 - tau P_0 = 0, which no formula on the way may trip over."""
    numbers = [0] * 600
    numbers[0], numbers[1] = R - TAU % R, 1
    assert found(sum_of_products(POWERS[:600], scalars(numbers))) == INFINITY


def test_its_state_is_told() -> None:
    assert native_msm_status() == "native (AVX-512 IFMA)"


def test_short_sums_are_left_to_the_library() -> None:
    few = LEAST_POINTS - 1
    assert sum_of_products(POWERS[:few], scalars([1] * few)) is None


@pytest.mark.parametrize("piece", [1, 100, 999])
def test_pieces_are_brought_together(piece: int) -> None:
    numbers = filled([], 999, piece)
    data = scalars(numbers)
    for threads in (1, 3):
        with Multiplier(threads) as multiplier:
            total = multiplier.scalars(999)
            for start in range(0, 999, piece):
                total.add(POWERS[start : min(start + piece, 999)], data[start : start + piece])
            assert total.result() == expected(numbers)
