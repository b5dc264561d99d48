"""Updates and models of a round straight from a block store, a block of columns at a time.

The store verifies every chunk against its CID. What a CID's file must open is on chain: that is checked at the end of
the first pass that reads it. A second pass need not, since the same CID is the same bytes; a shard that stops before
the last column cannot, and relies on whoever read the whole. `check_updates` checks many files at once, before they are
read for anything else: with points that is much less work than one by one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from cohort_protocol.errors import InvalidInput
from cohort_protocol.identifiers import to_hex
from cohort_protocol.ipfs.cid import Cid
from cohort_protocol.ipfs.store import IpfsStore
from cohort_protocol.proof.scheme import BLOCK, KECCAK, CommitmentScheme, StoredVector
from cohort_protocol.scoring.kernel.sources import StreamRow, blocks
from cohort_protocol.update.codec import model_size, update_size
from cohort_protocol.update.stream import model_stream, update_stream


class CommitmentMismatch(InvalidInput):
    """The bytes behind a CID are well formed, but not what was committed to on chain."""

    code = "commitment-mismatch"


def stored_update(
    store: IpfsStore, cid: Cid, commitment: bytes, dimension: int, scheme: CommitmentScheme = KECCAK
) -> StreamRow:
    """The update int16[d] behind `cid`, at most the one size an update of this dimension has.

    Reading it to the end raises `ContentTooLarge`, `ContentMalformed`, `UpdateMalformed`, `CommitmentMismatch` (the
    publisher's fault); `ContentNotFound`, `ContentCorrupt`, `IpfsUnavailable` (nobody's, or ours)."""

    def chunks() -> Iterator[bytes]:
        return update_stream(store.stream(cid, update_size(dimension)), dimension)

    def refuse(found: bytes) -> None:
        raise wrong_update(cid, commitment, found)

    return scheme.row(("update", cid), chunks, dimension, np.int16, commitment, refuse)


def stored_model(
    store: IpfsStore, cid: Cid, commitment: bytes, dimension: int, scheme: CommitmentScheme = KECCAK
) -> StreamRow:
    """The model int64[d] behind `cid`. Raises as `stored_update`, with `ModelMalformed` for `UpdateMalformed`."""

    def chunks() -> Iterator[bytes]:
        return model_stream(store.stream(cid, model_size(dimension)), dimension)

    def refuse(found: bytes) -> None:
        raise wrong_model(cid, commitment, found)

    return scheme.row(("model", cid), chunks, dimension, np.int64, commitment, refuse)


def read_model(
    store: IpfsStore, cid: Cid, commitment: bytes, dimension: int, scheme: CommitmentScheme = KECCAK
) -> None:
    """Reads a model from its first byte to its last and checks that it opens its commitment. Raises as
    `stored_model`."""
    for _ in blocks(stored_model(store, cid, commitment, dimension, scheme), BLOCK):
        pass


def check_updates(
    store: IpfsStore, files: Sequence[tuple[Cid, bytes]], dimension: int, scheme: CommitmentScheme
) -> list[int]:
    """Indices of the updates (CID, commitment) that are well formed and open another commitment.

    Raises as `stored_update` for the first file that is not well formed or cannot be had."""
    return scheme.check([_unchecked_update(store, cid, commitment, dimension) for cid, commitment in files])


def stored_updates(
    store: IpfsStore, files: Sequence[tuple[Cid, bytes]], dimension: int, scheme: CommitmentScheme
) -> list[StreamRow]:
    """The updates of a round (CID, commitment), to be read as `stored_update` says. In a proven project all of them are
    checked here, at once, and `CommitmentMismatch` names the first that opens another commitment; hashes are checked by
    the pass that reads them."""
    if scheme.settlement == "proven" and (wrong := check_updates(store, files, dimension, scheme)):
        raise wrong_update(*files[wrong[0]])
    return [stored_update(store, cid, commitment, dimension, scheme) for cid, commitment in files]


def _unchecked_update(store: IpfsStore, cid: Cid, commitment: bytes, dimension: int) -> StoredVector:
    def chunks() -> Iterator[bytes]:
        return update_stream(store.stream(cid, update_size(dimension)), dimension)

    return StoredVector(StreamRow(chunks, dimension, np.int16), commitment, ("update", cid))


def wrong_update(cid: Cid, commitment: bytes, found: bytes | None = None) -> CommitmentMismatch:
    """The error of an update that opens another commitment; found: which, None if that was not computed."""
    instead = f"has the commitment {to_hex(found)}" if found is not None else "does not open its commitment"
    return CommitmentMismatch(
        f"the update at {cid} {instead}, committed was {to_hex(commitment)}: publish the very update that was "
        "committed to"
    )


def wrong_model(cid: Cid, commitment: bytes, found: bytes) -> CommitmentMismatch:
    """The error of a model that opens another commitment."""
    return CommitmentMismatch(
        f"the model at {cid} has the commitment {to_hex(found)}, on chain is {to_hex(commitment)}"
    )
