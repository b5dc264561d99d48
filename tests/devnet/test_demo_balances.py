"""Re-adding the money of a real market, live and from the chain state that it left behind."""

from __future__ import annotations

from pathlib import Path

import pytest
import typer
from cohort_devnet.accounts import demo_account, fund
from cohort_devnet.compiler import ensure_artifacts
from cohort_devnet.demo.balances import balances
from cohort_devnet.demo.money import re_add
from cohort_devnet.demo.report import Money
from cohort_devnet.deployment import Options, deploy
from cohort_devnet.node import AnvilNode, DevnetControl, repository_root
from cohort_protocol.chain.client import ChainClient
from cohort_protocol.chain.events import MarketLogs, RoundSettled
from cohort_protocol.chain.journal import MemoryJournal
from cohort_protocol.chain.market import Market
from cohort_protocol.chain.sender import TransactionSender
from cohort_protocol.chain.token import Token
from cohort_protocol.errors import InvalidInput
from typer.testing import CliRunner

from tests.devnet.demo_sample import sample_report
from tests.fixtures.chain import SEED, Devnet
from tests.fixtures.scene import FEE, PROTOCOL_FEE, Scene

ONE = 2**30


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Money, Devnet]:
    """(state file of a finished market, its money while it ran, the market)."""
    folder = tmp_path_factory.mktemp("kept")
    state = folder / "chain-state.json"
    with AnvilNode(folder, state=state) as node:
        client = ChainClient(node.url, node.chain_id)
        deployer = demo_account(SEED, "deployer")
        control = DevnetControl(client)
        fund(control, [deployer.address])
        sender = TransactionSender(client, deployer, MemoryJournal())
        options = Options(fee_recipient=demo_account(SEED, "protocol").address)
        where = deploy(client, sender, ensure_artifacts(repository_root()), options=options)
        where.save(folder / "deployment.json")
        market, token = Market(client, where.market), Token(client, where.token)
        devnet = Devnet(node, client, control, where, market, token)
        money = play(devnet)
    return state, money, devnet


def play(devnet: Devnet) -> Money:
    """One settled round, one that everybody let lapse, a claim, a slashed stake, one taken back, a refund."""
    scene = Scene.create(devnet, trainers=4)
    scene.open()
    scene.commit()
    scene.reveal()
    scene.settle([2 * ONE, ONE, 0, ONE], [0, 0, 2, 0])
    tree = scene.tree(1, scene.rows, pays_of(scene))
    devnet.send(scene.trainers[0], scene.market.claim(1, scene.rows[0].member, [tree.claim_item(0)]))
    devnet.send(scene.aggregator, scene.market.withdraw_bond(1, FEE))
    devnet.send(devnet.account("anyone"), scene.market.collect_protocol_fees(1))
    scene.open()
    scene.commit()
    scene.reveal(scene.trainers[:3])
    devnet.control.warp_to(scene.view().rescue_end)
    devnet.send(devnet.account("anyone"), scene.market.slash_no_reveal(1, 2, 4, scene.batch))
    devnet.control.warp_to(scene.view().settle_end)
    devnet.send(scene.owner, scene.market.close_round(1, scene.round_number(), scene.admissions))
    devnet.send(scene.owner, scene.market.end_project(1))
    devnet.send(scene.owner, scene.market.refund(1))
    devnet.send(scene.trainers[2], scene.market.leave(1))
    devnet.control.warp_to(max(devnet.now(), scene.market.member_of(1, scene.trainers[2].address).unlock_at))
    devnet.send(scene.trainers[2], scene.market.withdraw_stake(1, scene.trainers[2].address))
    return re_add(devnet.client, devnet.deployment.market, devnet.deployment.token, 1)


def pays_of(scene: Scene) -> list[int]:
    """Of the rows of the settled round."""
    events = MarketLogs(scene.devnet.client, scene.market.address).fetch(0, scene.devnet.client.block_number())
    return next([row.pay for row in event.rows] for event in events if isinstance(event, RoundSettled))


def run_balances(*arguments: str) -> tuple[int, str]:
    app = typer.Typer()
    app.command()(balances)
    result = CliRunner().invoke(app, list(arguments))
    return result.exit_code, result.output + (repr(result.exception) if result.exception else "")


def test_a_market_with_every_kind_of_movement_adds_up(kept: tuple[Path, Money, Devnet]) -> None:
    _, money, _ = kept
    assert money.findings == []
    assert money.balanced
    assert money.claimed > 0
    assert money.claimable > 0
    assert money.burned > 0
    assert money.refunded > 0
    assert money.free == money.held == 0
    assert money.fees == FEE + PROTOCOL_FEE
    assert money.protocol_fees == money.protocol_fees_collected == PROTOCOL_FEE
    assert money.stakes > 0
    assert money.stakes_burned > money.stake_rewards > 0
    assert money.bonds > 0
    assert money.bonds_burned > 0
    parts = ("free", "held", "claimable", "claimed", "fees", "burned", "refunded")
    assert money.paid_in == sum(getattr(money, name) for name in parts)


def test_the_kept_state_gives_the_same_numbers(kept: tuple[Path, Money, Devnet], tmp_path: Path) -> None:
    state, money, _ = kept
    before = state.read_bytes()
    report = sample_report()
    report.money = money
    report.save(tmp_path / "report.json")
    code, text = run_balances("--state", str(state), "--report", str(tmp_path / "report.json"))
    assert code == 0, text
    assert "Money adds up" in text
    assert "The same numbers as in" in text
    assert str(money.claimed) in text
    assert state.read_bytes() == before


def test_a_report_that_says_something_else_is_found(kept: tuple[Path, Money, Devnet], tmp_path: Path) -> None:
    state, money, _ = kept
    report = sample_report()
    report.money = money.model_copy(update={"claimed": money.claimed + 1})
    report.save(tmp_path / "report.json")
    code, text = run_balances("--state", str(state), "--report", str(tmp_path / "report.json"))
    assert code == 1
    assert f"the chain {money.claimed}" in text.replace("\n", " ")


def test_a_project_that_does_not_exist_is_named(kept: tuple[Path, Money, Devnet]) -> None:
    state, _, _ = kept
    code, text = run_balances("--state", str(state), "--project", "9")
    assert code == 1
    assert "no project 9" in text


def test_a_missing_state_is_an_error_in_words(tmp_path: Path) -> None:
    code, text = run_balances("--state", str(tmp_path / "nothing.json"))
    assert code != 0
    assert "no deployment at" in text


def test_tokens_sent_without_a_call_are_in_nobodys_ledger(devnet: Devnet) -> None:
    scene = Scene.create(devnet)
    stranger = devnet.account("stranger")
    devnet.give_tokens(stranger, 5)
    devnet.send(stranger, devnet.token.transfer(devnet.market.address, 5))
    money = re_add(devnet.client, devnet.deployment.market, devnet.deployment.token, scene.project)
    assert money.balanced
    assert money.unasked == 5
    with pytest.raises(InvalidInput, match="no project 99"):
        re_add(devnet.client, devnet.deployment.market, devnet.deployment.token, 99)
