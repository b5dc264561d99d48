"""Two ways to commit, one interface: what a scheme says of a vector does not depend on how the vector comes."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from cohort_protocol.ipfs.embedded import EmbeddedStore
from cohort_protocol.proof.curve import INFINITY, compress
from cohort_protocol.proof.errors import PointMalformed, SrsInsecure, SrsTooSmall
from cohort_protocol.proof.kzg_scheme import KzgScheme
from cohort_protocol.proof.project_srs import SrsMissing, SrsOther, project_srs, scheme_of
from cohort_protocol.proof.scheme import KECCAK, CommitmentScheme, StoredVector
from cohort_protocol.proof.srs import Srs, make_insecure_srs
from cohort_protocol.scoring.kernel.sources import whole
from cohort_protocol.stored_rows import CommitmentMismatch, check_updates, stored_model, stored_update
from cohort_protocol.update import ModelMalformed, UpdateMalformed, apply_step, encode_model, encode_update
from hypothesis import given, settings
from hypothesis import strategies as st

D = 300


@pytest.fixture(scope="module")
def srs(tmp_path_factory: pytest.TempPathFactory) -> Srs:
    return make_insecure_srs(tmp_path_factory.mktemp("srs") / "small.srs", D, "scheme")


@pytest.fixture(params=["attested", "proven"])
def scheme(request: pytest.FixtureRequest, srs: Srs) -> CommitmentScheme:
    return scheme_of(request.param, srs)


@pytest.fixture
def store(tmp_path: Path) -> EmbeddedStore:
    return EmbeddedStore(tmp_path / "ipfs")


def _update(seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).integers(-(2**15), 2**15, D).astype(np.int16)


def _model(seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).integers(-(2**62), 2**62, D)


@settings(deadline=None, max_examples=20)
@given(cuts=st.lists(st.integers(0, D), max_size=6), seed=st.integers(0, 99))
@pytest.mark.parametrize("settlement", ["attested", "proven"])
def test_a_vector_in_parts_is_the_vector(srs: Srs, settlement, cuts: list[int], seed: int) -> None:
    scheme = scheme_of(settlement, srs)
    for vector, whole_one in ((_update(seed), scheme.update), (_model(seed), scheme.model)):
        sink = scheme.sink()
        for start, end in pairwise([0, *sorted(cuts), D]):
            sink.take(vector[start:end])
        assert sink.commitment() == whole_one(vector)


def test_a_file_is_checked_while_it_is_read(store: EmbeddedStore, scheme: CommitmentScheme) -> None:
    update, model = _update(), _model()
    update_cid, model_cid = store.put(encode_update(update)), store.put(encode_model(model))
    for _ in range(2):  # the second time it may be known
        assert np.array_equal(whole(stored_update(store, update_cid, scheme.update(update), D, scheme)), update)
        assert np.array_equal(whole(stored_model(store, model_cid, scheme.model(model), D, scheme)), model)
        with pytest.raises(CommitmentMismatch, match="the update at"):
            whole(stored_update(store, update_cid, scheme.update(_update(2)), D, scheme))
        with pytest.raises(CommitmentMismatch, match="on chain is"):
            whole(stored_model(store, model_cid, scheme.model(_model(2)), D, scheme))


def test_many_files_are_checked_at_once(store: EmbeddedStore, scheme: CommitmentScheme) -> None:
    updates = [_update(seed) for seed in range(7)]
    files = [(store.put(encode_update(update)), scheme.update(update)) for update in updates]
    assert check_updates(store, files, D, scheme) == []
    wrong = list(files)
    wrong[2] = (files[2][0], files[3][1])
    wrong[5] = (files[5][0], b"\xff" * 32)  # no point, and no hash of it either
    assert check_updates(store, wrong, D, scheme) == [2, 5]


def test_a_file_that_is_no_update_is_not_checked_but_refused(store: EmbeddedStore, scheme: CommitmentScheme) -> None:
    cid = store.put(encode_model(_model()))
    with pytest.raises(Exception, match="bytes"):
        check_updates(store, [(cid, b"\1" * 32)], D, scheme)


def test_what_was_found_right_is_not_read_again(srs: Srs) -> None:
    scheme = KzgScheme(srs)
    update, opened = _update(), []

    class Counted:
        """A row that says when it is read."""

        dimension, dtype, slow = D, np.dtype(np.int16), False

        def read(self, start: int, stop: int, into: np.ndarray | None = None) -> np.ndarray:
            opened.append((start, stop))
            return update[start:stop]

        def sealed(self) -> tuple:
            return ()

    right = StoredVector(Counted(), scheme.update(update), ("update", "name"))
    assert scheme.check([right]) == []
    first = len(opened)
    assert first > 0
    assert scheme.check([right, right]) == []
    assert len(opened) == first
    assert scheme.check([StoredVector(Counted(), compress(INFINITY), ("update", "name"))]) == [0]
    assert len(opened) > first, "another commitment of the same name is another claim"


def test_the_next_model_by_points_is_the_next_model_by_bytes(srs: Srs) -> None:
    scheme = KzgScheme(srs)
    model, updates, weights = _model() // 2, [_update(seed) for seed in range(5)], [13107, 0, 26214, 1, 26214]
    step = sum(weight * update.astype(np.int64) for weight, update in zip(weights, updates, strict=True))
    sink = scheme.next_model(scheme.model(model), [scheme.update(update) for update in updates], weights)
    assert sink.commitment() == scheme.model(apply_step(model, step))
    assert sink.commitment() != scheme.model(model)


def test_a_commitment_that_is_no_point_has_no_sum(srs: Srs) -> None:
    scheme = KzgScheme(srs)
    good = scheme.model(_model())
    with pytest.raises(PointMalformed):
        scheme.next_model(b"\xff" * 32, [good], [1])
    with pytest.raises(PointMalformed):
        scheme.next_model(good, [good, b"\xff" * 32], [1, 0])


def test_the_zero_vector_has_a_commitment(srs: Srs) -> None:
    scheme = KzgScheme(srs)
    assert scheme.update(np.zeros(D, np.int16)) == bytes(32) == scheme.model(np.zeros(D, np.int64))


def test_what_is_no_vector_is_refused(scheme: CommitmentScheme) -> None:
    with pytest.raises(UpdateMalformed):
        scheme.update(_model())
    with pytest.raises(ModelMalformed):
        scheme.model(_update())
    with pytest.raises(UpdateMalformed):
        scheme.update(np.zeros((2, 2), np.int16))


def test_more_parameters_than_powers(srs: Srs) -> None:
    scheme = KzgScheme(srs)
    with pytest.raises(SrsTooSmall):
        scheme.update(np.zeros(D + 1, np.int16))
    sink = scheme.sink()
    sink.take(np.zeros(D, np.int16))
    with pytest.raises(SrsTooSmall):
        sink.take(np.zeros(1, np.int16))


def test_a_stream_that_ends_within_a_value(srs: Srs) -> None:
    def chunks() -> Iterator[bytes]:
        yield bytes(2 * D - 1)

    with pytest.raises(Exception, match="bytes"):
        whole(KzgScheme(srs).row("name", chunks, D, np.int16, b"\0" * 32, lambda found: None))


# --- which string -----------------------------------------------------------------------------------------------------


def test_an_attested_project_needs_no_string() -> None:
    assert scheme_of("attested", None) is KECCAK


def test_the_string_must_be_the_verifiers(srs: Srs, tmp_path: Path) -> None:
    assert project_srs(srs.path, D, srs.tau_g2, 31337).digest == srs.digest
    other = make_insecure_srs(tmp_path / "other.srs", D, "another")
    with pytest.raises(SrsOther, match="verifier contract was made with"):
        project_srs(other.path, D, srs.tau_g2, 31337)
    with pytest.raises(SrsTooSmall):
        project_srs(srs.path, D + 1, srs.tau_g2, 31337)


def test_an_insecure_string_is_for_the_devnet_alone(srs: Srs) -> None:
    with pytest.raises(SrsInsecure, match="cohort srs import"):
        project_srs(srs.path, D, srs.tau_g2, 1)


@pytest.mark.parametrize("path", [None, Path("nowhere.srs")])
def test_who_has_no_string_is_told_how_to_get_one(srs: Srs, path: Path | None) -> None:
    with pytest.raises(SrsMissing, match=r"cohort srs import.*cohort srs devnet"):
        project_srs(path, D, srs.tau_g2, 31337)
    with pytest.raises(SrsMissing, match="cohort srs import"):
        scheme_of("proven", None)
