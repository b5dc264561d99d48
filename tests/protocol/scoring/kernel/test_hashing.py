"""keccak256 of many rows at once, against the library that the rest of Cohort uses."""

from __future__ import annotations

import numpy as np
import pytest
from cohort_protocol.scoring.errors import KernelUnavailable, ScoringInputInvalid
from cohort_protocol.scoring.kernel import NumpyKernel, Pass, StreamRow, blocks, gram_shard, whole
from cohort_protocol.scoring.kernel.hashing import LibraryHashes, NativeHashes
from eth_utils import keccak
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st


def made(kind: str, n: int):
    if kind == "library":
        return LibraryHashes(n)
    try:
        return NativeHashes(n, int(kind))
    except KernelUnavailable as error:
        pytest.skip(str(error))


KINDS = ["library", "0", "1", "2"]


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@pytest.mark.parametrize("kind", KINDS)
@given(st.integers(1, 20), st.lists(st.integers(0, 300), max_size=6), st.randoms(use_true_random=False))
def test_any_number_of_rows_cut_anywhere(kind, n, sizes, random):
    rows = [random.randbytes(sum(sizes)) for _ in range(n)]
    hashed, at = made(kind, n), 0
    for size in sizes:
        hashed.update([np.frombuffer(row[at : at + size], np.uint8) for row in rows])
        at += size
    assert hashed.digests() == [keccak(row) for row in rows]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("length", [0, 1, 135, 136, 137, 271, 272, 1_000_003])
def test_lengths_around_a_block(kind, length):
    rows = [np.random.default_rng(seed).bytes(length) for seed in range(9)]
    hashed = made(kind, 9)
    hashed.update([np.frombuffer(row, np.uint8) for row in rows])
    assert hashed.digests() == [keccak(row) for row in rows]


@pytest.mark.parametrize(
    "wrong", [[np.zeros(5, np.uint8)], [np.zeros(5, np.uint8), np.zeros(6, np.uint8)], [np.zeros(5, np.int16)] * 2]
)
def test_blocks_that_are_not_of_one_size_are_refused(wrong):
    hashed = made("0", 2)
    with pytest.raises(ScoringInputInvalid, match="2 hashes"):
        hashed.update(wrong)


def sealed_row(array: np.ndarray, found: list[bytes]) -> StreamRow:
    return StreamRow(lambda: iter([array.tobytes()]), array.size, array.dtype.type, found.append)


def test_seals_are_told_once_and_only_by_whole_passes():
    found: list[bytes] = []
    narrow, wide = np.arange(-500, 501, dtype=np.int16), np.arange(1001) * 1_000_003
    rows = [sealed_row(narrow, found), sealed_row(narrow[::-1].copy(), found)]
    steps = [sealed_row(wide, found)]
    for threads in (1, 3):
        how = Pass(NumpyKernel(), threads, 100)
        gram_shard(how, rows, steps, 0, 1000)
        assert found == [], "a shard has not seen every byte"
    gram_shard(how, [rows[0], *rows], steps)
    expected = [keccak(array.tobytes()) for array in (narrow, narrow[::-1].copy(), wide)]
    assert found == expected
    gram_shard(how, rows, steps)
    assert found == expected
    assert (whole(sealed_row(narrow, found)) == narrow).all()
    assert np.concatenate(list(blocks(sealed_row(wide, found), 77))).tolist() == wide.tolist()
    assert found[3:] == [expected[0], expected[2]]
