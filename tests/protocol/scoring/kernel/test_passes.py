"""What a pass refuses, and the choice of the kernel."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from cohort_protocol import native_extension
from cohort_protocol.scoring.errors import KernelUnavailable, ScoringInputInvalid
from cohort_protocol.scoring.kernel import (
    ArrayRow,
    GramShard,
    NativeKernel,
    NumpyKernel,
    Pass,
    default_kernel,
    gram_shard,
    merge,
    native,
    native_levels,
    native_status,
    passes,
    rows_of_pass_two,
    weighted_total,
)
from cohort_protocol.scoring.kernel.block import FEW_ROWS, STRIP_COLUMNS

HOW = Pass(NumpyKernel())
ROW = np.ones(10, np.int16)


@pytest.mark.parametrize("block", [0, -1, (1 << 23) + 1])
def test_blocks_that_are_not_exact_are_refused(block):
    with pytest.raises(ScoringInputInvalid, match="not exact"):
        Pass(NumpyKernel(), 1, block)


@pytest.mark.parametrize("threads", [0, -1, 65])
def test_a_senseless_number_of_threads_is_refused(threads):
    with pytest.raises(ScoringInputInvalid, match="threads"):
        Pass(NumpyKernel(), threads)


@pytest.mark.parametrize(("start", "stop"), [(-1, 5), (5, 5), (6, 5), (0, 11)])
def test_columns_that_are_not_there(start, stop):
    with pytest.raises(ScoringInputInvalid, match="columns"):
        gram_shard(HOW, [ROW], [], start, stop)


@pytest.mark.parametrize("total", [np.zeros(9, np.int32), np.zeros(10, np.int64)])
def test_a_sum_of_another_shape(total):
    with pytest.raises(ScoringInputInvalid, match="sum of 10 columns"):
        gram_shard(HOW, [ROW], total=total)


@pytest.mark.parametrize(
    "cover", [[(0, 4), (5, 10)], [(0, 6), (5, 10)], [(0, 4), (4, 9)], [(1, 10)], [], [(0, 5), (0, 5), (5, 10)]]
)
def test_shards_must_cover_every_column_once(cover):
    with pytest.raises(ScoringInputInvalid, match="once each"):
        merge([gram_shard(HOW, [ROW], [], *edge) for edge in cover], 10)


def test_shards_of_other_rows_do_not_add_up():
    with pytest.raises(ScoringInputInvalid, match="same rows"):
        merge([GramShard(0, 5, ((1,),)), GramShard(5, 10, ((1, 0), (0, 1)))], 10)


def test_pass_two_reads_as_few_rows_as_it_can():
    assert rows_of_pass_two([5, 5, 5, 5]) == 0
    assert rows_of_pass_two([0, 5, 5, 5, 3]) == 2
    assert rows_of_pass_two([0, 0, 0, 5]) == 1
    total = np.sum([ROW] * 3, axis=0, dtype=np.int32)
    assert weighted_total(HOW, [ROW] * 3, [0, 0, 0], total).tolist() == [0] * 10


def test_the_native_kernel_is_the_default_where_it_runs():
    try:
        kernel = NativeKernel()
    except KernelUnavailable as error:
        assert isinstance(default_kernel(), NumpyKernel)
        pytest.skip(str(error))
    assert default_kernel().name == kernel.name == native_status()
    with pytest.raises(KernelUnavailable, match="not at level 9"):
        NativeKernel(9)
    assert native_levels()[0] == 0, "portable C runs everywhere"


def test_without_the_extension_numpy_computes_and_says_so(monkeypatch, tmp_path: Path):
    monkeypatch.setattr(native_extension, "EXTENSION_SUFFIXES", [".not-built"])
    native.native_library.cache_clear()
    default_kernel.cache_clear()
    try:
        assert isinstance(default_kernel(), NumpyKernel)
        assert "was not built" in native_status()
        assert native_status().startswith("numpy")
        broken = tmp_path / "_gram.broken"
        broken.write_bytes(b"not a library")
        monkeypatch.setattr(native_extension, "EXTENSION_SUFFIXES", [".broken"])
        monkeypatch.setattr(native, "__file__", str(tmp_path / "native.py"))
        native.native_library.cache_clear()
        assert "does not load" in native_status()
    finally:
        monkeypatch.undo()
        native.native_library.cache_clear()
        default_kernel.cache_clear()


@pytest.mark.parametrize(
    ("narrow", "into"),
    [
        ([np.ones(8, np.int32)], None),
        ([np.ones(8, np.int16), np.ones(7, np.int16)], None),
        ([np.ones(16, np.int16)[::2]], None),
        ([np.ones(8, np.int16)], np.zeros(7, np.int32)),
        ([np.ones(8, np.int16)], np.zeros(8, np.int64)),
    ],
)
def test_the_extension_is_handed_nothing_that_it_would_misread(narrow, into):
    try:
        kernel = NativeKernel()
    except KernelUnavailable as error:
        pytest.skip(str(error))
    with pytest.raises(ScoringInputInvalid, match="block row"):
        kernel.products(narrow, [], into)
    if into is not None:
        with pytest.raises(ScoringInputInvalid, match="block row"):
            kernel.combine(narrow, [1], into)


@pytest.mark.parametrize("n", [1, 9, 10, 11, 20, FEW_ROWS, FEW_ROWS + 1])
def test_products_of_few_rows_and_of_many_are_the_same_integers(n):
    """numpy's two ways, and the number of rows at which one follows the other."""
    rng = np.random.default_rng(n)
    rows = [rng.integers(-32768, 32768, STRIP_COLUMNS + 3).astype(np.int16) for _ in range(n)]
    rows[0][:] = -32768
    products = NumpyKernel().products(rows, [])
    exact = np.array(rows, np.int64)
    assert products.dtype == np.int64
    assert (products == exact @ exact.T).all()


def test_blocks_of_threads_take_no_more_memory_together_than_two():
    kernel, rows = NumpyKernel(), [ArrayRow(np.zeros((1 << 20, 2), np.int16)[:, 0])] * 20
    alone = passes._columns(Pass(kernel), rows, 20, 1 << 24)
    for threads in (2, 3, 16):
        block = passes._columns(Pass(kernel, threads), rows, 20, 1 << 24)
        assert block == passes.FEWEST_COLUMNS or block * (threads + 1) <= 2 * alone
    assert passes._columns(Pass(kernel, 2, 7), rows, 20, 1 << 24) == 7, "as asked for"


def test_arrays_in_memory_are_one_block_of_the_extension():
    try:
        kernel = NativeKernel()
    except KernelUnavailable as error:
        pytest.skip(str(error))
    array = np.zeros((1 << 20, 2), np.int16)
    together, apart = [ArrayRow(np.zeros(1 << 20, np.int16))] * 20, [ArrayRow(array[:, 0])] * 20
    assert passes._columns(Pass(kernel), together, 20, 1 << 20) >= 1 << 20
    assert passes._columns(Pass(kernel), apart, 20, 1 << 20) <= passes.VIEWED // 20, "these are copied"
    assert passes._columns(Pass(kernel, 2), together, 20, 1 << 20) == 1 << 17, "each thread has some"
