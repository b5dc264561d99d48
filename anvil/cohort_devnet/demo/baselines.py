"""The same training without a market: what accuracy to compare with.

Run as a process beside the market, at low priority:
    python -m cohort_devnet.demo.baselines TASK.json RESULT.json
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from cohort_devnet.demo.task import EXPONENT, demo_task, trainer_seed


class BaselineTask(BaseModel):
    """What to compute."""

    model_config = ConfigDict(extra="forbid")

    seed: int
    rounds: int
    functions: list[str | None]
    """By trainer: None for the honest one, else the cheat's training function as `file.py:function`."""


class BaselineResult(BaseModel):
    """Accuracies on the owner's test set."""

    model_config = ConfigDict(extra="forbid")

    initial: float
    local_only_mean: float
    clean_fedavg: list[float]
    unfiltered: list[float]


def compute(task: BaselineTask) -> BaselineResult:
    """Three simulations and one evaluation, all in this process: half a second per round of eight trainers.

    Averages count every trainer the same, as the market does before it judges: nobody can check how many examples
    another one has. (Weighted by examples, clean averaging does a little worse on such shards.)
    """
    from cohort_protocol.learning.evaluation import evaluate_model
    from cohort_protocol.learning.plugin import load_train_function
    from cohort_protocol.learning.simulation import Federation, Participant, run_local_only, run_policy
    from cohort_protocol.learning.training import train
    from cohort_protocol.scoring import policy_by_name

    demo = demo_task(task.seed, len(task.functions))
    federation = Federation(demo.architecture, EXPONENT, task.rounds, demo.test, seed=task.seed)
    everybody = [
        Participant(
            f"trainer-{index + 1}", shard, trainer_seed(index), load_train_function(function) if function else train
        )
        for index, (shard, function) in enumerate(zip(demo.shards, task.functions, strict=True))
    ]
    honest = [one for one, function in zip(everybody, task.functions, strict=True) if function is None]
    average = policy_by_name("fedavg")
    first = evaluate_model(demo.architecture, federation.first_model(), EXPONENT, demo.test)
    return BaselineResult(
        initial=first.accuracy,
        local_only_mean=_mean([run.accuracies[-1] for run in run_local_only(federation, honest)], first.accuracy),
        clean_fedavg=run_policy(federation, honest, average).accuracies if honest else [first.accuracy] * task.rounds,
        unfiltered=run_policy(federation, everybody, average).accuracies,
    )


def _mean(values: Sequence[float], otherwise: float) -> float:
    return sum(values) / len(values) if values else otherwise


def main() -> None:
    source, target = map(Path, sys.argv[1:3])
    result = compute(BaselineTask.model_validate(json.loads(source.read_text())))
    partial = target.with_name(target.name + ".partial")
    partial.write_text(result.model_dump_json())
    partial.replace(target)


if __name__ == "__main__":
    main()
