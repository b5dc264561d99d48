"""The peer policy on the demo's task: accuracy beside clean FedAvg, what cheats earn, what honest trainers lose.

    python -m benchmarks.peer_policy [--quick] [--seeds N] [--jobs N] [--json FILE]

Every seed trains four runs of two markets, on the codec and the evaluation of the real one: honest trainers only
(clean FedAvg, once weighted by examples and once equally), everybody unfiltered, and everybody under the peer policy.
Two of eight cheat (sign flip, noise), or three of nine (one more replays the last global step), at random positions.
"Clean" is the better of the two averages in the last three rounds. One to two minutes per seed on one core.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from statistics import mean

import numpy as np
from cohort_protocol.learning.architecture import parse_architecture
from cohort_protocol.learning.data import digits_data_spec, digits_splits, digits_training, dirichlet_partition
from cohort_protocol.learning.plugin import load_train_function
from cohort_protocol.learning.simulation import Federation, Participant, run_fedavg, run_policy
from cohort_protocol.learning.training import train
from cohort_protocol.payout import pays
from cohort_protocol.scoring import policy_by_name
from cohort_protocol.spec import HyperParameters

from benchmarks.table import Row, print_table, write_json

ATTACKS = Path(__file__).parent.parent / "tests" / "attacks"
MARKETS = {"8 trainers, 2 cheat": (8, ("sign_flip", "noise")), "9, 3 cheat": (9, ("sign_flip", "noise", "replay_step"))}
EXPONENT = -14
SHARE_CAP = 4
POOL = 10**18
"""Base units that a round distributes."""


@dataclass(frozen=True)
class Market:
    """One simulated market of one seed."""

    weighted: list[float]
    """Accuracy per round of the honest trainers' FedAvg, weighted by examples (McMahan et al., 2017)."""
    equal: list[float]
    """The same with equal weights."""
    unfiltered: list[float]
    peer: list[float]
    earned: list[int]
    """By trainer, base units."""
    cheats: list[int]
    """Their positions."""
    rejected: int
    """Honest trainer-rounds rejected by the filter."""
    unpaid: int
    """Honest trainer-rounds with a score of 0, rejected ones among them."""

    @property
    def clean(self) -> list[float]:
        """The better of the two averages."""
        return max(self.weighted, self.equal, key=lambda accuracies: mean(accuracies[-3:]))

    @property
    def gap(self) -> float:
        """By how much the mean of the last three rounds is below clean FedAvg's."""
        return mean(self.clean[-3:]) - mean(self.peer[-3:])

    @property
    def cheats_share(self) -> float:
        """What the cheats earn together, of all that is paid."""
        return sum(self.earned[position] for position in self.cheats) / max(1, sum(self.earned))

    @property
    def paid(self) -> float:
        """Part of the pool that is paid out."""
        return sum(self.earned) / (POOL * len(self.peer))

    @property
    def honest_rounds(self) -> int:
        """Trainer-rounds of honest trainers."""
        return (len(self.earned) - len(self.cheats)) * len(self.peer)


def simulate(seed: int, trainers: int, attacks: Sequence[str], hyper: HyperParameters, rounds: int = 10) -> Market:
    """Runs the three markets of one seed."""
    splits = digits_splits(seed)
    parts = dirichlet_partition(splits.train.labels, trainers, 0.5, 20, seed)
    federation = Federation(
        parse_architecture("digits-cnn", {}, digits_data_spec()), EXPONENT, rounds, splits.test, hyper, seed
    )
    positions = np.random.default_rng([seed, trainers]).permutation(trainers)[: len(attacks)].tolist()
    functions = {
        position: load_train_function(f"{ATTACKS / attack}.py:train")
        for position, attack in zip(positions, attacks, strict=True)
    }
    everybody = [
        Participant(f"trainer-{index}", splits.train.take(part), index + 1, functions.get(index, train))
        for index, part in enumerate(parts)
    ]
    honest = [index for index in range(trainers) if index not in functions]
    policy = policy_by_name("peer")
    run = run_policy(federation, everybody, policy)
    earned = [0] * trainers
    for each in run.rounds:
        paid = pays(each.outcome.scores, each.outcome.reasons, POOL, policy.suggested_score_floor(trainers), SHARE_CAP)
        earned = [before + now for before, now in zip(earned, paid, strict=True)]
    judged = [each.outcome.rows[index] for each in run.rounds for index in honest]
    return Market(
        weighted=run_fedavg(federation, [everybody[index] for index in honest]).accuracies,
        equal=run_policy(federation, [everybody[index] for index in honest], policy_by_name("fedavg")).accuracies,
        unfiltered=run_fedavg(federation, everybody).accuracies,
        peer=run.accuracies,
        earned=earned,
        cheats=positions,
        rejected=sum(not row.accepted for row in judged),
        unpaid=sum(row.score == 0 for row in judged),
    )


def measure(seeds: Sequence[int], hyper: HyperParameters, jobs: int, report: Callable[[str], None]) -> list[Row]:
    """All seeds of both markets, as rows."""
    rows: list[Row] = []
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        for name, (trainers, attacks) in MARKETS.items():
            waiting = [pool.submit(simulate, seed, trainers, attacks, hyper) for seed in seeds]
            markets = []
            for seed, future in zip(seeds, waiting, strict=True):
                market = future.result()
                markets.append(market)
                report(
                    f"{name}, seed {seed}: accuracy {market.peer[-1]:.3f} (clean "
                    f"{market.weighted[-1]:.3f}, equal weights {market.equal[-1]:.3f}, unfiltered "
                    f"{market.unfiltered[-1]:.3f}), gap {market.gap:+.4f}, cheats {market.cheats_share:.3%} of pay, "
                    f"honest rounds rejected {market.rejected}, unpaid {market.unpaid}, paid out {market.paid:.1%}"
                )
            rows += _rows(name, markets, 0.93 if len(attacks) < 3 else 0.90)
    return rows


def _rows(name: str, markets: Sequence[Market], least: float) -> list[Row]:
    final = [market.peer[-1] for market in markets]
    clean = [market.clean[-1] for market in markets]
    cheats = max(len(market.cheats) / len(market.earned) for market in markets)
    rounds = sum(market.honest_rounds for market in markets)
    return [
        Row(f"{name}: final accuracy, worst seed", min(final), "", min(clean), least, at_most=False),
        Row(f"{name}: final accuracy, mean", mean(final), "", mean(clean)),
        Row(f"{name}: the same unfiltered, mean", mean(market.unfiltered[-1] for market in markets), "", mean(clean)),
        Row(f"{name}: last three rounds below clean FedAvg, worst seed", max(m.gap for m in markets), "", 0.0, 0.02),
        Row(f"{name}: last three rounds below clean FedAvg, mean", mean(m.gap for m in markets), "", 0.0),
        Row(f"{name}: cheats' part of all pay, worst seed", max(m.cheats_share for m in markets), "", cheats, 0.01),
        Row(f"{name}: honest trainer-rounds rejected", sum(m.rejected for m in markets) / rounds, "", 0.0, 0.02),
        Row(f"{name}: honest trainer-rounds unpaid", sum(m.unpaid for m in markets) / rounds, "", 0.105, 0.105),
        Row(f"{name}: part of the pool paid out, worst seed", min(market.paid for market in markets), "", 1.0),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="two seeds instead of ten")
    parser.add_argument("--seeds", type=int, default=10, help="number of seeds")
    parser.add_argument("--first", type=int, default=0, help="first seed")
    parser.add_argument("--jobs", type=int, default=1, help="processes at a time")
    parser.add_argument("--epochs", type=int, help="local epochs, if not the demo's")
    parser.add_argument("--decay", type=float, help="decay of the learning rate, if not the demo's")
    parser.add_argument("--json", type=Path, help="also write the rows to this file")
    options = parser.parse_args()
    chosen = {"local_epochs": options.epochs, "learning_rate_decay": options.decay}
    given = {name: value for name, value in chosen.items() if value is not None}
    hyper = HyperParameters(**(digits_training().model_dump() | given))
    seeds = range(options.first, options.first + (2 if options.quick else options.seeds))
    rows = measure(seeds, hyper, options.jobs, lambda line: print(line, flush=True))
    print_table("Peer policy, digits, ten rounds", rows)
    if options.json:
        write_json(options.json, rows)


if __name__ == "__main__":
    main()
