"""Market events to JSON rows and back: what makes the projection rebuildable from the database alone."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from functools import cache
from typing import Any, get_args, get_origin, get_type_hints

from cohort_protocol.chain.events import EVENT_TYPES, LogPosition, MarketEvent

from cohort_backend.chain.errors import EventUnknown
from cohort_backend.chain.models import ChainEvent


def event_row(event: MarketEvent) -> dict[str, Any]:
    """Column values of `ChainEvent`."""
    return {
        "block_number": event.at.block_number,
        "log_index": event.at.log_index,
        "block_hash": event.at.block_hash,
        "transaction_hash": event.at.transaction_hash,
        "name": type(event).__name__,
        "project": getattr(event, "project", None),
        "payload": event.payload(),
    }


def load_event(row: ChainEvent) -> MarketEvent:
    """The event of a stored row. Raises `EventUnknown`."""
    kind = EVENT_TYPES.get(row.name)
    if kind is None:
        raise EventUnknown(f"event {row.name} at block {row.block_number} is not one of this version's: re-index")
    at = LogPosition(row.block_number, row.log_index, row.block_hash, row.transaction_hash)
    try:
        return kind(at=at, **_values(kind, row.payload))
    except (KeyError, TypeError, ValueError) as error:
        raise EventUnknown(f"event {row.name} at block {row.block_number} does not read: {error}: re-index") from error


@cache
def _hints(kind: type) -> dict[str, Any]:
    hints = get_type_hints(kind)
    return {field.name: hints[field.name] for field in fields(kind) if field.name != "at"}


def _values(kind: type, payload: dict[str, Any]) -> dict[str, Any]:
    return {name: _value(hint, payload[name]) for name, hint in _hints(kind).items()}


def _value(hint: Any, value: Any) -> Any:
    if get_origin(hint) is tuple:
        return tuple(_value(get_args(hint)[0], item) for item in value)
    if is_dataclass(hint):
        return hint(**_values(hint, value))  # type: ignore[operator]
    if hint is bytes:
        return bytes.fromhex(value.removeprefix("0x"))
    if hint in (str, bool):
        return value
    if issubclass(hint, int):  # whole numbers travel as decimal text; enums by their value
        return hint(int(value))
    raise TypeError(f"no reading for {hint}")
