"""Every error is problem+json, says what was found and allowed, and nothing about the inside."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from cohort_backend import examples, problems
from cohort_backend.middleware import BodyLimit
from cohort_protocol import errors as protocol_errors
from cohort_protocol.service.messages import Problem
from httpx import Response

from tests.backend.api.conftest import Service
from tests.backend.stages import COMMITTED, OPEN

JSON = {"content-type": "application/json"}


def _problem(answer: Response, status: int, code: str) -> Problem:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem = Problem.model_validate_json(answer.content)
    assert (problem.status, problem.code, problem.type) == (status, code, f"urn:cohort:problem:{code}")
    assert problem.title
    assert problem.detail
    return problem


def test_a_wrong_phase_names_both(service: Service) -> None:
    service.fill(COMMITTED)
    intake = service.stages.commit_intake(service.stages.scene.trainers[0])
    other = intake.model_copy(update={"trainer": service.stages.scene.trainers[1].address, "member": 2})
    answer = service.http.post(f"{service.path}/rounds/1/commits", json=other.model_dump(mode="json"))
    _problem(answer, 422, "signature-invalid")
    stranger = intake.model_copy(update={"trainer": service.stages.scene.owner.address})
    answer = service.http.post(f"{service.path}/rounds/1/commits", json=stranger.model_dump(mode="json"))
    _problem(answer, 403, "not-a-member")
    reveal = service.stages.reveal_intake(service.stages.scene.trainers[0])
    assert service.http.post(f"{service.path}/rounds/1/reveals", json=reveal.model_dump(mode="json")).status_code == 202


def test_extension_members_of_a_wrong_phase(service: Service) -> None:
    service.fill(OPEN)
    reveal = service.stages.reveal_intake(service.stages.scene.trainers[0])
    answer = service.http.post(f"{service.path}/rounds/1/reveals", json=reveal.model_dump(mode="json"))
    _problem(answer, 409, "wrong-phase")
    assert (answer.json()["found"], answer.json()["allowed"]) == ("COMMIT", "REVEAL")


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/v1/nowhere", 404, "no-such-endpoint"),
        ("DELETE", "/v1/projects", 405, "method-not-allowed"),
        ("GET", "/v1/projects/0", 422, "invalid-input"),
        ("GET", "/v1/projects/one", 422, "invalid-input"),
        ("GET", f"/v1/projects/{2**63}", 422, "invalid-input"),
        ("GET", "/v1/projects/1/state?wait=nan", 422, "invalid-input"),
        ("GET", "/v1/projects/1/state?wait=61", 422, "invalid-input"),
        ("GET", "/v1/projects?limit=101", 422, "invalid-input"),
        ("GET", "/v1/trainers/0x12", 422, "invalid-input"),
        ("GET", "/v1/projects/1/rounds/4294967296", 422, "invalid-input"),
        ("GET", "/docs", 404, "no-such-endpoint"),
    ],
)
def test_the_frame(service: Service, method: str, path: str, status: int, code: str) -> None:
    _problem(service.http.request(method, path), status, code)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b'"text"',
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"a":' * 40_000,
        json.dumps(examples.COMMIT.model_dump(mode="json") | {"commitment": "0x12"}).encode(),
        json.dumps(examples.COMMIT.model_dump(mode="json") | {"trainer": "0x" + "zz" * 20}).encode(),
        json.dumps(examples.COMMIT.model_dump(mode="json") | {"member": -1}).encode(),
        json.dumps(examples.COMMIT.model_dump(mode="json") | {"member": 2**32}).encode(),
        json.dumps(examples.COMMIT.model_dump(mode="json") | {"member": 1e400}).encode(),
        json.dumps(examples.COMMIT.model_dump(mode="json") | {"signature": "0x" + "00" * 64}).encode(),
        json.dumps(examples.COMMIT.model_dump(mode="json") | {"more": 1}).encode(),
    ],
    ids=lambda body: body[:40].decode("latin-1"),
)
def test_malformed_bodies(service: Service, body: bytes) -> None:
    answer = service.http.post("/v1/projects/1/rounds/1/commits", content=body, headers=JSON)
    assert answer.status_code in (400, 422)
    assert answer.headers["content-type"] == "application/problem+json"
    Problem.model_validate_json(answer.content)


def test_long_input_is_not_sent_back(service: Service) -> None:
    answer = service.http.post("/v1/projects/1/rounds/1/commits", json={"trainer": "s" * 200_000})
    assert len(_problem(answer, 422, "invalid-input").detail) <= problems.MAX_DETAIL


class TestBodyLimit:
    def test_a_declared_length_is_not_needed_and_not_trusted(self, service: Service) -> None:
        limit = service.parts.settings.max_body_bytes

        def chunks() -> Iterator[bytes]:
            for _ in range(limit // 1000 + 1):
                yield b" " * 1000

        chunked = service.http.post("/v1/projects", content=chunks(), headers=JSON)
        assert "content-length" not in chunked.request.headers
        _problem(chunked, 413, "body-too-large")
        declared = service.http.post("/v1/projects", content=b" " * (limit + 1), headers=JSON)
        _problem(declared, 413, "body-too-large")
        fits = service.http.post("/v1/projects", content=b" " * limit, headers=JSON)
        assert fits.status_code in (400, 422)

    def test_a_body_that_never_ends_is_given_up(self, service: Service) -> None:
        import asyncio

        sent = []

        async def never() -> dict:
            await asyncio.sleep(3600)
            return {}

        async def send(message: dict) -> None:
            sent.append(message)

        async def app(*_: object) -> None:
            raise AssertionError("the application must not see it")

        limited = BodyLimit(app, 1000, seconds=0.05)
        asyncio.run(limited({"type": "http", "method": "POST", "path": "/"}, never, send))  # type: ignore[arg-type]
        assert sent[0]["status"] == 408


class TestOurOwnFaults:
    def test_an_unforeseen_error_says_nothing_about_the_inside(
        self, service: Service, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """The database's file is replaced by garbage under the service's feet."""
        service.fill(OPEN)
        with service.parts.database.engine.begin() as connection:
            connection.exec_driver_sql("DROP TABLE members")
        answer = service.http.get(f"{service.path}/trainers")
        problem = _problem(answer, 503, "database-unavailable")
        assert "SELECT" not in problem.detail

    def test_a_bug_is_a_500_without_words(self, service: Service) -> None:
        def broken() -> None:
            raise ZeroDivisionError("secret of the inside")

        service.http.app.add_api_route("/v1/broken", broken)  # type: ignore[attr-defined]
        answer = service.http.get("/v1/broken")
        _problem(answer, 500, "internal-error")
        assert "secret" not in answer.text

    def test_a_payout_root_that_does_not_fit_is_our_fault(self, service: Service) -> None:
        from cohort_backend.rounds.models import Round

        from tests.backend.stages import SETTLED

        service.fill(SETTLED)
        with service.parts.database.write() as session:
            session.get_one(Round, (service.stages.project, 1)).payout_root = b"\x01" * 27
        trainer = service.stages.scene.trainers[0].address
        _problem(service.http.get(f"{service.path}/trainers/{trainer}/rewards"), 500, "internal-error")


def test_every_error_of_ours_has_a_status() -> None:
    """An error class that maps to 500 must be meant to: it is our own fault."""
    import cohort_backend.app  # noqa: F401 - brings every domain's errors

    ours_to_blame = {
        "CohortError",
        "ChainError",
        "IpfsError",
        "ServiceError",
        "ServiceRefused",
        "OutOfOrder",
        "ForkTooDeep",
        "EventUnknown",
        "PayoutRootDiffers",
        "SchemaOutdated",
        "WrongChain",
        "TransactionReverted",
        "InsufficientFunds",
        "RangeTooLarge",
        "JournalBroken",
        "MethodUnsupported",
        # Of audits and provers, which no service runs.
        "AuditError",
        "AuditFalse",
        "AuditUnknown",
        "ProofError",
        "BroadcastRefused",
        "AlreadyKnown",
        "NonceTooLow",
        "NonceOccupied",
    }

    def below(kind: type) -> Iterator[type]:
        yield kind
        for child in kind.__subclasses__():
            yield from below(child)

    packages = ("cohort_backend", "cohort_protocol")
    relevant = [
        kind
        for kind in below(protocol_errors.CohortError)
        if kind.__module__.startswith(packages) and not kind.__module__.startswith("cohort_protocol.learning")
    ]
    unmapped = {kind.__name__ for kind in relevant if not any(issubclass(kind, known) for known, _ in problems.STATUS)}
    assert unmapped <= ours_to_blame, unmapped - ours_to_blame
