"""Whole rehearsals: money is conserved, the seed decides, honest work is paid."""

from __future__ import annotations

import numpy as np
import pytest
from cohort_protocol.learning.architecture import parse_architecture
from cohort_protocol.rehearsal import (
    Played,
    PolicyJudge,
    Scenario,
    World,
    judge_by_name,
    known_attacks,
    known_partitions,
    known_tasks,
    play,
    project_task,
    public_vectors,
)
from cohort_protocol.rehearsal.errors import RehearsalInvalid, UnknownAttack, UnknownTask
from cohort_protocol.rehearsal.tasks import patterns, split_task
from cohort_protocol.scoring import UnknownPolicy, gram_matrix, policy_by_name
from cohort_protocol.spec import DataSpec, HyperParameters
from cohort_protocol.update import apply_step

POOL = 1_000_003


def small(cheats: tuple[tuple[str, int], ...] = (), **changes: object) -> Scenario:
    values = {"task": "digits-mlp", "partition": "iid", "honest": 4, "rounds": 2, "seed": 5} | changes
    return Scenario(cheats=cheats, **values)


def fingerprint(run: Played) -> tuple:
    return run.earned, tuple(each.accuracy for each in run.rounds), tuple(each.decision.scores for each in run.rounds)


@pytest.mark.parametrize("attack", sorted(known_attacks()))
def test_no_attack_creates_money_or_leaves_the_codec(attack: str) -> None:
    run = play(small(((attack, 2),), rounds=3), judge_by_name("peer"), pool=POOL)
    assert len(run.earned) == 6
    for each in run.rounds:
        assert sum(each.pay) <= POOL
        assert min(each.pay) >= 0
        assert max(each.pay) <= POOL * 4 // 6
    assert sum(run.earned) == sum(sum(each.pay) for each in run.rounds)
    assert 0 <= run.accuracy <= 1


@pytest.mark.parametrize("attack", ["noise", "alie", "step-training", "shard-clones", "back-door"])
def test_the_seed_decides_everything(attack: str) -> None:
    first, again, other = (play(small(((attack, 2),), seed=seed), judge_by_name("peer")) for seed in (5, 5, 6))
    assert fingerprint(first) == fingerprint(again)
    assert fingerprint(first) != fingerprint(other)


@pytest.mark.parametrize("judge", ["default", "exact-shapley", "fedavg", "fedavg-by-examples", "fltrust", "peer"])
def test_honest_markets_learn_and_pay_under_every_judge(judge: str) -> None:
    run = play(small(rounds=4), judge_by_name(judge), pool=POOL, shapley=True)
    assert run.accuracy > 0.8
    assert run.paid_out > 0.9
    for each in run.rounds:
        table = each.shapley
        assert table is not None
        assert table.loss.shape == (4,)
    gained = run.rounds[0].shapley.loss.sum()
    assert gained > 0


def test_shapley_values_sum_to_what_the_average_gains() -> None:
    world = World(small())
    before_loss, before = world.loss(), world.accuracy()
    committed = world.next_round()
    table = committed.shapley()
    mean = committed.real_updates.mean(0)
    world.apply(np.rint(mean * 2.0 ** (16 - world.task.exponent)).astype(np.int64))
    assert table.loss.sum() == pytest.approx(before_loss - world.loss(), abs=1e-4)
    assert table.accuracy.sum() == pytest.approx(world.accuracy() - before, abs=1e-6)
    assert (table.halves[0] + table.halves[1]) / 2 == pytest.approx(table.loss, abs=1e-5)


def test_the_same_honest_trainers_do_the_same_work_whoever_else_is_there() -> None:
    alone = World(small(honest=3, shards=6)).next_round()
    with_cheats = World(small((("label-flip", 2),), honest=3, shards=6)).next_round()
    for a, b in zip(alone.updates, with_cheats.updates, strict=False):
        assert np.abs(a.astype(int) - b.astype(int)).max() <= 1


def test_public_rows_fit_the_gram_matrix_of_a_round() -> None:
    world = World(small())
    for number in (1, 2):
        committed = world.next_round()
        vectors = public_vectors(committed)
        assert (vectors.trainable is None) == (number == 1)
        gram = gram_matrix(committed.updates, vectors.rows())
        first, second = vectors.layout.gradient_rows(4)
        assert gram[first][first] > 0
        # Honest updates go downhill on the owner's batch, and the loss is curved.
        assert all(gram[row][first] < 0 for row in range(4))
        assert gram[first][second] != gram[first][first]
        world.apply(np.zeros(len(world.model), np.int64) + committed.updates[0].astype(np.int64) * 2**14)


def test_gradients_follow_the_step_that_they_are_asked_at() -> None:
    world = World(small())
    committed = world.next_round()
    step = committed.updates[0].astype(np.int64) << 16
    moved = committed.gradient(step)
    world.apply(step)
    assert np.array_equal(world.model, apply_step(committed.model, step))
    assert not np.array_equal(moved, committed.gradient())
    halves = committed.class_gradients()
    assert np.abs(np.sum(halves, 0) - committed.gradient()).max() < 200


def test_batches_are_disjoint_while_examples_last() -> None:
    world = World(small(rounds=7))
    seen: set[bytes] = set()
    for _ in range(5):
        rows = {image.tobytes() for image in world.next_round().batch.inputs}
        assert not rows & seen
        seen |= rows
    reference = {image.tobytes() for image in world.task.reference.inputs}
    train = {image.tobytes() for one in world.honest_data for image in one.inputs}
    assert not reference & (seen | train)
    assert len(world.next_round().batch) == 128


def test_a_world_needs_no_images_and_no_batches_of_128() -> None:
    data = DataSpec(shape=[12], classes=3)
    architecture = parse_architecture("mlp", {"hidden": [8]}, data)
    task = project_task(architecture, HyperParameters(augment_shift=0), -14, 1)
    run = play(Scenario(task, "dirichlet-0.5", 3, (("back-door", 1),), 3, 1), judge_by_name("peer"))
    assert run.backdoor_success is not None
    own = project_task(architecture, HyperParameters(augment_shift=0), -14, 1, patterns(data, 300, 4))
    assert (len(own.train), len(own.public), len(own.reference)) == (180, 60, 60)
    play(Scenario(own, "iid", 3, rounds=1, batch=20), judge_by_name("peer"))


@pytest.mark.parametrize(
    "changes",
    [{"honest": 0}, {"honest": 33}, {"rounds": 0}, {"batch": 1}, {"seed": -1}, {"cheats": (("noise", 0),)}],
)
def test_impossible_scenarios_are_refused(changes: dict) -> None:
    with pytest.raises(RehearsalInvalid):
        Scenario(**({"task": "digits-mlp"} | changes))


def test_unknown_names_are_errors_that_list_the_known_ones() -> None:
    with pytest.raises(UnknownAttack, match="alie"):
        small((("bribe", 1),))
    with pytest.raises(UnknownTask, match="digits-mlp"):
        World(small(task="cifar"))
    with pytest.raises(UnknownPolicy):
        judge_by_name("fairest")
    with pytest.raises(RehearsalInvalid, match="smaller"):
        World(small(batch=2000))
    with pytest.raises(RehearsalInvalid, match="shards"):
        World(small((("label-flip", 3),), shards=4))
    too_few = patterns(DataSpec(shape=[4], classes=2), 100, 0)
    with pytest.raises(RehearsalInvalid, match="100 examples"):
        split_task("few", too_few, parse_architecture("mlp", {}, DataSpec(shape=[4], classes=2)), 0)


def test_every_bundled_task_plays_a_round_with_every_partition() -> None:
    for task in known_tasks():
        committed = World(small(task=task, honest=3, rounds=1)).next_round()
        assert len({update.tobytes() for update in committed.updates}) == 3
    for partition in known_partitions():
        assert len(World(small(partition=partition)).next_round().updates) == 4


def test_without_batches_a_policy_reads_no_validation_rows() -> None:
    committed = World(small()).next_round()
    assert public_vectors(committed, policy_by_name("peer")).layout.count == 0


def test_the_default_policy_remembers_what_trainers_were_worth() -> None:
    world = World(small())
    policy = policy_by_name("default")
    assert world.remembered is None
    first = public_vectors(world.next_round(), policy)
    assert first.trainable is None
    remembered = world.remembered
    assert remembered is not None
    assert len(remembered) == 4
    assert max(remembered) > 0
    second = public_vectors(world.next_round(), policy)
    assert second.trainable is not None
    assert world.remembered != remembered


def test_the_default_policy_needs_no_batches_and_then_pays_by_the_peers() -> None:
    without = PolicyJudge(policy_by_name("default"), batches=False)
    run = play(small((("replay", 1),), rounds=4), without, pool=POOL)
    assert run.accuracy > 0.8
    assert run.relative_pay(0) < 0.3


def test_cheats_are_worth_little_under_the_default_policy() -> None:
    """Coarse: the benchmarks measure it."""
    for attack, most in (("sign-flip", 0.1), ("noise", 0.1), ("step-noise", 0.2), ("leaked-batch", 1.2)):
        run = play(small(((attack, 1),), honest=6, rounds=4), judge_by_name("default"))
        assert run.relative_pay(0) < most, attack
    clones = play(small((("clones", 3),), honest=6, rounds=4), judge_by_name("default"))
    assert clones.relative_pay(0) < 1.6
