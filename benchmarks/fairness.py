"""What cheating pays: the pay of every cheat over the mean honest pay, in simulated markets.

    python -m benchmarks.fairness [--quick] [--seeds N] [--policy NAME] [--task NAME] [--no-exact]
                                  [--jobs N] [--json FILE]

Eight honest trainers and a group of cheats share a project for eight rounds; pay follows the contract's rule with a
share cap of 4/n. "Each" is one cheat's pay, "together" all of a group's. Copies and clones are held against what the
same data owner earns in the same market under one name (ratio of the means over seeds). Beside the default policy:
equal split (FedAvg), multi-Krum, and the exact Shapley values of the round's batch.

A full run takes hours; it remembers every market it has played under .cohort/ and can be broken off. Rows without a
goal are what the protocol knows as weak, and cells of the grid.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean

import numpy as np
from cohort_protocol.rehearsal import Scenario
from cohort_protocol.scoring import known_policies

from benchmarks.processes import add_jobs_option
from benchmarks.rehearsals import Market, interval, outcome, play_ahead, processor_time
from benchmarks.table import Row, print_table, write_json

HONEST = 8
ROUNDS = 8
MOST_SHAPLEY = 12
"""Players for whom 2^n models are evaluated."""


@dataclass(frozen=True)
class Case:
    """One way to cheat and what it may pay."""

    attack: str
    members: int
    goal: float | None = None
    measure: str = "each"
    """each, together, alone (together, over what the group's data owner earns by honest work under one name), victim
    (the first honest trainer's pay over what it earns without the copier)."""
    beside: tuple[tuple[str, int], ...] = ()
    """Other cheats in the same market: (attack, members)."""
    least_seeds: int = 0
    """Fewest seeds where the goal is held against: three owners' shards say little about one owner in general."""

    @property
    def owns(self) -> bool:
        """Whether the cheats are names of one data owner, who could work honestly instead."""
        owners = ("clones", "reseeded-clones", "masked-clones", "shard-clones", "scaling")
        return self.attack.partition(":")[0] in owners

    @property
    def label(self) -> str:
        names = f"{self.members} x " if self.members > 1 else ""
        others = "".join(f" beside {members} x {attack}" for attack, members in self.beside)
        words = {
            "each": "each",
            "together": "together",
            "alone": "in all, of the same owner's honest pay",
            "victim": "what is left to the copied trainer",
        }
        return f"{names}{self.attack}{others}: {words[self.measure]}"


CASES = (
    Case("replay", 1, 0.02),
    Case("replay-average", 1, 0.02),
    Case("step-noise", 1, 0.1),
    Case("noise", 2, 0.05),
    Case("zeros", 2, 0.05),
    Case("sign-flip", 2, 0.05),
    Case("label-flip", 3, 0.05),
    Case("random-group", 3, 0.05),
    Case("copy", 1, 1.05, "alone"),
    Case("clones", 2, 1.05, "alone"),
    Case("clones", 4, 1.05, "alone"),
    Case("clones", 8, 1.05, "alone"),
    Case("reseeded-clones", 2, 1.05, "alone"),
    Case("reseeded-clones", 4, 1.05, "alone"),
    Case("reseeded-clones", 8, 1.05, "alone"),
    # A model that a destructive update ruins must not make everybody else look useful.
    Case("noise", 1, 0.05, beside=(("sign-flip:factor=4", 2),)),
    Case("replay", 1, 0.02, beside=(("mpaf", 1), ("noise", 1))),
    Case("alie", 3, 0.2),
    Case("scaling:factor=2", 1, 1.0, "alone", least_seeds=8),
    Case("step-training", 1, 0.6),
    Case("leaked-batch", 1, 1.2),
    # Known as weak, measured without a goal.
    Case("random-group:noise=1.2", 6),  # more than two fifths, who are company to each other
    Case("random-group:noise=1.2", 4),
    Case("replay:age=5", 1),  # older than the steps that are taken out
    Case("copy", 1, None, "victim"),
    Case("masked-clones", 4, None, "alone"),
    Case("shard-clones", 4, None, "alone"),
    Case("leaked-batch:train=1", 1),
    Case("scaling:factor=2", 1),
    Case("revealed-batches", 1),
    Case("few-examples", 1),
    Case("min-max", 3),
    Case("min-sum", 3),
    Case("ipm", 3),
    Case("mpaf", 3),
    Case("back-door", 2),
)
QUICK_TOO = ("copy", "masked-clones", "shard-clones", "random-group:noise=1.2", "replay:age=5")


@dataclass(frozen=True)
class Cell:
    """Where the cases are played."""

    task: str
    partition: str
    judges: tuple[str, ...]


def grid(quick: bool, policy: str, tasks: Sequence[str] | None, exact: bool = True) -> list[Cell]:
    """The cells of a run. CNNs are played under the policy alone: the others take hours."""
    beside = ("fedavg", *(("multi-krum",) if "multi-krum" in known_policies() else ()))
    chosen = list(tasks or (["digits-mlp"] if quick else ["digits-mlp", "patterns-mlp", "digits-cnn", "patterns-cnn"]))
    cells = []
    for task in chosen:
        for partition in ("iid-unequal",) if quick else ("iid-unequal", "dirichlet-0.5"):
            judges: tuple[str, ...] = (policy,)
            if task.endswith("mlp"):
                judges += (*beside, "exact-shapley") if exact and not quick else beside
            cells.append(Cell(task, partition, judges))
    return cells


def scenarios(case: Case, cell: Cell, seed: int) -> tuple[Scenario, Scenario | None]:
    """(the market with the cheats, the one without them that it is held against, if any)."""
    owns = case.owns
    shards = HONEST + (1 if owns else case.members) + sum(members for _, members in case.beside)
    market = {"task": cell.task, "partition": cell.partition, "rounds": ROUNDS, "seed": seed, "shards": shards}
    run = Scenario(honest=HONEST, cheats=((case.attack, case.members), *case.beside), **market)
    if case.measure in ("each", "together"):
        return run, None
    return run, Scenario(honest=HONEST + 1 if owns else HONEST, **market)


def measured(case: Case, cell: Cell, judge: str, seed: int) -> tuple[float, float]:
    """(pay of the cheats, what it is held against), both over the mean honest pay of their market."""
    played, without = scenarios(case, cell, seed)
    run = outcome(played, judge)
    cheats = range(HONEST, HONEST + case.members)
    if without is None:
        together = run.pay(cheats)
        return together / case.members if case.measure == "each" else together, 1.0
    beside = outcome(without, judge)
    if case.owns:
        return run.pay(cheats), beside.pay([HONEST], range(HONEST))
    others = range(1, HONEST)
    copied = [0] if case.measure == "victim" else [0, *cheats]
    return run.pay(copied, others), beside.pay([0], others)


def seeds_of(case: Case, seeds: Sequence[int], goal: bool) -> Sequence[int]:
    """The seeds that a case is played with, more where its goal is held against."""
    if goal and len(seeds) < case.least_seeds:
        return range(seeds[0], seeds[0] + case.least_seeds)
    return seeds


def feasible(case: Case, judge: str) -> bool:
    """Whether the judge can judge so many."""
    players = HONEST + case.members + sum(members for _, members in case.beside)
    return judge != "exact-shapley" or players <= MOST_SHAPLEY


def rows_of(case: Case, cells: Sequence[Cell], judge: str, seeds: Sequence[int], goal: bool) -> Row | None:
    """The case over all cells and seeds that are played under a judge."""
    if not feasible(case, judge):
        return None
    seeds = seeds_of(case, seeds, goal)
    pairs = np.array(
        [measured(case, cell, judge, seed) for cell in cells if judge in cell.judges for seed in seeds], np.float64
    )
    if not len(pairs):
        return None
    # A data owner who earns next to nothing alone would make a single ratio anything.
    worst = float((pairs[:, 0] / np.maximum(pairs[:, 1], 0.25)).max())
    return Row(
        f"{judge}, {case.label}",
        ratio_of_means(pairs),
        "of honest pay",
        goal=case.goal if goal else None,
        interval=interval(pairs[:, 0], lambda drawn: ratio_of_means(pairs[drawn])),
        worst=worst,
    )


def ratio_of_means(pairs: np.ndarray) -> float:
    """Of float64[k, 2]. Whoever earns less than a twentieth of honest pay counts as earning that: a ratio to nothing
    would be anything."""
    above, below = pairs.mean(0)
    return float(above / max(below, 0.05))


def nobody_cheats(cell: Cell, seed: int) -> Scenario:
    """The market of the honest alone."""
    return Scenario(cell.task, cell.partition, HONEST, rounds=ROUNDS, seed=seed)


def honest_rows(cells: Sequence[Cell], judge: str, seeds: Sequence[int]) -> list[Row]:
    """What the judge does to honest trainers when nobody cheats."""
    runs = [outcome(nobody_cheats(cell, seed), judge) for cell in cells if judge in cell.judges for seed in seeds]
    lowest = [min(run.earned) / max(1.0, run.honest_mean) for run in runs]
    unpaid = [run.honest_unpaid for run in runs]
    return [
        Row(f"{judge}, nobody cheats: lowest pay", mean(lowest), "of honest pay", None, None, True, interval(lowest)),
        Row(f"{judge}, nobody cheats: trainer-rounds unpaid", mean(unpaid), "", None, None, True, interval(unpaid)),
    ]


def chosen_cases(quick: bool) -> list[Case]:
    """--quick leaves out most cases without a goal."""
    return [case for case in CASES if not quick or case.goal is not None or case.attack in QUICK_TOO]


def judges_of(cells: Sequence[Cell], policy: str) -> list[str]:
    """The policy first."""
    return sorted(dict.fromkeys(judge for cell in cells for judge in cell.judges), key=lambda name: name != policy)


def planned(cells: Sequence[Cell], policy: str, seeds: Sequence[int], quick: bool) -> list[Market]:
    """Every market that `measure` asks for, one judge after the other."""
    found = []
    for judge in judges_of(cells, policy):
        mine = [cell for cell in cells if judge in cell.judges]
        for case in chosen_cases(quick):
            if feasible(case, judge):
                for cell in mine:
                    for seed in seeds_of(case, seeds, judge == policy):
                        found += [Market(each, judge) for each in scenarios(case, cell, seed) if each is not None]
        found += [Market(nobody_cheats(cell, seed), judge) for cell in mine for seed in seeds]
    return found


def measure(cells: Sequence[Cell], policy: str, seeds: Sequence[int], quick: bool) -> list[Row]:
    """All cases under all judges, then the policy cell by cell."""
    cases = chosen_cases(quick)
    judges = judges_of(cells, policy)
    found: list[Row] = []
    for judge in judges:
        for case in cases:
            row = rows_of(case, cells, judge, seeds, judge == policy)
            if row is not None:
                found.append(row)
                low, high = row.interval or (0, 0)
                print(f"{row.name}: {row.value:.3f} [{low:.3f}, {high:.3f}]", file=sys.stderr, flush=True)
        found += honest_rows(cells, judge, seeds)
    if not quick:
        for cell in cells:
            for case in cases:
                row = rows_of(case, [cell], policy, seeds, False)
                if row is not None:
                    name = f"{cell.task}, {cell.partition}: {case.label}"
                    found.append(Row(name, row.value, row.unit, interval=row.interval, worst=row.worst))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="three seeds, digits and an MLP only; the same goals")
    parser.add_argument("--seeds", type=int, help="number of seeds (3 with --quick, else 5)")
    parser.add_argument("--first", type=int, default=100, help="first seed")
    parser.add_argument("--policy", default="default", choices=known_policies(), help="the policy with the goals")
    parser.add_argument("--task", action="append", help="only this task; may be repeated")
    parser.add_argument("--no-exact", action="store_true", help="leave out exact Shapley values")
    add_jobs_option(parser)
    parser.add_argument("--json", type=Path, help="also write the rows to this file")
    options = parser.parse_args()
    seeds = range(options.first, options.first + (options.seeds or (3 if options.quick else 5)))
    cells = grid(options.quick, options.policy, options.task, not options.no_exact)
    play_ahead(planned(cells, options.policy, seeds, options.quick), options.jobs)
    rows = measure(cells, options.policy, seeds, options.quick)
    print_table(f"What cheating pays, {len(seeds)} seeds", rows)
    print(processor_time())
    if options.json:
        write_json(options.json, rows)


if __name__ == "__main__":
    main()
