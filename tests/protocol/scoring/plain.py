"""The peer policy again, slow and obvious: vectors and exact fractions, no Gram matrix, no fixed point but at the end.

Written from the protocol's text, so that a mistake in the fast version is not repeated here: projections solve the
normal equations by Gauss-Jordan instead of eliminating in the Gram matrix.
"""

from __future__ import annotations

from fractions import Fraction


def dot(a, b):
    return sum(x * y for x, y in zip(a, b, strict=True))


def independent(steps):
    """The steps that are no combination of those before them."""
    kept = []
    for step in steps:
        if any(residual(step, kept)):
            kept.append(step)
    return kept


def residual(vector, steps):
    """vector without its projection on linearly independent steps, in fractions."""
    if not steps:
        return [Fraction(x) for x in vector]
    size = len(steps)
    system = [[Fraction(dot(a, b)) for b in steps] + [Fraction(dot(a, vector))] for a in steps]
    for k in range(size):
        swap = next(row for row in range(k, size) if system[row][k] != 0)
        system[k], system[swap] = system[swap], system[k]
        system[k] = [x / system[k][k] for x in system[k]]
        for row in range(size):
            if row != k:
                factor = system[row][k]
                system[row] = [x - factor * y for x, y in zip(system[row], system[k], strict=True)]
    result = [Fraction(x) for x in vector]
    for k in range(size):
        result = [x - system[k][-1] * y for x, y in zip(result, steps[k], strict=True)]
    return result


ONE = 1 << 30


def root_floor(value: Fraction, scale: int) -> int:
    """floor(scale * sqrt(value)) by bisection, value >= 0."""
    target = value * scale * scale
    low, high = 0, 1
    while Fraction(high * high) <= target:
        high *= 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if Fraction(middle * middle) <= target else (low, middle)
    return low


def cosine(a, b) -> int:
    """cos(a, b) in units of 2^-30, towards zero; 0 for zero vectors. a, b: integers."""
    squares = dot(a, a) * dot(b, b)
    if squares == 0:
        return 0
    product = dot(a, b)
    size = root_floor(Fraction(product * product, squares), ONE)
    return size if product >= 0 else -size


def middle_of(values):
    ordered = sorted(values)
    half = len(ordered) // 2
    return ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) // 2


def agreements(updates, rows, voices):
    """cos of each row with the sum of the other rows times their voices."""
    result = []
    for a in rows:
        others = [sum(voices[b] * updates[b][i] for b in rows if b != a) for i in range(len(updates[a]))]
        result.append(cosine(updates[a], others))
    return result


def judge(updates, steps, p):
    """(reasons, clips, scores, weights) of the peer policy with parameters p. updates, steps: lists of integers."""
    n = len(updates)
    norms = [root_floor(Fraction(dot(u, u)), 1 << 16) for u in updates]
    nonzero = [value for value in norms if value]
    median_norm = middle_of(nonzero) if nonzero else 0
    clips = [min(ONE, p.clip_bps * median_norm * ONE // (10_000 * value)) if value else 0 for value in norms]
    voices = [median_norm * ONE // value if value else 0 for value in norms]
    reasons = [
        0 if value and Fraction(value) >= Fraction(p.min_norm_bps, 10_000) * median_norm else 1 for value in norms
    ]
    while True:
        rows = [a for a in range(n) if reasons[a] == 0]
        current = agreements(updates, rows, voices)
        if len(rows) < 2 or min(current) >= Fraction(p.min_cosine_bps, 10_000) * ONE:
            break
        worst = min(current)
        for a, value in zip(rows, current, strict=True):
            if value == worst:
                reasons[a] = 2
    scores, weights = [0] * n, [0] * n
    if not rows:
        return reasons, clips, scores, weights
    if len(rows) == 1:
        current = [ONE]
    for a, score in zip(rows, _scores(updates, steps[: p.past_steps], rows, current, p), strict=True):
        scores[a] = score
    positive = [scores[a] for a in rows if scores[a]]
    if positive:
        median_score = middle_of(positive)
        trusts = {a: min(ONE, p.trust_bps * scores[a] * ONE // (10_000 * median_score)) for a in rows}
        total = max(sum(trusts.values()), p.full_step_bps * ONE * len(rows) // 10_000)
        for a in rows:
            weights[a] = int(Fraction(65536 * trusts[a] * clips[a], ONE * total))
    return reasons, clips, scores, weights


def _scores(updates, steps, rows, current, p):
    mean = sum(max(0, value) for value in current) // len(current)
    reference = max(mean, p.agreement_floor_bps * ONE // 10_000, 1)
    basis = independent(steps)
    rest = [residual(updates[a], basis) for a in rows]
    new = [int(dot(r, r) / dot(updates[a], updates[a]) * ONE) for r, a in zip(rest, rows, strict=True)]

    def shared(x, y):
        squares = dot(x, x) * dot(y, y)
        return int(dot(x, y) ** 2 / squares * ONE) if squares else 0

    company = (
        [middle_of([shared(x, y) for j, y in enumerate(rest) if j != i]) for i, x in enumerate(rest)]
        if len(rest) > 1
        else [ONE]
    )

    def gate(values):
        median = middle_of(values)
        if median == 0:
            return [ONE if value else 0 for value in values]
        return [min(ONE, p.gate_bps * value * ONE // (10_000 * median)) for value in values]

    return [
        max(0, value) * ONE // reference * first // ONE * second // ONE
        for value, first, second in zip(current, gate(new), gate(company), strict=True)
    ]
