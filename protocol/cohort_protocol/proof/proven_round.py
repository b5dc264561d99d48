"""From a proven round's bundle to what is proven of it: the statement, the rows, the policy's hints.

Whoever proves a round and whoever checks a proof starts from the same bundle; everything that a statement says besides
the verifier's address is in it.
"""

from __future__ import annotations

from itertools import pairwise

from cohort_protocol.bundle import admissions_of, outcomes_of
from cohort_protocol.bundle_file import BundleProof, RoundBundle
from cohort_protocol.commitments import admitted_hash, outcomes_hash
from cohort_protocol.errors import InvalidInput
from cohort_protocol.identifiers import parse_bytes32
from cohort_protocol.ipfs.cid import Cid
from cohort_protocol.ipfs.store import IpfsStore
from cohort_protocol.proof.curve import decompress
from cohort_protocol.proof.rows_card import RowsCard
from cohort_protocol.proof.scheme import CommitmentScheme
from cohort_protocol.proof.statement import RoundStatement
from cohort_protocol.round_rows import fetch_card, stored_row
from cohort_protocol.scoring.hints import hints
from cohort_protocol.scoring.kernel.sources import DifferenceRow, Row, SharedRow
from cohort_protocol.scoring.rows import PublicRows
from cohort_protocol.stored_rows import stored_model, stored_update
from cohort_protocol.update import step_between


class NotProven(InvalidInput):
    """A bundle of an attested round: nothing is proven of it."""

    code = "round-not-proven"


def round_statement(bundle: RoundBundle, verifier: str) -> RoundStatement:
    """What the proof of this round says. verifier: address of the project's verifier contract.

    Raises `NotProven`, `PointMalformed` or `StatementInvalid` for a bundle of which nothing can be proven."""
    proof = _proof_of(bundle)
    updates = tuple(decompress(parse_bytes32(row.update)) for row in bundle.rows)
    return RoundStatement(
        chain_id=bundle.chain_id,
        verifier=verifier,
        market=bundle.market,
        project=bundle.project,
        round=bundle.round,
        dimension=bundle.dimension,
        layout=public_layout(bundle),
        admitted_hash=admitted_hash(admissions_of(bundle)),
        validation=parse_bytes32(bundle.validation),
        public_rows=parse_bytes32(bundle.public_rows),
        policy_hash=parse_bytes32(bundle.policy.hash),
        outcomes_hash=outcomes_hash(outcomes_of(bundle)),
        previous_model=parse_bytes32(bundle.model.commitment),
        next_model=parse_bytes32(bundle.next_model.commitment),
        step=decompress(parse_bytes32(proof.step)),
        commitments=updates + tuple(decompress(parse_bytes32(point)) for point in proof.points),
        gram=tuple(tuple(line) for line in bundle.gram),
        weights=tuple(outcome.weight for outcome in bundle.outcomes),
    )


def public_layout(bundle: RoundBundle) -> PublicRows:
    """Which public rows the bundle's Gram matrix has. Raises `NotProven`."""
    proof, posted = _proof_of(bundle), bundle.evidence.layout
    if posted is None:
        return PublicRows(past_steps=proof.steps)
    return PublicRows(proof.steps, posted.trainable, posted.gradients, posted.halves, posted.values, posted.classes)


def round_vectors(bundle: RoundBundle, store: IpfsStore, scheme: CommitmentScheme) -> list[Row]:
    """The rows behind the statement's commitments, in their order, to be read block by block.

    Reading raises what `stored_update` and `stored_model` raise."""
    d = bundle.dimension
    rows: list[Row] = [
        stored_update(store, Cid.parse(row.cid), parse_bytes32(row.update), d, scheme) for row in bundle.rows
    ]
    line = [
        SharedRow(stored_model(store, Cid.parse(model.cid), parse_bytes32(model.commitment), d, scheme))
        for model in [*bundle.past_models, bundle.model]
    ]
    steps = [DifferenceRow(before, after, step_between) for before, after in pairwise(line)]
    rows += steps[len(steps) - _proof_of(bundle).steps :][::-1]
    return rows + [stored_row(store, Cid.parse(cid), d) for cid in bundle.evidence.rows]


def round_hints(bundle: RoundBundle) -> bytes:
    """What the policy contract is told beside the Gram matrix. Raises `NotProven`."""

    return hints([list(line) for line in bundle.gram], len(bundle.rows), public_layout(bundle))


def round_card(bundle: RoundBundle, store: IpfsStore) -> RowsCard | None:
    """The block behind the round's public rows; None: none were posted. Raises as `fetch_card`, and `NotProven`."""
    if _proof_of(bundle).card is None:
        return None
    return fetch_card(store, parse_bytes32(bundle.public_rows))


def _proof_of(bundle: RoundBundle) -> BundleProof:
    if bundle.proof is None:
        raise NotProven(f"round {bundle.project}/{bundle.round} is attested: nothing is proven of it")
    return bundle.proof
