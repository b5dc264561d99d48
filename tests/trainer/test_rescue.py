"""Keeping the stake: what nobody revealed is opened by the trainer itself, as long as anything is left to open it."""

from __future__ import annotations

import pytest
import structlog
from cohort_protocol.chain.events import StakeSlashed, UpdateRescued
from cohort_trainer.chain_events import find_events
from cohort_trainer.errors import NotADelegate, StakeMissing, StakeThere
from cohort_trainer.journal import RoundJournal, RoundRecord
from cohort_trainer.rounds import loop
from cohort_trainer.sdk import Trainer

from tests.trainer.conftest import Background, Stage, until, write_data
from tests.trainer.market_service import problem


@pytest.fixture(autouse=True)
def look_often(monkeypatch):
    monkeypatch.setattr(loop, "LONGEST_LOOK", 1.0)


def start(stage: Stage, trainer: Trainer, **options) -> Background:
    return Background(lambda: trainer.run(stage.scene.project, stage.data, **options))


def record_of(stage: Stage, trainer: Trainer, round: int = 1) -> RoundRecord | None:
    return trainer.journal(stage.scene.project).load(round)


def rescues(stage: Stage) -> list[UpdateRescued]:
    return find_events(stage.devnet.client, stage.scene.market.address, UpdateRescued, [stage.scene.project], 0)


def staked(stage: Stage, trainer: Trainer) -> bool:
    return stage.scene.market.member_of(stage.scene.project, trainer.address).staked


def folder_of(stage: Stage, trainer: Trainer, round: int = 1):
    return trainer.home.project_folder(stage.scene.project) / "rounds" / str(round)


def commit_and_stop(stage: Stage, trainer: Trainer) -> None:
    """The commitment is on chain, and the process that made it is gone."""
    stage.service.open_round()
    project = trainer.project(stage.scene.project)
    steps = trainer.steps(project, stage.data)
    facts = loop.look(trainer.connection, project, trainer.address)
    steps.commit(facts, steps.train(facts, loop.ServiceHints()), loop.ServiceHints())
    stage.service.post_batch()


def with_second(stage: Stage):
    second = stage.devnet.account("trainer", 8)
    stage.devnet.send(second, stage.devnet.token.mint(second.address, 10**9))
    return stage.joined(second, "second")


def test_a_refused_reveal_costs_no_stake(stage):
    refuse = problem(422, "opening-wrong", "the salt is another")
    stage.service.intercept = lambda method, path, body: refuse if path.endswith("/reveals") else None
    with stage.joined() as trainer:
        stage.service.open_round()
        run = start(stage, trainer, rounds=1)
        until(lambda: stage.service.commits)
        stage.service.post_batch()
        until(lambda: record_of(stage, trainer).reveal_refusal)
        stage.devnet.control.warp(650)
        assert run.result() == 1
        assert staked(stage, trainer)
        assert record_of(stage, trainer).fate == "rescued"
    assert [event.member for event in rescues(stage)] == [stage.scene.number_of(trainer.account)]


def test_a_restart_after_the_reveals_rescues(stage):
    with stage.joined() as trainer:
        commit_and_stop(stage, trainer)
        stage.devnet.control.warp(1100)
        assert trainer.run(stage.scene.project, stage.data, rounds=1) == 1
        assert record_of(stage, trainer).result.startswith("rescued")
        assert staked(stage, trainer)


def test_a_commitment_of_an_older_round_is_rescued_while_the_next_one_runs(make_stage):
    """The others have gone on: the round is settled and the next one open, the rescue window is not over."""
    stage = make_stage(slots=4, min_trainers=1)
    with stage.joined() as trainer, with_second(stage) as second:
        stage.service.open_round()
        runs = [start(stage, one, rounds=1) for one in (second,)]
        project = trainer.project(stage.scene.project)
        steps = trainer.steps(project, stage.data)
        facts = loop.look(trainer.connection, project, trainer.address)
        steps.commit(facts, steps.train(facts, loop.ServiceHints()), loop.ServiceHints())
        until(lambda: len(stage.service.commits) == 2)
        stage.service.post_batch()
        until(lambda: stage.service.reveals)
        stage.service.post_reveals()
        stage.devnet.control.warp(650)
        stage.service.settle()
        assert [run.result() for run in runs] == [1]
        stage.service.open_round()
        run = start(stage, trainer, rounds=2)
        until(lambda: rescues(stage))
        assert rescues(stage)[0].round == 1
        until(lambda: (2, trainer.address) in stage.service.commits)
        runs = [start(stage, second, rounds=1)]
        until(lambda: (2, second.address) in stage.service.commits)
        stage.service.post_batch()
        until(lambda: sum(number == 2 for number, _ in stage.service.reveals) == 2)
        stage.service.post_reveals()
        stage.service.settle()
        assert run.result() == 2
        assert runs[0].result() == 1
    assert record_of(stage, trainer, 1).result.startswith("rescued")
    assert record_of(stage, trainer, 2).result.startswith("paid")


# --- what is lost on the disk -----------------------------------------------------------------------------------------


def test_a_lost_update_is_rescued_from_its_record(stage):
    """Other data and no file: it cannot be revealed, but what opens the commitment stands in the record."""
    with structlog.testing.capture_logs() as logs, stage.joined() as trainer:
        commit_and_stop(stage, trainer)
        (folder_of(stage, trainer) / "update.safetensors").unlink()
        other = write_data(stage.root / "other.csv", examples=12)
        run = Background(lambda: trainer.run(stage.scene.project, other, rounds=1))
        until(lambda: any(entry["event"] == "round-sat-out" for entry in logs))
        stage.devnet.control.warp(650)
        assert run.result() == 1
        assert not stage.service.reveals
        assert record_of(stage, trainer).result.startswith("rescued")
        assert staked(stage, trainer)


def test_a_damaged_record_is_rescued_from_the_update_file(stage):
    with structlog.testing.capture_logs() as logs, stage.joined() as trainer:
        commit_and_stop(stage, trainer)
        (folder_of(stage, trainer) / "record.json").write_text("{")
        run = start(stage, trainer, rounds=1)
        until(lambda: any(entry["event"] == "round-sat-out" for entry in logs))
        stage.devnet.control.warp(650)
        until(lambda: rescues(stage))
        assert staked(stage, trainer)
        assert not run.done  # a round without a record has no result here
        stage.devnet.send(stage.scene.owner, stage.scene.market.close_round(stage.scene.project, 1, []))
        stage.devnet.send(stage.scene.owner, stage.scene.market.end_project(stage.scene.project))
        assert run.result() == 0


def test_what_nothing_opens_is_slashed_and_restaked(stage):
    project = stage.scene.project
    with structlog.testing.capture_logs() as logs, stage.joined() as trainer:
        commit_and_stop(stage, trainer)
        (folder_of(stage, trainer) / "record.json").write_text("{")
        (folder_of(stage, trainer) / "update.safetensors").write_bytes(b"half a file")
        stage.devnet.control.warp(650)
        run = start(stage, trainer, rounds=1)
        until(lambda: any(entry["event"] == "rescue-impossible" for entry in logs))
        stage.devnet.control.warp(600)
        member = stage.scene.number_of(trainer.account)
        anyone = stage.devnet.account("anyone")
        stage.devnet.send(anyone, stage.scene.market.slash_no_reveal(project, 1, member, stage.scene.batch))
        with pytest.raises(StakeMissing, match="cohort trainer restake"):
            run.result()
        with pytest.raises(StakeMissing):
            trainer.join(project)
        assert trainer.restake(project).active
        with pytest.raises(StakeThere):
            trainer.restake(project)
    assert rescues(stage) == []
    slashed = find_events(stage.devnet.client, stage.scene.market.address, StakeSlashed, [project, 1, member], 0)
    assert slashed[0].trainer == trainer.address


# --- nothing to rescue, or too late -----------------------------------------------------------------------------------


def test_a_window_that_was_missed_is_told_with_the_time(stage):
    with structlog.testing.capture_logs() as logs, stage.joined() as trainer:
        commit_and_stop(stage, trainer)
        stage.devnet.control.warp(1201)
        assert trainer.run(stage.scene.project, stage.data, rounds=1) == 1
        assert record_of(stage, trainer).result.startswith("unopened")
    danger = next(entry for entry in logs if entry["event"] == "stake-in-danger")
    assert "can be slashed until 20" in danger["why"]


def test_a_round_without_enough_commitments_needs_no_rescue(make_stage):
    stage = make_stage(slots=4, min_trainers=2)
    with stage.joined() as trainer, with_second(stage):
        stage.service.open_round()
        run = start(stage, trainer, rounds=1)
        until(lambda: stage.service.commits)
        stage.service.post_batch()
        stage.devnet.control.warp(601)
        assert run.result() == 1
        assert record_of(stage, trainer).result.startswith("void")
        assert staked(stage, trainer)
    assert rescues(stage) == []


# --- delegates --------------------------------------------------------------------------------------------------------


def delegated(stage: Stage) -> tuple[Trainer, Trainer]:
    """(trainer, delegate): the delegate has coin for gas and no tokens."""
    helper = stage.devnet.account("trainer", 8)
    trainer = stage.trainer()
    trainer.join(stage.scene.project, delegate=helper.address)
    stage.scene.trainers.append(trainer.account)
    return trainer, stage.trainer(helper, "delegate")


def test_a_delegate_works_and_the_trainer_is_paid(stage):
    trainer, delegate = delegated(stage)
    with trainer, delegate:
        stage.service.run_automatically(2)
        address = trainer.address
        assert delegate.run(stage.scene.project, stage.data, rounds=2, delegate_of=address) == 2
        assert stage.service.failure is None
        journal: RoundJournal = delegate.journal(stage.scene.project, address)
        assert [journal.load(number).trainer for number in (1, 2)] == [address, address]
        assert delegate.claim(stage.scene.project) is None
        receipt = trainer.claim(stage.scene.project)
        assert receipt is not None
        assert receipt.rounds == (1, 2)
        assert stage.devnet.token.balance_of(delegate.address) == 0


def test_a_delegate_commits_on_chain_and_rescues_by_itself(stage):
    trainer, delegate = delegated(stage)
    with trainer, delegate:
        stage.service.open_round()
        stage.service.stop()
        run = start(stage, delegate, rounds=1, delegate_of=trainer.address)
        until(lambda: delegate.journal(stage.scene.project, trainer.address).load(1))
        stage.devnet.control.warp(560)
        until(lambda: stage.scene.view().self_count == 1)
        # Revoked now: what is committed to can still be opened.
        trainer.set_delegate(stage.scene.project, None)
        stage.devnet.control.warp(650)
        assert run.result() == 1
        assert staked(stage, trainer)
        assert [event.member for event in rescues(stage)] == [stage.scene.number_of(trainer.account)]
        stage.service.start()
        with pytest.raises(NotADelegate, match="that is nobody"):
            delegate.run(stage.scene.project, stage.data, delegate_of=trainer.address)


# --- leaves that the market passed over -------------------------------------------------------------------------------


def test_a_leaf_that_was_passed_over_is_answered_on_chain(make_stage):
    stage = make_stage(slots=4, min_trainers=1)
    with structlog.testing.capture_logs() as logs, stage.joined() as trainer, with_second(stage) as second:
        stage.service.open_round()
        runs = [start(stage, one, rounds=1) for one in (trainer, second)]
        until(lambda: len(stage.service.commits) == 2)
        stage.service.post_batch(spoil=frozenset([trainer.address]))
        until(lambda: stage.scene.view().self_count == 1)
        until(lambda: len(stage.service.reveals) == 2)
        stage.service.post_reveals()
        stage.service.settle()
        assert [run.result() for run in runs] == [1, 1]
        assert record_of(stage, trainer).result.startswith("paid")
    reason = next(entry["why"] for entry in logs if entry["event"] == "committing-on-chain")
    assert reason == "the market passed our leaf of the batch over: NOT_SIGNED"
