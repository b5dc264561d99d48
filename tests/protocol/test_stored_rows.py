"""Rows straight from a block store: verified once, streamed, in memory that their number does not change."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from cohort_protocol.ipfs.embedded import EmbeddedStore
from cohort_protocol.ipfs.errors import ContentCorrupt, ContentNotFound, ContentTooLarge
from cohort_protocol.scoring import evaluate_round, policy_by_name
from cohort_protocol.scoring.kernel import FileRow, NumpyKernel, Pass, default_kernel, gram_shard, whole
from cohort_protocol.stored_rows import CommitmentMismatch, stored_model, stored_update
from cohort_protocol.update import (
    ModelMalformed,
    UpdateMalformed,
    encode_model,
    encode_update,
    model_commitment,
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
    from cohort_protocol.update import stream

    update, row = put_update(store, 1)
    assert (whole(row) == update).all()

    def hashed(_: bytes) -> None:
        raise AssertionError("hashed again")

    monkeypatch.setattr(stream, "keccak", type("Forbidden", (), {"new": staticmethod(hashed)}))
    with pytest.raises(AssertionError, match="hashed again"):
        whole(put_update(store, 2)[1])
    assert (whole(row) == update).all()


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
