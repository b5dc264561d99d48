"""A witness's word on the outcome of a round: computed again from chain and IPFS, then signed or refused in words.

Nothing of the proposal is used but to compare: rows and models come from the chain's events, the spec by the digest on
chain, the bytes from IPFS. Before it signs, the witness also fetches the bundle and the next model under the CIDs that
the settlement will name, so that its signature says that they can be had.
"""

from __future__ import annotations

import structlog
from cohort_protocol.bundle import (
    MAX_BUNDLE_BYTES,
    BundleMalformed,
    Recomputed,
    RoundBundle,
    RoundInputs,
    compare,
    recompute,
    round_inputs,
)
from cohort_protocol.canonical import canonical_json
from cohort_protocol.chain.types import ProjectTerms
from cohort_protocol.commitments import MarketId, SettlementStatement, sign
from cohort_protocol.equivocation import settlement_word
from cohort_protocol.errors import InvalidInput
from cohort_protocol.identifiers import RoundKey, parse_bytes32, to_hex
from cohort_protocol.ipfs.cid import RAW, Cid
from cohort_protocol.ipfs.errors import ContentMalformed, ContentNotFound, ContentTooLarge
from cohort_protocol.ipfs.store import IpfsStore
from cohort_protocol.proof.scheme import KECCAK, CommitmentScheme
from cohort_protocol.service.messages import SettlementProposal, SettlementRefusal, SettlementSignature
from cohort_protocol.spec import MAX_SPEC_BYTES, ProjectSpec, Settlement
from cohort_protocol.stored_rows import read_model
from eth_account.messages import encode_defunct
from eth_account.signers.local import LocalAccount

from cohort_worker.witness.history import HistoryBehind as HistoryBehind
from cohort_worker.witness.history import ProjectHistory, RoundHistory

log = structlog.get_logger(__name__)

MAX_DETAIL = 500


class OutcomeRefused(InvalidInput):
    """The proposed outcome is not the one that follows from chain and IPFS. The message says where they part."""

    code = "outcome-refused"


def fetch_spec(store: IpfsStore, terms: ProjectTerms, settlement: Settlement = "attested") -> tuple[ProjectSpec, Cid]:
    """The project's spec by the digest on chain. settlement: what the terms' verifier checks. Raises `OutcomeRefused`
    if spec and terms contradict each other, and what the store raises."""
    cid = Cid(RAW, terms.spec_digest)
    spec = ProjectSpec.from_bytes(store.get(cid, MAX_SPEC_BYTES))
    for what, in_spec, on_chain in (
        ("dimension", spec.model.dimension, terms.dimension),
        ("initial model", spec.model.initial_commitment, to_hex(terms.initial_model)),
        ("settlement", spec.settlement, settlement),
    ):
        if in_spec != on_chain:
            raise OutcomeRefused(f"the spec's {what} is {in_spec}, the terms on chain say {on_chain}")
    return spec, cid


def gather_inputs(
    market: MarketId,
    project: int,
    terms: ProjectTerms,
    spec: tuple[ProjectSpec, Cid],
    history: ProjectHistory,
    current: RoundHistory,
) -> RoundInputs:
    """The round's inputs from what the chain says. Raises `HistoryBehind` if the models read do not lead to the one
    that the round started from."""
    inputs = round_inputs(
        chain_id=market.chain_id,
        market=market.market,
        project=project,
        round=current.number,
        spec=spec[0],
        spec_cid=spec[1],
        policy_hash=terms.policy_hash,
        settled=history.settled_before(current.number),
        admissions=history.admissions_of(current),
        validation=current.validation,
        public_rows=current.public_rows,
        facts=history.facts_before(current.number),
    )
    if inputs.models[-1].commitment != current.model:
        raise HistoryBehind(
            f"round {project}/{current.number} starts from {to_hex(current.model)}, the last model read is "
            f"{to_hex(inputs.models[-1].commitment)}"
        )
    return inputs


def check_proposal(
    proposal: SettlementProposal, inputs: RoundInputs, store: IpfsStore, scheme: CommitmentScheme = KECCAK
) -> SettlementStatement:
    """Computes the outcome and compares. Returns what to sign. scheme: the project's.

    Raises `OutcomeRefused` with the first difference in words; `ContentNotFound` or an `Unavailable` if that cannot be
    told now.
    """
    try:
        done = recompute(inputs, store, scheme=scheme)
    except InvalidInput as error:
        raise OutcomeRefused(f"no outcome follows from the admitted updates: {error}") from error
    if proposal.bundle_cid != str(done.bundle_cid):
        raise OutcomeRefused(_first_difference(proposal, done, store))
    if words := _differing_claim(proposal, done):
        raise OutcomeRefused(words)
    for what, cid, expected in (
        ("bundle", done.bundle_cid, done.bundle_bytes),
        ("next model", done.model_cid, done.model_bytes),
    ):
        if store.get(cid, len(expected)) != expected:
            raise OutcomeRefused(f"the {what} under {cid} has other bytes than were computed")
    # What the next round starts from: opened here, and known to be right when that round is computed.
    read_model(store, done.model_cid, parse_bytes32(done.bundle.next_model.commitment), inputs.dimension, scheme)
    return done.statement()


def _first_difference(proposal: SettlementProposal, done: Recomputed, store: IpfsStore) -> str:
    """Where the proposed bundle parts from ours, in words."""
    try:
        found = RoundBundle.from_bytes(store.get(Cid.parse(proposal.bundle_cid), MAX_BUNDLE_BYTES))
    except (BundleMalformed, ContentTooLarge, ContentMalformed) as error:
        return f"the proposed bundle {proposal.bundle_cid}: {error}"
    except ContentNotFound:
        # Whoever proposes publishes first. What can be told without the bundle is told; else it is asked for again.
        if words := _differing_claim(proposal, done):
            return words
        raise
    words = compare(done.bundle, found)
    return words or f"the bundle has the CID {done.bundle_cid}, proposed was {proposal.bundle_cid}"


def _differing_claim(proposal: SettlementProposal, done: Recomputed) -> str | None:
    """The first statement of the proposal itself that differs from what was computed."""
    statement, bundle = done.statement(), done.bundle
    claims = (
        ("admitted hash", to_hex(statement.admitted_hash), proposal.admitted_hash),
        ("validation batch", to_hex(statement.validation), proposal.validation),
        ("public rows", to_hex(statement.public_rows), proposal.public_rows),
        ("policy hash", to_hex(statement.policy_hash), proposal.policy_hash),
        ("previous model", to_hex(statement.previous_model), proposal.previous_model),
        ("outcomes", [(o.score, o.reason) for o in bundle.outcomes], [tuple(o) for o in proposal.outcomes]),
        ("next model", bundle.next_model.commitment, proposal.next_model.commitment),
        ("next model's CID", bundle.next_model.cid, proposal.next_model.cid),
    )
    for what, expected, found in claims:
        if expected != found:
            return f"{what} should be {expected}, proposed is {found}"
    return None


def make_signature(
    account: LocalAccount,
    market: MarketId,
    statement: SettlementStatement,
    bundle_cid: str,
    settlement: Settlement = "attested",
) -> SettlementSignature:
    """The witness agrees. Record the statement before this leaves the process (`memory.py`)."""
    signature = sign(settlement_word(market, statement, settlement), account)
    return SettlementSignature(witness=account.address, bundle_cid=bundle_cid, signature=to_hex(signature))


def make_refusal(account: LocalAccount, key: RoundKey, bundle_cid: str, detail: str) -> SettlementRefusal:
    """The witness does not agree, on record: EIP-191 over the canonical JSON of the refusal without the signature."""
    log.warning("outcome_refused", project=key.project, round=key.round, bundle=bundle_cid, detail=detail)
    unsigned = {"witness": account.address, "bundle_cid": bundle_cid, "detail": detail[:MAX_DETAIL]}
    signature = account.sign_message(encode_defunct(canonical_json(unsigned))).signature
    return SettlementRefusal(**unsigned, signature=to_hex(signature))
