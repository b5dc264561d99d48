"""`cohort rehearse`: what an attack would cost a project and earn the attackers, before anyone tries."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from cohort_protocol.rehearsal.campaign import AttackResult, Plan

    from cohort_trainer.rehearsals.subject import Subject


def rehearse(
    project: Annotated[
        str, typer.Argument(help="A spec file (.toml, .json), or a project's number with --home or --api.")
    ] = "",
    attack: Annotated[
        list[str] | None,
        typer.Option(
            help="Name, or name:parameter=number; repeat it. `list` shows all names, `all` rehearses every one; "
            "names joined by + cheat at the same time."
        ),
    ] = None,
    share: Annotated[float, typer.Option(help="Part of the trainers who cheat, 0 to 1.")] = 0.3,
    terms: Annotated[Path | None, typer.Option(help="Terms file: slots, share cap and money.")] = None,
    home: Annotated[
        Path | None, typer.Option(envvar="COHORT_OWNER_HOME", help="Home folder, for a project's number.")
    ] = None,
    api: Annotated[str | None, typer.Option(help="URL of a service, for a project's number without a home.")] = None,
    data: Annotated[Path | None, typer.Option(help="Your own examples (.csv, .npz). Default: a sample.")] = None,
    partition: Annotated[
        str, typer.Option(help="How data differ: iid, iid-unequal, dirichlet-0.5, label-noise, class-missing, ...")
    ] = "dirichlet-0.5",
    policy: Annotated[str | None, typer.Option(help="Another policy than the project's.")] = None,
    trainers: Annotated[int | None, typer.Option(help="Trainers in a round. Default: the terms' slots, or 8.")] = None,
    rounds: Annotated[int, typer.Option(min=1, max=100, help="Rounds of each simulated market.")] = 8,
    seeds: Annotated[int, typer.Option(min=1, max=100, help="Markets per attack.")] = 3,
    batch: Annotated[int, typer.Option(min=2, help="Labelled examples in each of the owner's batches.")] = 128,
    batches: Annotated[
        bool | None,
        typer.Option("--batches/--no-batches", help="With or without the owner's batches. Default: as the terms say."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")] = False,
    report: Annotated[Path | None, typer.Option(help="Also write an HTML page.")] = None,
) -> None:
    """Rehearse attacks on a project: accuracy lost, and money that the attackers would earn beside honest trainers.

    Nothing is sent anywhere: trainers, data and cheats are simulated on this machine with the project's model, policy
    and rules of pay. Your own data may behave differently from a sample: give them with --data.

    Examples:

    cohort rehearse spec.toml --attack alie --share 0.3

    cohort rehearse spec.toml --terms terms.toml --attack replay --attack clones --report rehearsal.html

    cohort rehearse spec.toml --attack alie+replay+clones --share 0.4

    cohort rehearse 1 --home ~/owner --attack all --json

    cohort rehearse --attack list
    """
    if attack and [name.strip() for name in attack] == ["list"]:
        _list(as_json)
        return
    subject, plan = _plan(project, terms, home, api, policy, trainers, batches, data, partition, rounds, seeds, batch)
    names = _names(attack)
    results = _run(plan, names, share, quiet=as_json)
    described = _described(subject, plan, data)
    if report is not None:
        from cohort_trainer.durable_files import write_durably
        from cohort_trainer.rehearsals.page import page

        write_durably(report, page(described, results, subject.decimals, subject.symbol).encode(), mode=0o644)
    if as_json:
        print(json.dumps({**described, "attacks": [each.as_json() for each in results]}))
        return
    from cohort_trainer.rehearsals.screen import show

    show(described, results, subject.decimals, subject.symbol)
    if report is not None:
        print(f"Page written to {report}")


def _names(attack: Sequence[str] | None) -> list[str]:
    from cohort_protocol.rehearsal.attacks import attack_by_name, attacks_joined, known_attacks

    from cohort_trainer.errors import OwnerInputInvalid

    names = [name.strip() for name in attack or []]
    if not names:
        raise OwnerInputInvalid(f"--attack names what to rehearse: one of {', '.join(known_attacks())}, or all")
    if names == ["all"]:
        return list(known_attacks())
    for name in names:
        for each in attacks_joined(name):
            # A typo must not show after ten minutes.
            attack_by_name(each)
    return names


def _plan(
    project: str,
    terms: Path | None,
    home: Path | None,
    api: str | None,
    policy: str | None,
    trainers: int | None,
    batches: bool | None,
    data: Path | None,
    partition: str,
    rounds: int,
    seeds: int,
    batch: int,
) -> tuple[Subject, Plan]:
    from cohort_protocol.rehearsal.campaign import Plan
    from cohort_protocol.rehearsal.judges import PolicyJudge
    from cohort_protocol.scoring import check_needs, policy_by_name

    subject = _subject(project, terms, home, api, batches)
    if trainers is not None:
        # Another number of trainers has another floor.
        subject = replace(subject, rules=replace(subject.rules, trainers=trainers, score_floor=None))
    if policy is not None:
        rules = replace(subject.rules, score_floor=None)
        subject = replace(subject, policy=policy_by_name(policy), rules=rules)
    # As when a project is made: without its batches such a policy would be another one.
    check_needs(subject.policy.name, subject.batches)
    own = subject.read_data(data) if data is not None else None
    return subject, Plan(
        task=lambda seed: subject.task(seed, own),
        judge=PolicyJudge(subject.policy, subject.batches),
        rules=subject.rules,
        partition=partition,
        rounds=rounds,
        seeds=range(seeds),
        batch=batch,
    )


def _subject(project: str, terms: Path | None, home: Path | None, api: str | None, batches: bool | None) -> Subject:
    from cohort_trainer.errors import OwnerInputInvalid
    from cohort_trainer.rehearsals.subject import from_chain, from_files, from_service

    if not project:
        raise OwnerInputInvalid("name a spec file or a project's number; `cohort project example` writes a spec file")
    if not project.isdigit():
        return from_files(Path(project), terms, batches)
    number = int(project)
    if api is not None:
        from cohort_protocol.service.client import ServiceClient

        with ServiceClient(api) as service:
            return from_service(service.project(number), batches)
    if home is None:
        raise OwnerInputInvalid(
            f"project {number}: give --home (checked against the chain) or --api (as a service says)"
        )
    from cohort_trainer.home import Home
    from cohort_trainer.owner.sdk import Owner

    with Owner(Home.open(home)) as owner:
        verified = owner.project(number)
        token = owner.connection.token(verified.terms.token)
        return from_chain(
            verified.spec, verified.terms, verified.distributable, token.decimals(), token.symbol(), batches
        )


def _run(plan: Plan, names: Sequence[str], share: float, quiet: bool) -> list[AttackResult]:
    from cohort_protocol.rehearsal.campaign import rehearse as play_all
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    with Progress(
        TextColumn("rehearsing"),
        BarColumn(),
        TextColumn("{task.completed:.0f} of {task.total:.0f} markets"),
        TimeRemainingColumn(),
        TextColumn("{task.description}"),
        console=console,
        transient=True,
        disable=quiet or not sys.stderr.isatty(),
    ) as progress:
        bar = progress.add_task("", total=plan.runs(len(names)))
        return play_all(plan, names, share, lambda words: progress.update(bar, advance=1, description=words))


def _described(subject: Subject, plan: Plan, data: Path | None) -> dict:
    """What was rehearsed, for every kind of output."""
    return {
        "title": subject.title,
        "model": f"{subject.architecture.family}, {subject.architecture.dimension} parameters",
        "data": subject.data_name(data),
        "partition": plan.partition,
        "policy": plan.judge.name,
        "batches": subject.batches,
        "trainers": plan.rules.trainers,
        "rounds": plan.rounds,
        "seeds": len(plan.seeds),
        "share_cap": plan.rules.share_cap,
        "distributable": str(plan.rules.distributable),
    }


def _list(as_json: bool) -> None:
    """The attacks and where they come from."""
    from dataclasses import fields

    from cohort_protocol.rehearsal.attacks import known_attacks

    rows = [
        {
            "name": name,
            "about": kind.about,
            "source": " ".join((kind.__doc__ or "").split()),
            "parameters": {field.name: field.default for field in fields(kind)},  # type: ignore[arg-type]
        }
        for name, kind in known_attacks().items()
    ]
    if as_json:
        print(json.dumps(rows))
        return
    from cohort_trainer.rehearsals.screen import show_attacks

    show_attacks(rows)
