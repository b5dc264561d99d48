"""A three-round market as processes, through the public API and the command line, from deposit to claims."""

from __future__ import annotations

import json

import pytest
from cohort_devnet.demo.report import HONEST, Report

from tests.market.running import DemoProcess, run_cohort

pytestmark = [pytest.mark.market, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def report(undisturbed: DemoProcess) -> Report:
    return undisturbed.report()


def test_every_round_was_settled_and_the_model_got_better(report: Report) -> None:
    assert [entry.number for entry in report.rounds] == [1, 2, 3]
    assert all(entry.outcome == "settled" for entry in report.rounds)
    assert len({entry.model_cid for entry in report.rounds}) == 3
    base = report.baseline
    assert base.accuracy_final == report.rounds[-1].accuracy
    assert base.accuracy_final > base.accuracy_initial + 0.3
    assert base.accuracy_final > base.accuracy_clean_fedavg_rounds[2] - 0.05
    assert len(base.accuracy_unfiltered_rounds) == 3


def test_the_flipper_is_flagged_every_round_with_its_figures(report: Report) -> None:
    flipper = next(trainer.address for trainer in report.trainers if trainer.role == "sign_flip")
    for entry in report.rounds:
        flags = {flag.trainer: flag for flag in entry.flagged}
        assert flags[flipper].reason == "opposes-others"
        assert "cosine -0." in flags[flipper].detail
        assert flipper not in entry.accepted
        assert len(entry.verdicts) == len(report.trainers)
        assert all(verdict.sentence for verdict in entry.verdicts)


def test_cheats_earn_next_to_nothing_and_are_less_reliable_than_anyone_honest(report: Report) -> None:
    cheats = [trainer for trainer in report.trainers if trainer.role != HONEST]
    honest = [trainer for trainer in report.trainers if trainer.role == HONEST]
    assert len(cheats) == 2
    # Three honest trainers are few to tell noise from news. An equal split would pay cheats 40%.
    assert sum(trainer.earned for trainer in cheats) * 20 < report.headline.paid_to_trainers
    mean = sum(trainer.earned for trainer in honest) / len(honest)
    assert all(trainer.earned < mean / 5 for trainer in cheats)
    assert all(trainer.earned > mean / 3 for trainer in honest)
    assert report.headline.cheats_earned == sum(trainer.earned for trainer in cheats)
    lowest = min(trainer.reliability_bps for trainer in honest)
    assert max(trainer.reliability_bps for trainer in cheats) < lowest
    assert max(trainer.reliability_bps for trainer in honest) < 1000  # a tenth: all that one owner can give
    flipper = next(trainer for trainer in cheats if trainer.role == "sign_flip")
    assert (flipper.rounds, flipper.rejections, flipper.credit, flipper.losses) == (3, 3, 0, 30_000)
    assert all(trainer.rejections == trainer.losses == 0 for trainer in honest)
    assert report.rounds[-1].reliability_bps == {one.address: one.reliability_bps for one in report.trainers}


def test_all_money_adds_up_and_everybody_has_claimed(report: Report) -> None:
    money = report.money
    assert money.balanced
    assert money.findings == []
    assert money.paid_in == report.project.budget == 3 * report.project.round_budget
    spread = (money.free, money.held, money.claimable, money.claimed, money.fees, money.burned, money.refunded)
    assert sum(spread) == money.paid_in
    assert money.claimed == sum(trainer.claimed for trainer in report.trainers) == report.headline.paid_to_trainers
    assert money.held == money.claimable == money.free == 0
    assert money.fees == 3 * (report.project.aggregator_fee + report.project.protocol_fee)
    assert money.protocol_fees == money.protocol_fees_collected == 3 * report.project.protocol_fee
    assert money.stakes == sum(trainer.stake for trainer in report.trainers)
    assert money.bonds == report.project.bond + 3 * report.project.aggregator_fee
    assert money.stakes_burned == money.bonds_burned == 0
    assert money.contract_balance == money.burned + money.stakes + money.bonds
    for trainer in report.trainers:
        assert trainer.claimed == trainer.earned
        assert trainer.earned == sum(entry.payouts[trainer.address] for entry in report.rounds)
        assert trainer.stake > 0


def test_no_round_pays_more_than_its_budget(report: Report) -> None:
    most = report.project.round_budget - report.project.aggregator_fee - report.project.protocol_fee
    assert all(0 < sum(entry.payouts.values()) <= most for entry in report.rounds)


def test_every_step_of_a_round_has_its_transaction_its_gas_and_its_time(report: Report) -> None:
    for entry in report.rounds:
        steps = ["open", "commit", "validation", "reveal", "public-rows", "settle"]
        assert [step.step for step in entry.gas] == steps
        assert entry.judged_by == "validation batch"
        assert all(step.gas > 21_000 for step in entry.gas)
        assert set(entry.seconds) == {"commit", "reveal", "evaluate", "settle", "total"}
        assert 0 < entry.seconds["total"] < 180
        assert len(entry.submissions) == len(report.trainers)
        assert entry.bytes["bundle"] > 1000


def test_the_kept_chain_gives_the_same_numbers_without_the_service(undisturbed: DemoProcess) -> None:
    status, text = run_cohort("devnet", "balances", "--state", str(undisturbed.folder / "chain-state.json"))
    assert status == 0, text
    assert "Money adds up" in text
    assert "The same numbers as in" in text


def test_a_report_that_was_touched_up_is_found_out(undisturbed: DemoProcess) -> None:
    data = json.loads((undisturbed.folder / "report.json").read_text())
    data["money"]["claimed"] = str(int(data["money"]["claimed"]) + 1)
    touched = undisturbed.folder / "touched.json"
    touched.write_text(json.dumps(data))
    state = str(undisturbed.folder / "chain-state.json")
    status, text = run_cohort("devnet", "balances", "--state", state, "--report", str(touched))
    assert status == 1, text


def test_the_run_leaves_its_report_and_no_process(undisturbed: DemoProcess) -> None:
    for name in ("report.json", "report.html", "rounds.png", "chain-state.json", "deployment.json"):
        assert (undisturbed.folder / name).stat().st_size > 100
    assert undisturbed.left_behind() == []
    text = undisturbed.text()
    assert "Money adds up" in text
    assert "Your turn" in text
    assert "opposes the others" in text


def test_no_service_process_could_read_an_owners_or_trainers_key(undisturbed: DemoProcess) -> None:
    """Homes of owner and trainers hold their keystores; the services' folder holds only the services' own."""
    keys = {path.name for path in (undisturbed.folder / "run" / "keys").glob("*.json")}
    keystores = {name for name in keys if not name.startswith("transactions-")}
    assert keystores == {"aggregator.json", "witness-1.json", "witness-2.json", "witness-3.json"}
    for log in ("api", "worker", "witness-1"):
        text = (undisturbed.folder / "run" / "logs" / f"{log}.log").read_text()
        assert "trainers/trainer-" not in text
        assert "keystore.json" not in text
