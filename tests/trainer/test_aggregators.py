"""An aggregator's bond: seen, added to, taken out with its fees."""

from __future__ import annotations

import json

import pytest
from cohort_trainer.aggregators.commands import app
from cohort_trainer.aggregators.sdk import Aggregator
from cohort_trainer.errors import BalanceTooLow, HomeLocked, NotAnAggregator
from cohort_trainer.rounds import loop
from typer.testing import CliRunner

from tests.fixtures.scene import FEE
from tests.trainer.conftest import PASSWORD, Stage


@pytest.fixture(autouse=True)
def look_often(monkeypatch):
    monkeypatch.setattr(loop, "LONGEST_LOOK", 1.0)


def aggregator_of(stage: Stage) -> Aggregator:
    return Aggregator(stage.home(stage.scene.aggregator, "aggregator"), stage.scene.aggregator)


def test_the_bond_grows_by_deposits_and_fees_and_is_taken_out(stage):
    project, token = stage.scene.project, stage.devnet.token
    address, bond = stage.scene.aggregator.address, stage.plan.terms.bond
    stage.devnet.send(stage.scene.aggregator, token.mint(address, 1000))
    stage.devnet.send(stage.scene.aggregator, token.approve(stage.scene.market.address, 0))
    with aggregator_of(stage) as aggregator:
        before = stage.devnet.client.nonce(address)
        assert aggregator.deposit(project, "600") == 600
        assert stage.devnet.client.nonce(address) == before + 1  # permit and deposit in one
        with pytest.raises(BalanceTooLow, match="holds 400"):
            aggregator.deposit(project, "600")
        found = aggregator.status(project)
        assert (found.bond.free, found.bond.locked, found.rounds_covered) == (2 * bond + 600, 0, 2)
        with stage.joined() as trainer:
            number = stage.service.open_round()
            assert aggregator.status(project).bond.locked == bond
            with pytest.raises(BalanceTooLow, match=f"{bond} are locked"):
                aggregator.withdraw(project, str(2 * bond))
            stage.scene.commit([trainer.account])
            stage.scene.reveal([trainer.account])
            stage.service.settle()
        assert number == 1
        found = aggregator.status(project)
        assert (found.bond.free, found.bond.locked, found.next_round) == (2 * bond + 600 + FEE, 0, 2)
        assert aggregator.withdraw(project, "100") == 100
        assert aggregator.withdraw(project) == 2 * bond + 500 + FEE
        assert token.balance_of(address) == 400 + 2 * bond + 600 + FEE
        with pytest.raises(BalanceTooLow):
            aggregator.withdraw(project)
    stage.scene.money_holds()


def test_who_is_no_aggregator_is_told_how_to_become_one(stage):
    with Aggregator(stage.home(), stage.account) as stranger:
        assert not stranger.status(stage.scene.project).listed
        with pytest.raises(NotAnAggregator, match="cohort project add-aggregator"):
            stranger.deposit(stage.scene.project, "1")
    with Aggregator(stage.home()) as locked, pytest.raises(HomeLocked):
        _ = locked.purse


def test_the_commands_say_what_they_did(stage):
    home = str(stage.home(stage.scene.aggregator, "aggregator").root)
    project, free = str(stage.scene.project), 2 * stage.plan.terms.bond
    environment = {"COHORT_AGGREGATOR_PASSWORD": PASSWORD.get_secret_value()}
    shown = CliRunner().invoke(app, ["status", project, "--home", home, "--json"])
    assert json.loads(shown.stdout)["free"] == str(free)
    assert "covers 2" in CliRunner().invoke(app, ["status", project, "--home", home]).stdout
    taken = CliRunner().invoke(app, ["withdraw", project, "7", "--home", home], env=environment)
    assert f"0.000000000000000007 COTEST sent to {stage.scene.aggregator.address}" in taken.stdout
    put = CliRunner().invoke(app, ["deposit", project, "7", "--home", home, "--yes"], env=environment)
    assert "0.000000000000000007 COTEST added" in put.stdout
    assert stage.scene.market.bond_of(stage.scene.project, stage.scene.aggregator.address).free == free
