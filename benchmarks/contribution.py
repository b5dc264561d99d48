"""Does pay follow contribution? Scores against exact Shapley values, per round and over a project.

    python -m benchmarks.contribution [--quick] [--seeds N] [--task NAME] [--trainers N] [--jobs N] [--json FILE]

Honest trainers of one project, in simulated rounds; the truth is the exact Shapley value of the loss on examples that
no trainer and no batch has (all 2^n coalition models). "Over rounds" holds the sum of a trainer's pay shares against
the sum of its values: Spearman and Pearson correlation, and L1, the sum of |share of all pay - share of all value| over
trainers, 0 to 2, negative sums counting as nothing. The ceilings: exact Shapley values of each round paid directly, the
same on the public batch (the best that a score of the batch can know), and how far the truth on one half of its
examples agrees with that on the other. The audit score is the logit-average Shapley value on the examples of the truth.

Owners' batches have the size that an owner gets who asks for none: 256 where every round can then show new examples
(patterns), else 128 (digits). All figures with 128 everywhere, and with 256 everywhere, stand beside.

A full run takes hours; it remembers every project under .cohort/ and can be broken off.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean

import numpy as np

from benchmarks.contributions import ESTIMATES, POLICIES, Measured, Project, measure_ahead, measured
from benchmarks.processes import add_jobs_option
from benchmarks.rehearsals import interval, processor_time
from benchmarks.table import Row, print_table, write_json

PARTITIONS = ("iid-unequal", "dirichlet-0.5", "dirichlet-0.1", "label-noise", "feature-noise", "class-missing")
TASKS = ("digits-mlp", "digits-cnn", "patterns-mlp", "patterns-cnn")
TRAINERS = (8, 10)
QUICK = (
    ("digits-mlp", "dirichlet-0.5"),
    ("digits-mlp", "dirichlet-0.1"),
    ("digits-mlp", "label-noise"),
    ("patterns-mlp", "iid-unequal"),
    ("patterns-mlp", "class-missing"),
    ("patterns-mlp", "feature-noise"),
)
FIRST_SEED = 9001
BATCHES = (128, 256)
SMALL_SHARE = 0.02
"""Trainers with a smaller share of all value are no measure of the lowest ratio of pay to value."""


@dataclass(frozen=True)
class Figures:
    """What one project says of one score."""

    spearman: float
    pearson: float
    error: float
    by_accuracy: float
    error_by_accuracy: float
    per_round: float
    unpaid: float
    lowest: float


def ranks(values: np.ndarray) -> np.ndarray:
    """float64[n], ties at their mean rank."""
    order = np.argsort(values, kind="stable")
    result = np.empty(len(values))
    result[order] = np.arange(len(values), dtype=np.float64)
    for value in np.unique(values):
        same = values == value
        result[same] = result[same].mean()
    return result


def pearson(first: np.ndarray, second: np.ndarray) -> float:
    """Correlation; 0 if one of the two is constant."""
    a, b = first - first.mean(), second - second.mean()
    size = float(np.sqrt((a @ a) * (b @ b)))
    return float(a @ b) / size if size else 0.0


def spearman(first: np.ndarray, second: np.ndarray) -> float:
    """Rank correlation; 0 if one of the two is constant."""
    return pearson(ranks(first), ranks(second))


def shares(values: np.ndarray) -> np.ndarray:
    """float64[..., n] >= 0 -> parts of their sum, zeros where that is 0."""
    total = values.sum(-1, keepdims=True)
    return np.divide(values, total, out=np.zeros_like(values), where=total > 0)


def figures(scores: Sequence[Sequence[float]], project: Measured) -> Figures:
    """scores: [rounds][n]."""
    paid, truth = np.array(scores), np.array(project.loss)
    share = shares(paid).mean(0)
    total, by_accuracy = truth.sum(0), np.array(project.accuracy).sum(0)
    due = shares(np.maximum(total, 0))
    counted = due > SMALL_SHARE
    return Figures(
        spearman=spearman(share, total),
        pearson=pearson(share, total),
        error=float(np.abs(shares(share) - due).sum()),
        by_accuracy=spearman(share, by_accuracy),
        error_by_accuracy=float(np.abs(shares(share) - shares(np.maximum(by_accuracy, 0))).sum()),
        per_round=mean(spearman(a, b) for a, b in zip(paid, truth, strict=True)),
        unpaid=float((paid <= 0).mean()),
        lowest=float((shares(share) / np.maximum(due, 1e-12))[counted].min()) if counted.any() else 1.0,
    )


def grid(
    quick: bool, seeds: int, tasks: Sequence[str] | None = None, trainers: Sequence[int] | None = None
) -> list[Project]:
    """The projects of a run: every cell with n = 8 of an MLP with batches of both sizes, the others as owners do."""
    numbers = range(FIRST_SEED, FIRST_SEED + seeds)
    if quick:
        cells = [(task, partition, 8) for task, partition in QUICK]
    else:
        cells = [(task, partition, n) for n in TRAINERS for task in TASKS for partition in PARTITIONS]
    chosen = [cell for cell in cells if cell[0] in (tasks or TASKS) and cell[2] in (trainers or TRAINERS)]
    projects = [Project(*cell, seed, batch) for cell in chosen for seed in numbers for batch in BATCHES]
    return [one for one in projects if one.usual or (one.task.endswith("mlp") and one.honest == 8)]


def split_half(project: Measured) -> float:
    """Spearman correlation of the totals on the two halves of the reference examples."""
    return spearman(np.array(project.halves[0]).sum(0), np.array(project.halves[1]).sum(0))


class Table:
    """Builds rows from all projects."""

    def __init__(self, projects: Sequence[Project], results: Sequence[Measured]) -> None:
        self.projects, self.results = projects, results
        self.by_score = {
            name: [figures(each.scores[name], each) for each in results]
            for name in (*POLICIES, *ESTIMATES)
            if all(name in each.scores for each in results)
        }
        self.rows: list[Row] = []

    def add(
        self,
        what: str,
        score: str,
        of: Callable[[Figures], float],
        unit: str = "",
        goal: float | None = None,
        at_most: bool = True,
        only: str = "",
    ) -> None:
        """Mean over projects whose partition starts with `only`, with exact Shapley per round as the anchor."""
        chosen = [i for i, project in enumerate(self.projects) if project.partition.startswith(only)]
        values = [of(self.by_score[score][i]) for i in chosen]
        anchor = mean(of(self.by_score["exact"][i]) for i in chosen)
        worst = max(values) if at_most else min(values)
        self.rows.append(Row(what, mean(values), unit, anchor, goal, at_most, interval(values), worst))


def table(projects: Sequence[Project], results: Sequence[Measured]) -> list[Row]:
    """Goals first, then every score, then the cells of the default policy, then the sizes of batches."""
    made = _chosen(projects, results, lambda project: project.usual)
    made.add("default: Spearman over rounds", "default", lambda f: f.spearman, "", 0.87, False)
    made.add("default: payout error L1", "default", lambda f: f.error, "", 0.35)
    made.add("default, Dirichlet: Spearman over rounds", "default", lambda f: f.spearman, "", 0.80, False, "dirichlet")
    made.add("default, Dirichlet: payout error L1", "default", lambda f: f.error, "", 0.45, True, "dirichlet")
    made.add("default: honest trainer-rounds unpaid", "default", lambda f: f.unpaid, "part", 0.12)
    made.add("default: lowest honest share of its due, mean", "default", lambda f: f.lowest, "", 0.65, False)
    lowest = min(each.lowest for each in made.by_score["default"])
    exact_lowest = min(each.lowest for each in made.by_score["exact"])
    made.rows.append(Row("default: lowest honest share of its due, worst", lowest, "", exact_lowest, 0.4, False))
    made.add("audit: Spearman per round", "audit", lambda f: f.per_round, "", 0.80, False)
    made.add("audit: Spearman over rounds", "audit", lambda f: f.spearman, "", 0.90, False)
    gtg = mean(mean(each.gtg_evaluations) for each in made.results)
    passes = mean(project.honest + 1 for project in made.projects)
    made.rows.append(Row("audit: model runs, part of GTG-Shapley's", passes / gtg, "", gtg, 1 / 20))
    made.rows.append(
        Row("default: seconds per round, public rows included", _per_round(made.results, "score_seconds"), "s")
    )
    made.rows.append(
        Row("truth: Spearman of one half of its examples with the other", mean(map(split_half, made.results)), "")
    )
    for name in (*POLICIES, *ESTIMATES):
        made.add(f"{name}: Spearman over rounds", name, lambda f: f.spearman, at_most=False)
        made.add(f"{name}: Pearson over rounds", name, lambda f: f.pearson, at_most=False)
        made.add(f"{name}: Spearman per round", name, lambda f: f.per_round, at_most=False)
        made.add(f"{name}: L1", name, lambda f: f.error)
        made.add(f"{name}: Spearman with accuracy's values", name, lambda f: f.by_accuracy, at_most=False)
        made.add(f"{name}: L1 with accuracy's values", name, lambda f: f.error_by_accuracy)
        made.add(f"{name}: unpaid", name, lambda f: f.unpaid)
        made.add(f"{name}: lowest share of its due", name, lambda f: f.lowest, at_most=False)
    return made.rows + _groups(made) + _cells(made) + _sizes(projects, results)


def _chosen(projects: Sequence[Project], results: Sequence[Measured], choice: Callable[[Project], bool]) -> Table:
    places = [i for i, project in enumerate(projects) if choice(project)]
    return Table([projects[i] for i in places], [results[i] for i in places])


def _sizes(projects: Sequence[Project], results: Sequence[Measured]) -> list[Row]:
    """The default policy's figures with batches of one size everywhere (MLP, n = 8)."""
    rows = []
    for size in BATCHES:
        made = _chosen(
            projects, results, lambda p, size=size: p.batch == size and p.task.endswith("mlp") and p.honest == 8
        )
        if not made.projects:
            continue
        beside = f"batches of {size} everywhere"
        made.add(f"{beside}: Spearman over rounds", "default", lambda f: f.spearman, at_most=False)
        made.add(f"{beside}: L1", "default", lambda f: f.error)
        made.add(f"{beside}: lowest share of its due", "default", lambda f: f.lowest, at_most=False)
        made.add(f"{beside}: exact on the batch, Spearman", "exact on the batch", lambda f: f.spearman, at_most=False)
        made.add(f"{beside}: exact on the batch, lowest share", "exact on the batch", lambda f: f.lowest, at_most=False)
        rows += made.rows
    return rows


def _per_round(results: Sequence[Measured], name: str) -> float:
    return sum(getattr(each, name) for each in results) / sum(len(each.loss) for each in results)


KINDS: tuple[tuple[str, Callable[[Figures], float], bool], ...] = (
    ("Spearman", lambda f: f.spearman, False),
    ("L1", lambda f: f.error, True),
    ("lowest share of its due", lambda f: f.lowest, False),
)
"""(words, figure, whether less is better) of the rows of cells."""


def _groups(made: Table) -> list[Row]:
    """The default policy, each task and number of trainers, all partitions together, then what exact values on the
    public batch reach there."""
    rows = []
    for task, n in sorted({(p.task, p.honest) for p in made.projects}):
        chosen = [i for i, p in enumerate(made.projects) if (p.task, p.honest) == (task, n)]
        rows += _rows_of(made, chosen, f"{task}, n = {n}", "default")
        rows += _rows_of(made, chosen, f"{task}, n = {n}, exact on the batch", "exact on the batch")
    return rows


def _cells(made: Table) -> list[Row]:
    """The default policy, each task, partition and number of trainers."""
    rows = []
    for cell in sorted({(p.task, p.partition, p.honest) for p in made.projects}):
        chosen = [i for i, p in enumerate(made.projects) if (p.task, p.partition, p.honest) == cell]
        rows += _rows_of(made, chosen, f"{cell[0]}, {cell[1]}, n = {cell[2]}", "default")
    return rows


def _rows_of(made: Table, chosen: Sequence[int], label: str, score: str) -> list[Row]:
    """Means over chosen projects, with those of the exact values of each round beside."""
    rows = []
    for what, of, at_most in KINDS:
        values = [of(made.by_score[score][i]) for i in chosen]
        anchor = mean(of(made.by_score["exact"][i]) for i in chosen)
        worst = max(values) if at_most else min(values)
        rows.append(Row(f"{label}: {what}", mean(values), "", anchor, interval=interval(values), worst=worst))
    return rows


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(prog="benchmarks.contribution")
    parser.add_argument("--quick", action="store_true", help="six cells and three seeds")
    parser.add_argument("--seeds", type=int, help="seeds per cell; 3 with --quick, else 5")
    parser.add_argument("--task", action="append", choices=TASKS, help="only this task; may be repeated")
    parser.add_argument(
        "--trainers", action="append", type=int, choices=TRAINERS, help="only with so many trainers; may be repeated"
    )
    add_jobs_option(parser)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    projects = grid(given.quick, given.seeds or (3 if given.quick else 5), given.task, given.trainers)
    if not projects:
        parser.error("no project is left: --quick has n = 8 and digits-mlp and patterns-mlp only")
    measure_ahead(projects, given.jobs)
    results = [measured(project) for project in projects]
    rows = table(projects, results)
    count = sum(project.usual for project in projects)
    print_table(f"Contribution: {count} projects of honest trainers (anchor: exact Shapley per round)", rows)
    print(processor_time())
    if given.json:
        write_json(given.json, rows)


if __name__ == "__main__":
    main()
