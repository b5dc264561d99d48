"""The API in this process, on a real chain, a real block store and SQLite (the intake rules themselves run on both
databases in `tests/backend/updates`)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from cohort_backend.app import create_app
from cohort_backend.parts import ServiceParts
from cohort_backend.settings import ApiSettings
from fastapi.testclient import TestClient

from tests.backend.stages import Stages
from tests.fixtures.chain import Devnet


@dataclass
class Service:
    """`http` speaks to the application; `parts` are its own."""

    http: TestClient
    parts: ServiceParts
    stages: Stages

    def fill(self, stage: str) -> None:
        """Indexes the chain up to a stage, and has the project's spec at hand as after a draft."""
        self.stages.fill(self.parts.database, stage)
        self.parts.store.put(self.stages.spec.to_bytes())

    @property
    def path(self) -> str:
        return f"/v1/projects/{self.stages.project}"


def settings_for(devnet: Devnet, folder: Path, **changes) -> ApiSettings:
    deployment = devnet.deployment
    fields = {
        "database_url": f"sqlite:///{folder}/market.db",
        "broker_url": f"filesystem://{folder}/broker",
        "ipfs_url": f"file://{folder}/ipfs",
        "chain_url": devnet.node.url,
        "chain_id": deployment.chain_id,
        "market": deployment.market,
        "verifier": deployment.verifier,
        "policy": deployment.policy,
        "start_block": deployment.block,
    }
    return ApiSettings(**(fields | changes))


@pytest.fixture
def service(devnet_session: Devnet, stages_made: Stages, tmp_path: Path) -> Iterator[Service]:
    app = create_app(settings_for(devnet_session, tmp_path))
    with TestClient(app) as http:
        yield Service(http, app.state.parts, stages_made)
