"""`report.html`: the run on one self-contained page that follows one round from commit to claim."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path
from string import Template

from cohort_devnet.demo.charts import Bar, Line, bar_chart, line_chart
from cohort_devnet.demo.markup import code, table
from cohort_devnet.demo.report import HONEST, Report, Round
from cohort_devnet.demo.round_story import follow_round
from cohort_devnet.demo.wording import (
    NOT_PRIVATE,
    NOT_PROVEN,
    PRIVATE,
    PROVEN,
    number_word,
    price_text,
    privacy_text,
    proof_text,
    role_text,
    share_text,
    short,
    shorten_ids,
)

_ATTACK_MARKERS = ("x", "s", "^")


def write_page(report: Report, path: Path, next_steps: Sequence[tuple[str, str]] = ()) -> None:
    """Writes the page. `next_steps`: what to try next, as (what it does, command)."""
    shown = round_to_follow(report)
    sections = [
        _head(report),
        _accuracy(report),
        follow_round(report, shown) if shown is not None else "",
        _pay(report),
        _standing(report),
        _rounds(report),
        _money(report),
        _privacy(report),
        _trust(report),
        _drama(report),
        _next(next_steps),
        _foot(report),
    ]
    template = Template(Path(__file__).with_name("page.html").read_text())
    path.write_text(template.substitute(title=escape(_title(report)), body="\n".join(sections)))


def round_to_follow(report: Report) -> Round | None:
    """Of the settled rounds with the most flagged trainers, the one that took a median time: a typical one."""
    settled = [entry for entry in report.rounds if entry.outcome == "settled"]
    most = max((len(entry.flagged) for entry in settled), default=0)
    candidates = sorted(
        (entry for entry in settled if len(entry.flagged) == most), key=lambda entry: entry.seconds.get("total", 0.0)
    )
    return candidates[(len(candidates) - 1) // 2] if candidates else None


def _title(report: Report) -> str:
    cheats = sum(trainer.role != HONEST for trainer in report.trainers)
    middle = f", {number_word(cheats)} of them {'cheats' if cheats == 1 else 'cheat'}" if cheats else ""
    rounds = len(report.rounds)
    people = len(report.trainers)
    return (
        f"{number_word(people).capitalize()} trainer{'s' if people != 1 else ''}{middle}: "
        f"{number_word(rounds)} round{'s' if rounds != 1 else ''} of a market"
    )


def _head(report: Report) -> str:
    head, base, money = report.headline, report.baseline, report.money
    clean, unfiltered = base.accuracy_clean_fedavg, base.accuracy_unfiltered_rounds[-1]
    tiles = [
        (
            f"{base.accuracy_final:.1%}",
            "right on the test set",
            f"only the honest ones: {clean:.1%}; everybody without a filter: {unfiltered:.1%}",
        ),
        (
            share_text(head.cheats_earned_part),
            "of all pay went to cheats",
            f"{report.amount(head.cheats_earned)}; an equal split would have paid them "
            f"{report.amount(head.equal_split_would_pay_cheats, 0)}",
        ),
        (
            f"${head.gas_per_round_usd:,.2f}",
            "of gas per round",
            f"{head.gas_per_round:,} gas {price_text(head.prices)}; the round's budget is "
            f"{report.amount(report.project.round_budget, 0)}",
        ),
        (
            '<span class="good">Yes</span>' if money.balanced else '<span class="bad">No</span>',
            "money adds up",
            "re-added from token balances and events on chain, without the service",
        ),
    ]
    boxes = "".join(
        f'<div class="tile"><b>{a}</b><span>{b}</span><small>{escape(c)}</small></div>' for a, b, c in tiles
    )
    return (
        f"<h1>{escape(_title(report))}</h1>"
        '<p class="lead">An owner put money in escrow. Trainers taught one model together, each on data that never '
        "left its process, and were paid on chain for what their updates contributed. Every part ran as a process "
        f"of its own; the seed was {report.seed}.</p>"
        f'<div class="tiles">{boxes}</div>'
    )


def _accuracy(report: Report) -> str:
    base = report.baseline
    numbers = [entry.number for entry in report.rounds]

    def points(values: Sequence[float]) -> list[tuple[float, float]]:
        return [(0, base.accuracy_initial), *zip(numbers, values, strict=False)]

    clean, unfiltered = base.accuracy_clean_fedavg_rounds, base.accuracy_unfiltered_rounds
    lines = [
        Line(f"honest ones only, averaged: {clean[-1]:.3f}", points(clean), "--clean", "7 4", "s"),
        Line(f"everybody averaged, no filter: {unfiltered[-1]:.3f}", points(unfiltered), "--unfiltered", "2 4", "x"),
        Line(
            f"this market: {base.accuracy_final:.3f}",
            points([entry.accuracy for entry in report.rounds]),
            "--market",
            width=3,
        ),
    ]
    local = base.accuracy_local_only_mean
    chart = line_chart(
        "Accuracy per round",
        lines,
        x_label="round",
        y_top=1.0,
        reference=(local, f"each alone, on average: {local:.3f}"),
    )
    return (
        "<h2>Did it learn?</h2><p>Accuracy on the owner's test set, which no trainer sees, beside three runs of the "
        "same task without a market: only the honest trainers, everybody without a filter, and each trainer alone.</p>"
        f'<div class="card">{chart}</div>'
    )


# --- who earned what ------------------------------------------------------------------------------------------------


def _attack_index(report: Report) -> dict[str, int]:
    attacks = list(dict.fromkeys(trainer.role for trainer in report.trainers if trainer.role != HONEST))
    return {role: index % 3 for index, role in enumerate(attacks)}


def _pay(report: Report) -> str:
    attacks = _attack_index(report)
    paid = sum(trainer.earned for trainer in report.trainers) or 1
    bars = [
        Bar(
            trainer.name if trainer.role == HONEST else f"{trainer.name} ({role_text(trainer.role)})",
            trainer.earned / paid,
            f"{report.amount(trainer.earned)} ({share_text(trainer.earned / paid)})",
            "--honest" if trainer.role == HONEST else f"--attack-{attacks[trainer.role]}",
        )
        for trainer in report.trainers
    ]
    chart = bar_chart("Pay by trainer", bars, reference=(1 / len(bars), "equal split"))
    rows = [
        [
            escape(trainer.name),
            code(short(trainer.address)),
            escape(role_text(trainer.role)),
            str(trainer.examples),
            escape(report.amount(trainer.earned)),
            escape(report.amount(trainer.claimed)),
            f"{trainer.credit:,}",
            f"{trainer.usefulness_bps / 10_000:.2f}",
            f"{trainer.rejections} of {trainer.rounds}",
            f"{trainer.reliability_bps / 100:.1f}%",
        ]
        for trainer in report.trainers
    ]
    heads = ["trainer", "address", "role", "#examples", "#earned", "#claimed"]
    heads += ["#credit", "#usefulness", "#rejected", "#reliability"]
    return f'<h2>Who was paid?</h2><div class="card">{chart}</div>' + table(heads, rows)


def _standing(report: Report) -> str:
    attacks = _attack_index(report)
    lines, top = [], 1.0
    seen: set[str] = set()
    for trainer in report.trainers:
        values = [entry.reliability_bps.get(trainer.address, 0) / 100 for entry in report.rounds]
        points = [(0.0, 0.0), *zip([float(entry.number) for entry in report.rounds], values, strict=True)]
        top = max([top, *values])
        honest = trainer.role == HONEST
        lines.append(
            Line(
                "honest trainers" if honest else f"{trainer.name} ({role_text(trainer.role)})",
                points,
                "--honest" if honest else f"--attack-{attacks[trainer.role]}",
                marker="o" if honest else _ATTACK_MARKERS[attacks[trainer.role]],
                width=1.5 if honest else 2.4,
                in_legend=not honest or HONEST not in seen,
            )
        )
        seen.add(trainer.role)
    chart = line_chart("Reliability per round", lines, x_label="round", y_top=top * 1.1, y_text="{:g}%")
    return (
        "<h2>Who can be relied on?</h2><p>The contract keeps a record of every trainer in every project. Its credit "
        "grows with the share of pay earned, so that noise, which no comparison of directions can flag, gains next to "
        "nothing; a rejected update is a loss in all projects. Reliability weighs credit against losses, and no single "
        f'owner can bring it above 10%: this is one project of one owner.</p><div class="card">{chart}</div>'
    )


def _rounds(report: Report) -> str:
    names = report.names()
    rows = []
    for entry in report.rounds:
        flagged = "<br>".join(
            f"{escape(names.get(flag.trainer, short(flag.trainer)))}: {escape(flag.detail)}" for flag in entry.flagged
        )
        rows.append(
            [
                str(entry.number),
                f"{entry.accuracy:.3f}",
                f"{len(entry.accepted)} of {len(report.trainers)}",
                flagged or "nobody",
                escape(proof_text(entry.proof)),
                f"{sum(step.gas for step in entry.gas):,}",
                f"{entry.seconds.get('total', 0.0):.1f}",
            ]
        )
    return "<h2>All rounds</h2>" + table(
        ["#round", "#accuracy", "#accepted", "flagged, and why", "settled by", "#gas", "#seconds"], rows
    )


def _money(report: Report) -> str:
    money = report.money
    lines = [
        ("paid in by the owner", money.paid_in),
        ("claimed by trainers", money.claimed),
        ("earned, not claimed yet", money.claimable),
        ("held for a running round", money.held),
        ("fees of the aggregator", money.fees - money.protocol_fees),
        ("fees of the protocol", money.protocol_fees),
        ("burned (scores too low to earn it)", money.burned),
        ("refunded to the owner", money.refunded),
        ("free for further rounds", money.free),
    ]
    rows = [[escape(what), escape(report.amount(amount)), f"{amount:,}"] for what, amount in lines]
    verdict = (
        '<span class="tag good">adds up</span> The first line equals the sum of the others, and the token\'s own book '
        f"agrees: the contract holds {escape(report.amount(money.contract_balance))}, of which "
        f"{escape(report.amount(money.stakes))} are stakes of trainers and {escape(report.amount(money.bonds))} the "
        "bond of the aggregator with its fees."
        if money.balanced
        else '<span class="tag bad">does not add up</span> ' + escape("; ".join(money.findings))
    )
    return f"<h2>Where the money is</h2>{table(['', '#amount', '#base units'], rows)}<p>{verdict}</p>"


def _trust(report: Report) -> str:
    privacy = report.privacy
    does = (*PROVEN[report.project.settlement], *(PRIVATE if privacy is not None and privacy.kept else ()))
    does_not = (*NOT_PROVEN[report.project.settlement], *(NOT_PRIVATE if privacy is not None else ()))
    proven = "".join(f"<li>{escape(line)}</li>" for line in does)
    missing = "".join(f"<li>{escape(line)}</li>" for line in does_not)
    return (
        f"<h2>What this run proves, and what not</h2><p>{escape(report.headline.trust)}</p>"
        f"<p><b>It proves</b></p><ul>{proven}</ul><p><b>It does not prove</b></p><ul>{missing}</ul>"
    )


def _privacy(report: Report) -> str:
    privacy = report.privacy
    if privacy is None:
        return ""
    rows = [
        [escape(reader.name), code(short(reader.address)), f"{reader.opened} of {privacy.updates}"]
        for reader in privacy.readers
    ]
    rows.append([f"the owner and {privacy.outsiders - 1} trainers", "", f"{privacy.opened_by_outsiders}"])
    return f"<h2>Who can read the updates?</h2><p>{escape(privacy_text(privacy))}</p>" + table(
        ["key of", "address", "#opens"], rows
    )


def _drama(report: Report) -> str:
    if not report.drama:
        return ""
    rows = [
        [str(event.round), escape(shorten_ids(event.what)), escape(shorten_ids(event.outcome))]
        for event in report.drama
    ]
    return "<h2>Drama</h2>" + table(["#round", "what was done", "what came of it"], rows)


def _next(steps: Sequence[tuple[str, str]]) -> str:
    if not steps:
        return ""
    blocks = "".join(f"<p>{escape(what)}</p><pre>{escape(command)}</pre>" for what, command in steps)
    return f"<h2>Your turn</h2>{blocks}"


def _foot(report: Report) -> str:
    parts, project = report.parts, report.project
    return (
        f"<footer>Chain {escape(parts.chain)}; IPFS {escape(parts.ipfs)}; database {escape(parts.database)}; broker "
        f"{escape(parts.broker)}. Project {project.id} at {code(project.contract)}, paid in {code(project.token)}, "
        f"spec {code(project.spec_cid)}. All figures are in report.json.</footer>"
    )
