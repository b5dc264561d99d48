"""Makes the report: what happened from the chain's events, why from the bundles on IPFS.

The service is asked for one thing only, which is nowhere else: the words in which witnesses refused an update.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from cohort_protocol.bundle import MAX_BUNDLE_BYTES, RoundBundle
from cohort_protocol.chain.client import ChainClient
from cohort_protocol.chain.events import (
    Claimed,
    CommitsPosted,
    CommittedSelf,
    DeadlinesMoved,
    MarketEvent,
    MarketLogs,
    MemberJoined,
    RevealRefused,
    RevealSkipped,
    RoundDefaulted,
    RoundOpened,
    RoundSettled,
    RoundVoided,
    RowPaid,
    StandingChanged,
    UpdateAdmitted,
)
from cohort_protocol.chain.market import Market
from cohort_protocol.identifiers import to_hex
from cohort_protocol.ipfs.cid import Cid
from cohort_protocol.ipfs.store import IpfsStore
from cohort_protocol.update import model_size, update_size

from cohort_devnet.demo.report import Flag, Gas, Round, Submission, TrainerSummary, TrainerVerdict

STEPS: tuple[tuple[type[MarketEvent], str], ...] = (
    (RoundOpened, "open"),
    (CommitsPosted, "commit"),
    (CommittedSelf, "commit-self"),
    (UpdateAdmitted, "reveal"),
    (RevealRefused, "reveal"),
    (RevealSkipped, "reveal"),
    (RoundSettled, "settle"),
    (RoundVoided, "close"),
    (RoundDefaulted, "close"),
    (DeadlinesMoved, "advance"),
)
"""What a transaction is called, by the first of these events that it emitted."""

Kind = TypeVar("Kind", bound=MarketEvent)

Refusals = Mapping[int, Mapping[str, tuple[str, str]]]
"""Round -> trainer -> (code, words) of an update that witnesses refused."""


@dataclass
class RoundEvents:
    """The events of one round, sorted out."""

    number: int
    events: list[MarketEvent] = field(default_factory=list)

    def of(self, kind: type[Kind]) -> list[Kind]:
        return [event for event in self.events if isinstance(event, kind)]

    def commitments(self) -> dict[str, bytes]:
        """Trainer -> what it committed to; one's own posting replaces the leaf of the batch."""
        found = {leaf.trainer: leaf.commitment for event in self.of(CommitsPosted) for leaf in event.leaves}
        return found | {event.trainer: event.commitment for event in self.of(CommittedSelf)}


@dataclass(frozen=True)
class History:
    """A project's events by round, and the names of its trainers."""

    project: int
    dimension: int
    initial_model_cid: str
    rounds: list[RoundEvents]
    joined: list[str]
    """Addresses of all trainers who ever joined, in order."""
    claims: dict[str, list[Claimed]]

    @classmethod
    def read(cls, market: Market, project: int, initial_model_cid: str) -> History:
        """All events of a project up to the newest block."""
        client = market.client
        rounds: dict[int, RoundEvents] = {}
        joined: list[str] = []
        claims: dict[str, list[Claimed]] = defaultdict(list)
        for event in MarketLogs(client, market.address).fetch(0, client.block_number()):
            if getattr(event, "project", None) != project:
                continue
            if isinstance(event, Claimed):
                claims[event.trainer].append(event)
            elif isinstance(event, MemberJoined):
                joined.append(event.trainer)
            elif (number := getattr(event, "round", None)) is not None:
                rounds.setdefault(number, RoundEvents(number)).events.append(event)
        dimension = market.terms_of(project).dimension
        ordered = [rounds[number] for number in sorted(rounds)]
        return cls(project, dimension, initial_model_cid, ordered, joined, dict(claims))

    def closed(self) -> list[RoundEvents]:
        """Rounds that are over, in order."""
        ends = (RoundSettled, RoundVoided, RoundDefaulted)
        return [entry for entry in self.rounds if any(isinstance(event, ends) for event in entry.events)]

    def model_cids(self) -> dict[int, str]:
        """Round -> CID of the model that it left behind; a round that nobody settled leaves the one before."""
        current, found = self.initial_model_cid, {}
        for entry in self.closed():
            for event in entry.of(RoundSettled):
                current = str(Cid.from_bytes(event.model_cid))
            found[entry.number] = current
        return found


def collect_rounds(
    history: History,
    client: ChainClient,
    store: IpfsStore,
    accuracy: Mapping[int, float],
    seconds: Mapping[int, dict[str, float]],
    refusals: Refusals,
) -> list[Round]:
    """The report's rounds. `accuracy` and `seconds` by round number."""
    reliability = dict.fromkeys(history.joined, 0)
    cids = history.model_cids()
    found = []
    for entry in history.closed():
        reliability |= {event.trainer: event.reliability for event in entry.of(StandingChanged)}
        settled = entry.of(RoundSettled)
        bundle_cid = Cid.from_bytes(settled[0].bundle_cid) if settled else None
        data = store.get(bundle_cid, MAX_BUNDLE_BYTES) if bundle_cid is not None else b""
        bundle = RoundBundle.from_bytes(data) if bundle_cid is not None else None
        admitted = entry.of(UpdateAdmitted)
        paid = entry.of(RowPaid)
        commitments = entry.commitments()
        found.append(
            Round(
                number=entry.number,
                accuracy=accuracy[entry.number],
                model_cid=cids[entry.number],
                bundle_cid=str(bundle_cid) if bundle_cid is not None else None,
                outcome=_outcome(entry),
                accepted=[row.trainer for row in paid if row.reason == 0],
                flagged=_flagged(entry, bundle, history.joined, refusals.get(entry.number, {})),
                scores={row.trainer: row.score for row in paid},
                payouts={trainer: 0 for trainer in history.joined} | {row.trainer: row.pay for row in paid},
                verdicts=_verdicts(bundle),
                submissions=[
                    Submission(
                        trainer=event.trainer,
                        commitment=to_hex(commitments[event.trainer]) if event.trainer in commitments else None,
                        update=to_hex(event.update),
                        cid=str(Cid.from_bytes(event.cid)),
                    )
                    for event in admitted
                ],
                reliability_bps=dict(reliability),
                gas=_gas(entry, client),
                seconds=dict(seconds.get(entry.number, {})),
                bytes={
                    "update": update_size(history.dimension),
                    "updates": update_size(history.dimension) * len(admitted),
                    "model": model_size(history.dimension),
                    "bundle": len(data),
                },
            )
        )
    return found


def _outcome(entry: RoundEvents) -> str:
    if entry.of(RoundSettled):
        return "settled"
    return "void" if entry.of(RoundVoided) else "defaulted"


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
    entry: RoundEvents, bundle: RoundBundle | None, joined: Sequence[str], refusals: Mapping[str, tuple[str, str]]
) -> list[Flag]:
    """Everybody whose update did not count, with the reason: policy, witnesses, contract, or nothing sent."""
    flags = [
        Flag(trainer=verdict.trainer, reason=verdict.reason, detail=verdict.sentence)
        for verdict in (bundle.verdicts if bundle is not None else [])
        if not verdict.accepted
    ]
    admitted = {event.trainer for event in entry.of(UpdateAdmitted)}
    refused = {event.trainer for event in entry.of(RevealRefused)}
    skipped = {event.trainer: event.reason.name.lower().replace("_", "-") for event in entry.of(RevealSkipped)}
    committed = entry.commitments()
    for trainer in joined:
        if trainer in admitted:
            continue
        code, words = refusals.get(trainer, ("", ""))
        if trainer in refused:
            flags.append(
                Flag(trainer=trainer, reason=code or "refused", detail=words or "refused by a quorum of witnesses")
            )
        elif trainer in committed:
            why = skipped.get(trainer, "")
            detail = words or (f"the contract passed its reveal over: {why}" if why else "committed and did not reveal")
            flags.append(Flag(trainer=trainer, reason=code or why or "no-reveal", detail=detail))
        else:
            detail = words or "no valid commitment of it was posted in time"
            flags.append(Flag(trainer=trainer, reason=code or "no-commit", detail=detail))
    return flags


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
    earned: dict[str, int] = defaultdict(int)
    for entry in history.closed():
        for row in entry.of(RowPaid):
            earned[row.trainer] += row.pay
    summaries = []
    for address, (name, role, examples) in names.items():
        claims = history.claims.get(address, [])
        standing = market.standing_of(address)
        receipt = market.client.receipt(claims[-1].at.transaction_hash) if claims else None
        summaries.append(
            TrainerSummary(
                name=name,
                address=address,
                role=role,
                examples=examples,
                earned=earned[address],
                claimed=sum(claim.amount for claim in claims),
                claim_tx=to_hex(claims[-1].at.transaction_hash) if claims else None,
                claim_gas=receipt.gas_used if receipt is not None else None,
                stake=market.member_of(history.project, address).stake,
                reliability_bps=standing.reliability,
                usefulness_bps=standing.usefulness,
            )
        )
    return summaries
