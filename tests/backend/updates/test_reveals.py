"""Reveals: taken if they open the commitment on chain, never replaced."""

from __future__ import annotations

import pytest
from cohort_backend.chain.repository import lock_cursor
from cohort_backend.database import Database
from cohort_backend.errors import PhaseNotAllowed
from cohort_backend.rounds.models import Commit, Round
from cohort_backend.updates import repository
from cohort_backend.updates.errors import MemberDiffers, NotAMember, NotCommitted, OpeningWrong
from cohort_backend.updates.service import record_reveal
from cohort_protocol.commitments import commitment
from cohort_protocol.ipfs.cid import Cid
from cohort_protocol.ipfs.errors import CidMalformed
from cohort_protocol.service.messages import RevealIntake

from tests.backend.stages import ADMITTED, COMMITTED, OPEN, Stages


def _post(database: Database, stages: Stages, intake: RevealIntake) -> str:
    return record_reveal(database, stages.scene.identity, stages.project, 1, intake)


def test_a_reveal_is_recorded_once_and_joins_the_set(database: Database, stages_made: Stages) -> None:
    stages_made.fill(database, COMMITTED)
    for count, trainer in enumerate(reversed(stages_made.scene.trainers), 1):
        assert _post(database, stages_made, stages_made.reveal_intake(trainer)) == "recorded"
        assert _post(database, stages_made, stages_made.reveal_intake(trainer)) == "already-recorded"
        with database.read() as session:
            found = repository.current_set(session, stages_made.project, 1)
        assert len(found) == count
    assert [reveal.trainer for reveal in found] == [trainer.address for trainer in stages_made.scene.trainers]


def test_what_the_chain_has_decided_is_no_longer_in_the_set(database: Database, stages_made: Stages) -> None:
    stages_made.fill(database, COMMITTED)
    for trainer in stages_made.scene.trainers:
        _post(database, stages_made, stages_made.reveal_intake(trainer))
    stages_made.fill(database, ADMITTED)
    with database.read() as session:
        assert repository.current_set(session, stages_made.project, 1) == []
    trainer = stages_made.scene.trainers[0]
    assert _post(database, stages_made, stages_made.reveal_intake(trainer)) == "already-recorded"


def test_an_opening_that_comes_too_late_for_a_row_can_still_save_the_stake(
    database: Database, stages_made: Stages
) -> None:
    stages_made.fill(database, COMMITTED)
    early, late, _ = stages_made.scene.trainers
    _post(database, stages_made, stages_made.reveal_intake(early))
    _end_reveals(database, stages_made, rescue_over=False)
    assert _post(database, stages_made, stages_made.reveal_intake(late)) == "recorded"
    with database.read() as session:
        found = repository.current_set(session, stages_made.project, 1)
    assert [repository.opening(intent) for intent in found] == stages_made.scene.openings_of([early, late])


def test_a_reorg_that_brings_another_commitment_brings_another_opening(database: Database, stages_made: Stages) -> None:
    """What is recorded of the old one, receipts included, speaks of nothing any more."""
    stages_made.fill(database, COMMITTED)
    scene, project = stages_made.scene, stages_made.project
    trainer = scene.trainers[0]
    intake = stages_made.reveal_intake(trainer)
    _post(database, stages_made, intake)
    with database.write() as session:
        reveals = repository.current_set(session, project, 1)
        repository.record_set(session, project, 1, repository.set_hash(reveals), reveals)
        assert len(repository.recorded_sets(session, project, 1)) == 1
    other = intake.model_copy(update={"update": "0x" + "77" * 32})
    cid = bytes(Cid.parse(intake.cid))
    replaced = commitment(scene.identity, project, 1, 1, b"\x77" * 32, cid, bytes.fromhex(intake.salt[2:]))
    with database.write() as session:
        session.get_one(Commit, (project, 1, 1)).batch_commitment = replaced
    assert _post(database, stages_made, other) == "recorded"
    assert _post(database, stages_made, other) == "already-recorded"
    with pytest.raises(OpeningWrong):
        _post(database, stages_made, intake)
    with database.read() as session:
        (found,) = repository.current_set(session, project, 1)
        assert found.update == b"\x77" * 32
        assert repository.recorded_sets(session, project, 1) == []


def _end_reveals(database: Database, stages: Stages, *, rescue_over: bool) -> None:
    """The round as it would be after tR, or after tG, with nothing admitted."""
    with database.write() as session:
        round = session.get_one(Round, (stages.project, 1))
        lock_cursor(session).block_timestamp = round.rescue_end if rescue_over else round.reveal_end


class TestRefusals:
    def test_another_update_or_salt(self, database: Database, stages_made: Stages) -> None:
        stages_made.fill(database, COMMITTED)
        mine, other, _ = stages_made.scene.trainers
        stolen = stages_made.reveal_intake(other)
        for wrong in ({"update": "0x" + "22" * 32}, {"salt": "0x" + "22" * 32}, {"update": stolen.update}):
            with pytest.raises(OpeningWrong, match="on chain is") as refused:
                _post(database, stages_made, stages_made.reveal_intake(mine, **wrong))
            assert refused.value.code == "opening-wrong"

    def test_the_opening_of_somebody_else_under_ones_own_name(self, database: Database, stages_made: Stages) -> None:
        stages_made.fill(database, COMMITTED)
        thief, victim, _ = stages_made.scene.trainers
        with pytest.raises(OpeningWrong):
            _post(
                database,
                stages_made,
                stages_made.reveal_intake(victim).model_copy(update={"trainer": thief.address, "member": 1}),
            )
        with pytest.raises(MemberDiffers):
            _post(
                database, stages_made, stages_made.reveal_intake(victim).model_copy(update={"trainer": thief.address})
            )

    def test_who_has_no_commitment_on_chain(self, database: Database, stages_made: Stages) -> None:
        stages_made.fill(database, COMMITTED)
        with database.write() as session:
            session.get_one(Commit, (stages_made.project, 1, 3)).leaf_counts = False
        with pytest.raises(NotCommitted, match="nothing to reveal"):
            _post(database, stages_made, stages_made.reveal_intake(stages_made.scene.trainers[2]))
        with pytest.raises(NotAMember, match="join first"):
            _post(database, stages_made, stages_made.reveal_intake(stages_made.scene.owner))

    @pytest.mark.parametrize("stage", [OPEN])
    def test_before_the_reveal_phase(self, database: Database, stages_made: Stages, stage: str) -> None:
        stages_made.fill(database, stage)
        with pytest.raises(PhaseNotAllowed, match=r"COMMIT.*REVEAL"):
            _post(database, stages_made, stages_made.reveal_intake(stages_made.scene.trainers[0]))

    def test_the_same_update_at_another_cid(self, database: Database, stages_made: Stages) -> None:
        """Else whoever knows the opening could send it with a CID that leads nowhere."""
        stages_made.fill(database, COMMITTED)
        first, second, _ = stages_made.scene.trainers
        elsewhere = stages_made.reveal_intake(second).cid
        for _ in range(2):
            with pytest.raises(OpeningWrong, match="The CID is bound too"):
                _post(database, stages_made, stages_made.reveal_intake(first, cid=elsewhere))
            _post(database, stages_made, stages_made.reveal_intake(first))

    def test_after_the_rescue_window(self, database: Database, stages_made: Stages) -> None:
        stages_made.fill(database, COMMITTED)
        _end_reveals(database, stages_made, rescue_over=True)
        with pytest.raises(PhaseNotAllowed, match=r"allowed in REVEAL"):
            _post(database, stages_made, stages_made.reveal_intake(stages_made.scene.trainers[0]))

    def test_a_cid_of_another_kind(self, database: Database, stages_made: Stages) -> None:
        stages_made.fill(database, COMMITTED)
        trainer = stages_made.scene.trainers[0]
        with pytest.raises(CidMalformed):
            _post(database, stages_made, stages_made.reveal_intake(trainer, cid="bafybeigdyrzt5sfp7udm7hu76uh7y26nf3"))
