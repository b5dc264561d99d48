"""Remembered markets: several processes give what one gives, and what is planned is what the tables ask for."""

from __future__ import annotations

from pathlib import Path

import pytest
from cohort_protocol.rehearsal import Scenario

from benchmarks import contributions, fairness, rehearsals, robustness
from benchmarks.contributions import Project
from benchmarks.rehearsals import Market, keep, outcome, play_ahead

SEEDS = range(100, 102)


@pytest.fixture
def memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty place to remember results in."""
    monkeypatch.setattr(rehearsals, "CACHE", tmp_path)
    monkeypatch.setattr(contributions, "CACHE", tmp_path)
    return tmp_path


def remember(markets: list[Market]) -> None:
    """Puts a result in the place of every market, as if it had been played."""
    for market in markets:
        values = {"earned": [10**18] * market.scenario.trainers, "honest": market.scenario.honest}
        values |= {"accuracies": [0.9] * 3, "honest_unpaid": 0.0, "paid_out": 1.0, "backdoor_success": None}
        keep(rehearsals._file(market), values)


def test_processes_give_what_one_process_gives(memory: Path) -> None:
    markets = [
        Market(Scenario("digits-mlp", "iid", 3, (("alie", 1),), rounds=2, seed=1), judge)
        for judge in ("default", "fedavg")
    ]
    play_ahead(markets, 2)
    files = sorted(memory.iterdir())
    assert len(files) == len(markets)
    together = [file.read_text() for file in files]
    for file in files:
        file.unlink()
    assert all(outcome(*market).honest == 3 for market in markets)
    assert [file.read_text() for file in sorted(memory.iterdir())] == together


def test_a_project_is_simulated_once(memory: Path) -> None:
    project = Project("digits-mlp", "iid-unequal", 3, 1, rounds=1)
    contributions.measure_ahead([project, project], 1)
    (file,) = memory.iterdir()
    written = file.stat().st_mtime_ns
    assert len(contributions.measured(project).scores["default"]) == 1
    assert [(each, each.stat().st_mtime_ns) for each in memory.iterdir()] == [(file, written)]


@pytest.mark.parametrize("quick", [True, False])
def test_robustness_asks_for_what_is_planned(quick: bool, memory: Path) -> None:
    grid = robustness.cells(quick, None)[::5]
    planned = robustness.planned(grid, "default", robustness.PEERS, SEEDS, quick)
    remember(planned)
    before = sorted(memory.iterdir())
    rows = robustness.measure(grid, "default", robustness.PEERS, SEEDS, quick)
    assert sorted(memory.iterdir()) == before
    assert len(before) == len({rehearsals._file(market) for market in planned})
    assert sum(row.goal is not None for row in rows) > len(grid)


@pytest.mark.parametrize("quick", [True, False])
def test_fairness_asks_for_what_is_planned(quick: bool, memory: Path) -> None:
    cells = fairness.grid(quick, "default", ["digits-mlp", "digits-cnn"])[-3:]
    planned = fairness.planned(cells, "default", SEEDS, quick)
    remember(planned)
    before = sorted(memory.iterdir())
    rows = fairness.measure(cells, "default", SEEDS, quick)
    assert sorted(memory.iterdir()) == before
    assert len(before) == len({rehearsals._file(market) for market in planned})
    assert sum(row.goal is not None for row in rows) >= sum(case.goal is not None for case in fairness.CASES)
    judges = {market.judge for market in planned}
    assert ("exact-shapley" in judges) == (not quick)
    assert "exact-shapley" not in {
        market.judge
        for market in fairness.planned(fairness.grid(quick, "default", None, False), "default", SEEDS, quick)
    }
