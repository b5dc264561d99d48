"""The two passes of a round over its rows: everything model-sized that scoring does, in memory that does not grow with
their number.

Pass one gives the Gram matrix and, while the updates are at hand, their plain sum. Pass two makes the weighted sum.
Most accepted updates have one common weight, so it starts from that weight times the plain sum and reads only the
others: the rejected, the clipped, the less trusted.

A pass may be cut into shards of columns, on several machines; the shards' results add up to the same integers.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from cohort_protocol.scoring.errors import ScoringInputInvalid
from cohort_protocol.scoring.kernel.block import LIMB, BlockKernel
from cohort_protocol.scoring.kernel.hashing import Seals
from cohort_protocol.scoring.kernel.sources import ArrayRow, Row, RowSource, as_source

Gram = tuple[tuple[int, ...], ...]
"""Symmetric; row and column order: the updates as given, then the past steps as given."""

MAX_DIMENSION = 1 << 28
MAX_ROWS = 1 << 16
"""Sums of more int16 leave int32."""
MAX_BLOCK = 1 << 23
MAX_THREADS = 64

Result = TypeVar("Result")


@dataclass(frozen=True)
class GramShard:
    """The Gram matrix of the columns start .. stop - 1."""

    start: int
    stop: int
    gram: Gram


@dataclass(frozen=True)
class Pass:
    """How a pass runs. Nothing in it changes a result."""

    kernel: BlockKernel
    threads: int = 1
    """Blocks that are computed, and rows that are read, at the same time."""
    block: int | None = None
    """Columns; None: what the kernel works best on."""

    def __post_init__(self) -> None:
        """Raises `ScoringInputInvalid`."""
        for name, value in (("block", self.block), ("threads", self.threads)):
            if isinstance(value, bool) or not isinstance(value, int | None) or (name, value) == ("threads", None):
                raise ScoringInputInvalid(f"{name} is {str(value)[:60]!r}, it must be a whole number")
        if self.block is not None and not 1 <= self.block <= MAX_BLOCK:
            raise ScoringInputInvalid(
                f"block {self.block} is outside 1 .. {MAX_BLOCK}, beyond which sums are not exact"
            )
        if not 1 <= self.threads <= MAX_THREADS:
            raise ScoringInputInvalid(f"{self.threads} threads; allowed are 1 .. {MAX_THREADS}")


def gram_shard(
    how: Pass,
    updates: Sequence[Row],
    public: Sequence[Row] = (),
    start: int = 0,
    stop: int | None = None,
    total: np.ndarray | None = None,
) -> GramShard:
    """Pass one over columns start .. stop - 1 (None: to the end).

    updates: n >= 1 rows int16[d]; public: p rows int64[d] with -2^31 <= x < 2^31.
    total: int32[stop - start] of zeros, which becomes the plain sum of the updates; None: not wanted.
    Raises `ScoringInputInvalid`, and what reading the rows raises."""
    narrow, wide = [as_source(row) for row in updates], [as_source(row) for row in public]
    dimension = check_rows(narrow, wide)
    stop = dimension if stop is None else stop
    if not 0 <= start < stop <= dimension:
        raise ScoringInputInvalid(f"columns {start} .. {stop - 1} of a row with {dimension}")
    if total is not None and (total.dtype != np.int32 or total.shape != (stop - start,)):
        raise ScoringInputInvalid(f"the sum of {stop - start} columns goes into {total.dtype}{list(total.shape)}")
    n, p = len(narrow), len(wide)
    sums = np.zeros((n + 2 * p, n + 2 * p), np.int64)

    def work(at: int, rows: list[np.ndarray]) -> np.ndarray:
        into = None if total is None else total[at - start : at - start + rows[0].size]
        return how.kernel.products(rows[:n], rows[n:], into)

    # A shard has not all bytes of a row, so that it can check no hash.
    everything = (start, stop) == (0, dimension)
    seals = Seals([leaf for row in [*narrow, *wide] for leaf in row.sealed()] if everything else [])
    # |sums| <= 2^30 d <= 2^58: int64 holds them.
    block = _columns(how, [*narrow, *wide], n + 2 * p, stop - start)
    for products in _run(how, [*narrow, *wide], start, stop, block, work, seals):
        sums += products
    seals.close()
    return GramShard(start, stop, _recombine(sums.tolist(), n, p))


def merge(shards: Iterable[GramShard], dimension: int) -> Gram:
    """The Gram matrix of all columns. Raises `ScoringInputInvalid` unless the shards cover each column once."""
    parts = sorted(shards, key=lambda shard: shard.start)
    ends = [0, *(shard.stop for shard in parts)]
    starts = [*(shard.start for shard in parts), dimension]
    sizes = {len(shard.gram) for shard in parts}
    if ends != starts or len(sizes) != 1:
        found = [(shard.start, shard.stop) for shard in parts]
        raise ScoringInputInvalid(
            f"shards {found[:16]} of {sorted(sizes)} rows: they must cover columns 0 .. {dimension - 1} once each, "
            "with the same rows"
        )
    size = sizes.pop()
    return tuple(tuple(sum(shard.gram[i][j] for shard in parts) for j in range(size)) for i in range(size))


def weighted_total(
    how: Pass,
    updates: Sequence[Row],
    weights: Sequence[int],
    total: np.ndarray | None = None,
    start: int = 0,
    stop: int | None = None,
) -> np.ndarray:
    """Pass two: sum_a weights[a] * updates[a] over columns start .. stop - 1, as int32[stop - start].

    weights: n integers >= 0 with a sum of at most 2^16, hence -2^31 <= result <= 2^31 - 2^16: sums that are exact
    modulo 2^32 are exact.
    total: the plain sum of the same columns from pass one; it becomes the result. Rows are read only if their weight
    is not the base that was chosen. Raises as `gram_shard`."""
    sources = [as_source(row) for row in updates]
    dimension = check_rows(sources, [])
    stop = dimension if stop is None else stop
    if total is None:
        base, result = 0, np.zeros(stop - start, np.int32)
    else:
        base, result = _base(weights), total
        result *= np.int32(base)
    read = [row for row, weight in enumerate(weights) if weight != base]
    if not read:
        return result
    factors = [weights[row] - base for row in read]

    def work(at: int, rows: list[np.ndarray]) -> None:
        how.kernel.combine(rows, factors, result[at - start : at - start + rows[0].size])

    chosen = [sources[row] for row in read]
    for _ in _run(how, chosen, start, stop, _columns(how, chosen, len(chosen), stop - start), work):
        pass
    return result


def settled_total(
    how: Pass, updates: Sequence[Row], weights: Sequence[int], total: np.ndarray, into: np.ndarray
) -> np.ndarray:
    """`weighted_total` over all columns, from the plain sum `total` to int64[d] in `into`, whose upper half `total` may
    be. On one thread only: blocks must be done in their order, since each overwrites sums of earlier ones.

    Raises as `gram_shard`."""
    sources = [as_source(row) for row in updates]
    dimension = check_rows(sources, [])
    base = _base(weights)
    read = [row for row, weight in enumerate(weights) if weight != base]
    factors, chosen = [weights[row] - base for row in read], [sources[row] for row in read]

    def work(at: int, rows: list[np.ndarray]) -> None:
        end = min(at + block, dimension)
        how.kernel.settle(rows, factors, base, total[at:end], into[at:end])

    block = _columns(how, chosen, max(1, len(chosen)), dimension)
    for _ in _run(how, chosen, 0, dimension, block, work):
        pass
    return into


def rows_of_pass_two(weights: Sequence[int]) -> int:
    """How many rows the second pass reads, given the plain sum of the first."""
    base = _base(weights)
    return sum(weight != base for weight in weights)


def _base(weights: Sequence[int]) -> int:
    """The commonest weight; among those, 0 or else the smallest."""
    counts = Counter(weights)
    return min(counts, key=lambda weight: (-counts[weight], weight))


def check_rows(updates: Sequence[RowSource], public: Sequence[RowSource]) -> int:
    """The common dimension. Raises `ScoringInputInvalid`."""
    if not updates:
        raise ScoringInputInvalid("a round without updates has nothing to evaluate")
    if len(updates) > MAX_ROWS:
        raise ScoringInputInvalid(f"{len(updates)} updates; at most {MAX_ROWS} add up in 32 bits")
    dimension = updates[0].dimension
    if not 1 <= dimension <= MAX_DIMENSION:
        raise ScoringInputInvalid(f"dimension {dimension} is outside 1 .. {MAX_DIMENSION}")
    for kind, rows, dtype in (("update", updates, np.int16), ("past step or public row", public, np.int64)):
        for index, row in enumerate(rows):
            if row.dtype != dtype or row.dimension != dimension:
                raise ScoringInputInvalid(
                    f"{kind} {index} is {row.dtype}[{row.dimension}], it must be {np.dtype(dtype)}[{dimension}]"
                )
    return dimension


VIEWED = 1 << 23
"""Numbers of a block of views that are not free: pages of a memory map that count as this process's, 16 MiB of int16,
and differences."""
FEWEST_COLUMNS = 1 << 13
"""Of a block that is smaller only to give every thread one."""


def _columns(how: Pass, sources: Sequence[RowSource], rows: int, columns: int) -> int:
    """The block of a pass over so many columns. rows: of limbs."""
    if how.block is not None:
        return how.block
    arrays = all(isinstance(source, ArrayRow) and source.contiguous for source in sources)
    best = how.kernel.columns(rows, in_place=not any(source.slow for source in sources))
    if not arrays:
        best = min(best, VIEWED // rows)
    if how.threads == 1:
        return best
    # One block more than there are threads lies in memory: together they take what two would.
    shared = best if arrays else 2 * best // (how.threads + 1)
    return max(FEWEST_COLUMNS, min(shared, -(-columns // (4 * how.threads))))


def _run(
    how: Pass,
    sources: Sequence[RowSource],
    start: int,
    stop: int,
    block: int,
    work: Callable[[int, list[np.ndarray]], Result],
    seals: Seals | None = None,
) -> Iterator[Result]:
    """work(first column, rows) of each block; seals: what is hashed of them. With more than one thread blocks are
    computed and hashed while the next are read, in any order; at most `threads` of them wait in memory."""
    seals = seals or Seals([])
    if how.threads == 1:
        tables = _tables(sources, min(block, stop - start))
        for at in range(start, stop, block):
            end = min(at + block, stop)
            rows = [source.read(at, end, _part(tables, source, end - at)) for source in sources]
            seals.block()
            yield work(at, rows)
        return
    # Memory of blocks that wait or are being computed, and of the one that is being read.
    memory = deque(_tables(sources, min(block, stop - start)) for _ in range(how.threads + 1))
    running: deque[Future[Result]] = deque()
    # Two pools: work that waits for a place among the readers would never let them finish.
    with ThreadPoolExecutor(how.threads) as workers, ThreadPoolExecutor(how.threads) as readers:
        for at in range(start, stop, block):
            if len(running) > how.threads:
                yield running.popleft().result()
            rows = _read(readers, sources, memory[0], at, min(at + block, stop))
            running.append(workers.submit(work, at, rows))
            seals.block()
            memory.rotate(-1)
        while running:
            yield running.popleft().result()


Tables = dict[int, np.ndarray]
"""By identity of the source, memory for one block of it."""


def _tables(sources: Sequence[RowSource], columns: int) -> Tables:
    """Only of the slow sources; the others are in memory already. A source that is given twice has one."""
    return {id(source): np.empty(columns, source.dtype) for source in sources if source.slow}


def _part(tables: Tables, source: RowSource, columns: int) -> np.ndarray | None:
    return tables[id(source)][:columns] if source.slow else None


def _read(readers: Executor, sources: Sequence[RowSource], tables: Tables, start: int, stop: int) -> list[np.ndarray]:
    """A block of every row; the slow ones at the same time, each once."""
    waiting = {
        id(source): readers.submit(source.read, start, stop, _part(tables, source, stop - start))
        for source in sources
        if source.slow
    }
    return [waiting[id(source)].result() if id(source) in waiting else source.read(start, stop) for source in sources]


def _recombine(total: list[list[int]], n: int, p: int) -> Gram:
    """The Gram matrix of n narrow rows and p wide ones from that of n narrow rows, p high and p low limbs."""
    if p == 0:
        return tuple(map(tuple, total))

    def product(i: int, j: int) -> int:
        parts = 0
        for row, shift_i in _pieces(i, n, p):
            for column, shift_j in _pieces(j, n, p):
                parts += total[row][column] << (shift_i + shift_j)
        return parts

    return tuple(tuple(product(i, j) for j in range(n + p)) for i in range(n + p))


def _pieces(row: int, n: int, p: int) -> tuple[tuple[int, int], ...]:
    """(index among the rows of limbs, shift in bits) of the pieces of a row."""
    return ((row, 0),) if row < n else ((row, LIMB), (row + p, 0))
