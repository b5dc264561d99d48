"""A service whose database was tampered with: the audit does not read it, and `--api` shows where it parts from the
chain. A real index of a real chain, served by the real API."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from cohort_backend.database import Database
from cohort_backend.migrations import upgrade
from cohort_backend.rounds.models import Row
from cohort_protocol.audit.findings import State
from cohort_protocol.service.client import ServiceClient
from cohort_worker.chain_index.indexer import ChainIndexer
from sqlalchemy import select

from tests.fixtures.chain import Devnet
from tests.protocol.audit.market import RealScene, not_true, states


@pytest.fixture
def scene(devnet: Devnet, tmp_path: Path) -> RealScene:
    scene = RealScene.make(devnet, tmp_path)
    scene.run()
    scene.claim(scene.trainers[0])
    return scene


@contextmanager
def database_of(scene: RealScene, folder: Path) -> Iterator[Database]:
    """The projection of the scene's chain."""
    database = Database.open(f"sqlite:///{folder}/market.db")
    upgrade(database)
    market = scene.market.address
    ChainIndexer(database, scene.devnet.client, market, start_block=scene.devnet.deployment.block).catch_up()
    try:
        yield database
    finally:
        database.close()


@contextmanager
def serving(scene: RealScene, folder: Path) -> Iterator[ServiceClient]:
    """The API over the database in the folder."""
    deployment, port_file, log = scene.devnet.deployment, folder / "port", folder / "log"
    kept = {name: value for name, value in os.environ.items() if not name.startswith("COHORT_")}
    environment = kept | {
        "COHORT_DATABASE_URL": f"sqlite:///{folder}/market.db",
        "COHORT_BROKER_URL": f"filesystem://{folder}/broker",
        "COHORT_IPFS_URL": f"file://{scene.store.root}",
        "COHORT_CHAIN_URL": scene.devnet.node.url,
        "COHORT_CHAIN_ID": str(deployment.chain_id),
        "COHORT_MARKET": deployment.market,
        "COHORT_VERIFIER": deployment.verifier,
        "COHORT_POLICY": deployment.policy,
        "COHORT_PORT": "0",
    }
    command = [sys.executable, "-m", "cohort_trainer.cli", "serve", "--port-file", str(port_file)]
    with log.open("w") as output:
        process = subprocess.Popen(command, env=environment, stdout=output, stderr=output)
        try:
            deadline = time.monotonic() + 60
            while not port_file.exists():
                assert process.poll() is None, log.read_text()
                assert time.monotonic() < deadline, log.read_text()
                time.sleep(0.05)
            with ServiceClient(f"http://127.0.0.1:{port_file.read_text()}") as client:
                yield client
        finally:
            process.kill()
            process.wait(10)


def test_an_honest_service_agrees_and_a_tampered_database_is_named(scene: RealScene, tmp_path: Path) -> None:
    with database_of(scene, tmp_path) as database, serving(scene, tmp_path) as client:
        found = scene.audit(service_client=client)
        assert not_true(found) == {}
        assert {"service-market", "service-project", "service-rewards", "service-round of round 1"} <= set(
            states(found, State.TRUE)
        )
        member = scene.number_of(scene.trainers[1])
        with database.write() as session:
            row = session.scalars(select(Row).where(Row.member == member)).one()
            row.pay += 1
            row.score += 5
        found = scene.audit(service_client=client)
        false = states(found, State.FALSE)
        assert set(false) == {"service-round of round 1"}
        assert "its pay is" in false["service-round of round 1"]
        assert "(and 1 more)" in false["service-round of round 1"]
        # The service finds that its own rows do not lead to the root on chain, and answers an error.
        assert set(not_true(found)) == {"service-round of round 1", "service-rewards"}
        # Nothing else of the audit was touched: it reads chain and files.
        assert scene.audit().state is State.TRUE


def test_a_service_that_does_not_answer_is_unknown(scene: RealScene) -> None:
    with ServiceClient("http://127.0.0.1:9", retries=0) as client:
        found = scene.audit(service_client=client)
    assert states(found, State.FALSE) == {}
    assert "service-project" in states(found, State.UNKNOWN)
    assert "ledger" in states(found, State.TRUE)
