"""A private project on a real chain: rounds are proven and settled, and nobody but its readers has seen an update."""

from __future__ import annotations

from pathlib import Path

import pytest
from cohort_protocol.ipfs.cid import Cid
from cohort_protocol.phases import Phase
from cohort_protocol.sealing.errors import NotAReader
from cohort_protocol.sealing.file import is_sealed, sealed_size
from cohort_protocol.sealing.project import Sealing
from cohort_protocol.service.refusals import RefusalCode
from cohort_protocol.update import encode_update
from cohort_protocol.update.codec import update_size
from cohort_worker.witness.receipts import Answer, RevealChecker, RevealRules

from tests.fixtures.chain import Devnet
from tests.worker.evaluation.test_evaluate import advance, run_jobs
from tests.worker.evaluation.test_public_rows import bundle_of, to_reveals, with_batch
from tests.worker.proving.test_proven_round import phase_of, to_outcome
from tests.worker.stage import SHORT, Stage


@pytest.fixture
def stage(proven_devnet: Devnet, srs_file: Path, tmp_path: Path):
    made = Stage.create(
        proven_devnet, tmp_path, windows=SHORT, policy="default", batches=True, srs=srs_file, private=True
    )
    yield made
    made.close()


def test_a_private_round_is_proven_and_settled(stage: Stage) -> None:
    to_reveals(stage)
    with_batch(stage)
    to_outcome(stage)
    run_jobs(stage, "prove_round")
    bundle = bundle_of(stage)
    stage.sign_settlement(stage.proposal())
    advance(stage)
    assert phase_of(stage, 1) is Phase.FINAL
    assert bundle.evidence.fallback == "none"
    assert len(bundle.evidence.rows) == 3
    size = update_size(stage.terms.dimension)
    for cid in [row.cid for row in bundle.rows] + bundle.evidence.rows:
        assert is_sealed(stage.store.get(Cid.parse(cid), 1 << 20))
        with pytest.raises(NotAReader):
            stage.store_of(stage.owner).get(Cid.parse(cid), size * 4)
    for reader in (*stage.witnesses, stage.aggregator):
        for trainer, row in zip(sorted(stage.trainers, key=stage.number_of), bundle.rows, strict=True):
            values = stage.updates[1, trainer.address].values
            assert stage.store_of(reader).get(Cid.parse(row.cid), size) == encode_update(values)


def test_what_is_no_sealed_update_of_the_project_gets_no_receipt(stage: Stage) -> None:
    """Sealed for others, cut off, or sealed and too long: refused, with the reason; the others are endorsed."""
    trainer = stage.trainers[0]
    advance(stage)
    file = encode_update(stage.update_of(trainer).values)
    key = bytes(trainer.key)
    good = stage.sealing.published(file, key)
    cut = good[:-1]
    foreign = Sealing(stage.sealing.readers, b"another project").published(file, key)
    long = stage.sealing.published(file + bytes(2), key)
    assert len(good) == sealed_size(len(file), stage.sealing.readers)
    rules = RevealRules(stage.identity, stage.terms.dimension, stage.scheme)
    for content, code in ((good, ""), (cut, RefusalCode.MALFORMED), (foreign, RefusalCode.MALFORMED),
                          (long, RefusalCode.TOO_LARGE)):  # fmt: skip
        stage.updates.pop((stage.round, trainer.address), None)
        stage.publish_elsewhere(trainer, stage.store.put(content))
        reveals = stage.reveal_set([trainer])
        committed = {stage.number_of(trainer): stage.commitment_of(trainer)}
        for witness in stage.witnesses:
            (finding,) = RevealChecker(rules, stage.store_of(witness)).check(stage.key, reveals, committed)
            assert finding.answer is (Answer.REFUSED if code else Answer.ENDORSED), (code, finding)
            assert finding.code == (code.value if code else "")
