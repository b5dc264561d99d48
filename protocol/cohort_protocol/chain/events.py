"""The market's events, one frozen dataclass each, and their decoding from logs.

Names and fields as in `contracts/src/interfaces/` (a test compares them with the compiled ABI); `at` says where the
log stands. A contract cannot emit a malformed event of its own, so `LogMalformed` means a wrong address, a wrong
ABI, or a node that lies.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, is_dataclass
from typing import Any, ClassVar, NamedTuple

from cohort_protocol.chain.client import ChainClient
from cohort_protocol.chain.codec import contract_abi, decode_event
from cohort_protocol.chain.errors import LogMalformed
from cohort_protocol.chain.logs import fetch_logs
from cohort_protocol.chain.packed import (
    AdmittedRow,
    Batch,
    CommitLeaf,
    SettledRow,
    admitted_rows,
    claimed_rounds,
    commit_leaves,
    settled_rows,
)
from cohort_protocol.chain.structs import cid_from_abi, snake_case
from cohort_protocol.chain.transactions import RawLog, TransactionReceipt
from cohort_protocol.chain.types import LeafSkip, NextModel, ProjectTerms, SkipReason
from cohort_protocol.identifiers import parse_address, to_hex


class LogPosition(NamedTuple):
    """Where a log stands. Orders as the chain does: block number first."""

    block_number: int
    log_index: int
    """Within the block."""
    block_hash: bytes
    transaction_hash: bytes


def log_position(log: RawLog) -> LogPosition:
    return LogPosition(log.block_number, log.log_index, log.block_hash, log.transaction_hash)


@dataclass(frozen=True)
class MarketEvent:
    """Base of every event of the market."""

    _convert: ClassVar[dict[str, Callable[[Any], Any]]] = {}

    at: LogPosition

    def payload(self) -> dict[str, Any]:
        """The event's own fields (without `at`) for JSON: whole numbers in decimal text, bytes in hex, lists and
        structs nested; booleans stay."""
        return {field.name: _jsonable(getattr(self, field.name)) for field in fields(self) if field.name != "at"}


def _jsonable(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: _jsonable(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, tuple | list):
        return [_jsonable(item) for item in value]
    if isinstance(value, bytes):
        return to_hex(value)
    if isinstance(value, bool) or not isinstance(value, int):
        return value
    return str(int(value))


# -- projects


@dataclass(frozen=True)
class ProjectCreated(MarketEvent):
    _convert: ClassVar = {"terms": ProjectTerms.from_abi}

    project: int
    owner: str
    token: str
    terms: ProjectTerms
    protocol_fee: int
    """Per settled round, base units."""
    standing_weight: int
    """Part of the full standing gain that this project's fee earns, in 1/65536."""


@dataclass(frozen=True)
class ProjectFunded(MarketEvent):
    project: int
    sender: str
    """`from` in Solidity, which is a keyword here."""
    amount: int


@dataclass(frozen=True)
class AggregatorAdded(MarketEvent):
    project: int
    aggregator: str


@dataclass(frozen=True)
class ProjectEnded(MarketEvent):
    project: int


@dataclass(frozen=True)
class ProjectRefunded(MarketEvent):
    project: int
    owner: str
    amount: int


@dataclass(frozen=True)
class ProtocolFeesCollected(MarketEvent):
    project: int
    recipient: str
    amount: int


# -- members


@dataclass(frozen=True)
class MemberJoined(MarketEvent):
    project: int
    trainer: str
    member: int
    joined_round: int


@dataclass(frozen=True)
class Staked(MarketEvent):
    project: int
    trainer: str
    member: int
    sender: str
    """Who paid; `from` in Solidity."""
    amount: int


@dataclass(frozen=True)
class DelegateChanged(MarketEvent):
    project: int
    trainer: str
    delegate: str


@dataclass(frozen=True)
class MemberLeft(MarketEvent):
    project: int
    trainer: str
    member: int
    unlock_at: int


@dataclass(frozen=True)
class StakeWithdrawn(MarketEvent):
    project: int
    trainer: str
    member: int
    amount: int


# -- bonds


@dataclass(frozen=True)
class BondDeposited(MarketEvent):
    project: int
    aggregator: str
    amount: int


@dataclass(frozen=True)
class BondWithdrawn(MarketEvent):
    project: int
    aggregator: str
    amount: int


@dataclass(frozen=True)
class RoundAccepted(MarketEvent):
    project: int
    round: int
    aggregator: str
    bond: int


@dataclass(frozen=True)
class AcceptanceWithdrawn(MarketEvent):
    project: int
    round: int
    aggregator: str


@dataclass(frozen=True)
class BondReleased(MarketEvent):
    """By a withdrawn acceptance or the end of a void round. `RoundSettled` frees the acceptor's bond too, with the fee,
    if the acceptor itself settled in time: then no `BondSlashed` of the round comes before it."""

    project: int
    round: int
    aggregator: str
    bond: int


@dataclass(frozen=True)
class BondSlashed(MarketEvent):
    project: int
    round: int
    aggregator: str
    to_settler: int
    burned: int


# -- rounds


@dataclass(frozen=True)
class RoundOpened(MarketEvent):
    """All other deadlines follow from these two: `types.deadlines`."""

    project: int
    round: int
    aggregator: str
    model: bytes
    budget: int
    expected: int
    opened_at: int
    commit_end: int
    reveal_end: int


@dataclass(frozen=True)
class CommitsPosted(MarketEvent):
    _convert: ClassVar = {"leaves": commit_leaves}

    project: int
    round: int
    batch_bits: int
    """Bit i: leaf i counts."""
    leaves: tuple[CommitLeaf, ...]

    @property
    def batch(self) -> Batch:
        """With the leaves that counted when it was posted."""
        return Batch(self.leaves, self.batch_bits)


@dataclass(frozen=True)
class LeafSkipped(MarketEvent):
    _convert: ClassVar = {"reason": LeafSkip}

    project: int
    round: int
    member: int
    reason: LeafSkip


@dataclass(frozen=True)
class CommittedSelf(MarketEvent):
    project: int
    round: int
    member: int
    commitment: bytes
    replaced_leaf: int
    """Position of the trainer's leaf in the batch, which no longer counts; 255: none."""


@dataclass(frozen=True)
class DeadlinesMoved(MarketEvent):
    """A deadline moved earlier because everyone has acted."""

    project: int
    round: int
    commit_end: int
    reveal_end: int


@dataclass(frozen=True)
class UpdatesAdmitted(MarketEvent):
    """What one call of `reveal` admitted."""

    project: int
    round: int
    first_row: int
    rows: tuple[AdmittedRow, ...]


@dataclass(frozen=True)
class UpdateRefused(MarketEvent):
    project: int
    round: int
    member: int
    update: bytes


@dataclass(frozen=True)
class RevealSkipped(MarketEvent):
    _convert: ClassVar = {"reason": SkipReason}

    project: int
    round: int
    member: int
    reason: SkipReason


@dataclass(frozen=True)
class UpdateRescued(MarketEvent):
    project: int
    round: int
    member: int
    update: bytes


@dataclass(frozen=True)
class StakeSlashed(MarketEvent):
    project: int
    round: int
    member: int
    trainer: str
    caller: str
    reward: int
    burned: int


@dataclass(frozen=True)
class ValidationRevealed(MarketEvent):
    project: int
    round: int
    digest: bytes


@dataclass(frozen=True)
class PublicRowsPosted(MarketEvent):
    project: int
    round: int
    rows: bytes


# -- settlement


@dataclass(frozen=True)
class RoundSettled(MarketEvent):
    _convert: ClassVar = {"next_model": NextModel.from_abi, "bundle_cid": cid_from_abi, "rows": settled_rows}

    project: int
    round: int
    settler: str
    payout_root: bytes
    """First 27 bytes of the Merkle root."""
    next_model: NextModel
    bundle_cid: bytes
    paid: int
    burned: int
    rows: tuple[SettledRow, ...]


@dataclass(frozen=True)
class RoundVoided(MarketEvent):
    project: int
    round: int
    payout_root: bytes
    share: int
    """Pay of each row."""
    members: tuple[int, ...]
    """In row order."""


@dataclass(frozen=True)
class RoundDefaulted(MarketEvent):
    project: int
    round: int
    payout_root: bytes
    share: int
    """Pay of each row."""
    members: tuple[int, ...]
    """In row order."""


@dataclass(frozen=True)
class ModelPending(MarketEvent):
    project: int
    round: int
    model: bytes
    until: int


@dataclass(frozen=True)
class ModelReceipted(MarketEvent):
    project: int
    model: bytes


@dataclass(frozen=True)
class ModelDropped(MarketEvent):
    project: int
    model: bytes


# -- payouts and standing


@dataclass(frozen=True)
class Claimed(MarketEvent):
    project: int
    member: int
    to: str
    amount: int
    """For all of `rounds`."""
    word: int
    """A claim has one event for each word of 256 rounds."""
    rounds: tuple[int, ...]


@dataclass(frozen=True)
class LossRecorded(MarketEvent):
    trainer: str
    owner: str
    project: int
    round: int
    loss: int
    of_owner: int
    total: int


EVENT_TYPES: dict[str, type[MarketEvent]] = {kind.__name__: kind for kind in MarketEvent.__subclasses__()}
"""Event classes by name."""


_RENAMED = {"from": "sender", "next": "next_model", "bundle": "bundle_cid"}
"""`from` and `next` mean something in Python; `bundle` is a CID."""


def field_name(parameter: str) -> str:
    """The dataclass field of an event's parameter."""
    return _RENAMED.get(parameter, snake_case(parameter))


def decode_log(log: RawLog) -> MarketEvent | None:
    """The event of a log, or None if its first topic is none of the market's events. The caller has checked the
    address. Raises `LogMalformed`."""
    event = contract_abi("CohortMarket").events.get(log.topics[0]) if log.topics else None
    if event is None or event.name not in EVENT_TYPES:
        return None
    kind = EVENT_TYPES[event.name]
    values = {field_name(name): value for name, value in decode_event(event, log.topics, log.data).items()}
    try:
        converted = {
            name: kind._convert[name](value) if name in kind._convert else value for name, value in values.items()
        }
        if kind is UpdatesAdmitted:
            converted["rows"] = admitted_rows(values["first_row"], values["rows"])
        if kind is Claimed:
            converted["rounds"] = claimed_rounds(values["word"], values["rounds"])
    except ValueError as error:
        raise LogMalformed(f"a {event.name} log holds a value that no contract of ours emits: {error}") from error
    return kind(at=log_position(log), **converted)


def decode_receipt(receipt: TransactionReceipt, market: str) -> list[MarketEvent]:
    """The market's events of one transaction, in order."""
    address = parse_address(market)
    decoded = (decode_log(log) for log in receipt.logs if log.address == address)
    return [event for event in decoded if event is not None]


class MarketLogs:
    """Reads the market's events by block range."""

    def __init__(self, client: ChainClient, market: str, max_range: int = 2000):
        self.client = client
        self.market = parse_address(market)
        self.max_range = max_range

    def fetch(self, from_block: int, to_block: int) -> list[MarketEvent]:
        """Events in [from_block, to_block] in the order of the chain; unknown ones are passed over.

        Raises `LogMalformed`, `ChainUnavailable`, `RangeTooLarge`.
        """
        found = fetch_logs(self.client, self.market, from_block, to_block, (), self.max_range)
        decoded = (decode_log(log) for log in found if log.address == self.market)
        return [event for event in decoded if event is not None]
