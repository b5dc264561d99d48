"""Random SIGKILLs of the worker and of witnesses while a market runs: nothing is lost and nothing is done twice."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable

import pytest
from cohort_protocol.phases import Phase

from tests.worker.processes import picture, witness, worker
from tests.worker.witness.test_process import Market, market_of

__all__ = ["market_of"]

ROUNDS = 2
SEED = 7


class Killer(threading.Thread):
    """Kills one process after the other at random moments, and starts it again."""

    def __init__(self, market: Market) -> None:
        super().__init__(daemon=True)
        self._market = market
        self._random = random.Random(SEED)
        self.processes = {"worker": market.worker, **dict(enumerate(market.witnesses))}
        self.kills = 0
        self.stopping = threading.Event()

    def run(self) -> None:
        while not self.stopping.is_set():
            time.sleep(self._random.uniform(0.05, 1.0))
            name = self._random.choice(["worker", "worker", 0, 1, 2])
            if self.processes[name].process.poll() is None:
                self.processes[name].kill()
                self.kills += 1
            self.processes[name] = self._start(name)

    def _start(self, name: str | int):
        stage = self._market.stage
        return worker(stage) if isinstance(name, str) else witness(stage, name, self._market.url, ready=False)

    def end(self) -> None:
        self.stopping.set()
        self.join()
        for process in self.processes.values():
            if process.process.poll() is None:
                process.kill()


@pytest.mark.market
def test_random_kills_lose_nothing(market_of: Callable[..., Market]) -> None:
    market = market_of(rounds=ROUNDS)
    stage = market.stage
    for index in range(3):
        market.add_witness(index)
    killer = Killer(market)
    killer.start()
    try:
        for number in range(1, ROUNDS + 1):
            market.wait_for_phase(Phase.COMMIT, number, seconds=100)
            market.commit()
            market.wait_for_phase(Phase.REVEAL, number, seconds=100)
            market.reveal()
            market.wait_for_phase(Phase.FINAL, number, seconds=100)
    finally:
        killer.end()
    assert killer.kills >= 3, picture(stage)
    sent = stage.devnet.client.nonce(stage.aggregator.address)
    assert sent == 2 + 4 * ROUNDS, (
        f"approve and bond once; open, commit, reveal, settle, each once in {ROUNDS} rounds\n{picture(stage)}"
    )
    ledger = stage.market.ledger_of(stage.project)
    assert ledger.balanced
    assert ledger.held == 0
