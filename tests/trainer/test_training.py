"""Local training as a trainer runs it: repeatable, and plug-ins that fail do so in words."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from cohort_protocol.learning.errors import TrainFunctionInvalid, TrainingFailed
from cohort_protocol.update import UpdateMalformed, decode_model, update_commitment
from cohort_trainer.rounds import loop
from cohort_trainer.rounds.facts import look
from cohort_trainer.rounds.training import LocalTraining, own_data, seed_of

from tests.trainer.conftest import Background, until

PLUG_INS = {
    "raises": ("raise RuntimeError('out of ideas')", TrainingFailed, "RuntimeError: out of ideas"),
    "returns nothing": ("return None", TrainingFailed, "returned NoneType"),
    "returns another model": ("import torch; return torch.nn.Linear(2, 2)", TrainingFailed, "6 parameters"),
    "changes the task": (
        "next(task.model.parameters()).data.add_(1); return task.model",
        TrainingFailed,
        "changed task.model",
    ),
    "diverges": (
        "import copy; m = copy.deepcopy(task.model); next(m.parameters()).data.fill_(float('nan')); return m",
        UpdateMalformed,
        "not finite",
    ),
}


@pytest.fixture(autouse=True)
def look_often(monkeypatch):
    monkeypatch.setattr(loop, "LONGEST_LOOK", 1.0)


def plug_in(folder: Path, body: str) -> str:
    path = folder / "plug_in.py"
    path.write_text(f"def train(task):\n    {body}\n")
    return f"{path}:train"


@pytest.fixture
def make_training(stage):
    def make(**options) -> tuple[LocalTraining, np.ndarray]:
        with stage.trainer() as trainer:
            project = trainer.project(stage.scene.project)
        model = decode_model(stage.plan.first_model, project.terms.dimension)
        options = {"seed": 4, **options}
        return LocalTraining(project=project, dataset=own_data(project, stage.data), **options), model

    return make


def test_the_same_round_gives_the_same_bytes_in_another_process_or_object(make_training):
    hashes = set()
    for _ in range(2):
        training, model = make_training()
        hashes.add(update_commitment(training.update(3, model, None, training.seed)))
    assert len(hashes) == 1


def test_round_seed_and_model_each_change_the_update(make_training):
    training, model = make_training()
    updates = [
        training.update(1, model, None, 4),
        training.update(2, model, None, 4),
        training.update(1, model, None, 5),
        training.update(1, model + (1 << 20), None, 4),
    ]
    assert len({update_commitment(update) for update in updates}) == 4
    assert all(update.dtype == np.int16 and update.any() for update in updates)


def test_the_default_seed_follows_from_the_address():
    one, other = seed_of("0x" + "11" * 20), seed_of("0x" + "12" * 20)
    assert one != other
    assert one == seed_of("0x" + "11" * 20)
    assert 0 <= one < 2**32


@pytest.mark.parametrize("name", PLUG_INS)
def test_a_plug_in_that_fails_says_how(make_training, tmp_path, name):
    body, kind, words = PLUG_INS[name]
    training, model = make_training(reference=plug_in(tmp_path, body))
    with pytest.raises(kind, match=words):
        training.update(1, model, None, 1)


@pytest.mark.parametrize(
    ("reference", "words"),
    [("nowhere.py:train", "no file"), ("json:absent", "no function"), ("no-colon", "write path/to/file.py:function")],
)
def test_a_reference_that_leads_nowhere_is_refused_before_the_first_round(make_training, reference, words):
    training, _ = make_training(reference=reference)
    with pytest.raises(TrainFunctionInvalid, match=words):
        training.prepare()


def test_a_device_that_is_not_there_is_said_before_the_first_round(make_training):
    import torch

    if torch.cuda.is_available():
        pytest.skip("this machine has a CUDA device")
    training, _ = make_training(device="cuda")
    with pytest.raises(TrainingFailed, match="use --device cpu"):
        training.prepare()


def test_a_plug_in_sees_the_last_step_of_the_model(make_stage, tmp_path):
    """Nothing in the first round; then the change that the settlement made, in real units."""
    stage = make_stage(rounds=2)
    out = tmp_path / "seen"
    body = (
        "import copy, pathlib\n"
        f"    with pathlib.Path({str(out)!r}).open('a') as f:\n"
        "        step = task.previous_step\n"
        "        f.write('none\\n' if step is None else f'{step.min()!r} {step.max()!r} {step.dtype}\\n')\n"
        "    m = copy.deepcopy(task.model); next(m.parameters()).data.add_(0.01); return m"
    )
    with stage.joined() as trainer:
        run = Background(lambda: trainer.run(stage.scene.project, stage.data, train=plug_in(tmp_path, body)))
        for number in (1, 2):
            stage.service.open_round()
            until(lambda n=number: (n, trainer.address) in stage.service.commits)
            stage.service.post_batch()
            until(lambda n=number: (n, trainer.address) in stage.service.reveals)
            stage.service.post_reveals()
            stage.service.settle(move=1 << 16)
        assert run.result() == 2
    unit = 2.0**stage.plan.spec.model.exponent
    assert out.read_text().splitlines() == ["none", f"{np.float32(unit)!r} {np.float32(unit)!r} float32"]


def test_a_function_that_never_worked_ends_the_run_and_nothing_was_sent(stage, tmp_path):
    with stage.joined() as trainer:
        stage.service.open_round()
        with pytest.raises(TrainingFailed, match="out of ideas"):
            trainer.run(stage.scene.project, stage.data, train=plug_in(tmp_path, PLUG_INS["raises"][0]))
    assert not stage.service.commits


def test_a_function_that_fails_once_sits_one_round_out(make_stage, tmp_path):
    stage = make_stage(rounds=2)
    body = (
        "import copy\n"
        "    if task.round == 2: raise RuntimeError('not today')\n"
        "    m = copy.deepcopy(task.model); next(m.parameters()).data.add_(0.01); return m"
    )
    with stage.joined() as trainer:
        run = Background(lambda: trainer.run(stage.scene.project, stage.data, train=plug_in(tmp_path, body)))
        stage.service.open_round()
        until(lambda: stage.service.commits)
        stage.service.post_batch()
        until(lambda: stage.service.reveals)
        stage.service.post_reveals()
        stage.service.settle()
        stage.service.open_round()
        until(lambda: look(trainer.connection, trainer.project(stage.scene.project), trainer.address).number == 2)
        stage.devnet.control.warp(700)
        assert run.result(60) == 1
    assert sorted(stage.commitments_of(trainer.address)) == [1]
