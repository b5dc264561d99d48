"""The market's events, one frozen dataclass each, and their decoding from logs.

Names and fields as in `contracts/src/interfaces/` (a test compares them with the compiled ABI); `at` says where the
log stands. A contract cannot emit a malformed event of its own, so `LogMalformed` means a wrong address, a wrong
ABI, or a node that lies.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields, is_dataclass
from typing import Any, ClassVar, NamedTuple

from cohort_protocol.chain.client import ChainClient
from cohort_protocol.chain.codec import contract_abi, decode_event
from cohort_protocol.chain.errors import LogMalformed
from cohort_protocol.chain.logs import fetch_logs
from cohort_protocol.chain.transactions import RawLog, TransactionReceipt
from cohort_protocol.chain.types import CommitLeaf, ProjectTerms, SkipReason, snake_case
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


def _commit_leaves(items: Iterable[dict[str, Any]]) -> tuple[CommitLeaf, ...]:
    return tuple(CommitLeaf.from_abi(item) for item in items)


# -- projects


@dataclass(frozen=True)
class ProjectCreated(MarketEvent):
    _convert: ClassVar = {"terms": ProjectTerms.from_abi}

    project: int
    owner: str
    token: str
    terms: ProjectTerms


@dataclass(frozen=True)
class ProjectFunded(MarketEvent):
    project: int
    sender: str
    """`from` in Solidity, which is a keyword here."""
    amount: int


@dataclass(frozen=True)
class ProjectEnded(MarketEvent):
    project: int


@dataclass(frozen=True)
class ProjectRefunded(MarketEvent):
    project: int
    owner: str
    amount: int


# -- members


@dataclass(frozen=True)
class MemberJoined(MarketEvent):
    project: int
    trainer: str
    stake: int
    joined_round: int


@dataclass(frozen=True)
class MemberLeft(MarketEvent):
    project: int
    trainer: str
    left_round: int


@dataclass(frozen=True)
class StakeWithdrawn(MarketEvent):
    project: int
    trainer: str
    amount: int


# -- rounds


@dataclass(frozen=True)
class RoundOpened(MarketEvent):
    project: int
    round: int
    budget: int
    model: bytes
    eligible: int
    commit_end: int
    reveal_start: int
    reveal_end: int
    settle_end: int


@dataclass(frozen=True)
class CommitsPosted(MarketEvent):
    _convert: ClassVar = {"leaves": _commit_leaves}

    project: int
    round: int
    batch_hash: bytes
    leaves: tuple[CommitLeaf, ...]


@dataclass(frozen=True)
class CommittedSelf(MarketEvent):
    project: int
    round: int
    trainer: str
    commitment: bytes


@dataclass(frozen=True)
class DeadlinesMoved(MarketEvent):
    """A deadline moved earlier because everyone has acted."""

    project: int
    round: int
    commit_end: int
    reveal_start: int
    reveal_end: int
    settle_end: int


@dataclass(frozen=True)
class UpdateAdmitted(MarketEvent):
    project: int
    round: int
    trainer: str
    row: int
    update: bytes
    cid: bytes


@dataclass(frozen=True)
class RevealRefused(MarketEvent):
    project: int
    round: int
    trainer: str
    update: bytes


@dataclass(frozen=True)
class RevealSkipped(MarketEvent):
    _convert: ClassVar = {"reason": SkipReason}

    project: int
    round: int
    trainer: str
    reason: SkipReason


@dataclass(frozen=True)
class RoundSettled(MarketEvent):
    project: int
    round: int
    settler: str
    payout_root: bytes
    model: bytes
    model_cid: bytes
    bundle_cid: bytes
    paid: int
    fee: int
    burned: int


@dataclass(frozen=True)
class RowPaid(MarketEvent):
    """One per row of a settled, void or defaulted round."""

    project: int
    round: int
    trainer: str
    row: int
    score: int
    reason: int
    pay: int


@dataclass(frozen=True)
class RoundVoided(MarketEvent):
    project: int
    round: int
    payout_root: bytes
    paid: int


@dataclass(frozen=True)
class RoundDefaulted(MarketEvent):
    project: int
    round: int
    payout_root: bytes
    paid: int


# -- payouts and standing


@dataclass(frozen=True)
class Claimed(MarketEvent):
    project: int
    round: int
    trainer: str
    row: int
    amount: int


@dataclass(frozen=True)
class FeeCredited(MarketEvent):
    project: int
    aggregator: str
    amount: int


@dataclass(frozen=True)
class FeesWithdrawn(MarketEvent):
    token: str
    aggregator: str
    amount: int


@dataclass(frozen=True)
class StandingChanged(MarketEvent):
    trainer: str
    project: int
    round: int
    reliability: int
    usefulness: int


EVENT_TYPES: dict[str, type[MarketEvent]] = {kind.__name__: kind for kind in MarketEvent.__subclasses__()}
"""Event classes by name."""


def field_name(parameter: str) -> str:
    """The dataclass field of an event's parameter."""
    return "sender" if parameter == "from" else snake_case(parameter)


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
    except ValueError as error:
        raise LogMalformed(f"a {event.name} log holds a value outside its enum: {error}") from error
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
