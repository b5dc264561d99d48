"""`cohort serve` and `cohort db` as processes."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from cohort_backend.database import Database
from cohort_backend.migrations import pending
from cohort_protocol.ipfs.connect import connect_store
from cohort_protocol.service.client import ServiceClient
from cohort_protocol.service.messages import ProjectState

from tests.backend.stages import OPEN, Stages
from tests.fixtures.chain import Devnet

COMMAND = [sys.executable, "-c", "from cohort_trainer.cli import main; main()", "--log-format", "json"]


def _environment(devnet: Devnet, folder: Path) -> dict[str, str]:
    deployment = devnet.deployment
    kept = {name: value for name, value in os.environ.items() if not name.startswith("COHORT_")}
    return kept | {
        "COHORT_DATABASE_URL": f"sqlite:///{folder}/market.db",
        "COHORT_BROKER_URL": f"filesystem://{folder}/broker",
        "COHORT_IPFS_URL": f"file://{folder}/ipfs",
        "COHORT_CHAIN_URL": devnet.node.url,
        "COHORT_CHAIN_ID": str(deployment.chain_id),
        "COHORT_MARKET": deployment.market,
        "COHORT_VERIFIER": deployment.verifier,
        "COHORT_POLICY": deployment.policy,
        "COHORT_PORT": "0",
    }


@contextmanager
def _serving(devnet: Devnet, folder: Path) -> Iterator[tuple[subprocess.Popen, str]]:
    port_file, log = folder / "port", folder / "log"
    with log.open("w") as output:
        process = subprocess.Popen(
            [*COMMAND, "serve", "--port-file", str(port_file)],
            env=_environment(devnet, folder),
            stdout=output,
            stderr=output,
        )
        try:
            deadline = time.monotonic() + 60
            while not port_file.exists():
                assert process.poll() is None, log.read_text()
                assert time.monotonic() < deadline, log.read_text()
                time.sleep(0.05)
            yield process, f"http://127.0.0.1:{port_file.read_text()}"
        finally:
            if process.poll() is None:
                process.kill()
            process.wait(10)


def test_it_serves_migrates_and_stops_at_once_with_somebody_waiting(
    devnet_session: Devnet, stages_made: Stages, tmp_path: Path
) -> None:
    with _serving(devnet_session, tmp_path) as (process, url):
        database = Database.open(f"sqlite:///{tmp_path}/market.db")
        assert not pending(database)
        stages_made.fill(database, OPEN)
        database.close()
        ready = httpx.get(f"{url}/health/ready", timeout=10)
        assert ready.status_code == 200, ready.text
        connect_store(f"file://{tmp_path}/ipfs").put(stages_made.spec.to_bytes())
        client = ServiceClient(url)
        assert client.market().market == devnet_session.deployment.market
        known = client.state(stages_made.project)
        answers: list[ProjectState] = []

        def wait() -> None:
            answers.append(client.state(stages_made.project, known.version, 30))

        waiting = threading.Thread(target=wait)
        waiting.start()
        time.sleep(0.5)
        started = time.monotonic()
        process.send_signal(signal.SIGTERM)
        process.wait(20)
        waiting.join(10)
        assert time.monotonic() - started < 5
        client.close()
    assert answers == [known]
    lines = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines() if line.startswith("{")]
    access = [line for line in lines if line.get("event") == "request"]
    assert any(line["path"] == "/health/ready" and line["status"] == 200 and line["ms"] >= 0 for line in access)
    assert any(line.get("event") == "serving" for line in lines)


def test_missing_settings_are_named_without_their_values(devnet_session: Devnet, tmp_path: Path) -> None:
    environment = _environment(devnet_session, tmp_path)
    del environment["COHORT_CHAIN_URL"]
    environment["COHORT_MARKET"] = "a-secret-by-mistake"
    done = subprocess.run([*COMMAND, "serve"], env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode != 0
    assert "COHORT_CHAIN_URL" in done.stderr
    assert "COHORT_MARKET" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("command", ["upgrade", "rebuild"])
def test_the_database_from_the_command_line(stages_made: Stages, tmp_path: Path, command: str) -> None:
    url = f"sqlite:///{tmp_path}/market.db"
    for _ in range(2):
        done = subprocess.run(
            [*COMMAND, "db", command, "--database-url", url], capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 0, done.stderr
    database = Database.open(url)
    assert not pending(database)
    stages_made.fill(database, OPEN)
    again = subprocess.run(
        [*COMMAND, "db", "rebuild", "--database-url", url], capture_output=True, text=True, timeout=60
    )
    assert again.stdout.strip() == "rebuilt: 1 projects"
    database.close()


def test_a_port_that_is_taken_is_named_with_a_way_out(devnet_session: Devnet, tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        environment = _environment(devnet_session, tmp_path) | {"COHORT_PORT": str(port)}
        done = subprocess.run([*COMMAND, "serve"], env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 24, done.stderr
    assert f"port {port}" in done.stderr
    assert "--port" in done.stderr
    assert "Traceback" not in done.stderr
