"""Settles a round: the proposed outcome, with the signatures of a quorum of witnesses as evidence, or with its proof.

A proof comes with a quorum's receipts for the next model if they are here; else that model waits for its own.
Anybody's signatures do for anybody who may settle: a round that another aggregator has left behind is settled by the
same transaction, which the contract allows from tS on.
"""

from __future__ import annotations

from collections.abc import Sequence

from cohort_backend.projects import repository as projects
from cohort_backend.projects.models import Project
from cohort_backend.proofs import repository as proofs
from cohort_backend.proofs.models import RoundProof
from cohort_backend.rounds import repository as rounds
from cohort_backend.settlements import repository as settlements
from cohort_backend.settlements.models import ProposalSignature
from cohort_protocol.bundle import RoundBundle
from cohort_protocol.bundle_file import MAX_BUNDLE_BYTES
from cohort_protocol.chain.types import NextModel
from cohort_protocol.commitments import encode_evidence, encode_outcomes
from cohort_protocol.identifiers import RoundKey
from cohort_protocol.ipfs.cid import Cid

from cohort_worker.parts import WorkerParts
from cohort_worker.proving.prove import proven_evidence
from cohort_worker.rounds.sending import send
from cohort_worker.rounds.situation import current_proposal


def evidence_of(witnesses: Sequence[str], quorum: int, signatures: Sequence[ProposalSignature]) -> bytes | None:
    """abi.encode((uint8 witness, bytes32 r, bytes32 vs)[]) of the first `quorum` signatures by witness index; None if
    there are fewer. witnesses: the project's list, whose order gives the indices."""
    indexed = sorted((witnesses.index(one.witness), one.signature) for one in signatures if one.witness in witnesses)
    return encode_evidence(indexed[:quorum]) if len(indexed) >= quorum else None


def settle(parts: WorkerParts, project_id: int, round_number: int) -> None:
    """Sends the settlement, if the proposal still speaks of the rows on chain and enough witnesses have signed it.

    Raises as `TransactionSender.execute`.
    """
    key = RoundKey(project_id, round_number)
    with parts.database.read() as session:
        project, current = projects.get(session, project_id), rounds.get(session, project_id, round_number)
        proposal = current_proposal(session, current) if current is not None else None
        if project is None or proposal is None:
            return
        signatures = settlements.signatures(session, project_id, round_number, proposal.bundle_cid)
        proof = proofs.proof(session, *key, proposal.bundle_cid)
        session.expunge_all()
        admissions = rounds.admissions(session, project_id, round_number)
    if proof is None:
        evidence = evidence_of(project.witnesses, project.quorum, signatures)
    else:
        evidence = _with_proof(parts, project, proof, signatures)
    if evidence is None:
        return
    request = parts.market.settle(
        project_id,
        round_number,
        admissions,
        encode_outcomes(proposal.outcome_pairs()),
        NextModel(proposal.next_model, bytes(Cid.parse(proposal.next_model_cid))),
        bytes(Cid.parse(proposal.bundle_cid)),
        evidence,
    )
    rows = sum(map(len, admissions))
    send(parts, key, "settle", request, proposal.bundle_cid[-16:], rows=rows, bundle=proposal.bundle_cid)


def _with_proof(
    parts: WorkerParts, project: Project, proof: RoundProof, signatures: Sequence[ProposalSignature]
) -> bytes | None:
    """The proof, with the receipts of the first `quorum` witnesses by index if there are so many; None if it is not
    ready. Raises what the store raises."""
    if proof.content is None:
        return None
    receipts = sorted(
        (project.witnesses.index(one.witness), one.signature) for one in signatures if one.witness in project.witnesses
    )
    enough = receipts[: project.quorum] if len(receipts) >= project.quorum else []
    bundle = RoundBundle.from_bytes(parts.store.get(Cid.parse(proof.bundle_cid), MAX_BUNDLE_BYTES))
    return proven_evidence(parts, project, bundle, proof.content, enough)
