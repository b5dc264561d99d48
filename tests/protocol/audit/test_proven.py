"""Rounds that prove themselves, audited: with the proof alone, with the files, and with whatever is changed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from cohort_devnet.accounts import demo_account, fund
from cohort_devnet.compiler import ensure_artifacts
from cohort_devnet.deployment import Options, deploy, pin_of
from cohort_devnet.node import AnvilNode, repository_root
from cohort_protocol.audit.cases import ProjectCase, RoundCase, Sources
from cohort_protocol.audit.findings import State, find
from cohort_protocol.audit.outcome import statement_on_chain
from cohort_protocol.audit.proven import CHECKS
from cohort_protocol.bundle_file import RoundBundle
from cohort_protocol.chain.client import ChainClient
from cohort_protocol.chain.codec import contract_abi
from cohort_protocol.chain.errors import TransactionReverted
from cohort_protocol.chain.journal import MemoryJournal
from cohort_protocol.chain.market import Market
from cohort_protocol.chain.sender import TransactionSender
from cohort_protocol.chain.token import Token
from cohort_protocol.chain.verification import gas_of, verification
from cohort_protocol.commitments import SettlementStatement, model_bytes_message, model_receipt_message, sign
from cohort_protocol.identifiers import parse_bytes32
from cohort_protocol.ipfs.cid import Cid
from cohort_protocol.proof.evidence import decode_evidence, encode_evidence
from cohort_protocol.proof.kzg_scheme import KzgScheme
from cohort_protocol.proof.proven_round import round_card, round_hints, round_statement, round_vectors
from cohort_protocol.proof.prover import prove
from cohort_protocol.proof.srs import Srs, make_insecure_srs
from cohort_protocol.sealing.errors import NotAReader

from tests.fixtures.chain import SEED, Devnet, SteadyControl
from tests.protocol.audit.market import RealScene, TwistedClient, not_true, states


@dataclass(frozen=True)
class ProvenDevnet:
    """A chain whose market takes proven projects."""

    devnet: Devnet
    srs: Srs
    file: Path


@pytest.fixture(scope="module")
def proven_devnet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProvenDevnet]:
    home = tmp_path_factory.mktemp("proven")
    file = home / "small.srs"
    srs = make_insecure_srs(file, 64, "audit")
    with AnvilNode(home) as node:
        client = ChainClient(node.url, node.chain_id)
        control = SteadyControl(client)
        control.start()
        deployer = demo_account(SEED, "deployer")
        fund(control, [deployer.address])
        sender = TransactionSender(client, deployer, MemoryJournal())
        found = deploy(client, sender, ensure_artifacts(repository_root()), options=Options(srs=pin_of(file)))
        market, token = Market(client, found.market), Token(client, found.token or "")
        yield ProvenDevnet(Devnet(node, client, control, found, market, token), srs, file)


@dataclass
class ProvenScene(RealScene):
    """Settles with proofs. `words`: how many witnesses vouch for the next model's bytes."""

    words: int = 2

    @classmethod
    def begin(cls, proven: ProvenDevnet, home: Path, **how) -> ProvenScene:
        deployment = proven.devnet.deployment
        terms = {
            "verifier": deployment.proven_verifier,
            "verifier_code_hash": parse_bytes32(deployment.code_hashes["ProvenVerifier"]),
        }
        # The policy that the verifier runs reads batches where there are some.
        return cls.make(proven.devnet, home, scheme=KzgScheme(proven.srs), policy="default", **how, **terms)

    def evidence_of(self, bundle: RoundBundle, cid: Cid) -> bytes:
        """A proof of what is true, whatever the bundle says besides."""
        true = self.compute().bundle
        statement = round_statement(true, self.terms.verifier)
        proof = prove(self.scheme.srs, statement, round_vectors(true, self.opened, self.scheme), threads=1)
        model = parse_bytes32(bundle.next_model.commitment), bytes(Cid.parse(bundle.next_model.cid))
        message = model_bytes_message(self.identity, self.project, self.round_number(), *model, bytes(cid))
        words = [(index, sign(message, self.witnesses[index])) for index in range(self.words)]
        card, hints = round_card(true, self.store), round_hints(true)
        return encode_evidence(self.admissions, statement, proof, card, hints, words)


@pytest.fixture
def proven(proven_devnet: ProvenDevnet) -> Iterator[ProvenDevnet]:
    with proven_devnet.devnet.undone():
        yield proven_devnet


def test_a_proven_project_is_true_in_every_check(proven: ProvenDevnet, tmp_path: Path) -> None:
    scene = ProvenScene.begin(proven, tmp_path, batches=True)
    scene.run()
    scene.run()
    found = scene.audit(srs=proven.file)
    assert not_true(found) == {}
    by_name = {one.where: one for one in found.findings}
    assert by_name["proof of round 2"].figures["rows"] == 3
    assert int(by_name["proof of round 2"].figures["public_rows"]) >= 4, "a past step and the rows of the batch"
    assert by_name["past-steps of round 1"].figures["steps"] == 0
    assert by_name["past-steps of round 2"].figures["steps"] == 1
    assert {"proven-scores of round 1", "model-sum of round 2", "bundle-proven of round 2"} <= set(by_name)
    assert "attestation of round 1" not in by_name, "nobody attests to a proven round"


def test_the_proof_needs_neither_files_nor_a_reference_string(proven: ProvenDevnet, tmp_path: Path) -> None:
    scene = ProvenScene.begin(proven, tmp_path)
    scene.run()
    for path in (scene.store.root / "blocks").rglob("*"):
        if path.is_file() and path.name != str(Cid(0x55, scene.terms.spec_digest)):
            path.unlink()
    found = scene.audit()
    assert states(found, State.FALSE) == {}
    trues = states(found, State.TRUE)
    assert {f"{name} of round 1" for name in ("proof", "proven-scores", "model-sum", "pay", "standing")} <= set(trues)
    assert {"files of round 1", "outcome of round 1"} <= set(states(found, State.UNKNOWN))


def test_a_bundle_that_says_something_else_than_the_proof_is_false(proven: ProvenDevnet, tmp_path: Path) -> None:
    """The proof binds the outcome; what the aggregator publishes beside it is what the audit has to compare."""
    scene = ProvenScene.begin(proven, tmp_path)
    scene.admit()
    true = scene.compute().bundle
    gram = [list(line) for line in true.gram]
    gram[0][1] = gram[1][0] = gram[0][1] + 1
    scene.finish(true.model_copy(update={"gram": gram}))
    found = states(scene.audit(srs=proven.file), State.FALSE)
    assert "gram of the bundle is not what was proven" in found["bundle-proven of round 1"]
    assert "outcome of round 1" in found
    assert "proof of round 1" not in found


def test_a_model_that_waited_for_receipts_is_checked(proven: ProvenDevnet, tmp_path: Path) -> None:
    scene = ProvenScene.begin(proven, tmp_path)
    scene.words = 0
    scene.admit()
    scene.finish()
    found = scene.audit(srs=proven.file)
    assert not_true(found) == {}
    assert "had to wait" in states(found, State.TRUE)["model-bytes of round 1"]
    assert "which waits for receipts" in states(found, State.TRUE)["model-line"]
    message = model_receipt_message(scene.identity, scene.project, scene.models[0][0])
    signatures = scene.witness_signatures(message)
    scene.devnet.send(scene.devnet.account("anyone"), scene.market.receipt_model(scene.project, signatures))
    found = scene.audit(srs=proven.file)
    assert not_true(found) == {}
    assert "1 got a quorum of receipts" in states(found, State.TRUE)["model-receipts"]


def test_a_model_that_was_dropped_leaves_the_one_before(proven: ProvenDevnet, tmp_path: Path) -> None:
    scene = ProvenScene.begin(proven, tmp_path)
    scene.words = 0
    scene.run()
    scene.devnet.control.warp_to(scene.market.progress_of(scene.project).pending_until)
    scene.models.clear()
    scene.open()
    scene.commit()
    found = scene.audit(srs=proven.file)
    assert not_true(found) == {}
    assert "1 were dropped" in states(found, State.TRUE)["model-receipts"]


def test_a_private_project_is_checked_without_its_updates(proven: ProvenDevnet, tmp_path: Path) -> None:
    scene = ProvenScene.begin(proven, tmp_path, private=True)
    scene.run()
    found = scene.audit(srs=proven.file)
    assert not_true(found) == {}
    absent = states(found, State.ABSENT)
    for name in ("outcome", "scores", "next-model"):
        assert absent[f"{name} of round 1"].startswith("private: "), name
    trues = states(found, State.TRUE)
    assert "(3 updates are sealed)" in trues["files of round 1"]
    assert {"proof of round 1", "proven-scores of round 1", "policy of round 1", "pay of round 1"} <= set(trues)


def test_a_reader_checks_all_of_a_private_project(proven: ProvenDevnet, tmp_path: Path) -> None:
    """With the key of a witness, or of the aggregator, every check of a public project is made."""
    scene = ProvenScene.begin(proven, tmp_path, private=True, batches=True)
    scene.run()
    scene.run()
    for reader in (scene.witnesses[2], scene.aggregator):
        found = scene.audit(srs=proven.file, reader=reader)
        assert not_true(found) == {}
        assert not [text for text in states(found, State.ABSENT).values() if text.startswith("private")]
        trues = states(found, State.TRUE)
        for name in ("outcome", "scores", "next-model", "public-rows"):
            assert f"{name} of round 2" in trues, name
        assert "3 updates and the models open" in trues["files of round 2"]
        assert "contribution of round 2" in states(found, State.SHOWN)


def test_a_key_that_is_no_readers_is_refused_before_anything_is_checked(proven: ProvenDevnet, tmp_path: Path) -> None:
    scene = ProvenScene.begin(proven, tmp_path, private=True)
    scene.run()
    seen: list[object] = []
    with pytest.raises(NotAReader, match=f"{scene.trainers[0].address} is not among the readers") as refused:
        scene.audit(srs=proven.file, reader=scene.trainers[0], saw=seen.append)
    assert seen == []
    assert scene.trainers[0].key.hex() not in str(refused.value)
    scene.block_file(Cid(0x55, scene.terms.spec_digest)).unlink()
    found = scene.audit(srs=proven.file, reader=scene.trainers[0])
    assert "spec" in states(found, State.UNKNOWN), "without the spec nobody can say who reads"


def test_a_reader_finds_a_sealed_update_that_was_damaged(proven: ProvenDevnet, tmp_path: Path) -> None:
    scene = ProvenScene.begin(proven, tmp_path, private=True)
    scene.run()
    path = scene.block_file(Cid.from_bytes(scene.rows_of[1][1].cid))
    path.write_bytes(path.read_bytes()[:-1])
    found = scene.audit(srs=proven.file, reader=scene.witnesses[0])
    assert "the update of row 1 is damaged in the store" in states(found, State.FALSE)["files of round 1"]
    assert not_true(scene.audit(srs=proven.file)) == {}, "whoever is no reader does not look at it"


# --- calldata that is not what was settled ----------------------------------------------------------------------------


def settlement(scene: ProvenScene) -> tuple[bytes, Any]:
    """The evidence in the calldata of round 1's settlement, and its parts."""
    client = ChainClient(scene.devnet.node.url)
    case = ProjectCase(Sources(client, Market(client, scene.market.address), scene.store), scene.project, print)
    record = case.record.rounds[1]
    call = case.calls.named(record.settled.at.transaction_hash, "settle", scene.project, 1)[0]
    evidence = call.arguments["evidence"]
    return evidence, decode_evidence(evidence, record.opened.model, any(record.public_rows))


def with_evidence(scene: ProvenScene, old: bytes, new: bytes) -> dict[str, str]:
    """Checks of the proof that are false if a node shows other bytes in the calldata."""
    assert len(old) == len(new)
    assert old != new

    def twist(method: str, result: Any) -> Any:
        if method == "eth_getTransactionByHash":
            return {**result, "input": result["input"].replace(old.hex(), new.hex())}
        return result

    client = TwistedClient(scene.devnet.node.url, twist)
    case = ProjectCase(Sources(client, Market(client, scene.market.address), scene.store), scene.project, print)
    one = RoundCase(case, case.record.rounds[1], print)
    findings = [find(check, one, 1) for check in CHECKS]
    return {finding.where: finding.text for finding in findings if finding.state is State.FALSE}


CHANGES: dict[str, Callable[[Any], Any]] = {
    "v1": lambda parts: replace(parts.proof, v1=parts.proof.v1 ^ 1),
    "s1": lambda parts: replace(parts.proof, s1=parts.proof.s1 ^ 1),
    "h": lambda parts: replace(parts.proof, h=parts.proof.h ^ 1),
    "W": lambda parts: replace(parts.proof, quotient=parts.step),
    "W'": lambda parts: replace(parts.proof, opening=parts.step),
    "C_S": lambda parts: replace(parts.proof, correlation=parts.step),
}


@pytest.fixture
def settled(proven: ProvenDevnet, tmp_path: Path) -> ProvenScene:
    scene = ProvenScene.begin(proven, tmp_path)
    scene.run()
    return scene


def test_every_part_of_the_proof_counts(settled: ProvenScene) -> None:
    _, parts = settlement(settled)
    for name, change in CHANGES.items():
        found = with_evidence(settled, parts.proof.to_bytes(), change(parts).to_bytes())
        assert "proof of round 1" in found, name


def test_another_gram_matrix_is_false_by_the_proof(settled: ProvenScene) -> None:
    _, parts = settlement(settled)
    changed = bytearray(parts.gram)
    changed[-1] ^= 1
    found = with_evidence(settled, parts.gram, bytes(changed))
    assert "proof of round 1" in found
    assert "bundle-proven of round 1" in found


def changed_hints(evidence: bytes, hints: bytes) -> list[bytes]:
    """The evidence with each byte of the hints, at its end, raised by one, lowered by one, and all bits set."""
    start = len(evidence) - len(hints)
    assert hints
    assert evidence[start:] == hints
    return [
        evidence[:place] + bytes([value & 255]) + evidence[place + 1 :]
        for place in range(start, len(evidence))
        for value in (evidence[place] + 1, evidence[place] - 1, 255)
        if value & 255 != evidence[place]
    ]


def test_wrong_hints_change_no_outcome(settled: ProvenScene) -> None:
    """Hints are not in the transcript: whoever settles chooses them. The contract refuses them, or they change
    nothing; what an auditor derives does not read them."""
    evidence, parts = settlement(settled)
    said = settled_statement(settled)
    answers = [refusal(settled, said, hinted) for hinted in changed_hints(evidence, parts.hints)]
    assert set(answers) <= {None, "MedianWrong", "CompanyWrong"}, "taken are those that name an equal value"
    assert len(answers) - answers.count(None) > len(parts.hints)
    other = replace(said, outcomes_hash=flipped(said.outcomes_hash))
    assert refusal(settled, other, evidence) == "ScoresMismatch", "what hints help to compute is compared with this"
    for hinted in changed_hints(evidence, parts.hints)[:3]:
        assert with_evidence(settled, evidence, hinted) == {}, "an auditor derives scores without them"


def refusal(scene: ProvenScene, said: SettlementStatement, evidence: bytes) -> str | None:
    """The error with which the verifier refuses; None if it accepts."""
    terms = scene.terms
    request = verification(terms.verifier, scene.market.address, said, terms.witnesses, terms.quorum, evidence)
    try:
        gas_of(scene.market.client, request, scene.aggregator.address)
    except TransactionReverted as error:
        return error.name
    return None


def settled_statement(scene: ProvenScene) -> SettlementStatement:
    """What round 1's settlement said."""
    client = ChainClient(scene.devnet.node.url)
    case = ProjectCase(Sources(client, Market(client, scene.market.address), scene.store), scene.project, print)
    return statement_on_chain(RoundCase(case, case.record.rounds[1], print))


def flipped(data: bytes) -> bytes:
    """With the lowest bit of the last byte changed."""
    return data[:-1] + bytes([data[-1] ^ 1])


def test_truncated_evidence_is_false_in_words(settled: ProvenScene) -> None:
    evidence, _ = settlement(settled)
    found = with_evidence(settled, evidence, b"\xff" * 4 + evidence[4:])
    assert "proof of round 1" in found


def test_another_next_model_is_not_the_sum(settled: ProvenScene) -> None:
    topic = next(
        digest for digest, event in contract_abi("CohortMarket").events.items() if event.name == "RoundSettled"
    )
    true, other = settled.models[0][0], settled.terms.initial_model

    def twist(method: str, result: Any) -> Any:
        if method != "eth_getLogs":
            return result
        return [
            {**log, "data": log["data"].replace(true.hex(), other.hex())}
            if log["topics"][0] == "0x" + topic.hex()
            else log
            for log in result
        ]

    found = settled.audit(client=TwistedClient(settled.devnet.node.url, twist), rounds=[1])
    false = states(found, State.FALSE)
    assert {"model-sum of round 1", "proof of round 1", "model-line"} <= set(false)
