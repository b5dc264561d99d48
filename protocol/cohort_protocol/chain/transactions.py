"""Transactions as data: what to sign, and what became of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cohort_protocol.chain.errors import ArgumentInvalid
from cohort_protocol.errors import InvalidInput
from cohort_protocol.identifiers import parse_address, to_hex

MAX_CALLDATA = 128 * 1024
"""Bytes. Nodes refuse transactions above 128 KiB (geth's transaction pool)."""


@dataclass(frozen=True)
class TransactionRequest:
    """A transaction that somebody may sign. Holds no key and no nonce."""

    to: str
    """Contract to call; "" creates a contract."""
    data: bytes
    value: int = 0
    """wei"""
    gas: int | None = None
    """Gas limit; estimated by the sender if absent."""
    describe: str = ""
    """What signing it does, in words."""

    def as_json(self) -> dict[str, str]:
        """For an API: `data` in hex, `value` in decimal."""
        return {"to": self.to, "data": to_hex(self.data), "value": str(self.value), "describe": self.describe}

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> TransactionRequest:
        """The reverse of `as_json`. Raises `ArgumentInvalid` (unknown fields are ignored).

        Bounded, but not judged: whoever signs must check `to` and decode `data`.
        """
        try:
            data, value = fields["data"], fields.get("value", "0")
            if not isinstance(data, str) or not data.startswith("0x") or len(data) > 2 * MAX_CALLDATA + 2:
                raise ArgumentInvalid("a transaction's data is 0x and at most 128 KiB in hex digits")
            if not isinstance(value, str) or not value.isdigit() or not value.isascii() or len(value) > 78:
                raise ArgumentInvalid("a transaction's value is a decimal string of wei")
            return cls(
                to=parse_address(fields["to"]),
                data=bytes.fromhex(data[2:]),
                value=int(value),
                describe=str(fields.get("describe", ""))[:500],
            )
        except KeyError as error:
            raise ArgumentInvalid(f"a transaction lacks the field {error}") from error
        except (ValueError, InvalidInput) as error:
            raise ArgumentInvalid(f"not a transaction: {error}") from error


@dataclass(frozen=True)
class RawLog:
    """A log as the node gave it."""

    address: str
    topics: tuple[bytes, ...]
    data: bytes
    block_number: int
    block_hash: bytes
    transaction_hash: bytes
    log_index: int


@dataclass(frozen=True)
class TransactionReceipt:
    """What became of a transaction."""

    hash: bytes
    block_number: int
    block_hash: bytes
    success: bool
    gas_used: int
    gas_price: int
    """Paid per gas, wei."""
    contract_address: str | None
    """Of the contract that was created, if one was."""
    logs: tuple[RawLog, ...]


@dataclass(frozen=True)
class Block:
    """A block header."""

    number: int
    hash: bytes
    parent_hash: bytes
    timestamp: int
    base_fee: int
    """wei per gas (EIP-1559)"""
    gas_limit: int
