"""Exact Gram matrices and weighted sums of a round's rows, streamed.

The parts: `sources` (where rows come from), `block` and `native` (two implementations of one block of columns),
`passes` (one pass over the rows, shards), `hashing` (keccak256 of the rows on the way). A third implementation, on
torch and so on a GPU, is `cohort_protocol.learning.gram_kernel`. `cohort_protocol.scoring.gram` has the two functions
that most callers want.
"""

from __future__ import annotations

from functools import cache

from cohort_protocol.scoring.errors import KernelUnavailable
from cohort_protocol.scoring.kernel.block import BlockKernel, NumpyKernel
from cohort_protocol.scoring.kernel.native import NativeKernel, native_levels, native_status
from cohort_protocol.scoring.kernel.passes import (
    Gram,
    GramShard,
    Pass,
    gram_shard,
    merge,
    rows_of_pass_two,
    settled_total,
    weighted_total,
)
from cohort_protocol.scoring.kernel.sources import (
    ArrayRow,
    DifferenceRow,
    FileRow,
    MapRow,
    Row,
    RowSource,
    SharedRow,
    StreamRow,
    as_source,
    blocks,
    whole,
)

__all__ = [
    "ArrayRow",
    "BlockKernel",
    "DifferenceRow",
    "FileRow",
    "Gram",
    "GramShard",
    "MapRow",
    "NativeKernel",
    "NumpyKernel",
    "Pass",
    "Row",
    "RowSource",
    "SharedRow",
    "StreamRow",
    "as_source",
    "blocks",
    "default_kernel",
    "gram_shard",
    "merge",
    "native_levels",
    "native_status",
    "rows_of_pass_two",
    "settled_total",
    "weighted_total",
    "whole",
]


@cache
def default_kernel() -> BlockKernel:
    """The native kernel if it was built and runs here, else numpy's: the same bytes. `native_status` says which."""
    try:
        return NativeKernel()
    except KernelUnavailable:
        return NumpyKernel()
