"""The default policy again in floating point, on vectors instead of Gram matrices: slow, obvious, from the text.

`delicate` says that some comparison was closer than floats can tell; a test then skips the round.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import combinations

import numpy as np

TINY = 1e-7
LEFT = 2.0**-20
"""Squares of unit rows below this are nothing but rounding, in the text's words."""


@dataclass
class Twin:
    reasons: list[int]
    groups: list[set[int]]
    scores: list[float]
    weights: list[float]
    delicate: bool = False


@dataclass
class Watch:
    """Remembers whether any comparison was too close to call."""

    close: bool = False
    notes: list[str] = field(default_factory=list)

    def above(self, value, limit, note=""):
        if abs(value - limit) < TINY * max(1.0, abs(value), abs(limit)):
            self.close = True
            self.notes.append(note)
        return value > limit


def unit(vector):
    size = np.linalg.norm(vector)
    return vector / size if size else vector


def cosine(a, b):
    return float(unit(a) @ unit(b))


def median(values):
    return float(np.median(values))


def judge(updates, steps, common, values, p) -> Twin:
    watch = Watch()
    rows = [np.array(row, float) for row in updates]
    twin = Twin([1] * len(rows), [set() for _ in rows], [0.0] * len(rows), [0.0] * len(rows))
    norms = [float(np.linalg.norm(row)) for row in rows]
    if not any(norms):
        return twin
    middle = median([size for size in norms if size])
    clips = [min(1.0, p.clip_bps / 1e4 * middle / size) if size else 0.0 for size in norms]
    long = [a for a in range(len(rows)) if norms[a] and not watch.above(p.min_norm_bps / 1e4 * middle, norms[a])]
    groups = linked(rows, long, p.clone_bps / 1e4, watch)
    senders = [sum(clips[a] * rows[a] for a in group) / len(group) for group in groups]
    players = [sum(unit(rows[a]) for a in group) for group in groups]
    measured = [np.array(row, float) for row in values]
    worth = [float(sender @ measured[0]) for sender in senders] if measured else [0.0] * len(players)
    half = [float(sender @ measured[1]) for sender in senders] if len(measured) > 1 else worth
    votes = [float(sender @ measured[2]) for sender in senders] if len(measured) > 2 else [-1.0] * len(players)
    innocent = [
        bool(measured) and (watch.above(x, 0.0) or watch.above(vote, 0.0)) for x, vote in zip(worth, votes, strict=True)
    ]
    kept = list(range(len(players)))
    limit = p.min_cosine_bps / 1e4
    while kept:
        agreed = agreements([players[i] for i in kept], watch)
        bad = [value for i, value in zip(kept, agreed, strict=True) if not innocent[i] and watch.above(limit, value)]
        if not bad or len(kept) == 1:
            break
        worst = min(bad)
        watch.close |= any(0 < value - worst < TINY for value in bad)
        kept = [i for i, value in zip(kept, agreed, strict=True) if value > worst or innocent[i]]
    for group in groups:
        for a in group:
            twin.reasons[a] = 2
            twin.groups[a] = set(group) if len(group) > 1 else set()
    chosen = [[kind[i] for i in kept] for kind in (players, groups, worth, half)]
    spared = [innocent[i] for i in kept]
    scores, shared = score(*chosen, spared, steps, common, len(rows), p, watch, bool(measured))
    voted = len(measured) > 2
    trusts = trusted(scores, p)
    if voted:
        watch.close |= any(0 < gate < TINY for gate in shared)
        useful = [watch.above(worth[i], 0.0) or gate > 0 for i, gate in zip(kept, shared, strict=True)]
        trusts = [float(watch.above(votes[i], 0.0) and use) for i, use in zip(kept, useful, strict=True)]
    total = max(sum(trusts), 0.0 if voted else p.full_step_bps / 1e4 * len(kept))
    for i, value, trust in zip(kept, scores, trusts, strict=True):
        for a in groups[i]:
            twin.reasons[a] = 0
            twin.scores[a] = value / len(groups[i])
            twin.weights[a] = 65536 * trust * clips[a] / (total * len(groups[i])) if total else 0.0
    twin.delicate = watch.close
    return twin


def linked(rows, places, limit, watch):
    groups = [{a} for a in places]
    while len(groups) > 1:
        links = {
            (i, j): min(cosine(rows[a], rows[b]) for a in groups[i] for b in groups[j])
            for i, j in combinations(range(len(groups)), 2)
        }
        best = max(links.values())
        if not watch.above(best, limit):
            break
        tied = [pair for pair, link in links.items() if best - link < TINY]
        # Ties of floats need not be ties of integers, unless they are exact copies.
        watch.close |= len(tied) > 1 and best < 1 - TINY
        while tied:
            i, j = tied[0]
            merged = groups[i] | groups[j]
            groups = [group for k, group in enumerate(groups) if k not in (i, j)] + [merged]
            tied = [
                (a, b)
                for a, b in combinations(range(len(groups)), 2)
                if min(cosine(rows[x], rows[y]) for x in groups[a] for y in groups[b]) > 1 - TINY
            ]
    return sorted((sorted(group) for group in groups), key=lambda group: group[0])


def agreements(players, watch):
    if len(players) == 1:
        return [1.0]
    result = []
    for a, player in enumerate(players):
        others = sum(unit(other) for b, other in enumerate(players) if b != a)
        small = float(others @ others)
        watch.close |= 0 < small < TINY
        result.append(cosine(player, others) if small > TINY else 0.0)
        watch.close |= small <= TINY
    return result


def without(vector, basis):
    return vector - sum(((vector @ q) * q for q in basis), np.zeros(len(vector)))


def ramp(values, low, high, watch):
    middle = median(values)
    # Values are in units of 2^-30, so that a gate relative to a tiny median is coarse.
    watch.close |= 0 < middle < 2e-5
    if middle < 1e-9:
        watch.close = True
        return [float(value > 0) for value in values]
    return [min(1.0, max(0.0, (value / middle - low) / (high - low))) for value in values]


def score(players, groups, worth, half, innocent, steps, common, n, p, watch, measured):
    if not players:
        return [], []
    basis = []
    for row in [*steps[: p.past_steps], *([] if common is None else [common])]:
        rest = without(unit(np.array(row, float)), basis)
        watch.close |= 2.0**-24 < rest @ rest < 2.0**-16
        if rest @ rest > LEFT:
            basis.append(unit(rest))
    fresh = [without(unit(player), basis) for player in players]
    watch.close |= any(2.0**-24 < rest @ rest < 2.0**-16 for rest in fresh)
    fresh = [rest if rest @ rest > LEFT else 0 * rest for rest in fresh]
    shared = [
        sorted(cosine(a, b) ** 2 for j, b in enumerate(fresh) if j != i)[-((2 * len(fresh) + 1) // 5)]
        if len(fresh) > 1
        else 1.0
        for i, a in enumerate(fresh)
    ]
    # Cosines are in units of 2^-15.
    watch.close |= any(0 < value < 1e-2 for value in shared)
    agreed = agreements(players, watch)
    mean = max(sum(max(0.0, value) for value in agreed) / len(agreed), p.agreement_floor_bps / 1e4)
    size = sum(map(abs, worth)) / len(worth)
    own = [value / size if size else 0.0 for value in worth]
    noise = [(b - a) / size if size else 0.0 for a, b in zip(worth, half, strict=True)]
    squares = sum(x * x for x in own)
    belief = 0.0
    if squares:
        belief = max(0.0, p.belief_bps / 1e4 - p.doubt_bps / 1e4 * sum(x * x for x in noise) / squares)
    cap = p.value_cap_bps / 1e4
    scores = []
    companies = ramp(shared, p.company_from_bps / 1e4, p.company_full_bps / 1e4, watch)
    gates = zip(
        ramp([float(rest @ rest) for rest in fresh], p.novelty_from_bps / 1e4, p.novelty_full_bps / 1e4, watch),
        companies,
        kin(players, p, watch),
        strict=True,
    )
    for x, a, group, spared, (new, company, (relatives, twin)) in zip(
        own, agreed, groups, innocent, gates, strict=True
    ):
        width = (p.width_bps if spared else p.suspect_width_bps) / 1e4
        z = belief * max(-3 * cap, min(cap, x)) + (1 - belief) * min(p.peer_cap_bps / 1e4, max(0.0, a) / mean)
        f = 0.0 if z <= -width else z if z >= width else (z + width) ** 2 / (4 * width)
        if not measured:
            f = max(0.0, a) / mean
        scores.append(f * new * company * relatives * (p.group_bps / 1e4 if twin or len(group) > 1 else 1.0))
    most = sum(scores) * p.share_cap_bps / 1e4 / n
    return [min(value, most) for value in scores], companies


def kin(players, p, watch):
    factors = []
    low, high = p.kin_from_bps / 1e4, p.kin_full_bps / 1e4
    beyond = 1 - max((value * value for value in agreements(players, watch)), default=0.0)
    for a in range(len(players)):
        total, twin = 1.0, False
        for b in range(len(players)):
            if a == b or len(players) < 4:
                continue
            others = sum(unit(player) for c, player in enumerate(players) if c not in (a, b))
            square = float(others @ others)
            watch.close |= 2.0**-24 < square < 2.0**-16
            if square <= LEFT:
                continue
            x, y = (without(unit(players[each]), [unit(others)]) for each in (a, b))
            watch.close |= any(2.0**-24 < v @ v < 2.0**-16 for v in (x, y))
            if min(x @ x, y @ y) > LEFT and watch.above(x @ y, 0.3 * beyond):
                total += min(1.0, max(0.0, (cosine(x, y) - low) / (high - low)))
                twin |= watch.above(cosine(x, y), p.twin_bps / 1e4)
        factors.append((1 / total, twin))
    return factors


def trusted(scores, p):
    positive = [value for value in scores if value > 0]
    if not positive:
        return [0.0] * len(scores)
    return [min(1.0, p.trust_bps / 1e4 * value / median(positive)) for value in scores]
