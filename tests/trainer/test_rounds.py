"""Whole rounds of one trainer on a real chain, through the service and without it."""

from __future__ import annotations

from tests.trainer.conftest import Stage


def joined(stage: Stage, **options):
    trainer = stage.trainer(**options)
    trainer.join(stage.scene.project)
    stage.scene.trainers.append(trainer.account)
    return trainer


def test_a_trainer_runs_all_rounds_and_is_paid(stage):
    with joined(stage) as trainer:
        stage.service.run_automatically(3)
        assert trainer.run(stage.scene.project, stage.data) == 3
        receipt = trainer.claim(stage.scene.project)
    assert stage.service.failure is None
    assert receipt is not None
    assert receipt.rounds == (1, 2, 3)
    assert all(len(found) == 1 for found in stage.commitments_of(trainer.address).values())
    stage.scene.money_holds()
