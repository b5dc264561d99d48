"""Public rows from a revealed batch: the same bytes again, a tolerance between machines, and a round judged by them."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from cohort_protocol.bundle import RoundBundle, recompute
from cohort_protocol.commitments import ZERO32
from cohort_protocol.ipfs.embedded import EmbeddedStore
from cohort_protocol.ipfs.errors import ContentNotFound
from cohort_protocol.ipfs.unixfs import cid_of
from cohort_protocol.learning.batches import BatchMalformed
from cohort_protocol.learning.public_rows import (
    ROW_TOLERANCE,
    VALUE_TOLERANCE,
    ComputedRows,
    RowsDiffer,
    check_rows,
    compute_rows,
)
from cohort_protocol.round_inputs import RoundInputs, RoundInputsInvalid
from cohort_protocol.round_rows import RowsManifest, RowsUnusable, encode_row
from cohort_protocol.spec import ProjectSpec

from tests.protocol.learning.judged_round import examples, make_round, make_spec, put_batch

Given = tuple[EmbeddedStore, ProjectSpec, RoundInputs]


@pytest.fixture
def given(tmp_path: Path) -> Given:
    store = EmbeddedStore(tmp_path / "ipfs")
    spec, model = make_spec()
    return store, spec, make_round(store, spec, model)


def moved(rows: ComputedRows, index: int, by: int) -> ComputedRows:
    """Rows of a machine that came to another last digit."""
    changed = [row.copy() for row in rows.rows]
    changed[index][3] += by
    return republished(rows, changed)


def republished(rows: ComputedRows, arrays: list[np.ndarray]) -> ComputedRows:
    cids = [str(cid_of(encode_row(row))) for row in arrays]
    return ComputedRows(rows.manifest.model_copy(update={"rows": cids}), tuple(arrays))


def test_the_same_inputs_give_the_same_bytes(given: Given) -> None:
    store, spec, inputs = given
    first, second = compute_rows(inputs, spec, store), compute_rows(inputs, spec, EmbeddedStore(store.root))
    assert first.manifest.to_bytes() == second.manifest.to_bytes()
    assert all(np.array_equal(a, b) for a, b in zip(first.rows, second.rows, strict=True))
    assert RowsManifest.from_bytes(first.manifest.to_bytes()) == first.manifest
    assert len(first.rows) == 4, "u0, v, v', k"
    assert first.manifest.layout.trainable


def test_a_witness_accepts_its_own_bytes_once_they_are_published(given: Given) -> None:
    store, spec, inputs = given
    rows = compute_rows(inputs, spec, store)
    with pytest.raises(ContentNotFound):
        check_rows(rows, rows.digest, inputs, store)
    rows.publish(store)
    check_rows(rows, rows.digest, inputs, store)


def test_a_witness_accepts_other_last_digits_and_nothing_beyond(given: Given) -> None:
    store, spec, inputs = given
    rows = compute_rows(inputs, spec, store)
    for index in range(4):
        close, far = moved(rows, index, ROW_TOLERANCE), moved(rows, index, ROW_TOLERANCE + 1)
        close.publish(store)
        far.publish(store)
        check_rows(rows, close.digest, inputs, store)
        with pytest.raises(RowsDiffer, match=f"differs by up to {ROW_TOLERANCE + 1}"):
            check_rows(rows, far.digest, inputs, store)
    values = [rows.manifest.values[0] + VALUE_TOLERANCE + 1, *rows.manifest.values[1:]]
    other = ComputedRows(rows.manifest.model_copy(update={"values": values}), rows.rows)
    other.publish(store)
    with pytest.raises(RowsDiffer, match="the value of row 0"):
        check_rows(rows, other.digest, inputs, store)


@pytest.mark.parametrize(
    "changed", [{"round": 7}, {"members": [9, 22, 23, 24, 25]}, {"model": "0x" + "00" * 32}, {"revealed": []}]
)
def test_rows_that_speak_of_something_else_are_refused(given: Given, changed: dict[str, object]) -> None:
    store, spec, inputs = given
    rows = compute_rows(inputs, spec, store)
    other = ComputedRows(rows.manifest.model_copy(update=changed), rows.rows)
    other.publish(store)
    with pytest.raises(RowsUnusable):
        check_rows(rows, other.digest, inputs, store)


def test_the_round_is_judged_by_the_posted_rows(given: Given) -> None:
    store, spec, inputs = given
    rows = compute_rows(inputs, spec, store)
    rows.publish(store)
    done = recompute(replace(inputs, public_rows=rows.digest), store)
    evidence = done.bundle.evidence
    assert evidence.fallback == "none"
    assert evidence.rows == rows.manifest.rows
    assert evidence.values == rows.manifest.values
    assert len(done.bundle.gram) == len(inputs.rows) + 4
    scores = [outcome.score for outcome in done.bundle.outcomes]
    assert scores[-1] == 0, "the one who sends the opposite earns nothing"
    assert min(scores[:4]) > 0
    assert RoundBundle.from_bytes(done.bundle_bytes) == done.bundle
    verdicts = done.bundle.verdicts
    assert verdicts[-1].rank == (5 if verdicts[-1].accepted else 0)
    first, *later = sorted(range(4), key=lambda row: -scores[row])
    assert verdicts[first].rank == 1
    for place, (before, row) in enumerate(pairwise([first, *later]), 2):
        assert verdicts[row].rank == (verdicts[before].rank if scores[row] == scores[before] else place)
    assert all(verdict.uncertainty is not None for verdict in verdicts[:4])
    peers = recompute(inputs, store)
    assert peers.bundle.evidence.fallback == "rows-not-posted"
    assert all("judged by agreement alone" in verdict.sentence for verdict in peers.bundle.verdicts)
    none = recompute(replace(inputs, validation=ZERO32), store)
    assert none.bundle.evidence.fallback == "batch-not-revealed"
    assert none.outcomes == peers.outcomes


def test_posted_rubbish_is_not_judged_by(given: Given) -> None:
    store, spec, inputs = given
    rows = compute_rows(inputs, spec, store)
    short = republished(rows, [row[:-1] for row in rows.rows])
    short.publish(store)
    rubbish = store.put(b"no manifest").digest
    for digest in (short.digest, rubbish):
        bundle = recompute(replace(inputs, public_rows=digest), store).bundle
        assert bundle.evidence.fallback == "rows-unusable"
    with pytest.raises(ContentNotFound):
        recompute(replace(inputs, public_rows=b"\1" * 32), store)


def test_the_next_round_remembers_what_was_posted(given: Given) -> None:
    store, spec, inputs = given
    first = compute_rows(inputs, spec, store)
    first.publish(store)
    later = replace(
        inputs,
        round=inputs.round + 1,
        validation=put_batch(store, examples(128, 77), inputs.round + 1),
        revealed=(*inputs.revealed, (inputs.round, inputs.validation)),
        remembered=first.digest,
    )
    with_memory = compute_rows(later, spec, store)
    without = compute_rows(replace(later, remembered=ZERO32), spec, store)
    changes = [a - b for a, b in zip(with_memory.manifest.values, without.manifest.values, strict=True)]
    kept = [value * 3 // 4 for value in first.manifest.values]
    played = [index for index, value in enumerate(without.manifest.values) if value]
    assert played
    assert all(abs(changes[index] - kept[index]) <= 2 for index in played)


def test_what_no_rows_can_follow_from(given: Given) -> None:
    store, spec, inputs = given
    with pytest.raises(RoundInputsInvalid):
        compute_rows(replace(inputs, validation=ZERO32), spec, store)
    for_another_round = put_batch(store, examples(128, 77), 8)
    with pytest.raises(BatchMalformed, match="that of round 8"):
        compute_rows(replace(inputs, validation=for_another_round), spec, store)


def test_rules_of_the_catalogue_get_their_gradients(tmp_path: Path) -> None:
    store = EmbeddedStore(tmp_path / "ipfs")
    spec, model = make_spec("fltrust")
    inputs = make_round(store, spec, model)
    rows = compute_rows(inputs, spec, store)
    rows.publish(store)
    bundle = recompute(replace(inputs, public_rows=rows.digest), store).bundle
    assert bundle.evidence.fallback == "none"
    assert bundle.evidence.layout is not None
    assert bundle.evidence.layout.gradients
    assert not bundle.evidence.layout.trainable
