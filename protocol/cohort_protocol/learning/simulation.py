"""Federated rounds in one process: the baselines beside a market, and experiments with policies.

Everything that decides a number is shared with the market: the codec, the local training, `evaluate_round`. Only
chain, IPFS and processes are missing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from cohort_protocol.learning.architecture import Architecture, initial_weights
from cohort_protocol.learning.data import Dataset
from cohort_protocol.learning.evaluation import Evaluation, evaluate_model
from cohort_protocol.learning.families import build_module
from cohort_protocol.learning.training import LocalTask, TrainFunction, local_seed, local_update, train
from cohort_protocol.scoring import Policy, PolicyOutcome, evaluate_round, weighted_sum
from cohort_protocol.scoring.gram import TOTAL_WEIGHT
from cohort_protocol.spec import HyperParameters
from cohort_protocol.update import apply_step, floats_from_model, model_from_floats


@dataclass(frozen=True)
class Participant:
    """One trainer of a simulation."""

    name: str
    dataset: Dataset
    seed: int
    train_function: TrainFunction = train


@dataclass(frozen=True)
class Federation:
    """What is trained, by which rules, for how long."""

    architecture: Architecture
    exponent: int
    rounds: int
    test: Dataset
    """Accuracy is measured on these examples after every round."""
    hyper: HyperParameters = field(default_factory=HyperParameters)
    seed: int = 0
    """Of the first weights, and mixed into every trainer's own seed: as in a project spec."""
    device: str = "cpu"

    def first_model(self) -> np.ndarray:
        """int64[d]."""
        return model_from_floats(initial_weights(self.architecture, self.seed), self.exponent)


@dataclass(frozen=True)
class SimulatedRound:
    """One round of a simulation."""

    evaluation: Evaluation
    outcome: PolicyOutcome | None
    """None where no policy was at work."""


@dataclass(frozen=True)
class SimulatedRun:
    """A simulation from the first model to the last."""

    rounds: tuple[SimulatedRound, ...]
    model: np.ndarray
    """int64[d]."""

    @property
    def accuracies(self) -> list[float]:
        """After every round."""
        return [each.evaluation.accuracy for each in self.rounds]


Aggregate = Callable[[list[np.ndarray], list[np.ndarray]], tuple[np.ndarray, PolicyOutcome | None]]
"""(updates int16[d], past steps int64[d] most recent first) -> (step int64[d], outcome)."""


def run_policy(
    federation: Federation,
    participants: Sequence[Participant],
    policy: Policy,
    after_round: Callable[[int, SimulatedRound], None] | None = None,
) -> SimulatedRun:
    """A market of `participants` under a policy. after_round: called with the number and the result of each."""

    def aggregate(updates: list[np.ndarray], past_steps: list[np.ndarray]) -> tuple[np.ndarray, PolicyOutcome | None]:
        result = evaluate_round(updates, past_steps, policy)
        return result.step, result.outcome

    return _run(federation, participants, aggregate, after_round)


def run_fedavg(federation: Federation, participants: Sequence[Participant]) -> SimulatedRun:
    """Federated averaging weighted by the number of examples, no filter (McMahan et al., AISTATS 2017).

    With the honest trainers only it is the clean baseline; with all of them the unfiltered one, in which cheats
    count by the examples that they claim to have."""
    sizes = [len(participant.dataset) for participant in participants]
    weights = [TOTAL_WEIGHT * size // sum(sizes) for size in sizes]

    def aggregate(updates: list[np.ndarray], _: list[np.ndarray]) -> tuple[np.ndarray, PolicyOutcome | None]:
        return weighted_sum(updates, weights), None

    return _run(federation, participants, aggregate, None)


def run_local_only(federation: Federation, participants: Sequence[Participant]) -> list[SimulatedRun]:
    """Each participant alone with its own data, from the same first model, for as many rounds."""
    return [run_fedavg(federation, [participant]) for participant in participants]


def _run(
    federation: Federation,
    participants: Sequence[Participant],
    aggregate: Aggregate,
    after_round: Callable[[int, SimulatedRound], None] | None,
) -> SimulatedRun:
    model = federation.first_model()
    past_steps: list[np.ndarray] = []
    rounds: list[SimulatedRound] = []
    for number in range(1, federation.rounds + 1):
        previous = floats_from_model(past_steps[0], federation.exponent) if past_steps else None
        weights = floats_from_model(model, federation.exponent)
        updates = [
            local_update(
                participant.train_function,
                LocalTask(
                    model=build_module(federation.architecture, weights),
                    inputs=participant.dataset.inputs,
                    labels=participant.dataset.labels,
                    hyper=federation.hyper,
                    round=number,
                    seed=local_seed(federation.seed, number, participant.seed),
                    previous_step=previous,
                    device=federation.device,
                ),
                federation.exponent,
            )
            for participant in participants
        ]
        step, outcome = aggregate(updates, past_steps)
        model = apply_step(model, step)
        # A round that changed nothing leaves no step: nothing of it could be replayed.
        if step.any():
            past_steps.insert(0, step)
        evaluation = evaluate_model(
            federation.architecture, model, federation.exponent, federation.test, federation.device
        )
        rounds.append(SimulatedRound(evaluation, outcome))
        if after_round is not None:
            after_round(number, rounds[-1])
    return SimulatedRun(tuple(rounds), model)
