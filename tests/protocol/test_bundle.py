"""The round bundle: same inputs, same bytes; whatever is changed is named."""

from __future__ import annotations

import json
import signal
from dataclasses import replace
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from time import sleep

import numpy as np
import pytest
from cohort_protocol.bundle import (
    MAX_BUNDLE_BYTES,
    BundleMalformed,
    CommitmentMismatch,
    InputModel,
    InputRow,
    Recomputed,
    RoundBundle,
    RoundInputs,
    RoundInputsInvalid,
    admissions_of,
    compare,
    fetch_model,
    fetch_update,
    model_line,
    recompute,
    statement_of,
)
from cohort_protocol.canonical import canonical_json
from cohort_protocol.chain.packed import AdmittedRow
from cohort_protocol.commitments import ZERO32, admitted_hash, outcomes_hash
from cohort_protocol.identifiers import parse_bytes32
from cohort_protocol.ipfs.cid import Cid
from cohort_protocol.ipfs.embedded import EmbeddedStore
from cohort_protocol.ipfs.errors import ContentNotFound, ContentTooLarge
from cohort_protocol.scoring import UnknownPolicy, policy_by_name
from cohort_protocol.scoring.kernel import NumpyKernel
from cohort_protocol.spec import PolicySpec
from cohort_protocol.update import (
    StepOverflow,
    UpdateMalformed,
    apply_step,
    decode_model,
    encode_model,
    encode_update,
    model_commitment,
    update_commitment,
)
from eth_abi import decode
from hypothesis import given
from hypothesis import strategies as st

DIMENSION = 200
TRAINERS = [f"0x{i:02d}" + "00" * 19 for i in range(11, 16)]
MARKET = "0x" + "11" * 20


@pytest.fixture
def store(tmp_path: Path) -> EmbeddedStore:
    return EmbeddedStore(tmp_path / "ipfs")


def _input_model(store: EmbeddedStore, model: np.ndarray) -> InputModel:
    return InputModel(model_commitment(model), store.put(encode_model(model)))


def _inputs(store: EmbeddedStore, *, past: int = 7, trainers: int = 5) -> RoundInputs:
    """A round of honest-looking updates around one direction, after `past` earlier models."""
    random = np.random.default_rng(7)
    direction = random.normal(size=DIMENSION)
    model = random.integers(-(2**40), 2**40, DIMENSION)
    models = [model]
    for _ in range(past):
        models.append(apply_step(models[-1], random.integers(-(2**24), 2**24, DIMENSION)))
    rows = []
    for member, trainer in enumerate(TRAINERS[:trainers], 21):
        update = np.rint(300 * (direction + 0.7 * random.normal(size=DIMENSION))).astype(np.int16)
        rows.append(
            InputRow(
                0 if member < 24 else 3, member, trainer, update_commitment(update), store.put(encode_update(update))
            )
        )
    return RoundInputs(
        chain_id=31337,
        market=MARKET,
        project=3,
        round=9,
        spec_cid=Cid.of_block(0x55, b"spec"),
        policy=PolicySpec(name="peer"),
        policy_hash=policy_by_name("peer").policy_hash(),
        dimension=DIMENSION,
        exponent=-14,
        models=tuple(_input_model(store, one) for one in models),
        rows=tuple(rows),
    )


def test_same_inputs_same_bytes(store: EmbeddedStore, tmp_path: Path) -> None:
    inputs = _inputs(store)
    first, second = recompute(inputs, store), recompute(inputs, EmbeddedStore(store.root))
    third = recompute(inputs, store, threads=1, kernel=NumpyKernel())
    assert first.bundle_bytes == second.bundle_bytes == third.bundle_bytes
    assert first.model_bytes == second.model_bytes == third.model_bytes
    assert store.put(first.bundle_bytes) == first.bundle_cid
    assert store.put(first.model_bytes) == first.model_cid


class HungKernel(NumpyKernel):
    """Says when it is in the middle of a pass, and goes no further. Small blocks, so that there is a middle."""

    def __init__(self, tell: Connection) -> None:
        self._tell, self._blocks = tell, 0

    def columns(self, rows: int, in_place: bool = False) -> int:
        return DIMENSION // 4

    def products(self, narrow, wide, into=None):
        self._blocks += 1
        if self._blocks == 3:
            self._tell.send("in the middle of a pass")
            sleep(600)
        return super().products(narrow, wide, into)


def test_a_pass_killed_in_the_middle_starts_again_with_the_same_bytes(store: EmbeddedStore) -> None:
    inputs = _inputs(store)
    expected = recompute(inputs, store)
    files = sorted(path for path in store.root.rglob("*") if path.is_file())
    context = get_context("fork")
    listen, tell = context.Pipe(duplex=False)
    process = context.Process(
        target=recompute, args=(inputs, store), kwargs={"threads": 1, "kernel": HungKernel(tell)}, daemon=True
    )
    process.start()
    try:
        assert listen.poll(60)
        assert listen.recv() == "in the middle of a pass"
    finally:
        process.kill()
        process.join(30)
    assert process.exitcode == -signal.SIGKILL
    assert sorted(path for path in store.root.rglob("*") if path.is_file()) == files, "a pass leaves nothing half done"
    again = recompute(inputs, EmbeddedStore(store.root))
    assert (again.bundle_bytes, again.model_bytes) == (expected.bundle_bytes, expected.model_bytes)


def test_the_bundle_holds_what_was_computed(store: EmbeddedStore) -> None:
    inputs = _inputs(store)
    done = recompute(inputs, store)
    bundle = done.bundle
    assert RoundBundle.from_bytes(done.bundle_bytes) == bundle
    assert len(bundle.past_models) == 5, "the peer policy reads five steps, hence six models"
    assert len(bundle.gram) == len(inputs.rows) + 5
    assert sum(outcome.weight for outcome in bundle.outcomes) <= 2**16
    step = sum(
        outcome.weight * fetch_update(store, row.cid, row.update, DIMENSION).astype(np.int64)
        for outcome, row in zip(bundle.outcomes, inputs.rows, strict=True)
    )
    before = fetch_model(store, inputs.models[-1].cid, inputs.models[-1].commitment, DIMENSION)
    assert np.array_equal(decode_model(done.model_bytes, DIMENSION), before + step)
    assert [verdict.trainer for verdict in bundle.verdicts] == [row.trainer for row in inputs.rows]
    assert all(verdict.sentence for verdict in bundle.verdicts)


def test_the_statement_follows_from_the_bundle(store: EmbeddedStore) -> None:
    inputs = _inputs(store)
    done = recompute(inputs, store)
    statement = done.statement()
    assert statement == statement_of(RoundBundle.from_bytes(done.bundle_bytes), done.bundle_cid)
    rows = [AdmittedRow(row, one.member, one.update, bytes(one.cid)) for row, one in enumerate(inputs.rows)]
    assert statement.admitted_hash == admitted_hash([rows[:3], rows[3:]])
    assert statement.outcomes_hash == outcomes_hash([(o.score, o.reason) for o in done.bundle.outcomes])
    assert (statement.validation, statement.public_rows) == (ZERO32, ZERO32)
    assert statement.previous_model == inputs.models[-1].commitment
    assert statement.next_model == model_commitment(decode_model(done.model_bytes, DIMENSION))
    assert statement.next_model_cid == bytes(done.model_cid)
    assert statement.bundle_cid == bytes(done.bundle_cid)


def test_what_settle_takes_follows_from_the_bundle(store: EmbeddedStore) -> None:
    inputs = replace(_inputs(store), validation=b"v" * 32, public_rows=b"p" * 32)
    done = recompute(inputs, store)
    rows = [AdmittedRow(row, one.member, one.update, bytes(one.cid)) for row, one in enumerate(inputs.rows)]
    assert admissions_of(done.bundle) == [rows[:3], rows[3:]]
    assert done.outcomes == [(one.score, one.reason) for one in done.bundle.outcomes]
    words = decode(["uint256[]"], done.policy_input)[0]
    assert [(word >> 8, word & 255) for word in words] == done.outcomes
    assert (done.statement().validation, done.statement().public_rows) == (b"v" * 32, b"p" * 32)
    other = recompute(replace(inputs, public_rows=ZERO32), store)
    assert str(compare(done.bundle, other.bundle)).startswith("public_rows should be '0x7070")


def test_the_first_round_has_no_past(store: EmbeddedStore) -> None:
    bundle = recompute(_inputs(store, past=0), store).bundle
    assert bundle.past_models == []
    assert len(bundle.gram) == 5


def test_a_round_that_changed_nothing_is_no_step() -> None:
    a, b = (InputModel(bytes([i]) * 32, Cid.of_block(0x55, bytes([i]))) for i in (1, 2))
    again = InputModel(a.commitment, Cid.of_block(0x55, b"elsewhere"))
    assert model_line([a, again, b, b, a]) == (a, b, a)


def _changes() -> list[tuple[str, dict]]:
    return [
        ("project should be 3, the bundle has 4", {"project": 4}),
        ("round should be 9, the bundle has 8", {"round": 8}),
        ("exponent should be -14, the bundle has -13", {"exponent": -13}),
    ]


@pytest.mark.parametrize(("words", "change"), _changes())
def test_a_changed_field_is_named(store: EmbeddedStore, words: str, change: dict) -> None:
    bundle = recompute(_inputs(store), store).bundle
    assert compare(bundle, bundle) is None
    assert compare(bundle, bundle.model_copy(update=change)) == words


def test_a_changed_entry_deep_inside_is_named(store: EmbeddedStore) -> None:
    bundle = recompute(_inputs(store), store).bundle
    data = json.loads(bundle.to_bytes())
    value = data["gram"][2][3]
    data["gram"][2][3] = str(int(value) + 1)
    found = RoundBundle.from_bytes(canonical_json(data))
    assert compare(bundle, found) == f"gram[2][3] should be '{value}', the bundle has '{int(value) + 1}'"
    del data["rows"][4]
    found = RoundBundle.from_bytes(canonical_json(data))
    assert compare(bundle, found) == "rows should have 5 entries, the bundle has 4"


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Recomputed:
    store = EmbeddedStore(tmp_path_factory.mktemp("ipfs"))
    return recompute(_inputs(store), store)


@given(position=st.floats(0, 1, exclude_max=True), flip=st.integers(1, 255))
def test_any_flipped_byte_is_refused_or_named(done: Recomputed, position: float, flip: int) -> None:
    damaged = bytearray(done.bundle_bytes)
    damaged[int(position * len(damaged))] ^= flip
    try:
        words = compare(done.bundle, RoundBundle.from_bytes(bytes(damaged)))
    except BundleMalformed as error:
        words = str(error)
    assert words


def test_bundles_from_outside_are_bounded_and_canonical(store: EmbeddedStore) -> None:
    done = recompute(_inputs(store), store)
    with pytest.raises(BundleMalformed, match="at most"):
        RoundBundle.from_bytes(done.bundle_bytes + b" " * MAX_BUNDLE_BYTES)
    with pytest.raises(BundleMalformed, match="canonical"):
        RoundBundle.from_bytes(done.bundle_bytes + b"\n")
    with pytest.raises(BundleMalformed, match="surprise"):
        RoundBundle.from_bytes(canonical_json({**json.loads(done.bundle_bytes), "surprise": 1}))
    with pytest.raises(BundleMalformed, match="not JSON"):
        RoundBundle.from_bytes(b"\xff\xfe")


def test_other_bytes_than_committed_are_refused(store: EmbeddedStore) -> None:
    inputs = _inputs(store)
    swapped = replace(inputs.rows[0], cid=inputs.rows[1].cid)
    with pytest.raises(CommitmentMismatch, match="committed was 0x"):
        recompute(replace(inputs, rows=(swapped, *inputs.rows[1:])), store)
    wrong = replace(inputs.models[-1], commitment=bytes(32))
    with pytest.raises(CommitmentMismatch, match="on chain is 0x00"):
        recompute(replace(inputs, models=(*inputs.models[:-1], wrong)), store)


def test_what_cannot_be_fetched_or_read_says_so(store: EmbeddedStore) -> None:
    inputs = _inputs(store)

    def with_cid(cid: Cid) -> RoundInputs:
        return replace(inputs, rows=(replace(inputs.rows[0], cid=cid), *inputs.rows[1:]))

    with pytest.raises(ContentNotFound):
        recompute(with_cid(Cid.of_block(0x55, b"nowhere")), store)
    with pytest.raises(ContentTooLarge):
        recompute(with_cid(store.put(bytes(100_000))), store)
    with pytest.raises(UpdateMalformed):
        recompute(with_cid(store.put(b"not an update")), store)


def test_policy_and_rows_must_fit_the_chain(store: EmbeddedStore) -> None:
    inputs = _inputs(store)
    with pytest.raises(RoundInputsInvalid, match="terms on chain pin 0x00"):
        recompute(replace(inputs, policy_hash=bytes(32)), store)
    with pytest.raises(UnknownPolicy):
        recompute(replace(inputs, policy=PolicySpec(name="nonsense")), store)
    with pytest.raises(RoundInputsInvalid, match="0 admitted"):
        recompute(replace(inputs, rows=()), store)


def test_a_model_that_would_overflow_has_no_next_one(store: EmbeddedStore) -> None:
    inputs = _inputs(store, past=0)
    edge = np.full(DIMENSION, 2**63 - 1, np.int64)
    with pytest.raises(StepOverflow):
        recompute(replace(inputs, models=(_input_model(store, edge),)), store)


def test_hashes_are_of_bytes_not_of_text(store: EmbeddedStore) -> None:
    bundle = recompute(_inputs(store), store).bundle
    assert parse_bytes32(bundle.policy.hash) == policy_by_name("peer").policy_hash()
    assert policy_by_name(bundle.policy.name, bundle.policy.params).policy_hash() == parse_bytes32(bundle.policy.hash)
