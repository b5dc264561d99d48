"""Makes the report: what happened from the chain's events, why from the bundles on IPFS.

The service is asked only for what is nowhere else: the words in which witnesses refused an update, and how long proving
took.
"""

from __future__ import annotations

from collections.abc import Mapping

from cohort_protocol.bundle import FALLBACK_WORDS, MAX_BUNDLE_BYTES, RoundBundle
from cohort_protocol.chain.client import ChainClient
from cohort_protocol.chain.events import (
    CommitsPosted,
    CommittedSelf,
    LeafSkipped,
    MarketEvent,
    PublicRowsPosted,
    RevealSkipped,
    RoundDefaulted,
    RoundOpened,
    RoundSettled,
    RoundVoided,
    StakeSlashed,
    UpdateRefused,
    UpdateRescued,
    UpdatesAdmitted,
    ValidationRevealed,
)
from cohort_protocol.chain.market import Market
from cohort_protocol.chain.types import LeafSkip, SkipReason
from cohort_protocol.identifiers import to_hex
from cohort_protocol.ipfs.cid import Cid
from cohort_protocol.ipfs.store import IpfsStore
from cohort_protocol.service.messages import ProofView
from cohort_protocol.update import model_size, update_size

from cohort_devnet.demo.history import History, RoundEvents, Standings
from cohort_devnet.demo.report import Flag, Gas, Proof, Round, Submission, TrainerSummary, TrainerVerdict

STEPS: tuple[tuple[type[MarketEvent], str], ...] = (
    (RoundOpened, "open"),
    (CommitsPosted, "commit"),
    (CommittedSelf, "commit-self"),
    (UpdatesAdmitted, "reveal"),
    (UpdateRefused, "reveal"),
    (UpdateRescued, "rescue"),
    (RevealSkipped, "reveal"),
    (ValidationRevealed, "validation"),
    (PublicRowsPosted, "public-rows"),
    (RoundSettled, "settle"),
    (RoundVoided, "close"),
    (RoundDefaulted, "close"),
    (StakeSlashed, "slash"),
)
"""What a transaction is called, by the first of these events that it emitted."""

SKIPPED_LEAVES = {
    LeafSkip.NOT_ELIGIBLE: "its trainer may not commit in this round",
    LeafSkip.ALREADY_COMMITTED: "its trainer had posted another one",
    LeafSkip.NO_COMMITMENT: "it is empty",
    LeafSkip.NOT_SIGNED: "neither the trainer nor its delegate signed it",
    LeafSkip.NO_SLOT: "every slot was taken",
}

SKIPPED_REVEALS = {
    SkipReason.ALREADY_RESOLVED: "it had been opened before",
    SkipReason.NOT_COMMITTED: "nothing was committed to",
    SkipReason.WRONG_OPENING: "it does not open the commitment",
    SkipReason.NO_QUORUM: "no quorum of witnesses signed for it or against it",
    SkipReason.BAD_CID: "its CID is of no kind that holds an update",
}

Proofs = Mapping[int, ProofView]
"""Round -> what the service says of its proof; nothing in an attested project."""

Refusals = Mapping[int, Mapping[str, tuple[str, str]]]
"""Round -> trainer -> (code, words) of an update that witnesses refused."""


def collect_rounds(
    history: History,
    client: ChainClient,
    store: IpfsStore,
    accuracy: Mapping[int, float],
    seconds: Mapping[int, dict[str, float]],
    refusals: Refusals,
    proofs: Proofs,
) -> list[Round]:
    """The report's rounds. `accuracy` and `seconds` by round number."""
    cids, standings = history.model_cids(), Standings(history)
    found = []
    for entry in history.closed():
        settled = entry.of(RoundSettled)
        bundle_cid = Cid.from_bytes(settled[0].bundle_cid) if settled else None
        data = store.get(bundle_cid, MAX_BUNDLE_BYTES) if bundle_cid is not None else b""
        bundle = RoundBundle.from_bytes(data) if bundle_cid is not None else None
        rows = {history.trainers[row.member]: row for row in entry.outcomes()}
        submissions = _submissions(history, entry)
        found.append(
            Round(
                number=entry.number,
                accuracy=accuracy[entry.number],
                model_cid=cids[entry.number],
                bundle_cid=str(bundle_cid) if bundle_cid is not None else None,
                outcome=_outcome(entry),
                accepted=[trainer for trainer, row in rows.items() if row.reason == 0],
                flagged=_flagged(history, entry, bundle, refusals.get(entry.number, {})),
                scores={trainer: row.score for trainer, row in rows.items()},
                payouts=dict.fromkeys(history.joined, 0) | {trainer: row.pay for trainer, row in rows.items()},
                judged_by=_judged_by(bundle),
                verdicts=_verdicts(bundle),
                proof=_proof(bundle, proofs.get(entry.number)),
                submissions=submissions,
                reliability_bps=standings.after(entry),
                gas=_gas(entry, client),
                seconds=dict(seconds.get(entry.number, {})),
                bytes={
                    "update": update_size(history.dimension),
                    "updates": update_size(history.dimension) * len(submissions),
                    "model": model_size(history.dimension),
                    "bundle": len(data),
                },
            )
        )
    return found


def _submissions(history: History, entry: RoundEvents) -> list[Submission]:
    commitments = entry.commitments()
    return [
        Submission(
            trainer=history.trainers[row.member],
            commitment=to_hex(commitments[row.member]) if row.member in commitments else None,
            update=to_hex(row.update),
            cid=str(Cid.from_bytes(row.cid)),
        )
        for row in entry.admitted()
    ]


def _outcome(entry: RoundEvents) -> str:
    if entry.of(RoundSettled):
        return "settled"
    return "void" if entry.of(RoundVoided) else "defaulted"


def _judged_by(bundle: RoundBundle | None) -> str:
    """What the scores of a round rest on, in words."""
    if bundle is None:
        return ""
    if bundle.evidence.layout is not None:
        return "validation batch"
    words = FALLBACK_WORDS[bundle.evidence.fallback]
    return f"agreement alone: {words}" if words else f"policy {bundle.policy.name}"


def _proof(bundle: RoundBundle | None, view: ProofView | None) -> Proof | None:
    if bundle is None:
        return None
    if bundle.settlement == "attested":
        return Proof(mode="attested")
    if view is None:
        return Proof(mode="proven")
    return Proof(
        mode="proven",
        prove_seconds=view.prove_seconds,
        verify_gas=view.verify_gas,
        bytes=view.bytes,
        evidence_bytes=view.evidence_bytes,
        receipts=len(view.receipts),
    )


def _verdicts(bundle: RoundBundle | None) -> list[TrainerVerdict]:
    if bundle is None:
        return []
    return [
        TrainerVerdict(
            trainer=verdict.trainer,
            accepted=verdict.accepted,
            reason=verdict.reason,
            share=verdict.share,
            sentence=verdict.sentence,
        )
        for verdict in bundle.verdicts
    ]


def _flagged(
    history: History, entry: RoundEvents, bundle: RoundBundle | None, refusals: Mapping[str, tuple[str, str]]
) -> list[Flag]:
    """Everybody whose update did not count, with the reason: policy, witnesses, contract, or nothing sent."""
    flags = [
        Flag(trainer=verdict.trainer, reason=verdict.reason, detail=verdict.sentence)
        for verdict in (bundle.verdicts if bundle is not None else [])
        if not verdict.accepted
    ]
    admitted = {row.member for row in entry.admitted()}
    numbers = {trainer: number for number, trainer in history.trainers.items()}
    for trainer in history.joined:
        if numbers[trainer] not in admitted:
            reason, detail = _absence(entry, numbers[trainer])
            code, words = refusals.get(trainer, ("", ""))
            flags.append(Flag(trainer=trainer, reason=code or reason, detail=_joined(words, detail, entry, trainer)))
    return flags


def _joined(words: str, detail: str, entry: RoundEvents, trainer: str) -> str:
    """The witnesses' words, and what it cost."""
    lost = any(event.trainer == trainer and event.reward + event.burned for event in entry.of(StakeSlashed))
    return (words or detail) + ("; its stake was taken" if lost else "")


def _absence(entry: RoundEvents, member: int) -> tuple[str, str]:
    """Why a member has no row: one word, and a sentence."""
    if any(event.member == member for event in entry.of(UpdateRefused)):
        return "refused", "refused by a quorum of witnesses"
    if any(event.member == member for event in entry.of(UpdateRescued)):
        return "late-reveal", "opened its commitment too late for pay, in time for its stake"
    if member in entry.commitments():
        skipped = [event.reason for event in entry.of(RevealSkipped) if event.member == member]
        if skipped:
            return "no-reveal", f"the contract passed its opening over: {SKIPPED_REVEALS[skipped[-1]]}"
        return "no-reveal", "committed and did not reveal"
    for event in entry.of(LeafSkipped):
        if event.member == member:
            return "no-commit", f"the contract passed its commitment over: {SKIPPED_LEAVES[event.reason]}"
    return "no-commit", "no valid commitment of it was posted in time"


def _gas(entry: RoundEvents, client: ChainClient) -> list[Gas]:
    """One line per transaction of the round, in the order of the chain."""
    transactions: dict[bytes, set[type[MarketEvent]]] = {}
    for event in entry.events:
        transactions.setdefault(event.at.transaction_hash, set()).add(type(event))
    lines = []
    for digest, kinds in transactions.items():
        step = next((name for kind, name in STEPS if kind in kinds), None)
        receipt = client.receipt(digest)
        if step is not None and receipt is not None:
            lines.append(Gas(step=step, tx=to_hex(digest), gas=receipt.gas_used))
    return lines


def collect_trainers(
    history: History, market: Market, names: Mapping[str, tuple[str, str, int]]
) -> list[TrainerSummary]:
    """The report's trainers, in the order of `names`: address -> (name, role, examples)."""
    earned = history.earned()
    stake = market.terms_of(history.project).stake
    summaries = []
    for address, (name, role, examples) in names.items():
        claims = history.claims.get(address, [])
        receipt = market.client.receipt(claims[-1].at.transaction_hash) if claims else None
        member = market.member_of(history.project, address)
        record = market.record_of(history.project, member.number)
        summaries.append(
            TrainerSummary(
                name=name,
                address=address,
                role=role,
                examples=examples,
                earned=earned.get(address, 0),
                claimed=sum(claim.amount for claim in claims),
                claim_tx=to_hex(claims[-1].at.transaction_hash) if claims else None,
                claim_gas=receipt.gas_used if receipt is not None else None,
                member=member.number,
                stake=stake if member.staked else 0,
                reliability_bps=market.reliability_of(address, [history.project]),
                losses=market.losses_of(address),
                credit=record.credit,
                usefulness_bps=record.usefulness,
                rounds=record.rounds,
                rejections=record.rejections,
            )
        )
    return summaries
