"""Encoding and decoding by a contract's ABI (Solidity contract ABI specification): calls, results, errors, logs.

Strict in both directions: a value of the wrong type or length is refused, bytes that do not decode exactly are an
error, addresses come back in EIP-55 form.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

from eth_abi import decode, encode
from eth_abi.exceptions import DecodingError, EncodingError
from eth_utils import keccak, to_checksum_address

from cohort_protocol.chain.errors import AnswerMalformed, ArgumentInvalid, LogMalformed
from cohort_protocol.chain.structs import AbiStruct, snake_case
from cohort_protocol.errors import InvalidInput
from cohort_protocol.identifiers import parse_address

CONTRACTS = (
    *("CohortMarket", "AttestedVerifier", "ProvenVerifier", "SuppliedScores", "DefaultPolicy"),
    *("MarketLens", "TestToken"),
)
"""Contracts whose ABI travels with this package (`abi/<name>.json`)."""


@dataclass(frozen=True)
class Parameter:
    """One parameter of a function, error or event; `components` are the members of a struct."""

    name: str
    type: str
    """As in the ABI: `tuple`, `tuple[]`, `uint256`, ..."""
    internal_type: str
    components: tuple[Parameter, ...]
    indexed: bool

    @property
    def canonical(self) -> str:
        """The type as it stands in a signature: structs written out."""
        if not self.type.startswith("tuple"):
            return self.type
        inner = ",".join(component.canonical for component in self.components)
        return f"({inner}){self.type.removeprefix('tuple')}"


@dataclass(frozen=True)
class AbiItem:
    """A function, error or event."""

    name: str
    inputs: tuple[Parameter, ...]
    outputs: tuple[Parameter, ...]

    @property
    def signature(self) -> str:
        return f"{self.name}({','.join(parameter.canonical for parameter in self.inputs)})"

    @property
    def digest(self) -> bytes:
        """keccak256 of the signature: an event's first topic; a selector is its first 4 bytes."""
        return keccak(text=self.signature)

    @property
    def selector(self) -> bytes:
        return self.digest[:4]


def parameter_of(entry: Mapping[str, Any]) -> Parameter:
    """A parameter from its entry in an ABI."""
    return Parameter(
        name=entry.get("name", ""),
        type=entry["type"],
        internal_type=entry.get("internalType", ""),
        components=tuple(parameter_of(component) for component in entry.get("components", ())),
        indexed=bool(entry.get("indexed", False)),
    )


class ContractAbi:
    """The functions, errors and events of one contract."""

    def __init__(self, entries: Sequence[Mapping[str, Any]]):
        self.functions: dict[str, AbiItem] = {}
        self.errors: dict[bytes, AbiItem] = {}
        self.events: dict[bytes, AbiItem] = {}
        for entry in entries:
            if entry["type"] not in ("function", "error", "event"):
                continue
            item = AbiItem(
                name=entry["name"],
                inputs=tuple(parameter_of(part) for part in entry.get("inputs", ())),
                outputs=tuple(parameter_of(part) for part in entry.get("outputs", ())),
            )
            if entry["type"] == "function":
                # None of our contracts overloads a function, so a name is enough to find one.
                self.functions.setdefault(item.name, item)
            elif entry["type"] == "error":
                self.errors[item.selector] = item
            else:
                self.events[item.digest] = item

    def encode_call(self, name: str, *arguments: Any) -> bytes:
        """Calldata. Raises `ArgumentInvalid` if a value does not fit its parameter."""
        function = self.functions[name]
        return function.selector + encode_values(function.inputs, arguments, name)

    def decode_result(self, name: str, data: bytes) -> Any:
        """What a function returned: a bare value if it returns one, a dict by name if it returns several, a list if
        those have no names. Raises `AnswerMalformed`."""
        outputs = self.functions[name].outputs
        try:
            values = decode_values(outputs, data)
        except (DecodingError, OverflowError) as error:
            raise AnswerMalformed(
                f"{name} answered {len(data)} bytes that do not decode: {error}. Is the address that of the contract?"
            ) from error
        if len(outputs) == 1:
            return values[0]
        if not all(output.name for output in outputs):
            return values
        return {output.name: value for output, value in zip(outputs, values, strict=True)}


def encode_values(parameters: Sequence[Parameter], values: Sequence[Any], where: str) -> bytes:
    """abi.encode of `values`. Raises `ArgumentInvalid`."""
    if len(values) != len(parameters):
        raise ArgumentInvalid(f"{where} takes {len(parameters)} arguments, got {len(values)}")
    arranged = [
        _arrange(parameter.type, parameter.components, value, f"{where}.{parameter.name}")
        for parameter, value in zip(parameters, values, strict=True)
    ]
    try:
        return encode([parameter.canonical for parameter in parameters], arranged)
    except (EncodingError, TypeError, OverflowError) as error:
        raise ArgumentInvalid(f"{where}: a value does not fit its type: {error}") from error


def _arrange(kind: str, components: Sequence[Parameter], value: Any, where: str) -> Any:
    """What eth_abi takes, strictly: it pads short fixed bytes and accepts many forms of an address, and money should
    not depend on that. Structs become tuples in the order of the ABI."""
    if kind.endswith("]"):
        if not isinstance(value, list | tuple):
            raise ArgumentInvalid(f"{where} is a list, got {type(value).__name__}")
        inner = kind[: kind.rindex("[")]
        return [_arrange(inner, components, item, f"{where}[{index}]") for index, item in enumerate(value)]
    if kind == "tuple":
        members = {snake_case(name): member for name, member in _members(value, where).items()}
        if set(members) != {snake_case(component.name) for component in components}:
            raise ArgumentInvalid(f"{where} is a struct of {', '.join(c.name for c in components)}; got {value!r:.80}")
        return [_arrange(c.type, c.components, members[snake_case(c.name)], f"{where}.{c.name}") for c in components]
    if kind == "address":
        try:
            return parse_address(value)
        except InvalidInput as error:
            raise ArgumentInvalid(f"{where}: {error}") from error
    if kind.startswith("bytes"):
        if not isinstance(value, bytes):
            raise ArgumentInvalid(f"{where} is {kind}, got {type(value).__name__}")
        if kind != "bytes" and len(value) != int(kind[5:]):
            raise ArgumentInvalid(f"{where} is exactly {kind[5:]} bytes, got {len(value)}")
    elif kind.startswith(("uint", "int")):
        if isinstance(value, bool) or not isinstance(value, int):
            raise ArgumentInvalid(f"{where} is {kind}, got {type(value).__name__}")
        return int(value)
    return value


def _members(value: Any, where: str) -> Mapping[str, Any]:
    """The members of a struct by name; of something that is none, nothing."""
    if isinstance(value, Mapping):
        return value
    if not isinstance(value, AbiStruct):
        return {}
    try:
        return value.abi_members()
    except InvalidInput as error:
        raise ArgumentInvalid(f"{where}: {error}") from error


def decode_values(parameters: Sequence[Parameter], data: bytes) -> list[Any]:
    """abi.decode: addresses in EIP-55 form, structs as dicts by member name, lists as tuples.

    Raises `eth_abi.exceptions.DecodingError`.
    """
    values = decode([parameter.canonical for parameter in parameters], data)
    return [
        _clean(parameter.type, parameter.components, value) for parameter, value in zip(parameters, values, strict=True)
    ]


def _clean(kind: str, components: Sequence[Parameter], value: Any) -> Any:
    if kind.endswith("]"):
        inner = kind[: kind.rindex("[")]
        return tuple(_clean(inner, components, item) for item in value)
    if kind == "tuple":
        return {
            component.name: _clean(component.type, component.components, item)
            for component, item in zip(components, value, strict=True)
        }
    return to_checksum_address(value) if kind == "address" else value


def decode_event(event: AbiItem, topics: Sequence[bytes], data: bytes) -> dict[str, Any]:
    """The values of an event by parameter name. `topics` includes the first. Raises `LogMalformed`.

    None of our events indexes a dynamic type (whose topic would be only a hash).
    """
    indexed = [parameter for parameter in event.inputs if parameter.indexed]
    plain = [parameter for parameter in event.inputs if not parameter.indexed]
    if len(topics) != len(indexed) + 1:
        raise LogMalformed(f"a {event.name} log has {len(indexed) + 1} topics, this one {len(topics)}")
    try:
        found = dict(zip((p.name for p in indexed), decode_values(indexed, b"".join(topics[1:])), strict=True))
        found |= zip((p.name for p in plain), decode_values(plain, data), strict=True)
        exact = encode_values(plain, [found[p.name] for p in plain], event.name) == data
    except (DecodingError, OverflowError, ArgumentInvalid) as error:
        raise LogMalformed(f"a {event.name} log does not decode: {error}") from error
    if not exact:
        raise LogMalformed(f"a {event.name} log carries {len(data)} bytes that are not its canonical encoding")
    return {parameter.name: found[parameter.name] for parameter in event.inputs}


@cache
def contract_abi(name: str) -> ContractAbi:
    """The ABI of one of `CONTRACTS`, as compiled from `contracts/src`."""
    text = resources.files("cohort_protocol.chain").joinpath("abi", f"{name}.json").read_text(encoding="utf-8")
    return ContractAbi(json.loads(text))
