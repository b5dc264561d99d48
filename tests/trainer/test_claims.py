"""Claims: the same money through the service and from the chain alone; proofs of neither are believed unchecked."""

from __future__ import annotations

import json
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest
import structlog
from cohort_protocol.chain.errors import TransactionReverted
from cohort_protocol.chain.events import Claimed
from cohort_protocol.chain.market import Market
from cohort_protocol.identifiers import parse_address
from cohort_trainer.chain_events import find_events
from cohort_trainer.claims import close_if_due, find_claimable
from cohort_trainer.errors import ClaimUnproven
from cohort_trainer.rounds import loop

from tests.fixtures.scene import ONE
from tests.trainer.conftest import Background, Stage, until
from tests.trainer.market_service import problem


@pytest.fixture(autouse=True)
def look_often(monkeypatch):
    monkeypatch.setattr(loop, "LONGEST_LOOK", 1.0)


@pytest.fixture
def paid_stage(make_stage) -> Stage:
    """Three settled rounds with two trainers, of whom the first scores three times the other."""
    stage = make_stage(slots=4, min_trainers=1, share_cap=4)
    second = stage.devnet.account("trainer", 8)
    stage.devnet.send(second, stage.devnet.token.mint(second.address, 10**9))
    scene = stage.scene
    with stage.joined() as one, stage.joined(second, "second") as two:
        runs = [Background(lambda t=t: t.run(stage.scene.project, stage.data)) for t in (one, two)]
        for number in (1, 2, 3):
            stage.service.open_round()
            until(lambda n=number: sum(round == n for round, _ in stage.service.commits) == 2)
            stage.service.post_batch()
            until(lambda n=number: sum(round == n for round, _ in stage.service.reveals) == 2)
            stage.service.post_reveals()
            scores = [3 * ONE if row.member == scene.number_of(one.account) else ONE for row in stage.scene.rows]
            stage.service.settle(scores)
        assert [run.result() for run in runs] == [3, 3]
    return stage


def balance(stage: Stage, address: str) -> int:
    return stage.devnet.token.balance_of(address)


def test_service_and_chain_give_the_same_claim(paid_stage):
    with paid_stage.trainer() as trainer:
        by_service = trainer.claimable(paid_stage.scene.project)
        by_chain = trainer.claimable(paid_stage.scene.project, chain_only=True)
    assert (by_service.source, by_chain.source) == ("service", "chain")
    assert by_service.items == by_chain.items
    assert [item.round for item in by_chain.items] == [1, 2, 3]
    assert by_service.total > 0


@pytest.mark.parametrize("chain_only", [False, True])
def test_a_claim_pays_what_the_events_say_once(paid_stage, chain_only):
    with paid_stage.trainer() as trainer:
        before = balance(paid_stage, trainer.address)
        receipt = trainer.claim(paid_stage.scene.project, chain_only=chain_only)
        assert trainer.claim(paid_stage.scene.project, chain_only=chain_only) is None
    rows = [row for paid in paid_stage.service.paid.values() for row in paid if row.trainer == trainer.address]
    assert receipt is not None
    assert receipt.amount == sum(row.pay for row in rows) == balance(paid_stage, trainer.address) - before
    assert receipt.rounds == (1, 2, 3)
    assert len(receipt.transactions) == 1
    assert receipt.gas < 60_000 + 3 * 30_000
    paid_stage.scene.money_holds()


def test_without_the_service_claims_work(paid_stage):
    paid_stage.service.stop()
    with paid_stage.trainer() as trainer:
        receipt = trainer.claim(paid_stage.scene.project)
    assert receipt is not None
    assert receipt.source == "chain"
    assert receipt.rounds == (1, 2, 3)


def change_rewards(stage: Stage, change) -> None:
    """The service's rewards, changed on their way out."""

    def intercept(method: str, path: str, body: bytes):
        if not path.endswith("/rewards"):
            return None
        rewards = stage.service._rewards(path.split("/")[5]).model_dump(mode="json")
        change(rewards)
        return 200, rewards

    stage.service.intercept = intercept


def more_money(rewards: dict) -> None:
    rewards["items"][0]["amount"] = str(int(rewards["items"][0]["amount"]) * 2)


def other_row(rewards: dict) -> None:
    rewards["items"][1]["row"] ^= 1


def other_proof(rewards: dict) -> None:
    rewards["items"][2]["proof"] = ["0x" + "77" * 32]


def other_root(rewards: dict) -> None:
    rewards["items"][0]["amount"] = "5"
    rewards["items"][0]["proof"] = []
    rewards["items"][0]["payout_root"] = "0x" + "88" * 32


def left_out(rewards: dict) -> None:
    del rewards["items"][1]


def said_claimed(rewards: dict) -> None:
    for item in rewards["items"]:
        item["claimed"] = True


@pytest.mark.parametrize("change", [more_money, other_row, other_proof, other_root, left_out, said_claimed])
def test_a_service_that_lies_about_rewards_changes_nothing(paid_stage, change):
    change_rewards(paid_stage, change)
    with paid_stage.trainer() as trainer:
        before = balance(paid_stage, trainer.address)
        receipt = trainer.claim(paid_stage.scene.project)
    assert receipt is not None
    assert receipt.rounds == (1, 2, 3)
    expected = sum(
        row.pay for rows in paid_stage.service.paid.values() for row in rows if row.trainer == trainer.address
    )
    assert balance(paid_stage, trainer.address) - before == expected


def test_rounds_claimed_by_somebody_else_are_passed_over(paid_stage):
    """Anyone may claim for a trainer; the money goes to the trainer all the same."""
    scene = paid_stage.scene
    with paid_stage.trainer() as trainer:
        items = trainer.claimable(scene.project).items
        before = balance(paid_stage, trainer.address)
        anyone = paid_stage.devnet.account("anyone")
        paid_stage.devnet.send(anyone, scene.market.claim(scene.project, scene.number_of(trainer.account), items[:2]))
        for chain_only in (False, True):
            left = trainer.claimable(scene.project, chain_only=chain_only)
            assert [item.round for item in left.items] == [3]
        trainer.claim(scene.project)
    assert balance(paid_stage, trainer.address) - before == sum(item.amount for item in items)


def test_a_claim_interrupted_after_signing_is_not_made_twice(paid_stage):
    """The transaction was recorded and sent, its receipt never seen; meanwhile nothing changed."""
    scene = paid_stage.scene
    with paid_stage.trainer() as trainer:
        found = trainer.claimable(scene.project)
        paid_stage.devnet.control.set_automine(False)
        request = scene.market.claim(scene.project, scene.number_of(trainer.account), found.items)
        trainer.sender.send(request, "claim interrupted")
    before = paid_stage.devnet.client.nonce(paid_stage.account.address)
    with paid_stage.trainer() as trainer:
        again = Background(lambda: trainer.claim(scene.project))
        until(lambda: len(trainer.sender.resume()) == 1)
        paid_stage.devnet.control.set_automine(True)
        paid_stage.devnet.control.mine(1)
        assert again.result() is None
    assert paid_stage.devnet.client.nonce(paid_stage.account.address) == before + 1


# --- rounds that nobody settles -------------------------------------------------------------------------------------


def test_pay_of_a_round_that_nobody_settled_or_closed_is_claimed_all_the_same(stage):
    """The operator is gone after the reveals: tF passes, the trainer closes the round itself and is paid."""
    with stage.joined() as trainer:
        stage.service.open_round()
        run = Background(lambda: trainer.run(stage.scene.project, stage.data, rounds=1))
        until(lambda: stage.service.commits)
        stage.service.post_batch()
        until(lambda: stage.service.reveals)
        stage.service.post_reveals()
        stage.service.stop()
        stage.devnet.control.warp(2600)
        run.result(60)
        before = balance(stage, trainer.address)
        receipt = trainer.claim(stage.scene.project)
        assert receipt is not None
        assert balance(stage, trainer.address) - before == receipt.amount == stage.plan.distributable
        assert not close_if_due(trainer.connection, stage.scene.project, trainer.sender)
    stage.scene.money_holds()


# --- a node that leaves logs out ------------------------------------------------------------------------------------


class ForgetfulNode:
    """A chain node that drops the newest log of every answer with more than one, or (`all`) every log of it."""

    all = False

    def __init__(self, behind: str) -> None:
        node = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                request = urllib.request.Request(behind, body, {"content-type": "application/json"})
                with urllib.request.urlopen(request) as answer:
                    value = json.loads(answer.read())
                if json.loads(body)["method"] == "eth_getLogs" and len(value["result"]) > 1:
                    del value["result"][0 if node.all else -1 :]
                data = json.dumps(value).encode()
                self.send_response(200)
                self.send_header("content-length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


def test_a_node_that_leaves_out_logs_is_caught_by_the_root(paid_stage):
    node = ForgetfulNode(paid_stage.devnet.node.url)
    try:
        with paid_stage.trainer() as trainer:
            trainer.connection.chain.url = node.url
            trainer.connection.chain.close()
            trainer.connection.market = Market(trainer.connection.chain, trainer.home.config.market)
            scene = paid_stage.scene
            who = (scene.project, scene.number_of(trainer.account), trainer.address)
            with structlog.testing.capture_logs() as logs:
                found = find_claimable(trainer.connection, *who, chain_only=True)
            # The last round is missed, and said to be; the others are proven.
            assert [item.round for item in found.items] == [1, 2]
            unproven = next(entry for entry in logs if entry["event"] == "reward-unproven")
            assert (unproven["round"], unproven["why"]) == (3, "round 1/3: 0 admitted rows, 0 paid ones")
            node.all = True
            with pytest.raises(ClaimUnproven, match="logs are incomplete"):
                find_claimable(trainer.connection, *who, chain_only=True)
    finally:
        node.close()


# --- somewhere else ---------------------------------------------------------------------------------------------------


def test_a_trainer_can_have_its_pay_sent_elsewhere(paid_stage):
    vault = "0x" + "ab" * 19 + "01"
    with paid_stage.trainer() as trainer:
        before = balance(paid_stage, trainer.address)
        receipt = trainer.claim(paid_stage.scene.project, to=parse_address(vault))
        assert receipt is not None
        assert balance(paid_stage, vault) == receipt.amount > 0
        assert balance(paid_stage, trainer.address) == before
    found = find_events(paid_stage.devnet.client, paid_stage.scene.market.address, Claimed, [1], 0)
    assert [event.to for event in found] == [parse_address(vault)]
    paid_stage.scene.money_holds()


def test_nobody_else_can_send_it_elsewhere(paid_stage):
    scene = paid_stage.scene
    with paid_stage.trainer() as trainer:
        items = trainer.claimable(scene.project).items
    thief = paid_stage.devnet.account("anyone")
    member = scene.number_of(paid_stage.account)
    request = scene.market.claim_to(scene.project, member, items, thief.address, 2**40, b"\x01" * 65)
    with pytest.raises(TransactionReverted) as raised:
        paid_stage.devnet.send(thief, request)
    assert raised.value.name == "ClaimNotSigned"


def test_nothing_to_claim_is_none(stage):
    refuse = problem(404, "not-found", "no such trainer")
    stage.service.intercept = lambda method, path, body: refuse if path.endswith("/rewards") else None
    with stage.trainer() as trainer:
        trainer.join(stage.scene.project)
        assert trainer.claim(stage.scene.project) is None
