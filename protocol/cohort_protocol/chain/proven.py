"""The verifier contract of proven rounds: what its code pins (`contracts/src/verification/proven/`)."""

from __future__ import annotations

from typing import Any

from cohort_protocol.chain.client import BlockRef, ChainClient
from cohort_protocol.chain.codec import ContractAbi
from cohort_protocol.chain.errors import AnswerMalformed, NoContract, TransactionReverted
from cohort_protocol.identifiers import parse_address
from cohort_protocol.proof.curve import Twist, check_twist
from cohort_protocol.proof.errors import PointMalformed

_READS = ContractAbi(
    [
        {"type": "function", "name": name, "inputs": [], "outputs": [{"name": "", "type": kind}]}
        for name, kind in (("tau", "uint256[4]"), ("POLICY", "address"), ("POLICY_HASH", "bytes32"))
    ]
)


class ProvenVerifier:
    """Reads of one deployed verifier, all of them of immutables: the code hash that a project's terms pin covers them.

    Raises `NoContract` if the address has no verifier of proven rounds, `ChainUnavailable`."""

    def __init__(self, client: ChainClient, address: str) -> None:
        self.client = client
        self.address = parse_address(address)

    def tau_g2(self, ref: BlockRef = "latest") -> Twist:
        """[tau]_2 of the structured reference string that commitments must be made with, in EVM order."""
        x_im, x_re, y_im, y_re = self._read("tau", ref)
        tau = (x_im, x_re, y_im, y_re)
        try:
            check_twist(tau)
        except PointMalformed as error:
            raise AnswerMalformed(f"the contract at {self.address} names a [tau]_2 that is none: {error}") from error
        return tau

    def policy(self, ref: BlockRef = "latest") -> str:
        """Address of the policy contract that it runs."""
        return self._read("POLICY", ref)

    def policy_hash(self, ref: BlockRef = "latest") -> bytes:
        """Hash of the one policy, with its parameters, whose outcomes it accepts: 32 bytes."""
        return self._read("POLICY_HASH", ref)

    def _read(self, name: str, ref: BlockRef) -> Any:
        try:
            data = self.client.call(self.address, _READS.encode_call(name), ref=ref, what=name)
        except TransactionReverted as error:
            raise NoContract(f"the contract at {self.address} is no verifier of proven rounds: {error}") from error
        if not data:
            raise NoContract(f"nothing at {self.address} answers {name}: it is no verifier of proven rounds")
        return _READS.decode_result(name, data)
