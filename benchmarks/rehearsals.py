"""Rehearsals for benchmarks: each is played once and remembered under .cohort/, so that a long run can be broken off
and taken up again; and means with confidence intervals.

A remembered run is used again only if neither the scenario nor a line of the code that decides its result has changed.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from pathlib import Path
from statistics import mean
from typing import NamedTuple

import cohort_protocol
import numpy as np
from cohort_protocol.rehearsal import Scenario, judge_by_name, play

from benchmarks.processes import run_all

ROOT = Path(__file__).resolve().parent.parent
CACHE = ROOT / ".cohort" / "rehearsals"
DECIDING = ("rehearsal", "scoring", "learning", "payout", "update")
"""Packages of the protocol whose code decides what a rehearsal gives."""
BESIDE = ("scoring/kernel/", "scoring/verdict.py", "scoring/explanation.py", "rehearsal/campaign.py")
"""Parts of them that do not: the kernels give the same bytes by their own tests, the others only speak."""


@dataclass(frozen=True)
class Outcome:
    """What is kept of one run."""

    earned: tuple[int, ...]
    """Base units by trainer, honest ones first."""
    honest: int
    accuracies: tuple[float, ...]
    honest_unpaid: float
    paid_out: float
    backdoor_success: float | None

    @property
    def accuracy(self) -> float:
        """Mean of the last three rounds."""
        return mean(self.accuracies[-3:])

    @property
    def honest_mean(self) -> float:
        """Mean pay of the honest, base units."""
        return mean(self.earned[: self.honest])

    def pay(self, places: Sequence[int], others: Sequence[int] | None = None) -> float:
        """What those at `places` earned together, over the mean pay of `others` (all honest ones by default)."""
        beside = mean(self.earned[one] for one in others) if others is not None else self.honest_mean
        return sum(self.earned[place] for place in places) / max(1.0, beside)


@cache
def code_digest() -> str:
    """Of the source files that decide a result and are loaded by now: what nobody imports decides nothing."""
    package = Path(next(iter(cohort_protocol.__path__)))
    files = {Path(module.__file__) for module in tuple(sys.modules.values()) if getattr(module, "__file__", None)}
    digest = sha256()
    for name in sorted(str(file.relative_to(package)) for file in files if file.is_relative_to(package)):
        if name.startswith(tuple(f"{part}/" for part in DECIDING)) and not name.startswith(BESIDE):
            digest.update(f"{name}\0".encode() + (package / name).read_bytes())
    return digest.hexdigest()


class Market(NamedTuple):
    """One run: what is simulated, and who judges. The scenario names its task."""

    scenario: Scenario
    judge: str


def outcome(scenario: Scenario, judge: str) -> Outcome:
    """Plays a scenario under a judge, or remembers how it went."""
    market = Market(scenario, judge)
    file = _file(market)
    if not file.exists():
        _remember((file, market))
    values = json.loads(file.read_text())
    return Outcome(**{name: tuple(value) if isinstance(value, list) else value for name, value in values.items()})


def play_ahead(markets: Iterable[Market], jobs: int) -> None:
    """Plays every market that is not remembered yet, in the order given, in several processes."""
    files = {_file(market): market for market in markets}
    run_all(_remember, [(file, market) for file, market in files.items() if not file.exists()], jobs)


def _file(market: Market) -> Path:
    """Where a market is remembered. Only the program itself asks: its processes have loaded other modules, and would
    name the code differently."""
    scenario = market.scenario
    key = {"judge": market.judge, "code": code_digest(), "task": scenario.task, "partition": scenario.partition}
    key |= {name: getattr(scenario, name) for name in ("honest", "cheats", "rounds", "seed", "batch", "shards")}
    return CACHE / f"{sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:40]}.json"


def _remember(piece: tuple[Path, Market]) -> None:
    file, (scenario, judge) = piece
    if file.exists():
        return  # another run of the same benchmark was faster
    run = play(scenario, judge_by_name(judge))
    keep(
        file,
        {
            "earned": run.earned,
            "honest": scenario.honest,
            "accuracies": [each.accuracy for each in run.rounds],
            "honest_unpaid": run.honest_unpaid,
            "paid_out": run.paid_out,
            "backdoor_success": run.backdoor_success,
        },
    )


def keep(file: Path, values: dict) -> None:
    """Writes a file of results, whole or not at all."""
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_suffix(f".{os.getpid()}")
    part.write_text(json.dumps(values))
    part.replace(file)


def processor_time() -> str:
    """What this program has used so far, its processes included, in words. A loaded machine does not change it much;
    remembered runs do."""
    used = os.times()
    return f"{sum(used[:4]):.0f} s of processor time (runs that were remembered cost none)"


def interval(values: Sequence[float], of: Callable[[np.ndarray], float] | None = None) -> tuple[float, float]:
    """95% bootstrap interval (Efron, 1979) of the mean, or of `of` over resampled indices; always the same for the same
    values."""
    random = np.random.default_rng(len(values))
    data = np.asarray(values, np.float64)
    drawn = random.integers(0, len(data), (2000, len(data)))
    found = data[drawn].mean(1) if of is None else np.array([of(rows) for rows in drawn])
    low, high = np.quantile(found, (0.025, 0.975))
    return float(low), float(high)
