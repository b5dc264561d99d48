"""The two ways in which updates and models are committed to, behind one interface of 32 bytes.

| scheme | project | 32 bytes | checking a file |
|---|---|---|---|
| `KeccakScheme` | attested | keccak256 of the canonical bytes | a hash, while it is read |
| `kzg_scheme.KzgScheme` | proven | compressed KZG point (`curve.compress`) | a multi-scalar multiplication |

No curve is needed here: processes of attested projects never load one.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from eth_hash.auto import keccak

from cohort_protocol.scoring.kernel.sources import Row, StreamRow, blocks
from cohort_protocol.spec import Settlement
from cohort_protocol.update.codec import model_commitment, update_commitment

BLOCK = 1 << 16
"""Values at a time, of rows that are read here."""


class Sink(Protocol):
    """Takes a vector part by part, and commits to all of it."""

    def take(self, values: np.ndarray) -> None:
        """The next values: int16 of an update, int32 of a public row, int64 of a model."""

    def commitment(self) -> bytes:
        """Of all that was taken, 32 bytes."""


OpenStream = Callable[[], Iterator[bytes]]
"""Yields the canonical bytes of a vector from the first on, and checks what else there is to check."""

Refuse = Callable[[bytes], None]
"""Is given the commitment that a vector has when it should have another one, and raises."""


@dataclass(frozen=True)
class StoredVector:
    """A vector and the commitment that it is said to open."""

    row: Row
    commitment: bytes
    name: Hashable | None = None
    """Two vectors of one name are the same, such as (kind, CID); None: it has no name, and is not remembered."""


class CommitmentScheme(Protocol):
    """How a project commits to updates and models."""

    @property
    def name(self) -> str:
        """`keccak256` or `kzg-bn254`."""

    @property
    def settlement(self) -> Settlement:
        """Of the projects that commit in this way."""

    def update(self, update: np.ndarray) -> bytes:
        """The commitment of an update (int16[d]), 32 bytes. Raises `UpdateMalformed`."""

    def model(self, model: np.ndarray) -> bytes:
        """The commitment of a model (int64[d]), 32 bytes. Raises `ModelMalformed`."""

    def sink(self) -> Sink:
        """Commits to a vector that comes in parts."""

    def row(
        self, name: Hashable, open_stream: OpenStream, dimension: int, dtype: type, commitment: bytes, refuse: Refuse
    ) -> StreamRow:
        """A row whose commitment is checked when it has been read to the end: if it is another one, `refuse` is called
        with it. A name that was found right once is not checked again."""

    def check(self, vectors: Sequence[StoredVector]) -> list[int]:
        """Indices of the vectors that do not open their commitments; all are checked at once. Raises what reading them
        raises."""

    def next_model(self, model: bytes, updates: Sequence[bytes], weights: Sequence[int]) -> Sink:
        """Takes the next model, whole and in order, and says its commitment. model: commitment of the current one;
        updates, weights: commitments of the round's updates and their weights in the step."""


class _HashSink:
    def __init__(self) -> None:
        self._hash = keccak.new(b"")

    def take(self, values: np.ndarray) -> None:
        self._hash.update(little_endian(values))

    def commitment(self) -> bytes:
        return self._hash.digest()


class KeccakScheme:
    """keccak256 of the canonical bytes. Stateless."""

    name = "keccak256"
    settlement: Settlement = "attested"

    def update(self, update: np.ndarray) -> bytes:
        """See `CommitmentScheme`."""
        return update_commitment(update)

    def model(self, model: np.ndarray) -> bytes:
        """See `CommitmentScheme`."""
        return model_commitment(model)

    def sink(self) -> Sink:
        """See `CommitmentScheme`."""
        return _HashSink()

    def row(
        self, name: Hashable, open_stream: OpenStream, dimension: int, dtype: type, commitment: bytes, refuse: Refuse
    ) -> StreamRow:
        """See `CommitmentScheme`. A hash is checked by the pass that reads the row, eight rows at a time."""

        def seal(found: bytes) -> None:
            if found != commitment:
                refuse(found)

        return StreamRow(open_stream, dimension, dtype, seal)

    def check(self, vectors: Sequence[StoredVector]) -> list[int]:
        """See `CommitmentScheme`."""
        return [index for index, vector in enumerate(vectors) if _taken(_HashSink(), vector.row) != vector.commitment]

    def next_model(self, model: bytes, updates: Sequence[bytes], weights: Sequence[int]) -> Sink:
        """See `CommitmentScheme`."""
        return _HashSink()


KECCAK = KeccakScheme()


def little_endian(values: np.ndarray) -> bytes:
    """The canonical bytes of a vector of integers."""
    return np.ascontiguousarray(values, values.dtype.newbyteorder("<")).tobytes()


def _taken(sink: Sink, row: Row) -> bytes:
    for block in blocks(row, BLOCK):
        sink.take(block)
    return sink.commitment()
