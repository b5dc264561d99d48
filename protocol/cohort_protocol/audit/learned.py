"""Checks that run models: public rows of a batch, and what updates were worth on it. They need torch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from importlib.util import find_spec

from cohort_protocol.audit.cases import SEALED, RoundCase
from cohort_protocol.audit.findings import Check, Result, absent, agreed, false, shown, unknown
from cohort_protocol.bundle import fetch_model, fetch_update
from cohort_protocol.commitments import ZERO32
from cohort_protocol.computed_rows import ComputedRows, check_rows, rows_without_batch
from cohort_protocol.errors import InvalidInput
from cohort_protocol.learning.batches import fetch_batch
from cohort_protocol.proof.scheme import CommitmentScheme
from cohort_protocol.round_rows import RowsUnusable, reads_batch
from cohort_protocol.scoring.catalogue.logit_average import LogitAverage, logit_average_shapley
from cohort_protocol.scoring.catalogue.shapley import MAX_EXACT, GtgSettings, gtg_shapley
from cohort_protocol.scoring.errors import ScoringInputInvalid

_NO_TORCH = "this check runs models, and torch is not installed here: pip install 'cohort[learning]'"
SWEEPS = 100
"""Permutations for rounds with more rows than exact values can be computed of."""


def public_rows(case: RoundCase) -> Result:
    """The posted public rows follow from batch, model and updates, within the witnesses' tolerance."""
    posted = case.record.public_rows
    if posted == ZERO32:
        return absent("no public rows were posted")
    if case.project.sealed:
        return absent(SEALED)
    inputs = case.inputs.get()
    reads = reads_batch(case.project.policy().needs) and case.record.validation != ZERO32
    if not reads and inputs.settlement == "attested":
        return absent("the policy reads no batch here")
    if reads and find_spec("torch") is None:
        return unknown(_NO_TORCH)
    case.say(f"round {case.number}: computing its public rows again")
    scheme = case.project.scheme()
    ours = _with_batch(case, scheme) if reads else rows_without_batch(inputs, case.store, scheme)
    text = f"{len(ours.rows)} public rows computed again are those posted, "
    if ours.digest == posted:
        return agreed([], text + "byte for byte", rows=len(ours.rows))
    try:
        check_rows(ours, posted, inputs, case.store, None if inputs.settlement == "attested" else scheme)
    except RowsUnusable as error:
        return false(f"the public rows that were posted do not follow from the batch: {error}")
    return agreed([], text + "within tolerance", rows=len(ours.rows))


def _with_batch(case: RoundCase, scheme: CommitmentScheme) -> ComputedRows:
    """In a proven round a batch that is none leaves the past steps."""
    from cohort_protocol.learning.public_rows import compute_rows

    inputs = case.inputs.get()
    try:
        return compute_rows(inputs, case.project.spec.get(), case.store, scheme)
    except InvalidInput:
        if inputs.settlement == "attested":
            raise
        return rows_without_batch(inputs, case.store, scheme)


def contribution(case: RoundCase) -> Result:
    """Shares of the pay beside logit-average Shapley values of the updates on the round's batch (protocol, section 6):
    a spot check by another rule, with its rank correlation. Only shown: the policy decides pay, not this."""
    if case.record.validation == ZERO32:
        return absent("no batch was revealed to measure contribution on")
    if case.project.sealed:
        return absent(SEALED)
    if len(case.record.rows) < 2:
        return absent("one row has nobody to be compared with")
    if find_spec("torch") is None:
        return unknown(_NO_TORCH)
    case.say(f"round {case.number}: what its updates were worth")
    values = _values(case)
    measured = [row for row, value in enumerate(values) if value is not None]
    if len(measured) < 2:
        return absent("the models of all updates but one have diverged: there is nothing to compare")
    paid = [row.pay for _, row in case.judged()]
    total = sum(paid) or 1
    positive = sum(max(0, values[row] or 0) for row in measured) or 1
    shares = {row: float(max(0, values[row] or 0) / positive) for row in measured}
    correlation = spearman([float(values[row] or 0) for row in measured], [float(paid[row]) for row in measured])
    words = "no rank correlation: all are equal" if correlation is None else f"Spearman {correlation:.2f}"
    pairs = [
        f"{amount / total:.3f}/{shares[row]:.3f}" if row in shares else f"{amount / total:.3f}/diverged"
        for row, amount in enumerate(paid)
    ]
    return shown(
        f"pay against logit-average Shapley of {len(measured)} rows: {words}; shares paid/Shapley by row: "
        + " ".join(pairs),
        spearman="" if correlation is None else f"{correlation:.4f}",
        shares_paid=" ".join(f"{amount / total:.6f}" for amount in paid),
        shares_shapley=" ".join(f"{shares[row]:.6f}" if row in shares else "-" for row in range(len(paid))),
    )


def _values(case: RoundCase) -> list[Fraction | None]:
    """Of each row; None: the model with that update alone has diverged, so that it has no place in the game."""
    from cohort_protocol.learning.architecture import parse_architecture
    from cohort_protocol.learning.coalitions import logit_average

    inputs, spec, store = case.inputs.get(), case.project.spec.get(), case.store
    d, start, scheme = inputs.dimension, inputs.models[-1], case.project.scheme()
    architecture = parse_architecture(spec.model.family, spec.model.config, spec.data)
    model = fetch_model(store, start.cid, start.commitment, d, scheme)
    updates = [fetch_update(store, row.cid, row.update, d, scheme) for row in inputs.rows]
    batch = fetch_batch(store, inputs.validation, case.number, spec.data)

    def game(rows: Sequence[int]) -> LogitAverage:
        return logit_average(architecture, inputs.exponent, model, [updates[row] for row in rows], batch)

    rows = [row for row in range(len(updates)) if _has_value(lambda row=row: game([row]))]
    found: list[Fraction | None] = [None] * len(updates)
    if rows:
        for row, value in zip(rows, _shapley(game(rows), case.number), strict=True):
            found[row] = value
    return found


def _has_value(game: Callable[[], LogitAverage]) -> bool:
    try:
        game()
    except ScoringInputInvalid:
        return False
    return True


def _shapley(game: LogitAverage, seed: int) -> list[Fraction]:
    n = len(game.members)
    if n <= MAX_EXACT:
        return logit_average_shapley(game)
    return gtg_shapley(game, n, seed=seed, settings=GtgSettings(most_permutations=SWEEPS)).values


def spearman(first: list[float], second: list[float]) -> float | None:
    """Rank correlation with mean ranks for ties (C. Spearman, 1904); None if either is constant."""
    x, y = _ranks(first), _ranks(second)
    n = len(x)
    mean = (n + 1) / 2
    over = sum((a - mean) * (b - mean) for a, b in zip(x, y, strict=True))
    spread = sum((a - mean) ** 2 for a in x) * sum((b - mean) ** 2 for b in y)
    return over / spread**0.5 if spread else None


def _ranks(values: list[float]) -> list[float]:
    order = sorted(values)
    return [order.index(value) + (order.count(value) + 1) / 2 for value in values]


CHECKS: tuple[Check[RoundCase], ...] = (
    Check("public-rows", "posted public rows against batch, model and updates, within tolerance", public_rows),
    Check(
        "contribution",
        "shares of pay beside logit-average Shapley values on the batch: only shown",
        contribution,
        False,
    ),
)
