"""The errors of sealed files."""

from __future__ import annotations

from cohort_protocol.errors import InvalidInput
from cohort_protocol.ipfs.errors import ContentMalformed


class ReadersInvalid(InvalidInput):
    """A project's list of readers is not a list of different secp256k1 public keys."""

    code = "readers-invalid"


class NotAReader(InvalidInput):
    """The key is none of those that a file was sealed for."""

    code = "not-a-reader"


class SealBroken(ContentMalformed):
    """Genuine bytes of a CID that are no sealed file for these readers: its publisher's fault."""

    code = "seal-broken"
