"""What the report says of rounds that nobody could settle, and of models that are not what the chain says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from cohort_devnet.demo.accuracy import AccuracyMeter
from cohort_devnet.demo.collect import collect_rounds, collect_trainers
from cohort_devnet.demo.history import History, Standings
from cohort_devnet.demo.task import EXPONENT, demo_task
from cohort_protocol.bundle import CommitmentMismatch
from cohort_protocol.identifiers import to_hex
from cohort_protocol.ipfs.embedded import EmbeddedStore
from cohort_protocol.learning.architecture import initial_weights
from cohort_protocol.service.messages import ModelRef
from cohort_protocol.update import encode_model, model_commitment, model_from_floats

from tests.fixtures.chain import Devnet
from tests.fixtures.scene import ONE, Scene

INITIAL = "bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy"


def collected(scene: Scene, store: Path, refusals: dict | None = None):
    history = History.read(scene.market, scene.project, INITIAL)
    rounds = len(history.closed())
    accuracy = dict.fromkeys(range(rounds + 1), 0.5)
    return history, collect_rounds(history, scene.devnet.client, EmbeddedStore(store), accuracy, {}, refusals or {}, {})


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
    devnet.control.warp_to(scene.view().rescue_end)
    devnet.send(devnet.account("anyone"), scene.market.slash_no_reveal(scene.project, 1, 4, scene.batch))
    devnet.control.warp_to(scene.view().settle_end)
    devnet.send(scene.owner, scene.market.close_round(scene.project, 1, scene.admissions))
    refused, silent = scene.trainers[0].address, scene.trainers[3].address
    history, rounds = collected(scene, tmp_path, {1: {refused: ("update-malformed", "the file has 3 bytes")}})
    entry = rounds[0]
    assert entry.outcome == "defaulted"
    assert [step.step for step in entry.gas] == ["open", "commit", "reveal", "slash", "close"]
    flags = {flag.trainer: flag for flag in entry.flagged}
    assert set(flags) == {refused, silent}
    assert (flags[refused].reason, flags[refused].detail) == ("update-malformed", "the file has 3 bytes")
    assert flags[silent].reason == "no-reveal"
    assert flags[silent].detail == "committed and did not reveal; its stake was taken"
    assert len(entry.submissions) == 2
    assert {item.commitment for item in entry.submissions} <= {to_hex(leaf.commitment) for leaf in scene.leaves}
    pays = [entry.payouts[one.address] for one in scene.trainers]
    assert pays[0] == pays[3] == 0
    assert pays[1] == pays[2] > 0
    names = {one.address: (one.address, "honest", 9) for one in scene.trainers}
    summaries = collect_trainers(history, scene.market, names)
    assert [one.stake for one in summaries] == [scene.terms.stake] * 3 + [0]
    assert [one.losses for one in summaries] == [0, 0, 0, 20_000]
    assert [one.member for one in summaries] == [1, 2, 3, 4]


def test_a_late_reveal_and_a_commitment_that_did_not_count_are_told_apart(devnet: Devnet, tmp_path: Path) -> None:
    scene = Scene.create(devnet, trainers=4)
    scene.open()
    late, unsigned = scene.trainers[2], scene.trainers[3]
    signature = scene.sign_commit
    scene.sign_commit = lambda one: signature(one, devnet.account("stranger") if one is unsigned else None)
    scene.commit()
    devnet.control.warp_to(scene.view().reveal_start)
    scene.reveal(scene.trainers[:2])
    devnet.control.warp_to(scene.view().reveal_end)
    scene.rescue([late])
    devnet.control.warp_to(scene.view().settle_end)
    devnet.send(scene.owner, scene.market.close_round(scene.project, 1, scene.admissions))
    _, rounds = collected(scene, tmp_path)
    flags = {flag.trainer: (flag.reason, flag.detail) for flag in rounds[0].flagged}
    assert flags == {
        late.address: ("late-reveal", "opened its commitment too late for pay, in time for its stake"),
        unsigned.address: (
            "no-commit",
            "the contract passed its commitment over: neither the trainer nor its delegate signed it",
        ),
    }
    assert [step.step for step in rounds[0].gas] == ["open", "commit", "reveal", "rescue", "close"]


def test_the_reports_standing_is_the_contracts(devnet: Devnet, tmp_path: Path) -> None:
    scene = Scene.create(devnet)
    for scores, reasons in (([ONE, 3 * ONE, 0], [0, 0, 1]), ([ONE, ONE, 0], [0, 0, 0])):
        scene.open()
        scene.commit()
        scene.reveal()
        scene.settle(scores, reasons)
    history = History.read(scene.market, scene.project, INITIAL)
    standings = Standings(history)
    shown = [standings.after(entry) for entry in history.closed()]
    names = {one.address: (one.address, "honest", 9) for one in scene.trainers}
    summaries = collect_trainers(history, scene.market, names)
    assert shown[-1] == {one.address: one.reliability_bps for one in summaries}
    assert 0 < shown[0][scene.trainers[0].address] < shown[-1][scene.trainers[0].address] < 1000
    assert shown[-1][scene.trainers[2].address] == 0
    assert [one.rejections for one in summaries] == [0, 0, 1]
    assert [one.rounds for one in summaries] == [2, 2, 2]
    assert summaries[2].losses == 10_000
    assert history.earned()[scene.trainers[2].address] == 0
    assert sum(history.earned().values()) == scene.market.ledger_of(scene.project).claimable


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
