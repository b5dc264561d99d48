"""The pieces of a long benchmark in several processes, with progress and a clean end at Ctrl-C.

Pieces are independent, and each remembers its own result on disk: whatever ends a run, what was finished stays.
"""

from __future__ import annotations

import os
import signal
import sys
from argparse import ArgumentParser
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context, parent_process
from threading import Thread
from time import monotonic
from typing import TypeVar

Piece = TypeVar("Piece")

USUAL_JOBS = 2
"""Processes unless told otherwise, where there are as many cores: each takes half a gigabyte of memory, and the rest of
a larger machine may be somebody else's."""
BETWEEN_LINES = 5.0
"""Seconds between two lines of progress."""
BROKEN_OFF = 130
"""Exit status after Ctrl-C, as shells give it."""


def usual_jobs() -> int:
    """Processes that a benchmark starts unless told otherwise."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(USUAL_JOBS, usable)


def add_jobs_option(parser: ArgumentParser) -> None:
    """--jobs N, from 1."""

    def count(text: str) -> int:
        jobs = int(text)
        if jobs < 1:
            raise ValueError(text)
        return jobs

    count.__name__ = "number of processes (from 1)"
    parser.add_argument("--jobs", type=count, default=usual_jobs(), help="processes at a time (default: %(default)s)")


def run_all(work: Callable[[Piece], None], pieces: Sequence[Piece], jobs: int) -> None:
    """Does `work` for every piece, in this process if `jobs` or the number of pieces is 1, and says on stderr how far
    it is. `work` and pieces can be pickled. What `work` raises ends the run.

    Ctrl-C: processes finish and remember what they have in hand, nothing else is begun, and the program ends with
    status 130."""
    progress = Progress(len(pieces))
    try:
        for _ in _one_by_one(work, pieces) if min(jobs, len(pieces)) <= 1 else _spread(work, pieces, jobs):
            progress.another()
    except KeyboardInterrupt:
        print(
            f"broken off: {progress.done} of {progress.count} are finished and remembered, the same command goes on",
            file=sys.stderr,
            flush=True,
        )
        raise SystemExit(BROKEN_OFF) from None


class Progress:
    """Says now and then how many pieces are done and how long the rest will take."""

    def __init__(self, count: int, clock: Callable[[], float] = monotonic) -> None:
        self.count, self.done = count, 0
        self._clock = clock
        self._begun = self._spoke = clock()

    def another(self) -> None:
        """One more is done."""
        self.done += 1
        now = self._clock()
        if now - self._spoke >= BETWEEN_LINES or self.done == self.count:
            self._spoke = now
            print(self.line(now), file=sys.stderr, flush=True)

    def line(self, now: float) -> str:
        """`k of n, about m min left`, as if the rest took as long as what is done."""
        left = (now - self._begun) / self.done * (self.count - self.done) / 60
        return f"{self.done} of {self.count}, about {left:.0f} min left"


def _one_by_one(work: Callable[[Piece], None], pieces: Sequence[Piece]) -> Iterator[None]:
    for piece in pieces:
        work(piece)
        yield


def _spread(work: Callable[[Piece], None], pieces: Sequence[Piece], jobs: int) -> Iterator[None]:
    # One thread each: several processes with a thread per core would only wait for each other.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    pool = ProcessPoolExecutor(min(jobs, len(pieces)), mp_context=get_context("spawn"), initializer=_begin)
    try:
        for future in as_completed([pool.submit(work, piece) for piece in pieces]):
            future.result()
            yield
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _begin() -> None:
    """Of a process of the pool: Ctrl-C is the parent's to handle, and without a parent there is nothing left to do."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
