"""Finding single events of the market by their topics, newest blocks first, where no service is to be trusted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from cohort_protocol.chain import ChainClient
from cohort_protocol.chain.codec import contract_abi
from cohort_protocol.chain.events import MarketEvent, RoundOpened, decode_log
from cohort_protocol.chain.logs import fetch_logs
from cohort_protocol.identifiers import parse_address

E = TypeVar("E", bound=MarketEvent)

SPAN = 2000
"""Blocks per question, as nodes commonly allow."""


def find_events(
    chain: ChainClient,
    market: str,
    kind: type[E],
    indexed: Sequence[int | str | None],
    start_block: int,
    *,
    newest_block: int | None = None,
    first_hit: bool = False,
    span: int = SPAN,
) -> list[E]:
    """Events of `kind` whose indexed fields equal `indexed` (None: any), in the order of the chain.

    Searches from `newest_block` (None: the chain's) down to `start_block`; with `first_hit` it stops at the newest
    range of `span` blocks that holds any: what belongs to one round lies close together and near the end.
    Raises `ChainUnavailable`, `LogMalformed`.
    """
    topics = [_topic_of(kind.__name__), *(_topic(value) for value in indexed)]
    found: list[E] = []
    upper = chain.block_number() if newest_block is None else newest_block
    while upper >= start_block:
        lower = max(start_block, upper - span + 1)
        logs = fetch_logs(chain, market, lower, upper, topics, span)
        events = [event for log in logs if log.address == market and isinstance(event := decode_log(log), kind)]
        found = events + found
        if first_hit and found:
            break
        upper = lower - 1
    return found


def round_events(
    chain: ChainClient, market: str, project: int, round: int, start_block: int, span: int = SPAN
) -> list[MarketEvent]:
    """Everything that the market said about one round, in the order of the chain.

    Searches from the newest block down to the one that opened the round. Raises `ChainUnavailable`, `LogMalformed`.
    """
    topics = [None, _topic(project), _topic(round)]
    found: list[MarketEvent] = []
    upper = chain.block_number()
    while upper >= start_block:
        lower = max(start_block, upper - span + 1)
        logs = fetch_logs(chain, market, lower, upper, topics, span)
        decoded = [decode_log(log) for log in logs if log.address == market]
        # Other events have a member's number or an address where these have the round.
        found = [event for event in decoded if event is not None and getattr(event, "round", None) == round] + found
        if any(isinstance(event, RoundOpened) for event in found):
            break
        upper = lower - 1
    return found


def _topic_of(name: str) -> bytes:
    return next(digest for digest, event in contract_abi("CohortMarket").events.items() if event.name == name)


def _topic(value: int | str | None) -> bytes | None:
    if value is None:
        return None
    if isinstance(value, str):
        return bytes.fromhex(parse_address(value)[2:]).rjust(32, b"\0")
    return value.to_bytes(32, "big")
