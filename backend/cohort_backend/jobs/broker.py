"""The broker: how the number of a job reaches a worker. JSON only; the message is a wake-up and nothing else."""

from __future__ import annotations

import time
from collections.abc import Sequence
from urllib.parse import urlsplit

import structlog
from celery import Celery
from celery.exceptions import CeleryError
from cohort_protocol.errors import InvalidInput
from kombu.exceptions import KombuError

from cohort_backend.database import JobMessage
from cohort_backend.jobs import file_transport
from cohort_backend.jobs.models import PROVE_ROUND

QUEUE = "cohort"
"""Of everything but proofs."""

PROOF_QUEUE = "proof"
"""Of proofs, which take minutes of all cores and gigabytes for a large model: a machine of their own may work on it."""

QUEUES = (QUEUE, PROOF_QUEUE)

CONNECT_SECONDS = 2.0
"""Longest wait for a connection to the broker."""

PAUSE_SECONDS = 5.0
"""How long nothing is sent after a failure: the reaper sends later what was left out meanwhile."""

_log = structlog.get_logger(__name__)


class BrokerUrlInvalid(InvalidInput):
    """The broker URL is none of the kinds that we support."""

    code = "broker-url-invalid"


def task_name(kind: str) -> str:
    """The Celery task that runs jobs of a kind; its only argument is the job's id."""
    return f"cohort.{kind}"


def queue_of(kind: str) -> str:
    """The queue that jobs of a kind wait in."""
    return PROOF_QUEUE if kind == PROVE_ROUND else QUEUE


def celery_app(broker_url: str, name: str = "cohort") -> Celery:
    """A Celery application on `filesystem:///absolute/folder`, `redis://` or `amqp://`. The worker registers its tasks
    on it, everybody else only sends. Raises `BrokerUrlInvalid`."""
    url, options = _connection(broker_url)
    app = Celery(name, set_as_current=False)
    app.conf.update(
        broker_url=url,
        broker_transport_options=options,
        broker_connection_timeout=CONNECT_SECONDS,
        broker_connection_retry_on_startup=True,
        task_default_queue=QUEUE,
        task_serializer="json",
        result_serializer="json",
        accept_content=["json"],
        task_ignore_result=True,
        task_publish_retry=False,
        worker_enable_remote_control=False,
        worker_hijack_root_logger=False,
        enable_utc=True,
    )
    return app


class JobSender:
    """Sends the messages of jobs (`cohort_backend.database.SendJobs`). Never raises for a broker that does not answer:
    the job's row is durable, and the reaper sends its message again."""

    def __init__(self, app: Celery) -> None:
        self._app = app
        self._paused_until = 0.0

    def __call__(self, messages: Sequence[JobMessage]) -> None:
        if time.monotonic() < self._paused_until:
            return
        try:
            for message in messages:
                self._app.send_task(
                    task_name(message.kind), args=[message.job_id], queue=queue_of(message.kind), retry=False
                )
        except (KombuError, CeleryError, OSError) as error:
            self._paused_until = time.monotonic() + PAUSE_SECONDS
            _log.warning("broker-unavailable", error=str(error), jobs=[message.job_id for message in messages])


def _connection(broker_url: str) -> tuple[str, dict[str, object]]:
    """The URL and transport options for kombu."""
    parts = urlsplit(broker_url)
    if parts.scheme == "filesystem":
        if parts.netloc or not parts.path.startswith("/") or parts.path == "/":
            raise BrokerUrlInvalid("a broker in a folder is written filesystem:///absolute/folder")
        file_transport.register()
        return f"{file_transport.SCHEME}://localhost//", {"folder": parts.path}
    if parts.scheme in ("redis", "rediss", "redis+socket"):
        return broker_url, {"socket_connect_timeout": CONNECT_SECONDS}
    if parts.scheme in ("amqp", "amqps"):
        return broker_url, {"confirm_publish": True}
    raise BrokerUrlInvalid(
        f"the broker URL has scheme {parts.scheme!r}; allowed are filesystem:///absolute/folder, redis://host/0 and "
        "amqp://user@host//"
    )
