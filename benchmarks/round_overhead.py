"""Seconds that a round takes beside the training in it, with one trainer: chain, IPFS, API, worker, witnesses.

    python -m benchmarks.round_overhead [--quick] [--json FILE]

Starts a market as the demo does, every part a process of its own, with one trainer and no cheats. The same local
training is timed alone, in this process, on the same data and models. Anchor: Flower's SuperLink and SuperNode, 5 to 8
seconds per round besides training, with neither chain nor IPFS (measured for the design, section 6; not in this run).
"""

from __future__ import annotations

import argparse
import logging
import statistics
import sys
import tempfile
import time
from pathlib import Path

import structlog
from cohort_devnet.demo.display import LineDisplay
from cohort_devnet.demo.history import History
from cohort_devnet.demo.market import DemoMarket, announce, prepare_folder
from cohort_devnet.demo.report import Report
from cohort_devnet.demo.settings import DemoSettings
from cohort_devnet.demo.task import EXPONENT, demo_task, trainer_seed
from cohort_devnet.supervisor import Supervisor
from cohort_protocol.bundle import fetch_model
from cohort_protocol.chain.client import ChainClient
from cohort_protocol.chain.events import RoundOpened
from cohort_protocol.chain.market import Market
from cohort_protocol.ipfs.cid import Cid
from cohort_protocol.ipfs.connect import connect_store
from cohort_protocol.update import floats_from_model
from rich.console import Console

from benchmarks.table import Row, print_table, write_json

GOAL_SECONDS = 3.0
FLOWER_SECONDS = 5.0
"""The lower end of what was measured."""
WARM_UP = 1
"""First rounds that are not counted: the trainer process has just been started."""


def main() -> int:
    options = _options()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    with tempfile.TemporaryDirectory(prefix="cohort-overhead-") as folder:
        settings = DemoSettings(
            settlement="attested",
            report=Path(folder),
            rounds=3 if options.quick else 10,
            trainers=1,
            cheaters=0,
            seed=options.seed,
        )
        report, training = measure(settings)
    rows = rows_of(report, training)
    print_table(f"Round overhead, one trainer, {len(report.rounds)} rounds", rows)
    if options.json:
        write_json(options.json, rows)
    return 0 if all(row.met is not False for row in rows) else 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="3 rounds instead of 10")
    parser.add_argument("--json", type=Path, help="also write the rows here")
    parser.add_argument("--seed", type=int, default=7)
    return parser.parse_args()


def measure(settings: DemoSettings) -> tuple[Report, dict[int, float]]:
    """(report of the market, round -> seconds of the same training alone)."""
    prepare_folder(settings)
    display = LineDisplay(Console(stderr=True), quiet=True)
    with Supervisor(settings.run_folder, notify=announce(display)) as supervisor:
        market = DemoMarket(settings, display, supervisor, baselines_beside=False)
        report = market.run()
        training = time_training(settings, report, market.parts.ipfs_url, market.parts.client)
    return report, training


def time_training(settings: DemoSettings, report: Report, ipfs_url: str, client: ChainClient) -> dict[int, float]:
    """Repeats the trainer's work of every round and nothing else: model in memory to quantised update.

    Checks that it gives the very update that was committed to, so that the same work is timed.
    """
    from cohort_protocol.identifiers import to_hex
    from cohort_protocol.learning.families import build_module
    from cohort_protocol.learning.training import LocalTask, local_seed, local_update, train
    from cohort_protocol.spec import HyperParameters
    from cohort_protocol.update import step_between, update_commitment

    task = demo_task(settings.seed, 1)
    shard, seconds, models = task.shards[0], {}, []
    with connect_store(ipfs_url) as store:
        cids = [_first_model_cid(store, report), *(entry.model_cid for entry in report.rounds)]
        # From events: the chain keeps no more than a project's present round in storage.
        history = History.read(Market(client, report.project.contract), report.project.id, cids[0])
        for entry, cid in zip(history.closed(), cids[:-1], strict=True):
            (opened,) = entry.of(RoundOpened)
            models.append(fetch_model(store, Cid.parse(cid), opened.model, task.architecture.dimension))
    for entry, model in zip(report.rounds, models, strict=True):
        number = entry.number
        previous = floats_from_model(step_between(models[number - 2], model), EXPONENT) if number > 1 else None
        started = time.perf_counter()
        local = LocalTask(
            model=build_module(task.architecture, floats_from_model(model, EXPONENT)),
            inputs=shard.inputs,
            labels=shard.labels,
            hyper=HyperParameters(),
            round=number,
            seed=local_seed(settings.seed, number, trainer_seed(0)),
            previous_step=previous,
        )
        update = local_update(train, local, EXPONENT)
        seconds[number] = time.perf_counter() - started
        if to_hex(update_commitment(update)) != entry.submissions[0].update:
            sys.exit(f"round {number}: training alone gave another update than the market's, so times do not compare")
    return seconds


def _first_model_cid(store, report: Report) -> str:
    from cohort_protocol.spec import MAX_SPEC_BYTES, ProjectSpec

    spec = ProjectSpec.from_bytes(store.get(Cid.parse(report.project.spec_cid), MAX_SPEC_BYTES))
    return spec.model.initial_cid


def rows_of(report: Report, training: dict[int, float]) -> list[Row]:
    """Medians over the rounds after the first."""
    counted = [entry for entry in report.rounds if entry.number > WARM_UP]
    alone = statistics.median(training[entry.number] for entry in counted)
    rows = [
        Row(
            "overhead besides training",
            statistics.median(entry.seconds["total"] - training[entry.number] for entry in counted),
            "s/round",
            FLOWER_SECONDS,
            GOAL_SECONDS,
        ),
        Row("whole round", statistics.median(entry.seconds["total"] for entry in counted), "s/round", alone),
    ]
    for phase in ("commit", "reveal", "evaluate", "settle"):
        seconds = statistics.median(entry.seconds[phase] for entry in counted)
        rows.append(Row(f"phase {phase}", seconds, "s/round", alone if phase == "commit" else None))
    rows.append(Row("the same local training alone", alone, "s/round"))
    rows.append(Row("gas of a round", statistics.median(sum(g.gas for g in entry.gas) for entry in counted), "gas"))
    return rows


if __name__ == "__main__":
    sys.exit(main())
