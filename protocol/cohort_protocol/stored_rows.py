"""Updates and models of a round straight from a block store, a block of columns at a time.

The store verifies every chunk against its CID. What a CID's file must hash to is on chain: that is checked at the end
of the first pass that reads it. A second pass need not, since the same CID is the same bytes; a shard that stops before
the last column cannot, and relies on whoever read the whole.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from cohort_protocol.errors import InvalidInput
from cohort_protocol.identifiers import to_hex
from cohort_protocol.ipfs.cid import Cid
from cohort_protocol.ipfs.store import IpfsStore
from cohort_protocol.scoring.kernel.sources import StreamRow
from cohort_protocol.update.codec import model_size, update_size
from cohort_protocol.update.stream import model_stream, update_stream


class CommitmentMismatch(InvalidInput):
    """The bytes behind a CID are well formed, but not what was committed to on chain."""

    code = "commitment-mismatch"


def stored_update(store: IpfsStore, cid: Cid, commitment: bytes, dimension: int) -> StreamRow:
    """The update int16[d] behind `cid`, at most the one size an update of this dimension has.

    Reading it to the end raises `ContentTooLarge`, `ContentMalformed`, `UpdateMalformed`, `CommitmentMismatch` (the
    publisher's fault); `ContentNotFound`, `ContentCorrupt`, `IpfsUnavailable` (nobody's, or ours)."""

    def check(found: bytes) -> None:
        if found != commitment:
            raise CommitmentMismatch(
                f"the update at {cid} has the commitment {to_hex(found)}, committed was {to_hex(commitment)}: publish "
                "the very update that was committed to"
            )

    def chunks() -> Iterator[bytes]:
        return update_stream(store.stream(cid, update_size(dimension)), dimension)

    return StreamRow(chunks, dimension, np.int16, check)


def stored_model(store: IpfsStore, cid: Cid, commitment: bytes, dimension: int) -> StreamRow:
    """The model int64[d] behind `cid`. Raises as `stored_update`, with `ModelMalformed` for `UpdateMalformed`."""

    def check(found: bytes) -> None:
        if found != commitment:
            raise CommitmentMismatch(
                f"the model at {cid} has the commitment {to_hex(found)}, on chain is {to_hex(commitment)}"
            )

    def chunks() -> Iterator[bytes]:
        return model_stream(store.stream(cid, model_size(dimension)), dimension)

    return StreamRow(chunks, dimension, np.int64, check)
