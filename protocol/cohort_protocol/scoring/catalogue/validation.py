"""Rules that hold every row against the gradient g0 of the validation loss: FLTrust, DIG-FL, leave-one-out.

In a round whose batch was not revealed there is no g0: such a round is judged by the peer policy with its default
parameters, under this policy's name and hash. Trainers see before they join which rule a project falls back to.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from cohort_protocol.scoring.catalogue.rule import CatalogueRule, NoParameters, shares, step_weights
from cohort_protocol.scoring.fixed_point import ONE, cosine, median, norm
from cohort_protocol.scoring.gram import TOTAL_WEIGHT, Gram
from cohort_protocol.scoring.outcome import Figure, PolicyOutcome, Reason, RowOutcome, Rule
from cohort_protocol.scoring.peer import PeerPolicy
from cohort_protocol.scoring.rows import PublicRows

FALLBACK = PeerPolicy()


class ValidationRule(CatalogueRule):
    """A rule that reads g0."""

    kind = NoParameters

    @property
    def needs(self) -> PublicRows:
        """The gradients, and what the peer policy reads without them."""
        return replace(FALLBACK.needs, gradients=True)

    def evaluate(self, gram: Gram, updates: int, public: PublicRows) -> PolicyOutcome:
        """As `CatalogueRule.evaluate`; without gradients as the peer policy."""
        if public.gradients:
            return super().evaluate(gram, updates, public)
        outcome = FALLBACK.evaluate(gram, updates, public)
        return PolicyOutcome(self.name, self.policy_hash(), outcome.rows)


def _lower_loss(gram: Gram, rows: Sequence[int], gradients: tuple[int, int]) -> list[int]:
    """s_a = -<g0, u_a>: the loss that u_a takes away to first order, in the unit of g0 times that of u; exact."""
    return [-gram[a][gradients[0]] for a in rows]


class FlTrustPolicy(ValidationRule):
    """Trust max(0, cos(u_a, -g0)) as weight and pay, every row at the median length. Cao, Fang, Liu, Gong, "FLTrust:
    Byzantine-robust federated learning via trust bootstrapping", NDSS 2021.

    Their server trains on its own data and lends its update's length to all; a gradient has no such length, hence the
    median. Where nobody has a positive cosine nobody is paid and the model stays."""

    name = "fltrust"

    def judge(self, gram: Gram, rows: Sequence[int], gradients: tuple[int, int]) -> list[RowOutcome]:
        """Cosines and voices in units of 2^-30, rounded towards zero."""
        squares = gram[gradients[0]][gradients[0]]
        cosines = [
            cosine(value, gram[a][a], squares)
            for a, value in zip(rows, _lower_loss(gram, rows, gradients), strict=True)
        ]
        trusts = [max(0, value) for value in cosines]
        norms = [norm(gram[a][a]) for a in rows]
        middle = median(norms)
        pulls = [trust * middle // value for trust, value in zip(trusts, norms, strict=True)]
        return _paid("cosine-with-validation", cosines, step_weights(pulls, max(1, sum(trusts))), trusts)


class DigFlPolicy(ValidationRule):
    """Pays max(0, s_a), s_a = -<g0, u_a>, and weighs rows by it. Wang, Zhang, Li, You, Cheng, "Efficient
    participant contribution evaluation for horizontal and vertical federated learning", ICDE 2022 (DIG-FL), first
    order term, with their reweighting."""

    name = "dig-fl"

    def judge(self, gram: Gram, rows: Sequence[int], gradients: tuple[int, int]) -> list[RowOutcome]:
        """Exact but for one division per score and weight."""
        gains = _lower_loss(gram, rows, gradients)
        trusts = [max(0, value) for value in gains]
        return _paid("lower-loss", _relative(gains), step_weights(trusts, max(1, sum(trusts))), trusts)


class LeaveOneOutPolicy(ValidationRule):
    """Pays max(0, V(all) - V(all but a)) for the first order utility V(S) = -<g0, mean of S>: a row earns by how far
    it is better than the mean of the others. Leave-one-out goes back to Cook, "Detection of influential observation
    in linear regression", Technometrics 1977; as a price of data Ghorbani, Zou, "Data Shapley", ICML 2019, compare
    with it. The step is the plain mean. About half of honest rows are worse than the mean of the others and unpaid."""

    name = "leave-one-out"

    def judge(self, gram: Gram, rows: Sequence[int], gradients: tuple[int, int]) -> list[RowOutcome]:
        """V(all) - V(without a) = (n s_a - sum s) / (n (n - 1)): its numerator decides, exactly. V(nobody) = 0."""
        n, gains = len(rows), _lower_loss(gram, rows, gradients)
        total = sum(gains)
        margins = [n * value - total for value in gains] if n > 1 else gains
        weights = [TOTAL_WEIGHT // n] * n
        return _paid("better-than-others", _relative(margins), weights, [max(0, value) for value in margins])


def _relative(values: Sequence[int]) -> list[int]:
    """Each value over the mean size, in units of 1/ONE, towards zero."""
    scale = sum(abs(value) for value in values)
    return [(abs(value) * len(values) * ONE // scale if scale else 0) * (1 if value >= 0 else -1) for value in values]


def _paid(figure: str, values: Sequence[int], weights: Sequence[int], trusts: Sequence[int]) -> list[RowOutcome]:
    mean = sum(max(0, value) for value in values) // len(values)
    return [
        RowOutcome(
            Reason.ACCEPTED,
            score,
            weight,
            ONE,
            (Figure(figure, value, Rule.COMPARED, mean),),
            "paid by how far it lowers the loss on the validation batch",
        )
        for value, score, weight in zip(values, shares(trusts), weights, strict=True)
    ]
