"""The round bundle: everything about the outcome of one round, in one file on IPFS, for anyone to compute again.

`recompute` is the one function behind it. The worker runs it to propose a settlement, every witness to check that
proposal before signing, an auditor to check what was settled; all three start from `RoundInputs`, which each of them
gathers from the chain and the project spec on its own. The same inputs give the same bytes on every machine, so
that agreeing on a round is comparing two byte strings; `compare` says in words where they part.

The file itself, its versions among other things, is described in `bundle_file`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from itertools import pairwise
from typing import Any

import numpy as np

from cohort_protocol.bundle_file import FALLBACK_WORDS as FALLBACK_WORDS
from cohort_protocol.bundle_file import MAX_BUNDLE_BYTES as MAX_BUNDLE_BYTES
from cohort_protocol.bundle_file import BundleEvidence, BundleOutcome, BundlePolicy, BundleProof, BundleRow
from cohort_protocol.bundle_file import BundleMalformed as BundleMalformed
from cohort_protocol.bundle_file import Fallback as Fallback
from cohort_protocol.bundle_file import PublishedModel as PublishedModel
from cohort_protocol.bundle_file import RoundBundle as RoundBundle
from cohort_protocol.bundle_file import compare as compare
from cohort_protocol.chain.packed import AdmittedRow, by_admission
from cohort_protocol.chain.types import Outcome
from cohort_protocol.commitments import ZERO32, SettlementStatement, admitted_hash, encode_outcomes, outcomes_hash
from cohort_protocol.identifiers import MAX_SLOTS, parse_bytes32, to_hex
from cohort_protocol.ipfs.cid import Cid
from cohort_protocol.ipfs.store import IpfsStore
from cohort_protocol.ipfs.unixfs import cid_of
from cohort_protocol.learning.batches import card_cid
from cohort_protocol.proof.curve import Point, compress
from cohort_protocol.proof.scheme import KECCAK, CommitmentScheme
from cohort_protocol.round_inputs import InputModel as InputModel
from cohort_protocol.round_inputs import InputRow as InputRow
from cohort_protocol.round_inputs import RoundInputs as RoundInputs
from cohort_protocol.round_inputs import RoundInputsInvalid as RoundInputsInvalid
from cohort_protocol.round_inputs import model_line as model_line
from cohort_protocol.round_inputs import models_read, rows_subject
from cohort_protocol.round_inputs import round_inputs as round_inputs
from cohort_protocol.round_rows import (
    NO_ROWS,
    PostedRows,
    RowsUnusable,
    fetch_rows,
    manifest_cid,
    reads_batch,
    wants_rows,
)
from cohort_protocol.scoring import Policy, RoundEvaluation, Verdict, evaluate_round, policy_by_name
from cohort_protocol.scoring.kernel import BlockKernel, DifferenceRow, SharedRow, blocks
from cohort_protocol.scoring.policy import CoordinatePolicy
from cohort_protocol.stored_rows import CommitmentMismatch as CommitmentMismatch
from cohort_protocol.stored_rows import stored_model, stored_updates, wrong_model, wrong_update
from cohort_protocol.update import decode_model, decode_update, model_size, step_between, update_size
from cohort_protocol.update.stream import moved_model_file

_BLOCK = 1 << 16
"""Parameters of a model at a time."""


# --- files of a round -------------------------------------------------------------------------------------------------


def fetch_update(
    store: IpfsStore, cid: Cid, commitment: bytes, dimension: int, scheme: CommitmentScheme = KECCAK
) -> np.ndarray:
    """int16[d] behind `cid`, at most the one size an update of this dimension has.

    Raises `ContentTooLarge`, `ContentMalformed`, `UpdateMalformed`, `CommitmentMismatch` (the publisher's fault);
    `ContentNotFound`, `ContentCorrupt`, `IpfsUnavailable` (nobody's, or ours).
    """
    update = decode_update(store.get(cid, update_size(dimension)), dimension)
    found = scheme.update(update)
    if found != commitment:
        raise wrong_update(cid, commitment, found)
    return update


def fetch_model(
    store: IpfsStore, cid: Cid, commitment: bytes, dimension: int, scheme: CommitmentScheme = KECCAK
) -> np.ndarray:
    """int64[d] behind `cid`. Raises as `fetch_update`, with `ModelMalformed` for `UpdateMalformed`."""
    model = decode_model(store.get(cid, model_size(dimension)), dimension)
    found = scheme.model(model)
    if found != commitment:
        raise wrong_model(cid, commitment, found)
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
    inputs: RoundInputs,
    store: IpfsStore,
    threads: int = 2,
    kernel: BlockKernel | None = None,
    scheme: CommitmentScheme = KECCAK,
) -> Recomputed:
    """Fetches the updates and past models, checks them, scores the round and computes the next model.

    Rows are streamed from the store, so that memory grows with the dimension and not with their number. threads: blocks
    that are computed while the next are fetched and hashed. kernel: None for the fastest that is here. scheme: the
    project's (`proof.project_srs`). Pure but for reading `store`: the same inputs give the same bytes, whatever these
    are. Raises `RoundInputsInvalid`, `UnknownPolicy` and whatever `fetch_update`, `fetch_model` and `apply_step` raise.
    """
    policy = policy_by_name(inputs.policy.name, inputs.policy.params)
    _check_inputs(inputs, policy, scheme)
    dimension = inputs.dimension
    files = [(row.cid, row.update) for row in inputs.rows]
    updates = stored_updates(store, files, dimension, scheme)
    needed = models_read(inputs, policy.needs)
    line = [SharedRow(stored_model(store, entry.cid, entry.commitment, dimension, scheme)) for entry in needed]
    steps = [DifferenceRow(before, after, step_between) for before, after in pairwise(line)]
    evidence, posted = _evidence(inputs, store, policy, scheme)
    vectors = posted.vectors if posted is not None else None
    evaluation = evaluate_round(updates, steps[::-1], policy, vectors, threads=threads, kernel=kernel)
    file = BytesIO()
    sink = scheme.next_model(needed[-1].commitment, [update for _, update in files], evaluation.outcome.weights)
    moved_model_file(blocks(line[-1], _BLOCK), evaluation.step, file.write, sink)
    model_bytes = file.getvalue()
    model_cid = cid_of(model_bytes)
    published = PublishedModel(commitment=to_hex(sink.commitment()), cid=str(model_cid))
    proof = _proof(inputs, posted, evaluation) if inputs.settlement == "proven" else None
    bundle = _bundle(inputs, policy.description(), needed, evidence, evaluation, published, proof)
    data = bundle.to_bytes()
    return Recomputed(bundle, data, cid_of(data), model_bytes, model_cid)


def _check_inputs(inputs: RoundInputs, policy: Policy, scheme: CommitmentScheme) -> None:
    """Raises `RoundInputsInvalid`."""
    if policy.policy_hash() != inputs.policy_hash:
        raise RoundInputsInvalid(
            f"the spec's policy {inputs.policy.name!r} has the hash {to_hex(policy.policy_hash())}, the terms on "
            f"chain pin {to_hex(inputs.policy_hash)}"
        )
    if not inputs.rows or len(inputs.rows) > MAX_SLOTS:
        raise RoundInputsInvalid(
            f"{len(inputs.rows)} admitted updates; a round that can be settled has 1 .. {MAX_SLOTS}"
        )
    if inputs.settlement != scheme.settlement:
        raise RoundInputsInvalid(
            f"project {inputs.project} is {inputs.settlement}, and its commitments were to be read as {scheme.name}: "
            "take the scheme of its spec (`proof.project_srs.scheme_of`)"
        )
    if inputs.settlement == "proven" and isinstance(policy, CoordinatePolicy):
        raise RoundInputsInvalid(
            f"policy {policy.name!r} makes a step that is no weighted sum of the updates: such a round cannot be proven"
        )


def _proof(inputs: RoundInputs, posted: PostedRows | None, evaluation: RoundEvaluation) -> BundleProof:
    # Brings the curve library in: only processes of proven projects need it.
    from cohort_protocol.proof.kzg_scheme import step_point

    points: tuple[Point, ...] = ()
    if posted is not None and posted.card is not None:
        points = posted.card.points
    return BundleProof(
        steps=evaluation.public.past_steps,
        card=None if posted is None else str(manifest_cid(inputs.public_rows)),
        points=[to_hex(compress(point)) for point in points],
        step=to_hex(compress(step_point([row.update for row in inputs.rows], evaluation.outcome.weights))),
    )


def _bundle(
    inputs: RoundInputs,
    policy: dict[str, Any],
    models: Sequence[InputModel],
    evidence: BundleEvidence,
    evaluation: RoundEvaluation,
    next_model: PublishedModel,
    proof: BundleProof | None,
) -> RoundBundle:
    trainers = [row.trainer for row in inputs.rows]
    return RoundBundle(
        version=1 if proof is None else 2,
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
        proof=proof,
    )


def _verdicts(evaluation: RoundEvaluation, trainers: Sequence[str], fallback: Fallback) -> list[Verdict]:
    """The policy's, each with the reason if it had to do without the round's batch."""
    found = evaluation.verdicts(trainers)
    if fallback == "none":
        return found
    words = f" (judged by agreement alone: {FALLBACK_WORDS[fallback]})"
    return [verdict.model_copy(update={"sentence": verdict.sentence + words}) for verdict in found]


def _evidence(
    inputs: RoundInputs, store: IpfsStore, policy: Policy, scheme: CommitmentScheme
) -> tuple[BundleEvidence, PostedRows | None]:
    """The posted public rows, if there are any that can be used, and what the scores rest on.

    Raises `RoundInputsInvalid` for a proven round whose rows are missing or useless: nothing can be proven of it."""
    judged = reads_batch(policy.needs)
    posted = None
    if inputs.public_rows != ZERO32 and (inputs.settlement == "proven" or (judged and inputs.validation != ZERO32)):
        try:
            posted = fetch_rows(store, inputs.public_rows, rows_subject(inputs, policy.needs), policy.needs)
            posted.check_points(scheme)
        except RowsUnusable as error:
            posted = None
            _require_unproven(inputs, f"what was posted as its public rows cannot be used: {error}")
    elif inputs.settlement == "proven" and wants_rows("proven", policy.needs, inputs.round, ZERO32):
        _require_unproven(inputs, "no public rows were posted: every round but the first proves its past steps")
    manifest = None
    if inputs.public_rows != ZERO32:
        manifest = inputs.public_rows if posted is None or posted.card is None else posted.card.manifest
    rows = posted.manifest if posted is not None and judged else None
    evidence = BundleEvidence(
        fallback=_fallback(inputs, posted) if judged else "none",
        batch=None if inputs.validation == ZERO32 else str(card_cid(inputs.validation)),
        manifest=None if manifest is None else str(manifest_cid(manifest)),
        layout=rows.layout if rows is not None else None,
        rows=rows.rows if rows is not None else [],
        revealed=rows.revealed if rows is not None else [],
        values=rows.values if rows is not None else [],
    )
    return evidence, posted


def _fallback(inputs: RoundInputs, posted: PostedRows | None) -> Fallback:
    """Why a policy that reads batches has to do without; `none` if it has its rows."""
    if inputs.validation == ZERO32:
        return "batch-not-revealed"
    if inputs.public_rows == ZERO32:
        return "rows-not-posted"
    if posted is None:
        return "rows-unusable"
    return "batch-unusable" if posted.manifest.layout == NO_ROWS else "none"


def _require_unproven(inputs: RoundInputs, words: str) -> None:
    if inputs.settlement == "proven":
        raise RoundInputsInvalid(f"round {inputs.project}/{inputs.round} cannot be proven: {words}")


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
