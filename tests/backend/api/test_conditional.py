"""Conditional reads: who has an answer already is not sent it again."""

from __future__ import annotations

import pytest

from tests.backend.api.conftest import Service
from tests.backend.stages import JOINED, OPEN


@pytest.mark.parametrize("path", ["/v1/market", "/v1/policies", "{project}", "{project}/state", "/", "/openapi.json"])
def test_what_has_not_changed_is_not_sent_again(service: Service, path: str) -> None:
    service.fill(OPEN)
    path = path.format(project=service.path)
    first = service.http.get(path)
    assert first.status_code == 200
    tag = first.headers["etag"]
    assert first.headers["cache-control"] == "no-cache"
    again = service.http.get(path, headers={"if-none-match": f'"other", W/{tag}'})
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
    assert "content-type" not in again.headers
    other = service.http.get(path, headers={"if-none-match": '"other"'})
    assert (other.status_code, other.content) == (200, first.content)


def test_a_change_has_another_tag(service: Service) -> None:
    service.fill(JOINED)
    before = service.http.get(service.path).headers["etag"]
    service.fill(OPEN)
    after = service.http.get(service.path, headers={"if-none-match": before})
    assert after.status_code == 200
    assert after.headers["etag"] != before


def test_refusals_have_no_tag(service: Service) -> None:
    refused = service.http.get("/v1/projects/77", headers={"if-none-match": "*"})
    assert refused.status_code == 404
    assert "etag" not in refused.headers
    assert refused.json()["code"] == "unknown-project"
