"""The errors of the IPFS part. Which fault is whose decides money, so the tree keeps the two sides apart:

- `CidMalformed`, `ContentNotFound`, `ContentTooLarge`, `ContentMalformed`: what was published is at fault.
  `ContentMalformed` and `ContentTooLarge` are raised only after the bytes were found to match their CID, so
  a damaged disk or a lying node cannot cause them. One exception: a block over 2 MiB, which IPFS nodes do not
  exchange, is too large by its length alone.
- `ContentCorrupt`, `IpfsUnavailable`, `StoreUrlInvalid`, `SourceUnreadable`: our side is at fault. The first
  two derive from `Unavailable`: trying again later, or on another store, is right.
"""

from __future__ import annotations

from cohort_protocol.errors import CohortError, InvalidInput, NotFound, Unavailable


class IpfsError(CohortError):
    """Base of every error of `cohort_protocol.ipfs`."""

    code = "ipfs-error"


class CidMalformed(IpfsError, InvalidInput):
    """Text or bytes are not a CID of the kind Cohort uses (CIDv1, raw or dag-pb, sha2-256)."""

    code = "cid-malformed"


class ContentNotFound(IpfsError, NotFound):
    """The store answers, but a block of the content is not there (on a network: not found in time)."""

    code = "content-not-found"


class ContentTooLarge(IpfsError, InvalidInput):
    """The content is longer than the caller allows. Raised before the content is read."""

    code = "content-too-large"


class ContentMalformed(IpfsError, InvalidInput):
    """The blocks match their CIDs but are not a file as Cohort's import lays it out (see `unixfs`)."""

    code = "content-malformed"


class ContentCorrupt(IpfsError, Unavailable):
    """A store handed out bytes that do not match the CID: a damaged disk or a lying node."""

    code = "content-corrupt"


class IpfsUnavailable(IpfsError, Unavailable):
    """The store does not answer, answers nonsense, or its disk fails."""

    code = "ipfs-unavailable"


class StoreUrlInvalid(IpfsError, InvalidInput):
    """A store address is neither `file:///absolute/folder` nor `http(s)://host:port`."""

    code = "store-url-invalid"


class SourceUnreadable(IpfsError, InvalidInput):
    """The file or stream that was to be added could not be read. Nothing was pinned."""

    code = "source-unreadable"
