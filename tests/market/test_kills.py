"""SIGKILL of the worker in every phase, of the API and of trainers: the same models come out, and no money is lost."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from cohort_protocol.errors import Unavailable
from cohort_protocol.phases import Phase
from cohort_protocol.service.client import ServiceClient
from cohort_protocol.service.errors import ServiceNotFound

from tests.market.running import SIZE, DemoProcess

pytestmark = [pytest.mark.market, pytest.mark.timeout(900)]

KILLS = [
    ("owner-1", Phase.COMMIT),
    ("worker", Phase.COMMIT),
    ("worker", Phase.REVEAL),
    ("worker", Phase.SETTLE),
    ("trainer-2", Phase.COMMIT),
    ("api", Phase.COMMIT),
    ("trainer-4", Phase.REVEAL),
    ("witness-1", Phase.SETTLE),
]
"""One after the other, each as soon as its phase is seen."""


def kill_in_phases(demo: DemoProcess, url: str, project: int) -> list[tuple[str, Phase, int]]:
    """Follows the market through the API and kills; (process, phase, round) of every kill."""
    done: list[tuple[str, Phase, int]] = []
    version = -1
    with ServiceClient(url, timeout=5.0, retries=0) as service:
        while demo.process.poll() is None and len(done) < len(KILLS):
            try:
                state = service.state(project, version, 1.0 if version >= 0 else 0.0)
            except (Unavailable, ServiceNotFound):
                time.sleep(0.1)
                continue
            version = state.version
            name, phase = KILLS[len(done)]
            if state.round is not None and state.round.phase == phase:
                demo.kill(name)
                done.append((name, phase, state.round.number))
                version = -1
    return done


def test_killed_processes_change_neither_models_nor_money(tmp_path: Path, undisturbed: DemoProcess) -> None:
    expected = [entry.model_cid for entry in undisturbed.report().rounds]
    with DemoProcess(tmp_path / "demo-report", *SIZE) as demo:
        where = demo.addresses()
        done = kill_in_phases(demo, where["api"], where["project"])
        status = demo.finish()
    assert [(name, phase) for name, phase, _ in done] == KILLS, demo.text()
    assert status == 0, demo.text()
    report = demo.report()
    assert [entry.model_cid for entry in report.rounds] == expected
    assert report.money.balanced
    assert report.money.claimed == report.headline.paid_to_trainers
    assert report.timing.restarts["worker"] == 3
    assert report.timing.restarts["api"] == report.timing.restarts["owner-1"] == 1
    assert "was killed by SIGKILL; starting again" in demo.text()
    assert demo.left_behind() == []


def test_ending_a_run_in_the_middle_leaves_no_process_and_says_what_is_left(tmp_path: Path) -> None:
    with DemoProcess(tmp_path / "demo-report", *SIZE) as demo:
        where = demo.addresses()
        assert where["project"] == 1
        run = demo.run_id()
        demo.process.terminate()
        status = demo.process.wait(30)
    from cohort_devnet.watchdog import processes_of_run

    assert status == 130
    assert processes_of_run(run) == []
    assert "What is left" in demo.text()
    assert "chain-state.json" in demo.text()
