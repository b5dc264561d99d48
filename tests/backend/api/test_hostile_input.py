"""Whatever is sent, the answer is a refusal in words or a result, never a fault of ours, and nothing is recorded."""

from __future__ import annotations

import gzip
import json
from typing import Any

import pytest
from cohort_backend import examples
from cohort_protocol.service.messages import Problem
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from tests.backend.api.conftest import Service
from tests.backend.stages import COMMITTED

INTAKE: dict[str, BaseModel] = {
    "rounds/1/commits": examples.COMMIT,
    "rounds/1/reveals": examples.REVEAL,
    "rounds/1/receipts": examples.RECEIPT,
    "rounds/1/public-rows/signatures": examples.PUBLIC_ROWS_SIGNATURE,
    "rounds/1/public-rows/refusals": examples.PUBLIC_ROWS_REFUSAL,
    "rounds/1/settlement/signatures": examples.SETTLEMENT_SIGNATURE,
    "rounds/1/settlement/refusals": examples.SETTLEMENT_REFUSAL,
    "funding": examples.FUNDING,
    "models/receipts": examples.MODEL_RECEIPT,
}

STRANGE = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**300), 2**300)
    | st.floats()
    | st.text(max_size=80)
    | st.sampled_from(["0x", "0x" + "00" * 20, "0x" + "00" * 32, "0x" + "ff" * 65, "b" + "a" * 58, "1e9", "\ud800"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)


@st.composite
def mutated(draw: st.DrawFn, message: BaseModel) -> dict[str, Any]:
    """The message with some of its fields replaced, dropped or joined by others."""
    content = message.model_dump(mode="json")
    for name in draw(st.lists(st.sampled_from(sorted(content)), max_size=3)):
        content[name] = draw(STRANGE)
    if draw(st.booleans()):
        content.pop(draw(st.sampled_from(sorted(content))))
    if draw(st.integers(0, 9)) == 0:
        content[draw(st.text(max_size=8))] = draw(STRANGE)
    return content


@pytest.mark.parametrize("path", sorted(INTAKE))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_intake(service: Service, path: str, data: st.DataObject) -> None:
    service.fill(COMMITTED)
    content = data.draw(mutated(INTAKE[path]))
    body = json.dumps(content).encode("utf-8", "surrogatepass")
    answer = service.http.post(f"{service.path}/{path}", content=body, headers={"content-type": "application/json"})
    if path == "funding" and answer.status_code == 200:
        return
    assert 400 <= answer.status_code < 500, (answer.text, body)
    Problem.model_validate_json(answer.content)


@pytest.mark.parametrize("path", [*sorted(INTAKE), ""])
def test_bytes_that_are_no_message(service: Service, path: str) -> None:
    service.fill(COMMITTED)
    good = (INTAKE[path] if path else examples.PROJECT_REQUEST).model_dump_json().encode()
    bodies = [
        *(b"[" * 100_000, b'{"a":' * 100_000, b"[" * 100_000 + b"]" * 100_000, b"NaN", b"null", b"[]", b""),
        *(b"\xff\xfe", b"\0" * 100, gzip.compress(good), good + good, good[:-1]),
        good.replace(b"{", b'{"x":1,"x":2,', 1),
    ]
    where = f"{service.path}/{path}" if path else "/v1/projects"
    for body in bodies:
        answer = service.http.post(where, content=body, headers={"content-type": "application/json"})
        assert 400 <= answer.status_code < 500, (answer.text, body[:100])
        Problem.model_validate_json(answer.content)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_projects(service: Service, data: st.DataObject) -> None:
    part = data.draw(st.sampled_from(["spec", "terms", None]))
    content = examples.PROJECT_REQUEST.model_dump(mode="json")
    if part is None:
        content = data.draw(mutated(examples.PROJECT_REQUEST))
    else:
        content[part] = data.draw(mutated(getattr(examples.PROJECT_REQUEST, part)))
    body = json.dumps(content).encode("utf-8", "surrogatepass")
    answer = service.http.post("/v1/projects", content=body, headers={"content-type": "application/json"})
    assert 400 <= answer.status_code < 500, (answer.text, body)
    Problem.model_validate_json(answer.content)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(segment=st.text(max_size=70), query=st.text(max_size=40))
def test_paths(service: Service, segment: str, query: str) -> None:
    from urllib.parse import quote

    for path in (f"/v1/projects/{quote(segment, safe='')}", f"/v1/trainers/{quote(segment, safe='')}"):
        answer = service.http.get(f"{path}?after={quote(query)}")
        assert answer.status_code in (200, 404, 422), answer.text
