"""The figures of a row under the default policy, each with its limit, and the sentence that sums them up."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from cohort_protocol.scoring.fixed_point import BASIS, ONE, multiply, ratio
from cohort_protocol.scoring.gates import Gate
from cohort_protocol.scoring.numerals import decimal, percent
from cohort_protocol.scoring.outcome import Figure, Reason, Rule
from cohort_protocol.scoring.players import Players

if TYPE_CHECKING:
    from cohort_protocol.scoring.default import DefaultParameters, Judgement

SMALL = ONE // 4
"""A factor below this explains a small score."""


def figures_of(
    parameters: DefaultParameters,
    players: Players,
    row: int,
    agreement: int | None = None,
    suspect: bool = False,
    judged: Judgement | None = None,
    place: int = 0,
) -> tuple[Figure, ...]:
    """All figures that the row got as far as. suspect: whether its player is held against the cosine with the others;
    judged, place: of its player, if it was not rejected."""
    relative_norm = ratio(players.norms[row], players.median_norm) if players.median_norm else 0
    figures = [
        Figure("norm", relative_norm, Rule.AT_LEAST, parameters.min_norm_bps * ONE // BASIS),
        Figure("norm-clip", relative_norm, Rule.CLIPPED_ABOVE, parameters.clip_bps * ONE // BASIS),
    ]
    if agreement is None:
        return tuple(figures)
    limit = parameters.min_cosine_bps * ONE // BASIS
    # Others are not held against it: the limit is then that of a cosine itself.
    figures.append(Figure("cosine-with-others", agreement, Rule.AT_LEAST, limit if suspect else -ONE))
    if judged is None:
        return tuple(figures)
    standing = judged.standings
    figures += [
        Figure("value", standing.values[place], Rule.COMPARED, ONE),
        Figure("belief", standing.belief, Rule.COMPARED, ONE),
        Figure("agreement", judged.agreements[place], Rule.COMPARED, judged.reference),
        Figure("merit", standing.earned[place], Rule.COMPARED, ONE),
        _gate_figure("novelty", judged.novelty, place),
        _gate_figure("company", judged.company, place),
        Figure("kinship", _kinship(judged, place, (row,) in players.groups), Rule.FULL_FROM, ONE),
        _share_figure(parameters, judged, place, len(players.norms)),
    ]
    return tuple(figures)


def _kinship(judged: Judgement, place: int, alone: bool) -> int:
    """What is left because others send much the same; what a group keeps is said of the group."""
    return multiply(judged.kin[place], judged.wholes[place]) if alone else judged.kin[place]


def _share_figure(parameters: DefaultParameters, judged: Judgement, place: int, updates: int) -> Figure:
    """Of the scores as they were before the cap."""
    everything = sum(judged.uncapped)
    share = ratio(judged.uncapped[place], everything) if everything else 0
    return Figure("share", share, Rule.CLIPPED_ABOVE, parameters.share_cap_bps * ONE // (BASIS * updates))


def _gate_figure(name: str, gate: Gate, place: int) -> Figure:
    return Figure(name, gate.values[place], Rule.FULL_FROM, gate.full_from)


def words_of(
    parameters: DefaultParameters,
    reason: Reason,
    figures: Sequence[Figure],
    group: Sequence[int],
    uncertainty: int | None,
    score: int,
) -> str:
    """What follows "accepted, paid 12%: " or "rejected: "."""
    by_name = {figure.name: figure for figure in figures}
    norm = by_name["norm"]
    if reason is Reason.TOO_SMALL:
        return (
            f"its update is too short to count ({percent(norm.value)} of the median length, at least "
            f"{percent(norm.limit)} is needed)"
        )
    if reason is Reason.OPPOSES_OTHERS:
        cosine = by_name["cosine-with-others"]
        return (
            f"its direction opposes the others (cosine {decimal(cosine.value)}, at least {decimal(cosine.limit)} is "
            f"needed) and the batch finds no value in it"
        )
    parts = [_main_words(by_name)]
    if group:
        parts.append(f"shares one trainer's pay with {len(group) - 1} update(s) that are nearly the same")
    elif by_name["kinship"].value < ONE * 9 // 10:
        parts.append(f"counts {percent(by_name['kinship'].value)} because others send much the same")
    if by_name["norm-clip"].value > by_name["norm-clip"].limit:
        parts.append(f"its length, {decimal(norm.value)} times the median, counts as clipped")
    if by_name["share"].value > by_name["share"].limit:
        parts.append(
            f"its share of all scores, {percent(by_name['share'].value)}, counts as {percent(by_name['share'].limit)}, "
            "the most that one player gets"
        )
    if uncertainty is not None and score:
        parts.append(f"on half of the batch its score would differ by about {percent(uncertainty * ONE // score)}")
    return "; ".join(parts)


def _main_words(by_name: dict[str, Figure]) -> str:
    novelty, company, merit = by_name["novelty"], by_name["company"], by_name["merit"]
    if _open(novelty) < SMALL:
        return (
            f"it repeats what earlier rounds already learned ({percent(novelty.value)} of it is new, full pay from "
            f"{percent(novelty.limit)})"
        )
    if _open(company) < SMALL:
        return (
            f"nothing of what is new in it agrees with what the others learned (shared direction "
            f"{decimal(company.value)}, full pay from {decimal(company.limit)})"
        )
    value, agreement = by_name["value"], by_name["agreement"]
    measured = (
        f"measured value {decimal(value.value)} of the round's average, agreement with the others "
        f"{decimal(agreement.value)}, average {decimal(agreement.limit)}"
    )
    return f"the batch finds little or no value in it ({measured})" if merit.value < SMALL else measured


def _open(figure: Figure) -> int:
    return min(ONE, max(0, figure.value) * ONE // figure.limit) if figure.limit else (ONE if figure.value else 0)
