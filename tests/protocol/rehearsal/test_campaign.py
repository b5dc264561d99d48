"""The numbers of `cohort rehearse`: shares, books, and the same plan giving the same result."""

from __future__ import annotations

import json

import pytest
from cohort_protocol.rehearsal import Plan, Rules, judge_by_name, rehearse, task_by_name
from cohort_protocol.rehearsal.errors import RehearsalInvalid, UnknownAttack

POOL = 999_999


def plan(judge: str = "peer", **changes: object) -> Plan:
    values = {"partition": "iid", "rounds": 3, "seeds": (1, 2), "rules": Rules(trainers=6, distributable=POOL)}
    return Plan(task=lambda seed: task_by_name("digits-mlp", seed), judge=judge_by_name(judge), **(values | changes))


@pytest.mark.parametrize(
    ("share", "members"), [(0.01, 1), (0.2, 2), (0.25, 2), (0.3, 2), (0.45, 4), (0.5, 4), (0.99, 7)]
)
def test_a_share_leaves_a_cheat_and_an_honest_trainer(share: float, members: int) -> None:
    assert Rules(trainers=8).members(share) == members


@pytest.mark.parametrize("share", [0, 1, -0.1, 1.5, float("nan")])
def test_impossible_shares_are_refused(share: float) -> None:
    with pytest.raises(RehearsalInvalid, match="share"):
        Rules().members(share)


@pytest.mark.parametrize("changes", [{"trainers": 1}, {"trainers": 33}, {"distributable": 0}, {"share_cap": 0}])
def test_impossible_terms_are_refused(changes: dict) -> None:
    with pytest.raises(RehearsalInvalid):
        Rules(**changes)


def test_the_books_of_an_attack_balance() -> None:
    calls: list[str] = []
    made = plan()
    first, second = rehearse(made, ["noise", "clones"], 0.34, calls.append)
    assert len(calls) == made.runs(2) == 12
    assert (first.members, second.members) == (2, 2)
    for one in (first, second):
        for each in one.seeds:
            # The honest mean is rounded down: less than a base unit for each of them is missing.
            paid = each.cheat_pay + 4 * each.honest_pay
            assert paid <= each.paid_out * POOL * 3 + 0.5
            assert paid > each.paid_out * POOL * 3 - 5
            assert each.lost == pytest.approx(each.clean - each.attacked)
    # Noise earns nothing; two names of one owner are counted together.
    assert first.gain == first.each_over_honest < 0.1
    assert second.one_owner
    assert second.gain == pytest.approx(2 * second.each_over_honest)
    assert second.worst_gain >= second.gain * 0.999


def test_the_same_plan_gives_the_same_result_and_honest_json() -> None:
    (first,), (again,) = (rehearse(plan(), ["alie"], 0.3) for _ in range(2))
    assert first == again
    content = json.loads(json.dumps(first.as_json()))
    assert content["seeds"][0]["cheat_pay"] == str(first.seeds[0].cheat_pay)
    assert content["accuracy_lost"] == pytest.approx(first.mean("clean") - first.mean("attacked"))


def test_money_that_only_cheats_get_is_no_number_in_json() -> None:
    (one,) = rehearse(plan("peer", rounds=1, seeds=(1,)), ["noise"], 0.3)
    nothing = one.seeds[0]
    poor = type(one)(**{**vars(one), "seeds": (type(nothing)(**{**vars(nothing), "honest_pay": 0, "cheat_pay": 5}),)})
    assert poor.gain == poor.worst_gain == float("inf")
    assert poor.as_json()["gain_over_honest_pay"] is None


def test_a_filter_shows_in_what_it_saves() -> None:
    (one,) = rehearse(plan(rounds=4), ["sign-flip"], 0.34)
    assert one.mean("attacked") > one.mean("unfiltered") + 0.02
    assert one.rejected > 0.9
    assert one.wrongly_rejected < 0.1


def test_a_mixture_divides_the_cheats_and_is_judged_by_what_pays_best() -> None:
    (mixed,) = rehearse(plan(), ["noise+clones:noise=0.1"], 0.5)
    assert [(part.attack, part.members, part.one_owner) for part in mixed.parts] == [
        ("noise", 2, False),
        ("clones:noise=0.1", 1, False),
    ]
    assert (mixed.members, mixed.one_owner) == (3, False)
    honest = sum(each.honest_pay for each in mixed.seeds)
    noise, clone = (sum(each.part_pay[place] for each in mixed.seeds) for place in (0, 1))
    assert all(sum(each.part_pay) == each.cheat_pay for each in mixed.seeds)
    assert mixed.gains() == pytest.approx([noise / 2 / honest, clone / honest])
    assert mixed.gain == max(mixed.gains()) > 0.3 > mixed.gains()[0]
    assert mixed.worst_gain == max(each.part_pay[1] / each.honest_pay for each in mixed.seeds)
    content = json.loads(json.dumps(mixed.as_json()))
    assert [part["gain_over_honest_pay"] for part in content["parts"]] == pytest.approx(mixed.gains())
    assert content["seeds"][0]["part_pay"] == [str(pay) for pay in mixed.seeds[0].part_pay]


def test_one_attack_is_a_mixture_of_one() -> None:
    (alone,) = rehearse(plan(rounds=1, seeds=(1,)), ["clones"], 0.5)
    assert [(part.attack, part.members) for part in alone.parts] == [("clones", 3)]
    assert alone.one_owner
    assert alone.gains() == [alone.gain]
    assert alone.seeds[0].part_pay == (alone.seeds[0].cheat_pay,)


def test_a_mixture_needs_a_cheat_for_each_attack() -> None:
    calls: list[str] = []
    with pytest.raises(RehearsalInvalid, match=r"mixture of 3 attacks and 2 cheat\(s\)"):
        rehearse(plan(), ["noise", "alie+replay+zeros"], 0.3, calls.append)
    assert not calls


def test_unknown_attacks_fail_before_anything_is_played() -> None:
    calls: list[str] = []
    with pytest.raises(UnknownAttack):
        rehearse(plan(), ["noise", "bribe"], 0.3, calls.append)
    assert not calls
    with pytest.raises(RehearsalInvalid, match="seeds"):
        plan(seeds=())
