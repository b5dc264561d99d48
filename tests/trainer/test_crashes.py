"""A trainer killed with SIGKILL at every moment of a round, and started again: one commitment, one pay, no retraining
after the round is decided."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from cohort_protocol.chain.events import CommittedSelf, UpdateRescued
from cohort_trainer.chain_events import find_events
from cohort_trainer.journal import RoundJournal
from cohort_trainer.rounds.facts import look
from cohort_trainer.rounds.steps import ServiceHints

from tests.trainer.conftest import PASSWORD, Background, Stage, until

HERE = Path(__file__).parent


class Runner:
    """The crash runner as a process, one order at a time."""

    def __init__(self, trainings: Path) -> None:
        environment = {**os.environ, "COUNT_TRAININGS": str(trainings), "OMP_NUM_THREADS": "1"}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.trainer.crash_runner"],
            cwd=HERE.parents[1],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self._lock = threading.Lock()
        assert self._read() == {"ready": True}

    def run(self, stage: Stage, home: Path, kill_at: int) -> dict:
        """The trainer's life until it dies or its round is over: {"exit": -9} or {"exit": 0, "moments": n}."""
        order = {
            "home": str(home),
            "project": stage.scene.project,
            "data": str(stage.data),
            "kill_at": kill_at,
            "train": f"{HERE}/counting_train.py:train",
            "password": PASSWORD.get_secret_value(),
        }
        with self._lock:
            assert self.process.stdin is not None
            self.process.stdin.write(json.dumps(order) + "\n")
            self.process.stdin.flush()
            answer: dict = {}
            while "exit" not in answer:
                answer |= self._read()
            return answer

    def _read(self) -> dict:
        assert self.process.stdout is not None
        while True:
            line = self.process.stdout.readline()
            assert line, "the crash runner is gone"
            if line.startswith("{"):
                found = json.loads(line)
                if found.keys() & {"ready", "moments", "exit"}:
                    return found

    def close(self) -> None:
        self.process.kill()
        self.process.wait(10)


@pytest.fixture
def runner(tmp_path):
    made = Runner(tmp_path / "trainings")
    yield made
    made.close()


def trainings(stage: Stage, round: int) -> int:
    return (stage.root / "trainings").read_text().splitlines().count(str(round))


def test_killed_at_every_moment_of_a_round(make_stage, runner):
    """Moment n is tried in round n + 1, until a round has no more moments to die at."""
    stage = make_stage(rounds=60)
    with stage.joined() as trainer:
        home, address = trainer.home, trainer.address
    stage.service.run_automatically(60)
    assert runner.run(stage, home.root, 0)["exit"] == 0
    journal = RoundJournal(home.project_folder(stage.scene.project), stage.scene.project)
    moments = decided_at = 0
    while moments < 50:
        number = moments + 2
        until(lambda n=number: stage.scene.round_number() == n)
        ended = runner.run(stage, home.root, moments + 1)
        if ended["exit"] == 0:
            break
        assert ended["exit"] == -9
        moments += 1
        decided = journal.load(number) is not None
        decided_at += decided
        trained = trainings(stage, number)
        if number not in stage.service.paid:
            assert runner.run(stage, home.root, 0)["exit"] == 0, f"after a kill at moment {moments}"
        until(lambda n=number: n in stage.service.paid)
        assert trainings(stage, number) == (trained if decided else trained + 1), f"trainings, moment {moments}"
        assert trainings(stage, number) <= 2
        assert len(stage.commitments_of(address)[number]) == 1, f"two commitments after moment {moments}"
        assert [row.trainer for row in stage.service.paid[number]] == [address], f"unpaid after moment {moments}"
    # fetch, train, decide, commit, note it, note the CID, publish, reveal, note it, note the result: two moments each
    assert moments >= 16
    assert decided_at >= 10
    assert stage.service.failure is None
    stage.scene.money_holds()


def test_killed_around_its_own_transaction(make_stage, runner):
    """The service takes nothing: the commitment goes to the chain, and a crash there sends no second transaction."""
    stage = make_stage(rounds=1)
    with stage.joined() as trainer:
        home, address = trainer.home, trainer.address
    stage.service.open_round()
    stage.service.intercept = lambda method, path, body: (503, {}) if path.endswith("/commits") else None
    stage.devnet.control.warp(560)
    client, market = stage.devnet.client, stage.scene.market.address
    for kill_at in (7, 8):  # spec, update, record are written; then before and after the transaction
        assert runner.run(stage, home.root, kill_at)["exit"] == -9
    member = stage.scene.number_of(trainer.account)
    sent = find_events(client, market, CommittedSelf, [stage.scene.project, 1, member], 0)
    record = RoundJournal(home.project_folder(stage.scene.project), stage.scene.project).load(1)
    assert record is not None
    assert len(sent) == 1
    assert "0x" + sent[0].commitment.hex() == record.commitment
    again = Background(lambda: runner.run(stage, home.root, 0))
    until(lambda: stage.service.reveals)
    stage.service.post_reveals()
    stage.service.settle()
    assert again.result()["exit"] == 0
    assert client.nonce(address) == 3  # mint, join, commitSelf: nothing twice


def test_killed_around_its_rescue(make_stage, runner):
    """Nobody took the reveal: the stake is rescued once, whenever the process dies."""
    stage = make_stage(rounds=1)
    with stage.joined() as trainer:
        home, address = trainer.home, trainer.address
        stage.service.open_round()
        steps = trainer.steps(trainer.project(stage.scene.project), stage.data)
        steps.act(look(trainer.connection, steps.project, address), ServiceHints())
    stage.service.post_batch()
    stage.devnet.control.warp(650)
    before = stage.devnet.client.nonce(address)
    for kill_at in (1, 2, 3):  # before and after the transaction, before its fate is written
        assert runner.run(stage, home.root, kill_at)["exit"] == -9
    assert runner.run(stage, home.root, 0)["exit"] == 0
    client, market = stage.devnet.client, stage.scene.market.address
    assert len(find_events(client, market, UpdateRescued, [stage.scene.project, 1], 0)) == 1
    assert client.nonce(address) == before + 1
    record = RoundJournal(home.project_folder(stage.scene.project), stage.scene.project).load(1)
    assert record is not None
    assert (record.result or "").startswith("rescued")
