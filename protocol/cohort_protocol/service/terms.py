"""The building blocks of all messages, and a project's terms as they go over the wire."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer

from cohort_protocol.identifiers import MAX_SLOTS, Address, Amount, Bytes32, HexData

DecimalText = Annotated[Amount, PlainSerializer(str, return_type=str)]
"""A token amount, score or other large integer: a decimal string in JSON, an int in Python."""

Signature = Annotated[HexData, Field(min_length=132, max_length=132)]
Detail = Annotated[str, Field(max_length=500)]
MemberNumber = Annotated[int, Field(ge=1, lt=2**32)]
"""Number of a trainer in a project, see `Member.number`."""

NO_HASH = "0x" + 64 * "0"
"""Stands for "none" where a hash may be missing."""

_YEAR = 365 * 86_400


class Message(BaseModel):
    model_config = ConfigDict(extra="forbid")


class WindowSeconds(Message):
    """Upper bounds of the phases, in seconds. The deployment's profile sets the least of each."""

    commit: Annotated[int, Field(ge=1, le=_YEAR)]
    guard: Annotated[int, Field(ge=0, le=_YEAR)] = 0
    reveal: Annotated[int, Field(ge=1, le=_YEAR)]
    rescue: Annotated[int, Field(ge=1, le=_YEAR)]
    settle: Annotated[int, Field(ge=1, le=_YEAR)]
    takeover: Annotated[int, Field(ge=1, le=_YEAR)]
    self_commit: Annotated[int, Field(ge=0, le=_YEAR)] = 0
    """The last part of the commit phase, for trainers themselves: no batch any more."""


class TermsRequest(Message):
    """The money and the rules, fixed on chain at creation. Amounts in base units of the token."""

    token: Address
    round_budget: DecimalText
    aggregator_fee: DecimalText = 0
    stake: DecimalText
    """Of each trainer: at least 2 D / slots."""
    bond: DecimalText
    """Of the aggregator of a round: at least round_budget / 2."""
    score_floor: DecimalText
    rounds: Annotated[int, Field(ge=1, le=100_000)]
    slots: Annotated[int, Field(ge=1, le=MAX_SLOTS)]
    min_trainers: Annotated[int, Field(ge=1, le=MAX_SLOTS)]
    quorum: Annotated[int, Field(ge=1, le=7)]
    share_cap: Annotated[int, Field(ge=1, le=MAX_SLOTS)] = 4
    min_reliability: Annotated[int, Field(ge=0, le=10_000)] = 0
    """Basis points needed to join."""
    validation_root: Bytes32 = NO_HASH
    """Merkle root of the validation batches, one per round; zeros: none."""
    access_root: Bytes32 = NO_HASH
    """Merkle root of the trainers who may join; zeros: no list."""
    windows: WindowSeconds
    witnesses: Annotated[list[Address], Field(min_length=1, max_length=7)]
    aggregators: Annotated[list[Address], Field(min_length=1, max_length=8)]


class TermsView(TermsRequest):
    """Terms as they are on chain: an owner may have fixed there what the service would not draft, and has added
    aggregators since."""

    rounds: Annotated[int, Field(ge=1, lt=2**32)]
    share_cap: Annotated[int, Field(ge=1, lt=2**8)]
    aggregators: Annotated[list[Address], Field(min_length=1, max_length=16)]
