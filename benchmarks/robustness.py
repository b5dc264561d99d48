"""What attacks do to the model: final accuracy under eight attacks, against clean federated averaging.

    python -m benchmarks.robustness [--quick] [--seeds N] [--policy NAME] [--task NAME] [--jobs N]
                                    [--json FILE]

Ten trainers, two, three or four of them hostile, data IID or by Dirichlet(0.5) or (0.1). "Clean" is federated averaging
of the same honest trainers alone, the better of equal weights and weights by examples. A cell's value is the mean over
seeds of accuracy (mean of the last three rounds) over clean accuracy; cells below the goal come first. Beside the
policy: multi-Krum, trimmed mean and FLTrust.

A full run takes hours; it remembers every market it has played under .cohort/ and can be broken off.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import mean
from typing import NamedTuple

from cohort_protocol.rehearsal import Scenario
from cohort_protocol.scoring import known_policies

from benchmarks.processes import add_jobs_option
from benchmarks.rehearsals import Market, Outcome, interval, outcome, play_ahead, processor_time
from benchmarks.table import Row, print_table, write_json

TRAINERS = 10
ROUNDS = 12
ATTACKS = ("sign-flip", "label-flip", "noise", "alie", "ipm", "min-max", "min-sum", "mpaf")
HOSTILE = (2, 3, 4)
PARTITIONS = ("iid", "dirichlet-0.5", "dirichlet-0.1")
PEERS = ("multi-krum", "trimmed-mean", "fltrust")
AVERAGES = ("fedavg", "fedavg-by-examples")
"""Clean federated averaging is the better of these."""
QUICK_BESIDE = ("sign-flip", "noise", "alie", "min-max")
"""Attacks under which --quick plays the peers."""
GOAL = 0.97
CLEAN_COST = 0.01


class Cell(NamedTuple):
    """One cell of the grid."""

    task: str
    partition: str
    hostile: int
    attack: str

    def label(self) -> str:
        return f"{self.task}, {self.partition}, {self.hostile * 100 // TRAINERS}% {self.attack}"


def cells(quick: bool, tasks: Sequence[str] | None) -> list[Cell]:
    """The grid; --quick keeps the hardest part of it."""
    chosen = tasks or (("digits-mlp",) if quick else ("digits-mlp", "digits-cnn"))
    shares = (max(HOSTILE),) if quick else HOSTILE
    partitions = ("dirichlet-0.5", "dirichlet-0.1") if quick else PARTITIONS
    return [
        Cell(task, partition, hostile, attack)
        for task in chosen
        for partition in partitions
        for hostile in shares
        for attack in ATTACKS
    ]


def scenario(cell: Cell, seed: int, attacked: bool) -> Scenario:
    """What a cell simulates. The honest hold the same data with and without the hostile."""
    return Scenario(
        cell.task,
        cell.partition,
        TRAINERS - cell.hostile,
        ((cell.attack, cell.hostile),) if attacked else (),
        ROUNDS,
        seed,
        shards=TRAINERS,
    )


def market(cell: Cell, seed: int, judge: str, attacked: bool) -> Outcome:
    """One market of a cell."""
    return outcome(scenario(cell, seed, attacked), judge)


def clean(cell: Cell, seed: int) -> float:
    """Accuracy of the honest alone."""
    return max(market(cell, seed, judge, False).accuracy for judge in AVERAGES)


def cell_row(cell: Cell, judge: str, seeds: Sequence[int], goal: float | None) -> Row:
    """Accuracy over clean accuracy."""
    kept = [market(cell, seed, judge, True).accuracy / clean(cell, seed) for seed in seeds]
    return Row(
        f"{judge}: {cell.label()}",
        mean(kept),
        "of clean",
        anchor=1.0,
        goal=goal,
        at_most=False,
        interval=interval(kept),
        worst=min(kept),
    )


def clean_rows(grid: Sequence[Cell], judge: str, seeds: Sequence[int]) -> list[Row]:
    """What the policy costs when nobody cheats, by task, partition and number of trainers."""
    found = []
    for cell in dict.fromkeys(each._replace(attack="") for each in grid):
        lost = [clean(cell, seed) - market(cell, seed, judge, False).accuracy for seed in seeds]
        honest = TRAINERS - cell.hostile
        found.append(
            Row(
                f"{judge}: {cell.task}, {cell.partition}, {honest} honest alone: points lost",
                100 * mean(lost),
                "points",
                goal=100 * CLEAN_COST,
                interval=tuple(100 * each for each in interval(lost)),
                worst=100 * max(lost),
            )
        )
    return found


def summary(judge: str, rows: Sequence[Row]) -> list[Row]:
    """The worst cell and the number of cells that meet the goal, of a judge's cells."""
    kept = [row.value for row in rows]
    return [
        Row(f"{judge}: worst cell", min(kept), "of clean"),
        Row(f"{judge}: mean of all cells", mean(kept), "of clean"),
        Row(f"{judge}: cells that keep {GOAL} of clean", sum(one >= GOAL for one in kept), f"of {len(kept)}"),
    ]


def cells_beside(grid: Sequence[Cell], quick: bool) -> list[Cell]:
    """Where the peers are played: with the MLP, and with `--quick` under four attacks, most hostile, Dirichlet(0.5)."""
    found = [cell for cell in grid if cell.task.endswith("mlp")]
    if quick:
        found = [
            cell
            for cell in found
            if cell.hostile == max(HOSTILE) and cell.partition == "dirichlet-0.5" and cell.attack in QUICK_BESIDE
        ]
    return found


def planned(grid: Sequence[Cell], policy: str, peers: Sequence[str], seeds: Sequence[int], quick: bool) -> list[Market]:
    """Every market that `measure` asks for: the policy's first."""
    attacked = [(policy, cell) for cell in grid] + [
        (judge, cell) for judge in peers for cell in cells_beside(grid, quick)
    ]
    found = []
    for judge, cell in attacked:
        for seed in seeds:
            found += [Market(scenario(cell, seed, False), each) for each in AVERAGES]
            found.append(Market(scenario(cell, seed, True), judge))
            if judge == policy:
                found.append(Market(scenario(cell, seed, False), policy))
    return found


def measure(grid: Sequence[Cell], policy: str, peers: Sequence[str], seeds: Sequence[int], quick: bool) -> list[Row]:
    """The policy in every cell, the peers beside."""
    found: list[Row] = []
    totals: list[Row] = []
    for judge in (policy, *peers):
        mine = []
        for cell in grid if judge == policy else cells_beside(grid, quick):
            row = cell_row(cell, judge, seeds, GOAL if judge == policy else None)
            print(f"{row.name}: {row.value:.3f}", file=sys.stderr, flush=True)
            mine.append(row)
        totals += summary(judge, mine) if mine else []
        found += mine
        if judge == policy:
            found += clean_rows(grid, judge, seeds)
    return totals + found


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="three seeds, an MLP, fewer cells; the same goals")
    parser.add_argument("--seeds", type=int, default=3, help="number of seeds")
    parser.add_argument("--first", type=int, default=100, help="first seed")
    parser.add_argument("--policy", default="default", choices=known_policies(), help="the policy with the goals")
    parser.add_argument("--task", action="append", help="only this task; may be repeated")
    parser.add_argument("--no-peers", action="store_true", help="leave out multi-Krum, trimmed mean and FLTrust")
    add_jobs_option(parser)
    parser.add_argument("--json", type=Path, help="also write the rows to this file")
    options = parser.parse_args()
    seeds = range(options.first, options.first + options.seeds)
    peers = () if options.no_peers else tuple(name for name in PEERS if name in known_policies())
    grid = cells(options.quick, options.task)
    play_ahead(planned(grid, options.policy, peers, seeds, options.quick), options.jobs)
    rows = measure(grid, options.policy, peers, seeds, options.quick)
    print_table(f"Accuracy under attack, {len(seeds)} seeds", rows)
    print(processor_time())
    if options.json:
        write_json(options.json, rows)


if __name__ == "__main__":
    main()
