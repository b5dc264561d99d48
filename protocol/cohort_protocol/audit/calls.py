"""What a transaction asked of the market: calldata, decoded, `multicall` unfolded.

Events say what a call brought about; signatures, salts and Merkle proofs stand only in its calldata, which every full
node keeps. A transaction that reached the market through another contract does not show them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from eth_abi.exceptions import DecodingError

from cohort_protocol.audit.errors import CallHidden
from cohort_protocol.chain.client import ChainClient
from cohort_protocol.chain.codec import ContractAbi, contract_abi, decode_values
from cohort_protocol.chain.structs import snake_case
from cohort_protocol.chain.transactions import MAX_CALLDATA
from cohort_protocol.commitments import full_signature
from cohort_protocol.errors import InvalidInput
from cohort_protocol.identifiers import parse_address, to_hex

MAX_CALLS = 256
"""In one transaction; nested deeper than two multicalls they are not looked for."""


@dataclass(frozen=True)
class MarketCall:
    """One call of the market. `arguments` by Solidity name in snake case, as `codec.decode_values` gives them."""

    name: str
    sender: str
    arguments: Mapping[str, Any]

    def of_round(self, project: int, round: int) -> bool:
        return self.arguments.get("project") == project and self.arguments.get("round") == round


class Calls:
    """Calldata of a market's transactions, asked for once each."""

    def __init__(self, client: ChainClient, market: str) -> None:
        self._client = client
        self._market = market
        self._known: dict[bytes, tuple[MarketCall, ...]] = {}

    def of(self, transaction: bytes) -> tuple[MarketCall, ...]:
        """In the order of execution. Raises `CallHidden`, `ChainUnavailable`."""
        if transaction not in self._known:
            sender, data = self._read(transaction)
            self._known[transaction] = tuple(_unfold(contract_abi("CohortMarket"), sender, data, 0))
        return self._known[transaction]

    def named(self, transaction: bytes, name: str, project: int, round: int) -> list[MarketCall]:
        """The calls of one function for one round. Raises `CallHidden` if there are none, `ChainUnavailable`."""
        found = [call for call in self.of(transaction) if call.name == name and call.of_round(project, round)]
        if not found:
            raise CallHidden(f"transaction {to_hex(transaction)} holds no call of {name} for round {project}/{round}")
        return found

    def _read(self, transaction: bytes) -> tuple[str, bytes]:
        """Sender and calldata of a transaction that went straight to the market."""
        found = self._client.rpc("eth_getTransactionByHash", [to_hex(transaction)])
        if not isinstance(found, dict):
            raise CallHidden(f"the node does not have transaction {to_hex(transaction)}: ask an archive node")
        try:
            sender = parse_address(found.get("from") or "")
            to = parse_address(found.get("to") or "")
            text = found.get("input") or found.get("data") or ""
            data = bytes.fromhex(text.removeprefix("0x")) if isinstance(text, str) else b""
        except (InvalidInput, ValueError) as error:
            raise CallHidden(f"transaction {to_hex(transaction)} is malformed at this node: {error}") from error
        if to != self._market:
            raise CallHidden(f"transaction {to_hex(transaction)} reached the market through {to}: calldata is hidden")
        if len(data) > MAX_CALLDATA:
            raise CallHidden(
                f"transaction {to_hex(transaction)} has {len(data)} bytes, at most {MAX_CALLDATA} are read"
            )
        return sender, data


def _unfold(abi: ContractAbi, sender: str, data: bytes, depth: int) -> list[MarketCall]:
    function = next((item for item in abi.functions.values() if item.selector == data[:4]), None)
    if function is None or depth > 2:
        return []
    try:
        values = decode_values(function.inputs, data[4:])
    except (DecodingError, OverflowError) as error:
        raise CallHidden(f"calldata of {function.name} does not decode: {error}") from error
    arguments = {snake_case(part.name): value for part, value in zip(function.inputs, values, strict=True)}
    if function.name != "multicall":
        return [MarketCall(function.name, sender, arguments)]
    inner = next(iter(arguments.values()))
    if len(inner) > MAX_CALLS:
        raise CallHidden(f"a multicall of {len(inner)} calls, at most {MAX_CALLS} are read")
    return [call for each in inner for call in _unfold(abi, sender, each, depth + 1)]


def witness_words(signatures: Any) -> list[tuple[int, bytes]]:
    """(witness index, 65-byte signature) of a decoded list of structs with witness, r and vs."""
    return [(one["witness"], full_signature(one["r"], one["vs"])) for one in signatures]
