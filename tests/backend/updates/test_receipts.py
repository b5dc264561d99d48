"""Receipts: a witness's word on a set, which may grow and never turns."""

from __future__ import annotations

import threading

import pytest
from cohort_backend.database import Database
from cohort_backend.errors import PhaseNotAllowed
from cohort_backend.updates import repository
from cohort_backend.updates.errors import (
    BitsOutOfRange,
    NotAWitness,
    ReceiptContradicts,
    RefusalsInvalid,
    RevealSetChanged,
)
from cohort_backend.updates.receipts import record_receipt
from cohort_backend.updates.service import record_reveal
from cohort_protocol.commitments import receipt_message, sign
from cohort_protocol.errors import SignatureInvalid
from cohort_protocol.identifiers import to_hex
from cohort_protocol.service.messages import ReceiptIntake, Refusal
from eth_account.signers.local import LocalAccount

from tests.backend.stages import ADMITTED, COMMITTED, Stages


class Round:
    """The round of the stages, in its reveal phase, with some reveals recorded."""

    def __init__(self, database: Database, stages: Stages, reveals: int = 3) -> None:
        self.database, self.stages = database, stages
        self.trainers = stages.scene.trainers
        self.witness = stages.scene.witnesses[0]
        stages.fill(database, COMMITTED)
        for trainer in self.trainers[:reveals]:
            self.reveal(trainer)

    def reveal(self, trainer: LocalAccount) -> None:
        record_reveal(
            self.database, self.stages.scene.identity, self.stages.project, 1, self.stages.reveal_intake(trainer)
        )

    def digest(self) -> bytes:
        with self.database.read() as session:
            return repository.set_hash(repository.current_set(session, self.stages.project, 1))

    def intake(
        self,
        endorsed: int,
        refused: int = 0,
        digest: bytes | None = None,
        words: dict[int, str] | None = None,
        witness: LocalAccount | None = None,
        signer: LocalAccount | None = None,
    ) -> ReceiptIntake:
        witness = witness or self.witness
        digest = digest or self.digest()
        message = receipt_message(self.stages.scene.identity, self.stages.project, 1, digest, endorsed, refused)
        return ReceiptIntake(
            witness=witness.address,
            openings_hash=to_hex(digest),
            endorsed=endorsed,
            refused=refused,
            refusals=[
                Refusal(trainer=self.trainers[bit].address, code=code, detail="in words")
                for bit, code in (words or {}).items()
            ],
            signature=to_hex(sign(message, signer or witness)),
        )

    def post(self, intake: ReceiptIntake) -> str:
        return record_receipt(self.database, self.stages.scene.identity, self.stages.project, 1, intake)

    def refusals(self) -> list[tuple[str, str]]:
        with self.database.read() as session:
            return [(one.trainer, one.code) for one in repository.refusals(session, self.stages.project, 1)]


def test_a_word_is_recorded_with_its_set(database: Database, stages_made: Stages) -> None:
    round = Round(database, stages_made)
    digest = round.digest()
    assert round.post(round.intake(0b101, 0b010, words={1: "update-malformed"})) == "recorded"
    assert round.post(round.intake(0b101, 0b010, words={1: "update-malformed"})) == "already-recorded"
    with database.read() as session:
        (receipt,) = repository.receipts(session, stages_made.project, 1, digest)
        (recorded,) = repository.recorded_sets(session, stages_made.project, 1)
    assert (receipt.endorsed, receipt.refused, receipt.witness) == (0b101, 0b010, round.witness.address)
    assert (recorded.openings_hash, recorded.members) == (digest, [1, 2, 3])
    assert recorded.trainers == [one.address for one in round.trainers]
    assert round.refusals() == [(round.trainers[1].address, "update-malformed")]


def test_bytes_that_arrive_late_turn_silence_into_a_word(database: Database, stages_made: Stages) -> None:
    round = Round(database, stages_made)
    round.post(round.intake(0b011, words={2: "not-fetchable"}))
    assert round.refusals() == [(round.trainers[2].address, "not-fetchable")]
    assert round.post(round.intake(0b111)) == "recorded"
    assert round.refusals() == []


def test_an_older_word_that_arrives_late_changes_nothing(database: Database, stages_made: Stages) -> None:
    round = Round(database, stages_made)
    round.post(round.intake(0b111))
    assert round.post(round.intake(0b011, words={2: "not-fetchable"})) == "already-recorded"
    assert round.refusals() == []


def test_a_late_reveal_does_not_void_the_receipts_of_the_others(database: Database, stages_made: Stages) -> None:
    """Else one trainer could keep everybody out by revealing in the last second."""
    round = Round(database, stages_made, reveals=2)
    early = round.digest()
    round.post(round.intake(0b11))
    round.reveal(round.trainers[2])
    assert round.digest() != early
    second = stages_made.scene.witnesses[1]
    assert round.post(round.intake(0b11, digest=early, witness=second)) == "recorded"
    with database.read() as session:
        assert len(repository.receipts(session, stages_made.project, 1, early)) == 2


class TestRefusals:
    def test_a_word_on_a_set_that_nobody_asked_about(self, database: Database, stages_made: Stages) -> None:
        round = Round(database, stages_made, reveals=2)
        stale = round.digest()
        round.reveal(round.trainers[2])
        with pytest.raises(RevealSetChanged, match="read the state again"):
            round.post(round.intake(0b11, digest=stale))

    def test_nothing_to_speak_of(self, database: Database, stages_made: Stages) -> None:
        round = Round(database, stages_made, reveals=0)
        with pytest.raises(RevealSetChanged):
            round.post(round.intake(0, digest=b"\x01" * 32))

    def test_who_is_no_witness(self, database: Database, stages_made: Stages) -> None:
        round = Round(database, stages_made)
        with pytest.raises(NotAWitness, match=stages_made.scene.witnesses[2].address):
            round.post(round.intake(0b111, witness=stages_made.scene.owner))

    def test_a_signature_by_another_witness(self, database: Database, stages_made: Stages) -> None:
        round = Round(database, stages_made)
        with pytest.raises(SignatureInvalid):
            round.post(round.intake(0b111, signer=stages_made.scene.witnesses[1]))

    def test_bits_that_were_not_signed(self, database: Database, stages_made: Stages) -> None:
        round = Round(database, stages_made)
        changed = round.intake(0b011).model_copy(update={"endorsed": 0b111})
        with pytest.raises(SignatureInvalid):
            round.post(changed)

    @pytest.mark.parametrize(("endorsed", "refused"), [(0b1000, 0), (0, 0b1000), (0b1, 0b1)])
    def test_bits_outside_the_set_or_both_ways(
        self, database: Database, stages_made: Stages, endorsed: int, refused: int
    ) -> None:
        round = Round(database, stages_made)
        with pytest.raises(BitsOutOfRange, match="set of 3"):
            round.post(round.intake(endorsed, refused, words={0: "update-malformed"}))

    @pytest.mark.parametrize("first", [0b001, 0b011])
    def test_taking_a_yes_back(self, database: Database, stages_made: Stages, first: int) -> None:
        round = Round(database, stages_made)
        round.post(round.intake(first, words={2: "not-fetchable"}))
        with pytest.raises(ReceiptContradicts):
            round.post(round.intake(0b110, 0b001, words={0: "update-malformed"}))

    def test_a_word_beside_the_one_before(self, database: Database, stages_made: Stages) -> None:
        """One that drops a bit and adds another is neither older nor newer."""
        round = Round(database, stages_made)
        round.post(round.intake(0b001))
        with pytest.raises(ReceiptContradicts, match="repeats every bit"):
            round.post(round.intake(0b010))

    @pytest.mark.parametrize(
        ("endorsed", "refused", "words"),
        [
            (0b011, 0b100, {}),
            (0b111, 0, {0: "update-malformed"}),
        ],
    )
    def test_words_that_do_not_fit_the_bits(
        self, database: Database, stages_made: Stages, endorsed: int, refused: int, words: dict[int, str]
    ) -> None:
        round = Round(database, stages_made)
        with pytest.raises(RefusalsInvalid):
            round.post(round.intake(endorsed, refused, words=words))

    def test_words_about_somebody_else(self, database: Database, stages_made: Stages) -> None:
        round = Round(database, stages_made)
        intake = round.intake(0b011)
        stranger = Refusal(trainer=stages_made.scene.owner.address, code="not-fetchable", detail="")
        with pytest.raises(RefusalsInvalid):
            round.post(intake.model_copy(update={"refusals": [stranger]}))

    def test_after_the_reveal_phase(self, database: Database, stages_made: Stages) -> None:
        round = Round(database, stages_made)
        digest = round.digest()
        round.post(round.intake(0b011))
        stages_made.fill(database, ADMITTED)
        with pytest.raises(PhaseNotAllowed):
            round.post(round.intake(0b111, digest=digest))
        assert round.post(round.intake(0b011, digest=digest)) == "already-recorded"


@pytest.mark.parametrize("what", ["reveal", "receipt"])
def test_the_same_message_twice_at_once_is_recorded_once(database: Database, stages_made: Stages, what: str) -> None:
    """A client that lost the answer sends again, perhaps while the first is still under way."""
    round = Round(database, stages_made, reveals=2)
    intake = round.intake(0b11)
    reveal = stages_made.reveal_intake(round.trainers[2])
    answers: list[str] = []
    barrier = threading.Barrier(6)

    def post() -> None:
        barrier.wait()
        if what == "receipt":
            answers.append(round.post(intake))
        else:
            answers.append(record_reveal(database, stages_made.scene.identity, stages_made.project, 1, reveal))

    threads = [threading.Thread(target=post) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(answers) == ["already-recorded"] * 5 + ["recorded"]
