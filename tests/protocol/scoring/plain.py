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
