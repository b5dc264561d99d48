"""What the command line may ask for, and what follows from the seed."""

from __future__ import annotations

from pathlib import Path

import pytest
from cohort_devnet.demo.settings import (
    AGGREGATOR_FEE,
    BOND,
    DISTRIBUTABLE,
    PROTOCOL_FEE,
    ROUND_BUDGET,
    DemoSettings,
    DemoSettingsInvalid,
)
from cohort_devnet.demo.task import SMALLEST_SHARD, demo_task
from cohort_devnet.demo.watch import STALL_SECONDS
from cohort_protocol.learning.plugin import load_train_function
from hypothesis import given, settings
from hypothesis import strategies as st

REPORT = Path("demo-report")


@given(st.integers(0, 2**32 - 1), st.integers(1, 32), st.data())
def test_the_seed_places_the_asked_number_of_cheats(seed: int, trainers: int, data: st.DataObject) -> None:
    cheaters = data.draw(st.integers(0, trainers))
    asked = DemoSettings(REPORT, trainers=trainers, cheaters=cheaters, seed=seed)
    roles = asked.roles()
    assert len(roles) == trainers
    assert sum(role != "honest" for role in roles) == cheaters
    assert roles == DemoSettings(REPORT, trainers=trainers, cheaters=cheaters, seed=seed).roles()


def test_other_seeds_place_the_cheats_elsewhere() -> None:
    assert len({tuple(DemoSettings(REPORT, seed=seed).roles()) for seed in range(20)}) > 10


def test_the_first_attacks_are_flip_noise_and_replay_and_then_start_over() -> None:
    roles = DemoSettings(REPORT, trainers=9, cheaters=4, cheat_at=(2, 4, 6, 8)).roles()
    assert [role for role in roles if role != "honest"] == ["sign_flip", "noise", "replay_step", "sign_flip"]
    assert [index + 1 for index, role in enumerate(roles) if role != "honest"] == [2, 4, 6, 8]


def test_every_default_attack_can_be_loaded() -> None:
    for function in DemoSettings(REPORT, cheaters=3).cheats().values():
        assert callable(load_train_function(function))


def test_an_attack_of_ones_own_is_named_by_its_file(tmp_path: Path) -> None:
    (tmp_path / "lazy.py").write_text("def work(task):\n    return task.model\n")
    asked = DemoSettings(REPORT, cheaters=1, attacks=(f"{tmp_path / 'lazy.py'}:work",))
    assert "lazy" in asked.roles()
    assert list(asked.cheats().values()) == [f"{(tmp_path / 'lazy.py').resolve()}:work"]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"rounds": 0}, "--rounds 0"),
        ({"trainers": 33}, "1 .. 32"),
        ({"cheaters": 9}, "--cheaters 9"),
        ({"seed": -1}, "--seed"),
        ({"cheat_at": (1,)}, "--cheat-at"),
        ({"cheat_at": (1, 1)}, "--cheat-at"),
        ({"cheat_at": (1, 9)}, "--cheat-at"),
        ({"keep": True, "trainers": 32}, "--keep"),
        ({"attacks": ()}, "--attacks"),
    ],
)
def test_a_market_that_cannot_be_is_refused_in_words(changes: dict, words: str) -> None:
    with pytest.raises(DemoSettingsInvalid, match=words):
        DemoSettings(REPORT, **changes)


def test_an_unknown_attack_lists_the_known_ones() -> None:
    with pytest.raises(DemoSettingsInvalid, match="noise, replay_step, sign_flip"):
        DemoSettings(REPORT, attacks=("bribe",)).roles()


def test_a_market_is_given_up_only_after_all_windows_of_a_round() -> None:
    asked = DemoSettings(REPORT)
    windows = (asked.commit_seconds, asked.reveal_seconds, asked.rescue_seconds, asked.settle_seconds)
    assert sum(windows) + asked.takeover_seconds < STALL_SECONDS


def test_stake_and_bond_are_the_least_that_the_contract_takes() -> None:
    assert DemoSettings(REPORT, trainers=7).stake == -(-2 * DISTRIBUTABLE // 7)
    assert DISTRIBUTABLE + AGGREGATOR_FEE + PROTOCOL_FEE == ROUND_BUDGET == 2 * BOND


def test_a_relative_folder_means_the_same_to_every_process_of_the_run() -> None:
    asked = DemoSettings(Path("demo-report"))
    assert asked.run_folder == Path.cwd() / "demo-report" / "run"
    assert asked.chain_state.is_absolute()


@settings(max_examples=5, deadline=None)
@given(st.integers(0, 1000), st.integers(2, 12))
def test_shards_cover_the_training_data_once_and_are_large_enough(seed: int, trainers: int) -> None:
    task = demo_task(seed, trainers)
    assert sum(len(shard) for shard in task.shards) == 1137
    assert min(len(shard) for shard in task.shards) >= SMALLEST_SHARD
    assert len(task.test) == 360
