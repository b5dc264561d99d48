"""Rows straight from a block store: verified once, streamed, in memory that their number does not change."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from cohort_protocol.ipfs.embedded import EmbeddedStore
from cohort_protocol.ipfs.errors import ContentCorrupt, ContentNotFound, ContentTooLarge
from cohort_protocol.scoring import evaluate_round, policy_by_name
from cohort_protocol.scoring.kernel import (
    DifferenceRow,
    FileRow,
    NumpyKernel,
    Pass,
    SharedRow,
    default_kernel,
    gram_shard,
    hashing,
    whole,
)
from cohort_protocol.stored_rows import CommitmentMismatch, stored_model, stored_update
from cohort_protocol.update import (
    ModelMalformed,
    UpdateMalformed,
    encode_model,
    encode_update,
    model_commitment,
    step_between,
    update_commitment,
)

D = 300_001
"""Three chunks of the block store for an update, ten for a model."""


@pytest.fixture
def store(tmp_path: Path) -> EmbeddedStore:
    return EmbeddedStore(tmp_path / "ipfs")


def put_update(store: EmbeddedStore, seed: int):
    update = np.random.default_rng(seed).integers(-900, 900, D).astype(np.int16)
    return update, stored_update(store, store.put(encode_update(update)), update_commitment(update), D)


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("policy", ["peer", "fedavg"])
def test_a_round_from_the_store_is_the_round_from_memory(store, policy, threads):
    both = [put_update(store, seed) for seed in range(5)]
    arrays, rows = [array for array, _ in both], [row for _, row in both]
    step = np.random.default_rng(9).integers(-(2**24), 2**24, D)
    stored = stored_model(store, store.put(encode_model(step)), model_commitment(step), D)
    expected = evaluate_round(arrays, [step], policy_by_name(policy))
    found = evaluate_round(rows, [stored], policy_by_name(policy), threads=threads)
    assert found.gram == expected.gram
    assert found.outcome == expected.outcome
    assert found.step.tobytes() == expected.step.tobytes()


def test_what_was_committed_to_is_checked_at_the_end_of_the_first_pass(store):
    update, _ = put_update(store, 1)
    cid = store.put(encode_update(update))
    with pytest.raises(CommitmentMismatch, match="committed was 0x0101"):
        whole(stored_update(store, cid, b"\1" * 32, D))
    model = update.astype(np.int64)
    with pytest.raises(CommitmentMismatch, match="on chain is 0x0101"):
        whole(stored_model(store, store.put(encode_model(model)), b"\1" * 32, D))


def test_a_row_is_hashed_once(store, monkeypatch):
    update, row = put_update(store, 1)
    assert (whole(row) == update).all()
    monkeypatch.setattr(hashing, "hashes", lambda count: pytest.fail(f"{count} rows are hashed again"))
    assert (whole(row) == update).all()
    with pytest.raises(pytest.fail.Exception, match="1 rows are hashed"):
        whole(put_update(store, 2)[1])


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("wrong", ["update", "first model", "last model"])
def test_whatever_a_pass_reads_must_be_what_was_committed_to(store, wrong, threads):
    updates = [put_update(store, seed)[1] for seed in range(9)]
    models = [np.random.default_rng(seed).integers(-(2**24), 2**24, D) for seed in range(3)]

    def shared(index: int, name: str) -> SharedRow:
        commitment = b"\1" * 32 if name == wrong else model_commitment(models[index])
        return SharedRow(stored_model(store, store.put(encode_model(models[index])), commitment, D))

    if wrong == "update":
        update = whole(updates[4])
        updates[4] = stored_update(store, store.put(encode_update(update)), b"\1" * 32, D)
    line = [shared(0, "first model"), shared(1, "a model"), shared(2, "last model")]
    steps = [DifferenceRow(line[1], line[2], step_between), DifferenceRow(line[0], line[1], step_between)]
    with pytest.raises(CommitmentMismatch, match="0x0101"):
        evaluate_round(updates, steps, policy_by_name("peer"), threads=threads)


def test_faults_of_publishers_and_of_stores_stay_apart(store):
    update, row = put_update(store, 3)
    commitment, cid = update_commitment(update), store.put(encode_update(update))
    with pytest.raises(ContentTooLarge):
        whole(stored_update(store, cid, commitment, 1000))
    with pytest.raises(UpdateMalformed):
        whole(stored_update(store, store.put(b"not an update"), commitment, D))
    with pytest.raises(ModelMalformed):
        whole(stored_model(store, cid, commitment, D))
    blocks = sorted(store.root.glob("blocks/*/*"), key=lambda path: path.stat().st_size)
    blocks[-1].write_bytes(bytes(blocks[-1].stat().st_size))
    with pytest.raises(ContentCorrupt):
        whole(row)
    blocks[-1].unlink()
    with pytest.raises(ContentNotFound):
        whole(row)


@pytest.mark.parametrize("kernel", [NumpyKernel(), default_kernel()], ids=lambda kernel: kernel.name)
def test_memory_does_not_grow_with_the_number_of_rows(tmp_path, kernel):
    path = tmp_path / "row"
    path.write_bytes(np.random.default_rng(1).integers(-9, 9, D).astype(np.int16).tobytes())

    def peak(count: int) -> int:
        tracemalloc.start()
        try:
            gram_shard(Pass(kernel), [FileRow(path, D) for _ in range(count)])
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    few, many = peak(10), peak(400)
    assert 400 * 2 * D > 200e6, "the rows themselves are far larger"
    assert few < 20e6
    assert many < 40e6
