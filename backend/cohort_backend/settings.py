"""Settings of the API process, from the environment (prefix COHORT_) or from arguments. Read when asked, never at
import. `deploy/settings.md` is the reference."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cohort_protocol.identifiers import Address
from cohort_protocol.ipfs.kubo_rpc import MIN_RATE
from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

DEFAULT_HOME = Path(".cohort")


def _in_home(scheme: str, name: str) -> SecretStr:
    return SecretStr(f"{scheme}{(DEFAULT_HOME / name).absolute()}")


class StorageSettings(BaseSettings):
    """Where state and messages live. URLs are secrets: they may carry passwords."""

    model_config = SettingsConfigDict(env_prefix="COHORT_", extra="ignore", frozen=True)

    database_url: SecretStr = Field(default_factory=lambda: _in_home("sqlite:///", "market.db"))
    """sqlite:////absolute/file.db or postgresql+psycopg://user:password@host/name"""
    broker_url: SecretStr = Field(default_factory=lambda: _in_home("filesystem://", "broker"))
    """filesystem:///absolute/directory, redis://host/0 or amqp://host//"""


class MarketSettings(StorageSettings):
    """Which market is served, and through which nodes."""

    chain_url: SecretStr
    """http(s)://host:port or ipc:///absolute/path of an EVM node"""
    chain_id: Annotated[int, Field(ge=1)]
    """Checked against the node."""
    market: Address
    """Address of the CohortMarket contract."""
    verifier: Address
    """Address of the attested verifier that new projects name."""
    policy: Address
    """Address of the policy contract that new projects name: scores as supplied, vouched for by witnesses."""
    proven_verifier: Address | None = None
    """Address of the verifier of new projects whose rounds are to prove themselves. None: no such projects."""
    srs: Path | None = None
    """File of the reference string that updates and models of proven projects are committed with (`cohort srs`)."""
    start_block: Annotated[int, Field(ge=0)] = 0
    """Block in which the market was deployed."""
    confirmations: Annotated[int, Field(ge=0, le=1000)] = 0
    """Blocks over a block before it is read. 0 on a local chain."""
    ipfs_url: SecretStr = Field(default_factory=lambda: _in_home("file://", "ipfs"))
    """file:///absolute/directory (embedded store) or http://host:port (Kubo RPC)"""
    ipfs_min_rate: Annotated[int, Field(ge=1, le=2**30)] = MIN_RATE
    """Bytes per second: files that come from or go to a node more slowly are given up, and tried again later."""


class ApiSettings(MarketSettings):
    """The API process. It holds no key of anybody."""

    host: str = "127.0.0.1"
    """Address to listen on."""
    port: Annotated[int, Field(ge=0, le=65535)] = 8000
    """Port to listen on; 0 takes a free one."""
    max_body_bytes: Annotated[int, Field(ge=1024, le=16 * 1024 * 1024)] = 256 * 1024
    """Largest request body."""
    version_poll_seconds: Annotated[float, Field(gt=0, le=5)] = 0.05
    """How often the one poller of this process looks for changes while somebody waits."""
    max_wait_seconds: Annotated[float, Field(gt=0, le=120)] = 60.0
    """Longest long-poll."""
    max_waiters: Annotated[int, Field(ge=1, le=100_000)] = 2000
    """Most long-polls at once; one more is answered at once."""
    ready_timeout: Annotated[float, Field(gt=0, le=30)] = 3.0
    """Seconds that a readiness check may take per part."""
