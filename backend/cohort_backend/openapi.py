"""How endpoints describe themselves: an example for every answer, problem+json for every refusal."""

from __future__ import annotations

from typing import Annotated, Any

from cohort_protocol.identifiers import Address
from cohort_protocol.service.messages import Problem
from fastapi import Path, Query
from pydantic import BaseModel

from cohort_backend.problems import MEDIA_TYPE

ProjectNumber = Annotated[int, Path(ge=1, lt=2**63, description="The contract's number of the project, from 1.")]
RoundNumber = Annotated[int, Path(ge=1, lt=2**32, description="Number of the round, from 1.")]
TrainerAddress = Annotated[Address, Path(max_length=42, description="Address of the trainer.")]
PageSize = Annotated[int, Query(ge=1, le=100, description="Most items in the answer.")]

_WORDS = {
    400: "The request is not HTTP or JSON that can be read.",
    403: "The signer may not do this here.",
    404: "There is no such thing here.",
    408: "The body did not arrive in time.",
    409: "It contradicts what is recorded, or comes in the wrong phase.",
    413: "The body is too large.",
    422: "The input is malformed or does not fit.",
    503: "A part that the service depends on does not answer: try again.",
}


def answers(
    example: BaseModel, *refusals: int, status: int = 200, model: Any = None
) -> dict[int | str, dict[str, Any]]:
    """The `responses` of an endpoint: its answer with an example, and the refusals that it can give."""
    described: dict[int | str, dict[str, Any]] = {
        status: {"content": {"application/json": {"example": example.model_dump(mode="json")}}}
    }
    if model is not None:
        described[status]["model"] = model
    for code in sorted({*refusals, 422}):
        described[code] = {"description": _WORDS[code], "content": {MEDIA_TYPE: {"example": _problem(code)}}}
    return described


def body(example: BaseModel) -> dict[str, Any]:
    """The `openapi_extra` of an endpoint that takes this message."""
    content = {"application/json": {"example": example.model_dump(mode="json")}}
    return {"requestBody": {"content": content}}


def _problem(status: int) -> dict[str, Any]:
    examples = {
        403: ("not-a-member", "0x70997970C51812dc3A010C7d01b50e0d17dc79C8 has no stake in project 1: join first"),
        404: ("unknown-project", "project 7 is not known here: check the number"),
        409: ("wrong-phase", "round 1/3 is in phase REVEAL, this is allowed in COMMIT only"),
        413: ("body-too-large", "a request body may have 262144 bytes, this one has more"),
        422: ("invalid-input", "body.commitment: Value error, expected 0x and 64 hex digits"),
        503: ("chain-unavailable", "eth_call: the chain is not reachable"),
    }
    code, detail = examples.get(status, ("malformed-request", _WORDS[status]))
    problem = Problem(type=f"urn:cohort:problem:{code}", title=_WORDS[status], status=status, detail=detail, code=code)
    return problem.model_dump(mode="json")
