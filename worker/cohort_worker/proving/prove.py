"""Proves the proposed outcome of a round, and asks the chain whether it would hold before anything is sent.

A round is proven from its bundle and the files that it names, by a process of its own (`run_prover`). The same outcome
gives the same proof, so that a run that was cut short is simply run again; what it had written is used.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

import structlog
from cohort_backend.chain.repository import chain_now
from cohort_backend.jobs.service import enqueue_advance
from cohort_backend.projects.models import Project
from cohort_backend.projects.service import load_spec
from cohort_backend.proofs import repository as proofs
from cohort_backend.proofs.models import PROVING, READY, UNPROVABLE
from cohort_backend.rounds import repository as rounds
from cohort_protocol.bundle import RoundBundle, admissions_of, statement_of
from cohort_protocol.bundle_file import MAX_BUNDLE_BYTES
from cohort_protocol.chain import TransactionReverted
from cohort_protocol.chain.verification import gas_of, verification
from cohort_protocol.errors import InvalidInput
from cohort_protocol.identifiers import RoundKey
from cohort_protocol.ipfs.cid import Cid

from cohort_worker.evaluation.evaluate import in_settlement
from cohort_worker.parts import WorkerParts
from cohort_worker.proving.run_prover import find_prover, run_prover
from cohort_worker.proving.work_folder import WorkFolder
from cohort_worker.rounds.situation import current_proposal

log = structlog.get_logger(__name__)


class OutcomeUnprovable(InvalidInput):
    """The verifier contract refuses the proof of the proposed outcome. Proving again gives the same."""

    code = "outcome-unprovable"


def prove_round(parts: WorkerParts, project_id: int, number: int, bundle_cid: str, stopping: threading.Event) -> bool:
    """Proves the outcome that is proposed for a round. Returns whether to come back: another proof is being made, or
    the process is about to end. Safe to run twice and concurrently.

    Raises `ProverFailed` (try again), `ContentNotFound` or an `Unavailable` (try again), or an `InvalidInput` if
    nothing can be proven.
    """
    key = RoundKey(project_id, number)
    project = _to_be_proven(parts, key, bundle_cid)
    if project is None:
        return False
    if not parts.proving.acquire(blocking=False):
        return True
    try:
        return _prove(parts, project, key, bundle_cid, stopping)
    except InvalidInput as error:
        with parts.database.write() as session:
            proofs.save_proof(session, *key, bundle_cid, UNPROVABLE, error=f"{error.code}: {error}"[:2000])
            enqueue_advance(session, project_id)
        raise
    finally:
        parts.proving.release()


def _to_be_proven(parts: WorkerParts, key: RoundKey, bundle_cid: str) -> Project | None:
    """The project, if the outcome is still the one proposed and has no proof yet."""
    with parts.database.read() as session:
        found = in_settlement(session, *key)
        proposal = current_proposal(session, found[1]) if found is not None else None
        expected = proofs.proof(session, *key, bundle_cid)
        if found is None or proposal is None or proposal.bundle_cid != bundle_cid:
            return None
        if expected is None or expected.state == READY:
            return None
        session.expunge(found[0])
        return found[0]


def _prove(parts: WorkerParts, project: Project, key: RoundKey, bundle_cid: str, stopping: threading.Event) -> bool:
    # Bring the curve library in: only workers of proven projects need it.
    from cohort_protocol.proof.proven_round import round_statement, round_vectors
    from cohort_protocol.proof.prover import RoundProof
    from cohort_protocol.proof.verifier import verify

    started = time.monotonic()
    bundle = RoundBundle.from_bytes(parts.store.get(Cid.parse(bundle_cid), MAX_BUNDLE_BYTES))
    scheme = parts.schemes.kzg(project.verifier, bundle.dimension)
    statement = round_statement(bundle, project.verifier)
    folder = WorkFolder(parts.settings.prover_folder / f"{key.project}-{key.round}-{bundle_cid[-16:]}")
    store = parts.store_of(load_spec(parts.database, parts.store, project), key.project)
    folder.prepare(statement, scheme.srs.path, round_vectors(bundle, store, scheme))
    prover = find_prover(parts.settings.prover)
    tell = _teller(parts, key, bundle_cid, prover.name)
    content = run_prover(prover, folder, parts.settings.prover_memory_mb, tell, stopping)
    if content is None:
        return True
    proof = RoundProof.from_bytes(content)
    verify(statement, proof, scheme.srs.tau_g2)
    seconds = round(time.monotonic() - started, 3)
    checked = _ask_the_chain(parts, project, bundle, bundle_cid, content)
    _keep(parts, key, bundle_cid, content, seconds, checked)
    folder.remove()
    log.info(
        "round_proven",
        project=key.project,
        round=key.round,
        rows=statement.n,
        public_rows=statement.p,
        dimension=statement.dimension,
        prover=prover.name,
        bytes=len(content),
        evidence_bytes=checked.evidence_bytes,
        verify_gas=checked.gas,
        seconds=seconds,
    )
    return False


def _teller(parts: WorkerParts, key: RoundKey, bundle_cid: str, prover: str) -> Callable[[int, int, str], None]:
    def tell(part: int, parts_in_all: int, step: str) -> None:
        log.info("proving", project=key.project, round=key.round, part=part, parts=parts_in_all, step=step)
        fields = {"part": part, "parts": parts_in_all, "step": step, "prover": prover}
        with parts.database.write() as session:
            if proofs.proof(session, *key, bundle_cid) is not None:
                proofs.save_proof(session, *key, bundle_cid, PROVING, **fields)

    return tell


@dataclass(frozen=True)
class _Checked:
    evidence_bytes: int
    gas: int


def _ask_the_chain(
    parts: WorkerParts, project: Project, bundle: RoundBundle, bundle_cid: str, proof: bytes
) -> _Checked:
    """Has the node run the verifier as the settlement will. Raises `OutcomeUnprovable` if it refuses."""
    evidence = proven_evidence(parts, project, bundle, proof, [])
    request = verification(
        project.verifier,
        parts.market.address,
        statement_of(bundle, Cid.parse(bundle_cid)),
        project.witnesses,
        project.quorum,
        evidence,
    )
    try:
        return _Checked(len(evidence), gas_of(parts.client, request, parts.sender.address))
    except TransactionReverted as error:
        raise OutcomeUnprovable(f"the verifier contract refuses the outcome: {error}") from error


def proven_evidence(
    parts: WorkerParts, project: Project, bundle: RoundBundle, proof: bytes, receipts: list[tuple[int, bytes]]
) -> bytes:
    """What the verifier contract reads. receipts: (witness index, 65-byte signature) of a quorum, or none.

    Raises `EvidenceMalformed`, and what the store raises."""
    from cohort_protocol.proof.evidence import encode_evidence
    from cohort_protocol.proof.proven_round import round_card, round_hints, round_statement
    from cohort_protocol.proof.prover import RoundProof

    return encode_evidence(
        admissions_of(bundle),
        round_statement(bundle, project.verifier),
        RoundProof.from_bytes(proof),
        round_card(bundle, parts.store),
        round_hints(bundle),
        receipts,
    )


def _keep(
    parts: WorkerParts, key: RoundKey, bundle_cid: str, content: bytes, seconds: float, checked: _Checked
) -> None:
    """Records the proof, unless a reorg changed the outcome meanwhile."""
    with parts.database.write() as session:
        current = rounds.get(session, *key)
        proposal = current_proposal(session, current) if current is not None else None
        if proposal is None or proposal.bundle_cid != bundle_cid:
            log.warning("outcome_changed_meanwhile", project=key.project, round=key.round)
        else:
            proofs.save_proof(
                session,
                *key,
                bundle_cid,
                READY,
                content=content,
                seconds=seconds,
                evidence_bytes=checked.evidence_bytes,
                verify_gas=checked.gas,
                ready_at=chain_now(session),
                error="",
            )
        enqueue_advance(session, key.project)
