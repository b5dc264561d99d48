"""What an attack would cost a project and earn the attackers, over several seeds: the numbers of `cohort rehearse`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import floor
from typing import Any

from cohort_protocol.rehearsal.attacks import attack_by_name, attacks_joined
from cohort_protocol.rehearsal.errors import RehearsalInvalid
from cohort_protocol.rehearsal.judges import Judge, judge_by_name
from cohort_protocol.rehearsal.play import SHARE_CAP, Played, play
from cohort_protocol.rehearsal.tasks import Task
from cohort_protocol.rehearsal.world import Scenario

UNFILTERED = "fedavg-by-examples"
MAX_SEEDS = 100


@dataclass(frozen=True)
class Rules:
    """The terms of a project that decide who earns what. Raises `RehearsalInvalid`."""

    trainers: int = 8
    """In a round, cheats among them."""
    distributable: int = 10**21
    """D: what a round pays at most, base units."""
    share_cap: int = SHARE_CAP
    score_floor: int | None = None
    """None: as the policy suggests."""

    def __post_init__(self) -> None:
        if not 2 <= self.trainers <= 32 or self.distributable < 1 or self.share_cap < 1:
            raise RehearsalInvalid(
                f"{self.trainers} trainers (2 .. 32), {self.distributable} base units a round (from 1), share cap "
                f"{self.share_cap} (from 1): these are no terms of a project"
            )

    def members(self, share: float) -> int:
        """Cheats for a share of the trainers: rounded half up, at least one, and at least one stays honest. Raises
        `RehearsalInvalid`."""
        if not 0 < share < 1:
            raise RehearsalInvalid(f"a share of {share} of the trainers cheats: choose more than 0 and less than 1")
        return min(max(1, floor(share * self.trainers + 0.5)), self.trainers - 1)


@dataclass(frozen=True)
class Plan:
    """What is rehearsed."""

    task: Callable[[int], Task]
    """The task of a seed."""
    judge: Judge
    rules: Rules
    partition: str = "dirichlet-0.5"
    rounds: int = 8
    seeds: Sequence[int] = (0, 1, 2)
    batch: int = 128

    def __post_init__(self) -> None:
        if not 1 <= len(self.seeds) <= MAX_SEEDS:
            raise RehearsalInvalid(f"{len(self.seeds)} seeds: choose 1 to {MAX_SEEDS}")

    def runs(self, attacks: int) -> int:
        """Simulated markets that `rehearse` plays."""
        return 3 * attacks * len(self.seeds)


@dataclass(frozen=True)
class SeedResult:
    """One attack in one simulated market."""

    seed: int
    clean: float
    """Accuracy without the cheats, under the same policy: mean of the last three rounds."""
    attacked: float
    unfiltered: float
    """Accuracy under attack with plain averaging."""
    honest_pay: int
    """Mean of the honest trainers, base units over all rounds, rounded down."""
    cheat_pay: int
    """Of all cheats together."""
    part_pay: tuple[int, ...]
    """Of those of each attack of a mixture."""
    honest_pay_clean: int
    """Mean of the same honest trainers when nobody cheats."""
    rejected_rounds: int
    """Cheats' trainer-rounds that the filter rejected."""
    wrongly_rejected_rounds: int
    """Honest trainer-rounds that it rejected."""
    paid_out: float
    """Part of the pools that anybody got."""
    backdoor_success: float | None

    @property
    def lost(self) -> float:
        """Accuracy that the attack costs, 0 .. 1."""
        return self.clean - self.attacked


@dataclass(frozen=True)
class Part:
    """One attack of a mixture; alone, all of it."""

    attack: str
    members: int
    one_owner: bool
    """Whether these cheats are names of one data owner: then what they earn together is what counts."""

    @property
    def owners(self) -> int:
        """Among whom their pay is divided."""
        return 1 if self.one_owner else self.members


@dataclass(frozen=True)
class AttackResult:
    """One attack, or a mixture of several at once, over all seeds."""

    attack: str
    about: str
    paper: str
    members: int
    trainers: int
    rounds: int
    seeds: tuple[SeedResult, ...]
    parts: tuple[Part, ...]

    def mean(self, name: str) -> float:
        """Mean of a figure of `SeedResult` over the seeds."""
        return sum(float(getattr(each, name)) for each in self.seeds) / len(self.seeds)

    @property
    def one_owner(self) -> bool:
        """Whether all cheats are names of one data owner."""
        return len(self.parts) == 1 and self.parts[0].one_owner

    @property
    def each_over_honest(self) -> float:
        """One cheat's pay over the mean honest pay, of all seeds together; infinite if only cheats were paid."""
        honest = sum(each.honest_pay for each in self.seeds)
        return _over(sum(each.cheat_pay for each in self.seeds) / self.members, honest)

    @property
    def gain(self) -> float:
        """What one data owner gets by cheating, over what an honest one gets: pay of each cheat, or of all together if
        they are names of one. Of a mixture, by the attack that pays best."""
        return max(self.gains())

    def gains(self) -> list[float]:
        """`gain` of each part."""
        honest = sum(each.honest_pay for each in self.seeds)
        paid = zip(*(self._paid(each) for each in self.seeds), strict=True)
        return [_over(sum(pays) / part.owners, honest) for part, pays in zip(self.parts, paid, strict=True)]

    def _paid(self, seed: SeedResult) -> Sequence[int]:
        return (seed.cheat_pay,) if len(self.parts) == 1 else seed.part_pay

    @property
    def worst_gain(self) -> float:
        """The same of the seed that is best for the cheats."""
        return max(
            _over(pay / part.owners, each.honest_pay)
            for each in self.seeds
            for part, pay in zip(self.parts, self._paid(each), strict=True)
        )

    @property
    def rejected(self) -> float:
        """Part of the cheats' trainer-rounds that the filter rejected."""
        return self.mean("rejected_rounds") / (self.members * self.rounds)

    @property
    def wrongly_rejected(self) -> float:
        """Part of the honest trainer-rounds that it rejected."""
        return self.mean("wrongly_rejected_rounds") / ((self.trainers - self.members) * self.rounds)

    def as_json(self) -> dict[str, Any]:
        """Money as decimal text, the rest as numbers."""
        money = ("honest_pay", "cheat_pay", "honest_pay_clean")
        return {
            "attack": self.attack,
            "about": self.about,
            "cheats": self.members,
            "trainers": self.trainers,
            "rounds": self.rounds,
            "accuracy_clean": self.mean("clean"),
            "accuracy_attacked": self.mean("attacked"),
            "accuracy_lost": self.mean("lost"),
            "accuracy_unfiltered": self.mean("unfiltered"),
            "one_owner": self.one_owner,
            "cheat_over_honest_pay": _finite(self.each_over_honest),
            "gain_over_honest_pay": _finite(self.gain),
            "gain_over_honest_pay_worst_seed": _finite(self.worst_gain),
            "cheats_rejected": self.rejected,
            "honest_rejected": self.wrongly_rejected,
            "paid_out": self.mean("paid_out"),
            "parts": [
                {"attack": part.attack, "cheats": part.members, "gain_over_honest_pay": _finite(gain)}
                for part, gain in zip(self.parts, self.gains(), strict=True)
            ],
            "seeds": [
                {
                    name: str(value) if name in money else [str(pay) for pay in value] if name == "part_pay" else value
                    for name, value in vars(each).items()
                }
                for each in self.seeds
            ],
        }


def rehearse(
    plan: Plan, attacks: Sequence[str], share: float, after_run: Callable[[str], None] | None = None
) -> list[AttackResult]:
    """Plays every attack in a market per seed, beside the same market without the cheats and without a filter.

    attacks: see `attack_by_name`; `alie+replay` divides the cheats among several attacks at once. share: of the
    trainers, 0 .. 1. after_run: called with a few words after every market. The same plan gives the same result. Raises
    `UnknownAttack`, `RehearsalInvalid`, `UnknownPartition`."""
    members = plan.rules.members(share)
    mixtures = [_parts(name, members) for name in attacks]
    clean: dict[int, Played] = {}
    found = []
    for name, parts in zip(attacks, mixtures, strict=True):
        seeds = [_one(plan, name, parts, seed, clean, after_run or (lambda words: None)) for seed in plan.seeds]
        kinds = [attack_by_name(part.attack) for part in parts]
        about = "; ".join(kind.about for kind in kinds)
        paper = " ".join(" ".join((kind.__doc__ or "").split()) for kind in kinds)
        found.append(AttackResult(name, about, paper, members, plan.rules.trainers, plan.rounds, tuple(seeds), parts))
    return found


def _parts(name: str, members: int) -> tuple[Part, ...]:
    """The attacks of a mixture, the cheats divided evenly among them, the first ones getting what is left over."""
    names = attacks_joined(name)
    kinds = [attack_by_name(each) for each in names]
    if len(names) > members:
        raise RehearsalInvalid(
            f"{name!r} is a mixture of {len(names)} attacks and {members} cheat(s) are too few for it: give a larger "
            "share or more trainers"
        )
    counts = [members // len(names) + (place < members % len(names)) for place in range(len(names))]
    return tuple(
        Part(each, count, count > 1 and kind.holdings(count) == 1)
        for each, kind, count in zip(names, kinds, counts, strict=True)
    )


def _one(
    plan: Plan,
    attack: str,
    parts: Sequence[Part],
    seed: int,
    clean: dict[int, Played],
    after_run: Callable[[str], None],
) -> SeedResult:
    rules, task = plan.rules, plan.task(seed)
    cheats, members = tuple((part.attack, part.members) for part in parts), sum(part.members for part in parts)
    honest = rules.trainers - members

    def market(cheats: tuple[tuple[str, int], ...], judge: Judge) -> Played:
        # The data are split for all, so that the honest hold the same with and without the cheats.
        scenario = Scenario(
            task, plan.partition, honest, cheats, plan.rounds, seed, min(plan.batch, len(task.public)), rules.trainers
        )
        floor = rules.score_floor if judge is plan.judge else None
        played = play(scenario, judge, pool=rules.distributable, share_cap=rules.share_cap, score_floor=floor)
        after_run(f"{attack}, seed {seed}")
        return played

    if seed in clean:
        after_run(f"{attack}, seed {seed}")
    else:
        clean[seed] = market((), plan.judge)
    attacked = market(cheats, plan.judge)
    unfiltered = market(cheats, judge_by_name(UNFILTERED))
    part_pay = tuple(attacked.group_pay(place) for place in range(len(parts)))
    reasons = [each.decision.reasons for each in attacked.rounds]
    return SeedResult(
        seed=seed,
        clean=clean[seed].accuracy,
        attacked=attacked.accuracy,
        unfiltered=unfiltered.accuracy,
        honest_pay=sum(attacked.earned[:honest]) // honest,
        cheat_pay=sum(part_pay),
        part_pay=part_pay,
        honest_pay_clean=sum(clean[seed].earned) // honest,
        rejected_rounds=sum(reason != 0 for each in reasons for reason in each[honest:]),
        wrongly_rejected_rounds=sum(reason != 0 for each in reasons for reason in each[:honest]),
        paid_out=attacked.paid_out,
        backdoor_success=attacked.backdoor_success,
    )


def _over(pay: float, honest: float) -> float:
    return pay / honest if honest else (float("inf") if pay else 0.0)


def _finite(value: float) -> float | None:
    """JSON has no infinity."""
    return value if value < float("inf") else None
