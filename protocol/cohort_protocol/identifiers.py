"""Identifiers that every part must write the same way."""

from __future__ import annotations

from typing import Annotated, NamedTuple

from eth_utils import is_hex_address, to_checksum_address
from pydantic import AfterValidator, BeforeValidator, Field

from cohort_protocol.errors import InvalidInput

MAX_SLOTS = 32
"""Most trainers in one round: a receipt's bitmap and the policy on chain are sized by it."""

MAX_UINT256 = 2**256 - 1


def parse_address(text: str) -> str:
    """The EIP-55 form of a 20-byte hex address. Raises `InvalidInput`."""
    if not isinstance(text, str) or not is_hex_address(text) or not text.startswith("0x"):
        raise InvalidInput(f"{str(text)[:60]!r} is not an address: expected 0x and 40 hex digits")
    return to_checksum_address(text)


def parse_bytes32(text: str) -> bytes:
    """The 32 bytes that `0x` + 64 hex digits stand for. Raises `InvalidInput`."""
    if not isinstance(text, str) or len(text) != 66 or not text.startswith("0x"):
        raise InvalidInput(f"{str(text)[:80]!r} is not a 32-byte value: expected 0x and 64 hex digits")
    try:
        return bytes.fromhex(text[2:])
    except ValueError as error:
        raise InvalidInput(f"{text!r} is not a 32-byte value: {error}") from error


def to_hex(data: bytes) -> str:
    """`0x`-prefixed lower-case hex."""
    return "0x" + bytes(data).hex()


def _as_value_error(parse):
    """Pydantic reports ValueError, not our tree: the message travels, the type is its own."""

    def parsed(value):
        try:
            return parse(value)
        except InvalidInput as error:
            raise ValueError(str(error)) from error

    return parsed


def _hex_data(value: str) -> str:
    if not isinstance(value, str) or not value.startswith("0x") or len(value) % 2:
        raise InvalidInput("expected 0x and an even number of hex digits")
    try:
        bytes.fromhex(value[2:])
    except ValueError as error:
        raise InvalidInput(f"not hex data: {error}") from error
    return value.lower()


def _decimal(value: int | str) -> int:
    """Amounts travel as decimal strings: JSON numbers lose integers above 2^53 in many readers."""
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise InvalidInput(f"expected a whole number as a decimal string, got {type(value).__name__}")
    if isinstance(value, str):
        if not value.isascii() or not value.isdigit() or len(value) > 78:
            raise InvalidInput(f"{value[:90]!r} is not a whole number in decimal digits")
        value = int(value)
    if not 0 <= value <= MAX_UINT256:
        raise InvalidInput("amount outside 0 .. 2^256 - 1")
    return value


Address = Annotated[str, AfterValidator(_as_value_error(parse_address))]
"""A checksummed address in a pydantic model."""

Bytes32 = Annotated[str, AfterValidator(_as_value_error(lambda v: to_hex(parse_bytes32(v))))]
"""0x + 64 hex digits in a pydantic model."""


def _bytes27(value: str) -> str:
    if not isinstance(value, str) or len(value) != 56:
        raise InvalidInput(f"{str(value)[:80]!r} is not a payout root: expected 0x and 54 hex digits")
    return _hex_data(value)


Bytes27 = Annotated[str, AfterValidator(_as_value_error(_bytes27))]
"""0x + 54 hex digits in a pydantic model: a payout root, as the market keeps it."""

HexData = Annotated[str, Field(max_length=4096), AfterValidator(_as_value_error(_hex_data))]
"""0x-prefixed bytes of any (small) length in a pydantic model."""

CidText = Annotated[str, Field(min_length=8, max_length=64, pattern=r"^b[a-z2-7]+$")]
"""A CIDv1 in base32; parsed strictly by `cohort_protocol.ipfs.cid.Cid` where it is used."""

Amount = Annotated[int, BeforeValidator(_as_value_error(_decimal))]
"""A token amount in base units: a decimal string in JSON (serialise with `DecimalText`), an int here."""


class RoundKey(NamedTuple):
    """One round of one project of one market. Rounds count from 1."""

    project: int
    round: int

    def __str__(self) -> str:
        return f"{self.project}/{self.round}"
