"""Which rows of a round count at all, and at which length.

Two rules that need no data: a row far shorter than the median does not take part, and a row that points against
the others is rejected. Rows longer than `clip` times the median enter the model as clipped to it, so that nobody
gains influence by shouting.

Two things keep the cheats of a round out of the others of an honest row, whose cosine they would drag down:
- Every other speaks with the same voice: it counts at the median length, whatever its own. A sign flipper is often
  the longest row, since the model never learns what it knows; with clipped lengths it drowned honest rows
  (docs/decisions, measured).
- Rows are rejected one at a time, the most opposed first, and the cosines are taken anew without it. Rows that tie
  for the most opposed go together, so that the result never depends on the order of the rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cohort_protocol.scoring.fixed_point import BASIS, ONE, cosine, median, norm, ratio
from cohort_protocol.scoring.gram import Gram
from cohort_protocol.scoring.outcome import Reason


@dataclass(frozen=True)
class FilteredRows:
    """Per row, in row order."""

    reasons: tuple[Reason, ...]
    clips: tuple[int, ...]
    """Factor that clips the row's length, in units of 1/ONE, in 0 .. ONE; 0 for a zero row."""
    voices: tuple[int, ...]
    """Factor that brings the row to the median length, in units of 1/ONE; 0 for a zero row."""
    norms: tuple[int, ...]
    """In units of 2^-16."""
    median_norm: int
    """Of the rows that are not zero; 0 if all are."""
    cosines: tuple[int | None, ...]
    """With the sum of the others at equal length, in units of 1/ONE, when the row was rejected or at the end; None
    for rows that are too small."""

    @property
    def accepted(self) -> tuple[int, ...]:
        """Indices of the accepted rows."""
        return tuple(row for row, reason in enumerate(self.reasons) if reason is Reason.ACCEPTED)


def filter_rows(gram: Gram, n: int, clip_bps: int, min_norm_bps: int, min_cosine_bps: int) -> FilteredRows:
    """Applies the norm rules, then rejects rows that oppose the others.

    gram: at least n x n, the updates first. Thresholds in basis points of the median norm and of 1."""
    norms = tuple(norm(gram[row][row]) for row in range(n))
    nonzero = [value for value in norms if value]
    # Zero rows have no say in the median: otherwise half the round could mute the rest by sending nothing.
    median_norm = median(nonzero) if nonzero else 0
    clips = tuple(_clip(value, median_norm, clip_bps) for value in norms)
    voices = tuple(ratio(median_norm, value) if value else 0 for value in norms)
    reasons = [
        Reason.ACCEPTED if value and value * BASIS >= min_norm_bps * median_norm else Reason.TOO_SMALL
        for value in norms
    ]
    cosines: list[int | None] = [None] * n
    while True:
        remaining = [row for row in range(n) if reasons[row] is Reason.ACCEPTED]
        current = leave_one_out_cosines(gram, remaining, voices)
        for row, value in zip(remaining, current, strict=True):
            cosines[row] = value
        # A lone row opposes nobody.
        if len(remaining) < 2 or min(current) * BASIS >= min_cosine_bps * ONE:
            return FilteredRows(tuple(reasons), clips, voices, norms, median_norm, tuple(cosines))
        lowest = min(current)
        for row, value in zip(remaining, current, strict=True):
            if value == lowest:
                reasons[row] = Reason.OPPOSES_OTHERS


def leave_one_out_cosines(gram: Gram, rows: Sequence[int], voices: Sequence[int]) -> list[int]:
    """cos(u_a, sum over the other b in rows of voice_b u_b) for each a in rows, in units of 1/ONE.

    voices: factors >= 0 of all rows. 0 where the others sum to nothing (a lone row among them)."""
    with_all = {a: sum(voices[b] * gram[a][b] for b in rows) for a in rows}
    square_of_all = sum(voices[a] * with_all[a] for a in rows)
    result = []
    for a in rows:
        with_others = with_all[a] - voices[a] * gram[a][a]
        square_of_others = square_of_all - 2 * voices[a] * with_all[a] + voices[a] ** 2 * gram[a][a]
        result.append(cosine(with_others, gram[a][a], square_of_others))
    return result


def _clip(value: int, median_norm: int, clip_bps: int) -> int:
    if value == 0:
        return 0
    return min(ONE, clip_bps * median_norm * ONE // (BASIS * value))
