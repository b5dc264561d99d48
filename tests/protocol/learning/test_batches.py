"""Validation batches: the file, the card, the tree that the contract checks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from cohort_protocol.ipfs.embedded import EmbeddedStore
from cohort_protocol.learning.batches import (
    BATCH_EXAMPLES,
    BatchCard,
    BatchesImpossible,
    BatchMalformed,
    BatchTree,
    batch_leaf,
    card_cid,
    card_of,
    decode_batch,
    default_batch_size,
    draw_batches,
    encode_batch,
    fetch_batch,
    fresh_batches,
)
from cohort_protocol.learning.data import Dataset
from cohort_protocol.spec import DataSpec
from eth_utils import keccak
from hypothesis import given
from hypothesis import strategies as st

from tests.protocol.learning.judged_round import put_batch

DATA = DataSpec(shape=[2, 3], classes=4)


def examples(count: int) -> Dataset:
    """No two the same."""
    inputs = np.arange(count * 6, dtype=np.float32).reshape(count, 2, 3)
    return Dataset(inputs, np.arange(count, dtype=np.int64) % 4)


def test_a_batch_comes_back_from_its_digest(tmp_path: Path) -> None:
    store, batch = EmbeddedStore(tmp_path), examples(130)
    digest = put_batch(store, batch, 5)
    found = fetch_batch(store, digest, 5, DATA)
    assert np.array_equal(found.inputs, batch.inputs)
    assert np.array_equal(found.labels, batch.labels)
    assert card_cid(digest).digest == digest == card_of(batch, 5).digest
    with pytest.raises(BatchMalformed, match="that of round 5"):
        fetch_batch(store, digest, 6, DATA)


def test_what_is_no_batch(tmp_path: Path) -> None:
    good = encode_batch(examples(4))
    with pytest.raises(BatchMalformed, match="has 112 bytes"):
        decode_batch(good[:-1], 4, DATA)
    with pytest.raises(BatchMalformed, match="labels"):
        decode_batch((9).to_bytes(4, "little") + good[4:], 4, DATA)
    with pytest.raises(BatchMalformed, match="finite"):
        decode_batch(good[:-4] + np.float32(np.nan).tobytes(), 4, DATA)
    store = EmbeddedStore(tmp_path)
    for card in (b"{}", b"rubbish", card_of(examples(4), 1).to_bytes() + b" "):
        with pytest.raises(BatchMalformed):
            fetch_batch(store, store.put(card).digest, 1, DATA)
    huge = BatchCard(round=1, examples=60_000, cid=str(store.put(b"x")))
    wide = DataSpec(shape=[4096], classes=2)
    with pytest.raises(BatchMalformed, match="at most"):
        fetch_batch(store, store.put(huge.to_bytes()).digest, 1, wide)


def test_batches_are_disjoint_while_the_examples_last() -> None:
    data = examples(3 * BATCH_EXAMPLES + 5)
    batches = list(draw_batches(data, 5, BATCH_EXAMPLES, seed=3))
    firsts = [set(batch.inputs[:, 0, 0].tolist()) for batch in batches]
    assert [len(one) for one in firsts] == [BATCH_EXAMPLES] * 5
    assert len(set().union(*firsts[:3])) == 3 * BATCH_EXAMPLES
    assert fresh_batches(len(data), BATCH_EXAMPLES) == 3
    again = list(draw_batches(data, 5, BATCH_EXAMPLES, seed=3))
    assert all(np.array_equal(a.inputs, b.inputs) for a, b in zip(batches, again, strict=True))
    with pytest.raises(BatchesImpossible):
        draw_batches(data, 5, BATCH_EXAMPLES - 1)
    with pytest.raises(BatchesImpossible):
        draw_batches(examples(100), 5)


@given(st.integers(1, 40), st.data())
def test_proofs_open_the_root(count: int, data: st.DataObject) -> None:
    digests = [keccak(bytes([index])) for index in range(count)]
    tree = BatchTree(digests)
    round = data.draw(st.integers(1, count))
    node = batch_leaf(round, digests[round - 1])
    for sibling in tree.proof(round):
        node = keccak(min(node, sibling) + max(node, sibling))
    assert node == tree.root
    with pytest.raises(BatchesImpossible):
        tree.proof(count + 1)


def test_every_class_has_its_part_of_every_batch_and_of_its_first_half() -> None:
    labels = np.repeat([0, 1, 2, 3], [600, 300, 90, 10])
    data = Dataset(np.arange(len(labels), dtype=np.float32).reshape(-1, 1, 1) * np.ones((1, 2, 3), np.float32), labels)
    for batch in draw_batches(data, 9, 200, seed=1):
        for part, size in ((batch.labels, 200), (batch.labels[:100], 100)):
            expected = size * np.bincount(labels) / len(labels)
            assert np.abs(np.bincount(part, minlength=4) - expected).max() <= 1
    firsts = [tuple(batch.inputs[:, 0, 0]) for batch in draw_batches(data, 9, 200, seed=1)]
    assert len(set(firsts)) == 9
    assert firsts != [tuple(batch.inputs[:, 0, 0]) for batch in draw_batches(data, 9, 200, seed=2)]


def test_batches_are_larger_where_every_round_can_still_show_new_examples() -> None:
    assert default_batch_size(8 * 256, 8) == 256
    assert default_batch_size(8 * 256 - 1, 8) == BATCH_EXAMPLES == 128
