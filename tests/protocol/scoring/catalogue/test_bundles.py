"""A round under any policy by name, from the block store to the published bundle and back."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from cohort_protocol.bundle import RoundBundle, compare, fetch_model, fetch_update, recompute
from cohort_protocol.ipfs.embedded import EmbeddedStore
from cohort_protocol.scoring import evaluate_round, known_policies, policy_by_name
from cohort_protocol.spec import PolicySpec
from cohort_protocol.update import decode_model

from tests.protocol import test_bundle as bundles


@pytest.mark.parametrize("name", known_policies())
def test_a_bundle_says_the_same_as_the_round_in_memory(name: str, tmp_path: Path) -> None:
    """Updates are streamed from the store block by block; here that is held against arrays."""
    store = EmbeddedStore(tmp_path / "ipfs")
    policy = policy_by_name(name)
    inputs = replace(bundles._inputs(store, past=3), policy=PolicySpec(name=name), policy_hash=policy.policy_hash())
    done = recompute(inputs, store)
    bundle = RoundBundle.from_bytes(done.bundle_bytes)
    assert compare(bundle, recompute(inputs, EmbeddedStore(tmp_path / "ipfs")).bundle) is None
    updates = [fetch_update(store, row.cid, row.update, bundles.DIMENSION) for row in inputs.rows]
    models = [fetch_model(store, model.cid, model.commitment, bundles.DIMENSION) for model in inputs.models]
    steps = [after - before for before, after in pairwise(models)][::-1]
    expected = evaluate_round(updates, steps, policy)
    assert [(row.score, row.reason, row.weight) for row in bundle.outcomes] == [
        (row.score, int(row.reason), row.weight) for row in expected.outcome.rows
    ]
    assert np.array_equal(decode_model(done.model_bytes, bundles.DIMENSION), models[-1] + expected.step)
    assert expected.step.any()
    assert all(verdict.sentence for verdict in bundle.verdicts)
