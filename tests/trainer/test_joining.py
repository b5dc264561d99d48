"""Joining and leaving: what is shown, what is checked, what is sent."""

from __future__ import annotations

from dataclasses import replace
from hashlib import sha256

import pytest
from cohort_protocol.chain.errors import TransactionReverted, UnknownProject, WrongChain
from cohort_protocol.spec import PolicySpec, ProjectSpec
from cohort_trainer.errors import (
    BalanceTooLow,
    DataDoesNotFit,
    NotAMember,
    ProjectUnsafe,
    StillLeaving,
    WrongMarket,
)
from cohort_trainer.home import Home
from cohort_trainer.rounds.training import own_data
from cohort_trainer.sdk import Trainer

from tests.fixtures.scene import BUDGET, FEE, STAKE
from tests.trainer.conftest import Stage


def create_project(stage: Stage, spec_bytes: bytes, **terms) -> int:
    """One more project, with any spec and terms, sane or not."""
    stage.store.put(spec_bytes)
    changed = replace(stage.plan.terms, spec_digest=sha256(spec_bytes).digest(), **terms)
    stage.devnet.give_tokens(stage.scene.owner, BUDGET)
    stage.devnet.send(stage.scene.owner, stage.scene.market.create_project(changed, BUDGET))
    return stage.scene.market.project_count()


def test_joining_pays_the_stake_once_however_often_it_is_run(stage):
    with stage.trainer() as trainer:
        before = stage.devnet.token.balance_of(trainer.address)
        first = trainer.join(stage.scene.project)
        assert trainer.join(stage.scene.project) == first
        assert stage.devnet.token.balance_of(trainer.address) == before - STAKE
        assert stage.devnet.token.allowance(trainer.address, stage.scene.market.address) == 0
    assert first.active
    assert stage.scene.market.member_count(stage.scene.project) == 1


def test_a_join_interrupted_after_the_allowance_goes_on(stage):
    with stage.trainer() as trainer:
        token = trainer.connection.token(stage.plan.terms.token)
        trainer.sender.execute(token.approve(stage.scene.market.address, STAKE), "the allowance of a lost join")
        assert trainer.join(stage.scene.project).active


def test_the_preview_shows_what_is_at_stake_and_what_is_paid(stage):
    with stage.trainer() as trainer:
        shown = trainer.preview(stage.scene.project)
    distributable = BUDGET - FEE
    assert shown.equal_share == distributable // 2
    assert shown.most == distributable
    assert (shown.rounds_funded, shown.rounds_left) == (3, 3)
    text = "\n".join(shown.lines())
    for word in (stage.plan.spec.title, *stage.plan.terms.witnesses, *stage.plan.terms.aggregators, "2 of 3", "600 s"):
        assert word in text
    assert stage.plan.terms.verifier in text


def test_too_few_tokens_or_no_coin_is_said_before_anything_is_sent(stage):
    poor = stage.devnet.account("trainer", 9)
    with stage.trainer(poor, "poor") as trainer:
        with pytest.raises(BalanceTooLow, match=f"{poor.address} holds 0 "):
            trainer.join(stage.scene.project)
        stage.devnet.send(poor, stage.devnet.token.mint(poor.address, STAKE))
        stage.devnet.control.set_balance(poor.address, 1)
        with pytest.raises(BalanceTooLow, match="holds 1 wei"):
            trainer.join(stage.scene.project)


def test_a_project_that_does_not_exist(stage):
    with stage.trainer() as trainer, pytest.raises(UnknownProject):
        trainer.join(99)


def test_a_project_that_is_over_is_not_joined(stage):
    stage.devnet.send(stage.scene.owner, stage.scene.market.end_project(stage.scene.project))
    with stage.trainer() as trainer, pytest.raises(ProjectUnsafe, match="over"):
        trainer.join(stage.scene.project)


# --- spec and terms that do not agree --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("terms", "words"),
    [
        ({"dimension": 28}, "dimension in the terms is 28"),
        ({"initial_model": b"\x01" * 32}, "first model"),
        ({"policy_hash": b"\x01" * 32}, "scoring policy"),
    ],
)
def test_terms_that_contradict_the_spec_are_refused(stage, terms, words):
    project = create_project(stage, stage.plan.spec.to_bytes(), **terms)
    with stage.trainer() as trainer, pytest.raises(ProjectUnsafe, match=words):
        trainer.join(project)


def test_another_verifier_than_the_home_knows_is_refused(stage):
    project = create_project(stage, stage.plan.spec.to_bytes(), verifier=stage.devnet.deployment.token)
    with stage.trainer() as trainer, pytest.raises(ProjectUnsafe, match="verifier"):
        trainer.join(project)


def changed_spec(stage: Stage, policy: PolicySpec | None = None, **model) -> bytes:
    spec = stage.plan.spec
    changes = {"model": spec.model.model_copy(update=model), "policy": policy or spec.policy}
    return ProjectSpec(**{**vars(spec), **changes}).to_bytes()


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        (lambda stage: b"not json", "cannot be used"),
        (lambda stage: stage.plan.spec.to_bytes() + b" ", "canonical"),
        (lambda stage: changed_spec(stage, family="transformer"), "transformer"),
        (lambda stage: changed_spec(stage, policy=PolicySpec(name="best")), "best"),
        (lambda stage: changed_spec(stage, dimension=28), "dimension of the model is 28"),
    ],
)
def test_a_spec_that_this_program_cannot_follow_is_refused(stage, spec, words):
    project = create_project(stage, spec(stage))
    with stage.trainer() as trainer, pytest.raises(ProjectUnsafe, match=words):
        trainer.join(project)


def test_the_spec_is_found_without_ipfs_and_only_by_its_digest(stage):
    """From the service when IPFS has nothing; a spec with another digest is not taken from it."""
    spec = stage.plan.spec.model_copy(update={"title": "Kept by the service"})
    terms = replace(stage.plan.terms, spec_digest=sha256(spec.to_bytes()).digest())
    stage.devnet.give_tokens(stage.scene.owner, BUDGET)
    stage.devnet.send(stage.scene.owner, stage.scene.market.create_project(terms, BUDGET))
    project = stage.scene.market.project_count()
    told = stage.plan.spec

    def intercept(method: str, path: str, body: bytes):
        return (200, project_view(stage, project, told)) if path == f"/v1/projects/{project}" else None

    stage.service.intercept = intercept
    with stage.trainer() as trainer:
        with pytest.raises(Exception, match="cannot be fetched"):
            trainer.project(project)
        told = spec
        assert trainer.project(project).spec == spec
        told = stage.plan.spec
        stage.service.stop()
        assert trainer.project(project).spec == spec  # kept in the home


def project_view(stage: Stage, project: int, spec: ProjectSpec) -> dict:
    terms = stage.plan.request.model_dump(mode="json")
    ledger = dict.fromkeys(("deposited", "free", "held", "claimable", "claimed", "fees", "burned", "refunded"), "0")
    return {
        "id": project,
        "owner": stage.scene.owner.address,
        "spec_cid": str(stage.plan.spec_cid),
        "spec": spec.model_dump(mode="json"),
        "terms": terms,
        "policy_hash": "0x" + stage.plan.terms.policy_hash.hex(),
        "ended": False,
        "round": 0,
        "members": 0,
        "ledger": ledger,
    }


# --- the wrong place -------------------------------------------------------------------------------------------------


def test_a_service_of_another_market_is_refused(stage):
    other = stage.service._market().model_dump(mode="json") | {"market": "0x" + "99" * 20}
    stage.service.intercept = lambda method, path, body: (200, other) if path == "/v1/market" else None
    with stage.trainer() as trainer, pytest.raises(WrongMarket, match="0x9999"):
        trainer.join(stage.scene.project)


def test_a_chain_with_another_id_is_refused(stage):
    home = stage.home()
    wrong = Home(home.root, home.config.model_copy(update={"chain_id": 1}))
    with Trainer(wrong, stage.account) as trainer, pytest.raises(WrongChain):
        trainer.join(stage.scene.project)


def test_data_that_does_not_fit_names_the_line(stage):
    stage.data.write_text(stage.data.read_text() + "9,1,2,3,4\n")
    with stage.trainer() as trainer:
        project = trainer.project(stage.scene.project)
        with pytest.raises(DataDoesNotFit, match=r"line 26: label '9' .*examples of shape 4 with labels 0 \.\. 2"):
            own_data(project, stage.data)
        with pytest.raises(DataDoesNotFit, match="cannot be read"):
            own_data(project, stage.root / "absent.csv")


# --- leaving ---------------------------------------------------------------------------------------------------------


def test_leaving_brings_the_stake_back_and_allows_a_second_time(stage):
    project = stage.scene.project
    with stage.trainer() as trainer:
        before = stage.devnet.token.balance_of(trainer.address)
        with pytest.raises(NotAMember):
            trainer.leave(project)
        trainer.join(project)
        with pytest.raises(TransactionReverted) as raised:
            trainer.withdraw(project)
        assert raised.value.name == "StillMember"
        assert trainer.leave(project).left
        assert trainer.leave(project).left  # again: nothing is sent
        with pytest.raises(StillLeaving, match="withdraw"):
            trainer.join(project)
        assert trainer.withdraw(project) == STAKE
        with pytest.raises(NotAMember):
            trainer.withdraw(project)
        assert stage.devnet.token.balance_of(trainer.address) == before
        assert trainer.join(project).active  # the second stay is no repetition of the first
        assert trainer.leave(project).left
        assert trainer.withdraw(project) == STAKE
    assert stage.devnet.token.balance_of(trainer.address) == before


def test_the_stake_stays_while_the_round_runs(stage):
    with stage.joined() as trainer:
        stage.service.open_round()
        trainer.leave(stage.scene.project)
        with pytest.raises(TransactionReverted) as raised:
            trainer.withdraw(stage.scene.project)
        assert raised.value.name == "StakeLocked"


def test_status_is_what_the_chain_says(stage):
    with stage.trainer() as trainer:
        trainer.join(stage.scene.project)
        found = trainer.status(stage.scene.project)
    assert (found.title, found.round, found.claimable) == (stage.plan.spec.title, 0, 0)
    assert found.member.active
    assert found.standing.rounds == 0
