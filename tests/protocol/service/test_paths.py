"""The client's paths are the API's: every call is one that the API documents, and every endpoint has a call."""

from __future__ import annotations

import re
from contextlib import suppress

import pytest
from cohort_protocol.learning.data import digits_data_spec
from cohort_protocol.service.client import ServiceClient
from cohort_protocol.service.errors import ServiceError
from cohort_protocol.service.messages import (
    CommitIntake,
    ModelReceiptIntake,
    ProjectRequest,
    PublicRowsRefusal,
    PublicRowsSignature,
    ReceiptIntake,
    RevealIntake,
    SettlementRefusal,
    SettlementSignature,
    TermsRequest,
)
from cohort_protocol.spec import ModelSpec, PolicySpec, ProjectSpec

from tests.protocol.service.hostile_server import answering, problem, serving

ADDRESS = "0x" + "11" * 20
CID = "bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy"
HASH = "0x" + "22" * 32
SIGNATURE = "0x" + "33" * 65
NOT_FOR_CLIENTS = {("get", "/health/live"), ("get", "/metrics")}


def call_everything(client: ServiceClient) -> None:
    spec = ProjectSpec(
        title="t",
        model=ModelSpec(family="mlp", initial_cid=CID, initial_commitment=HASH, dimension=1, exponent=-1),
        data=digits_data_spec(),
        policy=PolicySpec(name="peer"),
    )
    terms = TermsRequest.model_validate(
        {"token": ADDRESS, "round_budget": "1", "stake": "1", "bond": "1", "score_floor": "1", "rounds": 1, "slots": 1}
        | {"min_trainers": 1, "quorum": 1}
        | {"windows": {"commit": 1, "reveal": 1, "rescue": 1, "settle": 1, "takeover": 1}}
        | {"witnesses": [ADDRESS], "aggregators": [ADDRESS]}
    )
    commit = CommitIntake(trainer=ADDRESS, member=4, commitment=HASH, signature=SIGNATURE)
    reveal = RevealIntake(trainer=ADDRESS, member=4, update=HASH, salt=HASH, cid=CID)
    receipt = ReceiptIntake(witness=ADDRESS, openings_hash=HASH, endorsed=1, refused=0, signature=SIGNATURE)
    rows = PublicRowsSignature(witness=ADDRESS, rows=HASH, signature=SIGNATURE)
    other_rows = PublicRowsRefusal(witness=ADDRESS, rows=HASH, detail="no", signature=SIGNATURE)
    agreed = SettlementSignature(witness=ADDRESS, bundle_cid=CID, signature=SIGNATURE)
    refused = SettlementRefusal(witness=ADDRESS, bundle_cid=CID, detail="no", signature=SIGNATURE)
    model = ModelReceiptIntake(witness=ADDRESS, model=HASH, signature=SIGNATURE)
    calls = [
        lambda: client.market(),
        lambda: client.policies(),
        lambda: client.policy("default"),
        lambda: client.trainer(ADDRESS),
        lambda: client.draft_project(ProjectRequest(owner=ADDRESS, spec=spec, terms=terms, deposit=1)),
        lambda: client.project(1),
        lambda: client.projects(),
        lambda: client.draft_funding(1, 5),
        lambda: client.draft_end(1),
        lambda: client.draft_refund(1),
        lambda: client.state(1, 5, 0.5),
        lambda: client.round(1, 2),
        lambda: client.rounds(1),
        lambda: client.bundle(1, 2),
        lambda: client.trainers(1, ADDRESS),
        lambda: client.project_trainer(1, ADDRESS),
        lambda: client.rewards(1, ADDRESS),
        lambda: client.post_commit(1, 2, commit),
        lambda: client.post_reveal(1, 2, reveal),
        lambda: client.post_receipt(1, 2, receipt),
        lambda: client.receipts(1, 2),
        lambda: client.settlement_signatures(1, 2),
        lambda: client.post_rows_signature(1, 2, rows),
        lambda: client.post_rows_refusal(1, 2, other_rows),
        lambda: client.post_settlement_signature(1, 2, agreed),
        lambda: client.post_settlement_refusal(1, 2, refused),
        lambda: client.post_model_receipt(1, model),
        lambda: client.ready(),
    ]
    for call in calls:
        with suppress(ServiceError):
            call()


@pytest.fixture(scope="module")
def called() -> set[tuple[str, str]]:
    """(method, path without query) of every call of the client."""
    with serving(answering(problem(404, "not-found", "nothing here"))) as server:
        with ServiceClient(server.url) as client:
            call_everything(client)
        lines = [request.split(b" ", 2) for request in server.requests]
    return {(method.decode().lower(), path.decode().partition("?")[0]) for method, path, _ in lines}


@pytest.fixture(scope="module")
def documented(tmp_path_factory) -> list[tuple[str, str, re.Pattern]]:
    """(method, template, pattern) of every endpoint of the real API."""
    from cohort_backend.app import create_app
    from cohort_backend.settings import ApiSettings

    folder = tmp_path_factory.mktemp("api")
    settings = ApiSettings(
        database_url=f"sqlite:///{folder}/db.sqlite",
        broker_url=f"filesystem://{folder}/broker",
        chain_url="http://127.0.0.1:1",
        chain_id=31337,
        market=ADDRESS,
        verifier=ADDRESS,
        policy=ADDRESS,
        ipfs_url=f"file://{folder}/ipfs",
    )
    found = []
    for path, methods in create_app(settings).openapi()["paths"].items():
        pattern = re.compile(re.sub(r"\{\w+\}", "[^/]+", path) + r"\Z")
        found += [(method, path, pattern) for method in methods]
    assert len(found) > 15
    return found


def test_every_call_is_documented_by_the_api(called, documented):
    for method, path in called:
        assert any(method == m and pattern.match(path) for m, _, pattern in documented), f"{method} {path}"


def test_every_endpoint_of_the_api_has_a_call(called, documented):
    for method, template, pattern in documented:
        if (method, template) not in NOT_FOR_CLIENTS:
            assert any(method == m and pattern.match(path) for m, path in called), f"{method} {template}"
