"""Errors as problem+json (RFC 9457). Every error answer of the API is made here; none says what is inside."""

from __future__ import annotations

import http
from typing import Any

import structlog
from cohort_protocol.errors import CohortError, Conflict, InvalidInput, NotFound, Unavailable, WrongPhase
from cohort_protocol.service.messages import Problem
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import ConfigDict
from starlette.exceptions import HTTPException
from starlette.responses import Response

from cohort_backend.errors import BodyTooLarge, Forbidden, PhaseNotAllowed

MEDIA_TYPE = "application/problem+json"
TYPE_PREFIX = "urn:cohort:problem:"
RETRY_AFTER = "1"
"""Seconds, with every 503."""

MAX_DETAIL = 500

STATUS: tuple[tuple[type[CohortError], int], ...] = (
    (BodyTooLarge, 413),
    (Forbidden, 403),
    (WrongPhase, 409),
    (Conflict, 409),
    (Unavailable, 503),
    (NotFound, 404),
    (InvalidInput, 422),
)
"""The first class that fits decides. What fits none is our own fault: 500."""

_log = structlog.get_logger(__name__)


class _Problem(Problem):
    """With extension members (RFC 9457, section 3.2)."""

    model_config = ConfigDict(extra="allow")


def problem_response(status: int, code: str, detail: str, **more: Any) -> Response:
    """An answer of type application/problem+json; `more` are extension members."""
    problem = _Problem(
        type=TYPE_PREFIX + code,
        title=http.HTTPStatus(status).phrase,
        status=status,
        detail=detail[:MAX_DETAIL],
        code=code,
        **more,
    )
    headers = {"retry-after": RETRY_AFTER} if status == 503 else None
    return Response(problem.model_dump_json(), status, headers=headers, media_type=MEDIA_TYPE)


def status_of(error: CohortError) -> int:
    """The HTTP status of one of our errors."""
    return next((status for kind, status in STATUS if isinstance(error, kind)), 500)


def install(app: FastAPI) -> None:
    """Has every error of the application answered as a problem."""
    app.add_exception_handler(CohortError, _cohort_error)  # type: ignore[arg-type]
    app.add_exception_handler(RequestValidationError, _validation_error)  # type: ignore[arg-type]
    app.add_exception_handler(HTTPException, _http_error)  # type: ignore[arg-type]


def internal_error() -> Response:
    """The answer when something broke that we did not foresee. The log has the rest."""
    return problem_response(500, "internal-error", "something went wrong here; the log of the service says what")


async def _cohort_error(request: Request, error: CohortError) -> Response:
    status = status_of(error)
    if status == 500:
        _log.error("request-failed", path=request.url.path, code=error.code, error=str(error))
        return internal_error()
    more = {}
    if isinstance(error, PhaseNotAllowed):
        more = {"found": error.found.name, "allowed": error.allowed.name}
    return problem_response(status, error.code, str(error), **more)


async def _validation_error(request: Request, error: RequestValidationError) -> Response:
    """Names the first fields that are wrong; what was sent is quoted in part at most."""
    found = [f"{'.'.join(str(part) for part in one['loc'])[:80]}: {one['msg'][:160]}" for one in error.errors()[:3]]
    left = len(error.errors()) - len(found)
    return problem_response(422, "invalid-input", "; ".join(found) + (f"; and {left} more" if left else ""))


async def _http_error(request: Request, error: HTTPException) -> Response:
    codes = {404: "no-such-endpoint", 405: "method-not-allowed", 400: "malformed-request"}
    detail = {404: "there is no such endpoint; /openapi.json lists them"}.get(error.status_code, str(error.detail))
    response = problem_response(error.status_code, codes.get(error.status_code, f"http-{error.status_code}"), detail)
    if error.headers:
        response.headers.update(error.headers)
    return response
