"""A verdict per trainer: numbers, limits, effect, and one sentence in plain words.

Made from integers alone, so that everybody's bundle holds the same text.
"""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict

from cohort_protocol.scoring.errors import ScoringInputInvalid
from cohort_protocol.scoring.fixed_point import ONE
from cohort_protocol.scoring.numerals import decimal, percent
from cohort_protocol.scoring.outcome import Figure, PolicyOutcome, Reason, RowOutcome, Rule

SMALL_SHARE = 4
"""A share below 1/SMALL_SHARE of an equal one is explained by the figure that made it small."""


class VerdictFigure(BaseModel):
    """One figure and its limit, as decimal numbers."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    value: str
    rule: Rule
    limit: str


class Verdict(BaseModel):
    """What the policy says of one trainer's update, and why."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    trainer: str
    accepted: bool
    reason: str
    """accepted, or the reason of the rejection in one word."""
    reason_code: int
    score: str
    """In units of 2^-30 of an average contribution, decimal."""
    weight: int
    """Part of 2^16 of the next model's step."""
    share: str
    """Part of all scores of the round, as a decimal number."""
    rank: int
    """From 1, the highest score; the same score is the same rank. 0 if rejected."""
    group: list[str]
    """Trainers whose updates count as one with this one, itself among them; empty: alone."""
    uncertainty: str | None
    """Half of what the two halves of the batch disagree on the score, in units of an average contribution, as a decimal
    number; None: the round was judged without such rows."""
    figures: list[VerdictFigure]
    sentence: str


def verdicts(
    outcome: PolicyOutcome,
    trainers: Sequence[str],
    pays: Sequence[int] | None = None,
    pool: int | None = None,
) -> list[Verdict]:
    """One verdict per row of the outcome, in its order.

    trainers: their addresses, in row order. pays, pool: what each is paid of how much, in base units, if that is
    known; otherwise sentences speak of the share of the scores. Raises `ScoringInputInvalid` if lengths differ."""
    count = len(outcome.rows)
    if len(trainers) != count or (pays is not None and (len(pays) != count or not pool or pool < 0)):
        raise ScoringInputInvalid(f"{count} rows, {len(trainers)} trainers: one each is needed, and pays of a pool")
    total = sum(outcome.scores)
    result = []
    for index, (row, trainer) in enumerate(zip(outcome.rows, trainers, strict=True)):
        share = row.score * ONE // total if total else 0
        if pays is None:
            effect = f"{percent(share)} of the round's scores"
        else:
            effect = f"paid {percent(pays[index] * ONE // pool)} of the round"
        result.append(
            Verdict(
                trainer=trainer,
                accepted=row.accepted,
                reason=row.reason.word,
                reason_code=int(row.reason),
                score=str(row.score),
                weight=row.weight,
                share=decimal(share),
                rank=1 + sum(other.score > row.score for other in outcome.rows) if row.accepted else 0,
                group=[trainers[member] for member in row.group],
                uncertainty=None if row.uncertainty is None else decimal(row.uncertainty),
                figures=[
                    VerdictFigure(
                        name=figure.name,
                        value=decimal(figure.value),
                        rule=figure.rule,
                        limit=decimal(figure.limit),
                    )
                    for figure in row.figures
                ],
                sentence=_sentence(row, effect, share * count * SMALL_SHARE < ONE),
            )
        )
    return result


def _sentence(row: RowOutcome, effect: str, small: bool) -> str:
    if row.words:
        return f"accepted, {effect}: {row.words}" if row.accepted else f"rejected: {row.words}"
    if row.reason is Reason.TOO_SMALL:
        norm = _required(row, "norm")
        return (
            f"rejected: its update is too short to count ({percent(norm.value)} of the median length, at least "
            f"{percent(norm.limit)} is needed)"
        )
    if row.reason is Reason.OPPOSES_OTHERS:
        cosine = _required(row, "cosine-with-others")
        return (
            f"rejected: its direction opposes the others (cosine {decimal(cosine.value)}, at least "
            f"{decimal(cosine.limit)} is needed)"
        )
    clipped = ""
    if row.clip < ONE:
        clipped = f"; its length, {_clip_text(row)}, counts as clipped"
    if small and row.figure("agreement") is not None:
        return f"accepted, {effect}: {_weakness(row)}{clipped}"
    agreement = row.figure("agreement")
    if agreement is None:
        return f"accepted, {effect}: every update counts the same under this policy"
    return f"accepted, {effect}: agreement with the others {_against(agreement, 'average')}{clipped}"


def _weakness(row: RowOutcome) -> str:
    """The figure that made the score small, in words."""
    agreement, novelty, company = (_required(row, name) for name in ("agreement", "novelty", "company"))
    fraction = {figure.name: _fraction(figure) for figure in (agreement, novelty, company)}
    # A replay leaves nothing of itself, so that what little is left also has no company: say the cause.
    if fraction["novelty"] < ONE // SMALL_SHARE:
        return (
            f"it repeats what earlier rounds already learned ({percent(novelty.value)} of it is new, full pay from "
            f"{percent(novelty.limit)})"
        )
    if fraction["company"] <= fraction["agreement"]:
        return (
            f"nothing of it agrees with what the others learned (shared direction {_against(company, 'full pay from')})"
        )
    return f"its direction hardly agrees with the others (agreement {_against(agreement, 'average')})"


def _fraction(figure: Figure) -> int:
    return min(ONE, max(0, figure.value) * ONE // figure.limit) if figure.limit else ONE


def _against(figure: Figure, word: str) -> str:
    return f"{decimal(figure.value)}, {word} {decimal(figure.limit)}"


def _clip_text(row: RowOutcome) -> str:
    clip = _required(row, "norm-clip")
    return f"{decimal(clip.value)} times the median (most {decimal(clip.limit)})"


def _required(row: RowOutcome, name: str) -> Figure:
    figure = row.figure(name)
    if figure is None:
        raise ScoringInputInvalid(f"a row {row.reason.word} has no figure {name!r}")
    return figure
