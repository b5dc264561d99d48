"""Every attack does what its paper says, exactly and by seed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from cohort_protocol.learning.data import Dataset
from cohort_protocol.rehearsal import Scenario, World, attack_by_name, judge_by_name, known_attacks, play
from cohort_protocol.rehearsal.attacks import View, attacks_joined
from cohort_protocol.rehearsal.attacks.harm import distances, pair_distances
from cohort_protocol.rehearsal.errors import RehearsalInvalid, UnknownAttack

D = 60
HONEST, MEMBERS = 7, 3


def data(count: int, seed: int = 0) -> Dataset:
    random = np.random.default_rng(seed)
    return Dataset(random.random((count, 1, 8, 8), np.float32), random.integers(0, 10, count))


@pytest.fixture
def view() -> View:
    """A round with a common trend of length about 4 and trainers around it."""
    random = np.random.default_rng(8)
    trend = random.standard_normal(D).astype(np.float32) * 0.5
    honest = trend + 0.3 * random.standard_normal((HONEST, D)).astype(np.float32)
    return View(
        round=4,
        members=MEMBERS,
        random=np.random.default_rng(77),
        model=random.standard_normal(D).astype(np.float32),
        past_steps=np.stack([trend, 2 * trend + 1, np.ones(D)]).astype(np.float32),
        own=trend + 0.3 * random.standard_normal((MEMBERS, D)).astype(np.float32),
        honest=honest,
        earlier=honest * 1.25,
        revealed=data(40),
        batch=data(20, 1),
        spare=data(64, 2),
        first_model=np.ones(D, np.float32),
        learn=lambda examples, epochs: np.full(D, len(examples) * epochs / 100, np.float32),
        gradient=lambda examples: np.linspace(-1, 1, D, dtype=np.float32),
    )


def craft(name: str, view: View) -> np.ndarray:
    rows = attack_by_name(name).craft(view)
    assert rows.shape == (view.members, D)
    return rows


def cosine(a: np.ndarray, b: np.ndarray) -> float:
    return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))


@pytest.mark.parametrize("name", sorted(known_attacks()))
def test_the_same_view_gives_the_same_updates(name: str, view: View) -> None:
    again = replace(view, random=np.random.default_rng(77))
    assert np.array_equal(craft(name, view), craft(name, again))


@pytest.mark.parametrize("name", sorted(known_attacks()))
def test_every_attack_says_where_it_comes_from_and_survives_the_first_round(name: str, view: View) -> None:
    kind = known_attacks()[name]
    assert len(kind.__doc__ or "") > 60
    assert kind.about
    first = replace(view, round=1, past_steps=np.zeros((0, D), np.float32), earlier=None, revealed=None)
    assert np.isfinite(craft(name, first)).all()


def test_flips_are_the_opposite_of_honest_work(view: View) -> None:
    assert np.array_equal(craft("sign-flip", view), -view.own)
    assert craft("scaling:factor=3", view) == pytest.approx(3 * view.own)


def test_noise_has_the_usual_length_and_no_direction(view: View) -> None:
    rows = craft("noise", view)
    assert np.linalg.norm(rows, axis=1) == pytest.approx([view.usual_length] * MEMBERS, rel=1e-5)
    assert view.usual_length == pytest.approx(1.25 * np.median(np.linalg.norm(view.honest, axis=1)))
    assert abs(cosine(rows[0], rows[1])) < 0.5
    assert not craft("zeros", view).any()


def test_alie_stays_within_z_standard_deviations_of_the_mean(view: View) -> None:
    attack = attack_by_name("alie")
    # n = 10, f = 3: s = floor(n/2 + 1) - f = 3 supporters, the quantile of (10 - 3 - 3)/7.
    assert attack.deviations(HONEST, MEMBERS) == pytest.approx(0.1800, abs=1e-3)
    rows = craft("alie", view)
    off = (rows[0] - view.honest.mean(0)) / view.honest.std(0)
    assert off == pytest.approx(np.full(D, -0.18), abs=1e-3)
    assert np.array_equal(rows[0], rows[2])
    wide = (craft("alie:z=1.5", view)[0] - view.honest.mean(0)) / view.honest.std(0)
    assert wide == pytest.approx(np.full(D, -1.5), abs=1e-3)


def test_inner_product_manipulation_turns_the_mean_round(view: View) -> None:
    assert craft("ipm", view)[1] == pytest.approx(-0.5 * view.honest.mean(0))
    assert craft("ipm:factor=2", view)[0] @ view.honest.mean(0) < 0


def test_min_max_reaches_its_bound_and_no_farther(view: View) -> None:
    row = craft("min-max", view)[0]
    bound = pair_distances(view.honest).max()
    assert 0.99 * bound < distances(row, view.honest).max() <= bound * (1 + 1e-6)


def test_min_sum_reaches_its_bound_and_no_farther(view: View) -> None:
    row = craft("min-sum", view)[0]
    bound = pair_distances(view.honest).sum(1).max()
    assert 0.99 * bound < distances(row, view.honest).sum() <= bound * (1 + 1e-6)
    # The bound on the sum is the tighter one.
    far = craft("min-max", view)[0] - view.honest.mean(0)
    assert np.linalg.norm(row - view.honest.mean(0)) <= np.linalg.norm(far) * (1 + 1e-6)


def test_fake_clients_pull_to_one_random_model_all_along(view: View) -> None:
    rows = craft("mpaf", view)
    assert np.linalg.norm(rows[0]) == pytest.approx(10 * view.usual_length, rel=1e-4)
    target = view.model + rows[0]
    moved = replace(view, model=view.model + 0.5 * rows[0])
    pull = craft("mpaf", moved)[0]
    base = np.random.default_rng(0x3FAF).standard_normal(D)
    base *= np.linalg.norm(view.first_model) / np.linalg.norm(base)
    assert cosine(rows[0], base - view.model) == pytest.approx(1, abs=1e-5)
    assert cosine(pull, base - moved.model) == pytest.approx(1, abs=1e-5)
    assert target.shape == (D,)


def test_label_flip_leaves_no_label_right() -> None:
    for classes in (1, 2, 3, 10):
        shard = Dataset(data(90).inputs, np.arange(90) % classes)
        (flipped,) = attack_by_name("label-flip").datasets([shard], 1, np.random.default_rng(0))
        assert not (flipped.labels == shard.labels).any()
        assert set(flipped.labels.tolist()) <= set(range(max(2, classes)))
        assert np.array_equal(flipped.inputs, shard.inputs)


@pytest.mark.parametrize("shape", [(1, 8, 8), (30,)])
def test_the_back_door_stamps_half_of_the_examples(shape: tuple[int, ...]) -> None:
    random = np.random.default_rng(3)
    shard = Dataset(random.random((41, *shape), np.float32) * 0.5, random.integers(1, 10, 41))
    attack = attack_by_name("back-door:target=0")
    (poisoned,) = attack.datasets([shard], 1, random)
    changed = np.array([not np.array_equal(a, b) for a, b in zip(poisoned.inputs, shard.inputs, strict=True)])
    assert changed.sum() == 20
    assert np.array_equal(changed, poisoned.labels == 0)
    stamped = attack.backdoor.stamp(shard.inputs)
    assert (stamped.reshape(41, -1)[:, -1] == shard.inputs.max()).all()
    assert shard.inputs.max() <= 0.5


def test_copies_and_clones_are_exact_and_masks_are_noise(view: View) -> None:
    assert all(np.array_equal(row, view.honest[0]) for row in craft("copy", view))
    assert all(np.array_equal(row, view.own[0]) for row in craft("clones", view))
    masked = craft("masked-clones:noise=0.5", view) - view.own[0]
    assert np.linalg.norm(masked, axis=1) == pytest.approx(0.5 * np.linalg.norm(view.own[0]) * np.ones(MEMBERS))
    assert not np.array_equal(masked[0], masked[1])


def test_clones_share_one_shard_and_shard_clones_split_it() -> None:
    shard = data(50)
    random = np.random.default_rng(1)
    for name in ("clones", "masked-clones", "reseeded-clones", "shard-clones"):
        assert attack_by_name(name).holdings(4) == 1
    assert [len(one) for one in attack_by_name("reseeded-clones").datasets([shard], 4, random)] == [50] * 4
    parts = attack_by_name("shard-clones").datasets([shard], 4, random)
    assert sorted(len(part) for part in parts) == [12, 12, 13, 13]
    rows = {image.tobytes() for part in parts for image in part.inputs}
    assert rows == {image.tobytes() for image in shard.inputs}


def test_shard_clones_send_the_full_length_or_their_own(view: View) -> None:
    assert np.linalg.norm(craft("shard-clones", view), axis=1) == pytest.approx([view.usual_length] * 3, rel=1e-5)
    assert np.array_equal(craft("shard-clones:full=0", view), view.own)


def test_replays_lie_in_the_span_of_past_steps(view: View) -> None:
    replay = craft("replay", view)[0]
    assert cosine(replay, view.past_steps[0]) == pytest.approx(1, abs=1e-6)
    assert np.linalg.norm(replay) == pytest.approx(view.usual_length, rel=1e-5)
    older = craft(f"replay:age={len(view.past_steps)}", view)[0]
    assert len(view.past_steps) > 1
    assert cosine(older, view.past_steps[-1]) == pytest.approx(1, abs=1e-6)
    assert np.array_equal(older, craft("replay:age=100", view)[0])
    average = craft("replay-average", view)[0]
    left = average - view.past_steps.T @ np.linalg.lstsq(view.past_steps.T, average, rcond=None)[0]
    assert np.linalg.norm(left) < 1e-4 * np.linalg.norm(average)
    noisy = craft("step-noise:noise=1", view)
    assert np.linalg.norm(noisy - replay, axis=1) == pytest.approx([view.usual_length] * 3, rel=1e-4)


def test_training_on_little_or_on_what_is_public(view: View) -> None:
    # The fixture's `learn` says how many examples it was given, times epochs.
    assert craft("revealed-batches", view) == pytest.approx(np.full((3, D), 1.6))
    assert craft("leaked-batch:train=1", view) == pytest.approx(np.full((3, D), 0.8))
    direction = craft("step-training", view)[0]
    last = view.past_steps[0] / np.linalg.norm(view.past_steps[0]) * view.usual_length
    assert cosine(direction, last + 0.64) == pytest.approx(1, abs=1e-5)
    assert cosine(craft("few-examples", view)[0], np.ones(D)) == pytest.approx(1, abs=1e-5)


def test_a_leaked_batch_shows_the_steepest_descent(view: View) -> None:
    row = craft("leaked-batch", view)[0]
    assert cosine(row, view.gradient(view.batch)) == pytest.approx(-1, abs=1e-6)
    assert np.linalg.norm(row) == pytest.approx(view.usual_length, rel=1e-5)


def test_a_random_group_is_company_to_itself(view: View) -> None:
    rows = craft("random-group", view)
    assert cosine(rows[0], rows[1]) > 0.8
    assert abs(cosine(rows[0], view.honest.mean(0))) < 0.4


@pytest.mark.parametrize("text", ["alie:q=1", "alie:z", "alie:z=x", "alie:z=-1", "noise:factor=inf", "noise:"])
def test_bad_parameters_are_refused(text: str) -> None:
    with pytest.raises(RehearsalInvalid, match=r"alie|noise"):
        attack_by_name(text)


@pytest.mark.parametrize("text", ["", "Alies", "alie z=1"])
def test_unknown_attacks_are_refused(text: str) -> None:
    with pytest.raises(UnknownAttack, match="sign-flip"):
        attack_by_name(text)


def test_unfiltered_markets_suffer_and_the_back_door_opens() -> None:
    def accuracy(*cheats: tuple[str, int]) -> float:
        return play(Scenario("digits-mlp", "iid", 6, cheats, 4, 2, shards=10), judge_by_name("fedavg")).accuracy

    clean = accuracy()
    assert accuracy(("sign-flip", 4)) < clean - 0.1
    assert accuracy(("label-flip", 4)) < clean - 0.05
    opened = play(
        Scenario("digits-mlp", "iid", 6, (("back-door:factor=3", 3),), 4, 2), judge_by_name("fedavg")
    ).backdoor_success
    closed = World(Scenario("digits-mlp", "iid", 6, (("back-door", 3),), 4, 2)).backdoor_success()
    assert opened > 0.8
    assert closed < 0.5


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Sign Flip", "sign-flip"),
        ("sign_flip", "sign-flip"),
        (" Label_Flip ", "label-flip"),
        ("backdoor", "back-door"),
        ("trigger:target=1", "back-door"),
        ("ALIE", "alie"),
        ("IPM", "ipm"),
        ("MinMax", "min-max"),
        ("min sum", "min-sum"),
        ("MPAF", "mpaf"),
        ("k-clone", "clones"),
        ("k_clones:noise=0.5", "clones"),
        ("data-shard split", "shard-clones"),
        ("last-step replay", "replay"),
        ("EMA replay", "replay-average"),
        ("step + noise", "step-noise"),
        ("step+noise:noise=1", "step-noise"),
        ("trained-on-revealed-batches", "revealed-batches"),
        ("leaked_batch", "leaked-batch"),
    ],
)
def test_attacks_answer_to_the_names_that_people_use(text, name):
    assert attack_by_name(text).name == name
    assert attacks_joined(text) == (text,)


def test_no_name_stands_for_two_attacks():
    assert len({attack_by_name(name).name for name in known_attacks()}) == len(known_attacks())


def test_a_misspelt_attack_is_met_with_the_nearest():
    with pytest.raises(
        UnknownAttack, match=r"no attack 'lable-flip' \(did you mean label-flip\?\); known are: sign-flip"
    ):
        attack_by_name("lable-flip")


def test_attacks_are_joined_by_a_plus_that_belongs_to_no_number():
    assert attacks_joined("alie + step_noise:noise=1e+0+replay:age=2") == (
        "alie",
        "step_noise:noise=1e+0",
        "replay:age=2",
    )
    assert attacks_joined("step+noise+noise") == ("step", "noise", "noise")
