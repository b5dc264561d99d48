"""The Celery application of the worker: the backend's broker, our tasks, and the scheduler as part of the process.

Celery brings the thread pool and the transports; which work there is, and whether it was done, is in the jobs table
(`tasks.py`). The scheduler runs in threads of the same process instead of a beat of its own: one SIGKILL ends
everything, and no schedule file can be torn.
"""

from __future__ import annotations

import os
import sys
import threading
import time
import warnings

import structlog
from celery import Celery, bootsteps, signals
from cohort_backend.jobs.broker import JobSender, celery_app, task_name
from cohort_backend.migrations import upgrade

from cohort_worker.leases import Leases, drop_leases_of_the_dead
from cohort_worker.parts import WorkerParts, build_parts
from cohort_worker.scheduler import Scheduler
from cohort_worker.settings import WorkerSettings
from cohort_worker.tasks import HANDLERS, JobRunner

log = structlog.get_logger(__name__)


class WorkerProcess:
    """One worker process: parts, job runner, scheduler, and how it ends."""

    def __init__(self, settings: WorkerSettings) -> None:
        self.settings = settings
        self.app: Celery = celery_app(settings.broker_url.get_secret_value(), "cohort-worker")
        self.send_jobs = JobSender(self.app)
        self.parts: WorkerParts = build_parts(settings, self.send_jobs)
        self.stopping = threading.Event()
        self.leases = Leases(self.parts.database, self.parts.owner, settings.lease_seconds)
        self.runner = JobRunner(self.parts, self.leases, self.stopping)
        self.scheduler = Scheduler(self.parts, self.leases, self.send_jobs, self.stopping)
        self._register_tasks()
        self.app.steps["worker"].add(_scheduler_step(self))

    def _register_tasks(self) -> None:
        for kind in HANDLERS:
            self.app.task(name=task_name(kind), ignore_result=True)(self.runner.run)

    def run(self) -> int:
        """Runs until SIGTERM or SIGINT; returns the exit status."""
        # Celery warns root of pickle, which we refuse (JSON only), and would set up logging of its own.
        warnings.filterwarnings("ignore", message="You're running the worker with superuser privileges")
        signals.setup_logging.connect(_leave_logging, weak=False)
        upgrade(self.parts.database)
        drop_leases_of_the_dead(self.parts.database)
        signals.worker_shutting_down.connect(self._on_signal, weak=False)
        worker = self.app.Worker(
            pool="threads",
            queues=self.settings.queues.split(","),
            concurrency=self.settings.concurrency,
            without_gossip=True,
            without_mingle=True,
            without_heartbeat=True,
            quiet=True,
        )
        worker.start()
        self._end()
        return int(worker.exitcode or 0)

    def started(self) -> None:
        """Called by Celery when the pool is up: from here on jobs are taken."""
        self.scheduler.start()
        log.info(
            "worker_ready",
            market=self.settings.market,
            chain_id=self.settings.chain_id,
            aggregator=self.parts.sender.address,
            threads=self.settings.concurrency,
            queues=self.settings.queues,
            owner=self.parts.owner,
        )

    def _on_signal(self, **_: object) -> None:
        """No new jobs; those that run get `grace_seconds`, then the process ends whatever Celery still waits for. A job
        that is cut short is done again: that is what leases and the journal are for."""
        self.stopping.set()
        threading.Thread(target=self._end_after_grace, name="cohort-end", daemon=True).start()

    def _end_after_grace(self) -> None:
        deadline = time.monotonic() + self.settings.grace_seconds
        while self.leases.held and time.monotonic() < deadline:
            time.sleep(0.02)
        self._end()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)

    def _end(self) -> None:
        self.stopping.set()
        self.scheduler.join(0.2)
        log.info("worker_stopped", jobs_cut_short=sorted(self.leases.held))


def _leave_logging(**_: object) -> None:
    """A receiver of this signal keeps Celery from configuring logging."""


def _scheduler_step(process: WorkerProcess) -> type[bootsteps.StartStopStep]:
    class SchedulerStep(bootsteps.StartStopStep):
        """Starts the scheduler with the worker."""

        requires = ("celery.worker.components:Pool",)

        def start(self, worker: object) -> None:
            process.started()

    return SchedulerStep
