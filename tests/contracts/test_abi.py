"""The ABI that cohort_protocol ships is that of the sources, and the market's parts cover its interface."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from cohort_devnet.compiler import ABI_FOLDER, CONTRACTS, SHIPPED, Artifact, abi_text, ensure_artifacts
from cohort_devnet.deployment import plan
from cohort_protocol.chain.codec import AbiItem, Parameter, contract_abi, encode_values
from cohort_protocol.chain.errors import TransactionReverted

from tests.fixtures.chain import Devnet

ROOT = Path(__file__).resolve().parents[2]
CODE_LIMIT = 24_576  # bytes, EIP-170


@pytest.fixture(scope="module")
def artifacts() -> dict[str, Artifact]:
    return ensure_artifacts(ROOT)


@pytest.mark.parametrize("name", SHIPPED)
def test_committed_abi_is_that_of_the_sources(name: str, artifacts: dict[str, Artifact]) -> None:
    committed = (ROOT / ABI_FOLDER / f"{name}.json").read_text()
    assert committed == abi_text(artifacts[name]), "run `python -m cohort_devnet.compiler --write-abi`"


def test_every_committed_abi_has_a_contract() -> None:
    assert {path.stem for path in (ROOT / ABI_FOLDER).glob("*.json")} == set(SHIPPED)


def test_the_market_covers_its_interface(artifacts: dict[str, Artifact]) -> None:
    """Most of it is reached through a fallback, so the compiler does not check this for us."""
    implemented = {_signature(item): _shape(item) for item in artifacts["CohortMarket"].abi}
    for item in _interface_abi():
        assert implemented.get(_signature(item)) == _shape(item)


def test_no_selector_means_two_things(artifacts: dict[str, Artifact]) -> None:
    """A function of one part would hide one of another with the same selector."""
    functions = [_signature(item) for item in artifacts["CohortMarket"].abi if item["type"] == "function"]
    assert len(functions) == len(set(functions))


@pytest.mark.parametrize("name", CONTRACTS)
def test_code_deploys_as_it_is(name: str, artifacts: dict[str, Artifact]) -> None:
    artifact = artifacts[name]
    creation = bytes.fromhex(artifact.bytecode.removeprefix("0x"))  # fails on the placeholder of a library
    runtime = bytes.fromhex(artifact.deployedBytecode.removeprefix("0x"))
    assert 0 < len(runtime) <= CODE_LIMIT
    assert len(runtime) < len(creation) <= 2 * CODE_LIMIT  # EIP-3860
    assert artifact.compiler.startswith("0.8.30+commit.")


def test_only_market_lens_and_proven_verifier_take_arguments(artifacts: dict[str, Artifact]) -> None:
    taking = {name for name, artifact in artifacts.items() if artifact.constructor}
    assert taking == {"CohortMarket", "MarketLens", "ProvenVerifier"}
    proven = {"ProvenVerifier", "DefaultPolicy"}  # only with a reference string
    assert {creation.name for creation in plan(artifacts, "devnet")} == set(CONTRACTS) - proven


def nothing(parameter: Parameter) -> Any:
    """The zero of a type."""
    if parameter.type.endswith("]"):
        return []
    if parameter.type == "tuple":
        return {part.name: nothing(part) for part in parameter.components}
    if parameter.type.startswith("bytes"):
        return bytes(int(parameter.type[5:] or 0))
    return {"address": "0x" + "00" * 20, "bool": False}.get(parameter.type, 0)


@pytest.mark.parametrize("function", contract_abi("CohortMarket").functions.values(), ids=lambda one: one.name)
def test_every_function_is_reached(devnet: Devnet, function: AbiItem) -> None:
    """The market's address sends each call to the part that has it: whatever comes back, it is that part's word. A
    call that ends up in a part without it comes back without any reason (`FailedCall` of OpenZeppelin's Address)."""
    arguments = [nothing(parameter) for parameter in function.inputs]
    if function.name == "multicall":
        arguments = [[contract_abi("CohortMarket").functions["projectCount"].selector]]
    if function.name == "selfPermit":
        arguments[0] = devnet.token.address  # a call to an address without code gives no reason either
    data = function.selector + encode_values(function.inputs, arguments, function.name)
    assert _outcome(devnet, data) not in ("FailedCall", "Unknown")


def _outcome(devnet: Devnet, data: bytes) -> str:
    """Name of the error that the market answers; empty if it answers at all."""
    try:
        devnet.client.call(devnet.market.address, data)
    except TransactionReverted as refused:
        return refused.name
    return ""


def test_an_unknown_function_is_refused(devnet: Devnet) -> None:
    assert _outcome(devnet, b"\xde\xad\xbe\xef") == "FailedCall"


def _signature(item: dict[str, Any]) -> tuple[str, str]:
    return item["type"], f"{item['name']}({','.join(_type(entry) for entry in item['inputs'])})"


def _shape(item: dict[str, Any]) -> dict[str, Any]:
    """The item without the names of its results, which an implementation may choose."""
    return item | {"outputs": [entry | {"name": ""} for entry in item.get("outputs", [])]}


def _type(entry: dict[str, Any]) -> str:
    if not entry["type"].startswith("tuple"):
        return entry["type"]
    return f"({','.join(_type(part) for part in entry['components'])}){entry['type'].removeprefix('tuple')}"


def _interface_abi() -> list[dict[str, Any]]:
    folder = ROOT / "contracts"
    sources = {
        path.relative_to(folder).as_posix(): {"content": path.read_text()}
        for part in ("interfaces", "types")
        for path in (folder / "src" / part).glob("*.sol")
    }
    request = {
        "language": "Solidity",
        "sources": sources,
        "settings": {"outputSelection": {"*": {"*": ["abi"]}}},
    }
    done = subprocess.run(
        [folder / "compiler" / "solc", "--standard-json"],
        input=json.dumps(request).encode(),
        capture_output=True,
        check=True,
        timeout=120,
    )
    output = json.loads(done.stdout)
    assert not output.get("errors"), output["errors"]
    return output["contracts"]["src/interfaces/ICohortMarket.sol"]["ICohortMarket"]["abi"]
