"""What Python says of the contracts against what they are: structs, enums, events, errors, function signatures."""

from __future__ import annotations

import inspect
import json
import re
import string
from dataclasses import fields
from pathlib import Path

import pytest
from cohort_devnet.compiler import ensure_artifacts
from cohort_devnet.node import repository_root
from cohort_protocol.chain import events, lens, types
from cohort_protocol.chain.codec import CONTRACTS, AbiItem, Parameter, contract_abi
from cohort_protocol.chain.events import EVENT_TYPES, MarketEvent, field_name
from cohort_protocol.chain.market import Market, MarketReads
from cohort_protocol.chain.reverts import TEXTS, known_errors
from cohort_protocol.chain.structs import AbiStruct, Located, Signed, snake_case
from cohort_protocol.phases import Phase

MARKET = contract_abi("CohortMarket")
LENS = contract_abi("MarketLens")
# Solidity type -> Python annotation of a plain field.
PYTHON_TYPES = {
    "address": "str",
    "bool": "bool",
    "bytes": "bytes",
    "bytes32": "bytes",
    "bytes27": "bytes",
    "bytes32[]": "tuple[bytes, ...]",
    "uint32[]": "tuple[int, ...]",
}
CONVERTED = {"Cid"}
"""Structs that have another form here: a CID is 36 bytes."""
PACKED = {
    ("CommitsPosted", "leaves"): "tuple[CommitLeaf, ...]",
    ("UpdatesAdmitted", "rows"): "tuple[AdmittedRow, ...]",
    ("RoundSettled", "rows"): "tuple[SettledRow, ...]",
    ("Claimed", "rounds"): "tuple[int, ...]",
}
"""Parameters of events that hold several values in one word or byte string."""


def structs_of_the_abi() -> dict[str, Parameter]:
    """Struct name -> a parameter of that type."""
    found: dict[str, Parameter] = {}

    def visit(parameter: Parameter) -> None:
        if parameter.type.startswith("tuple"):
            name = re.sub(r"^struct (\w+\.)?|(\[\])+$", "", parameter.internal_type)
            found[name] = parameter
        for component in parameter.components:
            visit(component)

    for item in [*MARKET.functions.values(), *MARKET.events.values(), *LENS.functions.values()]:
        for parameter in (*item.inputs, *item.outputs):
            visit(parameter)
    return found


def mirrored_members(struct: Parameter) -> list[tuple[str, str]]:
    """(name, annotation) of each field that the mirror should have: r and vs become one signature."""
    members = [(snake_case(part.name), expected_type(part)) for part in struct.components]
    if members[-2:] == [("r", "bytes"), ("vs", "bytes")]:
        members[-2:] = [("signature", "bytes")]
    return members


def mirrors() -> dict[str, type]:
    """Our structs by name."""
    everything = {**vars(types), **vars(lens)}
    return {
        name: kind
        for name, kind in everything.items()
        if inspect.isclass(kind) and issubclass(kind, AbiStruct) and kind not in (AbiStruct, Located, Signed)
    }


@pytest.mark.parametrize("name", sorted(structs_of_the_abi().keys() - CONVERTED))
def test_structs_have_the_members_of_the_abi(name: str) -> None:
    found = [(field.name, field.type) for field in fields(mirrors()[name])]
    assert found == mirrored_members(structs_of_the_abi()[name])


def expected_type(parameter: Parameter) -> str:
    if parameter.internal_type.startswith("enum "):
        return parameter.internal_type.removeprefix("enum ")
    if parameter.type.startswith("tuple"):
        name = re.sub(r"^struct (\w+\.)?|(\[\])+$", "", parameter.internal_type)
        name = "bytes" if name in CONVERTED else name
        return name if parameter.type == "tuple" else f"tuple[{name}, ...]"
    if parameter.type == "address[]":
        return "tuple[str, ...]"
    return "int" if re.fullmatch(r"u?int\d+", parameter.type) else PYTHON_TYPES[parameter.type]


def test_every_struct_of_the_module_is_in_the_abi() -> None:
    assert set(mirrors()) == structs_of_the_abi().keys() - CONVERTED


@pytest.mark.parametrize(
    ("name", "mirror"), [("Phase", Phase), ("SkipReason", types.SkipReason), ("LeafSkip", types.LeafSkip)]
)
def test_enums_are_those_of_the_source(name: str, mirror) -> None:
    source = (repository_root() / "contracts/src/types/Types.sol").read_text()
    body = re.search(rf"enum {name} \{{([^}}]*)\}}", source)
    assert body is not None
    code = re.sub(r"//[^\n]*", "", body.group(1))
    members = [snake_case(member.strip()).upper() for member in code.split(",")]
    assert [member.name for member in mirror] == members
    assert [member.value for member in mirror] == list(range(len(members)))


def test_every_event_has_its_class() -> None:
    emitted = {event.name for event in MARKET.events.values()} - {"EIP712DomainChanged"}
    assert set(EVENT_TYPES) == emitted


@pytest.mark.parametrize("event", MARKET.events.values(), ids=lambda event: event.name)
def test_events_have_the_parameters_of_the_abi(event: AbiItem) -> None:
    if event.name not in EVENT_TYPES:
        assert event.name == "EIP712DomainChanged"
        return
    mirror = [field for field in fields(EVENT_TYPES[event.name]) if field.name != "at"]
    assert [field.name for field in mirror] == [field_name(parameter.name) for parameter in event.inputs]
    for field, parameter in zip(mirror, event.inputs, strict=True):
        packed = PACKED.get((event.name, field.name))
        assert field.type == (packed or expected_type(parameter)), parameter.name
        assert not (parameter.indexed and parameter.type in ("bytes", "string", "tuple", "tuple[]"))


def test_packed_parameters_exist() -> None:
    """The list above names nothing that is gone, and what it names has a class here."""
    for (event, parameter), annotation in PACKED.items():
        assert parameter in [field.name for field in fields(EVENT_TYPES[event])]
        held = annotation.removeprefix("tuple[").removesuffix(", ...]")
        assert held == "int" or hasattr(events, held)


def test_events_of_a_subclass_do_not_hide() -> None:
    assert all(issubclass(kind, MarketEvent) for kind in EVENT_TYPES.values())
    assert len(EVENT_TYPES) == len(MarketEvent.__subclasses__())


def own_errors() -> dict[str, AbiItem]:
    """The errors that our own sources declare; those of OpenZeppelin's internals may stay without words."""
    declared: set[str] = set()
    for file in (repository_root() / "contracts/src").rglob("*.sol"):
        declared |= set(re.findall(r"^\s*error (\w+)\(", file.read_text(), re.MULTILINE))
    return {item.name: item for item in known_errors().values() if item.name in declared}


def test_every_error_of_ours_has_words() -> None:
    assert len(own_errors()) > 70
    assert set(own_errors()) <= set(TEXTS)
    assert set(TEXTS) <= {item.name for item in known_errors().values()}, "words for an error that no longer exists"


@pytest.mark.parametrize("name", sorted(TEXTS))
def test_words_name_only_arguments_of_the_error(name: str) -> None:
    item = next(item for item in known_errors().values() if item.name == name)
    named = {part for _, part, _, _ in string.Formatter().parse(TEXTS[name]) if part is not None}
    assert named <= {parameter.name for parameter in item.inputs}


def test_every_function_of_the_market_is_bound() -> None:
    """Each function has a read or a builder of the same name; those of the EIP-712 domain are not needed."""
    ours = {name for name in dir(Market) if not name.startswith("_")}
    needed = {snake_case(name) for name in MARKET.functions} - {"eip712_domain", "eip712domain"}
    assert needed - ours == set()
    not_functions = {"identity", "simulate", "forget", "owner_of", "distributable_of", "claimed_among"}
    assert ours - needed == not_functions
    assert issubclass(Market, MarketReads)


def test_abi_files_are_what_the_sources_compile_to() -> None:
    """A stale ABI would decode the wrong thing. The compiler's artifacts are the reference."""
    artifacts = ensure_artifacts(repository_root())
    for name in CONTRACTS:
        path = Path("protocol/cohort_protocol/chain/abi") / f"{name}.json"
        shipped = json.loads((repository_root() / path).read_text())
        assert shipped == artifacts[name].abi, f"{path} is stale: python -m cohort_devnet.compiler --write-abi"
