"""Public rows of a round from its revealed batch: computed by whoever settles, checked by every witness.

One machine gives the same bytes every time. Another one may differ in the last digits of a floating point number:
witnesses accept rows within the tolerances below of their own, and everybody then computes with the posted bytes.
"""

from __future__ import annotations

from cohort_protocol.commitments import ZERO32
from cohort_protocol.computed_rows import COMMON_TOLERANCE as COMMON_TOLERANCE
from cohort_protocol.computed_rows import ROW_TOLERANCE as ROW_TOLERANCE
from cohort_protocol.computed_rows import VALUE_TOLERANCE as VALUE_TOLERANCE
from cohort_protocol.computed_rows import ComputedRows as ComputedRows
from cohort_protocol.computed_rows import Published, make_card, make_manifest, public
from cohort_protocol.computed_rows import RowsDiffer as RowsDiffer
from cohort_protocol.computed_rows import check_rows as check_rows
from cohort_protocol.identifiers import to_hex
from cohort_protocol.ipfs.store import IpfsStore
from cohort_protocol.learning.architecture import parse_architecture
from cohort_protocol.learning.batches import fetch_batch
from cohort_protocol.learning.validation import ValidationRound, distinct, joined, validation_rows
from cohort_protocol.proof.scheme import KECCAK, CommitmentScheme
from cohort_protocol.round_inputs import RoundInputs, RoundInputsInvalid
from cohort_protocol.round_rows import MAX_REVEALED, RowLayout, reads_batch, remembered_values
from cohort_protocol.scoring import policy_by_name
from cohort_protocol.scoring.kernel.sources import whole
from cohort_protocol.spec import ProjectSpec
from cohort_protocol.stored_rows import stored_model, stored_updates


def compute_rows(
    inputs: RoundInputs,
    spec: ProjectSpec,
    store: IpfsStore,
    scheme: CommitmentScheme = KECCAK,
    published: Published = public,
) -> ComputedRows:
    """Fetches model, updates and batches, and computes what the policy reads of them. scheme: the project's; published:
    what its files are on IPFS.

    Raises `RoundInputsInvalid` if no rows can follow, `BatchMalformed`, `ContentTooLarge`, `ContentMalformed` (the
    owner's batch); `ContentNotFound`, `ContentCorrupt`, `IpfsUnavailable` if that cannot be told now."""
    policy = policy_by_name(inputs.policy.name, inputs.policy.params)
    if not reads_batch(policy.needs) or inputs.validation == ZERO32 or not inputs.rows:
        raise RoundInputsInvalid(
            f"round {inputs.project}/{inputs.round} has no public rows: policy {policy.name}, "
            f"{len(inputs.rows)} updates, batch {to_hex(inputs.validation)}"
        )
    if policy.policy_hash() != inputs.policy_hash:
        raise RoundInputsInvalid(
            f"the spec's policy {policy.name} has the hash {to_hex(policy.policy_hash())}, the terms on chain pin "
            f"{to_hex(inputs.policy_hash)}"
        )
    architecture = parse_architecture(spec.model.family, spec.model.config, spec.data)
    revealed = inputs.revealed[-MAX_REVEALED:]
    batches = [fetch_batch(store, digest, number, spec.data) for number, digest in revealed]
    earlier = remembered_values(store, inputs.remembered, inputs.settlement)
    d = inputs.dimension
    files = [(row.cid, row.update) for row in inputs.rows]
    given = ValidationRound(
        architecture=architecture,
        exponent=inputs.exponent,
        model=whole(stored_model(store, inputs.models[-1].cid, inputs.models[-1].commitment, d, scheme)),
        updates=[whole(row) for row in stored_updates(store, files, d, scheme)],
        batch=fetch_batch(store, inputs.validation, inputs.round, spec.data),
        revealed=distinct(joined(batches)) if batches else None,
        hyper=spec.training,
        round=inputs.round,
        seed=spec.seed,
        earlier=[earlier.get(row.member, 0) for row in inputs.rows],
    )
    found = validation_rows(given, policy)
    vectors = found.vectors.read_by(policy.needs)
    rows = tuple(whole(row) for row in vectors.rows())
    layout, read = RowLayout.of(vectors.layout), [number for number, _ in revealed]
    manifest = make_manifest(inputs, layout, rows, read, found.values, published)
    return ComputedRows(manifest, rows, make_card(inputs, manifest, rows, scheme), published)
