"""What the rules are for, and what the papers say of them, on small known examples."""

from __future__ import annotations

import numpy as np
import pytest
from cohort_protocol.scoring import ONE, Reason

from tests.protocol.scoring.catalogue.rounds import evaluated, honest_rows, mean_step

HONEST = 6
ROBUST = [
    "multi-krum",
    "monna",
    "three-sigma",
    "geometric-median",
    "rfa",
    "centred-clipping",
    "coordinate-median",
    "trimmed-mean",
]


def attacked(seed, attackers, how):
    """(rows, the honest rows' mean step): the last `attackers` rows are hostile."""
    honest = honest_rows(seed, 10 - attackers, spread=0.5)
    mean = honest.astype(float).mean(axis=0)
    hostile = np.clip(np.rint(how * mean), -32768, 32767).astype(np.int16)
    return np.concatenate([honest, np.tile(hostile, (attackers, 1))]), mean_step(honest)


@pytest.mark.parametrize("name", ROBUST)
@pytest.mark.parametrize("seed", range(5))
def test_three_far_rows_of_ten_do_not_turn_the_model(name, seed):
    rows, clean = attacked(seed, 3, -20)
    plain = evaluated("fedavg", rows).step
    assert plain @ clean < 0, "the attack turns the mean around"
    step = evaluated(name, rows).step
    distance = np.linalg.norm(step - clean) / np.linalg.norm(clean)
    assert distance < 0.75
    assert step @ clean > 0


@pytest.mark.parametrize("seed", range(5))
def test_medians_survive_40_percent(seed):
    rows, clean = attacked(seed, 4, -20)
    for name in ("coordinate-median", "geometric-median"):
        step = evaluated(name, rows).step
        assert step @ clean > 0.5 * clean @ clean, name
    for name in ("monna", "trimmed-mean"):
        step = evaluated(name, rows, {"byzantine_bps": 4_000}).step
        assert step @ clean > 0.5 * clean @ clean, name


@pytest.mark.parametrize("seed", range(5))
def test_far_rows_are_not_chosen_and_not_paid(seed):
    rows, _ = attacked(seed, 3, -20)
    for name in ("multi-krum", "monna"):
        outcome = evaluated(name, rows).outcome
        assert outcome.scores == (ONE,) * 7 + (0,) * 3
        assert set(outcome.reasons) == {Reason.ACCEPTED}
    outcome = evaluated("three-sigma", rows).outcome
    assert outcome.reasons[7:] == (Reason.OUTLIER,) * 3
    for name in ("trimmed-mean", "coordinate-median", "geometric-median", "rfa", "centred-clipping"):
        assert evaluated(name, rows).outcome.scores[7:] == (0, 0, 0)
    far = evaluated("geometric-median", rows).outcome
    assert max(far.weights[7:]) * 5 < min(far.weights[:7])


def test_one_row_controls_a_mean_but_no_krum():
    """Blanchard et al., lemma 1: no linear rule tolerates a single Byzantine row."""
    honest = honest_rows(9, 6, dimension=4, spread=0.3, size=50)
    goal = np.array([3_000, -3_000, 0, 0])
    last = (7 * goal - honest.sum(axis=0)).astype(np.int16)
    rows = np.concatenate([honest, last[None]])
    assert np.abs(evaluated("fedavg", rows).step / 65_536 - goal).max() < 5
    krum = evaluated("multi-krum", rows)
    assert krum.outcome.weights[-1] == krum.outcome.scores[-1] == 0


def test_krum_sees_the_small_attack_that_float32_loses():
    """Rows whose norms are huge against their differences: exact integers keep the differences."""
    random = np.random.default_rng(4)
    base = random.integers(20_000, 30_000, 4_000)
    rows = base + random.integers(-1, 2, (10, 4_000))
    rows[7:] += 2 * random.choice([-1, 1], (3, 4_000))
    outcome = evaluated("multi-krum", rows.astype(np.int16)).outcome
    assert outcome.scores == (ONE,) * 7 + (0,) * 3


def test_bulyan_bounds_what_hides_in_one_coordinate():
    """El Mhamdi et al.: a row that is close in all coordinates but one passes Krum and moves that one without bound."""
    honest = honest_rows(11, 9, dimension=400, spread=1.0, size=300)
    hidden = np.rint(honest.astype(float).mean(axis=0))
    hidden[0] += 6_000
    rows = np.concatenate([honest, np.tile(hidden, (2, 1)).astype(np.int16)])
    largest = np.abs(honest[:, 0].astype(float)).max() * 65_536
    krum = evaluated("multi-krum", rows, {"byzantine_bps": 2_000})
    assert krum.outcome.scores[-1] == ONE
    assert krum.step[0] > 1.5 * largest
    assert abs(evaluated("bulyan", rows, {"byzantine_bps": 2_000}).step[0]) <= largest


def test_weiszfeld_finds_known_medians():
    triangle = np.array([[0, 0], [10_000, 0], [5_000, 8_660]])
    shifted = triangle + np.array([1_000, 1_000])
    step = evaluated("geometric-median", shifted).step / 65_536
    assert np.abs(step - shifted.mean(axis=0)).max() < 2, "the centroid of an equilateral triangle"
    blunt = np.array([[1_000, 1_000], [11_000, 1_000], [500, 1_500], [600, 400]])
    step = evaluated("geometric-median", blunt, {"iterations": 500}).step / 65_536
    best = min(
        (np.linalg.norm(blunt - np.array([x, y]), axis=1).sum(), x, y)
        for x in range(900, 1_100, 4)
        for y in range(900, 1_100, 4)
    )
    assert np.linalg.norm(blunt - step, axis=1).sum() <= best[0] * 1.001
    line = np.array([[100], [200], [300], [20_000], [30_000]])
    assert abs(evaluated("geometric-median", line, {"iterations": 500}).step[0] / 65_536 - 300) < 3


def test_rfa_stops_after_three_iterations_of_the_same():
    rows = honest_rows(12, 8)
    assert evaluated("rfa", rows).step.tolist() == evaluated("geometric-median", rows, {"iterations": 3}).step.tolist()


def test_clones_in_the_centre_are_not_paid_for_all():
    """Exact copies near the centre attract the geometric median and its weights, but not the pay."""
    honest = honest_rows(31, 7, dimension=300)
    centre = np.rint(honest.astype(float).mean(axis=0)).astype(np.int16)
    outcome = evaluated("geometric-median", np.concatenate([honest, np.tile(centre, (3, 1))])).outcome
    assert sum(outcome.weights[7:]) > 60_000
    assert max(outcome.scores[7:]) < 2.5 * min(outcome.scores[:7])


def test_foolsgold_weighs_clones_down_and_spares_those_who_differ():
    """The paper's table 1 in small: Sybils who send the same, honest trainers whose classes differ."""
    random = np.random.default_rng(5)
    honest = random.normal(size=(5, 300)) * 200
    sybil = random.normal(size=300) * 200
    rows = np.rint(np.concatenate([honest, np.tile(sybil, (5, 1)) + random.normal(size=(5, 300))])).astype(np.int16)
    outcome = evaluated("foolsgold", rows).outcome
    assert max(outcome.weights[5:]) == 0
    assert min(outcome.weights[:5]) > 12_000
    alone = evaluated("foolsgold", rows[:6]).outcome
    assert alone.weights[5] > 9_000, "a lone attacker is weighed as if he were the most honest"


def test_norm_clip_bounds_the_length_that_enters():
    rows = honest_rows(6, 5, spread=0.2)
    rows = np.concatenate([rows, rows[:1] * 20])
    result = evaluated("norm-clip", rows)
    lengths = np.linalg.norm(rows.astype(float), axis=1)
    entered = np.array(result.outcome.weights) * lengths * 6 / 65_536
    assert entered.max() <= np.median(lengths) * 1.001
    assert set(result.outcome.scores) == {ONE}
    assert result.outcome.rows[-1].clip < ONE // 10


def test_centred_clipping_leaves_small_deviations_alone():
    rows = honest_rows(7, 8, spread=0.05)
    mean = evaluated("fedavg", rows).step
    step = evaluated("centred-clipping", rows, {"radius_bps": 20_000, "iterations": 10}).step
    assert np.abs(step - mean).max() <= np.abs(mean).max() * 1e-3


def test_three_sigma_rejects_nobody_of_a_calm_round_and_two_outliers_of_ten():
    calm = honest_rows(13, 10, dimension=500, spread=0.5)
    calm = np.rint(calm / np.linalg.norm(calm.astype(float), axis=1)[:, None] * 5_000).astype(np.int16)
    assert set(evaluated("three-sigma", calm).outcome.reasons) == {Reason.ACCEPTED}
    loud = calm.copy()
    loud[:2] *= -4
    assert evaluated("three-sigma", loud).outcome.reasons[:2] == (Reason.OUTLIER,) * 2


def test_three_sigma_judges_nobody_of_three():
    rows = np.array([[1, 1], [2, 1], [30_000, -30_000]])
    assert set(evaluated("three-sigma", rows).outcome.reasons) == {Reason.ACCEPTED}


def test_flag_aggregator_drops_noise_of_high_rank():
    random = np.random.default_rng(8)
    honest = random.normal(size=500) * 300
    common = np.outer(random.uniform(0.5, 2.0, 7), honest) + random.normal(size=(7, 500)) * 60
    rows = np.rint(np.concatenate([common, random.normal(size=(3, 500)) * 300]))
    result = evaluated("flag-aggregator", rows.astype(np.int16), {"rank_bps": 900})
    assert max(result.outcome.scores[7:]) < ONE // 5
    assert max(result.outcome.weights[7:]) * 10 < max(result.outcome.weights)
    assert result.step @ honest / np.linalg.norm(result.step) / np.linalg.norm(honest) > 0.99


def test_fltrust_trusts_whom_the_batch_agrees_with_however_many_attack():
    rows, clean = attacked(21, 8, -1)
    gradient = -(clean / 65_536).round().astype(np.int64)
    result = evaluated("fltrust", rows, gradient=gradient)
    assert result.outcome.scores[2:] == (0,) * 8
    assert result.step @ clean > 0


def test_dig_fl_pays_twice_the_length_twice_and_fltrust_does_not():
    rows = honest_rows(22, 6, spread=0.2)
    doubled = np.concatenate([rows, 2 * rows[:1]])
    gradient = -rows.astype(np.int64).sum(axis=0)
    pay = evaluated("dig-fl", doubled, gradient=gradient).outcome.scores
    assert abs(pay[-1] - 2 * pay[0]) <= 2
    pay = evaluated("fltrust", doubled, gradient=gradient).outcome.scores
    assert abs(pay[-1] - pay[0]) <= 2


def test_cgsv_pays_a_free_rider_for_its_own_part_of_the_sum_only():
    random = np.random.default_rng(23)
    rows = honest_rows(24, 9, dimension=3_000, spread=0.3)
    noise = np.rint(random.normal(size=3_000) * 300).astype(np.int16)
    outcome = evaluated("cgsv", np.concatenate([rows, noise[None]])).outcome
    assert outcome.scores[-1] * 4 < min(outcome.scores[:-1])


def test_all_against_the_batch_moves_nothing():
    rows = honest_rows(25, 5, spread=0.1)
    gradient = rows.astype(np.int64).sum(axis=0)
    for name in ("fltrust", "dig-fl"):
        result = evaluated(name, rows, gradient=gradient)
        assert set(result.outcome.scores) == {0}
        assert not result.step.any()
