"""The round bundle: everything about the outcome of one round, in one file on IPFS, for anyone to compute again.

`recompute` is the one function behind it. The worker runs it to propose a settlement, every witness to check that
proposal before signing, an auditor to check what was settled; all three start from `RoundInputs`, which each of them
gathers from the chain and the project spec on its own. The same inputs give the same bytes on every machine, so
that agreeing on a round is comparing two byte strings; `compare` says in words where they part.

Canonical JSON, version 1. Amounts, scores and inner products are decimal strings.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from itertools import pairwise
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, PlainSerializer, ValidationError

from cohort_protocol.canonical import canonical_json, parse_json
from cohort_protocol.chain.packed import AdmittedRow, by_admission
from cohort_protocol.chain.types import Outcome
from cohort_protocol.commitments import ZERO32, SettlementStatement, admitted_hash, encode_outcomes, outcomes_hash
from cohort_protocol.errors import InvalidInput
from cohort_protocol.identifiers import (
    MAX_SLOTS,
    Address,
    Amount,
    Bytes32,
    CidText,
    parse_bytes32,
    to_hex,
)
from cohort_protocol.ipfs.cid import Cid
from cohort_protocol.ipfs.store import IpfsStore
from cohort_protocol.ipfs.unixfs import cid_of
from cohort_protocol.learning.batches import card_cid
from cohort_protocol.round_inputs import InputModel as InputModel
from cohort_protocol.round_inputs import InputRow as InputRow
from cohort_protocol.round_inputs import RoundInputs as RoundInputs
from cohort_protocol.round_inputs import RoundInputsInvalid as RoundInputsInvalid
from cohort_protocol.round_inputs import model_line as model_line
from cohort_protocol.round_inputs import round_inputs as round_inputs
from cohort_protocol.round_inputs import rows_subject
from cohort_protocol.round_rows import (
    MAX_REVEALED,
    PostedRows,
    RowLayout,
    RowsUnusable,
    SignedDecimal,
    fetch_rows,
    manifest_cid,
    reads_batch,
)
from cohort_protocol.scoring import Policy, RoundEvaluation, Verdict, evaluate_round, policy_by_name
from cohort_protocol.scoring.kernel import BlockKernel, DifferenceRow, SharedRow, blocks
from cohort_protocol.scoring.rows import MAX_PUBLIC_ROWS
from cohort_protocol.spec import MAX_DIMENSION
from cohort_protocol.stored_rows import CommitmentMismatch, stored_model, stored_update
from cohort_protocol.update import (
    decode_model,
    decode_update,
    model_commitment,
    model_size,
    step_between,
    update_commitment,
    update_size,
)
from cohort_protocol.update.stream import moved_model_file

MAX_PAST = 10
"""Most past models that any policy reads."""

MAX_BUNDLE_BYTES = 1024 * 1024
"""32 rows with a long verdict each and a Gram matrix of 42 x 42 take about 200 KB."""

_MAX_SHOWN = 120
_BLOCK = 1 << 16
"""Parameters of a model at a time."""


class BundleMalformed(InvalidInput):
    """Not a round bundle in canonical form."""

    code = "bundle-malformed"


# --- the file ---------------------------------------------------------------------------------------------------------


Decimal = Annotated[Amount, PlainSerializer(str, return_type=str)]


Fallback = Literal["none", "batch-not-revealed", "rows-not-posted", "rows-unusable"]

FALLBACK_WORDS: dict[Fallback, str] = {
    "none": "",
    "batch-not-revealed": "its validation batch was not revealed",
    "rows-not-posted": "no public rows of its validation batch were posted in time",
    "rows-unusable": "what was posted as its public rows cannot be used",
}
"""Why a round was judged without its batch."""


class BundlePart(BaseModel):
    """Base of every part of a bundle: unknown fields are an error, never ignored."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class PublishedModel(BundlePart):
    """A model: keccak256 of its canonical bytes, and where its file is."""

    commitment: Bytes32
    cid: CidText


class BundlePolicy(BundlePart):
    """The scoring policy with every parameter filled in."""

    name: Annotated[str, Field(min_length=1, max_length=64)]
    params: dict[str, Any]
    hash: Bytes32
    """As pinned by the project's terms on chain."""


class BundleRow(BundlePart):
    """An admitted update, in order of admission."""

    row: Annotated[int, Field(ge=0, lt=MAX_SLOTS)]
    first_row: Annotated[int, Field(ge=0, lt=MAX_SLOTS)]
    """First row that the same call of `reveal` admitted: the contract chains its rows call by call."""
    member: Annotated[int, Field(ge=1, lt=2**32)]
    """Number of the trainer in the project: what the contract's rows and claims speak of."""
    trainer: Address
    update: Bytes32
    """keccak256 of its canonical bytes."""
    cid: CidText


class BundleEvidence(BundlePart):
    """What the scores rest on besides the updates and the past steps."""

    fallback: Fallback
    """Why a policy that reads a validation batch had to do without; `none`: it has its rows, or reads none."""
    batch: CidText | None
    """Card of the batch that was revealed for the round."""
    manifest: CidText | None
    """What was posted as the round's public rows."""
    layout: RowLayout | None
    """Of the rows that were read; they stand in `gram` after the past steps."""
    rows: Annotated[list[CidText], Field(max_length=MAX_PUBLIC_ROWS)]
    """Their files."""
    revealed: Annotated[list[Annotated[int, Field(ge=1, lt=2**32)]], Field(max_length=MAX_REVEALED)]
    """Earlier rounds whose batches the rows were computed from."""
    values: Annotated[list[SignedDecimal], Field(max_length=MAX_SLOTS)]
    """What the rows say of each trainer, in units of 2^-30 nats, memory included: the next rows remember it."""


class BundleOutcome(BundlePart):
    """What the policy says of one row. `score` and `clip` in units of 2^-30, `weight` in parts of 2^16."""

    score: Decimal
    reason: Annotated[int, Field(ge=0, lt=256)]
    weight: Annotated[int, Field(ge=0, le=2**16)]
    clip: Decimal


class RoundBundle(BundlePart):
    """A round's outcome with everything it follows from. See the module's text."""

    version: Literal[1] = 1
    chain_id: Annotated[int, Field(ge=1, lt=2**53)]
    market: Address
    project: Annotated[int, Field(ge=1, lt=2**53)]
    round: Annotated[int, Field(ge=1, lt=2**32)]
    spec_cid: CidText
    policy: BundlePolicy
    dimension: Annotated[int, Field(ge=1, le=MAX_DIMENSION)]
    exponent: Annotated[int, Field(ge=-64, le=0)]
    """Updates are multiples of 2^exponent, models of 2^(exponent - 16)."""
    model: PublishedModel
    """The model that the round started from."""
    past_models: Annotated[list[PublishedModel], Field(max_length=MAX_PAST)]
    """Models before it, oldest first; differences of neighbours, ending with `model`, are the past global steps."""
    validation: Bytes32
    """Digest of the validation batch that was revealed for this round; zeros: none."""
    public_rows: Bytes32
    """Commitment of the public rows that were posted; zeros: none."""
    rows: Annotated[list[BundleRow], Field(min_length=1, max_length=MAX_SLOTS)]
    evidence: BundleEvidence
    gram: Annotated[
        list[Annotated[list[SignedDecimal], Field(max_length=MAX_SLOTS + MAX_PUBLIC_ROWS)]],
        Field(max_length=MAX_SLOTS + MAX_PUBLIC_ROWS),
    ]
    """Inner products of the updates, in order of rows, then the past steps, most recent first, then the rows of
    `evidence`."""
    outcomes: Annotated[list[BundleOutcome], Field(max_length=MAX_SLOTS)]
    verdicts: Annotated[list[Verdict], Field(max_length=MAX_SLOTS)]
    next_model: PublishedModel

    def to_bytes(self) -> bytes:
        """Canonical bytes: what is published."""
        return canonical_json(self.model_dump(mode="json"))

    @classmethod
    def from_bytes(cls, data: bytes) -> RoundBundle:
        """Parses untrusted bytes; only the canonical encoding is accepted. Raises `BundleMalformed`."""
        try:
            bundle = cls.model_validate(parse_json(data, MAX_BUNDLE_BYTES))
        except ValidationError as error:
            raise BundleMalformed(f"not a round bundle: {_first_problem(error)}") from error
        except InvalidInput as error:
            raise BundleMalformed(f"not a round bundle: {error}") from error
        if bundle.to_bytes() != data:
            raise BundleMalformed("the bundle is not in canonical form: publish the bytes of RoundBundle.to_bytes()")
        return bundle


def _first_problem(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_input=False)[0]
    where = ".".join(str(part) for part in first["loc"]) or "the whole"
    return f"{where}: {first['msg']}"[:400]


# --- files of a round -------------------------------------------------------------------------------------------------


def fetch_update(store: IpfsStore, cid: Cid, commitment: bytes, dimension: int) -> np.ndarray:
    """int16[d] behind `cid`, at most the one size an update of this dimension has.

    Raises `ContentTooLarge`, `ContentMalformed`, `UpdateMalformed`, `CommitmentMismatch` (the publisher's fault);
    `ContentNotFound`, `ContentCorrupt`, `IpfsUnavailable` (nobody's, or ours).
    """
    update = decode_update(store.get(cid, update_size(dimension)), dimension)
    found = update_commitment(update)
    if found != commitment:
        raise CommitmentMismatch(
            f"the update at {cid} has the commitment {to_hex(found)}, committed was {to_hex(commitment)}: publish "
            f"the very update that was committed to"
        )
    return update


def fetch_model(store: IpfsStore, cid: Cid, commitment: bytes, dimension: int) -> np.ndarray:
    """int64[d] behind `cid`. Raises as `fetch_update`, with `ModelMalformed` for `UpdateMalformed`."""
    model = decode_model(store.get(cid, model_size(dimension)), dimension)
    found = model_commitment(model)
    if found != commitment:
        raise CommitmentMismatch(
            f"the model at {cid} has the commitment {to_hex(found)}, on chain is {to_hex(commitment)}"
        )
    return model


# --- the outcome ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Recomputed:
    """A round's outcome and the two files that publish it. CIDs are computed, nothing was published yet."""

    bundle: RoundBundle
    bundle_bytes: bytes
    bundle_cid: Cid
    model_bytes: bytes
    model_cid: Cid

    def statement(self) -> SettlementStatement:
        """What a witness signs if it agrees."""
        return statement_of(self.bundle, self.bundle_cid)

    @property
    def outcomes(self) -> list[Outcome]:
        return outcomes_of(self.bundle)

    @property
    def policy_input(self) -> bytes:
        """What `settle` hands to the policy contract `SuppliedScores`."""
        return encode_outcomes(self.outcomes)


def recompute(
    inputs: RoundInputs, store: IpfsStore, threads: int = 2, kernel: BlockKernel | None = None
) -> Recomputed:
    """Fetches the updates and past models, checks them, scores the round and computes the next model.

    Rows are streamed from the store, so that memory grows with the dimension and not with their number. threads: blocks
    that are computed while the next are fetched and hashed. kernel: None for the fastest that is here. Pure but for
    reading `store`: the same inputs give the same bytes, whatever these two are. Raises `RoundInputsInvalid`,
    `UnknownPolicy` and whatever `fetch_update`, `fetch_model` and `apply_step` raise.
    """
    policy = policy_by_name(inputs.policy.name, inputs.policy.params)
    if policy.policy_hash() != inputs.policy_hash:
        raise RoundInputsInvalid(
            f"the spec's policy {inputs.policy.name!r} has the hash {to_hex(policy.policy_hash())}, the terms on "
            f"chain pin {to_hex(inputs.policy_hash)}"
        )
    if not inputs.rows or len(inputs.rows) > MAX_SLOTS:
        raise RoundInputsInvalid(
            f"{len(inputs.rows)} admitted updates; a round that can be settled has 1 .. {MAX_SLOTS}"
        )
    dimension = inputs.dimension
    updates = [stored_update(store, row.cid, row.update, dimension) for row in inputs.rows]
    needed = inputs.models[-(min(policy.needs.past_steps, MAX_PAST) + 1) :]
    line = [SharedRow(stored_model(store, entry.cid, entry.commitment, dimension)) for entry in needed]
    steps = [DifferenceRow(before, after, step_between) for before, after in pairwise(line)]
    evidence, posted = _evidence(inputs, store, policy)
    vectors = posted.vectors if posted is not None else None
    evaluation = evaluate_round(updates, steps[::-1], policy, vectors, threads=threads, kernel=kernel)
    file = BytesIO()
    commitment = moved_model_file(blocks(line[-1], _BLOCK), evaluation.step, file.write)
    model_bytes = file.getvalue()
    model_cid = cid_of(model_bytes)
    published = PublishedModel(commitment=to_hex(commitment), cid=str(model_cid))
    bundle = _bundle(inputs, policy.description(), needed, evidence, evaluation, published)
    data = bundle.to_bytes()
    return Recomputed(bundle, data, cid_of(data), model_bytes, model_cid)


def _bundle(
    inputs: RoundInputs,
    policy: dict[str, Any],
    models: Sequence[InputModel],
    evidence: BundleEvidence,
    evaluation: RoundEvaluation,
    next_model: PublishedModel,
) -> RoundBundle:
    trainers = [row.trainer for row in inputs.rows]
    return RoundBundle(
        chain_id=inputs.chain_id,
        market=inputs.market,
        project=inputs.project,
        round=inputs.round,
        spec_cid=str(inputs.spec_cid),
        policy=BundlePolicy(name=policy["name"], params=policy["params"], hash=to_hex(inputs.policy_hash)),
        dimension=inputs.dimension,
        exponent=inputs.exponent,
        model=_published(models[-1]),
        past_models=[_published(model) for model in models[:-1]],
        validation=to_hex(inputs.validation),
        public_rows=to_hex(inputs.public_rows),
        rows=[
            BundleRow(
                row=index,
                first_row=row.first_row,
                member=row.member,
                trainer=row.trainer,
                update=to_hex(row.update),
                cid=str(row.cid),
            )
            for index, row in enumerate(inputs.rows)
        ],
        evidence=evidence,
        gram=[list(line) for line in evaluation.gram],
        outcomes=[
            BundleOutcome(score=row.score, reason=int(row.reason), weight=row.weight, clip=row.clip)
            for row in evaluation.outcome.rows
        ],
        verdicts=_verdicts(evaluation, trainers, evidence.fallback),
        next_model=next_model,
    )


def _verdicts(evaluation: RoundEvaluation, trainers: Sequence[str], fallback: Fallback) -> list[Verdict]:
    """The policy's, each with the reason if it had to do without the round's batch."""
    found = evaluation.verdicts(trainers)
    if fallback == "none":
        return found
    words = f" (judged by the peer policy: {FALLBACK_WORDS[fallback]})"
    return [verdict.model_copy(update={"sentence": verdict.sentence + words}) for verdict in found]


def _evidence(inputs: RoundInputs, store: IpfsStore, policy: Policy) -> tuple[BundleEvidence, PostedRows | None]:
    """The posted public rows, if the policy reads such and they can be used."""
    fallback: Fallback = "none"
    posted = None
    if reads_batch(policy.needs):
        if inputs.validation == ZERO32:
            fallback = "batch-not-revealed"
        elif inputs.public_rows == ZERO32:
            fallback = "rows-not-posted"
        else:
            try:
                posted = fetch_rows(store, inputs.public_rows, rows_subject(inputs), policy.needs)
            except RowsUnusable:
                fallback = "rows-unusable"
    evidence = BundleEvidence(
        fallback=fallback,
        batch=None if inputs.validation == ZERO32 else str(card_cid(inputs.validation)),
        manifest=None if inputs.public_rows == ZERO32 else str(manifest_cid(inputs.public_rows)),
        layout=posted.manifest.layout if posted is not None else None,
        rows=posted.manifest.rows if posted is not None else [],
        revealed=posted.manifest.revealed if posted is not None else [],
        values=posted.manifest.values if posted is not None else [],
    )
    return evidence, posted


def _published(model: InputModel) -> PublishedModel:
    return PublishedModel(commitment=to_hex(model.commitment), cid=str(model.cid))


def outcomes_of(bundle: RoundBundle) -> list[Outcome]:
    """(score, reason) of each row, in order of admission."""
    return [Outcome(outcome.score, outcome.reason) for outcome in bundle.outcomes]


def admissions_of(bundle: RoundBundle) -> list[list[AdmittedRow]]:
    """The rows that each call of `reveal` admitted, in order: what `settle` repeats."""
    return [
        [AdmittedRow(row.row, row.member, parse_bytes32(row.update), bytes(Cid.parse(row.cid))) for row in rows]
        for rows in by_admission(bundle.rows)
    ]


def statement_of(bundle: RoundBundle, bundle_cid: Cid) -> SettlementStatement:
    """What the quorum signs and the contract checks, for this bundle."""
    return SettlementStatement(
        project=bundle.project,
        round=bundle.round,
        dimension=bundle.dimension,
        admitted_hash=admitted_hash(admissions_of(bundle)),
        validation=parse_bytes32(bundle.validation),
        public_rows=parse_bytes32(bundle.public_rows),
        policy_hash=parse_bytes32(bundle.policy.hash),
        outcomes_hash=outcomes_hash(outcomes_of(bundle)),
        previous_model=parse_bytes32(bundle.model.commitment),
        next_model=parse_bytes32(bundle.next_model.commitment),
        next_model_cid=bytes(Cid.parse(bundle.next_model.cid)),
        bundle_cid=bytes(bundle_cid),
    )


# --- where two bundles part -------------------------------------------------------------------------------------------


def compare(expected: RoundBundle, found: RoundBundle) -> str | None:
    """None if both are the same; else the first difference in words, inputs before what follows from them."""
    ours, theirs = expected.model_dump(mode="json"), found.model_dump(mode="json")
    for name in RoundBundle.model_fields:
        if (words := _difference(name, ours[name], theirs[name])) is not None:
            return words
    return None


def _difference(path: str, expected: Any, found: Any) -> str | None:
    if type(expected) is not type(found):
        return f"{path} should be {_shown(expected)}, the bundle has {_shown(found)}"
    if isinstance(expected, dict):
        if missing := sorted(expected.keys() - found.keys()):
            return f"{path}.{missing[0]} is missing from the bundle"
        if surplus := sorted(found.keys() - expected.keys()):
            return f"{path}.{surplus[0]} should not be in the bundle"
        parts = ((f"{path}.{key}", expected[key], found[key]) for key in expected)
    elif isinstance(expected, list):
        if len(expected) != len(found):
            return f"{path} should have {len(expected)} entries, the bundle has {len(found)}"
        parts = ((f"{path}[{i}]", *pair) for i, pair in enumerate(zip(expected, found, strict=True)))
    elif expected != found:
        return f"{path} should be {_shown(expected)}, the bundle has {_shown(found)}"
    else:
        return None
    return next((words for part in parts if (words := _difference(*part)) is not None), None)


def _shown(value: Any) -> str:
    """A value of an untrusted bundle for a message: escaped and short."""
    text = ascii(value)
    return text if len(text) <= _MAX_SHOWN else text[: _MAX_SHOWN - 3] + "..."
