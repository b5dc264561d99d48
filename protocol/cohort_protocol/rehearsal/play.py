"""Plays rounds of a world under a judge and keeps the books: pay by the contract's own rule."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from cohort_protocol.payout import pays
from cohort_protocol.rehearsal.judges import Decision, Judge
from cohort_protocol.rehearsal.world import Round, Scenario, ShapleyTable, World

SHARE_CAP = 4
"""Nobody gets more than this times an equal share: the default of the terms."""
POOL = 10**18
"""Base units that a round distributes."""


@dataclass(frozen=True)
class PlayedRound:
    """One round and what came of it."""

    number: int
    decision: Decision
    pay: tuple[int, ...]
    """Base units, in row order; sums to at most the pool."""
    accuracy: float
    """Of the new model on the reference examples."""
    loss: float
    shapley: ShapleyTable | None
    """If it was asked for."""


@dataclass(frozen=True)
class Played:
    """A whole rehearsal."""

    scenario: Scenario
    judge: str
    rounds: tuple[PlayedRound, ...]
    pool: int
    backdoor_success: float | None
    """Of the last model; None without a back-door."""

    @property
    def accuracy(self) -> float:
        """Mean over the last three rounds: a single round swings by more than the goals."""
        return float(np.mean([each.accuracy for each in self.rounds[-3:]]))

    @property
    def earned(self) -> tuple[int, ...]:
        """By trainer, base units over all rounds."""
        return tuple(sum(column) for column in zip(*(each.pay for each in self.rounds), strict=True))

    @property
    def honest_mean(self) -> float:
        """Mean pay of the honest, base units."""
        return float(np.mean([float(one) for one in self.earned[: self.scenario.honest]]))

    def group_pay(self, group: int) -> int:
        """What a group of cheats earned together, base units."""
        return sum(self.earned[place] for place in self.scenario.places()[group])

    def relative_pay(self, group: int) -> float:
        """What a group earned together over the mean honest pay; infinite if only cheats were paid."""
        if self.honest_mean == 0:
            return float("inf") if self.group_pay(group) else 0.0
        return self.group_pay(group) / self.honest_mean

    @property
    def paid_out(self) -> float:
        """Part of all pools that somebody got."""
        return sum(self.earned) / (self.pool * len(self.rounds))

    @property
    def honest_unpaid(self) -> float:
        """Part of honest trainer-rounds that earned nothing."""
        honest = self.scenario.honest
        return float(np.mean([one == 0 for each in self.rounds for one in each.pay[:honest]]))


def play(
    scenario: Scenario,
    judge: Judge,
    *,
    pool: int = POOL,
    share_cap: int = SHARE_CAP,
    score_floor: int | None = None,
    shapley: bool = False,
    after_round: Callable[[Round, PlayedRound], None] | None = None,
) -> Played:
    """Plays a scenario to its end. score_floor: default as the judge suggests for this many trainers; shapley: also
    compute exact Shapley values of every round (2^n models). Raises `RehearsalInvalid`."""
    world = World(scenario)
    floor = judge.score_floor(scenario.trainers) if score_floor is None else score_floor
    rounds = []
    for _ in range(scenario.rounds):
        committed = world.next_round()
        decision = judge.decide(committed)
        paid = pays(decision.scores, decision.reasons, pool, floor, share_cap)
        world.apply(decision.step)
        table = committed.shapley() if shapley else None
        played = PlayedRound(committed.number, decision, tuple(paid), world.accuracy(), world.loss(), table)
        rounds.append(played)
        if after_round is not None:
            after_round(committed, played)
    return Played(scenario, judge.name, tuple(rounds), pool, world.backdoor_success())
