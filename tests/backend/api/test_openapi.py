"""The description of the API: complete, and every example in it is a real message."""

from __future__ import annotations

from typing import Any

import pytest
from cohort_protocol.service import messages
from pydantic import BaseModel

from tests.backend.api.conftest import Service

ENDPOINTS = {
    "GET /health/live",
    "GET /health/ready",
    "GET /v1/market",
    "GET /v1/policies",
    "GET /v1/policies/{name}",
    "GET /v1/projects",
    "GET /v1/projects/{project}",
    "GET /v1/projects/{project}/rounds",
    "GET /v1/projects/{project}/rounds/{round}",
    "GET /v1/projects/{project}/rounds/{round}/bundle",
    "GET /v1/projects/{project}/rounds/{round}/receipts",
    "GET /v1/projects/{project}/rounds/{round}/settlement/signatures",
    "GET /v1/projects/{project}/state",
    "GET /v1/projects/{project}/trainers",
    "GET /v1/projects/{project}/trainers/{address}",
    "GET /v1/projects/{project}/trainers/{address}/rewards",
    "GET /v1/trainers/{address}",
    "POST /v1/projects",
    "POST /v1/projects/{project}/end",
    "POST /v1/projects/{project}/funding",
    "POST /v1/projects/{project}/models/receipts",
    "POST /v1/projects/{project}/refund",
    "POST /v1/projects/{project}/rounds/{round}/commits",
    "POST /v1/projects/{project}/rounds/{round}/public-rows/refusals",
    "POST /v1/projects/{project}/rounds/{round}/public-rows/signatures",
    "POST /v1/projects/{project}/rounds/{round}/receipts",
    "POST /v1/projects/{project}/rounds/{round}/reveals",
    "POST /v1/projects/{project}/rounds/{round}/settlement/refusals",
    "POST /v1/projects/{project}/rounds/{round}/settlement/signatures",
}


@pytest.fixture
def described(service: Service) -> dict[str, dict[str, Any]]:
    """Operations by "METHOD path"."""
    paths = service.http.get("/openapi.json").json()["paths"]
    return {
        f"{method.upper()} {path}": operation
        for path, methods in paths.items()
        for method, operation in methods.items()
    }


def test_the_endpoints_are_those_agreed(described: dict[str, dict[str, Any]]) -> None:
    assert set(described) == ENDPOINTS


def test_every_endpoint_has_words_and_an_example(described: dict[str, dict[str, Any]]) -> None:
    for name, operation in described.items():
        assert len(operation.get("description", "")) > 40, name
        assert operation["tags"], name
        (good,) = (answer for status, answer in operation["responses"].items() if status.startswith("2"))
        content = good["content"]["application/json"]
        assert content["example"], name
        if "requestBody" in operation:
            assert operation["requestBody"]["content"]["application/json"]["example"], name
        for parameter in operation.get("parameters", ()):
            assert parameter.get("description"), f"{name}: {parameter['name']}"


def test_examples_are_messages(described: dict[str, dict[str, Any]]) -> None:
    checked = 0
    for name, operation in described.items():
        contents = [answer["content"] for answer in operation["responses"].values()]
        contents += [operation["requestBody"]["content"]] if "requestBody" in operation else []
        for content in contents:
            for kind, entry in content.items():
                if kind == "application/problem+json":
                    messages.Problem.model_validate(entry["example"])
                    checked += 1
                elif "$ref" in entry.get("schema", {}):
                    model: type[BaseModel] = getattr(messages, entry["schema"]["$ref"].rpartition("/")[2])
                    model.model_validate(entry["example"])
                    checked += 1
                else:
                    assert name.endswith("/bundle"), name
    assert checked > 3 * len(ENDPOINTS)


def test_refusals_are_problems(described: dict[str, dict[str, Any]]) -> None:
    for name, operation in described.items():
        bad = {status: answer for status, answer in operation["responses"].items() if not status.startswith("2")}
        assert bad, name
        for status, answer in bad.items():
            assert set(answer["content"]) == {"application/problem+json"}, f"{name} {status}"
            assert answer["content"]["application/problem+json"]["example"]["status"] == int(status)
