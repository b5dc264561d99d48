"""Who judges a simulated round: a policy of the market, or the exact Shapley values beside which it is held."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from cohort_protocol.learning.validation import ValidationRound, validation_rows
from cohort_protocol.rehearsal.world import Round
from cohort_protocol.scoring import ONE, Policy, evaluate_round, policy_by_name, weighted_sum
from cohort_protocol.scoring.default import DefaultPolicy
from cohort_protocol.scoring.gram import TOTAL_WEIGHT
from cohort_protocol.scoring.rows import PublicRows, PublicVectors


@dataclass(frozen=True)
class Decision:
    """What a judge says of a round, in the order of its updates."""

    scores: tuple[int, ...]
    """In units of 1/ONE, 0 if rejected."""
    reasons: tuple[int, ...]
    """0 if accepted."""
    step: np.ndarray
    """int64[d]."""


class Judge(Protocol):
    """Decides rounds. The same round gives the same decision."""

    @property
    def name(self) -> str:
        """For tables."""

    def score_floor(self, slots: int) -> int:
        """S_floor of a project with this many slots."""

    def decide(self, round: Round) -> Decision:
        """Scores and the step."""


@dataclass(frozen=True)
class PolicyJudge:
    """A policy, as a worker applies it. `batches` False: a project without a validation set."""

    policy: Policy
    batches: bool = True

    @property
    def name(self) -> str:
        return self.policy.name

    def score_floor(self, slots: int) -> int:
        return self.policy.suggested_score_floor(slots)

    def decide(self, round: Round) -> Decision:
        validation = public_vectors(round, self.policy) if self.batches else None
        result = evaluate_round(round.updates, round.past_steps, self.policy, validation)
        outcome = result.outcome
        return Decision(outcome.scores, tuple(int(reason) for reason in outcome.reasons), result.step)


@dataclass(frozen=True)
class ShapleyJudge:
    """Pays by the exact Shapley values of the batch's loss, what is negative counting as 0, and averages everybody: the
    ideal of the literature (Wang et al., 2020), at 2^n model evaluations a round."""

    name: str = "exact-shapley"

    def score_floor(self, slots: int) -> int:
        return 1

    def decide(self, round: Round) -> Decision:
        values = np.maximum(round.shapley().batch_loss, 0.0)
        mean = float(values.mean())
        scores = tuple(int(value / mean * ONE) if mean > 0 else 0 for value in values)
        n = len(round.updates)
        return Decision(scores, (0,) * n, weighted_sum(round.updates, [TOTAL_WEIGHT // n] * n))


@dataclass(frozen=True)
class AverageJudge:
    """Federated averaging weighted by the number of examples that each trainer claims, no filter, equal pay (McMahan et
    al., AISTATS 2017). Without cheats it is the clean baseline."""

    name: str = "fedavg-by-examples"

    def score_floor(self, slots: int) -> int:
        return 1

    def decide(self, round: Round) -> Decision:
        sizes = round.world.sizes
        weights = [TOTAL_WEIGHT * size // sum(sizes) for size in sizes]
        return Decision((ONE,) * len(sizes), (0,) * len(sizes), weighted_sum(round.updates, weights))


def judge_by_name(name: str) -> Judge:
    """`exact-shapley`, `fedavg-by-examples`, or a policy's judge. Raises `UnknownPolicy`."""
    for judge in (ShapleyJudge(), AverageJudge()):
        if judge.name == name:
            return judge
    return PolicyJudge(policy_by_name(name))


def public_vectors(round: Round, policy: Policy | None = None) -> PublicVectors:
    """The rows that witnesses compute once the batch is revealed: those that the policy reads, or u0 and all gradients
    (without those by class). Value rows come with a memory: call this once per round, in order."""
    if isinstance(policy, DefaultPolicy):
        return _validated(round, policy)
    needs = PublicRows(trainable=True, gradients=True, halves=True) if policy is None else policy.needs
    trainable = round.common_update if needs.trainable else None
    if not needs.gradients and not needs.classes:
        return PublicVectors(trainable=trainable)
    first = round.gradient()
    probe = weighted_sum(round.updates, probe_weights(round.updates, first))
    classes: tuple[tuple[np.ndarray, np.ndarray], ...] = ()
    if needs.classes:
        classes = tuple(zip(round.class_gradients(), round.class_gradients(probe), strict=True))
    halves = (round.half_gradient(), round.half_gradient(probe)) if needs.halves else None
    return PublicVectors(trainable=trainable, gradients=(first, round.gradient(probe)), halves=halves, classes=classes)


def _validated(round: Round, policy: DefaultPolicy) -> PublicVectors:
    common = round.common_update if policy.needs.trainable else None
    found = validation_rows(validation_round(round, round.world.remembered, common), policy)
    round.world.remembered = found.values
    return found.vectors


def validation_round(round: Round, earlier: Sequence[int], common: np.ndarray | None = None) -> ValidationRound:
    """What value rows of a simulated round are computed from. earlier: the values of the round before, by trainer;
    common: u0, int16[d], if it was trained already."""
    world = round.world
    return ValidationRound(
        architecture=world.task.architecture,
        exponent=world.task.exponent,
        model=round.model,
        updates=round.updates,
        batch=round.batch,
        revealed=round.revealed,
        hyper=world.task.hyper,
        round=round.number,
        seed=world.scenario.seed,
        earlier=earlier,
        common=common,
    )


def probe_weights(updates: Sequence[np.ndarray], gradient: np.ndarray) -> list[int]:
    """Weights of the clipped mean of the rows that pass the margin filter (protocol, section 6): where g1 is taken.

    updates: int16[d]; gradient: g0, int64[d]. Parts of 2^16."""
    rows = np.stack(updates).astype(np.float64)
    norms = np.linalg.norm(rows, axis=1)
    nonzero = norms[norms > 0]
    if not len(nonzero):
        return [0] * len(updates)
    median = float(np.sort(nonzero)[(len(nonzero) - 1) // 2])
    clips = np.minimum(1.0, 2.0 * median / np.maximum(norms, 1e-300))
    clipped = rows * clips[:, None]
    others = clipped.sum(0)[None] - clipped
    slope = -gradient.astype(np.float64)

    def cosines(of: np.ndarray) -> np.ndarray:
        length = norms * np.linalg.norm(of, axis=-1)
        return (rows * of).sum(1) / np.maximum(length, 1e-300)

    downhill, company = cosines(np.broadcast_to(slope, rows.shape)), cosines(others)
    passed = (norms >= 0.05 * median) & (downhill > -0.1) & ((downhill > 0) | (company > -0.1))
    count = max(1, int(passed.sum()))
    return [int(TOTAL_WEIGHT * clip) // count if ok else 0 for clip, ok in zip(clips, passed, strict=True)]
