"""The harness contracts on a chain, and batches of cases put to them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any

from cohort_devnet.accounts import demo_account, fund
from cohort_devnet.compiler import Artifact, Selection, ensure_artifacts
from cohort_devnet.node import AnvilNode, DevnetControl, repository_root
from cohort_protocol.chain.client import ChainClient
from cohort_protocol.chain.codec import ContractAbi
from cohort_protocol.chain.journal import MemoryJournal
from cohort_protocol.chain.sender import TransactionSender
from cohort_protocol.chain.transactions import TransactionRequest
from cohort_protocol.commitments import MarketId
from eth_abi import decode, encode

from tests.differential.cases import KINDS, RULES, Kind, settlement_abi

_DIGESTS = "test/differential/harness/Digests.sol"
_FILES = {"PolicyRounds": "test/differential/harness/PolicyRounds.sol"}
"""Of contracts that stand elsewhere."""
SELECTION = Selection(
    contracts={
        RULES: ("test/differential/harness/Rules.sol:DifferentialRules",),
        **{
            name: (f"{_FILES.get(name, _DIGESTS)}:{name}",)
            for name in dict.fromkeys(kind.contract for kind in KINDS if kind.contract != RULES)
        },
    },
    sources=("src", "test/differential/harness", "test/support/PlainRules.sol", "test/support/Packed.sol"),
    folder="artifacts/differential",
)

BATCH = 50
"""Cases in one eth_call: what packs rows takes more memory, and so gas, the more there are."""


class Disagreement(AssertionError):
    """Python and Solidity say different things of one case."""


def harness_artifacts() -> dict[str, Artifact]:
    """Compiled from `contracts/test/differential/harness`."""
    return ensure_artifacts(repository_root(), selection=SELECTION)


class Harness:
    """The harness contracts, created on a local chain."""

    def __init__(self, client: ChainClient, sender: TransactionSender):
        self.client = client
        self.abis: dict[str, ContractAbi] = {}
        self.addresses: dict[str, str] = {}
        for name, artifact in harness_artifacts().items():
            code = bytes.fromhex(artifact.bytecode.removeprefix("0x"))
            receipt = sender.execute(TransactionRequest(to="", data=code, describe=f"create {name}"), f"create {name}")
            self.abis[name] = ContractAbi(artifact.abi)
            self.addresses[name] = receipt.contract_address or ""

    def identity(self, kind: Kind) -> MarketId:
        """The harness in the place of market and verifier."""
        address = self.addresses[kind.contract]
        return MarketId(self.client.chain_id, address, address)

    def answers(self, kind: Kind, cases: Sequence[Any]) -> list[Any]:
        """What Solidity says of each case."""
        function = self.abis[kind.contract].functions[kind.function]
        taken = [settlement_abi(case) for case in cases] if kind.function == "settlements" else list(cases)
        data = function.selector + encode([function.inputs[0].canonical], [taken])
        result = self.client.call(self.addresses[kind.contract], data, what=f"{kind.function} of {len(cases)} cases")
        found = decode([function.outputs[0].canonical], result)[0]
        return list(found)

    def compare(self, kind: Kind, count: int, seed: int) -> int:
        """Puts `count` random cases to both. Raises `Disagreement` with the first case that differs."""
        rng = Random(f"{kind.function}/{seed}")
        identity = self.identity(kind)
        for start in range(0, count, BATCH):
            cases = [kind.draw(rng) for _ in range(min(BATCH, count - start))]
            answers = self.answers(kind, cases)
            for case, answer in zip(cases, answers, strict=True):
                expected = kind.twin(case, identity)
                if answer != expected:
                    raise Disagreement(
                        f"{kind.function} of {case!r}: Solidity says {answer!r}, Python {expected!r} (seed {seed})"
                    )
        return count


def run(cases: int, seed: int, home: Path, report=print, only: Sequence[str] = ()) -> None:
    """Compares `cases` random cases of every rule, or of those in `only`, on a chain of its own."""
    with AnvilNode(home) as node:
        client, account = ChainClient(node.url, node.chain_id, timeout=60), demo_account(0, "deployer")
        fund(DevnetControl(client), [account.address])
        harness = Harness(client, TransactionSender(client, account, MemoryJournal()))
        for kind in (kind for kind in KINDS if not only or kind.function in only):
            report(f"{kind.function}: {harness.compare(kind, cases, seed):,} cases agree")
