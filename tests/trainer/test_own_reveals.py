"""Reveals that the aggregator does not post, and the trainer does."""

from __future__ import annotations

from dataclasses import replace

import pytest
import structlog
from cohort_protocol.chain.events import UpdatesAdmitted
from cohort_protocol.chain.packed import Opening
from cohort_protocol.identifiers import parse_bytes32, to_hex
from cohort_protocol.ipfs.cid import Cid
from cohort_trainer.chain_events import find_events
from cohort_trainer.rounds import loop
from cohort_trainer.rounds.own_reveals import own_reveal_due, usable
from hypothesis import given
from hypothesis import strategies as st

from tests.trainer.conftest import Background, Stage, until


@pytest.fixture(autouse=True)
def look_often(monkeypatch):
    monkeypatch.setattr(loop, "LONGEST_LOOK", 1.0)


def admitted(stage: Stage) -> list[UpdatesAdmitted]:
    return find_events(stage.devnet.client, stage.scene.market.address, UpdatesAdmitted, [stage.scene.project], 0)


def handed_in(stage: Stage, trainer) -> Background:
    """A trainer that runs, whose update waits for the aggregator."""
    stage.service.open_round()
    run = Background(lambda: trainer.run(stage.scene.project, stage.data, rounds=1))
    until(lambda: stage.service.commits)
    stage.service.post_batch()
    until(lambda: stage.service.reveals)
    return run


def nearly_over(stage: Stage) -> None:
    stage.devnet.control.warp_to(stage.scene.view().reveal_end - 40)
    stage.service.bump()


def test_what_witnesses_signed_and_nobody_posts_is_posted_and_paid(stage):
    with structlog.testing.capture_logs() as logs, stage.joined() as trainer:
        run = handed_in(stage, trainer)
        stage.service.sign_reveals()
        assert not admitted(stage), "the aggregator has its time"
        nearly_over(stage)
        until(lambda: admitted(stage))
        (event,) = admitted(stage)
        sent = stage.devnet.client.rpc("eth_getTransactionByHash", [to_hex(event.at.transaction_hash)])
        assert sent["from"].lower() == trainer.account.address.lower()
        stage.scene.admissions += [event.rows]
        stage.service.settle()
        assert run.result() == 1
        record = trainer.journal(stage.scene.project).load(1)
    assert record.result.startswith("paid")
    assert any(entry["event"] == "revealed-on-chain" for entry in logs)


def test_without_a_quorum_the_stake_is_rescued_as_ever(stage):
    with stage.joined() as trainer:
        run = handed_in(stage, trainer)
        stage.service.sign_reveals(witnesses=(1,))
        nearly_over(stage)
        stage.devnet.control.warp(100)
        stage.service.bump()
        assert run.result(60) == 1
        assert not admitted(stage)
        assert stage.scene.market.member_of(stage.scene.project, trainer.address).staked
        assert trainer.journal(stage.scene.project).load(1).result.startswith("rescued")


def test_only_a_set_that_a_quorum_endorses_is_used(stage):
    with stage.joined() as trainer:
        run = handed_in(stage, trainer)
        project, member = trainer.project(stage.scene.project), stage.scene.number_of(trainer.account)
        stage.service.sign_reveals()
        (good,) = stage.service.receipted
        shown = good.reveals[0]
        opening = Opening(member, parse_bytes32(shown.update), bytes(Cid.parse(shown.cid)), parse_bytes32(shown.salt))
        found = usable(project, 1, opening, good)
        assert found is not None
        assert (found.openings, [one.witness for one in found.receipts]) == ([opening], [0, 2])
        assert usable(project, 2, opening, good) is None, "receipts are of one round"
        assert usable(project, 1, replace(opening, salt=bytes(32)), good) is None, "somebody else's opening"
        backwards = good.model_copy(update={"receipts": good.receipts[::-1]})
        assert usable(project, 1, opening, backwards) == found
        for receipts in (
            good.receipts[:1],
            [good.receipts[0]] * 2,
            [good.receipts[0], good.receipts[1].model_copy(update={"endorsed": 0})],
            [good.receipts[0], good.receipts[1].model_copy(update={"witness": stage.scene.terms.witnesses[1]})],
            [good.receipts[0], good.receipts[1].model_copy(update={"signature": "0x" + "11" * 65})],
        ):
            assert usable(project, 1, opening, good.model_copy(update={"receipts": receipts})) is None
        stage.service.sign_reveals(refused=1)
        assert usable(project, 1, opening, stage.service.receipted[0]) is None, "a quorum refuses it"
        stage.service.post_reveals()
        stage.service.settle()
        assert run.result() == 1


@given(st.integers(0, 10**9), st.integers(4, 10**6), st.integers(1, 32))
def test_trainers_follow_each_other_after_the_aggregator(start: int, window: int, of: int) -> None:
    end = start + window
    due = [own_reveal_due(start, end, place, of) for place in range(of)]
    assert due == sorted(due)
    assert end - max(2, window // 4) <= due[0]
    assert end - 60 <= due[0]
    assert due[-1] < end
