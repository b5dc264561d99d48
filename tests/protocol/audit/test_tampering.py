"""Whatever is tampered with is found, and named by the check that sees it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from cohort_protocol.audit.errors import AuditFalse, AuditUnknown
from cohort_protocol.audit.findings import State
from cohort_protocol.bundle_file import BundleOutcome, PublishedModel, RoundBundle
from cohort_protocol.identifiers import parse_bytes32, to_hex
from cohort_protocol.ipfs.cid import Cid
from cohort_protocol.ipfs.errors import IpfsUnavailable
from cohort_protocol.scoring import PublicRows, policy_by_name
from cohort_protocol.update import decode_model, encode_model, model_commitment

from tests.fixtures.chain import Devnet
from tests.protocol.audit.market import RealScene, not_true, states


@pytest.fixture
def scene(devnet: Devnet, tmp_path: Path) -> RealScene:
    return RealScene.make(devnet, tmp_path)


def falses(scene: RealScene, **how) -> dict[str, str]:
    found = scene.audit(**how)
    with pytest.raises(AuditFalse):
        found.raise_if_not_true()
    return states(found, State.FALSE)


# --- files ------------------------------------------------------------------------------------------------------------


def test_a_bundle_that_is_gone_is_unknown_and_everything_else_is_still_checked(scene: RealScene) -> None:
    scene.run()
    scene.block_file(Cid.from_bytes(scene.paid[1].bundle_cid)).unlink()
    found = scene.audit()
    assert set(not_true(found)) == {"bundle of round 1", "policy of round 1"}
    assert "is not in the store" in states(found, State.UNKNOWN)["bundle of round 1"]
    assert states(found, State.TRUE).keys() >= {"outcome of round 1", "scores of round 1", "pay of round 1"}
    with pytest.raises(AuditUnknown, match="bundle of round 1 is unknown"):
        found.raise_if_not_true()


def test_a_settlement_that_names_another_bundle_is_false(scene: RealScene) -> None:
    scene.admit()
    true = scene.compute().bundle
    changed = true.verdicts[0].model_copy(update={"sentence": "accepted, and a fine fellow"})
    scene.finish(true.model_copy(update={"verdicts": [changed, *true.verdicts[1:]]}))
    found = falses(scene)
    assert set(found) == {"outcome of round 1"}
    assert "verdicts[0].sentence" in found["outcome of round 1"]


def test_a_bundle_that_is_none_is_false(scene: RealScene) -> None:
    scene.admit()
    true = scene.compute().bundle
    scene.finish(true, scene.store.put(b"{}"))
    assert {"bundle of round 1", "outcome of round 1"} <= set(falses(scene))


def test_a_bundle_of_another_round_is_false(scene: RealScene) -> None:
    scene.run()
    first = Cid.from_bytes(scene.paid[1].bundle_cid)
    scene.admit()
    scene.finish(cid=first)
    found = falses(scene)
    assert "the bundle says round 1, settled was 2" in found["bundle of round 2"]
    assert "outcome of round 2" in found


def test_a_flipped_byte_in_the_block_store_is_false_and_names_the_file(scene: RealScene) -> None:
    scene.run()
    opening = scene.updates[1, scene.trainers[1].address]
    path = scene.block_file(Cid.from_bytes(opening.cid))
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    found = scene.audit()
    assert set(states(found, State.FALSE)) == {"files of round 1"}
    assert "the update of row 1 is damaged in the store" in states(found, State.FALSE)["files of round 1"]
    assert "outcome of round 1" in states(found, State.UNKNOWN)


def test_missing_updates_are_unknown_not_false(scene: RealScene) -> None:
    scene.run()
    for trainer in scene.trainers[:2]:
        scene.block_file(Cid.from_bytes(scene.updates[1, trainer.address].cid)).unlink()
    found = scene.audit()
    assert states(found, State.FALSE) == {}
    unknown = states(found, State.UNKNOWN)
    assert "the update of row 0 cannot be had" in unknown["files of round 1"]
    assert set(unknown) == {f"{name} of round 1" for name in ("files", "outcome", "scores", "next-model")}
    # The policy on the bundle's own Gram matrix needs no update.
    assert "policy of round 1" in states(found, State.TRUE)
    assert found.state is State.UNKNOWN


def test_an_update_under_a_cid_of_other_content_is_false(scene: RealScene) -> None:
    """The commitment on chain decides: a CID that leads to well-formed bytes of something else does not pass."""
    other = scene.store.put(encode_model(np.zeros(scene.spec.model.dimension, np.int64)))
    number = scene.round_number() + 1
    scene.open()
    opening = scene.opening_of(scene.trainers[0])
    scene.updates[number, scene.trainers[0].address] = type(opening)(
        opening.member, opening.update, bytes(other), opening.salt
    )
    scene.commit()
    scene.reveal()
    found = scene.audit()
    assert not_true(found) == {}, "the round runs: nothing of it was settled"
    # Witnesses who look would have refused; a colluding quorum admitted it, and nobody can compute the round.
    devnet = scene.devnet
    devnet.control.warp_to(scene.view().settle_end)
    devnet.send(devnet.account("anyone"), scene.market.close_round(scene.project, number, scene.admissions))
    assert "the update of row 0 is wrong" in falses(scene)["files of round 1"]


def test_a_store_that_does_not_answer_is_unknown(scene: RealScene) -> None:
    scene.run()

    class Silent(type(scene.store)):
        def _read_block(self, cid: Cid) -> bytes:
            raise IpfsUnavailable("nobody is there")

    found = scene.audit(Silent(scene.store.root))
    assert states(found, State.FALSE) == {}
    assert {"spec", "first-model", "outcome of round 1"} <= set(states(found, State.UNKNOWN))
    # Money, signatures and pay need no file.
    assert {"ledger", "attestation of round 1", "pay of round 1"} <= set(states(found, State.TRUE))


# --- a quorum that lies -----------------------------------------------------------------------------------------------


def with_scores(bundle: RoundBundle, scores: list[int]) -> RoundBundle:
    outcomes = [
        BundleOutcome(score=score, reason=0, weight=row.weight, clip=row.clip)
        for score, row in zip(scores, bundle.outcomes, strict=True)
    ]
    return bundle.model_copy(update={"outcomes": outcomes})


def test_wrong_scores_of_a_colluding_quorum_are_false_and_the_pay_still_follows_from_them(scene: RealScene) -> None:
    scene.admit()
    scene.finish(with_scores(scene.compute().bundle, [2**32, 2**28, 2**28]))
    found = falses(scene)
    assert set(found) == {f"{name} of round 1" for name in ("policy", "outcome", "scores")}
    assert "row 0 has score" in found["scores of round 1"]
    assert "outcomes[0].score should be" in found["outcome of round 1"]
    trues = states(scene.audit(), State.TRUE)
    assert {"attestation of round 1", "pay of round 1", "payout-root of round 1"} <= set(trues)


def test_scores_that_fit_a_forged_gram_matrix_are_false_by_the_updates(scene: RealScene) -> None:
    scene.admit()
    true = scene.compute().bundle
    gram = [[int(value) for value in line] for line in true.gram]
    gram[0][1] = gram[1][0] = gram[0][1] // 2
    judged = policy_by_name("peer").evaluate(tuple(map(tuple, gram)), 3, PublicRows())
    assert [row.score for row in judged.rows] != [int(row.score) for row in true.outcomes]
    outcomes = [
        BundleOutcome(score=row.score, reason=int(row.reason), weight=row.weight, clip=row.clip) for row in judged.rows
    ]
    scene.finish(true.model_copy(update={"gram": gram, "outcomes": outcomes}))
    found = falses(scene)
    assert "policy of round 1" not in found, "they do follow from the bundle's own matrix"
    assert "gram[0][1]" in found["outcome of round 1"]
    assert "scores of round 1" in found


def test_a_gram_matrix_that_no_rows_have_is_false_by_the_policy(scene: RealScene) -> None:
    scene.admit()
    true = scene.compute().bundle
    # Any two rows together would have a negative square.
    gram = [[int(value) if i == j else -(10**15) for j, value in enumerate(line)] for i, line in enumerate(true.gram)]
    scene.finish(true.model_copy(update={"gram": gram}))
    found = falses(scene)
    assert "which no rows have" in found["policy of round 1"]
    assert set(found) == {"policy of round 1", "outcome of round 1"}
    assert not states(scene.audit(), State.UNKNOWN)


def test_a_wrong_model_of_a_colluding_quorum_is_false(scene: RealScene) -> None:
    scene.admit()
    done = scene.compute()
    model = decode_model(done.model_bytes, scene.spec.model.dimension) + 1
    wrong = PublishedModel(commitment=to_hex(model_commitment(model)), cid=str(scene.store.put(encode_model(model))))
    scene.finish(done.bundle.model_copy(update={"next_model": wrong}))
    found = falses(scene)
    assert set(found) == {"outcome of round 1", "next-model of round 1"}
    assert wrong.commitment in found["next-model of round 1"]
    # The next round honestly goes on from there: only the first one is wrong.
    scene.run()
    assert set(falses(scene)) == set(found)


def test_a_model_whose_bytes_do_not_open_its_commitment_is_false(scene: RealScene) -> None:
    scene.admit()
    done = scene.compute()
    other = np.zeros(scene.spec.model.dimension, np.int64)
    wrong = done.bundle.next_model.model_copy(update={"cid": str(scene.store.put(encode_model(other)))})
    scene.finish(done.bundle.model_copy(update={"next_model": wrong}))
    found = falses(scene)
    assert "the model it left is wrong" in found["files of round 1"]
    assert parse_bytes32(done.bundle.next_model.commitment) == scene.models[0][0]


def test_public_rows_that_do_not_follow_from_the_batch_are_false(devnet: Devnet, tmp_path: Path) -> None:
    from cohort_protocol.commitments import public_rows_message
    from cohort_protocol.learning.public_rows import compute_rows
    from cohort_protocol.round_rows import encode_row

    class Forger(RealScene):
        def _post_rows(self, number: int) -> None:
            true = compute_rows(self.inputs(), self.spec, self.store)
            true.publish(self.store)
            forged = -true.rows[0]
            cid = str(self.store.put(encode_row(forged)))
            manifest = true.manifest.model_copy(update={"rows": [cid, *true.manifest.rows[1:]]})
            self.store.put(manifest.to_bytes())
            message = public_rows_message(self.identity, self.project, number, manifest.digest)
            signatures = self.witness_signatures(message)
            self.devnet.send(
                self.aggregator, self.market.post_public_rows(self.project, number, manifest.digest, signatures)
            )
            self.facts[-1] = (number, self.facts[-1][1], manifest.digest)

    scene = Forger.make(devnet, tmp_path, batches=True)
    scene.run()
    found = falses(scene)
    assert set(found) == {"public-rows of round 1"}
    assert "differs by up to" in found["public-rows of round 1"]
