"""Honest projects: every check is true, with the figures that the scene knows."""

from __future__ import annotations

from pathlib import Path

import pytest
from cohort_protocol.audit.cases import NoSuchProject
from cohort_protocol.audit.document import AuditDocument, document
from cohort_protocol.audit.findings import State
from cohort_protocol.audit.run import NoSuchRound

from tests.fixtures.chain import Devnet
from tests.fixtures.scene import BUDGET, DISTRIBUTABLE, Scene
from tests.protocol.audit.market import RealScene, not_true, states


@pytest.fixture
def scene(devnet: Devnet, tmp_path: Path) -> RealScene:
    """Two settled rounds, claims, and a third that runs; one trainer with a delegate, one that posts by itself."""
    scene = RealScene.make(devnet, tmp_path, deposit=3 * BUDGET)
    delegate = devnet.account("delegate")
    devnet.send(scene.trainers[0], scene.market.set_delegate(scene.project, delegate.address))
    scene.run(alone=scene.trainers[2])
    scene.claim(scene.trainers[1])
    scene.run()
    scene.open()
    scene.commit()
    return scene


def test_an_honest_project_is_true_in_every_check(scene: RealScene) -> None:
    found = scene.audit()
    assert not_true(found) == {}
    assert found.state is State.TRUE
    made = {(one.check, one.round) for one in found.findings}
    assert {("history", None), ("ledger", None), ("outcome", 1), ("outcome", 2), ("commitments", 2)} <= made
    assert ("outcome", 3) not in made, "a round that runs has no outcome"
    by_name = {one.where: one for one in found.findings}
    assert by_name["ledger"].figures["deposited"] == 3 * BUDGET
    assert by_name["pay of round 1"].figures["distributable"] == DISTRIBUTABLE
    assert by_name["pay of round 1"].figures["paid"] == scene.paid[1].paid
    assert by_name["commit-signatures of round 1"].figures["by_trainers"] == 1
    claimed = next(row.pay for row, one in zip(scene.paid[1].rows, scene.rows_of[1], strict=True) if one.member == 2)
    assert by_name["claims"].figures["claimed"] == claimed
    found.raise_if_not_true()


def test_the_document_says_the_same_and_survives_json(scene: RealScene) -> None:
    found = scene.audit()
    made = document(found)
    assert AuditDocument.model_validate_json(made.model_dump_json()) == made
    assert (made.state, made.first) == ("true", None)
    assert [one.outcome for one in made.rounds] == ["settled", "settled", "running"]
    assert [int(row.pay) for row in made.rounds[0].rows] == [row.pay for row in scene.paid[1].rows]
    assert sum(made.counts.values()) == len(made.findings) == len(found.findings)


def test_single_rounds_can_be_asked_for(scene: RealScene) -> None:
    found = scene.audit(rounds=[2])
    assert {one.round for one in found.findings} == {None, 2}
    with pytest.raises(NoSuchRound, match="no round 9"):
        scene.audit(rounds=[2, 9])


def test_a_project_that_is_not_there_is_said_to_be_so(scene: RealScene) -> None:
    scene.project += 40
    with pytest.raises(NoSuchProject, match="created no project"):
        scene.audit()


def test_a_round_judged_by_its_batch_is_computed_again_and_its_contribution_shown(
    devnet: Devnet, tmp_path: Path
) -> None:
    scene = RealScene.make(devnet, tmp_path, batches=True)
    scene.run()
    scene.run()
    found = scene.audit()
    assert not_true(found) == {}
    by_name = {one.where: one for one in found.findings}
    assert "byte for byte" in by_name["public-rows of round 2"].text
    assert by_name["batch of round 2"].state is State.TRUE
    spot = by_name["contribution of round 2"]
    assert spot.state is State.SHOWN
    shares = [float(share) for share in spot.figures["shares_shapley"].split()]
    assert len(shares) == 3
    assert sum(shares) == pytest.approx(1, abs=1e-5) or not any(shares)


def test_rounds_that_nobody_settled_are_checked_by_their_own_rules(devnet: Devnet, tmp_path: Path) -> None:
    scene = RealScene.make(devnet, tmp_path)
    scene.admit()
    view = scene.view()
    devnet.control.warp_to(view.settle_end)
    anyone = devnet.account("anyone")
    devnet.send(anyone, scene.market.close_round(scene.project, 1, scene.admissions))
    scene.open()
    scene.commit()
    scene.reveal(scene.trainers[:1])
    view = scene.view()
    devnet.control.warp_to(view.rescue_end)
    devnet.send(anyone, scene.market.close_round(scene.project, 2, scene.admissions))
    scene.devnet.send(
        anyone, scene.market.slash_no_reveal(scene.project, 2, scene.number_of(scene.trainers[1]), scene.batch)
    )
    found = scene.audit()
    assert not_true(found) == {}
    trues = states(found, State.TRUE)
    assert "3 rows were paid" in trues["equal-pay of round 1"]
    assert "1 rows were paid" in trues["equal-pay of round 2"]
    assert [one.outcome for one in document(found).rounds] == ["defaulted", "void"]


def test_money_of_other_projects_in_the_same_token_is_counted(devnet: Devnet, tmp_path: Path) -> None:
    other = Scene.create(devnet, trainers=2, owner=devnet.account("owner", 1))
    scene = RealScene.make(devnet, tmp_path)
    scene.run()
    found = {one.check: one for one in scene.audit().findings if one.round is None}
    assert found["token-balance"].state is State.TRUE
    assert found["token-balance"].figures["projects_in_token"] == 2
    assert other.project != scene.project
