"""Commitments against the discrete logarithm that only tests know, and openings of many at once."""

from __future__ import annotations

from contextlib import nullcontext

import numpy as np
import pytest
from cohort_protocol.proof import commitment as module
from cohort_protocol.proof import msm
from cohort_protocol.proof.commitment import DIRECTLY, check_openings, commit, commit_bytes
from cohort_protocol.proof.curve import INFINITY, Point, add, compress, decompress, negate
from cohort_protocol.proof.errors import SrsTooSmall, VectorOutOfRange
from cohort_protocol.proof.msm import multi_multiply
from cohort_protocol.proof.msm_native import without_extension
from cohort_protocol.scoring.errors import ScoringInputInvalid
from cohort_protocol.scoring.kernel import FileRow, StreamRow
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.protocol.proof.plain import R, at, scalars, tau_of, times
from tests.protocol.proof.rounds import SEED, srs_of

TAU = tau_of(SEED)


def expected(values: np.ndarray) -> Point:
    """[u(tau)]_1, by the secret."""
    return Point(*times(at([int(value) for value in values], TAU)))


VECTORS = st.one_of(
    st.tuples(st.just(np.int16), st.lists(st.integers(-(2**15), 2**15 - 1), min_size=1, max_size=64)),
    st.tuples(st.just(np.int32), st.lists(st.integers(-(2**31), 2**31 - 1), min_size=1, max_size=64)),
    st.tuples(st.just(np.int64), st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1, max_size=64)),
)


@settings(deadline=None, max_examples=50)
@given(VECTORS)
@example((np.int16, [-(2**15)] * 64))
@example((np.int64, [-(2**63), 2**63 - 1, 2**15, 2**15 + 1, -(2**15), 2**16, 2**24, 2**48]))
@example((np.int16, [0] * 3))
def test_a_commitment_is_the_polynomial_at_tau(case: tuple[type, list[int]]) -> None:
    vector = np.array(case[1], case[0])
    found = commit(srs_of(64), vector)
    assert found == expected(vector)
    assert decompress(commit_bytes(srs_of(64), vector)) == found


@pytest.mark.parametrize("largest", [2**15 - 1, 40, 1])
@pytest.mark.parametrize("native", [False, True])
def test_a_vector_of_several_chunks_on_any_number_of_threads(
    monkeypatch: pytest.MonkeyPatch, largest: int, native: bool
) -> None:
    """With many sizes of entries, and with few: then points are added up by them, across the ends of what is gathered
    at a time."""
    for name, value in (("LEAST_CHUNK", 16), ("CHUNK", 128), ("MOST_POINTS", 256), ("SPAN", 400), ("_GATHERED", 32)):
        monkeypatch.setattr(msm, name, value)
    monkeypatch.setattr(module, "SPAN", 400)
    size = 1000
    srs = srs_of(1 << 10)
    vector = np.random.default_rng(1).integers(-largest - 1, largest + 1, size).astype(np.int16)
    data = scalars([int(value) % R for value in vector])
    with nullcontext() if native else without_extension():
        found = [commit(srs, vector, threads=threads) for threads in (1, 2, 3)]
        found += [multi_multiply(srs.points[:size], data, threads) for threads in (1, 3)]
    assert found == [expected(vector)] * 5


def test_sums_of_vectors_are_sums_of_commitments() -> None:
    a, b = np.arange(64), np.arange(64)[::-1] - 1000
    assert add(commit(srs_of(64), a), commit(srs_of(64), b)) == commit(srs_of(64), a + b)
    assert commit(srs_of(64), np.zeros(5, np.int16)) == INFINITY


def test_sources_and_views(tmp_path) -> None:
    vector = np.arange(-32, 32).astype(np.int16)
    (tmp_path / "row").write_bytes(vector.astype("<i2").tobytes())
    point = commit(srs_of(64), vector)
    assert commit(srs_of(64), FileRow(tmp_path / "row", 64)) == point
    assert commit(srs_of(64), np.repeat(vector, 2)[::2]) == point


def test_what_cannot_be_committed_to() -> None:
    srs = srs_of(64)
    with pytest.raises(SrsTooSmall, match="64 powers, 65"):
        commit(srs, np.zeros(65, np.int16))
    for vector in (np.zeros(3), np.zeros(3, np.uint16), np.zeros(3, bool), np.zeros(0, np.int16)):
        with pytest.raises(VectorOutOfRange):
            commit(srs, vector)
    with pytest.raises(ScoringInputInvalid):
        commit(srs, np.zeros((2, 2), np.int16))


def claims(count: int, wrong: set[int] = frozenset()) -> list[tuple[np.ndarray, Point]]:
    rng = np.random.default_rng(count)
    vectors = [rng.integers(-(2**15), 2**15, 64).astype(np.int16) for _ in range(count)]
    found = [(vector, commit(srs_of(64), vector)) for vector in vectors]
    for index in wrong:
        found[index] = (found[index][0], add(found[index][1], Point(1, 2)))
    return found


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 40).flatmap(lambda n: st.tuples(st.just(n), st.sets(st.integers(0, max(0, n - 1)), max_size=5))))
@example((40, set(range(40))))
@example((DIRECTLY + 1, {DIRECTLY}))
def test_exactly_the_culprits_are_found(case: tuple[int, set[int]]) -> None:
    count, wrong = case[0], case[1] if case[0] else set()
    assert check_openings(srs_of(64), claims(count, wrong)) == sorted(wrong)


def test_errors_that_cancel_in_a_plain_sum_do_not_cancel() -> None:
    found = claims(20)
    found[3] = (found[3][0], add(found[3][1], Point(1, 2)))
    found[9] = (found[9][0], add(found[9][1], negate(Point(1, 2))))
    found[11], found[12] = (found[11][0], found[12][1]), (found[12][0], found[11][1])
    assert check_openings(srs_of(64), found) == [3, 9, 11, 12]


def test_honest_openings_are_checked_in_one_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each vector is read once, and none is committed to alone."""
    reads = []

    def row(index: int, vector: np.ndarray) -> StreamRow:
        def opened():
            reads.append(index)
            yield vector.tobytes()

        return StreamRow(opened, vector.size)

    known = claims(20)
    monkeypatch.setattr(module, "_commit", None)
    streams = [(row(index, vector), point) for index, (vector, point) in enumerate(known)]
    assert check_openings(srs_of(64), streams) == []
    assert reads == list(range(20))


def test_wide_vectors_open_too() -> None:
    rng = np.random.default_rng(0)
    wide = [rng.integers(-(2**62), 2**62, 64) for _ in range(9)]
    found = [(vector, commit(srs_of(64), vector)) for vector in wide]
    found[5] = (found[5][0] + (np.arange(64) == 63), found[5][1])
    assert check_openings(srs_of(64), found) == [5]


def test_openings_need_one_dimension_and_a_bound() -> None:
    found = claims(7)
    with pytest.raises(VectorOutOfRange):
        check_openings(srs_of(64), [*found, (np.zeros(3, np.int16), INFINITY)])
    with pytest.raises(VectorOutOfRange, match="128"):
        check_openings(srs_of(64), found[:1] * 129)


@settings(deadline=None, max_examples=25)
@given(st.lists(st.integers(0, 2**254), min_size=1, max_size=20))
def test_sums_with_large_scalars(values: list[int]) -> None:
    values = [value % (2**253) for value in values]
    assert multi_multiply(srs_of(64).points[: len(values)], scalars(values)) == Point(*times(at(values, TAU)))


def test_the_string_is_that_of_the_seed() -> None:
    srs = srs_of(64)
    assert [srs.power(k) for k in (0, 1, 2, 63)] == [Point(*times(pow(TAU, k, 2**999))) for k in (0, 1, 2)] + [
        Point(*times(pow(TAU, 63)))
    ]
    assert compress(srs.power(0)) == (1).to_bytes(32, "big")
