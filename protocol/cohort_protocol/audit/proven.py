"""Checks of rounds that prove themselves. What they need stands in the calldata of the settlement: no file, no witness.

The proof says that a Gram matrix belongs to the committed updates and public rows, and that the step is their weighted
sum. The policy, run here on that matrix, gives scores and weights; the models' commitments are added up.
"""

from __future__ import annotations

from itertools import groupby, pairwise

from cohort_protocol.audit.cases import RoundCase
from cohort_protocol.audit.findings import Check, NotTold, Result, agreed, false
from cohort_protocol.chain.events import ModelPending
from cohort_protocol.chain.proven import ProvenVerifier
from cohort_protocol.chain.types import Outcome
from cohort_protocol.commitments import ZERO32, admitted_hash, model_bytes_message, outcomes_hash, signed_by
from cohort_protocol.errors import InvalidInput, SignatureInvalid
from cohort_protocol.identifiers import to_hex
from cohort_protocol.proof.curve import add, compress, decompress, negate
from cohort_protocol.proof.evidence import ProvenEvidence, decode_evidence
from cohort_protocol.proof.proven_round import public_layout, round_statement
from cohort_protocol.proof.statement import RoundStatement, parse_gram
from cohort_protocol.proof.verifier import verify
from cohort_protocol.scoring import PolicyOutcome, PublicRows


def _evidence(case: RoundCase) -> ProvenEvidence:
    """From the calldata of the settlement. Raises `CallHidden`, `EvidenceMalformed` and what is malformed in it."""
    opened, project = case.record.opened, case.project
    if opened is None:
        raise NotTold(f"no event opened round {case.number}")
    call = project.calls.named(case.settled.at.transaction_hash, "settle", project.number, case.number)[0]
    return decode_evidence(call.arguments["evidence"], opened.model, case.record.public_rows != ZERO32)


def _layout(evidence: ProvenEvidence) -> PublicRows:
    return evidence.card.layout if evidence.card is not None else PublicRows()


def _gram(evidence: ProvenEvidence) -> tuple[tuple[int, ...], ...]:
    layout = _layout(evidence)
    return parse_gram(evidence.gram, len(evidence.commitments) - layout.count, layout.count)


def _judged(case: RoundCase, evidence: ProvenEvidence) -> PolicyOutcome:
    layout = _layout(evidence)
    return case.project.policy().evaluate(_gram(evidence), len(evidence.commitments) - layout.count, layout)


def statement_of_evidence(case: RoundCase, evidence: ProvenEvidence) -> RoundStatement:
    """What the proof has to say of the round: rows, hashes and models from the events, Gram matrix and points from the
    evidence, weights from the policy."""
    project, settled, opened = case.project, case.settled, case.record.opened
    if opened is None:
        raise NotTold(f"no event opened round {case.number}")
    return RoundStatement(
        chain_id=project.identity.chain_id,
        verifier=project.terms.verifier,
        market=project.identity.market,
        project=project.number,
        round=case.number,
        dimension=project.terms.dimension,
        layout=_layout(evidence),
        admitted_hash=admitted_hash(case.record.admissions),
        validation=case.record.validation,
        public_rows=case.record.public_rows,
        policy_hash=project.terms.policy_hash,
        outcomes_hash=outcomes_hash([(row.score, row.reason) for row in settled.rows]),
        previous_model=opened.model,
        next_model=settled.next_model.commitment,
        step=evidence.step,
        commitments=evidence.commitments,
        gram=_gram(evidence),
        weights=_judged(case, evidence).weights,
    )


def proof(case: RoundCase) -> Result:
    """The proof of the settlement holds for these rows, this Gram matrix and the weights of the policy."""
    evidence = _evidence(case)
    problems = []
    if admitted_hash(evidence.admissions) != admitted_hash(case.record.admissions):
        problems.append("the evidence speaks of other rows than were admitted")
    posted = evidence.card.digest if evidence.card is not None else ZERO32
    if posted != case.record.public_rows:
        problems.append(f"the evidence has public rows {to_hex(posted)}, posted were others")
    points = [compress(point) for point in evidence.commitments[: len(case.record.rows)]]
    if points != [row.update for row in case.record.rows]:
        problems.append("the evidence has other commitments than the admitted rows")
    if problems:
        return agreed(problems, "")
    case.say(f"round {case.number}: verifying its proof")
    statement = statement_of_evidence(case, evidence)
    tau = ProvenVerifier(case.project.sources.client, case.project.terms.verifier).tau_g2(case.project.head.number)
    verify(statement, evidence.proof, tau)
    text = (
        f"the proof holds: {statement.n} updates and {statement.p} public rows have this Gram matrix, and the step is "
        "their weighted sum"
    )
    size = len(evidence.proof.to_bytes())
    return agreed([], text, rows=statement.n, public_rows=statement.p, proof_bytes=size, state=to_hex(statement.head()))


def proven_scores(case: RoundCase) -> Result:
    """The policy on the proven Gram matrix gives the settled scores and reasons. Needs no file but the spec."""
    settled = [Outcome(row.score, row.reason) for row in case.settled.rows]
    expected = [Outcome(row.score, int(row.reason)) for row in _judged(case, _evidence(case)).rows]
    if len(expected) != len(settled):
        return false(f"the evidence has {len(expected)} rows, {len(settled)} were settled")
    problems = [
        f"row {index} has score {ours.score} and reason {ours.reason} by the policy, settled were {theirs.score} and "
        f"{theirs.reason}"
        for index, (ours, theirs) in enumerate(zip(expected, settled, strict=True))
        if ours != theirs
    ]
    return agreed(problems, f"scores of {len(settled)} rows follow from the proven Gram matrix", rows=len(settled))


def model_sum(case: RoundCase) -> Result:
    """C_M' = C_M + C_m: the next model's commitment is that of this one plus the proven step."""
    evidence, found = _evidence(case), case.settled.next_model.commitment
    expected = compress(add(evidence.previous_model, evidence.step))
    if expected != found:
        return false(f"the models add up to {to_hex(expected)}, settled was {to_hex(found)}")
    return agreed([], "the next model's commitment is the one before plus that of the proven step", model=to_hex(found))


def past_steps(case: RoundCase) -> Result:
    """The past steps among the public rows: as many as the policy reads, and each the difference of two models on
    chain. Left out, a replayed step would pass for work; false ones would spoil what is new."""
    project, evidence, opened = case.project, _evidence(case), case.record.opened
    before = [one.next_model.commitment for one in project.record.settled_before(case.number)]
    line = [model for model, _ in groupby([project.terms.initial_model, *before])]
    if opened is None or line[-1] != opened.model:
        raise NotTold("the rounds before do not lead to the model that this one started from: see 'model-line'")
    steps = [add(decompress(after), negate(decompress(model))) for model, after in pairwise(line)][::-1]
    expected = steps[: project.policy().needs.past_steps]
    layout = _layout(evidence)
    if layout.past_steps != len(expected):
        return false(f"the proof reads {layout.past_steps} past steps, the project has made {len(expected)} to be read")
    start = len(case.record.rows)
    found = evidence.commitments[start : start + len(expected)]
    problems = [
        f"past step {index} is not the difference of the models of two rounds"
        for index, (ours, theirs) in enumerate(zip(expected, found, strict=True))
        if ours != theirs
    ]
    return agreed(problems, f"{len(expected)} past steps are differences of the models on chain", steps=len(expected))


def bundle_proven(case: RoundCase) -> Result:
    """The bundle's Gram matrix, points and weights are those that were proven."""
    evidence, document = _evidence(case), case.bundle.get()
    try:
        said = round_statement(document, case.project.terms.verifier)
    except InvalidInput as error:
        return false(f"the bundle says nothing that could be proven: {error}")
    proven = statement_of_evidence(case, evidence)
    problems = [
        f"{name} of the bundle is not what was proven"
        for name in ("layout", "commitments", "gram", "weights", "step", "dimension")
        if getattr(said, name) != getattr(proven, name)
    ]
    layout = public_layout(document)
    return agreed(
        problems, f"Gram matrix, points and weights of the bundle are those proven ({layout.count} public rows)"
    )


def model_bytes(case: RoundCase) -> Result:
    """Witnesses' word on the next model's bytes: of a quorum in the evidence, or the model waits for receipts."""
    project, settled, evidence = case.project, case.settled, _evidence(case)
    message = model_bytes_message(
        project.identity,
        project.number,
        case.number,
        settled.next_model.commitment,
        settled.next_model.cid,
        settled.bundle_cid,
    )
    problems = []
    for witness, signature in evidence.receipts:
        try:
            signed_by(message, signature, project.terms.witnesses[witness : witness + 1])
        except SignatureInvalid as error:
            problems.append(f"the word of witness {witness} on the model's bytes: {error}")
    signers, quorum = len({witness for witness, _ in evidence.receipts}), project.terms.quorum
    pending = case.record.one(ModelPending)
    if 0 < signers < quorum:
        problems.append(f"{signers} witnesses signed for the model's bytes, {quorum} are needed")
    if (signers == 0) != (pending is not None):
        problems.append(f"{signers} witnesses signed, and the model {'waits' if pending else 'does not wait'}")
    words = "the model had to wait for receipts" if pending is not None else f"{signers} witnesses signed for its bytes"
    return agreed(problems, words, signatures=signers, quorum=quorum)


CHECKS: tuple[Check[RoundCase], ...] = (
    Check("proof", "the proof in the settlement's calldata against rows, Gram matrix and weights", proof),
    Check("proven-scores", "settled scores against the policy on the proven Gram matrix", proven_scores),
    Check("past-steps", "past steps among the proven rows against the models on chain", past_steps),
    Check("model-sum", "the next model's commitment against the one before plus the proven step", model_sum),
    Check("model-bytes", "witnesses' signatures under the next model's bytes", model_bytes),
    Check("bundle-proven", "the bundle's Gram matrix, points and weights against the proven ones", bundle_proven),
)
