"""Carries out one step of a plan: reads what the transaction needs, builds it, sends it once.

Every transaction goes through the journal under an intent that names the step, so that the same step from two threads,
two processes or after a crash is one transaction. The contract checks everything again; a step that it refuses was
already done by somebody else or is not due on chain, which the next look at the project shows.
"""

from __future__ import annotations

import structlog
from cohort_backend.chain.repository import chain_now
from cohort_backend.jobs.service import EVALUATE_ROUND, enqueue
from cohort_backend.projects import repository as projects
from cohort_backend.rounds import repository as rounds
from cohort_backend.updates import repository as updates
from cohort_backend.updates.models import CommitIntent
from cohort_protocol.chain import TransactionReverted
from cohort_protocol.chain.types import CommitLeaf, CommitSignature, Receipt, Reveal, Row
from cohort_protocol.identifiers import RoundKey, to_hex
from cohort_protocol.ipfs.cid import Cid
from eth_utils import keccak

from cohort_worker.parts import WorkerParts
from cohort_worker.rounds.planner import CloseRound, Evaluate, OpenRound, PostCommits, PostReveals, Settle, Step
from cohort_worker.rounds.sending import send
from cohort_worker.rounds.situation import admitted_now, enough_receipts, evaluation_key, postable_commits, signed_sets
from cohort_worker.settlement.settle import settle

log = structlog.get_logger(__name__)

EVALUATION_ATTEMPTS = 10_000
"""An evaluation is tried as long as the round can be settled; what can never succeed is given up at once."""


def perform(parts: WorkerParts, step: Step) -> None:
    """Does one step. Raises `TransactionReverted`, and what the sender and the database raise."""
    match step:
        case OpenRound():
            open_round(parts, step)
        case PostCommits():
            post_commits(parts, step)
        case PostReveals():
            post_reveals(parts, step)
        case Evaluate():
            ask_for_evaluation(parts, step)
        case Settle():
            settle(parts, step.project, step.round)
        case CloseRound():
            close_round(parts, step)


def open_round(parts: WorkerParts, step: OpenRound) -> None:
    """Sets the next round's budget aside and starts its clock."""
    send(parts, RoundKey(step.project, step.round), "open", parts.market.open_round(step.project))


def close_round(parts: WorkerParts, step: CloseRound) -> None:
    """Ends a round that is void or that nobody settled in time."""
    with parts.database.read() as session:
        rows = [Row(row.trainer, row.update) for row in rounds.rows(session, step.project, step.round)]
    send(parts, RoundKey(step.project, step.round), "close", parts.market.close_round(step.project, step.round, rows))


def ask_for_evaluation(parts: WorkerParts, step: Evaluate) -> None:
    """Queues step 6 of the round, which takes longer than a transaction and may run on another machine."""
    with parts.database.write() as session:
        current = rounds.get(session, step.project, step.round)
        if current is None:
            return
        enqueue(
            session,
            EVALUATE_ROUND,
            evaluation_key(step.project, step.round),
            {"project": step.project, "round": step.round, "admitted": to_hex(admitted_now(session, current))},
            max_attempts=EVALUATION_ATTEMPTS,
        )


# --- the batch of commitments -----------------------------------------------------------------------------------------


def post_commits(parts: WorkerParts, step: PostCommits) -> None:
    """Posts the signed commitments in one batch. A round has one, so it is closed first: from here on a trainer is told
    to post its own."""
    key = RoundKey(step.project, step.round)
    with parts.database.write() as session:
        project, current = projects.get(session, step.project), rounds.get(session, step.project, step.round)
        if project is None or current is None or current.batch_posted:
            return
        updates.close_batch(session, step.project, step.round)
        now = chain_now(session)
        batch = postable_commits(session, project, current, now)[: project.slots - current.committed]
    left_out: set[str] = set()
    while leaves := sorted((i for i in batch if i.trainer not in left_out), key=_by_address):
        request = parts.market.commit_batch(
            step.project,
            step.round,
            [CommitLeaf(intent.trainer, intent.commitment) for intent in leaves],
            [CommitSignature(intent.expiry, intent.signature) for intent in leaves],
        )
        try:
            send(parts, key, "commit", request)
            return
        except TransactionReverted as error:
            culprit = blamed_leaf(error, leaves)
            if culprit is None:
                raise
            # One leaf that the contract refuses must not keep the others out.
            left_out.add(culprit)
            log.warning("commit_left_out", project=key.project, round=key.round, trainer=culprit, reason=str(error))
    log.warning("batch_empty", project=key.project, round=key.round, left_out=sorted(left_out))


def blamed_leaf(error: TransactionReverted, leaves: list[CommitIntent]) -> str | None:
    """The trainer whose leaf made the contract refuse the batch, if it was a single leaf."""
    if error.name in ("NotEligible", "AlreadyCommitted", "CommitmentIsZero"):
        named = str(error.arguments.get("trainer", "")).lower()
        return next((intent.trainer for intent in leaves if intent.trainer.lower() == named), None)
    if error.name in ("CommitSignatureInvalid", "CommitSignatureExpired"):
        index = error.arguments.get("index")
        return leaves[index].trainer if isinstance(index, int) and 0 <= index < len(leaves) else None
    return None


def _by_address(intent: CommitIntent) -> bytes:
    return rounds.address_order(intent.trainer)


# --- reveals ----------------------------------------------------------------------------------------------------------


def post_reveals(parts: WorkerParts, step: PostReveals) -> None:
    """Posts a set of reveals with the receipts that decide it."""
    key = RoundKey(step.project, step.round)
    with parts.database.read() as session:
        project = projects.get(session, step.project)
        found = [s for s in signed_sets(session, *key) if s.recorded.reveals_hash == step.reveals_hash]
        if project is None or not found:
            return
        chosen = enough_receipts(found[0], project.quorum)
        opened = {intent.trainer: intent for intent in updates.reveal_intents(session, *key)}
        reveals = [opened[trainer] for trainer in found[0].recorded.trainers]
        batch = [CommitLeaf(trainer, commitment) for trainer, commitment in rounds.batch_leaves(session, *key)]
    receipts = sorted(
        (Receipt(project.witnesses.index(one.witness), one.endorsed, one.refused, one.signature) for one in chosen),
        key=lambda receipt: receipt.witness,
    )
    request = parts.market.reveal(
        step.project,
        step.round,
        batch,
        [Reveal(one.trainer, one.update, one.salt, bytes(Cid.parse(one.cid))) for one in reveals],
        receipts,
    )
    # The same set may be sent again with further receipts: the intent names the set and what was said about it.
    words = b"".join(receipt.signature for receipt in receipts)
    send(parts, key, "reveal", request, detail=f"{step.reveals_hash.hex()[:16]} {keccak(words).hex()[:16]}")
