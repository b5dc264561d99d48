"""The address book of a deployment: where the contracts are on one chain, and what code they have."""

from __future__ import annotations

from pathlib import Path

from cohort_protocol.chain.client import ChainClient
from cohort_protocol.chain.errors import ChainError, WrongChain
from cohort_protocol.errors import InvalidInput
from cohort_protocol.identifiers import Address, Bytes32, to_hex
from pydantic import BaseModel, ConfigDict, Field, ValidationError

MAX_BYTES = 1 << 20
"""Largest file that is read; an address book has a few thousand bytes."""


class CodeChanged(ChainError):
    """The code at an address is not the one that was deployed: the chain was replaced, or the file is of another."""

    code = "code-changed"


class Deployment(BaseModel):
    """`deployment.json`, the address book: where the contracts are on one chain. Stable; unknown fields are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    chain_id: int
    profile: str
    """Which of `cohort_protocol.chain.profiles` fixed windows and fee."""
    market: Address
    parts: dict[str, Address]
    """The contracts whose code the market runs besides its own, by name."""
    lens: Address
    verifier: Address
    """`AttestedVerifier`."""
    policy: Address
    """`SuppliedScores`."""
    proven_verifier: Address | None = None
    """`ProvenVerifier`; None: this market takes attested projects only."""
    proven_policy: Address | None = None
    """`DefaultPolicy`, which it runs."""
    srs_digest: Bytes32 | None = None
    """Of the reference string whose [tau]_2 it holds, see `cohort srs show`."""
    token: Address | None
    """The worthless test token; None on every chain but a local one."""
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
            with path.open("rb") as file:
                return cls.model_validate_json(file.read(MAX_BYTES))
        except ValidationError as error:
            raise InvalidInput(f"{path} is not a deployment: {error}") from error
        except (OSError, ValueError) as error:
            # ValueError: a path with a zero in it.
            raise InvalidInput(f"no deployment at {path}: {error}. Start one with `cohort devnet up`") from error

    def addresses(self) -> dict[str, str]:
        """Address of each contract by its name."""
        found = {
            "CohortMarket": self.market,
            **self.parts,
            "MarketLens": self.lens,
            "AttestedVerifier": self.verifier,
            "SuppliedScores": self.policy,
        }
        more = {"ProvenVerifier": self.proven_verifier, "DefaultPolicy": self.proven_policy, "TestToken": self.token}
        return found | {name: address for name, address in more.items() if address is not None}

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
