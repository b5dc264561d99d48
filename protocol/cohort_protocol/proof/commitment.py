"""Commitments to integer vectors: C = sum_i u_i [tau^i]_1 (Kate, Zaverucha, Goldberg 2010), and their openings in full.

A vector of d entries is the polynomial with these coefficients. The commitment is linear: the commitment of a sum of
vectors is the sum of their commitments. It binds (nobody who does not know tau can open one to two vectors, under the
discrete logarithm assumption on the powers of tau) and does not hide: equal vectors have equal commitments.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence

import numpy as np

from cohort_protocol.proof.combination import COEFFICIENT_BITS, combine_rows, passes, sources_of
from cohort_protocol.proof.curve import Point, combine, compress
from cohort_protocol.proof.errors import VectorOutOfRange
from cohort_protocol.proof.field import pack
from cohort_protocol.proof.library import MOST_POINTS
from cohort_protocol.proof.msm import SPAN, Multiplier
from cohort_protocol.proof.srs import Srs
from cohort_protocol.scoring.kernel import Row

DIRECTLY = 6
"""So many openings are committed to one by one: the combination of more costs about as much as six int16 vectors."""
MOST_CLAIMS = 128


def commit(srs: Srs, vector: Row, *, threads: int | None = None) -> Point:
    """The commitment of a vector of integers: int16, int32 or int64[d], an array or a source (read once, block by
    block, hashed on the way if it is sealed).

    threads: None for all cores. Raises `VectorOutOfRange`, `SrsTooSmall`, and what reading the vector raises."""
    with Multiplier(threads) as multiplier:
        return _commit(srs, vector, multiplier)


def commit_bytes(srs: Srs, vector: Row, *, threads: int | None = None) -> bytes:
    """The canonical encoding of `commit`: 32 bytes."""
    return compress(commit(srs, vector, threads=threads))


def check_openings(srs: Srs, claims: Sequence[tuple[Row, Point]], *, threads: int | None = None) -> list[int]:
    """Indices of the claims whose vector does not open its commitment, in order.

    All vectors are combined with random 128-bit coefficients, drawn here, and one commitment of the combination is
    compared: a wrong claim among them goes unnoticed with probability 2^-128. Where that fails, halves are checked
    until the culprits are found. Vectors are read again then.

    claims: at most `MOST_CLAIMS`, vectors as in `commit`, of one dimension. threads: as there. Raises as `commit`."""
    if len(claims) > MOST_CLAIMS:
        raise VectorOutOfRange(f"{len(claims)} openings at once: at most {MOST_CLAIMS} are checked together")
    with Multiplier(threads) as multiplier:
        return _culprits(srs, claims, list(range(len(claims))), multiplier, False)


def commit_combination(srs: Srs, limbs: np.ndarray, multiplier: Multiplier) -> Point:
    """The commitment of a vector of large integers: int32[limbs, d] of `combine_rows`."""
    total = multiplier.scalars(limbs.shape[1])
    for start in range(0, limbs.shape[1], MOST_POINTS):
        part = slice(start, min(start + MOST_POINTS, limbs.shape[1]))
        total.add(srs.points[part], pack(widen(limbs[:, part])))
    return total.result()


def widen(limbs: np.ndarray) -> np.ndarray:
    """float64[11, k] of int32[at most 11, k]: as `field` computes with."""
    values = np.zeros((11, limbs.shape[1]))
    values[: len(limbs)] = limbs
    return values


def _commit(srs: Srs, vector: Row, multiplier: Multiplier) -> Point:
    sources = sources_of([vector])
    srs.require(sources[0].dimension)
    if not sources[0].dimension:
        raise VectorOutOfRange("a vector without entries")
    total = multiplier.integers(sources[0].dimension)
    for start, (block,) in passes(sources, SPAN * multiplier.threads):
        total.add(srs.points[start : start + len(block)], block)
    return total.result()


def _culprits(
    srs: Srs, claims: Sequence[tuple[Row, Point]], group: list[int], multiplier: Multiplier, guilty: bool
) -> list[int]:
    """guilty: it is known that one of the group is wrong."""
    if len(group) <= DIRECTLY:
        return [index for index in group if _commit(srs, claims[index][0], multiplier) != claims[index][1]]
    if not guilty and _all_open(srs, [claims[index] for index in group], multiplier):
        return []
    middle = len(group) // 2
    first = _culprits(srs, claims, group[:middle], multiplier, False)
    # If the first half is right, the fault is in the second.
    return first + _culprits(srs, claims, group[middle:], multiplier, not first)


def _all_open(srs: Srs, claims: Sequence[tuple[Row, Point]], multiplier: Multiplier) -> bool:
    coefficients = [secrets.randbits(COEFFICIENT_BITS) for _ in claims]
    limbs = combine_rows([vector for vector, _ in claims], coefficients)
    srs.require(limbs.shape[1])
    expected = combine(list(zip(coefficients, (point for _, point in claims), strict=True)))
    return commit_combination(srs, limbs, multiplier) == expected
