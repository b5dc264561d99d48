"""The owner's side: what is asked for, what is signed, what comes of it."""

from __future__ import annotations

import tomllib
from dataclasses import replace

import numpy as np
import pytest
from cohort_protocol.chain.errors import TransactionReverted
from cohort_protocol.chain.market import Market
from cohort_protocol.chain.profiles import PROFILES
from cohort_protocol.chain.terms import minimum_bond, minimum_stake
from cohort_protocol.chain.token import Token
from cohort_protocol.chain.types import ListedToken
from cohort_protocol.identifiers import parse_address
from cohort_protocol.ipfs.cid import Cid
from cohort_protocol.service.errors import ServiceRefused
from cohort_protocol.service.messages import ProjectDraft, ProjectRequest
from cohort_protocol.update import decode_model, floats_from_model, model_commitment
from cohort_trainer.access_lists import AccessList
from cohort_trainer.amounts import format_amount
from cohort_trainer.errors import BalanceTooLow, DraftTampered, OwnerInputInvalid, WrongMarket
from cohort_trainer.models import ModelUnavailable
from cohort_trainer.owner.drafts import (
    ProjectPlan,
    check_draft,
    expected_transactions,
    make_plan,
    parse_spec_draft,
    parse_terms,
    read_file,
)
from cohort_trainer.owner.rules import MarketRules
from cohort_trainer.owner.sdk import NoSuchRound, Owner
from cohort_trainer.owner.templates import SPEC_TOML, example_terms
from cohort_trainer.rounds import loop
from safetensors.numpy import load

from tests.fixtures.scene import BUDGET, DISTRIBUTABLE
from tests.trainer.conftest import SPEC, WINDOWS, Stage
from tests.trainer.market_service import problem


@pytest.fixture(autouse=True)
def look_often(monkeypatch):
    monkeypatch.setattr(loop, "LONGEST_LOOK", 1.0)


def owner_of(stage: Stage) -> Owner:
    return Owner(stage.home(stage.scene.owner, "owner"), stage.scene.owner)


def terms_values(stage: Stage) -> dict:
    return stage.plan.request.model_dump(mode="json")


def draft_of(plan: ProjectPlan, market: Market, token: Token) -> dict:
    """What an honest service answers."""
    return {
        "spec_cid": str(plan.spec_cid),
        "terms_hash": "0x" + "00" * 32,
        "cost": {"total": str(plan.total_cost)},
        "transactions": [
            {"to": one.to, "data": "0x" + one.data.hex(), "value": str(one.value), "description": one.describe}
            for one in expected_transactions(plan, market, token)
        ],
    }


def serve_drafts(stage: Stage, plan: ProjectPlan, change=lambda draft: draft) -> list[ProjectRequest]:
    """The service answers POST /v1/projects with the draft, changed on its way out; returns what it was asked."""
    asked = []

    def intercept(method: str, path: str, body: bytes):
        if (method, path) != ("POST", "/v1/projects"):
            return None
        asked.append(ProjectRequest.model_validate_json(body))
        return 200, change(draft_of(plan, stage.scene.market, stage.devnet.token))

    stage.service.intercept = intercept
    return asked


def give(stage: Stage, amount: int) -> None:
    stage.devnet.send(stage.scene.owner, stage.devnet.token.mint(stage.scene.owner.address, amount))
    stage.devnet.send(stage.scene.owner, stage.devnet.token.approve(stage.scene.market.address, 0))


# --- creating --------------------------------------------------------------------------------------------------------


def test_a_project_is_created_and_funded_as_asked(stage):
    give(stage, 3 * BUDGET)
    with owner_of(stage) as owner:
        plan = owner.plan(SPEC, terms_values(stage), str(3 * BUDGET))
        asked = serve_drafts(stage, plan)
        before = stage.devnet.client.nonce(owner.address)
        project = owner.create(plan)
        assert stage.scene.market.terms_of(project) == plan.terms
        assert stage.scene.market.owner_of(project) == owner.address
        assert stage.scene.market.ledger_of(project).free == 3 * BUDGET
        assert stage.devnet.token.allowance(owner.address, stage.scene.market.address) == 0
        assert stage.devnet.client.nonce(owner.address) == before + 1  # permit, creation and deposit in one
        assert asked[0].spec == plan.spec
        assert asked[0].deposit == 3 * BUDGET
        # Spec and first model are on IPFS under the CIDs that chain and spec name.
        assert stage.store.get(Cid(0x55, plan.terms.spec_digest), 1 << 16) == plan.spec.to_bytes()
        first = decode_model(stage.store.get(Cid.parse(plan.spec.model.initial_cid), 1 << 16), plan.terms.dimension)
        assert model_commitment(first) == plan.terms.initial_model
        assert owner.project(project).spec == plan.spec


def test_creating_again_is_the_same_project_unless_it_is_labelled(stage):
    give(stage, 3 * BUDGET)
    with owner_of(stage) as owner:
        plan = owner.plan(SPEC, terms_values(stage), str(3 * BUDGET))
        serve_drafts(stage, plan)
        first = owner.create(plan)
        assert owner.create(plan) == first
        with pytest.raises(BalanceTooLow, match="holds 0"):
            owner.create(plan, label="second")
        give(stage, 3 * BUDGET)
        assert owner.create(plan, label="second") == first + 1
    with owner_of(stage) as restarted:
        assert restarted.create(plan) == first


def test_too_small_a_balance_is_said_before_anything_is_signed(stage):
    with owner_of(stage) as owner:
        plan = owner.plan(SPEC, terms_values(stage), str(10**30))
        serve_drafts(stage, plan)
        before = stage.devnet.client.nonce(owner.address)
        with pytest.raises(BalanceTooLow):
            owner.create(plan)
        assert stage.devnet.client.nonce(owner.address) == before


def test_a_refusal_of_the_service_reaches_the_owner_in_its_words(stage):
    refuse = problem(422, "invalid-input", "the quorum must be more than half of the witnesses")
    stage.service.intercept = lambda method, path, body: refuse if method == "POST" else None
    with owner_of(stage) as owner:
        plan = owner.plan(SPEC, terms_values(stage), str(BUDGET))
        with pytest.raises(ServiceRefused, match="more than half"):
            owner.create(plan)


# --- a service that would have something else signed ------------------------------------------------------------------


THIEF = "0x" + "bad0" * 10


def reencoded(plan_change=None, deposit=None):
    """The creation with other terms, as a hostile service would encode it."""

    def change(stage: Stage, plan: ProjectPlan, draft: dict) -> None:
        terms = replace(plan.terms, **(plan_change(plan) if plan_change else {}))
        request = stage.scene.market.create_project(terms, plan.deposit if deposit is None else deposit)
        draft["transactions"][1]["data"] = "0x" + request.data.hex()

    return change


def other_approval(spender=None, amount=None, to=None):
    def change(stage: Stage, plan: ProjectPlan, draft: dict) -> None:
        request = stage.devnet.token.approve(spender or stage.scene.market.address, amount or plan.deposit)
        draft["transactions"][0] |= {"data": "0x" + request.data.hex(), "to": to or request.to}

    return change


def edit(**fields):
    def change(stage: Stage, plan: ProjectPlan, draft: dict) -> None:
        draft["transactions"][1] |= fields

    return change


def more(stage: Stage, plan: ProjectPlan, draft: dict) -> None:
    request = stage.devnet.token.transfer(THIEF, plan.deposit)
    draft["transactions"].append({"to": request.to, "data": "0x" + request.data.hex(), "value": "0", "description": ""})


def another_function(stage: Stage, plan: ProjectPlan, draft: dict) -> None:
    draft["transactions"][1]["data"] = "0x" + stage.scene.market.fund(1, plan.deposit).data.hex()


def swapped(stage: Stage, plan: ProjectPlan, draft: dict) -> None:
    draft["transactions"].reverse()


def other_spec(stage: Stage, plan: ProjectPlan, draft: dict) -> None:
    draft["spec_cid"] = "bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy"


TAMPERINGS = {
    "witnesses": (reencoded(lambda plan: {"witnesses": (THIEF,)}), r"terms\.witnesses is \[(?i:0xbad)"),
    "aggregators": (reencoded(lambda plan: {"aggregators": (THIEF,)}), r"terms\.aggregators"),
    "quorum": (reencoded(lambda plan: {"quorum": 1}), r"terms\.quorum is 1, you asked for 2"),
    "verifier": (reencoded(lambda plan: {"verifier": THIEF}), r"terms\.verifier"),
    "token": (reencoded(lambda plan: {"token": THIEF}), r"terms\.token"),
    "budget": (reencoded(lambda plan: {"round_budget": 1}), r"terms\.roundBudget is 1"),
    "fee": (reencoded(lambda plan: {"aggregator_fee": plan.terms.round_budget}), r"terms\.aggregatorFee"),
    "spec": (reencoded(lambda plan: {"spec_digest": b"\x01" * 32}), r"terms\.specDigest is 0x0101"),
    "policy": (reencoded(lambda plan: {"policy_hash": b"\x01" * 32}), r"terms\.policyHash"),
    "policy contract": (reencoded(lambda plan: {"policy": THIEF}), r"terms\.policy is"),
    "code": (reencoded(lambda plan: {"verifier_code_hash": b"\x01" * 32}), r"terms\.verifierCodeHash"),
    "stake": (reencoded(lambda plan: {"stake": plan.terms.stake + 1}), r"terms\.stake is"),
    "bond": (reencoded(lambda plan: {"bond": 1}), r"terms\.bond is 1"),
    "list": (reencoded(lambda plan: {"access_root": b"\x01" * 32}), r"terms\.accessRoot"),
    "rescue": (
        reencoded(lambda plan: {"windows": replace(plan.terms.windows, rescue=1)}),
        r"terms\.windows\.rescue is 1",
    ),
    "model": (reencoded(lambda plan: {"initial_model": b"\x01" * 32}), r"terms\.initialModel"),
    "window": (
        reencoded(lambda plan: {"windows": replace(plan.terms.windows, commit=1)}),
        r"terms\.windows\.commit is 1",
    ),
    "deposit": (reencoded(deposit=7), r"deposit is 7, you asked for"),
    "spender": (other_approval(spender=THIEF), r"spender is (?i:0xbad)"),
    "unlimited": (other_approval(amount=2**256 - 1), r"1157920892"),
    "other token": (other_approval(to=THIEF), "it calls (?i:0xbad)"),
    "other market": (edit(to=THIEF), "it calls (?i:0xbad)"),
    "coin": (edit(value="1000000000000000000"), "it sends 1000000000000000000 wei instead of 0"),
    "garbage": (edit(data="0x" + "00" * 40), "another function"),
    "function": (another_function, "another function"),
    "one more": (more, "3 transactions to sign"),
    "swapped": (swapped, "transaction 1"),
    "spec cid": (other_spec, "changed the spec"),
}


@pytest.mark.parametrize("name", TAMPERINGS)
def test_a_tampered_draft_is_refused_and_nothing_is_signed(stage, name):
    tamper, words = TAMPERINGS[name]
    give(stage, 3 * BUDGET)
    with owner_of(stage) as owner:
        plan = owner.plan(SPEC, terms_values(stage), str(3 * BUDGET))

        def change(draft: dict) -> dict:
            tamper(stage, plan, draft)
            return draft

        serve_drafts(stage, plan, change)
        before = stage.devnet.client.nonce(owner.address)
        with pytest.raises(DraftTampered, match=words):
            owner.create(plan)
        assert stage.devnet.client.nonce(owner.address) == before
        assert not owner.home.transactions.exists()
    assert stage.scene.market.project_count() == 1


def test_every_term_is_compared(stage):
    """Whatever field of the terms differs, the draft is refused: no field may be forgotten."""
    market, token = stage.scene.market, stage.devnet.token
    plan = stage.plan
    for name, value in vars(plan.terms).items():
        other = (
            replace(value, settle=value.settle + 1)
            if name == "windows"
            else b"\x07" * 32
            if name == "validation_root"
            else value[:-1] or (THIEF,)
            if isinstance(value, tuple)
            else bytes(31) + b"\x01"
            if isinstance(value, bytes)
            else THIEF
            if isinstance(value, str)
            else value + 1
        )
        draft = draft_of(plan, market, token)
        request = market.create_project(replace(plan.terms, **{name: other}), plan.deposit)
        draft["transactions"][1]["data"] = "0x" + request.data.hex()
        with pytest.raises(DraftTampered):
            check_draft(ProjectDraft.model_validate(draft), plan, market, token)


# --- the owner's files -----------------------------------------------------------------------------------------------


def example_rules() -> MarketRules:
    """A market of the profile with the longest windows but one."""
    profile = PROFILES["l2"].with_([b"\x01" * 32], [b"\x02" * 32], [ListedToken("0x" + "00" * 19 + "C1", 2 * 10**6)])
    return MarketRules("0x" + "cd" * 20, "0x" + "ce" * 20, b"\x01" * 32, b"\x02" * 32, profile)


def example_values() -> dict:
    """The example terms of an owner who has made batches before."""
    return {**tomllib.loads(example_terms(None, None, None)), "validation_root": "0x" + "07" * 32}


def test_the_example_files_make_a_plan(tmp_path):
    draft = parse_spec_draft(tomllib.loads(SPEC_TOML))
    rules = example_rules()
    terms = parse_terms(example_values(), 6, draft, rules.profile)
    plan = make_plan(draft, terms, 10**9, rules)
    assert plan.terms.dimension == 38_282
    assert plan.terms.round_budget == 100 * 10**6
    assert (plan.protocol_fee, plan.distributable) == (10**6, 98 * 10**6)
    assert plan.standing_weight == 65_536 // 2
    assert plan.rounds_funded == 10
    assert plan.terms.score_floor > 0
    assert [address.lower() for address in plan.terms.witnesses] == sorted(a.lower() for a in plan.terms.witnesses)
    assert plan.spec.policy.params  # every default is spelled out: the hash on chain is over them


def test_the_same_files_give_the_same_project_on_every_machine():
    draft = parse_spec_draft(tomllib.loads(SPEC_TOML))
    rules = example_rules()
    terms = parse_terms(example_values(), 6, draft, rules.profile)
    plans = [make_plan(draft, terms, 1, rules) for _ in range(2)]
    assert plans[0].spec_cid == plans[1].spec_cid
    assert plans[0].terms == plans[1].terms


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"model": {"family": "unknown"}}, "unknown"),
        ({"policy": {"name": "best"}}, "best"),
        ({"policy": {"name": "fltrust"}}, "validation root"),
        ({"policy": {"name": "default"}}, "--validation"),
        ({"policy": {"name": "exact-shapley"}}, "for reports"),
        ({"policy": {"name": "peer", "params": {"no-such": 1}}}, "no-such"),
        ({"title": ""}, "title"),
        ({"surprise": 1}, "surprise"),
        ({"data": {"shape": [4], "classes": 1}}, "classes"),
    ],
)
def test_a_spec_that_cannot_be_used_names_the_field(stage, change, words):
    with owner_of(stage) as owner, pytest.raises(OwnerInputInvalid, match=words):
        owner.plan({**SPEC, **change}, terms_values(stage), "1")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"token": None}, "token"),
        ({"quorum": 0}, "quorum"),
        ({"round_budget": "ten"}, "amount"),
        ({"witnesses": []}, "witnesses"),
        ({"windows": {**WINDOWS, "commit": 0}}, "windows.commit"),
        ({"windows": {"commit": 1, "reveal": 1, "settle": 1}}, "windows.rescue"),
        ({"windows": {**WINDOWS, "self_commit": 600}}, "selfCommit window is 600, allowed is 599"),
        ({"stake": "5"}, "stake is 5, allowed is"),
        ({"bond": "5"}, "bond is 5, allowed is"),
        ({"min_trainers": 2}, "minTrainers is 2, allowed is 1"),
        ({"quorum": 1}, "quorum is 1, allowed is 2"),
        ({"min_reliability": 10_001}, "min_reliability"),
        ({"access_list": []}, "access list"),
        ({"access_list": "0x12"}, "list of addresses"),
        ({"access_list": ["0x" + "12" * 20]}, "both an access_list and an access_root"),
        ({"surprise": 1}, "surprise"),
    ],
)
def test_terms_that_cannot_be_used_name_the_field(stage, change, words):
    with owner_of(stage) as owner, pytest.raises(OwnerInputInvalid, match=words):
        owner.plan(SPEC, {**terms_values(stage), **change}, "1")


def test_the_least_stake_and_bond_stand_in_for_missing_ones(stage):
    values = {name: value for name, value in terms_values(stage).items() if name not in ("stake", "bond")}
    with owner_of(stage) as owner:
        plan = owner.plan(SPEC, values, "1")
    assert plan.terms.stake == minimum_stake(plan.distributable, 2)
    assert plan.terms.bond == minimum_bond(BUDGET)
    assert plan.distributable == DISTRIBUTABLE


def test_a_list_of_trainers_becomes_its_root(stage):
    values = {name: value for name, value in terms_values(stage).items() if name != "access_root"}
    people = [f"0x{number:040x}" for number in (3, 1, 2)]
    with owner_of(stage) as owner:
        plan = owner.plan(SPEC, {**values, "access_list": people}, "1")
        assert plan.terms.access_root == AccessList(sorted(people)).root
        assert "Who may join those on your list" in "\n".join(owner.preview(plan))


def test_the_preview_shows_every_fee(stage):
    with owner_of(stage) as owner:
        plan = owner.plan(SPEC, terms_values(stage), str(3 * BUDGET))
        text = "\n".join(owner.preview(plan))
    for amount in (plan.terms.round_budget, plan.distributable, plan.protocol_fee, plan.terms.bond, plan.terms.stake):
        assert format_amount(amount, 18, stage.devnet.token.symbol()) in text
    assert "counts 0% for the trainers' standing" in text or plan.standing_weight


def test_a_policy_that_the_market_does_not_list_is_refused(stage):
    other = stage.service._market().model_dump(mode="json") | {"policy": stage.devnet.deployment.market}
    stage.service.intercept = lambda method, path, body: (200, other) if path == "/v1/market" else None
    with owner_of(stage) as owner, pytest.raises(WrongMarket, match="code of the policy"):
        owner.plan(SPEC, terms_values(stage), "1")


def test_files_are_toml_or_json(tmp_path):
    (tmp_path / "a.toml").write_text('title = "x"')
    (tmp_path / "a.json").write_text('{"title": "x"}')
    assert read_file(tmp_path / "a.toml") == read_file(tmp_path / "a.json") == {"title": "x"}
    for name, text in (("b.toml", "= ="), ("b.json", "{"), ("c.json", "[]")):
        (tmp_path / name).write_text(text)
        with pytest.raises(OwnerInputInvalid, match=name):
            read_file(tmp_path / name)
    with pytest.raises(OwnerInputInvalid, match="no file"):
        read_file(tmp_path / "absent.toml")


# --- money and models ------------------------------------------------------------------------------------------------


def test_funding_ending_and_refunding(stage):
    give(stage, 500)
    project, token = stage.scene.project, stage.devnet.token
    with owner_of(stage) as owner:
        free = stage.scene.market.ledger_of(project).free
        assert owner.fund(project, "200") == 200
        assert owner.fund(project, "200") == 200  # the same amount again is another deposit
        with pytest.raises(BalanceTooLow):
            owner.fund(project, "200")
        with pytest.raises(TransactionReverted) as raised:
            owner.refund(project)
        assert raised.value.name == "ProjectNotOver"
        more = "0x" + "ab" * 20
        owner.add_aggregator(project, parse_address(more))
        owner.add_aggregator(project, parse_address(more))
        assert stage.scene.market.aggregators_of(project)[-1] == parse_address(more)
        owner.end(project)
        owner.end(project)
        before = token.balance_of(owner.address)
        assert owner.refund(project) == free + 400
        assert token.balance_of(owner.address) == before + free + 400
        found = owner.status(project)
    assert found.ended
    assert found.ledger.balanced
    assert found.ledger.refunded == free + 400


def test_the_model_after_each_round_is_fetched_and_checked(stage, tmp_path):
    with stage.joined() as trainer:
        stage.service.run_automatically(2)
        trainer.run(stage.scene.project, stage.data, rounds=2)
    with owner_of(stage) as owner:
        for number in (0, 1, 2):
            verified, found, model = owner.model(stage.scene.project, number)
            assert found == number
            assert np.array_equal(model, decode_model(stage.plan.first_model, verified.terms.dimension) + number)
        assert owner.save_model(stage.scene.project, tmp_path / "model.safetensors") == 2
        with pytest.raises(NoSuchRound, match=r"rounds 0 \.\. 2, not after 3"):
            owner.model(stage.scene.project, 3)
        tensors = load((tmp_path / "model.safetensors").read_bytes())
        names = [shape.name for shape in verified.architecture.parameter_shapes()]
        flat = np.concatenate([tensors[name].ravel() for name in names])
        assert flat.dtype == np.float32
        assert np.array_equal(flat, floats_from_model(model, verified.spec.model.exponent))
        owner.save_model(stage.scene.project, tmp_path / "raw.safetensors", 2, raw=True)
        assert np.array_equal(decode_model((tmp_path / "raw.safetensors").read_bytes(), model.size), model)


def test_a_model_that_nobody_holds_is_unavailable_with_reasons(stage):
    with stage.joined() as trainer:
        stage.service.run_automatically(1)
        trainer.run(stage.scene.project, stage.data, rounds=1)
    stage.store.close()
    (stage.root / "ipfs").rename(stage.root / "elsewhere")
    with owner_of(stage) as owner:
        owner.home.project_folder(stage.scene.project).mkdir(parents=True)
        (owner.home.project_folder(stage.scene.project) / "spec.json").write_bytes(stage.plan.spec.to_bytes())
        with pytest.raises(ModelUnavailable, match="named on chain"):
            owner.model(stage.scene.project, 1)


def test_watching_ends_with_the_project(stage):
    seen = []
    with stage.joined() as trainer:
        stage.service.run_automatically(3)
        trainer.run(stage.scene.project, stage.data)
    with owner_of(stage) as owner:
        owner.watch(stage.scene.project, seen.append)
    assert seen[-1].finished
