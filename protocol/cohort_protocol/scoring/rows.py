"""Which rows a Gram matrix holds besides the updates, and in which order.

Rows of a round: the n updates, then the public rows: past global steps (most recent first), u0, g0, g1, the half-batch
gradients h0, h1, the value rows v, v' and k, then g0 and g1 of each class. Every public row may be missing; those that
are there keep this order.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from cohort_protocol.scoring.errors import ScoringInputInvalid
from cohort_protocol.scoring.kernel.sources import Row

MAX_PUBLIC_ROWS = 32
"""The per-class variant reads most of them; the default policy at most 10."""
MAX_VALUE_ROWS = 3


@dataclass(frozen=True)
class PublicRows:
    """How many public rows of each kind follow the updates in a Gram matrix."""

    past_steps: int = 0
    """Differences of consecutive models, most recent first."""
    trainable: bool = False
    """u0: the update that anyone can train on the batches revealed in earlier rounds."""
    gradients: bool = False
    """g0, g1: gradients of the validation loss at the round's model and at the model moved by `probe` weights."""
    halves: bool = False
    """h0, h1: the same two gradients on the first half of the batch, for the uncertainty of a score."""
    values: int = 0
    """1: v, the least row whose inner product with every update is its measured value on the batch (`learning.
    validation`); 2: also v', the same on the first half of the batch; 3: also k, whose inner product with an update is
    positive if the model is better with it than without."""
    classes: int = 0
    """Pairs g0, g1 on the examples of one class each (or group of classes), class by class."""

    def __post_init__(self) -> None:
        """Raises `ScoringInputInvalid` for a layout that no round has."""
        fits = self.past_steps >= 0 and self.classes >= 0 and 0 <= self.values <= MAX_VALUE_ROWS
        if not fits or self.count > MAX_PUBLIC_ROWS:
            raise ScoringInputInvalid(
                f"{self.past_steps} past steps, {self.values} value rows (0 .. {MAX_VALUE_ROWS}) and {self.classes} "
                f"classes make {self.count} public rows: 0 .. {MAX_PUBLIC_ROWS} are possible"
            )
        if self.halves and not self.gradients:
            raise ScoringInputInvalid("gradients of half a batch without those of the batch")

    @property
    def count(self) -> int:
        """p, the number of public rows."""
        return self.past_steps + self.trainable + 2 * (self.gradients + self.halves + self.classes) + self.values

    def step_rows(self, n: int) -> tuple[int, ...]:
        """Indices of the past steps, most recent first, after n updates."""
        return tuple(range(n, n + self.past_steps))

    def trainable_row(self, n: int) -> int | None:
        """Index of u0; None if it is not there."""
        return n + self.past_steps if self.trainable else None

    def gradient_rows(self, n: int) -> tuple[int, int] | None:
        """Indices of g0 and g1; None if they are not there."""
        start = n + self.past_steps + self.trainable
        return (start, start + 1) if self.gradients else None

    def half_rows(self, n: int) -> tuple[int, int] | None:
        """Indices of h0 and h1; None if they are not there."""
        start = n + self.past_steps + self.trainable + 2 * self.gradients
        return (start, start + 1) if self.halves else None

    def value_rows(self, n: int) -> tuple[int, ...]:
        """Indices of v, v' and k, as many as are there."""
        start = n + self.past_steps + self.trainable + 2 * (self.gradients + self.halves)
        return tuple(range(start, start + self.values))

    def class_rows(self, n: int) -> tuple[tuple[int, int], ...]:
        """Indices of g0 and g1 of each class."""
        start = n + self.count - 2 * self.classes
        return tuple((start + 2 * k, start + 2 * k + 1) for k in range(self.classes))


@dataclass(frozen=True)
class PublicVectors:
    """The public rows themselves: int64[d] each, arrays or sources, |x| < 2^31. Steps in the unit of a step, 2^(e-16);
    u0 like an update; the gradients all in one unit of their own, and the value rows in another, on which no score
    depends."""

    past_steps: tuple[Row, ...] = ()
    trainable: Row | None = None
    gradients: tuple[Row, Row] | None = None
    halves: tuple[Row, Row] | None = None
    values: tuple[Row, ...] = ()
    classes: tuple[tuple[Row, Row], ...] = field(default=())

    def __post_init__(self) -> None:
        """Raises `ScoringInputInvalid` for rows that no round has: rows too many would be dropped in silence."""
        pairs = [pair for pair in (self.gradients, self.halves, *self.classes) if pair is not None]
        if any(len(pair) != 2 for pair in pairs) or len(self.values) > MAX_VALUE_ROWS:
            raise ScoringInputInvalid(
                f"gradients of {[len(pair) for pair in pairs]} rows, which come in pairs, and {len(self.values)} value "
                f"rows, of which there are at most {MAX_VALUE_ROWS}"
            )

    @property
    def layout(self) -> PublicRows:
        """What a Gram matrix with these rows holds."""
        return PublicRows(
            past_steps=len(self.past_steps),
            trainable=self.trainable is not None,
            gradients=self.gradients is not None,
            halves=self.halves is not None,
            values=len(self.values),
            classes=len(self.classes),
        )

    def rows(self) -> list[Row]:
        """In the order of `PublicRows`."""
        rows = list(self.past_steps)
        if self.trainable is not None:
            rows.append(self.trainable)
        for pair in (self.gradients, self.halves, self.values, *self.classes):
            rows.extend(() if pair is None else pair)
        return rows

    def read_by(self, needs: PublicRows) -> PublicVectors:
        """Those that a policy with these needs reads; what is not here stays missing."""
        return PublicVectors(
            past_steps=self.past_steps[: needs.past_steps],
            trainable=self.trainable if needs.trainable else None,
            gradients=self.gradients if needs.gradients else None,
            halves=self.halves if needs.halves else None,
            values=self.values[: needs.values],
            classes=self.classes if needs.classes else (),
        )
