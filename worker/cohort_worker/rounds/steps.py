"""Carries out one step of a plan: reads what the transaction needs, builds it, sends it once.

Every transaction goes through the journal under an intent that names the step, so that the same step from two threads,
two processes or after a crash is one transaction. The contract checks everything again; a step that it refuses was
already done by somebody else or is not due on chain, which the next look at the project shows.
"""

from __future__ import annotations

from collections.abc import Sequence

import structlog
from cohort_backend.jobs.service import COMPUTE_ROWS, EVALUATE_ROUND, PROVE_ROUND, enqueue
from cohort_backend.projects import repository as projects
from cohort_backend.proofs import repository as proofs
from cohort_backend.public_rows import repository as public_rows
from cohort_backend.rounds import repository as rounds
from cohort_backend.settlements import repository as settlements
from cohort_backend.updates import repository as updates
from cohort_protocol.chain import TransactionRequest, TransactionReverted
from cohort_protocol.chain.packed import CommitLeaf
from cohort_protocol.chain.types import Receipt, WitnessSignature
from cohort_protocol.identifiers import RoundKey, to_hex
from eth_utils import keccak

from cohort_worker.parts import WorkerParts
from cohort_worker.rounds.bond import deposit_bond
from cohort_worker.rounds.evidence import job_key, rows_basis
from cohort_worker.rounds.planner import (
    CloseRound,
    ComputeRows,
    DepositBond,
    Evaluate,
    OpenRound,
    PostCommits,
    PostReveals,
    PostRows,
    Prove,
    ReceiptModel,
    Rescue,
    Settle,
    SlashNoReveal,
    Step,
)
from cohort_worker.rounds.sending import send
from cohort_worker.rounds.situation import (
    admitted_now,
    enough_receipts,
    openable,
    postable_commits,
    signed_sets,
)
from cohort_worker.settlement.settle import settle

log = structlog.get_logger(__name__)

EVALUATION_ATTEMPTS = 10_000
"""An evaluation is tried as long as the round can be settled; what can never succeed is given up at once."""


PROOF_ATTEMPTS = 20
"""A prover that is killed is started again; one that always fails, for want of memory, is given up."""


def perform(parts: WorkerParts, step: Step) -> None:
    """Does one step. Raises `TransactionReverted`, `BondUnfunded`, and what the sender and the database raise."""
    match step:
        case DepositBond():
            deposit_bond(parts, step)
        case OpenRound():
            open_round(parts, step)
        case PostCommits():
            post_commits(parts, step)
        case PostReveals():
            post_reveals(parts, step)
        case Rescue():
            rescue(parts, step)
        case SlashNoReveal():
            slash_no_reveal(parts, step)
        case ComputeRows():
            ask_for_rows(parts, step)
        case PostRows():
            post_rows(parts, step)
        case Evaluate():
            ask_for_evaluation(parts, step)
        case Prove():
            ask_for_proof(parts, step)
        case ReceiptModel():
            receipt_model(parts, step)
        case Settle():
            settle(parts, step.project, step.round)
        case CloseRound():
            close_round(parts, step)


def open_round(parts: WorkerParts, step: OpenRound) -> None:
    """Sets the next round's budget aside and starts its clock; accepts it in the same transaction, so that our bond is
    never behind a round that somebody else has to open."""
    request = parts.market.open_round(step.project)
    if step.accept:
        request = parts.market.multicall([parts.market.accept(step.project, step.round), request])
    send(parts, RoundKey(step.project, step.round), "open", request, accepted=step.accept)


def close_round(parts: WorkerParts, step: CloseRound) -> None:
    """Ends a round that is void or that nobody settled in time."""
    with parts.database.read() as session:
        admissions = rounds.admissions(session, step.project, step.round)
    request = parts.market.close_round(step.project, step.round, admissions)
    send(parts, RoundKey(step.project, step.round), "close", request)


def ask_for_evaluation(parts: WorkerParts, step: Evaluate) -> None:
    """Queues step 6 of the round, which takes longer than a transaction and may run on another machine."""
    with parts.database.write() as session:
        current = rounds.get(session, step.project, step.round)
        if current is None:
            return
        enqueue(
            session,
            EVALUATE_ROUND,
            job_key(step.project, step.round),
            {"project": step.project, "round": step.round, "admitted": to_hex(admitted_now(session, current))},
            max_attempts=EVALUATION_ATTEMPTS,
        )


def ask_for_proof(parts: WorkerParts, step: Prove) -> None:
    """Queues the proof of the proposed outcome, which takes longest of all."""
    with parts.database.write() as session:
        proposal = settlements.proposal(session, step.project, step.round)
        if proposal is None:
            return
        args = {"project": step.project, "round": step.round, "bundle": proposal.bundle_cid}
        enqueue(session, PROVE_ROUND, job_key(step.project, step.round), args, max_attempts=PROOF_ATTEMPTS)


def receipt_model(parts: WorkerParts, step: ReceiptModel) -> None:
    """Posts the receipts of a quorum for the pending model, from which the next round then starts."""
    with parts.database.read() as session:
        project = projects.get(session, step.project)
        if project is None or project.pending_model is None:
            return
        model = project.pending_model
        found = proofs.model_receipts(session, step.project, model)
    signatures = sorted(
        (
            WitnessSignature(project.witnesses.index(one.witness), one.signature)
            for one in found
            if one.witness in project.witnesses
        ),
        key=lambda signature: signature.witness,
    )[: project.quorum]
    request = parts.market.receipt_model(step.project, signatures)
    send(parts, RoundKey(step.project, step.round), "model-receipt", request, model.hex()[:16], model=to_hex(model))


def ask_for_rows(parts: WorkerParts, step: ComputeRows) -> None:
    """Queues the computation of the round's public rows."""
    with parts.database.write() as session:
        current = rounds.get(session, step.project, step.round)
        if current is None:
            return
        args = {"project": step.project, "round": step.round, "of": to_hex(rows_basis(session, current))}
        enqueue(session, COMPUTE_ROWS, job_key(step.project, step.round), args)


def post_rows(parts: WorkerParts, step: PostRows) -> None:
    """Posts the public rows with the signatures of a quorum: from then on everybody computes with these bytes."""
    key = RoundKey(step.project, step.round)
    with parts.database.read() as session:
        project = projects.get(session, step.project)
        if project is None:
            return
        words = [word for word in public_rows.words(session, *key, step.rows) if word.agrees]
    signatures = sorted(
        (WitnessSignature(project.witnesses.index(word.witness), word.signature) for word in words),
        key=lambda signature: signature.witness,
    )[: project.quorum]
    request = parts.market.post_public_rows(step.project, step.round, step.rows, signatures)
    send(parts, key, "public-rows", request, step.rows.hex()[:16], rows=to_hex(step.rows))


# --- the batch of commitments -----------------------------------------------------------------------------------------


def post_commits(parts: WorkerParts, step: PostCommits) -> None:
    """Posts the signed commitments in one batch. A round has one, so it is closed first: from here on a trainer is told
    to post its own. A leaf that cannot count any more is passed over by the contract and keeps nobody else out."""
    key = RoundKey(step.project, step.round)
    with parts.database.write() as session:
        project, current = projects.get(session, step.project), rounds.get(session, step.project, step.round)
        if project is None or current is None or current.batch_posted:
            return
        updates.close_batch(session, step.project, step.round)
        batch = postable_commits(session, project, current)[: project.slots - current.committed]
    leaves = sorted(batch, key=lambda intent: intent.member)
    if not leaves:
        return
    request = parts.market.commit_batch(
        step.project,
        step.round,
        [CommitLeaf(intent.member, intent.commitment) for intent in leaves],
        [intent.signature for intent in leaves],
    )
    try:
        send(parts, key, "commit", request, leaves=len(leaves))
    except TransactionReverted as error:
        if error.name == "EmptyBatch":
            # Not one leaf counted, so that the round still has its batch: take further commitments.
            log.warning("batch_empty", project=key.project, round=key.round, leaves=len(leaves))
            with parts.database.write() as session:
                updates.reopen_batch(session, step.project, step.round)
        raise


# --- openings ---------------------------------------------------------------------------------------------------------


def post_reveals(parts: WorkerParts, step: PostReveals) -> None:
    """Posts a set of openings with the receipts that decide it."""
    key = RoundKey(step.project, step.round)
    with parts.database.read() as session:
        project, current = projects.get(session, step.project), rounds.get(session, step.project, step.round)
        if project is None or current is None:
            return
        sets = signed_sets(session, parts.viewer.identity(project), current)
        found = [one for one in sets if one.recorded.openings_hash == step.openings_hash]
        if not found:
            return
        chosen = enough_receipts(found[0], project.quorum)
        opened = {intent.member: intent for intent in updates.reveal_intents(session, *key)}
        openings = [updates.opening(opened[member]) for member in found[0].recorded.members]
        batch = rounds.batch(session, *key)
    receipts = sorted(
        (Receipt(project.witnesses.index(one.witness), one.endorsed, one.refused, one.signature) for one in chosen),
        key=lambda receipt: receipt.witness,
    )
    request = parts.market.reveal(step.project, step.round, batch, openings, receipts)
    # The same set may be sent again with further receipts: the intent names the set and what was said about it.
    words = b"".join(receipt.signature for receipt in receipts)
    send(parts, key, "reveal", request, detail=f"{step.openings_hash.hex()[:16]} {keccak(words).hex()[:16]}")


def rescue(parts: WorkerParts, step: Rescue) -> None:
    """Opens commitments that were not admitted, without receipts: no pay, and the stakes are safe."""
    key = RoundKey(step.project, step.round)
    with parts.database.read() as session:
        project, current = projects.get(session, step.project), rounds.get(session, step.project, step.round)
        if project is None or current is None:
            return
        handed_in = openable(session, parts.viewer.identity(project), current)
        openings = [updates.opening(intent) for intent in handed_in if intent.member in step.members]
        batch = rounds.batch(session, *key)
    if openings:
        request = parts.market.rescue(step.project, step.round, batch, openings)
        send(parts, key, "rescue", request, _named(step.members), members=list(step.members))


def slash_no_reveal(parts: WorkerParts, step: SlashNoReveal) -> None:
    """Takes the stakes of trainers who opened nothing: a tenth is ours, the rest is burned."""
    key = RoundKey(step.project, step.round)
    with parts.database.read() as session:
        batch = rounds.batch(session, *key)
    requests = [parts.market.slash_no_reveal(*key, member, batch) for member in step.members]
    send(parts, key, "slash", _in_one(parts, requests), _named(step.members), members=list(step.members))


def _in_one(parts: WorkerParts, requests: Sequence[TransactionRequest]) -> TransactionRequest:
    return requests[0] if len(requests) == 1 else parts.market.multicall(requests)


def _named(members: Sequence[int]) -> str:
    """Members of a round in the name of an intent, which is short."""
    return keccak(text=" ".join(map(str, members))).hex()[:16]
