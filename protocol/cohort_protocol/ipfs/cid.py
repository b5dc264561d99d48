"""Content identifiers: CIDv1, codec raw or dag-pb, hash sha2-256. Nothing else is a CID here.

Binary form (36 bytes): 0x01 (version), codec, 0x12 (sha2-256), 0x20 (32 bytes), digest.
Text form (59 characters): "b" (base32, lower case, RFC 4648 alphabet, no padding), then the 36 bytes.
Source: https://github.com/multiformats/cid and https://github.com/multiformats/multibase.
"""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import dataclass

from cohort_protocol.ipfs.errors import CidMalformed

RAW = 0x55
DAG_PB = 0x70
CID_BYTES = 36
CID_TEXT_LENGTH = 59

_CODECS = (RAW, DAG_PB)
_DIGEST_BYTES = 32
_BASE32 = re.compile(r"b[a-z2-7]{58}", re.ASCII)
_ALLOWED = "allowed is a CIDv1 in base32 (59 characters, starts with 'b'), codec raw or dag-pb, sha2-256"


@dataclass(frozen=True, slots=True, order=True)
class Cid:
    """A content identifier. `codec` is `RAW` or `DAG_PB`; `digest` is the block's sha2-256, 32 bytes.

    `str(cid)` is the text form, `bytes(cid)` the 36 bytes that go on chain.
    Raises `CidMalformed` for any other codec or digest length.
    """

    codec: int
    digest: bytes

    def __post_init__(self) -> None:
        if self.codec not in _CODECS:
            raise CidMalformed(f"codec {self.codec:#x} found; allowed are raw (0x55) and dag-pb (0x70)")
        if not isinstance(self.digest, bytes) or len(self.digest) != _DIGEST_BYTES:
            raise CidMalformed(f"a digest of {len(self.digest)} bytes found; sha2-256 has {_DIGEST_BYTES}")

    @classmethod
    def of_block(cls, codec: int, block: bytes) -> Cid:
        """The CID of one block's bytes."""
        return cls(codec, hashlib.sha256(block).digest())

    @classmethod
    def parse(cls, text: str) -> Cid:
        """Read the text form. Raises `CidMalformed` for anything but the one canonical spelling."""
        if not isinstance(text, str) or not _BASE32.fullmatch(text):
            raise CidMalformed(f"{_shown(text)} is not a CID; {_ALLOWED}")
        cid = cls.from_bytes(base64.b32decode(text[1:].upper() + "======"))
        # 58 characters hold 290 bits, two more than 36 bytes: those two must be zero, or one CID would have
        # four spellings.
        if str(cid) != text:
            raise CidMalformed(f"{_shown(text)} has stray bits at its end; the same CID is spelled {cid}")
        return cid

    @classmethod
    def from_bytes(cls, raw: bytes) -> Cid:
        """Read the 36-byte form. Raises `CidMalformed`."""
        if len(raw) != CID_BYTES:
            raise CidMalformed(f"{len(raw)} bytes found; a binary CID has {CID_BYTES}")
        if raw[0] != 0x01 or raw[2] != 0x12 or raw[3] != _DIGEST_BYTES:
            raise CidMalformed(f"CID header {bytes(raw[:4]).hex()} found; {_ALLOWED}")
        return cls(raw[1], bytes(raw[4:]))

    def matches(self, block: bytes) -> bool:
        """Whether `block` is the block this CID names."""
        return hashlib.sha256(block).digest() == self.digest

    def __bytes__(self) -> bytes:
        return bytes((0x01, self.codec, 0x12, _DIGEST_BYTES)) + self.digest

    def __str__(self) -> str:
        return "b" + base64.b32encode(bytes(self)).decode("ascii").rstrip("=").lower()


def _shown(text: object) -> str:
    """Untrusted text for an error message: quoted, escaped, at most 80 characters of it."""
    shown = ascii(text)
    return shown if len(shown) <= 80 else shown[:77] + "..."
