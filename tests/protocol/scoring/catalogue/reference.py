"""The named rules again, in floats, written from the papers for clarity: vectors, no Gram matrix, no fixed point.

Each returns (coefficients of the step over the rows, pay of the rows); pay in any unit. None for coefficients where the
step is no weighted sum: then the step is returned itself, as (None, pay, step)."""

from __future__ import annotations

import numpy as np


def cosine(a, b):
    size = np.linalg.norm(a) * np.linalg.norm(b)
    return float(a @ b / size) if size else 0.0


def hostile(bps, n, most):
    return max(0, min(bps * n // 10_000, most))


def pairwise(rows):
    return np.array([[np.sum((a - b) ** 2) for b in rows] for a in rows])


def krum_scores(rows, f):
    distances = pairwise(rows)
    neighbours = max(1, len(rows) - f - 2)
    return np.array([np.sort(np.delete(line, a))[:neighbours].sum() for a, line in enumerate(distances)])


def multi_krum(rows, p):
    n = len(rows)
    f = hostile(p.byzantine_bps, n, (n - 3) // 2)
    chosen = np.argsort(krum_scores(rows, f))[: n - f]
    return equally(n, chosen)


def monna(rows, p):
    n = len(rows)
    f = hostile(p.byzantine_bps, n, (n - 1) // 2)
    distances = pairwise(rows)
    pivot = np.argmin([np.sort(line)[: n - f].sum() for line in distances])
    return equally(n, np.argsort(distances[pivot])[: n - f])


def equally(n, chosen):
    part = np.zeros(n)
    part[chosen] = 1
    return part / part.sum(), part


def fedavg(rows, p):
    return equally(len(rows), range(len(rows)))


def norm_clip(rows, p):
    norms = np.linalg.norm(rows, axis=1)
    limit = p.clip_bps / 10_000 * np.median(norms)
    return np.minimum(1, limit / norms) / len(rows), np.ones(len(rows))


def centred_clipping(rows, p):
    n = len(rows)
    tau = p.radius_bps / 10_000 * np.median(np.linalg.norm(rows, axis=1))
    centre, coefficients = np.zeros(rows.shape[1]), np.zeros(n)
    for _ in range(p.iterations):
        factors = np.array([min(1, tau / max(1e-300, np.linalg.norm(row - centre))) for row in rows])
        centre = centre + np.mean([(row - centre) * factor for row, factor in zip(rows, factors, strict=True)], axis=0)
        coefficients = coefficients * (1 - factors.mean()) + factors / n
    assert np.allclose(coefficients @ rows, centre)
    return coefficients, along(rows, coefficients @ rows)


def geometric_median(rows, p):
    least = max(2.0**-40, p.smoothing_ppm / 1e6 * np.median(np.linalg.norm(rows, axis=1)))
    centre, weights = rows.mean(axis=0), None
    for _ in range(p.iterations):
        weights = 1 / np.maximum(least, np.linalg.norm(rows - centre, axis=1))
        weights /= weights.sum()
        centre = weights @ rows
    return weights, along(rows, weights @ rows)


def three_sigma(rows, p):
    class Median:
        iterations, smoothing_ppm = 100, 1

    centre = geometric_median(rows, Median)[0] @ rows
    far = np.linalg.norm(rows - centre, axis=1)
    middle = np.median(far)
    sigma = max(1.4826 * np.median(np.abs(far - middle)), p.least_sigma_bps / 10_000 * middle)
    inside = far <= middle + p.sigmas_bps / 10_000 * sigma
    return equally(len(rows), np.flatnonzero(inside) if len(rows) >= 4 else range(len(rows)))


def flag_aggregator(rows, p):
    n = len(rows)
    rank = min(n, int(np.ceil(p.rank_bps * (n + 1) / 10_000)))
    units = rows / np.linalg.norm(rows, axis=1)[:, None]
    weights = np.ones(n)
    for _ in range(p.iterations):
        basis = _top(units, weights, rank)
        residuals = np.sqrt(np.maximum(0, 1 - np.sum((units @ basis) ** 2, axis=1)))
        weights = 1 / np.maximum(2.0**-20, residuals)
        weights /= weights.max()
    basis = _top(units, weights, rank)
    step = basis @ (basis.T @ rows.mean(axis=0))
    coefficients = np.maximum(0, np.linalg.lstsq(rows.T, step, rcond=None)[0])
    return coefficients / max(1, coefficients.sum()), along(rows, coefficients @ rows)


def _top(units, weights, rank):
    """The `rank` first left singular vectors of the weighted rows."""
    return np.linalg.svd((units * np.sqrt(weights)[:, None]).T, full_matrices=False)[0][:, :rank]


def foolsgold(rows, p):
    n = len(rows)
    alike = np.array([[max(0, cosine(a, b)) if i != j else 0 for j, b in enumerate(rows)] for i, a in enumerate(rows)])
    largest = alike.max(axis=1)
    pardoned = alike.copy()
    for i in range(n):
        for j in range(n):
            if largest[j] > largest[i]:
                pardoned[i, j] *= largest[i] / largest[j]
    trust = 1 - pardoned.max(axis=1)
    trust = trust / trust.max() if trust.max() else trust
    with np.errstate(divide="ignore"):
        trust = np.clip(p.confidence_bps / 10_000 * (np.log(trust / (1 - trust)) + 0.5), 0, 1)
    return trust / trust.sum(), trust


def cgsv(rows, p):
    norms = np.linalg.norm(rows, axis=1)
    level = rows / norms[:, None] * np.median(norms)
    pay = np.array([max(0, cosine(row, level.sum(axis=0))) for row in rows])
    coefficients = np.median(norms) / norms / len(rows)
    return coefficients / max(1, coefficients.sum()), pay


def fltrust(rows, p, gradient):
    trust = np.array([max(0, cosine(row, -gradient)) for row in rows])
    norms = np.linalg.norm(rows, axis=1)
    coefficients = trust / trust.sum() * np.median(norms) / norms
    return coefficients / max(1, coefficients.sum()), trust


def dig_fl(rows, p, gradient):
    gain = np.maximum(0, -(rows @ gradient))
    return gain / gain.sum(), gain


def leave_one_out(rows, p, gradient):
    def value(members):
        return -(np.mean(rows[members], axis=0) @ gradient) if len(members) else 0.0

    everybody = list(range(len(rows)))
    margin = [value(everybody) - value([b for b in everybody if b != a]) for a in everybody]
    return np.full(len(rows), 1 / len(rows)), np.maximum(0, margin)


def along(rows, step):
    return np.array([max(0, cosine(row, step)) for row in rows])


def coordinate_median(rows, p):
    step = np.median(rows, axis=0)
    return None, along(rows, step), step


def trimmed_mean(rows, p):
    n = len(rows)
    trim = hostile(p.byzantine_bps, n, (n - 1) // 2)
    step = np.sort(rows, axis=0)[trim : n - trim].mean(axis=0)
    return None, along(rows, step), step


def bulyan(rows, p):
    n = len(rows)
    f = hostile(p.byzantine_bps, n, (n - 3) // 4)
    left, chosen = list(range(n)), []
    while len(chosen) < n - 2 * f:
        # Squared distances of integers are exact, and the two of a nearest pair tie: they go together.
        scores = krum_scores(rows[left], f)
        best = [row for row, score in zip(left, scores, strict=True) if score == scores.min()]
        chosen += best
        left = [row for row in left if row not in best]
    read = rows[chosen]
    keep = max(1, len(chosen) - 2 * f)
    step = np.array([nearest_to_median(column, keep) for column in read.T])
    pay = np.zeros(n)
    pay[chosen] = along(read, step)
    return None, pay, step


def nearest_to_median(values, count):
    """Mean of the `count` values nearest to the median; a tie for the last places is resolved once downwards and once
    upwards, and the two are averaged."""
    middle = np.median(values)
    low = sorted(values, key=lambda v: (abs(v - middle), v))[:count]
    high = sorted(values, key=lambda v: (abs(v - middle), -v))[:count]
    return (np.mean(low) + np.mean(high)) / 2


RULES = {
    "fedavg": fedavg,
    "norm-clip": norm_clip,
    "multi-krum": multi_krum,
    "monna": monna,
    "three-sigma": three_sigma,
    "geometric-median": geometric_median,
    "rfa": geometric_median,
    "centred-clipping": centred_clipping,
    "flag-aggregator": flag_aggregator,
    "foolsgold": foolsgold,
    "cgsv": cgsv,
    "coordinate-median": coordinate_median,
    "trimmed-mean": trimmed_mean,
    "bulyan": bulyan,
}
WITH_GRADIENT = {"fltrust": fltrust, "dig-fl": dig_fl, "leave-one-out": leave_one_out}
