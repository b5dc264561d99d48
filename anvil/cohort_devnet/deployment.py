"""Deploying the contracts on a local chain, and the file that says where they are."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from cohort_protocol.chain.client import ChainClient
from cohort_protocol.chain.errors import ChainError, WrongChain
from cohort_protocol.chain.sender import TransactionSender
from cohort_protocol.chain.transactions import TransactionReceipt, TransactionRequest
from cohort_protocol.errors import InvalidInput
from cohort_protocol.identifiers import Address, Bytes32, to_hex
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from cohort_devnet.node import DEVNET_CHAIN_ID

CONTRACTS = ("TestToken", "AttestedVerifier", "CohortMarket")
"""In order of deployment. None takes constructor arguments."""


class Creatable(Protocol):
    """A compiled contract, as `compiler.ensure_artifacts` gives it."""

    @property
    def bytecode(self) -> bytes | str:
        """Creation code."""
        ...


class CodeChanged(ChainError):
    """The code at an address is not the one that was deployed: the chain was replaced, or the file is of another."""

    code = "code-changed"


class Deployment(BaseModel):
    """`deployment.json`: where the contracts of a local chain are. Stable; unknown fields are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    chain_id: int
    market: Address
    verifier: Address
    token: Address
    block: int = Field(ge=0)
    """Of the market's creation: no event of it is older."""
    code_hashes: dict[str, Bytes32]
    """keccak256 of the code of each contract, by its name."""

    def save(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh = path.with_name(path.name + ".new")
        fresh.write_text(self.model_dump_json(indent=2) + "\n", encoding="utf-8")
        fresh.replace(path)

    @classmethod
    def load(cls, path: Path) -> Deployment:
        """Raises `InvalidInput` if the file is missing or not a deployment."""
        try:
            return cls.model_validate_json(path.read_bytes())
        except OSError as error:
            raise InvalidInput(f"no deployment at {path}: {error}. Start one with `cohort devnet up`") from error
        except ValidationError as error:
            raise InvalidInput(f"{path} is not a deployment: {error}") from error

    def addresses(self) -> dict[str, str]:
        """Address of each contract by its name."""
        return {"CohortMarket": self.market, "AttestedVerifier": self.verifier, "TestToken": self.token}

    def verify(self, client: ChainClient) -> None:
        """Raises `WrongChain`, `NoContract` or `CodeChanged` unless these very contracts are on this chain."""
        if client.chain_id != self.chain_id:
            raise WrongChain(f"the deployment is on chain {self.chain_id}, this chain has id {client.chain_id}")
        for name, address in self.addresses().items():
            found = to_hex(client.require_code(address))
            if found != self.code_hashes[name]:
                raise CodeChanged(
                    f"the code of {name} at {address} has hash {found}, deployed was {self.code_hashes[name]}: this is "
                    "the deployment of another chain"
                )


def deploy(client: ChainClient, sender: TransactionSender, artifacts: Mapping[str, Creatable]) -> Deployment:
    """Deploys token, verifier and market. Safe to repeat with the same journal: nothing is deployed twice.

    Raises `WrongChain` on any chain but a local one: the test token is worthless and anyone can mint it.
    """
    if client.chain_id != DEVNET_CHAIN_ID:
        raise WrongChain(
            f"devnet contracts are deployed on chain {DEVNET_CHAIN_ID} only, this one has id {client.chain_id}"
        )
    created = {name: _create(sender, name, artifacts[name]) for name in CONTRACTS}
    addresses = {name: receipt.contract_address or "" for name, receipt in created.items()}
    return Deployment(
        chain_id=client.chain_id,
        market=addresses["CohortMarket"],
        verifier=addresses["AttestedVerifier"],
        token=addresses["TestToken"],
        block=created["CohortMarket"].block_number,
        code_hashes={name: to_hex(client.require_code(address)) for name, address in addresses.items()},
    )


def _create(sender: TransactionSender, name: str, artifact: Creatable) -> TransactionReceipt:
    code = artifact.bytecode
    if isinstance(code, str):
        code = bytes.fromhex(code.removeprefix("0x"))
    request = TransactionRequest(to="", data=code, describe=f"deploy {name}")
    return sender.execute(request, f"deploy {name}")
