"""Where rows come from: memory, memory maps, files, streams, differences. All of them give the same pass."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from cohort_protocol.scoring.errors import RowUnreadable, ScoringInputInvalid
from cohort_protocol.scoring.kernel import (
    DifferenceRow,
    FileRow,
    MapRow,
    NumpyKernel,
    Pass,
    RowSource,
    SharedRow,
    StreamRow,
    as_source,
    gram_shard,
    sources,
    weighted_total,
    whole,
)
from hypothesis import given, settings
from hypothesis import strategies as st

D = 10_007
OFFSET = 72
"""As long as a safetensors header, and no multiple of a page."""


def file_of(folder: Path, name: str, array: np.ndarray) -> Path:
    path = folder / name
    path.write_bytes(bytes(OFFSET) + array.astype(array.dtype.newbyteorder("<")).tobytes())
    return path


def chunks_of(data: bytes, size: int) -> Iterator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]


def source_of(kind: str, folder: Path, array: np.ndarray) -> RowSource:
    path = file_of(folder, f"{id(array)}", array)
    if kind == "array":
        return as_source(array)
    if kind == "file":
        return FileRow(path, array.size, array.dtype.type, OFFSET)
    if kind in ("r", "r+", "c"):
        return as_source(np.memmap(path, array.dtype, kind, OFFSET, array.shape))
    return StreamRow(lambda: chunks_of(array.tobytes(), 777), array.size, array.dtype.type)


@pytest.fixture(scope="module")
def arrays() -> list[np.ndarray]:
    rng = np.random.default_rng(3)
    return [
        *(rng.integers(-32768, 32768, D).astype(np.int16) for _ in range(4)),
        *(rng.integers(-(2**31), 2**31 - 2**15, D) for _ in range(2)),
    ]


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("kind", ["array", "file", "r", "r+", "c", "stream"])
def test_every_source_gives_the_same_pass(tmp_path, arrays, kind, threads):
    how = Pass(NumpyKernel(), threads, 1000)
    rows = [source_of(kind, tmp_path, array) for array in arrays]
    expected = gram_shard(how, arrays[:4], arrays[4:]).gram
    total = np.zeros(D, np.int32)
    assert gram_shard(how, rows[:4], rows[4:], total=total).gram == expected
    assert gram_shard(how, rows[:4], rows[4:]).gram == expected, "a second pass starts over"
    weights = [20_000, 5, 20_000, 20_000]
    plain = np.tensordot(weights, np.array(arrays[:4], np.int64), 1)
    assert (weighted_total(how, rows[:4], weights, total) == plain).all()
    shard = gram_shard(how, rows[:4], rows[4:], 5000, 9999)
    assert shard.gram == gram_shard(how, arrays[:4], arrays[4:], 5000, 9999).gram


def test_only_rows_of_uncommon_weight_are_read_again(arrays):
    how, total = Pass(NumpyKernel()), np.sum(arrays[:4], axis=0, dtype=np.int32)
    opened = []

    def stream(row: int) -> StreamRow:
        return StreamRow(lambda: opened.append(row) or iter([arrays[row].tobytes()]), D)

    weights = [16_000, 16_000, 0, 16_000]
    result = weighted_total(how, [stream(row) for row in range(4)], weights, total)
    assert (result == np.tensordot(weights, np.array(arrays[:4], np.int64), 1)).all()
    assert opened == [2], "the sum of all less the rejected"
    opened.clear()
    weighted_total(how, [stream(row) for row in range(4)], weights)
    assert opened == [0, 1, 3], "without the sum the accepted are read"


def test_a_source_that_stands_for_two_rows(arrays):
    row = StreamRow(lambda: chunks_of(arrays[0].tobytes(), 777), D)
    for threads in (1, 2):
        gram = gram_shard(Pass(NumpyKernel(), threads, 1000), [row, row]).gram
        assert gram[0][0] == gram[0][1] == gram[1][1] == int((arrays[0].astype(np.int64) ** 2).sum())


@given(st.binary(min_size=2, max_size=60), st.integers(1, 9), st.data())
@settings(deadline=None)
def test_streams_may_be_cut_anywhere(data, size, cuts):
    data = data[: len(data) // 2 * 2]
    expected = np.frombuffer(data, "<i2")
    row = StreamRow(lambda: chunks_of(data, size), expected.size)
    at = 0
    while at < expected.size:
        end = cuts.draw(st.integers(at + 1, expected.size))
        assert row.read(at, end).tolist() == expected[at:end].tolist()
        at = end
    assert row.read(0, expected.size).tolist() == expected.tolist()


@pytest.mark.parametrize("size", [0, 1, 18, 19, 21, 22, 40])
def test_a_stream_of_another_length_is_refused(size):
    row = StreamRow(lambda: iter([bytes(size)]), 10)
    with pytest.raises(ScoringInputInvalid, match=r"ends after|more than"):
        gram_shard(Pass(NumpyKernel()), [row])


def test_what_a_stream_checks_in_the_end_is_asked_for():
    def stream() -> Iterator[bytes]:
        yield bytes(20)
        raise ScoringInputInvalid("not what was committed to")

    with pytest.raises(ScoringInputInvalid, match="committed"):
        gram_shard(Pass(NumpyKernel(), block=4), [StreamRow(stream, 10)])


def test_short_and_missing_files(tmp_path):
    path = file_of(tmp_path, "row", np.zeros(10, np.int16))
    with pytest.raises(ScoringInputInvalid, match="ends inside column 10"):
        gram_shard(Pass(NumpyKernel()), [FileRow(path, 11, np.int16, OFFSET)])
    with pytest.raises(RowUnreadable, match="could not be read"):
        gram_shard(Pass(NumpyKernel()), [FileRow(tmp_path / "none", 11)])


def test_more_files_than_may_stay_open(tmp_path, arrays, monkeypatch):
    monkeypatch.setattr(sources, "MAX_KEPT_HANDLES", FileRow._kept + 3)
    before, how = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc") else 0, Pass(NumpyKernel(), block=1000)
    rows = [FileRow(file_of(tmp_path, f"{i}", arrays[i % 4]), D, np.int16, OFFSET) for i in range(8)]
    for row in rows:
        row.read(0, 10)
    assert FileRow._kept <= sources.MAX_KEPT_HANDLES
    assert gram_shard(how, rows).gram == gram_shard(how, [arrays[i % 4] for i in range(8)]).gram
    if before:
        assert len(os.listdir("/proc/self/fd")) == before, "all were closed at their ends"


def test_differences_read_each_model_once(arrays):
    opened = []

    def model(index: int, values: np.ndarray) -> SharedRow:
        return SharedRow(StreamRow(lambda: opened.append(index) or chunks_of(values.tobytes(), 999), D, np.int64))

    values = [np.cumsum(arrays[4]) // 1000, np.cumsum(arrays[5]) // 1000, arrays[4] // 2]
    models = [model(index, value) for index, value in enumerate(values)]
    steps = [DifferenceRow(models[0], models[1], lambda a, b: b - a), DifferenceRow(models[1], models[2], np.subtract)]
    for threads in (1, 2):
        opened.clear()
        gram = gram_shard(Pass(NumpyKernel(), threads, 1000), [arrays[0]], [steps[0]]).gram
        assert gram == gram_shard(Pass(NumpyKernel()), [arrays[0]], [values[1] - values[0]]).gram
        assert sorted(opened) == [0, 1]
    assert (whole(steps[1]) == values[1] - values[2]).all()


def test_a_private_map_keeps_what_was_changed_in_it(tmp_path, arrays):
    """Giving pages of a copy-on-write map back would lose its changes, so they stay."""
    path = file_of(tmp_path, "row", arrays[0])
    private = np.memmap(path, np.int16, "c", OFFSET, (D,))
    private[:] = 7
    how = Pass(NumpyKernel(), block=1000)
    assert not isinstance(as_source(private), MapRow)
    assert gram_shard(how, [private]).gram == gram_shard(how, [private]).gram == ((49 * D,),)
    shared = np.memmap(path, np.int16, "r+", OFFSET, (D,))
    shared[:] = 5
    assert isinstance(as_source(shared), MapRow)
    assert gram_shard(how, [shared]).gram == gram_shard(how, [shared]).gram == ((25 * D,),)
