"""Commitments: taken once, in time, from members, with a signature that the contract will accept. Every refusal says
why."""

from __future__ import annotations

import threading

import pytest
from cohort_backend.chain.repository import lock_cursor
from cohort_backend.database import Database, JobMessage
from cohort_backend.errors import PhaseNotAllowed, UnknownProject, UnknownRound
from cohort_backend.projects.repository import version
from cohort_backend.rounds.models import Commit, Round
from cohort_backend.rounds.phase import batch_end
from cohort_backend.updates import repository
from cohort_backend.updates.errors import (
    BatchPosted,
    BatchTooLate,
    CommitmentDiffers,
    DuplicateCommitment,
    MemberDiffers,
    NotAMember,
    RoundFull,
)
from cohort_backend.updates.service import record_commit
from cohort_protocol.chain.events import (
    CommittedSelf,
    DelegateChanged,
    LogPosition,
    MarketEvent,
    MemberJoined,
    MemberLeft,
    Staked,
    StakeSlashed,
)
from cohort_protocol.commitments import MarketId, commit_message, sign
from cohort_protocol.errors import SignatureInvalid
from cohort_protocol.identifiers import to_hex
from cohort_protocol.phases import Phase
from cohort_protocol.service.messages import CommitIntake
from eth_account.signers.local import LocalAccount

from tests.backend.stages import ADMITTED, COMMITTED, JOINED, OPEN, Stages
from tests.fixtures.scene import STAKE


def _post(database: Database, stages: Stages, intake: CommitIntake, round: int = 1, project: int | None = None) -> str:
    return record_commit(database, stages.scene.identity, project or stages.project, round, intake)


def _signed(stages: Stages, trainer: LocalAccount, commitment: bytes, number: int | None = None) -> CommitIntake:
    member = number or stages.scene.number_of(trainer)
    message = commit_message(stages.scene.identity, stages.project, 1, member, commitment)
    return CommitIntake(
        trainer=trainer.address,
        member=member,
        commitment=to_hex(commitment),
        signature=to_hex(sign(message, trainer)),
    )


def _joined(stages: Stages, account: LocalAccount, number: int, joined_round: int, step: int) -> list[MarketEvent]:
    """Somebody else with a number and a stake."""
    first, second = _later(stages, OPEN, step), _later(stages, OPEN, step + 1)
    return [
        Staked(first, stages.project, account.address, number, account.address, STAKE),
        MemberJoined(second, stages.project, account.address, number, joined_round),
    ]


def _later(stages: Stages, stage: str, step: int = 1) -> LogPosition:
    """A place in the chain after a stage, for events that the round did not have."""
    number, digest, _ = stages.blocks[stage]
    return LogPosition(number + step, 0, digest, bytes([step]) * 32)


def test_a_commitment_is_recorded_once_and_wakes_everybody(database: Database, stages_made: Stages) -> None:
    stages_made.fill(database, OPEN)
    sent: list[JobMessage] = []
    database.send_jobs = sent.extend
    trainer = stages_made.scene.trainers[0]
    with database.read() as session:
        before = version(session, stages_made.project)
    assert _post(database, stages_made, stages_made.commit_intake(trainer)) == "recorded"
    assert [message.kind for message in sent] == ["advance_project"]
    assert _post(database, stages_made, stages_made.commit_intake(trainer)) == "already-recorded"
    with database.read() as session:
        (intent,) = repository.commit_intents(session, stages_made.project, 1)
        assert version(session, stages_made.project) == before + 1
    assert (intent.trainer, intent.member) == (trainer.address, 1)
    assert (intent.commitment, len(intent.signature)) == (stages_made.scene.commitment_of(trainer), 65)


def test_the_same_again_is_harmless_in_any_later_phase(database: Database, stages_made: Stages) -> None:
    stages_made.fill(database, ADMITTED)
    for trainer in stages_made.scene.trainers:
        assert _post(database, stages_made, stages_made.commit_intake(trainer)) == "already-recorded"


def test_intents_come_in_the_order_of_the_contract(database: Database, stages_made: Stages) -> None:
    stages_made.fill(database, OPEN)
    for trainer in reversed(stages_made.scene.trainers):
        _post(database, stages_made, stages_made.commit_intake(trainer))
    with database.read() as session:
        found = repository.commit_intents(session, stages_made.project, 1)
    assert [intent.trainer for intent in found] == [one.address for one in stages_made.scene.trainers]
    assert [intent.member for intent in found] == [1, 2, 3]


def test_a_delegate_signs_for_its_trainer_until_it_is_another(database: Database, stages_made: Stages) -> None:
    trainer, other, _ = stages_made.scene.trainers
    delegate, next_one = stages_made.scene.owner, stages_made.scene.aggregator
    named = DelegateChanged(_later(stages_made, OPEN), stages_made.project, trainer.address, delegate.address)
    stages_made.fill(database, OPEN, [named])
    signed = stages_made.commit_intake(trainer, signer=delegate)
    assert _post(database, stages_made, signed) == "recorded"
    assert _post(database, stages_made, stages_made.commit_intake(trainer)) == "already-recorded"
    with database.read() as session:
        (intent,) = repository.commit_intents(session, stages_made.project, 1)
    assert (intent.trainer, intent.signer) == (trainer.address, delegate.address)
    with pytest.raises(SignatureInvalid, match="expected"):
        _post(database, stages_made, stages_made.commit_intake(other, signer=delegate))
    changed = DelegateChanged(_later(stages_made, OPEN, 2), stages_made.project, trainer.address, next_one.address)
    stages_made.fill(database, OPEN, [named, changed])
    with pytest.raises(SignatureInvalid, match=next_one.address):
        _post(database, stages_made, signed)


class TestRefusals:
    @pytest.mark.parametrize(
        "forged",
        [
            "another-signer",
            "another-round",
            "another-project",
            "another-market",
            "another-chain",
            "another-member",
        ],
    )
    def test_a_signature_binds_to_everything(self, database: Database, stages_made: Stages, forged: str) -> None:
        stages_made.fill(database, OPEN)
        trainer, other, _ = stages_made.scene.trainers
        market = stages_made.scene.identity
        commitment = stages_made.scene.commitment_of(trainer)
        message = commit_message(
            MarketId(
                market.chain_id + (forged == "another-chain"),
                market.verifier if forged == "another-market" else market.market,
                market.verifier,
            ),
            stages_made.project + (forged == "another-project"),
            1 + (forged == "another-round"),
            1 + (forged == "another-member"),
            commitment,
        )
        signature = sign(message, other if forged == "another-signer" else trainer)
        intake = CommitIntake(
            trainer=trainer.address,
            member=1,
            commitment=to_hex(commitment),
            signature=to_hex(signature),
        )
        with pytest.raises(SignatureInvalid, match="expected"):
            _post(database, stages_made, intake)

    def test_unknown_project_and_round(self, database: Database, stages_made: Stages) -> None:
        stages_made.fill(database, JOINED)
        intake = stages_made.commit_intake(stages_made.scene.trainers[0])
        with pytest.raises(UnknownRound):
            _post(database, stages_made, intake)
        trainer = stages_made.scene.trainers[0]
        message = commit_message(stages_made.scene.identity, 999, 1, 1, b"\x01" * 32)
        stray = CommitIntake(
            trainer=trainer.address,
            member=1,
            commitment="0x" + "01" * 32,
            signature=to_hex(sign(message, trainer)),
        )
        with pytest.raises(UnknownProject, match="999"):
            _post(database, stages_made, stray, project=999)

    def test_after_the_commit_phase(self, database: Database, stages_made: Stages) -> None:
        stages_made.fill(database, COMMITTED)
        late = stages_made.scene.owner
        stages_made.fill(database, COMMITTED, _joined(stages_made, late, 4, 0, 100))
        with pytest.raises(PhaseNotAllowed, match=r"REVEAL.*COMMIT") as refused:
            _post(database, stages_made, _signed(stages_made, late, b"\x07" * 32, number=4))
        assert (refused.value.found, refused.value.allowed) == (Phase.REVEAL, Phase.COMMIT)

    def test_who_never_joined(self, database: Database, stages_made: Stages) -> None:
        stages_made.fill(database, OPEN)
        with pytest.raises(NotAMember, match="join first"):
            _post(database, stages_made, _signed(stages_made, stages_made.scene.owner, b"\x07" * 32))

    def test_who_joined_after_the_round_opened(self, database: Database, stages_made: Stages) -> None:
        late = stages_made.scene.owner
        stages_made.fill(database, OPEN, _joined(stages_made, late, 4, 1, 1))
        with pytest.raises(NotAMember, match="next round"):
            _post(database, stages_made, _signed(stages_made, late, b"\x07" * 32, number=4))

    def test_who_has_left(self, database: Database, stages_made: Stages) -> None:
        gone, _, _ = stages_made.scene.trainers
        left = MemberLeft(_later(stages_made, OPEN), stages_made.project, gone.address, 1, stages_made.settle_end)
        stages_made.fill(database, OPEN, [left])
        with pytest.raises(NotAMember, match="has left"):
            _post(database, stages_made, stages_made.commit_intake(gone))

    def test_whose_stake_was_slashed(self, database: Database, stages_made: Stages) -> None:
        """For an older round: until somebody pays the stake again."""
        poor, _, _ = stages_made.scene.trainers
        posted = CommittedSelf(_later(stages_made, OPEN), stages_made.project, 1, 1, b"\x0b" * 32, 255)
        slashed = StakeSlashed(
            _later(stages_made, OPEN, 2), stages_made.project, 1, 1, poor.address, poor.address, 10, STAKE - 10
        )
        stages_made.fill(database, OPEN, [posted, slashed])
        with database.write() as session:  # as if it had been an older round's
            session.get_one(Commit, (stages_made.project, 1, 1)).self_commitment = None
        with pytest.raises(NotAMember, match="no stake"):
            _post(database, stages_made, stages_made.commit_intake(poor))

    def test_a_number_that_is_somebody_elses(self, database: Database, stages_made: Stages) -> None:
        stages_made.fill(database, OPEN)
        trainer = stages_made.scene.trainers[0]
        with pytest.raises(MemberDiffers, match="member 1 of project"):
            _post(database, stages_made, _signed(stages_made, trainer, b"\x07" * 32, number=2))

    def test_a_second_commitment(self, database: Database, stages_made: Stages) -> None:
        stages_made.fill(database, OPEN)
        trainer = stages_made.scene.trainers[0]
        _post(database, stages_made, stages_made.commit_intake(trainer))
        with pytest.raises(CommitmentDiffers, match="one commitment per round"):
            _post(database, stages_made, _signed(stages_made, trainer, b"\x09" * 32))

    def test_a_copy_of_somebody_elses(self, database: Database, stages_made: Stages) -> None:
        stages_made.fill(database, OPEN)
        victim, copier, third = stages_made.scene.trainers
        _post(database, stages_made, stages_made.commit_intake(victim))
        stolen = stages_made.scene.commitment_of(victim)
        with pytest.raises(DuplicateCommitment, match=victim.address):
            _post(database, stages_made, _signed(stages_made, copier, stolen))
        assert _post(database, stages_made, stages_made.commit_intake(copier)) == "recorded"
        assert _post(database, stages_made, stages_made.commit_intake(third)) == "recorded"

    def test_a_copy_of_one_that_its_trainer_posted_on_chain(self, database: Database, stages_made: Stages) -> None:
        victim, copier, _ = stages_made.scene.trainers
        posted = CommittedSelf(_later(stages_made, OPEN), stages_made.project, 1, 1, b"\x0b" * 32, 255)
        stages_made.fill(database, OPEN, [posted])
        with pytest.raises(DuplicateCommitment):
            _post(database, stages_made, _signed(stages_made, copier, b"\x0b" * 32))
        assert _post(database, stages_made, _signed(stages_made, victim, b"\x0b" * 32)) == "already-recorded"
        with pytest.raises(CommitmentDiffers, match="on chain"):
            _post(database, stages_made, stages_made.commit_intake(victim))

    def test_after_the_batch_was_made(self, database: Database, stages_made: Stages) -> None:
        stages_made.fill(database, OPEN)
        early, late, _ = stages_made.scene.trainers
        _post(database, stages_made, stages_made.commit_intake(early))
        with database.write() as session:
            taken = repository.close_batch(session, stages_made.project, 1)
        assert [intent.trainer for intent in taken] == [early.address]
        assert _post(database, stages_made, stages_made.commit_intake(early)) == "already-recorded"
        with pytest.raises(BatchPosted, match="commitSelf"):
            _post(database, stages_made, stages_made.commit_intake(late))
        with database.write() as session:
            repository.reopen_batch(session, stages_made.project, 1)
        assert _post(database, stages_made, stages_made.commit_intake(late)) == "recorded"

    def test_a_full_round(self, database: Database, stages_made: Stages) -> None:
        """Four slots: three members post, a fourth is on chain, the fifth is too late."""
        first, second = stages_made.scene.owner, stages_made.scene.aggregator
        more = _joined(stages_made, first, 4, 0, 1) + _joined(stages_made, second, 5, 0, 3)
        more.append(CommittedSelf(_later(stages_made, OPEN, 5), stages_made.project, 1, 4, b"\x0c" * 32, 255))
        stages_made.fill(database, OPEN, more)
        for trainer in stages_made.scene.trainers:
            _post(database, stages_made, stages_made.commit_intake(trainer))
        with pytest.raises(RoundFull, match="4 slots"):
            _post(database, stages_made, _signed(stages_made, second, b"\x0d" * 32, number=5))

    def test_when_no_batch_may_be_posted_any_more(self, database: Database, stages_made: Stages) -> None:
        """The last part of the commit phase is for trainers themselves."""
        stages_made.fill(database, OPEN)
        trainer, late, _ = stages_made.scene.trainers
        with database.write() as session:
            cursor = lock_cursor(session)
            round = session.get_one(Round, (stages_made.project, 1))
            last = batch_end(round, stages_made.scene.terms.windows.self_commit)
            cursor.block_timestamp = last - 1
        assert _post(database, stages_made, stages_made.commit_intake(trainer)) == "recorded"
        with database.write() as session:
            lock_cursor(session).block_timestamp = last
        with pytest.raises(BatchTooLate, match="commitSelf"):
            _post(database, stages_made, stages_made.commit_intake(late))

    def test_nothing_is_recorded_by_a_refusal(self, database: Database, stages_made: Stages) -> None:
        stages_made.fill(database, OPEN)
        with pytest.raises(NotAMember):
            _post(database, stages_made, _signed(stages_made, stages_made.scene.owner, b"\x07" * 32))
        with database.read() as session:
            assert repository.commit_intents(session, stages_made.project, 1) == []


def test_one_trainer_in_many_requests_at_once_is_recorded_once(database: Database, stages_made: Stages) -> None:
    stages_made.fill(database, OPEN)
    intake = stages_made.commit_intake(stages_made.scene.trainers[0])
    answers: list[str] = []
    barrier = threading.Barrier(6)

    def post() -> None:
        barrier.wait()
        answers.append(_post(database, stages_made, intake))

    threads = [threading.Thread(target=post) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(answers) == ["already-recorded"] * 5 + ["recorded"]


def test_no_commitment_slips_in_beside_the_batch(database: Database, stages_made: Stages) -> None:
    """Whatever the order, a trainer who is told "recorded" is in the batch that is taken."""
    stages_made.fill(database, OPEN)
    taken: list[list[str]] = []
    recorded: list[str] = []
    barrier = threading.Barrier(4)

    def take() -> None:
        barrier.wait()
        with database.write() as session:
            taken.append([one.trainer for one in repository.close_batch(session, stages_made.project, 1)])

    def post(trainer: LocalAccount) -> None:
        intake = stages_made.commit_intake(trainer)
        barrier.wait()
        try:
            _post(database, stages_made, intake)
            recorded.append(trainer.address)
        except BatchPosted:
            pass

    threads = [threading.Thread(target=take)]
    threads += [threading.Thread(target=post, args=(trainer,)) for trainer in stages_made.scene.trainers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert set(recorded) == set(taken[0])
