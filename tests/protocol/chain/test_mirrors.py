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
from cohort_protocol.chain import types
from cohort_protocol.chain.codec import CONTRACTS, AbiItem, Parameter, contract_abi
from cohort_protocol.chain.events import EVENT_TYPES, MarketEvent, field_name
from cohort_protocol.chain.market import Market, MarketReads
from cohort_protocol.chain.reverts import TEXTS, known_errors
from cohort_protocol.chain.types import AbiStruct, snake_case
from cohort_protocol.phases import Phase

MARKET = contract_abi("CohortMarket")
# Solidity type -> Python annotation of a plain field.
PYTHON_TYPES = {
    "address": "str",
    "bool": "bool",
    "bytes": "bytes",
    "bytes32": "bytes",
    "bytes32[]": "tuple[bytes, ...]",
}


def structs_of_the_abi() -> dict[str, Parameter]:
    """Struct name -> a parameter of that type."""
    found: dict[str, Parameter] = {}

    def visit(parameter: Parameter) -> None:
        if parameter.type.startswith("tuple"):
            name = re.sub(r"^struct (\w+\.)?|(\[\])+$", "", parameter.internal_type)
            found[name] = parameter
        for component in parameter.components:
            visit(component)

    for item in [*MARKET.functions.values(), *MARKET.events.values()]:
        for parameter in (*item.inputs, *item.outputs):
            visit(parameter)
    return found


@pytest.mark.parametrize("name", sorted(structs_of_the_abi()))
def test_structs_have_the_members_of_the_abi(name: str) -> None:
    mirror = getattr(types, name)
    components = structs_of_the_abi()[name].components
    assert [field.name for field in fields(mirror)] == [snake_case(component.name) for component in components]
    for field, component in zip(fields(mirror), components, strict=True):
        assert field.type == expected_type(component), component.name


def expected_type(parameter: Parameter) -> str:
    if parameter.internal_type.startswith("enum "):
        return parameter.internal_type.removeprefix("enum ")
    if parameter.type == "tuple":
        return parameter.internal_type.removeprefix("struct ")
    if parameter.type == "tuple[]":
        return f"tuple[{parameter.internal_type.removeprefix('struct ').removesuffix('[]')}, ...]"
    if parameter.type == "address[]":
        return "tuple[str, ...]"
    return "int" if parameter.type.startswith("uint") else PYTHON_TYPES[parameter.type]


def test_every_struct_of_the_module_is_in_the_abi() -> None:
    mirrored = {name for name, kind in vars(types).items() if inspect.isclass(kind) and issubclass(kind, AbiStruct)} - {
        "AbiStruct",
        "Progress",
    }
    assert mirrored == set(structs_of_the_abi())
    outputs = MARKET.functions["progressOf"].outputs
    assert [f.name for f in fields(types.Progress)] == [output.name for output in outputs]


@pytest.mark.parametrize(("name", "mirror"), [("Phase", Phase), ("SkipReason", types.SkipReason)])
def test_enums_are_those_of_the_source(name: str, mirror) -> None:
    source = (repository_root() / "contracts/src/types/Types.sol").read_text()
    body = re.search(rf"enum {name} \{{([^}}]*)\}}", source)
    assert body is not None
    members = [snake_case(member.strip()).upper() for member in body.group(1).split(",")]
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
        assert field.type == expected_type(parameter), parameter.name
        assert not (parameter.indexed and parameter.type in ("bytes", "string", "tuple", "tuple[]"))


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
    assert len(own_errors()) > 40
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
    not_functions = {"identity", "simulate", "forget"}
    assert ours - needed == not_functions
    assert issubclass(Market, MarketReads)


def test_abi_files_are_what_the_sources_compile_to() -> None:
    """A stale ABI would decode the wrong thing. The compiler's artifacts are the reference."""
    artifacts = ensure_artifacts(repository_root())
    for name in CONTRACTS:
        path = Path("protocol/cohort_protocol/chain/abi") / f"{name}.json"
        shipped = json.loads((repository_root() / path).read_text())
        assert shipped == artifacts[name].abi, f"{path} is stale: python -m cohort_devnet.compiler --write-abi"
