"""One project of honest trainers, scored in every way that `benchmarks.contribution` compares.

All scores see the same rounds; the model moves by the default policy's step. What is measured of a project is kept
under .cohort/, as with `benchmarks.rehearsals`, so that a long grid can be broken off.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from functools import cache
from hashlib import sha256
from pathlib import Path
from time import perf_counter

import numpy as np
from cohort_protocol.learning.batches import default_batch_size
from cohort_protocol.learning.data import Dataset
from cohort_protocol.learning.measuring import example_values
from cohort_protocol.learning.validation import validation_rows
from cohort_protocol.rehearsal import Scenario, World
from cohort_protocol.rehearsal.judges import validation_round
from cohort_protocol.rehearsal.shapley import coalition_models, shapley_values
from cohort_protocol.rehearsal.tasks import task_by_name
from cohort_protocol.rehearsal.world import Round
from cohort_protocol.scoring import Policy, PublicVectors, evaluate_round, policy_by_name
from cohort_protocol.scoring.catalogue.shapley import gtg_shapley
from cohort_protocol.scoring.default import DefaultParameters, DefaultPolicy

from benchmarks.processes import run_all
from benchmarks.rehearsals import ROOT, code_digest, keep

CACHE = ROOT / ".cohort" / "contributions"
POLICIES = ("default", "without memory", "curved", "linear", "peer")
ESTIMATES = ("exact", "exact on the batch", "audit", "audit on the batch", "GTG")
BESIDE = ("default", "exact", "exact on the batch")
"""What is measured of projects whose batches have another size than usual."""


@dataclass(frozen=True)
class Project:
    """What is simulated."""

    task: str
    partition: str
    honest: int
    seed: int
    batch: int = 128
    """Examples in each of the owner's batches."""
    rounds: int = 8

    @property
    def usual(self) -> bool:
        """Whether the owner of the task's examples gets batches of this size without asking for another."""
        return self.batch == default_batch_size(owners_examples(self.task), self.rounds)


@dataclass
class Measured:
    """Scores and true values of one project; a list of n numbers per round."""

    loss: list[list[float]] = field(default_factory=list)
    """Exact Shapley values of the loss on the reference examples: the truth."""
    accuracy: list[list[float]] = field(default_factory=list)
    halves: tuple[list[list[float]], list[list[float]]] = field(default_factory=lambda: ([], []))
    scores: dict[str, list[list[float]]] = field(default_factory=dict)
    gtg_evaluations: list[int] = field(default_factory=list)
    """Models that GTG-Shapley ran, per round."""
    audit_seconds: float = 0.0
    score_seconds: float = 0.0
    """Of the public rows and the default policy."""


@cache
def owners_examples(task: str) -> int:
    """How many examples the owner of a bundled task draws batches from."""
    return len(task_by_name(task, 0).public)


def measured(project: Project) -> Measured:
    """Simulates the project, or remembers it."""
    file = _file(project)
    if not file.exists():
        _remember((file, project))
    return Measured(**json.loads(file.read_text()))


def measure_ahead(projects: Sequence[Project], jobs: int) -> None:
    """Simulates every project that is not remembered yet, in the order given, in several processes."""
    files = {_file(project): project for project in projects}
    run_all(_remember, [(file, project) for file, project in files.items() if not file.exists()], jobs)


def _file(project: Project) -> Path:
    """Where a project is remembered; see `benchmarks.rehearsals`."""
    code = code_digest() + Path(__file__).read_text()
    key = sha256(json.dumps([asdict(project), code], sort_keys=True).encode()).hexdigest()[:40]
    return CACHE / f"{key}.json"


def _remember(piece: tuple[Path, Project]) -> None:
    file, project = piece
    keep(file, asdict(_simulate(project)))


def _policies() -> dict[str, Policy]:
    return {
        "default": DefaultPolicy(),
        "without memory": DefaultPolicy(DefaultParameters(memory_bps=0)),
        "curved": DefaultPolicy(DefaultParameters(evidence=2)),
        "linear": DefaultPolicy(DefaultParameters(evidence=4)),
        "peer": policy_by_name("peer"),
    }


def _simulate(project: Project) -> Measured:
    world = World(
        Scenario(
            task=project.task,
            partition=project.partition,
            honest=project.honest,
            rounds=project.rounds,
            seed=project.seed,
            batch=project.batch,
        )
    )
    wanted = (*POLICIES, *ESTIMATES) if project.usual else BESIDE
    result = Measured(scores={name: [] for name in wanted})
    policies = {name: policy for name, policy in _policies().items() if name in wanted}
    memories = {name: (0,) * project.honest for name in policies}
    for _ in range(project.rounds):
        round = world.next_round()
        step = None
        by_gradients: PublicVectors | None = None
        common: np.ndarray | None = None  # u0, trained once
        for name, policy in policies.items():
            started = perf_counter()
            vectors = PublicVectors()
            if isinstance(policy, DefaultPolicy) and policy.needs.values:
                rows = validation_rows(validation_round(round, memories[name], common), policy)
                vectors, memories[name], common = rows.vectors, rows.values, rows.vectors.trainable
            elif isinstance(policy, DefaultPolicy):
                given = validation_round(round, memories[name], common)
                by_gradients = by_gradients or validation_rows(given, policy).vectors
                vectors = by_gradients
            evaluation = evaluate_round(round.updates, round.past_steps, policy, vectors)
            result.scores[name].append([float(score) for score in evaluation.outcome.scores])
            if name == "default":
                step = evaluation.step
                result.score_seconds += perf_counter() - started
        _truth(result, round, project.seed)
        world.apply(step)
    return result


def _truth(result: Measured, round: Round, seed: int) -> None:
    """Exact Shapley values by all 2^n models, and the estimates beside them."""
    world = round.world
    reference = world.task.reference
    count = len(reference)
    both = Dataset(
        np.concatenate([reference.inputs, round.batch.inputs]),
        np.concatenate([reference.labels, round.batch.labels]),
    )
    losses, correct = world.stacks.values(coalition_models(round.weights, round.real_updates), both)
    losses = losses.astype(np.float64)

    def exact(part: slice) -> list[float]:
        means = losses[:, part].mean(1)
        return shapley_values(means[0] - means).tolist()

    result.loss.append(exact(slice(0, count)))
    hits = correct[:, :count].mean(1)
    result.accuracy.append(shapley_values(hits - hits[0]).tolist())
    result.halves[0].append(exact(slice(0, count // 2)))
    result.halves[1].append(exact(slice(count // 2, count)))
    scores = result.scores
    scores["exact"].append(np.maximum(result.loss[-1], 0).tolist())
    scores["exact on the batch"].append(np.maximum(exact(slice(count, None)), 0).tolist())
    if "audit" not in scores:
        return
    for name, data in (("audit", reference), ("audit on the batch", round.batch)):
        started = perf_counter()
        values = logit_average(round, data)
        if name == "audit":
            result.audit_seconds += perf_counter() - started
        scores[name].append(np.maximum(values, 0).tolist())
    utilities = np.rint((losses[0, :count].mean() - losses[:, :count].mean(1)) * 2**30).astype(np.int64)
    found = gtg_shapley(
        lambda members: int(utilities[sum(1 << member for member in members)]), len(round.updates), seed
    )
    result.gtg_evaluations.append(found.evaluations)
    scores["GTG"].append([max(0.0, float(value)) for value in found.values])


def logit_average(round: Round, data: Dataset) -> np.ndarray:
    """The audit score: logit-average Shapley values on `data`, float64[n], nats. n + 1 forward passes."""
    models = np.concatenate([round.weights[None], round.weights[None] + round.real_updates])
    logits = round.world.stacks.logits_on(models, data).astype(np.float64)
    return example_values(logits[0], logits[1:], data.labels).mean(1)
