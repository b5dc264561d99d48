"""The peer score, the contribution and the trust of the accepted rows, and the weights that follow.

pi_a = max(0, cos(u_a, sum of the others at equal length)) / mean, c_a = pi_a * gates, t_a = min(1, gain * c_a /
median positive c), w_a = floor(2^16 * t_a * clip_a / max(sum t, q * accepted rows)). Values in units of 1/ONE.
"""

from __future__ import annotations

from collections.abc import Sequence

from cohort_protocol.scoring.fixed_point import BASIS, ONE, median, multiply
from cohort_protocol.scoring.gram import TOTAL_WEIGHT


def agreement_reference(agreements: Sequence[int], floor_bps: int) -> int:
    """What an average contribution's agreement is: the mean of the positive parts, but at least the floor.

    Without the floor a round in which nobody agrees with anybody (all noise, cosines around 1/sqrt(d)) would be paid
    like any other, because scores are relative."""
    mean = sum(max(0, value) for value in agreements) // len(agreements)
    return max(mean, floor_bps * ONE // BASIS, 1)


def peer_scores(agreements: Sequence[int], reference: int) -> list[int]:
    """pi_a = max(0, agreement_a) / reference."""
    return [max(0, value) * ONE // reference for value in agreements]


def contributions(scores: Sequence[int], *gates: Sequence[int]) -> list[int]:
    """c_a = pi_a times every gate, rounded down after each."""
    result = list(scores)
    for factors in gates:
        result = [multiply(value, factor) for value, factor in zip(result, factors, strict=True)]
    return result


def trust(values: Sequence[int], gain_bps: int) -> list[int]:
    """t_a = min(1, gain * c_a / median positive c); 0 for all if no contribution is positive."""
    positive = [value for value in values if value > 0]
    if not positive:
        return [0] * len(values)
    middle = median(positive)
    return [min(ONE, gain_bps * value * ONE // (BASIS * middle)) for value in values]


def weights(trusts: Sequence[int], clips: Sequence[int], full_step_bps: int) -> list[int]:
    """w_a = floor(2^16 * t_a * clip_a / max(sum t, full_step * number of rows)): parts of 2^16, their sum at most 2^16.

    A clipped row counts as clipped, so that the sum is less by what was clipped. When few of the accepted rows are
    trusted, the step is shorter rather than theirs alone: late in training honest updates hardly agree, and a model
    that follows two of six loses what the others know."""
    total = max(sum(trusts), full_step_bps * ONE * len(trusts) // BASIS)
    if total == 0:
        return [0] * len(trusts)
    return [TOTAL_WEIGHT * t * clip // (ONE * total) for t, clip in zip(trusts, clips, strict=True)]
