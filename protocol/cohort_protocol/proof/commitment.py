"""Commitments to integer vectors: C = sum_i u_i [tau^i]_1 (Kate, Zaverucha, Goldberg 2010), and their openings in full.

A vector of d entries is the polynomial with these coefficients. The commitment is linear: the commitment of a sum of
vectors is the sum of their commitments. It binds (to what it was made from, under the q-strong Diffie-Hellman
assumption) and does not hide: equal vectors have equal commitments.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cohort_protocol.proof.curve import ORDER, Point, compress
from cohort_protocol.proof.errors import VectorOutOfRange
from cohort_protocol.proof.msm import multi_multiply
from cohort_protocol.proof.srs import Srs
from cohort_protocol.scoring.kernel import Row, as_source


def commit(srs: Srs, vector: Row) -> Point:
    """The commitment of a vector of integers: int16, int32 or int64[d], an array or a source.

    Raises `VectorOutOfRange`, `SrsTooSmall`, and what reading the vector raises."""
    source = as_source(vector)
    if np.dtype(source.dtype) not in (np.int16, np.int32, np.int64):
        raise VectorOutOfRange(f"a vector of {source.dtype}: int16, int32 and int64 can be committed to")
    srs.require(source.dimension)
    values = source.read(0, source.dimension)
    scalars = np.frombuffer(b"".join((int(x) % ORDER).to_bytes(32, "little") for x in values), np.uint8)
    return multi_multiply(srs.points[: source.dimension], scalars.reshape(-1, 32))


def commit_bytes(srs: Srs, vector: Row) -> bytes:
    """The canonical encoding of `commit`: 32 bytes."""
    return compress(commit(srs, vector))


def check_openings(srs: Srs, claims: Sequence[tuple[Row, Point]]) -> list[int]:
    """Indices of the claims whose vector does not open its commitment."""
    return [index for index, (vector, point) in enumerate(claims) if commit(srs, vector) != point]
