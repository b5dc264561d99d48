"""Who can read the sealed files of a project.

Readers are known by the very keys that they sign with: the address of a public key is on chain, in the project's terms,
so that nobody has to vouch for a second key, and a spec that lists a wrong one is refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

from coincurve import PublicKey
from eth_utils import keccak, to_checksum_address

from cohort_protocol.sealing.errors import NotAReader, ReadersInvalid

KEY_BYTES = 33
MAX_READERS = 15
"""Seven witnesses and eight aggregators are the most that terms name."""


@dataclass(frozen=True)
class Readers:
    """Compressed secp256k1 public keys, 33 bytes each, in the order of the spec. Raises `ReadersInvalid`."""

    keys: tuple[bytes, ...]

    def __post_init__(self) -> None:
        if not 1 <= len(self.keys) <= MAX_READERS or len(set(self.keys)) != len(self.keys):
            raise ReadersInvalid(f"{len(self.keys)} readers: there must be 1 .. {MAX_READERS} different ones")
        for key in self.keys:
            _checked(key)

    @cached_property
    def addresses(self) -> tuple[str, ...]:
        """Ethereum addresses of the keys: the last 20 bytes of keccak256 of the uncompressed key."""
        return tuple(address_of(key) for key in self.keys)

    def check_covers(self, named: Iterable[str]) -> None:
        """Raises `ReadersInvalid` unless the readers are exactly those whose addresses the terms name (witnesses and
        aggregators): one more could read what trainers never agreed to show it, one less could not do its work."""
        wanted = {to_checksum_address(address) for address in named}
        found = set(self.addresses)
        if found != wanted:
            extra, missing = sorted(found - wanted), sorted(wanted - found)
            raise ReadersInvalid(
                "readers of a private project are its witnesses and aggregators, all of them and nobody else; "
                f"missing: {', '.join(missing) or 'none'}; not in the terms: {', '.join(extra) or 'none'}"
            )

    def place_of(self, key: bytes) -> int:
        """Index of a public key. Raises `NotAReader`."""
        if key not in self.keys:
            raise NotAReader(
                f"{address_of(key)} is not among the readers of this project: {', '.join(self.addresses)}. Private "
                "updates can be opened by the project's witnesses and aggregators only"
            )
        return self.keys.index(key)


def readers_from(texts: Sequence[str]) -> Readers:
    """From 0x and 66 hex digits each. Raises `ReadersInvalid`."""
    try:
        return Readers(tuple(bytes.fromhex(text.removeprefix("0x")) for text in texts))
    except ValueError as error:
        raise ReadersInvalid(f"a reader is no hexadecimal public key: {error}") from error


def public_key(private_key: bytes) -> bytes:
    """The compressed public key of a private one."""
    return PublicKey.from_secret(private_key).format(compressed=True)


def address_of(key: bytes) -> str:
    """The checksummed address of a public key."""
    return to_checksum_address(keccak(PublicKey(key).format(compressed=False)[1:])[12:])


def _checked(key: bytes) -> None:
    try:
        valid = len(key) == KEY_BYTES and PublicKey(key).format(compressed=True) == key
    except ValueError:
        valid = False
    if not valid:
        raise ReadersInvalid(f"0x{key[:40].hex()} is no compressed secp256k1 public key of {KEY_BYTES} bytes")
