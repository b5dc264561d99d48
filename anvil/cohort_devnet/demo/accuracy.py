"""What the owner alone can do: measure each round's model on a test set that nobody else has."""

from __future__ import annotations

import queue
import threading
import time

from cohort_protocol.bundle import fetch_model
from cohort_protocol.errors import CohortError, Unavailable
from cohort_protocol.identifiers import parse_bytes32
from cohort_protocol.ipfs.cid import Cid
from cohort_protocol.ipfs.connect import connect_store
from cohort_protocol.proof.scheme import KECCAK, CommitmentScheme
from cohort_protocol.service.messages import ModelRef

from cohort_devnet.demo.task import EXPONENT, Task

ATTEMPTS, PAUSE_SECONDS = 20, 0.5


class AccuracyMeter:
    """Measures models in a thread of its own, so that watching goes on. Fetches and verifies them itself.

    torch is imported by that thread with the first model: by then the trainers have started.
    """

    def __init__(self, ipfs_url: str, task: Task, scheme: CommitmentScheme = KECCAK) -> None:
        """scheme: how the project commits to models."""
        self._ipfs_url = ipfs_url
        self._scheme = scheme
        self._task = task
        self._queue: queue.Queue[tuple[int, ModelRef] | None] = queue.Queue()
        self._known: dict[int, float] = {}
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="accuracy", daemon=True)
        self._thread.start()

    def measure(self, round: int, model: ModelRef) -> None:
        """Queues a model; the result appears in `known`."""
        self._queue.put((round, model))

    def known(self) -> dict[int, float]:
        """Round -> accuracy, of those measured so far."""
        return dict(self._known)

    def finish(self) -> dict[int, float]:
        """Waits for everything queued. Raises what measuring raised."""
        self._queue.put(None)
        self._thread.join()
        if self._error is not None:
            raise self._error
        return dict(self._known)

    def _run(self) -> None:
        with connect_store(self._ipfs_url) as store:
            while (item := self._queue.get()) is not None:
                round, model = item
                if self._error is not None:
                    continue
                try:
                    self._known[round] = self._measure(store, model)
                except CohortError as error:
                    # Kept for `finish`: an error of this thread must fail the run, not vanish.
                    self._error = error

    def _measure(self, store, model: ModelRef) -> float:
        from cohort_protocol.learning.evaluation import evaluate_model

        task = self._task
        for attempt in range(ATTEMPTS):
            try:
                commitment, dimension = parse_bytes32(model.commitment), task.architecture.dimension
                vector = fetch_model(store, Cid.parse(model.cid), commitment, dimension, self._scheme)
                break
            except Unavailable:
                if attempt == ATTEMPTS - 1:
                    raise
                time.sleep(PAUSE_SECONDS)
        return evaluate_model(task.architecture, vector, EXPONENT, task.test).accuracy
