"""`ProvenVerifier` on a local chain, with the policy whose answer is its hints and an insecure reference string."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from cohort_devnet.compiler import Selection, ensure_artifacts
from cohort_devnet.node import repository_root
from cohort_protocol.chain.codec import ContractAbi
from cohort_protocol.chain.transactions import TransactionReceipt, TransactionRequest
from cohort_protocol.commitments import ZERO32, MarketId
from cohort_protocol.proof.curve import Twist
from cohort_protocol.proof.statement import RoundStatement
from eth_abi import encode

from tests.fixtures.chain import Devnet

SELECTION = Selection(
    contracts={
        "ProvenVerifier": ("src/verification/proven/ProvenVerifier.sol:ProvenVerifier",),
        "HintedPolicy": ("test/support/HintedPolicy.sol:HintedPolicy",),
    },
    sources=(
        *("src/verification/proven", "src/verification/Quorum.sol", "src/rounds/Rows.sol", "src/hashing"),
        *("src/interfaces", "src/types", "test/support/HintedPolicy.sol"),
    ),
    folder="artifacts/proven",
)
MARKET = "0x" + "c1" * 20
"""Asks the verifier, as the market would."""
WITNESSES = 5
QUORUM = 3
CIDS = (b"\x11" * 32, b"\x22" * 32)
"""keccak256 of the CIDs of model and bundle."""


@dataclass(frozen=True)
class ProvenChain:
    """A deployed verifier."""

    devnet: Devnet
    abi: ContractAbi
    verifier: str
    policy: str

    @classmethod
    def deploy(cls, devnet: Devnet, tau_g2: Twist) -> ProvenChain:
        """Raises `TransactionReverted` if [tau]_2 is none."""
        artifacts = ensure_artifacts(repository_root(), selection=SELECTION)
        policy = _create(devnet, artifacts["HintedPolicy"].bytecode, b"")
        arguments = encode(["address", "uint256[4]"], [policy, list(tau_g2)])
        verifier = _create(devnet, artifacts["ProvenVerifier"].bytecode, arguments)
        return cls(devnet, ContractAbi(artifacts["ProvenVerifier"].abi), verifier, policy)

    @property
    def market(self) -> MarketId:
        """What statements and receipts are bound to."""
        return MarketId(self.devnet.client.chain_id, MARKET, self.verifier)

    @property
    def witnesses(self) -> list[str]:
        return [self.devnet.account("witness", index).address for index in range(WITNESSES)]

    def request(self, statement: RoundStatement, evidence: bytes, **changes: Any) -> TransactionRequest:
        """The call of `verify`. changes: members of the contract's statement."""
        fields = statement_fields(statement) | changes
        data = self.abi.encode_call("verify", fields, self.witnesses, QUORUM, evidence)
        return TransactionRequest(to=self.verifier, data=data, describe="verify")

    def verify(self, statement: RoundStatement, evidence: bytes, **changes: Any) -> bool:
        """Whether the model has a quorum's receipts. Raises `TransactionReverted` if the evidence is refused."""
        request = self.request(statement, evidence, **changes)
        answer = self.devnet.client.call(self.verifier, request.data, what="verify")
        return bool(self.abi.decode_result("verify", answer))

    def send(self, statement: RoundStatement, evidence: bytes) -> tuple[TransactionRequest, TransactionReceipt]:
        """The same as a transaction: what it costs stands in the receipt."""
        request = self.request(statement, evidence)
        return request, self.devnet.send(self.devnet.account("anyone"), request)


def _create(devnet: Devnet, bytecode: str, arguments: bytes) -> str:
    data = bytes.fromhex(bytecode.removeprefix("0x")) + arguments
    receipt = devnet.send(devnet.account("deployer"), TransactionRequest(to="", data=data, describe="create"))
    assert receipt.contract_address is not None
    return receipt.contract_address


def statement_fields(statement: RoundStatement) -> dict[str, Any]:
    """`IRoundVerifier.Statement` by member."""
    return {
        "market": statement.market,
        "project": statement.project,
        "round": statement.round,
        "dimension": statement.dimension,
        "admittedHash": statement.admitted_hash,
        "validation": statement.validation or ZERO32,
        "publicRows": statement.public_rows,
        "policyHash": statement.policy_hash,
        "outcomesHash": statement.outcomes_hash,
        "previousModel": statement.previous_model,
        "nextModel": statement.next_model,
        "nextModelCid": CIDS[0],
        "bundleCid": CIDS[1],
    }
