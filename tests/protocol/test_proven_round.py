"""A round of a proven project at the level of the protocol: points instead of hashes, a card of public rows, and a
bundle that says what a proof speaks of."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from cohort_protocol.bundle import BundleMalformed, CommitmentMismatch, RoundBundle, recompute
from cohort_protocol.canonical import canonical_json
from cohort_protocol.commitments import ZERO32
from cohort_protocol.computed_rows import ComputedRows, RowsDiffer, check_rows, make_card, rows_without_batch
from cohort_protocol.identifiers import to_hex
from cohort_protocol.ipfs.cid import Cid
from cohort_protocol.ipfs.embedded import EmbeddedStore
from cohort_protocol.ipfs.unixfs import cid_of
from cohort_protocol.proof.curve import Point, add, compress, decompress, multiply
from cohort_protocol.proof.errors import ProofError, ProofInvalid
from cohort_protocol.proof.kzg_scheme import KzgScheme
from cohort_protocol.proof.proven_round import round_card, round_statement, round_vectors
from cohort_protocol.proof.prover import prove
from cohort_protocol.proof.rows_card import RowsCard
from cohort_protocol.proof.srs import Srs, make_insecure_srs
from cohort_protocol.proof.verifier import verify
from cohort_protocol.round_inputs import (
    InputModel,
    InputRow,
    RoundInputs,
    RoundInputsInvalid,
    models_read,
    rows_subject,
)
from cohort_protocol.round_rows import (
    NO_ROWS,
    RowLayout,
    RowsManifest,
    RowsUnusable,
    fetch_card,
    fetch_rows,
    remembered_values,
    wants_rows,
)
from cohort_protocol.scoring import policy_by_name
from cohort_protocol.scoring.rows import PublicRows
from cohort_protocol.spec import PolicySpec
from cohort_protocol.update import apply_step, decode_model, encode_model, encode_update
from hypothesis import given, settings
from hypothesis import strategies as st

D = 120
MARKET, VERIFIER = "0x" + "11" * 20, "0x" + "22" * 20
BATCH = b"\x22" * 32
LAYOUT = RowLayout(trainable=True, gradients=False, halves=False, values=3, classes=0)


@pytest.fixture(scope="module")
def srs(tmp_path_factory: pytest.TempPathFactory) -> Srs:
    return make_insecure_srs(tmp_path_factory.mktemp("srs") / "small.srs", D, "proven round")


@pytest.fixture
def scheme(srs: Srs) -> KzgScheme:
    return KzgScheme(srs)


@pytest.fixture
def store(tmp_path: Path) -> EmbeddedStore:
    return EmbeddedStore(tmp_path / "ipfs")


def _inputs(store: EmbeddedStore, scheme: KzgScheme, *, past: int, policy: str = "default") -> RoundInputs:
    """A round after `past` steps of the model."""
    random = np.random.default_rng(5)
    direction = random.normal(size=D)
    models = [random.integers(-(2**40), 2**40, D)]
    for _ in range(past):
        models.append(apply_step(models[-1], random.integers(-(2**24), 2**24, D)))
    rows = []
    for member in range(21, 26):
        update = np.rint(300 * (direction + 0.7 * random.normal(size=D))).astype(np.int16)
        cid = store.put(encode_update(update))
        rows.append(InputRow(0, member, f"0x{member}" + "00" * 19, scheme.update(update), cid))
    return RoundInputs(
        chain_id=31337,
        market=MARKET,
        project=3,
        round=past + 1,
        spec_cid=Cid.of_block(0x55, b"spec"),
        policy=PolicySpec(name=policy),
        policy_hash=policy_by_name(policy).policy_hash(),
        dimension=D,
        exponent=-14,
        models=tuple(InputModel(scheme.model(model), store.put(encode_model(model))) for model in models),
        rows=tuple(rows),
        settlement="proven",
    )


def _posted(store: EmbeddedStore, scheme: KzgScheme, inputs: RoundInputs) -> tuple[RoundInputs, ComputedRows]:
    """The round with a batch and rows as if they had been computed from it, and those."""
    inputs = replace(inputs, validation=BATCH)
    random = np.random.default_rng(6)
    rows = tuple(random.integers(-(2**29), 2**29, D) for _ in range(4))
    subject = rows_subject(inputs, policy_by_name("default").needs)
    computed = _computed(store, scheme, inputs, rows, list(subject.members))
    return replace(inputs, public_rows=computed.digest), computed


def _computed(
    store: EmbeddedStore, scheme: KzgScheme, inputs: RoundInputs, rows: tuple[np.ndarray, ...], members: list[int]
) -> ComputedRows:
    subject = rows_subject(inputs, policy_by_name("default").needs)
    manifest = RowsManifest(
        project=3,
        round=inputs.round,
        admitted=to_hex(subject.admitted),
        model=to_hex(subject.model),
        policy=to_hex(subject.policy),
        validation=to_hex(BATCH),
        revealed=[],
        remembered=to_hex(ZERO32),
        dimension=D,
        layout=LAYOUT,
        rows=[str(cid_of(row.astype("<i4").tobytes())) for row in rows],
        members=members,
        values=[0] * len(members),
    )
    computed = ComputedRows(manifest, rows, make_card(inputs, manifest, rows, scheme))
    computed.publish(store)
    return computed


# --- the outcome ------------------------------------------------------------------------------------------------------


def test_the_bundle_says_what_a_proof_speaks_of(store: EmbeddedStore, scheme: KzgScheme) -> None:
    inputs, computed = _posted(store, scheme, _inputs(store, scheme, past=7))
    done = recompute(inputs, store, scheme=scheme)
    bundle = RoundBundle.from_bytes(done.bundle_bytes)
    assert (bundle.version, bundle.settlement) == (2, "proven")
    assert bundle.proof is not None
    needs = policy_by_name("default").needs
    assert bundle.proof.steps == needs.past_steps
    assert len(bundle.gram) == len(bundle.rows) + len(bundle.proof.points)
    card = fetch_card(store, inputs.public_rows)
    assert [to_hex(compress(point)) for point in card.points] == bundle.proof.points
    assert bundle.evidence.manifest == str(Cid(0x55, computed.manifest.digest))
    assert bundle.evidence.fallback == "none"
    # Past steps on the card are the differences of the models, by bytes.
    models = [decode_model(store.get(model.cid, 10**6), D) for model in models_read(inputs, needs)]
    for index in range(needs.past_steps):
        step = models[-1 - index] - models[-2 - index]
        assert compress(scheme.point(step)) == compress(card.points[index])


def test_the_next_commitment_is_the_sum_and_opens_the_bytes(store: EmbeddedStore, scheme: KzgScheme) -> None:
    done = recompute(_inputs(store, scheme, past=0), store, scheme=scheme)
    bundle = done.bundle
    assert bundle.proof is not None
    before, step = decompress(_bytes(bundle.model.commitment)), decompress(_bytes(bundle.proof.step))
    after = compress(add(before, step))
    assert to_hex(after) == bundle.next_model.commitment
    assert after == KzgScheme(scheme.srs).model(decode_model(done.model_bytes, D)), "by bytes, and nothing remembered"
    by_rows = [
        multiply(decompress(_bytes(row.update)), outcome.weight)
        for row, outcome in zip(bundle.rows, bundle.outcomes, strict=True)
    ]
    assert add(*by_rows) == step
    assert step != Point(0, 0)


def test_everybody_comes_to_the_same_bytes(store: EmbeddedStore, scheme: KzgScheme) -> None:
    inputs, _ = _posted(store, scheme, _inputs(store, scheme, past=2))
    first = recompute(inputs, store, scheme=scheme)
    second = recompute(inputs, EmbeddedStore(store.root), threads=1, scheme=KzgScheme(scheme.srs))
    assert (first.bundle_bytes, first.model_bytes) == (second.bundle_bytes, second.model_bytes)


def test_a_first_round_needs_no_rows(store: EmbeddedStore, scheme: KzgScheme) -> None:
    bundle = recompute(_inputs(store, scheme, past=0), store, scheme=scheme).bundle
    assert bundle.proof is not None
    assert (bundle.proof.card, bundle.proof.points, bundle.evidence.manifest) == (None, [], None)
    assert bundle.evidence.fallback == "batch-not-revealed"


def test_a_later_round_without_rows_is_not_proven(store: EmbeddedStore, scheme: KzgScheme) -> None:
    with pytest.raises(RoundInputsInvalid, match="no public rows were posted"):
        recompute(_inputs(store, scheme, past=1), store, scheme=scheme)


def test_commitments_are_read_by_the_projects_scheme(store: EmbeddedStore, scheme: KzgScheme) -> None:
    inputs = _inputs(store, scheme, past=0)
    with pytest.raises(RoundInputsInvalid, match="keccak256"):
        recompute(inputs, store)
    with pytest.raises(RoundInputsInvalid, match="kzg-bn254"):
        recompute(replace(inputs, settlement="attested"), store, scheme=scheme)


def test_a_policy_whose_step_is_no_sum_is_not_proven(store: EmbeddedStore, scheme: KzgScheme) -> None:
    inputs = _inputs(store, scheme, past=0, policy="coordinate-median")
    with pytest.raises(RoundInputsInvalid, match="no weighted sum"):
        recompute(inputs, store, scheme=scheme)


@pytest.mark.parametrize("wrong", ["another point", "no point"])
def test_an_update_that_does_not_open_its_commitment(store: EmbeddedStore, scheme: KzgScheme, wrong: str) -> None:
    inputs = _inputs(store, scheme, past=0)
    update = inputs.rows[0].update if wrong == "another point" else b"\xff" * 32
    rows = list(inputs.rows)
    rows[3] = replace(rows[3], update=update)
    with pytest.raises(CommitmentMismatch, match=str(rows[3].cid)):
        recompute(replace(inputs, rows=tuple(rows)), store, scheme=scheme)


def test_a_model_that_does_not_open_its_commitment(store: EmbeddedStore, scheme: KzgScheme) -> None:
    inputs = _inputs(store, scheme, past=0)
    other = InputModel(scheme.model(np.ones(D, np.int64)), inputs.models[0].cid)
    with pytest.raises(CommitmentMismatch, match="the model at"):
        recompute(replace(inputs, models=(other,)), store, scheme=scheme)


def test_a_bundle_has_the_parts_of_its_version(store: EmbeddedStore, scheme: KzgScheme) -> None:
    fields = recompute(_inputs(store, scheme, past=0), store, scheme=scheme).bundle.fields()
    for change in ({"version": 1}, {"proof": None}, {"proof": {**fields["proof"], "points": [to_hex(ZERO32)]}}):
        with pytest.raises(BundleMalformed):
            RoundBundle.from_bytes(canonical_json({**fields, **change}))


def test_what_the_bundle_says_can_be_proven_and_nothing_else(store: EmbeddedStore, scheme: KzgScheme) -> None:
    inputs, _ = _posted(store, scheme, _inputs(store, scheme, past=3))
    bundle = recompute(inputs, store, scheme=scheme).bundle
    statement = round_statement(bundle, VERIFIER)
    proof = prove(scheme.srs, statement, round_vectors(bundle, store, scheme))
    verify(statement, proof, scheme.srs.tau_g2)
    assert round_card(bundle, store) == fetch_card(store, inputs.public_rows)
    gram = [list(line) for line in statement.gram]
    gram[0][1] += 1
    gram[1][0] += 1
    for other in (
        replace(statement, gram=tuple(map(tuple, gram))),
        replace(statement, weights=statement.weights[::-1]),
        replace(statement, round=statement.round + 1),
        replace(statement, next_model=statement.previous_model),
        replace(statement, commitments=statement.commitments[1:2] * 2 + statement.commitments[2:]),
    ):
        with pytest.raises(ProofInvalid):
            verify(other, proof, scheme.srs.tau_g2)


# --- public rows ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("past", [1, 3, 9])
def test_a_round_without_a_batch_commits_to_its_steps(store: EmbeddedStore, scheme: KzgScheme, past: int) -> None:
    inputs = _inputs(store, scheme, past=past)
    rows = rows_without_batch(inputs, store, scheme)
    rows.publish(store)
    posted = replace(inputs, public_rows=rows.digest)
    check_rows(rows, rows.digest, posted, store, scheme)
    bundle = recompute(posted, store, scheme=scheme).bundle
    assert bundle.proof is not None
    assert bundle.proof.steps == min(past, policy_by_name("default").needs.past_steps) == len(bundle.proof.points)
    assert bundle.evidence.fallback == "batch-not-revealed"


def test_a_batch_that_gives_no_rows_is_told(store: EmbeddedStore, scheme: KzgScheme) -> None:
    inputs = replace(_inputs(store, scheme, past=1), validation=BATCH)
    rows = rows_without_batch(inputs, store, scheme)
    rows.publish(store)
    bundle = recompute(replace(inputs, public_rows=rows.digest), store, scheme=scheme).bundle
    assert bundle.evidence.fallback == "batch-unusable"
    assert "no public rows follow" in bundle.verdicts[0].sentence


def test_values_of_earlier_rounds_are_handed_on(store: EmbeddedStore, scheme: KzgScheme) -> None:
    inputs = _inputs(store, scheme, past=1)
    first = rows_without_batch(inputs, store, scheme)
    said = first.manifest.model_copy(update={"values": [5, -7, 0, 1, 2]})
    earlier = replace(first, manifest=said, card=replace(_card(first), manifest=said.digest))
    earlier.publish(store)
    later = rows_without_batch(replace(inputs, round=3, remembered=earlier.digest), store, scheme)
    assert later.manifest.values == [5, -7, 0, 1, 2]
    assert remembered_values(store, earlier.digest, "proven") == dict(zip(said.members, said.values, strict=True))


@pytest.mark.parametrize(
    ("settlement", "round", "validation", "wanted"),
    [
        ("attested", 4, ZERO32, False),
        ("attested", 1, BATCH, True),
        ("proven", 1, ZERO32, False),
        ("proven", 1, BATCH, True),
        ("proven", 2, ZERO32, True),
    ],
)
def test_when_rows_are_wanted(settlement, round: int, validation: bytes, wanted: bool) -> None:
    assert wants_rows(settlement, policy_by_name("default").needs, round, validation) is wanted


def test_no_rows_where_none_are_wanted(store: EmbeddedStore, scheme: KzgScheme) -> None:
    with pytest.raises(RoundInputsInvalid, match="without a batch"):
        rows_without_batch(_inputs(store, scheme, past=0), store, scheme)


def test_a_card_without_the_past_steps_is_refused(store: EmbeddedStore, scheme: KzgScheme) -> None:
    inputs, computed = _posted(store, scheme, _inputs(store, scheme, past=3))
    card = _card(computed)
    fewer = RowsCard(card.manifest, PublicRows(past_steps=2, trainable=True, values=3), card.points[1:])
    swapped = replace(card, points=(card.points[1], card.points[0], *card.points[2:]))
    for other, words in ((fewer, "commits to"), (swapped, "other past steps")):
        store.put(other.to_bytes())
        with pytest.raises(RowsUnusable, match=words):
            check_rows(computed, other.digest, inputs, store, scheme)
        with pytest.raises(RoundInputsInvalid, match="cannot be proven"):
            recompute(replace(inputs, public_rows=other.digest), store, scheme=scheme)


def test_a_row_that_does_not_open_its_point_is_refused(store: EmbeddedStore, scheme: KzgScheme) -> None:
    inputs, computed = _posted(store, scheme, _inputs(store, scheme, past=1))
    card = _card(computed)
    other = replace(card, points=(*card.points[:-1], card.points[0]))
    store.put(other.to_bytes())
    with pytest.raises(RowsUnusable, match="does not open its commitment on the card"):
        check_rows(computed, other.digest, inputs, store, scheme)
    with pytest.raises(RoundInputsInvalid, match="cannot be proven"):
        recompute(replace(inputs, public_rows=other.digest), store, scheme=scheme)


def test_rows_of_another_machine_have_their_own_points(store: EmbeddedStore, scheme: KzgScheme) -> None:
    inputs, computed = _posted(store, scheme, _inputs(store, scheme, past=1))
    moved = tuple(row + 3 for row in computed.rows)
    theirs = _computed(store, scheme, inputs, moved, computed.manifest.members)
    assert theirs.digest != computed.digest
    check_rows(computed, theirs.digest, inputs, store, scheme)
    far = _computed(store, scheme, inputs, tuple(row + 9999 for row in computed.rows), computed.manifest.members)
    with pytest.raises(RowsDiffer, match="u0 differs"):
        check_rows(computed, far.digest, inputs, store, scheme)


def test_without_a_batch_there_are_no_rows_of_one(store: EmbeddedStore, scheme: KzgScheme) -> None:
    inputs, computed = _posted(store, scheme, _inputs(store, scheme, past=1))
    subject = replace(rows_subject(inputs, policy_by_name("default").needs), validation=ZERO32)
    with pytest.raises(RowsUnusable):
        fetch_rows(store, computed.digest, subject, policy_by_name("default").needs)
    assert rows_without_batch(replace(inputs, validation=ZERO32), store, scheme).manifest.layout == NO_ROWS


@settings(deadline=None, max_examples=60)
@given(
    manifest=st.binary(min_size=32, max_size=32),
    steps=st.integers(0, 6),
    trainable=st.booleans(),
    values=st.sampled_from([0, 3]),
    at=st.integers(0),
    bit=st.integers(0, 7),
)
def test_a_card_has_one_form(manifest, steps, trainable, values, at, bit) -> None:
    layout = PublicRows(past_steps=steps, trainable=trainable, values=values)
    points = tuple(multiply(Point(1, 2), index) for index in range(layout.count))
    card = RowsCard(manifest, layout, points)
    data = card.to_bytes()
    assert RowsCard.from_bytes(data) == card
    changed = bytearray(data)
    changed[at % len(data)] ^= 1 << bit
    try:
        other = RowsCard.from_bytes(bytes(changed))
    except ProofError:
        return
    assert other != card
    assert other.to_bytes() == bytes(changed)


@pytest.mark.parametrize("data", [b"", bytes(34), bytes(36), bytes(35 + 64 * 11), bytes(32) + b"\0\2\0" + bytes(128)])
def test_bytes_that_are_no_card(data: bytes) -> None:
    with pytest.raises(ProofError):
        RowsCard.from_bytes(data)


def _card(rows: ComputedRows) -> RowsCard:
    assert rows.card is not None
    return rows.card


def _bytes(text: str) -> bytes:
    return bytes.fromhex(text[2:])
