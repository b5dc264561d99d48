"""The owner's validation batches: drawn at creation, kept at home, shown when nobody can commit any more."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from cohort_protocol.ipfs.errors import ContentNotFound
from cohort_protocol.learning.batches import card_cid, fetch_batch
from cohort_protocol.learning.data import Dataset, write_csv
from cohort_protocol.phases import Phase
from cohort_protocol.spec import DataSpec
from cohort_trainer.errors import BatchesMissing, OwnerInputInvalid
from cohort_trainer.owner.batches import BatchRevealer, RevealedBatch, batches_folder
from cohort_trainer.owner.sdk import Owner

from tests.fixtures.scene import BUDGET
from tests.trainer.conftest import SPEC, Background, Stage, until
from tests.trainer.test_owner import give, owner_of, serve_drafts, terms_values

DATA = DataSpec(shape=[4], classes=3)
WITH_BATCHES = {**SPEC, "policy": {"name": "default"}}


def examples(count: int = 300) -> Dataset:
    random = np.random.default_rng(8)
    return Dataset(random.normal(size=(count, 4)).astype(np.float32), random.integers(0, 3, count))


def created(stage: Stage, owner: Owner) -> tuple[int, bytes]:
    """A project with batches in which the scene's people take part: its number and root."""
    give(stage, 3 * BUDGET)
    plan = owner.plan(WITH_BATCHES, terms_values(stage), str(3 * BUDGET), examples())
    serve_drafts(stage, plan)
    project = owner.create(plan)
    assert stage.scene.market.terms_of(project).validation_root == plan.batches.root
    stage.scene = replace(stage.scene, project=project, terms=plan.terms)
    return project, plan.batches.root


def test_batches_are_made_from_the_owners_file(stage: Stage, tmp_path: Path) -> None:
    path = tmp_path / "held-out.csv"
    write_csv(path, examples(), DATA)
    with owner_of(stage) as owner:
        plan = owner.plan(WITH_BATCHES, terms_values(stage), str(BUDGET), path)
        assert plan.batches is not None
        assert (plan.batches.size, plan.batches.fresh) == (128, 2)
        assert plan.terms.validation_root == plan.batches.root
        assert any("show nothing twice" in line for line in owner.preview(plan))
        again = owner.plan(WITH_BATCHES, terms_values(stage), str(BUDGET), path)
        assert again.terms == plan.terms, "running create again after a crash is the same project"
        with pytest.raises(OwnerInputInvalid, match="300"):
            owner.plan(WITH_BATCHES, terms_values(stage), str(BUDGET), path, 301)
        terms = {**terms_values(stage), "validation_root": "0x" + "07" * 32}
        with pytest.raises(OwnerInputInvalid, match="leave one out"):
            owner.plan(WITH_BATCHES, terms, str(BUDGET), path)


def test_a_batch_is_shown_once_and_only_when_it_is_due(stage: Stage) -> None:
    with owner_of(stage) as owner:
        project, root = created(stage, owner)
        kept = {path.name for path in batches_folder(owner.home, root).iterdir()}
        assert kept == {"cards.json", *(f"{n}.batch" for n in range(1, stage.scene.terms.rounds + 1))}
        assert owner.reveal_batch(project) is None, "no round"
        started = everybody_committed(stage)
        digest_before = BatchRevealer(owner, project)._batches.cards[0].digest
        with pytest.raises(ContentNotFound):
            stage.store.get(card_cid(digest_before), 1024)
        assert owner.reveal_batch(project) is None, "trainers can still commit"
        started()
        shown = owner.reveal_batch(project)
        assert isinstance(shown, RevealedBatch)
        assert stage.scene.market.round_of(project, 1).validation == shown.digest
        assert len(fetch_batch(stage.store, shown.digest, 1, DATA)) == 128
        assert owner.reveal_batch(project) is None, "it was shown"


def everybody_committed(stage: Stage):
    """Opens a round; what is returned ends its commit phase with commitments."""
    scene = stage.scene
    stage.devnet.send(stage.scene.owner, stage.devnet.token.mint(scene.aggregator.address, scene.terms.bond))
    stage.devnet.send(scene.aggregator, stage.devnet.token.approve(scene.market.address, scene.terms.bond))
    stage.devnet.send(scene.aggregator, scene.market.deposit_bond(scene.project, scene.terms.bond))
    scene.trainers = []
    for trainer in spare_trainers(stage):
        stage.devnet.give_tokens(trainer, scene.terms.stake)
        stage.devnet.send(trainer, scene.market.join(scene.project))
        scene.trainers.append(trainer)
    scene.open()
    return scene.commit


def spare_trainers(stage: Stage):
    return [stage.devnet.account("batch-trainer", index) for index in range(2)]


def test_the_watch_shows_batches_without_being_asked(stage: Stage) -> None:
    with owner_of(stage) as owner:
        project, _ = created(stage, owner)
        told: list[RevealedBatch] = []
        watching = Background(lambda: owner.reveal_batches(project, told.append))
        end = everybody_committed(stage)
        end()
        until(lambda: told, 30)
        assert (told[0].project, told[0].round) == (project, 1)
        assert stage.scene.market.round_of(project, 1).phase in (Phase.GUARD, Phase.REVEAL)
        assert not watching.done


def test_a_home_without_the_batches_says_so(stage: Stage) -> None:
    with owner_of(stage) as owner:
        project, root = created(stage, owner)
        with pytest.raises(BatchesMissing, match="no validation batches"):
            owner.reveal_batch(project - 1)
        folder = batches_folder(owner.home, root)
        end = everybody_committed(stage)
        end()
        (folder / "1.batch").rename(folder / "elsewhere")
        with pytest.raises(BatchesMissing, match="is lost"):
            owner.reveal_batch(project)
        (folder / "elsewhere").rename(folder / "1.batch")
        (folder / "cards.json").unlink()
        with pytest.raises(BatchesMissing, match="agreement alone"):
            owner.reveal_batch(project)
