"""The format of a sealed file, version 1.

| byte | what |
|---|---|
| 0 | `COHORT SEALED 1` and a line feed |
| 16 | ephemeral public key, compressed, 33 bytes |
| 49 | number of readers r, 1 byte |
| 50 | for each reader the content key, sealed: 48 bytes |
| 50 + 48 r | the content in chunks of 65,536 bytes, the last shorter or empty, each followed by a tag of 16 bytes |

Hybrid encryption. A content key of 32 bytes encrypts the content with ChaCha20-Poly1305 (RFC 8439) in the STREAM
construction (Hoang, Reyhanitabar, Rogaway, Vizar, "Online authenticated-encryption and its nonce-reuse
misuse-resistance", CRYPTO 2015): a chunk's nonce is its index, 11 bytes, and 1 for the last chunk, so that chunks can
be neither reordered nor cut off. The content key is encrypted to each reader by ECIES over secp256k1 (the key
encapsulation of `eciespy`, HKDF-SHA256). Tags cover the header and `context`, which says to which project a file
belongs.

The ephemeral key is derived from the content key, as in the transform of Fujisaki and Okamoto (CRYPTO 1999): whoever
can open the file encrypts the content key again to all readers and compares. So a file that one reader can open, every
reader can open, and a trainer cannot have a witness admit an update that the aggregator will not be able to read.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable, Iterator
from hashlib import sha256

from Crypto.Cipher import ChaCha20_Poly1305
from ecies.keys import PrivateKey, PublicKey

from cohort_protocol.sealing.errors import SealBroken
from cohort_protocol.sealing.readers import KEY_BYTES, Readers, public_key

MAGIC = b"COHORT SEALED 1\n"
CHUNK = 1 << 16
"""Bytes of content that one tag covers."""
SECRET = 32
TAG = 16
WRAPPED = SECRET + TAG
_CURVE = "secp256k1"
_NONCE = bytes(12)
"""For keys that encrypt one message only."""


def sealed_size(size: int, readers: Readers) -> int:
    """Bytes of a sealed file with `size` bytes of content."""
    return _header_size(readers) + size + TAG * _chunks(size)


def content_secret(private_key: bytes, context: bytes, content: bytes) -> bytes:
    """The content key that the owner of a private key uses for a file: always the same, so that a file which was lost
    can be sealed again to the same bytes; another for other content, so that no nonce ever serves twice."""
    return hmac.digest(
        private_key, b"Cohort content key" + sha256(context).digest() + sha256(content).digest(), "sha256"
    )


def seal(content: bytes, secret: bytes, readers: Readers, context: bytes) -> bytes:
    """The sealed file. secret: the content key, 32 bytes, for this content alone (`content_secret`)."""
    header = _header(secret, readers)
    bound = _bound(header, context)
    parts = [header]
    last = _chunks(len(content)) - 1
    for index in range(last + 1):
        cipher = _cipher(secret, index, index == last, bound)
        parts.extend(cipher.encrypt_and_digest(content[index * CHUNK : (index + 1) * CHUNK]))
    return b"".join(parts)


def open_sealed(chunks: Iterable[bytes], private_key: bytes, readers: Readers, context: bytes) -> Iterator[bytes]:
    """The content of a sealed file, piece by piece as it arrives; each piece is genuine, and it is whole if no error
    came.

    Raises `NotAReader`; `SealBroken` (its publisher's fault); what `chunks` raises."""
    place = readers.place_of(public_key(private_key))
    source = _Buffer(chunks)
    header = source.take(_header_size(readers))
    secret = _open_header(header, private_key, readers, place)
    bound = _bound(header, context)
    index = 0
    while True:
        piece = source.take(CHUNK + TAG)
        last = source.ended()
        if len(piece) < TAG or (not last and len(piece) < CHUNK + TAG):
            raise SealBroken(f"the sealed file ends within its chunk {index}")
        cipher = _cipher(secret, index, last, bound)
        try:
            content = cipher.decrypt_and_verify(piece[:-TAG], piece[-TAG:])
        except ValueError as error:
            raise SealBroken(f"chunk {index} of the sealed file was changed, or is of another project") from error
        if content:
            yield content
        if last:
            return
        index += 1


def is_sealed(start: bytes) -> bool:
    """Whether a file that begins with these bytes (16 or more) says that it is sealed."""
    return start[: len(MAGIC)] == MAGIC


def _open_header(header: bytes, private_key: bytes, readers: Readers, place: int) -> bytes:
    if (
        len(header) < _header_size(readers)
        or not is_sealed(header)
        or header[len(MAGIC) + KEY_BYTES] != len(readers.keys)
    ):
        raise SealBroken(f"not a sealed file for {len(readers.keys)} readers")
    ephemeral = header[len(MAGIC) : len(MAGIC) + KEY_BYTES]
    start = len(MAGIC) + KEY_BYTES + 1 + WRAPPED * place
    wrapped = header[start : start + WRAPPED]
    try:
        shared = PublicKey(_CURVE, ephemeral).decapsulate(PrivateKey(_CURVE, private_key), True)
        cipher = ChaCha20_Poly1305.new(key=shared, nonce=_NONCE)
        secret = cipher.decrypt_and_verify(wrapped[:SECRET], wrapped[SECRET:])
    except ValueError as error:
        raise SealBroken(f"the content key for reader {place} cannot be opened") from error
    if _header(secret, readers) != header:
        raise SealBroken("the content key is not the same for every reader: others could not open this file")
    return secret


def _header(secret: bytes, readers: Readers) -> bytes:
    ephemeral = PrivateKey(_CURVE, _ephemeral_secret(secret))
    parts = [MAGIC, ephemeral.public_key.to_bytes(True), bytes([len(readers.keys)])]
    for key in readers.keys:
        shared = ephemeral.encapsulate(PublicKey(_CURVE, key), True)
        parts.extend(ChaCha20_Poly1305.new(key=shared, nonce=_NONCE).encrypt_and_digest(secret))
    return b"".join(parts)


def _ephemeral_secret(secret: bytes) -> bytes:
    """A private key from the content key. A digest is one with probability 1 - 2^-127."""
    return hmac.digest(secret, b"Cohort ephemeral key", "sha256")


def _header_size(readers: Readers) -> int:
    return len(MAGIC) + KEY_BYTES + 1 + WRAPPED * len(readers.keys)


def _chunks(size: int) -> int:
    return max(1, -(-size // CHUNK))


def _bound(header: bytes, context: bytes) -> bytes:
    return sha256(sha256(header).digest() + sha256(context).digest()).digest()


def _cipher(secret: bytes, index: int, last: bool, bound: bytes) -> ChaCha20_Poly1305.ChaCha20Poly1305Cipher:
    cipher = ChaCha20_Poly1305.new(key=secret, nonce=index.to_bytes(11, "big") + bytes([last]))
    cipher.update(bound)
    return cipher


class _Buffer:
    """Bytes that come in pieces, in pieces of other sizes."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = iter(chunks)
        self._held = bytearray()

    def take(self, count: int) -> bytes:
        """The next `count` bytes, or what is left."""
        self._fill(count)
        taken = bytes(self._held[:count])
        del self._held[:count]
        return taken

    def ended(self) -> bool:
        self._fill(1)
        return not self._held

    def _fill(self, count: int) -> None:
        while len(self._held) < count:
            chunk = next(self._chunks, None)
            if chunk is None:
                return
            self._held += chunk
