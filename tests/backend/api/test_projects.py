"""Creating, funding, ending a project through the API: what comes back can be signed and does what it says."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

import numpy as np
import pytest
from cohort_backend import examples
from cohort_protocol.chain.events import MarketLogs
from cohort_protocol.chain.transactions import TransactionRequest
from cohort_protocol.identifiers import to_hex
from cohort_protocol.ipfs.cid import RAW, Cid
from cohort_protocol.scoring.policy import policy_by_name
from cohort_protocol.service.messages import ProjectDraft, ProjectRequest, TransactionsToSign, TransactionToSign
from cohort_protocol.update import encode_model, model_commitment
from eth_account.signers.local import LocalAccount

from tests.backend.api.conftest import Service
from tests.backend.stages import OPEN
from tests.fixtures.chain import Devnet
from tests.fixtures.scene import by_address

UNIT = 10**18


@pytest.fixture
def request_of(service: Service, devnet: Devnet) -> dict[str, Any]:
    """A project that can be created, as JSON; its first model is on the store."""
    model = np.arange(examples.SPEC.model.dimension, dtype=np.int64)
    cid = service.parts.store.put(encode_model(model))
    content = examples.PROJECT_REQUEST.model_dump(mode="json")
    content["spec"]["model"] |= {"initial_cid": str(cid), "initial_commitment": to_hex(model_commitment(model))}
    content["terms"]["token"] = devnet.deployment.token
    content["terms"]["witnesses"] = [
        one.address for one in by_address([devnet.account("witness", i) for i in range(3)])
    ]
    content["terms"]["aggregators"] = [devnet.account("aggregator").address]
    content["owner"] = devnet.account("owner").address
    return content


def _send(devnet: Devnet, account: LocalAccount, transactions: list[TransactionToSign]) -> None:
    for one in transactions:
        devnet.send(
            account, TransactionRequest(one.to, bytes.fromhex(one.data[2:]), one.value, describe=one.description)
        )


def _draft(service: Service, content: dict[str, Any]) -> ProjectDraft:
    answer = service.http.post("/v1/projects", json=content)
    assert answer.status_code == 200, answer.text
    return ProjectDraft.model_validate_json(answer.content)


def test_a_draft_signed_and_sent_creates_exactly_that_project(
    service: Service, devnet: Devnet, request_of: dict[str, Any]
) -> None:
    draft = _draft(service, request_of)
    wanted = ProjectRequest.model_validate(request_of)
    spec_bytes = wanted.spec.to_bytes()
    assert draft.spec_cid == str(Cid.of_block(RAW, spec_bytes))
    assert service.parts.store.get(Cid.parse(draft.spec_cid), 65536) == spec_bytes
    owner = devnet.account("owner")
    devnet.send(owner, devnet.token.mint(owner.address, wanted.deposit))
    _send(devnet, owner, draft.transactions)
    project = devnet.market.project_count()
    terms = devnet.market.terms_of(project)
    assert devnet.market.owner_of(project) == owner.address
    assert terms.spec_digest == sha256(spec_bytes).digest()
    assert terms.policy_hash == policy_by_name("peer", {}).policy_hash()
    assert to_hex(terms.initial_model) == wanted.spec.model.initial_commitment
    assert (terms.round_budget, terms.stake, terms.bond) == (100 * UNIT, 25 * UNIT, 50 * UNIT)
    assert (terms.dimension, terms.exponent) == (wanted.spec.model.dimension, wanted.spec.model.exponent)
    assert (terms.verifier, terms.policy) == (devnet.deployment.verifier, devnet.deployment.policy)
    assert to_hex(terms.verifier_code_hash) == devnet.deployment.code_hashes["AttestedVerifier"]
    assert to_hex(terms.policy_code_hash) == devnet.deployment.code_hashes["SuppliedScores"]
    assert vars(terms.windows) == wanted.terms.windows.model_dump()
    assert devnet.market.ledger_of(project).free == wanted.deposit
    assert draft.cost["total"] == 1000 * UNIT
    assert draft.cost["protocol_fee_per_round"] == UNIT
    assert draft.cost["distributable_per_round"] == 97 * UNIT == devnet.market.distributable_of(project)


def test_without_a_deposit_there_is_nothing_to_allow(service: Service, request_of: dict[str, Any]) -> None:
    draft = _draft(service, request_of | {"deposit": "0"})
    (create,) = draft.transactions
    assert create.to == service.parts.settings.market


def test_funding_ending_and_refund_come_back_as_transactions(
    service: Service, devnet: Devnet, request_of: dict[str, Any]
) -> None:
    owner = devnet.account("owner")
    _send(devnet, owner, _draft(service, request_of | {"deposit": "0"}).transactions)
    project = devnet.market.project_count()
    _index(service, devnet)
    devnet.send(owner, devnet.token.mint(owner.address, 7))
    for path, body in (("funding", {"amount": "7"}), ("end", None), ("refund", None)):
        answer = service.http.post(f"/v1/projects/{project}/{path}", json=body)
        assert answer.status_code == 200, answer.text
        _send(devnet, owner, TransactionsToSign.model_validate_json(answer.content).transactions)
    ledger = devnet.market.ledger_of(project)
    assert (ledger.deposited, ledger.free, ledger.refunded) == (7, 0, 7)
    assert devnet.token.balance_of(owner.address) == 7


def _index(service: Service, devnet: Devnet) -> None:
    from cohort_backend.chain import repository as record
    from cohort_backend.chain.projection import apply_events

    deployment = devnet.deployment
    events = MarketLogs(devnet.client, deployment.market).fetch(deployment.block, devnet.client.block_number())
    with service.parts.database.write() as session:
        record.start_cursor(
            session,
            chain_id=deployment.chain_id,
            market=deployment.market,
            start_block=deployment.block,
            slash_window=devnet.market.profile().slash_window,
        )
        apply_events(session, events)


class TestRefusals:
    """Before anything is published or signed."""

    @pytest.mark.parametrize(
        ("field", "value", "code", "words"),
        [
            ("terms.quorum", 1, "terms-refused", "allowed is 2: a majority"),
            ("terms.quorum", 4, "terms-refused", "allowed is 3"),
            ("terms.min_trainers", 5, "terms-refused", "allowed is 4: at most half"),
            ("terms.stake", "0", "terms-refused", "two average shares"),
            ("terms.stake", str(97 * UNIT // 4 - 1), "terms-refused", f"allowed is {97 * UNIT // 4}"),
            ("terms.bond", str(50 * UNIT - 1), "terms-refused", "half of the round_budget"),
            ("terms.score_floor", "0", "terms-refused", "allowed is 1"),
            ("terms.windows.self_commit", 60, "terms-refused", "allowed is 59: shorter than the commit window"),
            ("terms.score_floor", str(2**64), "terms-refused", "at most"),
            ("terms.round_budget", "7", "terms-refused", "one base unit per slot"),
            ("terms.round_budget", str(2**112), "terms-refused", "at most"),
            ("deposit", str(2**112), "terms-refused", "at most"),
            ("terms.witnesses", list(reversed(examples.WITNESSES)), "terms-refused", "increasing"),
            ("terms.witnesses", [examples.WITNESSES[0]] * 3, "terms-refused", "strictly increasing"),
            ("terms.slots", 33, "invalid-input", "slots"),
            ("terms.windows.commit", 0, "invalid-input", "commit"),
            ("spec.policy.name", "magic", "spec-refused", "known are"),
            ("spec.policy.name", "fltrust", "spec-refused", "validation root"),
            ("spec.policy.name", "gtg-shapley", "spec-refused", "for reports"),
            ("spec.policy.params", {"nothing": 1}, "spec-refused", "nothing"),
            ("spec.model.family", "magic", "spec-refused", "known are"),
            ("spec.model.dimension", 38_281, "spec-refused", "38282"),
            ("spec.model.config", {"deep": {}}, "spec-refused", "deep"),
            ("spec.title", "", "invalid-input", "title"),
            ("spec.more", 1, "invalid-input", "more"),
        ],
    )  # fmt: skip
    def test_terms_and_spec(
        self, service: Service, request_of: dict[str, Any], field: str, value: Any, code: str, words: str
    ) -> None:
        *path, last = field.split(".")
        target = request_of
        for name in path:
            target = target[name]
        target[last] = value
        self._refused(service, request_of, 422, code, words)

    def test_a_first_model_that_is_not_there(self, service: Service, request_of: dict[str, Any]) -> None:
        request_of["spec"]["model"]["initial_cid"] = str(Cid.of_block(RAW, b"nowhere"))
        self._refused(service, request_of, 422, "initial-model-refused", "Put its bytes")

    @pytest.mark.parametrize("content", [b"garbage", encode_model(np.zeros(5, np.int64)), b"\0" * 400_000])
    def test_a_first_model_that_is_none(self, service: Service, request_of: dict[str, Any], content: bytes) -> None:
        request_of["spec"]["model"]["initial_cid"] = str(service.parts.store.put(content))
        self._refused(service, request_of, 422, "initial-model-refused", "first model")

    def test_a_first_model_that_is_another(self, service: Service, request_of: dict[str, Any]) -> None:
        request_of["spec"]["model"]["initial_commitment"] = "0x" + "11" * 32
        self._refused(service, request_of, 422, "initial-model-refused", "has commitment")

    def test_a_token_that_is_no_contract(self, service: Service, request_of: dict[str, Any]) -> None:
        request_of["terms"]["token"] = examples.TRAINER
        self._refused(service, request_of, 404, "no-contract", examples.TRAINER)

    def test_json_deeper_than_any_spec(self, service: Service, request_of: dict[str, Any]) -> None:
        deep: dict[str, Any] = {}
        for _ in range(40):
            deep = {"a": deep}
        request_of["spec"]["policy"]["params"] = deep
        self._refused(service, request_of, 422, "invalid-input", "nested")

    @pytest.mark.parametrize("amount", ["0", "-1", str(2**112), "1.5"])
    def test_amounts(self, service: Service, amount: str) -> None:
        service.fill(OPEN)
        answer = service.http.post(f"{service.path}/funding", json={"amount": amount})
        assert answer.status_code == 422

    def _refused(self, service: Service, content: dict[str, Any], status: int, code: str, words: str) -> None:
        answer = service.http.post("/v1/projects", json=content)
        assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
        assert words in answer.json()["detail"]
        with service.parts.database.read() as session:
            from cohort_backend.projects.models import SpecDocument
            from sqlalchemy import func, select

            assert session.scalar(select(func.count()).select_from(SpecDocument)) == 0


def test_a_proven_project_is_refused_where_there_is_no_verifier_for_it(
    service: Service, request_of: dict[str, Any]
) -> None:
    request_of["spec"]["settlement"] = "proven"
    answer = service.http.post("/v1/projects", json=request_of)
    assert answer.status_code == 422, answer.text
    assert "COHORT_PROVEN_VERIFIER" in answer.json()["detail"]
