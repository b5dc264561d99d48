"""A small market whose rounds prove themselves, as processes: the worker is killed while it proves; afterwards the kept
chain and the block store are all that is needed to check every proof again, and every false settlement is refused."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from cohort_devnet.address_book import Deployment
from cohort_devnet.demo.history import History
from cohort_devnet.demo.report import Report
from cohort_devnet.node import AnvilNode
from cohort_protocol.audit.calls import Calls
from cohort_protocol.bundle import RoundBundle, statement_of
from cohort_protocol.bundle_file import MAX_BUNDLE_BYTES
from cohort_protocol.chain.client import ChainClient
from cohort_protocol.chain.errors import TransactionReverted
from cohort_protocol.chain.events import RoundSettled
from cohort_protocol.chain.market import Market
from cohort_protocol.chain.proven import ProvenVerifier
from cohort_protocol.chain.verification import gas_of, verification
from cohort_protocol.commitments import SettlementStatement, admitted_hash
from cohort_protocol.errors import Unavailable
from cohort_protocol.ipfs.cid import Cid
from cohort_protocol.ipfs.embedded import EmbeddedStore
from cohort_protocol.proof.curve import add, compress, decompress
from cohort_protocol.proof.evidence import decode_evidence
from cohort_protocol.proof.proven_round import round_statement
from cohort_protocol.proof.statement import HASHES
from cohort_protocol.proof.verifier import verify
from cohort_protocol.service.client import ServiceClient
from cohort_protocol.service.errors import ServiceNotFound

from tests.market.running import DemoProcess

pytestmark = [pytest.mark.market, pytest.mark.timeout(900)]

SIZE = ("--rounds", "2", "--trainers", "4", "--cheaters", "1", "--seed", "7")


def kill_the_prover(demo: DemoProcess, url: str, project: int) -> int:
    """SIGKILL to the worker as soon as the service says that it proves; the part that it was at, 0 if it never did."""
    version = -1
    with ServiceClient(url, timeout=5.0, retries=0) as service:
        while demo.process.poll() is None:
            try:
                state = service.state(project, version, 1.0 if version >= 0 else 0.0)
            except (Unavailable, ServiceNotFound):
                time.sleep(0.1)
                continue
            version = state.version
            proof = state.round.proof if state.round is not None else None
            if proof is not None and proof.state == "proving":
                demo.kill("worker")
                return proof.part
    return 0


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> DemoProcess:
    """A finished run."""
    folder: Path = tmp_path_factory.mktemp("proven") / "demo-report"
    with DemoProcess(folder, *SIZE) as demo:
        where = demo.addresses()
        part = kill_the_prover(demo, where["api"], where["project"])
        status = demo.finish()
    assert status == 0, demo.text()
    assert part > 0, demo.text()
    return demo


@pytest.fixture(scope="module")
def report(demo: DemoProcess) -> Report:
    return demo.report()


def test_every_round_is_settled_by_a_proof_and_the_report_says_so(demo: DemoProcess, report: Report) -> None:
    assert report.project.settlement == "proven"
    assert [entry.outcome for entry in report.rounds] == ["settled", "settled"]
    for entry in report.rounds:
        assert entry.proof is not None
        assert (entry.proof.mode, entry.proof.bytes) == ("proven", 320)
        assert entry.proof.prove_seconds > 0
        assert 100_000 < entry.proof.verify_gas < 2_000_000
        assert entry.proof.receipts >= 2
        settle = next(step.gas for step in entry.gas if step.step == "settle")
        assert settle > entry.proof.verify_gas
    assert report.timing.restarts["worker"] == 1
    assert report.money.balanced
    assert report.baseline.accuracy_final > report.baseline.accuracy_initial + 0.1
    assert "checked a proof of each round" in " ".join(demo.text().split())
    assert "accepted by the contract" in demo.text()
    assert demo.left_behind() == []


@pytest.fixture(scope="module")
def kept(demo: DemoProcess, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Market, Deployment]]:
    """The chain that the run left, on a node of its own."""
    deployment = Deployment.load(demo.folder / "deployment.json")
    state = demo.folder / "chain-state.json"
    with AnvilNode.load(state, tmp_path_factory.mktemp("kept"), port=0) as node:
        yield Market(ChainClient(node.url), deployment.market), deployment


def settlements(demo: DemoProcess, market: Market) -> list[tuple[RoundBundle, Cid, bytes]]:
    """(bundle, its CID, evidence) of every settled round, from chain and block store alone."""
    store, calls = EmbeddedStore(demo.folder / "run" / "ipfs"), Calls(market.client, market.address)
    found = []
    history = History.read(market, 1, "bafkreiunused")
    for entry in history.closed():
        (event,) = entry.of(RoundSettled)
        (call,) = calls.named(event.at.transaction_hash, "settle", 1, entry.number)
        cid = Cid.from_bytes(event.bundle_cid)
        bundle = RoundBundle.from_bytes(store.get(cid, MAX_BUNDLE_BYTES))
        found.append((bundle, cid, call.arguments["evidence"]))
    return found


def test_anybody_can_check_every_proof_again(demo: DemoProcess, kept: tuple[Market, Deployment]) -> None:
    """In Python, from calldata; and the models are one line of commitments."""
    market, deployment = kept
    verifier = ProvenVerifier(market.client, deployment.proven_verifier or "")
    found = settlements(demo, market)
    model = market.terms_of(1).initial_model
    for bundle, _, evidence in found:
        statement = round_statement(bundle, verifier.address)
        assert statement.previous_model == model
        parts = decode_evidence(evidence, model, any(statement.public_rows))
        assert admitted_hash(parts.admissions) == statement.admitted_hash
        assert parts.commitments == statement.commitments
        verify(statement, parts.proof, verifier.tau_g2())
        model = compress(add(decompress(model), parts.step))
        assert model == statement.next_model
    assert len(found) == 2
    assert market.progress_of(1).model == model


def flipped(data: bytes, place: int) -> bytes:
    """With the lowest bit of one byte changed."""
    return data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]


def test_the_contract_takes_each_settlement_as_it_was_and_no_false_one(
    demo: DemoProcess, kept: tuple[Market, Deployment]
) -> None:
    market, _ = kept
    terms = market.terms_of(1)
    for bundle, cid, evidence in settlements(demo, market):
        said = statement_of(bundle, cid)

        def ask(statement: SettlementStatement, data: bytes) -> int:
            request = verification(terms.verifier, market.address, statement, terms.witnesses, terms.quorum, data)
            return gas_of(market.client, request, terms.aggregators[0])

        assert 100_000 < ask(said, evidence) < 2_000_000
        others = {"round": said.round + 1, "project": 2, "dimension": said.dimension - 1}
        others |= {name: flipped(getattr(said, name), 31) for name in HASHES}
        for name, value in others.items():
            with pytest.raises(TransactionReverted):
                ask(replace(said, **{name: value}), evidence)
        for place in range(0, len(evidence), 97):
            with pytest.raises(TransactionReverted):
                ask(said, flipped(evidence, place))
        with pytest.raises(TransactionReverted):
            ask(said, evidence[:-1])
        with pytest.raises(TransactionReverted):
            ask(said, evidence + b"\0")
