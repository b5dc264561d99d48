"""What a policy says of a round: one row per update, every figure with its limit."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, StrEnum


class Reason(IntEnum):
    """Why a row was rejected; 0 if it was not. A uint8 on chain, so numbers are never reused."""

    ACCEPTED = 0
    TOO_SMALL = 1
    OPPOSES_OTHERS = 2
    # From 16 on: reasons of the named rules of the catalogue.
    OUTLIER = 16

    @property
    def hostile(self) -> bool:
        """Whether the reason speaks of harm rather than of little work."""
        return self in (Reason.OPPOSES_OTHERS, Reason.OUTLIER)

    @property
    def word(self) -> str:
        """In lower case with dashes, for JSON and logs."""
        return self.name.lower().replace("_", "-")


class Rule(StrEnum):
    """How a figure is held against its limit."""

    AT_LEAST = "at-least"
    """Below the limit the row is rejected."""
    CLIPPED_ABOVE = "clipped-above"
    """Above the limit the row counts as clipped to it."""
    FULL_FROM = "full-from"
    """Below the limit the row earns in proportion, from the limit on in full."""
    COMPARED = "compared"
    """Earns in proportion to the limit, which is the mean of the accepted rows."""
    AT_MOST = "at-most"
    """Above the limit the row is rejected."""
    CHOSEN_UP_TO = "chosen-up-to"
    """Above the limit the row is not chosen: it neither enters the model nor earns."""


@dataclass(frozen=True)
class Figure:
    """One figure of one row, in units of 1/ONE."""

    name: str
    value: int
    rule: Rule
    limit: int


@dataclass(frozen=True)
class RowOutcome:
    """What the policy says of one update."""

    reason: Reason
    score: int
    """uint64, in units of 1/ONE; an average contribution is about ONE; 0 if rejected."""
    weight: int
    """Part of 2^16 with which the update enters the next model."""
    clip: int
    """Factor by which its norm was clipped, already part of the weight, in units of 1/ONE."""
    figures: tuple[Figure, ...]
    words: str = ""
    """What the policy says of the row in its own words; empty: the verdict finds them from the figures."""
    group: tuple[int, ...] = ()
    """The rows that count as one player with this one, itself among them, by their place in the round; empty: alone."""
    uncertainty: int | None = None
    """Half the difference between the scores on the two halves of the batch, in units of 1/ONE; None: not measured."""

    @property
    def accepted(self) -> bool:
        return self.reason is Reason.ACCEPTED

    def figure(self, name: str) -> Figure | None:
        """The figure of this name, if the row got that far."""
        return next((figure for figure in self.figures if figure.name == name), None)


@dataclass(frozen=True)
class PolicyOutcome:
    """What the policy says of a round. `rows` in the order of the updates."""

    policy: str
    policy_hash: bytes
    rows: tuple[RowOutcome, ...]

    @property
    def scores(self) -> tuple[int, ...]:
        return tuple(row.score for row in self.rows)

    @property
    def weights(self) -> tuple[int, ...]:
        return tuple(row.weight for row in self.rows)

    @property
    def reasons(self) -> tuple[Reason, ...]:
        return tuple(row.reason for row in self.rows)
