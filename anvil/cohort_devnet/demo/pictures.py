"""`rounds.png`: accuracy, who was paid what, and reliability over the rounds."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from cohort_devnet.demo.palette import (
    CLEAN_COLOUR,
    LOCAL_COLOUR,
    MARKET_COLOUR,
    UNFILTERED_COLOUR,
    looks,
)
from cohort_devnet.demo.report import HONEST, Report

if TYPE_CHECKING:
    from matplotlib.axes import Axes

GREY = "#555555"


def draw_rounds(report: Report, path: Path) -> None:
    """Writes the picture (PNG, 1650 x 1200 pixels)."""
    import matplotlib  # half a second that `cohort --help` need not wait for

    matplotlib.use("Agg")
    from matplotlib.figure import Figure

    with matplotlib.rc_context(
        {"font.size": 10, "axes.titlesize": 11.5, "axes.titleweight": "bold", "axes.titlepad": 10}
    ):
        figure = Figure(figsize=(11, 8), layout="constrained")
        grid = figure.add_gridspec(2, 2, height_ratios=(1, 1))
        accuracy = figure.add_subplot(grid[0, :])
        pay = figure.add_subplot(grid[1, 0])
        reliability = figure.add_subplot(grid[1, 1])
        _accuracy(accuracy, report)
        _pay(pay, report)
        _reliability(reliability, report)
        for axes in (accuracy, pay, reliability):
            axes.spines[["top", "right"]].set_visible(False)
            axes.title.set_horizontalalignment("left")
            axes.title.set_x(0.0)
        figure.savefig(path, dpi=150, metadata={"Software": "cohort demo"})


def _accuracy(axes: Axes, report: Report) -> None:
    numbers = [entry.number for entry in report.rounds]
    base = report.baseline
    cheats = sum(trainer.role != HONEST for trainer in report.trainers)
    series = [
        (base.accuracy_clean_fedavg_rounds, "honest ones only, averaged", CLEAN_COLOUR, "--", "D"),
        (base.accuracy_unfiltered_rounds, "everybody averaged, no filter", UNFILTERED_COLOUR, ":", "x"),
        ([entry.accuracy for entry in report.rounds], "this market", MARKET_COLOUR, "-", "o"),
    ]
    for values, label, colour, style, marker in series:
        axes.plot(
            [0, *numbers[: len(values)]],
            [base.accuracy_initial, *values],
            style,
            color=colour,
            marker=marker,
            markersize=5,
            linewidth=2.2 if style == "-" else 1.6,
            label=f"{label}: {values[-1]:.3f}",
        )
    axes.axhline(base.accuracy_local_only_mean, color=LOCAL_COLOUR, linewidth=1.2, linestyle=(0, (6, 3)))
    axes.annotate(
        f"each alone, on average: {base.accuracy_local_only_mean:.3f}",
        (numbers[-1], base.accuracy_local_only_mean),
        xytext=(0, -4),
        textcoords="offset points",
        ha="right",
        va="top",
        color=GREY,
    )
    who = f"{len(report.trainers)} trainers, {cheats} of them cheat" if cheats else "nobody cheats"
    axes.set_title(f"Accuracy on the owner's test set ({who})")
    axes.set_xlabel("round")
    axes.set_xticks([0, *numbers] if len(numbers) <= 20 else [0, *numbers[4::5]])
    axes.set_ylim(0, 1.02)
    axes.grid(axis="y", alpha=0.25)
    axes.legend(loc="lower right", bbox_to_anchor=(1.0, 0.04), frameon=False)


def _pay(axes: Axes, report: Report) -> None:
    look = looks(report.roles(), HONEST)
    paid = sum(trainer.earned for trainer in report.trainers) or 1
    shares = [100 * trainer.earned / paid for trainer in report.trainers]
    positions = range(len(shares))
    for position, trainer, share in zip(positions, report.trainers, shares, strict=True):
        style = look[trainer.address]
        axes.barh(position, share, color=style.colour, hatch=style.hatch, edgecolor="white", height=0.72)
        axes.annotate(
            f"{share:.1f}%" if share >= 1 or share == 0 else f"{share:.2g}%",
            (share, position),
            xytext=(4, 0),
            textcoords="offset points",
            va="center",
            color=GREY,
        )
    equal = 100 / len(shares)
    axes.axvline(equal, color=GREY, linewidth=1, linestyle="--")
    axes.annotate(
        f"equal split {equal:.1f}%",
        (equal, -0.55),
        xytext=(3, 3),
        textcoords="offset points",
        color=GREY,
        fontsize=8.5,
        va="bottom",
    )
    axes.set_yticks(list(positions), [_label(trainer.name, trainer.role) for trainer in report.trainers])
    axes.set_ylim(len(shares) - 0.4, -1.2)
    axes.set_xlim(0, max([*shares, equal]) * 1.16)
    axes.set_xlabel("% of everything paid to trainers")
    axes.set_title("Who was paid")


def _reliability(axes: Axes, report: Report) -> None:
    look = looks(report.roles(), HONEST)
    numbers = [0, *(entry.number for entry in report.rounds)]
    ends = []
    for trainer in report.trainers:
        style = look[trainer.address]
        values = [0.0, *(entry.reliability_bps.get(trainer.address, 0) / 100 for entry in report.rounds)]
        axes.plot(
            numbers,
            values,
            color=style.colour,
            marker=style.marker,
            markersize=3.5 if trainer.role == HONEST else 5,
            linewidth=1.4 if trainer.role == HONEST else 2,
            alpha=0.75 if trainer.role == HONEST else 1,
        )
        ends.append((values[-1], trainer.name.rpartition("-")[2], style.colour))
    top = max([value for value, _, _ in ends] + [1.0]) * 1.12
    for value, text, colour in _spread(ends, top * 0.055):
        axes.annotate(text, (numbers[-1], value), xytext=(7, 0), textcoords="offset points", va="center", color=colour)
    axes.set_ylim(-top * 0.02, top)
    axes.set_xlim(0, numbers[-1] * 1.12)
    axes.set_xticks(numbers if len(numbers) <= 21 else numbers[::5])
    axes.set_xlabel("round (numbers at the right: trainers)")
    axes.set_ylabel("%")
    axes.grid(axis="y", alpha=0.25)
    axes.set_title("Reliability on chain (one owner gives at most 10%)")


def _spread(ends: list[tuple[float, str, str]], gap: float) -> list[tuple[float, str, str]]:
    """Labels that do not overlap: neighbours of one colour within `gap` share a label, others move apart."""
    groups: list[tuple[list[float], list[str], str]] = []
    for value, text, colour in sorted(ends):
        if groups and groups[-1][2] == colour and value - groups[-1][0][0] < gap:
            groups[-1][0].append(value)
            groups[-1][1].append(text)
        else:
            groups.append(([value], [text], colour))
    result: list[tuple[float, str, str]] = []
    for values, texts, colour in groups:
        middle = sum(values) / len(values)
        lowest = result[-1][0] + gap if result else middle
        label = " ".join(sorted(texts, key=int)) if len(texts) <= 4 else f"{len(texts)} more"
        result.append((max(middle, lowest), label, colour))
    return result


def _label(name: str, role: str) -> str:
    return name if role == HONEST else f"{name} ({role.replace('_', ' ')})"
