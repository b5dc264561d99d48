"""Settings of the worker process, from the environment (prefix COHORT_) or from the options of `cohort worker`.

Read when asked, never at import. `deploy/settings.md` is the reference.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cohort_backend.jobs.broker import QUEUES
from cohort_backend.settings import DEFAULT_HOME, MarketSettings
from pydantic import Field, field_validator


class WorkerSettings(MarketSettings):
    """The worker. The only key that it holds is the aggregator's, which can post and settle rounds and moves nobody's
    money but its own: bonds and fees."""

    aggregator_keystore: Path
    """Encrypted JSON keystore of the aggregator's key (Web3 Secret Storage, as eth-account writes it)."""
    aggregator_password_file: Path
    """File with the keystore's password."""
    open_delay: Annotated[int, Field(ge=0, le=86400)] = 15
    """Seconds after the newest join until the first round opens with free slots."""
    bond_limit: Annotated[int | None, Field(ge=0)] = None
    """Most base units that the worker puts into its bond in one project, all deposits less withdrawals. The project's
    owner says how much a bond is, and it is lost if a round is not settled in time. Unset: what the project asks for,
    as far as the aggregator's account goes."""
    slash: bool = True
    """Whether the worker slashes trainers who committed and opened nothing, for a tenth of their stake. What was handed
    in to this service is never slashed."""
    prover: str = "auto"
    """What proves the rounds of proven projects: `auto` (a `cohort-prover` on the PATH, else Python's), `python`, or
    the path of a program."""
    prover_memory_mb: Annotated[int | None, Field(ge=256, le=2**20)] = None
    """Most address space of the prover in MiB (Linux). Unset: no limit."""
    prover_folder: Path = Field(default_factory=lambda: (DEFAULT_HOME / "proving").absolute())
    """Where the prover's input and proof are kept until a proof is ready."""
    receipt_wait: Annotated[int, Field(ge=0, le=3600)] = 15
    """Seconds that a finished proof waits for witnesses' receipts for the next model, so that one transaction has both.
    They can also be posted later."""
    queues: str = ",".join(QUEUES)
    """Queues that this process takes jobs from: `cohort` (everything but proofs), `proof`, or both."""
    concurrency: Annotated[int, Field(ge=1, le=64)] = 4
    """Threads that work on jobs."""
    tick_seconds: Annotated[float, Field(gt=0, le=60)] = 0.25
    """How often the chain is asked for its newest block. Only what others do waits for it: after our own
    transactions we look at once."""
    look_seconds: Annotated[float, Field(gt=0, le=60)] = 1.0
    """How often lost jobs are sent again and deadlines are looked at."""
    lease_seconds: Annotated[float, Field(ge=1, le=600)] = 5.0
    """How long a job stays taken by a process that no longer says so: extended while it works."""
    retry_seconds: Annotated[float, Field(gt=0, le=60)] = 1.0
    """Pause before a job is tried again when chain, IPFS or database did not answer."""
    grace_seconds: Annotated[float, Field(ge=0, le=60)] = 1.5
    """After SIGTERM, how long running jobs may finish before the process ends. Cutting one short loses nothing."""

    @field_validator("queues")
    @classmethod
    def _known_queues(cls, text: str) -> str:
        names = [name.strip() for name in text.split(",")]
        if not names or not set(names) <= set(QUEUES) or len(set(names)) != len(names):
            raise ValueError(f"{text!r} is not a list of queues: there are {', '.join(QUEUES)}")
        return ",".join(names)
