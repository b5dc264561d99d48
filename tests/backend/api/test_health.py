"""Live and ready, each part with its reason."""

from __future__ import annotations

from pathlib import Path

from cohort_backend.app import create_app
from cohort_protocol.service.messages import Health
from fastapi.testclient import TestClient

from tests.backend.api.conftest import Service, settings_for
from tests.fixtures.chain import Devnet


def _ready(http: TestClient, status: int) -> dict[str, tuple[bool, str]]:
    answer = http.get("/health/ready")
    assert answer.status_code == status, answer.text
    health = Health.model_validate_json(answer.content)
    assert health.status == ("ready" if status == 200 else "not-ready")
    return {part.part: (part.ready, part.detail) for part in health.parts}


def test_everything_answers(service: Service) -> None:
    assert service.http.get("/health/live").json()["status"] == "live"
    parts = _ready(service.http, 200)
    assert set(parts) == {"database", "chain", "ipfs"}
    assert parts["database"][1].startswith("sqlite 3.")
    assert "chain 31337" in parts["chain"][1]
    assert "block store" in parts["ipfs"][1]


def test_a_dead_chain_is_named(devnet_session: Devnet, tmp_path: Path) -> None:
    settings = settings_for(devnet_session, tmp_path, chain_url="http://127.0.0.1:1", ready_timeout=2.0)
    with TestClient(create_app(settings)) as http:
        parts = _ready(http, 503)
        assert http.get("/health/live").status_code == 200
    assert not parts["chain"][0]
    assert "chain" in parts["chain"][1]
    assert parts["database"][0]


def test_the_wrong_chain_is_named(devnet_session: Devnet, tmp_path: Path) -> None:
    with TestClient(create_app(settings_for(devnet_session, tmp_path, chain_id=1))) as http:
        ready, detail = _ready(http, 503)["chain"]
    assert not ready
    assert "31337" in detail


def test_a_store_whose_folder_is_gone_is_named(service: Service, tmp_path: Path) -> None:
    for path in sorted((tmp_path / "ipfs").rglob("*"), reverse=True):
        path.unlink() if path.is_file() else path.rmdir()
    (tmp_path / "ipfs").rmdir()
    (tmp_path / "ipfs").write_text("not a folder")
    ready, detail = _ready(service.http, 503)["ipfs"]
    assert not ready
    assert detail


def test_a_database_that_lost_its_schema_is_named(service: Service) -> None:
    with service.parts.database.engine.begin() as connection:
        connection.exec_driver_sql("DELETE FROM alembic_version")
    ready, detail = _ready(service.http, 503)["database"]
    assert not ready
    assert "cohort db upgrade" in detail
