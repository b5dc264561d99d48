"""What the report says of rounds that nobody could settle, and of models that are not what the chain says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from cohort_devnet.demo.accuracy import AccuracyMeter
from cohort_devnet.demo.collect import History, collect_rounds, collect_trainers
from cohort_devnet.demo.task import EXPONENT, demo_task
from cohort_protocol.bundle import CommitmentMismatch
from cohort_protocol.identifiers import to_hex
from cohort_protocol.ipfs.embedded import EmbeddedStore
from cohort_protocol.learning.architecture import initial_weights
from cohort_protocol.service.messages import ModelRef
from cohort_protocol.update import encode_model, model_commitment, model_from_floats

from tests.fixtures.chain import Devnet
from tests.fixtures.scene import Scene

INITIAL = "bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy"


def collected(scene: Scene, store: Path, refusals: dict | None = None):
    history = History.read(scene.market, scene.project, INITIAL)
    rounds = len(history.closed())
    accuracy = dict.fromkeys(range(rounds + 1), 0.5)
    return history, collect_rounds(history, scene.devnet.client, EmbeddedStore(store), accuracy, {}, refusals or {})


def test_a_round_without_commitments_is_void_and_everybody_is_named(devnet: Devnet, tmp_path: Path) -> None:
    scene = Scene.create(devnet)
    scene.open()
    devnet.control.warp_to(scene.view().settle_end)
    devnet.send(scene.owner, scene.market.close_round(scene.project, 1, []))
    history, rounds = collected(scene, tmp_path)
    assert rounds[0].outcome == "void"
    assert rounds[0].model_cid == INITIAL
    assert rounds[0].bundle_cid is None
    assert rounds[0].accepted == []
    assert {flag.trainer for flag in rounds[0].flagged} == {one.address for one in scene.trainers}
    assert {flag.reason for flag in rounds[0].flagged} == {"no-commit"}
    assert [step.step for step in rounds[0].gas] == ["open", "close"]
    names = {one.address: (f"trainer-{index}", "honest", 9) for index, one in enumerate(scene.trainers)}
    for summary in collect_trainers(history, scene.market, names):
        assert summary.earned == summary.claimed == 0
        assert summary.claim_tx is None
        assert summary.stake == scene.terms.stake


def test_a_round_that_nobody_settled_pays_equally_and_names_the_refused(devnet: Devnet, tmp_path: Path) -> None:
    scene = Scene.create(devnet, trainers=4)
    scene.open()
    scene.commit()
    scene.reveal(scene.trainers[:3], refused=0b001)
    devnet.control.warp_to(scene.view().settle_end)
    devnet.send(scene.owner, scene.market.close_round(scene.project, 1, scene.rows))
    refused, silent = scene.trainers[0].address, scene.trainers[3].address
    _, rounds = collected(scene, tmp_path, {1: {refused: ("update-malformed", "the file has 3 bytes")}})
    entry = rounds[0]
    assert entry.outcome == "defaulted"
    flags = {flag.trainer: flag for flag in entry.flagged}
    assert set(flags) == {refused, silent}
    assert (flags[refused].reason, flags[refused].detail) == ("update-malformed", "the file has 3 bytes")
    assert flags[silent].reason == "no-reveal"
    assert len(entry.submissions) == 2
    assert {item.commitment for item in entry.submissions} <= {to_hex(leaf.commitment) for leaf in scene.leaves}
    pays = [entry.payouts[one.address] for one in scene.trainers]
    assert pays[0] == pays[3] == 0
    assert pays[1] == pays[2] > 0


def test_models_are_measured_and_a_wrong_one_fails_the_run(tmp_path: Path) -> None:
    task = demo_task(3, 2)
    model = model_from_floats(initial_weights(task.architecture, 3), EXPONENT)
    store = EmbeddedStore(tmp_path)
    right = ModelRef(commitment=to_hex(model_commitment(model)), cid=str(store.put(encode_model(model))))
    meter = AccuracyMeter(f"file://{tmp_path}", task)
    meter.measure(1, right)
    known = meter.finish()
    assert 0.0 <= known[1] <= 0.4
    wrong = ModelRef(commitment=right.commitment, cid=str(store.put(encode_model(model + np.int64(1)))))
    meter = AccuracyMeter(f"file://{tmp_path}", task)
    meter.measure(1, wrong)
    with pytest.raises(CommitmentMismatch):
        meter.finish()
