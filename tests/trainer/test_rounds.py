"""Whole rounds of one trainer on a real chain: with a good service, with a bad one and without."""

from __future__ import annotations

import shutil
import stat
from dataclasses import replace

import pytest
import structlog
from cohort_protocol.chain.events import CommitsPosted, CommittedSelf
from cohort_protocol.commitments import check_signature, commit_message, derive_salt
from cohort_protocol.commitments import commitment as commitment_of
from cohort_protocol.identifiers import parse_bytes32
from cohort_protocol.ipfs.cid import Cid
from cohort_protocol.ipfs.unixfs import cid_of
from cohort_protocol.phases import Phase
from cohort_protocol.service.messages import RefusalView
from cohort_protocol.update import decode_update, update_commitment
from cohort_trainer.chain_events import find_events
from cohort_trainer.errors import HomeBusy, NotAMember, RecordBroken
from cohort_trainer.home import Home
from cohort_trainer.journal import RoundJournal
from cohort_trainer.rounds import loop
from cohort_trainer.rounds.facts import look
from cohort_trainer.rounds.steps import ServiceHints, Step
from cohort_trainer.sdk import Trainer
from structlog.testing import capture_logs

from tests.trainer.conftest import Background, Stage, until, write_data
from tests.trainer.market_service import problem


@pytest.fixture(autouse=True)
def look_often(monkeypatch):
    """Windows are minutes here; nobody wants to wait a tenth of that."""
    monkeypatch.setattr(loop, "LONGEST_LOOK", 1.0)


def start(stage: Stage, trainer, **options) -> Background:
    return Background(lambda: trainer.run(stage.scene.project, stage.data, **options))


def self_commits(stage: Stage) -> list[CommittedSelf]:
    market = stage.scene.market
    return find_events(stage.devnet.client, market.address, CommittedSelf, [stage.scene.project], 0)


def record_of(stage: Stage, trainer, round: int = 1):
    return RoundJournal(trainer.home.project_folder(stage.scene.project), stage.scene.project).load(round)


def test_a_trainer_runs_all_rounds_and_is_paid(stage):
    with stage.joined() as trainer:
        stage.service.run_automatically(3)
        assert trainer.run(stage.scene.project, stage.data) == 3
        receipt = trainer.claim(stage.scene.project)
    assert stage.service.failure is None
    assert receipt is not None
    assert receipt.rounds == (1, 2, 3)
    found = stage.commitments_of(trainer.address)
    assert sorted(found) == [1, 2, 3]
    assert all(len(one) == 1 for one in found.values())
    assert self_commits(stage) == []
    stage.scene.money_holds()


def test_what_is_sent_opens_what_was_committed_to(stage):
    with stage.joined() as trainer:
        stage.service.run_automatically(1)
        trainer.run(stage.scene.project, stage.data, rounds=1)
    project, identity = stage.scene.project, stage.scene.identity
    commit = stage.service.commits[1, trainer.address][0]
    reveal = stage.service.reveals[1, trainer.address][0]
    salt = derive_salt(bytes(trainer.account.key), identity, project, 1)
    assert parse_bytes32(reveal.salt) == salt
    update, cid = parse_bytes32(reveal.update), bytes(Cid.parse(reveal.cid))
    member = stage.scene.number_of(trainer.account)
    assert (commit.member, reveal.member) == (member, member)
    assert parse_bytes32(commit.commitment) == commitment_of(identity, project, 1, member, update, cid, salt)
    message = commit_message(identity, project, 1, member, parse_bytes32(commit.commitment))
    check_signature(message, bytes.fromhex(commit.signature[2:]), trainer.address)
    file = RoundJournal(trainer.home.project_folder(project), project).update_file(1, 1 << 20)
    assert update_commitment(decode_update(file, stage.plan.terms.dimension)) == update
    assert bytes(cid_of(file)) == cid


def test_what_witnesses_have_against_an_update_is_said_once_with_a_way_out(stage):
    with stage.joined() as trainer:
        stage.service.refusals = [
            RefusalView(trainer=who, witness="0x" + "aa" * 20, code="not-fetchable", detail="no block of it")
            for who in (trainer.address, "0x" + "bb" * 20)
        ]
        stage.service.run_automatically(1)
        with capture_logs() as lines:
            trainer.run(stage.scene.project, stage.data, rounds=1)
    (said,) = [line for line in lines if line["event"] == "witness-does-not-sign"]
    assert (said["code"], said["why"], said["round"]) == ("not-fetchable", "no block of it", 1)
    assert "Keep the IPFS node" in said["next"]


def test_two_trainers_in_one_round(make_stage):
    stage = make_stage(rounds=2)
    second = stage.devnet.account("trainer", 8)
    stage.devnet.send(second, stage.devnet.token.mint(second.address, 10**9))
    with stage.joined() as one, stage.joined(second, "second") as two:
        stage.service.run_automatically(2)
        runs = [start(stage, one), start(stage, two)]
        assert [run.result() for run in runs] == [2, 2]
    first, other = stage.commitments_of(one.address), stage.commitments_of(two.address)
    assert first[1] != other[1]
    assert stage.service.failure is None


# --- without the service-------------------------


def test_without_the_service_the_commitment_goes_to_the_chain_by_itself(stage):
    with stage.joined() as trainer:
        stage.service.open_round()
        stage.service.stop()
        run = start(stage, trainer, rounds=1)
        until(lambda: record_of(stage, trainer))
        assert self_commits(stage) == []  # too early: the service may come back
        stage.devnet.control.warp(560)
        until(lambda: self_commits(stage))
        record = record_of(stage, trainer)
        assert self_commits(stage)[0].commitment == parse_bytes32(record.commitment)
        # The only member has committed, so the round is in its reveal phase: the reveal waits for the service.
        assert stage.scene.view().phase is Phase.REVEAL
        stage.service.start()
        until(lambda: stage.service.reveals)
        stage.service.post_reveals()
        stage.service.settle()
        assert run.result() == 1
    assert record_of(stage, trainer).result.startswith("paid")
    assert len(self_commits(stage)) == 1


def test_a_service_that_takes_commitments_and_never_posts_them_costs_nothing(stage):
    with stage.joined() as trainer:
        stage.service.open_round()
        run = start(stage, trainer, rounds=1)
        until(lambda: record_of(stage, trainer) and record_of(stage, trainer).committed)
        stage.devnet.control.warp(560)
        until(lambda: self_commits(stage))
        until(lambda: stage.service.reveals)
        stage.service.post_reveals()
        stage.service.settle()
        assert run.result() == 1
    assert record_of(stage, trainer).result.startswith("paid")


def test_a_batch_that_leaves_the_trainer_out_is_answered_on_chain(make_stage):
    stage = make_stage(slots=4, min_trainers=1)
    other = stage.devnet.account("trainer", 8)
    stage.devnet.send(other, stage.devnet.token.mint(other.address, 10**9))
    with stage.joined() as trainer, stage.joined(other, "second") as second:
        stage.service.open_round()
        runs = [start(stage, trainer, rounds=1), start(stage, second, rounds=1)]
        until(lambda: len(stage.service.commits) == 2)
        stage.service.post_batch(leave_out=frozenset([trainer.address]))
        until(lambda: self_commits(stage))
        assert self_commits(stage)[0].member == stage.scene.number_of(trainer.account)
        until(lambda: len(stage.service.reveals) == 2)
        stage.service.post_reveals()
        stage.service.settle()
        assert [run.result() for run in runs] == [1, 1]
    posted = find_events(stage.devnet.client, stage.scene.market.address, CommitsPosted, [stage.scene.project], 0)
    assert [leaf.member for leaf in posted[0].leaves] == [stage.scene.number_of(second.account)]
    assert record_of(stage, trainer).result.startswith("paid")


def test_a_round_whose_reveal_nobody_takes_is_survived_and_explained(stage):
    with structlog.testing.capture_logs() as logs, stage.joined() as trainer:
        stage.service.open_round()
        run = start(stage, trainer, rounds=1)
        until(lambda: stage.service.commits)
        stage.service.post_batch()
        stage.service.intercept = lambda method, path, body: problem(503, "unavailable", "down")
        until(lambda: any(entry["event"] == "reveal-waits-for-service" for entry in logs))
        stage.devnet.control.warp(700)
        assert run.result(60) == 1
        assert stage.scene.market.member_of(stage.scene.project, trainer.address).staked
    waiting = next(entry for entry in logs if entry["event"] == "reveal-waits-for-service")
    assert "stake is safe" in waiting["note"]
    assert record_of(stage, trainer).result.startswith("rescued: opened after the reveal phase")
    assert stage.scene.view().unresolved == 0


def test_an_ipfs_outage_delays_the_reveal_and_loses_nothing(stage):
    folder = stage.root / "ipfs"
    with structlog.testing.capture_logs() as logs, stage.joined() as trainer:
        stage.service.open_round()
        run = start(stage, trainer, rounds=1)
        until(lambda: stage.service.commits)
        folder.rename(stage.root / "away")
        folder.write_text("a file where the folder should be")
        stage.service.post_batch()
        until(lambda: any(entry["event"] == "reveal-waits-for-ipfs" for entry in logs))
        assert not stage.service.reveals
        folder.unlink()
        (stage.root / "away").rename(folder)
        until(lambda: stage.service.reveals)
        stage.service.post_reveals()
        stage.service.settle()
        assert run.result() == 1
    assert record_of(stage, trainer).result.startswith("paid")


def test_a_service_that_is_restarted_between_steps_is_not_noticed(stage):
    with stage.joined() as trainer:
        stage.service.open_round()
        run = start(stage, trainer, rounds=1)
        until(lambda: stage.service.commits)
        stage.service.stop()
        stage.service.post_batch()
        stage.service.start()
        until(lambda: stage.service.reveals)
        stage.service.stop()
        stage.service.post_reveals()
        stage.service.settle()
        stage.service.start()
        assert run.result() == 1
    assert len(stage.commitments_of(trainer.address)[1]) == 1


# --- with a service that lies--------------------


def test_a_wrong_model_from_the_service_is_not_trained_on(make_stage):
    stage = make_stage(rounds=2)
    with structlog.testing.capture_logs() as logs, stage.joined() as trainer:
        stage.service.run_automatically(1)
        trainer.run(stage.scene.project, stage.data, rounds=1)
        shutil.rmtree(trainer.home.models, ignore_errors=True)
        # From now on the service names the first model's CID for every commitment.
        first = stage.plan.spec.model.initial_cid
        for commitment, (model, _) in list(stage.service.models.items()):
            stage.service.models[commitment] = (model, first)
        stage.service.run_automatically(1)
        until(lambda: stage.scene.round_number() == 2)
        assert trainer.run(stage.scene.project, stage.data, rounds=1) == 1
    assert any(entry["event"] == "model-is-another" for entry in logs)
    assert record_of(stage, trainer, 2).model == "0x" + stage.service.model_history[1].hex()


def test_a_service_that_names_a_later_phase_gets_no_update(stage):
    with stage.joined() as trainer:
        stage.service.open_round()
        real = stage.service._round_view
        stage.service._round_view = lambda number: real(number).model_copy(update={"phase": Phase.REVEAL})
        run = start(stage, trainer, rounds=1)
        until(lambda: record_of(stage, trainer) and record_of(stage, trainer).committed)
        stage.service.bump()
        looks = len(stage.service.requests)
        until(lambda: len(stage.service.requests) > looks + 3)
        assert not stage.service.reveals
        assert not run.done
        stage.service.post_batch()
        until(lambda: stage.service.reveals)
        stage.service.post_reveals()
        stage.service.settle()
        run.result()


def test_a_conflict_with_another_commitment_of_the_same_key_stops_the_round(stage):
    """The home was lost and the data changed: the service has a commitment that was signed elsewhere."""
    refuse = problem(409, "commitment-differs", "another commitment is recorded")
    stage.service.intercept = lambda method, path, body: refuse if path.endswith("/commits") else None
    with stage.joined() as trainer:
        stage.service.open_round()
        run = start(stage, trainer, rounds=1)
        until(lambda: record_of(stage, trainer) and record_of(stage, trainer).refusal)
        stage.devnet.control.warp(560)
        stage.service.bump()
        looks = len(stage.service.requests)
        until(lambda: len(stage.service.requests) > looks + 3)
        assert self_commits(stage) == []
        stage.devnet.control.warp(100)
        assert run.result() == 1
    assert "another commitment" in record_of(stage, trainer).refusal
    assert sum(path.endswith("/commits") for _, path in stage.service.requests) == 1


def test_a_refused_reveal_is_recorded_in_words_and_not_repeated(stage):
    refuse = problem(422, "opening-wrong", "the salt is another")
    stage.service.intercept = lambda method, path, body: refuse if path.endswith("/reveals") else None
    with stage.joined() as trainer:
        stage.service.open_round()
        run = start(stage, trainer, rounds=1)
        until(lambda: stage.service.commits)
        stage.service.post_batch()
        until(lambda: record_of(stage, trainer).reveal_refusal)
        stage.service.bump()
        stage.devnet.control.warp(700)
        assert run.result() == 1
    assert record_of(stage, trainer).reveal_refusal == "opening-wrong: the salt is another"
    assert sum(path.endswith("/reveals") for _, path in stage.service.requests) == 1


# --- disks that lose things----------------------


def test_a_lost_update_is_made_again_and_revealed(stage):
    trainer, folder = stage.joined(), None
    with trainer:
        stage.service.open_round()
        folder = trainer.home.project_folder(stage.scene.project) / "rounds" / "1"
        run = start(stage, trainer, rounds=1)
        until(lambda: stage.service.commits)
        (folder / "update.safetensors").unlink()
        stage.service.post_batch()
        until(lambda: stage.service.reveals)
        stage.service.post_reveals()
        stage.service.settle()
        assert run.result() == 1
    assert record_of(stage, trainer).result.startswith("paid")


def test_a_lost_update_that_cannot_be_made_again_is_given_up_in_words(stage):
    with stage.joined() as trainer:
        stage.service.open_round()
        project = trainer.project(stage.scene.project)
        before = trainer.steps(project, stage.data)
        assert before.act(look(trainer.connection, project, trainer.address), ServiceHints()) is Step.DONE
        stage.service.post_batch()
        facts = look(trainer.connection, project, trainer.address)
        before.journal.keep_update(1, b"half a file")
        other_data = trainer.steps(project, write_data(stage.root / "other.csv", examples=12))
        with pytest.raises(RecordBroken, match=r"training again gives 0x.*other data"):
            other_data.act(facts, ServiceHints())
        other_function = trainer.steps(project, stage.data, train="somewhere.py:train")
        with pytest.raises(RecordBroken, match="Restart with the same --train"):
            other_function.act(facts, ServiceHints())
        assert not stage.service.reveals
        assert before.act(facts, ServiceHints()) is Step.DONE
    assert len(stage.service.reveals) == 1


def test_a_round_that_starts_from_another_model_after_a_reorg_is_sat_out(stage):
    with stage.joined() as trainer:
        stage.service.open_round()
        project = trainer.project(stage.scene.project)
        steps = trainer.steps(project, stage.data)
        facts = look(trainer.connection, project, trainer.address)
        steps.train(facts, ServiceHints())
        assert facts.view is not None
        elsewhere = replace(facts, view=replace(facts.view, model=b"\x07" * 32))
        with pytest.raises(RecordBroken, match="reorganised"):
            steps.act(elsewhere, ServiceHints())
        assert not stage.service.commits


def test_a_damaged_record_stops_its_round_and_no_other(make_stage):
    stage = make_stage(rounds=2)
    with structlog.testing.capture_logs() as logs, stage.joined() as trainer:
        path = trainer.home.project_folder(stage.scene.project) / "rounds" / "1" / "record.json"
        path.parent.mkdir(parents=True)
        path.write_text('{"version": 1, "project"')
        stage.service.open_round()
        run = start(stage, trainer, rounds=1)
        until(lambda: any(entry["event"] == "round-sat-out" for entry in logs))
        assert not stage.service.commits
        stage.devnet.control.warp(700)
        stage.devnet.send(stage.devnet.account("anyone"), stage.scene.market.close_round(stage.scene.project, 1, []))
        stage.service.run_automatically(1)
        assert run.result() == 1
    assert sorted(stage.commitments_of(trainer.address)) == [2]
    assert "damaged" in next(entry["why"] for entry in logs if entry["event"] == "round-sat-out")


# --- who may run---------------------------------


def test_one_home_is_run_by_one_process(stage):
    with stage.joined() as trainer:
        run = start(stage, trainer, rounds=1)
        until(lambda: (trainer.home.root / "run.lock").exists() and (trainer.home.root / "run.lock").read_text())
        with pytest.raises(HomeBusy, match="is run by process"), stage.trainer() as again:
            again.run(stage.scene.project, stage.data)
        stage.service.run_automatically(1)
        run.result()
    assert stat.S_IMODE((trainer.home.root / "keystore.json").stat().st_mode) == 0o600


def test_an_account_that_has_not_joined_is_told_so(stage):
    with stage.trainer() as trainer, pytest.raises(NotAMember, match="cohort trainer join"):
        trainer.run(stage.scene.project, stage.data)


def test_a_trainer_who_joins_in_the_middle_starts_with_the_next_round(make_stage):
    stage = make_stage(rounds=2, slots=4, min_trainers=1)
    late = stage.devnet.account("trainer", 8)
    stage.devnet.send(late, stage.devnet.token.mint(late.address, 10**9))
    with stage.joined() as first:
        stage.service.open_round()
        runs = [start(stage, first)]
        until(lambda: stage.service.commits)
        with stage.joined(late, "late") as second:
            runs.append(start(stage, second))
            stage.service.post_batch()
            until(lambda: stage.service.reveals)
            stage.service.post_reveals()
            stage.service.settle()
            stage.service.run_automatically(1)
            assert [run.result() for run in runs] == [2, 1]
    assert sorted(stage.commitments_of(second.address)) == [2]


def test_an_ended_project_ends_the_run(stage):
    with stage.joined() as trainer:
        stage.service.run_automatically(1)
        assert trainer.run(stage.scene.project, stage.data, rounds=1) == 1
        stage.devnet.send(stage.scene.owner, stage.scene.market.end_project(stage.scene.project))
        assert trainer.run(stage.scene.project, stage.data) == 0


def test_a_service_that_lost_its_database_is_told_again(stage):
    with stage.joined() as trainer:
        stage.service.open_round()
        run = start(stage, trainer, rounds=1)
        until(lambda: stage.service.commits)
        stage.service.commits.clear()
        stage.service.bump()
        until(lambda: stage.service.commits)
        stage.service.post_batch()
        until(lambda: stage.service.reveals)
        stage.service.reveals.clear()
        stage.service.bump()
        until(lambda: stage.service.reveals)
        stage.service.post_reveals()
        stage.service.settle()
        assert run.result() == 1
    assert record_of(stage, trainer).result.startswith("paid")


def test_an_update_is_published_only_once_the_commit_phase_is_final(stage):
    """With a reorg the commit phase could open again, and somebody could copy what is public by then."""
    with stage.joined() as trainer:
        home = trainer.home
    careful = Home(home.root, home.config.model_copy(update={"confirmations": 3}))
    with Trainer(careful, stage.account) as trainer:
        stage.service.open_round()
        project = trainer.project(stage.scene.project)
        steps = trainer.steps(project, stage.data)

        def act() -> Step:
            return steps.act(look(trainer.connection, project, trainer.address), ServiceHints())

        assert act() is Step.DONE
        stage.service.post_batch()
        for _ in range(3):
            assert look(trainer.connection, project, trainer.address).phase is Phase.REVEAL
            assert act() is Step.AGAIN
            assert not stage.service.reveals
            assert not record_of(stage, trainer).published
            stage.devnet.control.mine(1)
        assert act() is Step.DONE
    assert stage.service.reveals
