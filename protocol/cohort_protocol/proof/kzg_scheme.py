"""KZG commitments of updates and models, see `scheme`.

A point is dearer than a hash, so this scheme remembers what it has checked: by CID for files, since a CID is always the
same bytes, by SHA-256 for arrays. Points add up as vectors do: the next model's follows from the current one's and the
updates' without a look at the model.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import replace
from hashlib import sha256

import numpy as np

from cohort_protocol.proof.commitment import check_openings, commit
from cohort_protocol.proof.curve import INFINITY, Point, add, combine, compress, decompress
from cohort_protocol.proof.errors import PointMalformed
from cohort_protocol.proof.scheme import OpenStream, Refuse, Sink, StoredVector, little_endian
from cohort_protocol.proof.srs import Srs
from cohort_protocol.scoring.kernel.sources import StreamRow
from cohort_protocol.spec import Settlement
from cohort_protocol.update.codec import model_commitment, update_commitment

MAX_REMEMBERED = 4096
"""Checked files and arrays that a process remembers."""


class _PointSink:
    def __init__(self, srs: Srs) -> None:
        self._srs = srs
        self._at = 0
        self._sum = INFINITY

    def take(self, values: np.ndarray) -> None:
        if values.size:
            end = self._at + values.size
            self._srs.require(end)
            powers = replace(self._srs, points=self._srs.points[self._at : end], size=values.size)
            self._sum = add(self._sum, commit(powers, values))
            self._at = end

    def commitment(self) -> bytes:
        return compress(self._sum)


class _KnownSink:
    """For a vector whose commitment is known already."""

    def __init__(self, commitment: bytes) -> None:
        self._commitment = commitment

    def take(self, values: np.ndarray) -> None:
        pass

    def commitment(self) -> bytes:
        return self._commitment


class KzgScheme:
    """KZG commitments with one SRS, which must have a power for every parameter. Safe under threads."""

    name = "kzg-bn254"
    settlement: Settlement = "proven"

    def __init__(self, srs: Srs) -> None:
        self.srs = srs
        self._lock = threading.Lock()
        self._checked: OrderedDict[tuple[Hashable, bytes], None] = OrderedDict()
        self._arrays: OrderedDict[bytes, bytes] = OrderedDict()

    def update(self, update: np.ndarray) -> bytes:
        """See `CommitmentScheme`."""
        update_commitment(update[:1])  # refuses what is no update
        return self._array(b"update", update)

    def model(self, model: np.ndarray) -> bytes:
        """See `CommitmentScheme`."""
        model_commitment(model[:1])  # refuses what is no model
        return self._array(b"model", model)

    def point(self, vector: np.ndarray) -> Point:
        """The point itself. vector: int16[d], int32[d] or int64[d]."""
        return commit(self.srs, vector)

    def sink(self) -> Sink:
        """See `CommitmentScheme`."""
        return _PointSink(self.srs)

    def row(
        self, name: Hashable, open_stream: OpenStream, dimension: int, dtype: type, commitment: bytes, refuse: Refuse
    ) -> StreamRow:
        """See `CommitmentScheme`. Points are added up as the bytes come."""

        def checked() -> Iterator[bytes]:
            if self._knows(name, commitment):
                yield from open_stream()
                return
            sink = self.sink()
            for chunk in _whole_values(open_stream(), np.dtype(dtype).itemsize):
                sink.take(np.frombuffer(chunk, np.dtype(dtype).newbyteorder("<")))
                yield chunk
            found = sink.commitment()
            if found != commitment:
                refuse(found)
            self._remember(name, commitment)

        return StreamRow(checked, dimension, dtype)

    def check(self, vectors: Sequence[StoredVector]) -> list[int]:
        """See `CommitmentScheme`. One random combination of all that are not known yet; if it fails, halves of it."""
        culprits, openings, indices = [], [], []
        for index, vector in enumerate(vectors):
            if self._knows(vector.name, vector.commitment):
                continue
            try:
                point = decompress(vector.commitment)
            except PointMalformed:
                culprits.append(index)
                continue
            openings.append((vector.row, point))
            indices.append(index)
        wrong = {indices[found] for found in check_openings(self.srs, openings)} if openings else set()
        for index in indices:
            if index not in wrong:
                self._remember(vectors[index].name, vectors[index].commitment)
        return sorted({*culprits, *wrong})

    def next_model(self, model: bytes, updates: Sequence[bytes], weights: Sequence[int]) -> Sink:
        """See `CommitmentScheme`: C_M + sum w_a C_a, for which the model's bytes are not needed.

        Raises `PointMalformed` for a commitment that is no point."""
        return _KnownSink(compress(add(decompress(model), step_point(updates, weights))))

    # --- what was checked before --------------------------------------------------------------------------------------

    def _array(self, kind: bytes, vector: np.ndarray) -> bytes:
        key = sha256(kind + little_endian(vector)).digest()
        with self._lock:
            known = self._arrays.get(key)
        if known is None:
            known = compress(commit(self.srs, vector))
            with self._lock:
                self._arrays[key] = known
                if len(self._arrays) > MAX_REMEMBERED:
                    self._arrays.popitem(last=False)
        return known

    def _knows(self, name: Hashable | None, commitment: bytes) -> bool:
        with self._lock:
            return name is not None and (name, commitment) in self._checked

    def _remember(self, name: Hashable | None, commitment: bytes) -> None:
        if name is None:
            return
        with self._lock:
            self._checked[name, commitment] = None
            self._checked.move_to_end((name, commitment))
            if len(self._checked) > MAX_REMEMBERED:
                self._checked.popitem(last=False)


def step_point(updates: Sequence[bytes], weights: Sequence[int]) -> Point:
    """C_m = sum w_a C_a: the point of a round's step. updates: compressed points. Raises `PointMalformed`."""
    # Rows without weight too must have points.
    points = [decompress(update) for update in updates]
    return combine([(weight, point) for weight, point in zip(weights, points, strict=True) if weight])


def _whole_values(chunks: Iterator[bytes], width: int) -> Iterator[bytes]:
    """The same bytes in chunks of whole values; what is left over at the end comes as it is left to the reader, who
    knows how many there must be."""
    rest = b""
    for chunk in chunks:
        whole = rest + chunk
        cut = len(whole) - len(whole) % width
        rest = whole[cut:]
        if cut:
            yield whole[:cut]
    if rest:
        raise ValueError(f"a stream of values of {width} bytes ends with {len(rest)} bytes more")
