"""Joining and leaving: what is shown, what is checked, what is sent."""

from __future__ import annotations

import json
from dataclasses import replace
from hashlib import sha256

import pytest
from cohort_devnet.accounts import demo_account
from cohort_protocol.chain import Token, TransactionRequest, TransactionSender
from cohort_protocol.chain.codec import decode_values
from cohort_protocol.chain.errors import TransactionReverted, UnknownProject, WrongChain
from cohort_protocol.chain.types import ZERO_ADDRESS
from cohort_protocol.spec import PolicySpec, ProjectSpec
from cohort_trainer.access_lists import AccessList, opens, read_proof
from cohort_trainer.errors import (
    AccessFileInvalid,
    BalanceTooLow,
    DataDoesNotFit,
    NotAMember,
    NotOnAccessList,
    ProjectOver,
    ProjectUnsafe,
    ReliabilityTooLow,
    StakeLocked,
    StakeThere,
    StillLeaving,
    WrongMarket,
)
from cohort_trainer.home import Home
from cohort_trainer.rounds.training import own_data
from cohort_trainer.sdk import Trainer
from cohort_trainer.vouching import vouching_projects
from hypothesis import given
from hypothesis import strategies as st

from tests.fixtures.scene import BUDGET, DISTRIBUTABLE
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
        assert stage.devnet.token.balance_of(trainer.address) == before - stage.plan.terms.stake
        assert stage.devnet.token.allowance(trainer.address, stage.scene.market.address) == 0
    assert first.active
    assert stage.scene.market.progress_of(stage.scene.project).members == 1


def test_a_join_interrupted_after_the_allowance_goes_on(stage):
    with stage.trainer() as trainer:
        token = trainer.connection.token(stage.plan.terms.token)
        trainer.sender.execute(
            token.approve(stage.scene.market.address, stage.plan.terms.stake), "the allowance of a lost join"
        )
        assert trainer.join(stage.scene.project).active


def test_the_preview_shows_what_is_at_stake_and_what_is_paid(stage):
    with stage.trainer() as trainer:
        shown = trainer.preview(stage.scene.project)
    assert shown.equal_share == DISTRIBUTABLE // 2
    assert shown.most == DISTRIBUTABLE
    assert (shown.rounds_funded, shown.rounds_left) == (3, 3)
    text = "\n".join(shown.lines())
    for word in (
        stage.plan.spec.title,
        *stage.plan.terms.witnesses,
        *stage.plan.terms.aggregators,
        "2 of 3",
        "rescue 600 s",
    ):
        assert word in text
    assert stage.plan.terms.verifier in text
    assert "lost if you" in text
    # An owner's words cannot rewrite what stands beside them.
    words = {"title": "Flowers\x1b[2J", "description": "Fine.\n  At stake     nothing\x1b[8m\u202e"}
    loud = replace(shown, project=replace(shown.project, spec=shown.project.spec.model_copy(update=words)))
    assert all(line.isprintable() for line in loud.lines())
    assert len(loud.lines()) == len([*shown.lines(), "description"]) - bool(shown.project.spec.description)


def test_too_few_tokens_or_no_coin_is_said_before_anything_is_sent(stage):
    poor = stage.devnet.account("trainer", 9)
    with stage.trainer(poor, "poor") as trainer:
        with pytest.raises(BalanceTooLow, match=f"{poor.address} holds 0 "):
            trainer.join(stage.scene.project)
        stage.devnet.send(poor, stage.devnet.token.mint(poor.address, stage.plan.terms.stake))
        stage.devnet.control.set_balance(poor.address, 1)
        with pytest.raises(BalanceTooLow, match="holds 1 wei"):
            trainer.join(stage.scene.project)


def test_a_project_that_does_not_exist(stage):
    with stage.trainer() as trainer, pytest.raises(UnknownProject):
        trainer.join(99)


def test_a_project_that_is_over_is_not_joined(stage):
    stage.devnet.send(stage.scene.owner, stage.scene.market.end_project(stage.scene.project))
    with stage.trainer() as trainer, pytest.raises(ProjectOver, match="over"):
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
    home = stage.home()
    another = Home(home.root, home.config.model_copy(update={"verifier": "0x" + "12" * 20}))
    with Trainer(another, stage.account) as trainer, pytest.raises(ProjectUnsafe, match="verifier"):
        trainer.project(stage.scene.project)


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
        (lambda stage: changed_spec(stage, policy=PolicySpec(name="dig-fl")), "validation root"),
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
    names = ("deposited", "free", "held", "claimable", "claimed", "fees", "burned", "refunded")
    ledger = dict.fromkeys((*names, "stakes", "bonds", "stakes_burned", "bonds_burned", "protocol_fees"), "0")
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
        "protocol_fee": "10000",
        "distributable": str(DISTRIBUTABLE),
        "standing_weight": 0,
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


# --- one transaction --------------------------------------------------------------------------------------------------


def test_joining_with_a_delegate_is_one_transaction(stage):
    helper = stage.devnet.account("trainer", 8)
    with stage.trainer() as trainer:
        before = stage.devnet.client.nonce(trainer.address)
        member = trainer.join(stage.scene.project, delegate=helper.address)
        assert stage.devnet.client.nonce(trainer.address) == before + 1
        assert (member.delegate, member.active) == (helper.address, True)
        assert trainer.set_delegate(stage.scene.project, None).delegate == ZERO_ADDRESS
        assert trainer.set_delegate(stage.scene.project, helper.address).delegate == helper.address
        # Joining again with another delegate only changes the delegate.
        other = stage.devnet.account("trainer", 9).address
        assert trainer.join(stage.scene.project, delegate=other).delegate == other


def test_a_token_that_does_not_take_the_permit_is_approved(stage, monkeypatch):
    """As a token with another EIP-712 version has it: the permit fails inside, the stake would not be paid."""
    real = Token.permit_message

    def other_value(self, owner, spender, value, deadline):
        return real(self, owner, spender, value + 1, deadline)

    monkeypatch.setattr(Token, "permit_message", other_value)
    with stage.trainer() as trainer:
        before = stage.devnet.client.nonce(trainer.address)
        assert trainer.join(stage.scene.project).active
        assert stage.devnet.client.nonce(trainer.address) == before + 2  # approve, join
        assert stage.devnet.token.allowance(trainer.address, stage.scene.market.address) == 0


def test_a_token_without_permits_is_approved(stage, monkeypatch):
    def none(self, owner, ref="latest"):
        raise TransactionReverted("nonces: no such function")

    monkeypatch.setattr(Token, "nonces", none)
    with stage.trainer() as trainer:
        before = stage.devnet.client.nonce(trainer.address)
        assert trainer.join(stage.scene.project).active
        assert stage.devnet.client.nonce(trainer.address) == before + 2


def test_a_permit_that_somebody_else_used_first_does_no_harm(stage, monkeypatch):
    """Anyone can take the signature out of the pool and use it at the token: the allowance is there all the same."""
    market, token = stage.scene.market, stage.devnet.token
    send = TransactionSender.send

    def copied_first(self, request, intent):
        if intent.startswith("join"):
            function = market.abi.functions["multicall"]
            permit = decode_values(function.inputs, request.data[4:])[0][0]
            values = decode_values(market.abi.functions["selfPermit"].inputs, permit[4:])
            data = token.abi.encode_call("permit", self.address, market.address, *values[1:])
            stage.devnet.send(stage.devnet.account("anyone"), TransactionRequest(token.address, data))
        return send(self, request, intent)

    with stage.trainer() as trainer:
        monkeypatch.setattr(TransactionSender, "send", copied_first)
        assert trainer.join(stage.scene.project).active


# --- who may join -----------------------------------------------------------------------------------------------------


def test_a_project_with_a_list_takes_those_on_it(make_stage, tmp_path):
    people = [f"0x{number:040x}" for number in range(1, 5)]
    account = demo_account(0, "trainer", 7)
    listed = AccessList([*people, account.address])
    stage = make_stage(access_root="0x" + listed.root.hex())
    whole, proof, wrong = tmp_path / "list.txt", tmp_path / "proof.json", tmp_path / "wrong.txt"
    whole.write_text("\n".join(listed.trainers))
    proof.write_text(json.dumps(["0x" + sibling.hex() for sibling in listed.proof(account.address)]))
    wrong.write_text("\n".join([*people[:3], account.address]))
    before = stage.devnet.client.nonce(account.address)
    with stage.trainer() as trainer:
        with pytest.raises(NotOnAccessList, match="get the list"):
            trainer.join(stage.scene.project)
        with pytest.raises(NotOnAccessList, match="does not show"):
            trainer.join(stage.scene.project, access=wrong)
        assert "only those on the owner's list" in "\n".join(trainer.preview(stage.scene.project).lines())
        assert stage.devnet.client.nonce(account.address) == before
        assert read_proof(whole, account.address, listed.root) == read_proof(proof, account.address, listed.root)
        assert trainer.join(stage.scene.project, access=proof).active
    with pytest.raises(NotOnAccessList, match="not among the 5"):
        read_proof(whole, stage.scene.owner.address, listed.root)


@pytest.mark.parametrize("text", ["", "[]", "{", "0x12", "[1, 2]", "hello", "[[]]"])
def test_an_access_file_that_is_none_is_named(tmp_path, text):
    path = tmp_path / "list"
    path.write_text(text)
    with pytest.raises((AccessFileInvalid, NotOnAccessList), match="list"):
        read_proof(path, "0x" + "11" * 20, b"\x01" * 32)
    with pytest.raises(AccessFileInvalid, match="no file"):
        read_proof(tmp_path / "absent", "0x" + "11" * 20, b"\x01" * 32)


@given(st.sets(st.integers(1, 2**160 - 1), min_size=1, max_size=40))
def test_every_trainer_of_a_list_has_a_proof(numbers):
    listed = AccessList([f"0x{number:040x}" for number in numbers])
    for trainer in listed.trainers:
        assert opens(listed.root, trainer, listed.proof(trainer))
    stranger = next(number for number in range(1, 2**160) if number not in numbers)
    assert not opens(listed.root, f"0x{stranger:040x}", listed.proof(listed.trainers[0]))


def test_too_little_reliability_is_said_before_anything_is_sent(make_stage):
    stage = make_stage(min_reliability=500)
    with stage.trainer() as trainer:
        before = stage.devnet.client.nonce(trainer.address)
        with pytest.raises(ReliabilityTooLow, match=r"asks for a reliability of 5\.00%.* has 0\.00% from 0 projects"):
            trainer.join(stage.scene.project)
        assert stage.devnet.client.nonce(trainer.address) == before
        assert "5.00% to join" in "\n".join(trainer.preview(stage.scene.project).lines())


def test_work_in_one_project_opens_another(stage):
    """The credit of a settled round vouches: named by the service, found on chain without it or when it leaves some
    out."""
    with stage.joined() as trainer:
        stage.service.run_automatically(1)
        trainer.run(stage.scene.project, stage.data, rounds=1)
        earned = stage.scene.market.reliability_of(trainer.address, [stage.scene.project])
        assert earned > 0
        assert trainer.status(stage.scene.project).reliability == earned
        strict = create_project(stage, stage.plan.spec.to_bytes(), min_reliability=earned)
        stricter = create_project(stage, stage.plan.spec.to_bytes(), min_reliability=earned + 1)
        for named in ([], [stage.scene.project], [99], [stage.scene.project, stage.scene.project]):
            stage.service.intercept = standing_of(trainer.address, named)
            assert vouching_projects(trainer.connection, strict, trainer.address) == [stage.scene.project]
        stage.service.stop()
        with pytest.raises(ReliabilityTooLow, match="from 1 projects"):
            vouching_projects(trainer.connection, stricter, trainer.address)
        assert trainer.join(strict).active


def standing_of(trainer: str, projects: list[int]):
    """The service answers GET /v1/trainers/{address} with these projects."""
    view = {"address": trainer, "reliability_bps": 1, "losses": 0, "rounds": 1, "rejections": 0, "projects": projects}
    return lambda method, path, body: (200, view) if path.startswith("/v1/trainers/") else None


# --- the stake --------------------------------------------------------------------------------------------------------


def test_somebody_else_can_pay_the_stake(stage):
    project, patron = stage.scene.project, stage.devnet.account("trainer", 8)
    stage.devnet.send(patron, stage.devnet.token.mint(patron.address, 10**9))
    with stage.trainer(patron, "patron") as payer, stage.trainer() as trainer:
        assert payer.stake_for(project, trainer.address).staked
        with pytest.raises(StakeThere):
            payer.stake_for(project, trainer.address)
        held = stage.devnet.token.balance_of(trainer.address)
        assert "paid for you already" in "\n".join(trainer.preview(project).lines())
        with pytest.raises(NotAMember):
            trainer.restake(project)
        assert trainer.join(project).active
        assert stage.devnet.token.balance_of(trainer.address) == held
        assert trainer.leave(project).unlock_at
        assert trainer.withdraw_stake(project) == stage.plan.terms.stake
        assert stage.devnet.token.balance_of(trainer.address) == held + stage.plan.terms.stake


def test_leaving_brings_the_stake_back_and_allows_a_second_time(stage):
    project, stake = stage.scene.project, stage.plan.terms.stake
    with stage.trainer() as trainer:
        before = stage.devnet.token.balance_of(trainer.address)
        with pytest.raises(NotAMember):
            trainer.leave(project)
        number = trainer.join(project).number
        with pytest.raises(TransactionReverted) as raised:
            trainer.withdraw_stake(project)
        assert raised.value.name == "StillMember"
        left = trainer.leave(project)
        assert not left.joined
        assert trainer.leave(project) == left  # again: nothing is sent
        with pytest.raises(StillLeaving, match="withdraw-stake"):
            trainer.join(project)
        assert trainer.withdraw_stake(project) == stake
        with pytest.raises(NotAMember):
            trainer.withdraw_stake(project)
        assert stage.devnet.token.balance_of(trainer.address) == before
        again = trainer.join(project)  # the second stay is no repetition of the first
        assert (again.active, again.number) == (True, number)
        assert not trainer.leave(project).joined
        assert trainer.withdraw_stake(project) == stake
    assert stage.devnet.token.balance_of(trainer.address) == before


def test_the_stake_stays_until_nothing_can_be_slashed_and_the_time_is_said(stage):
    with stage.joined() as trainer:
        stage.service.open_round()
        left = trainer.leave(stage.scene.project)
        assert left.unlock_at == stage.scene.view().slash_end
        with pytest.raises(StakeLocked, match=r"is free 20\d\d-.* UTC, in 3\d min"):
            trainer.withdraw_stake(stage.scene.project)
        stage.devnet.control.warp(2000)
        assert trainer.withdraw_stake(stage.scene.project) == stage.plan.terms.stake


def test_status_is_what_the_chain_says(stage):
    with stage.trainer() as trainer:
        trainer.join(stage.scene.project)
        found = trainer.status(stage.scene.project)
    assert (found.title, found.round, found.claimable) == (stage.plan.spec.title, 0, 0)
    assert found.member.active
    assert (found.record.rounds, found.reliability, found.stake) == (0, 0, stage.plan.terms.stake)
