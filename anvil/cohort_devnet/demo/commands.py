"""`cohort demo`."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer
from cohort_protocol.errors import CohortError, InvalidInput
from rich.console import Console

DEFAULT_REPORT = Path("demo-report")
DEFAULT_SETTLEMENT = "proven"


def demo(
    rounds: Annotated[int, typer.Option(help="Rounds to run.")] = 10,
    trainers: Annotated[int, typer.Option(help="Trainers, each a process with its own key and data.")] = 8,
    cheaters: Annotated[int, typer.Option(help="How many of them cheat.")] = 2,
    seed: Annotated[int, typer.Option(help="Decides keys, data, first weights, places of the cheats.")] = 7,
    report: Annotated[Path, typer.Option(help="Folder for report.json, rounds.png, report.html, chain state.")] = (
        DEFAULT_REPORT
    ),
    quiet: Annotated[bool, typer.Option("--quiet", help="One line per round and a short end.")] = False,
    keep: Annotated[
        bool, typer.Option("--keep", help="Leave everything running at the end, with a place for you, until Ctrl-C.")
    ] = False,
    ipfs: Annotated[str, typer.Option(help="embedded, kubo (built if missing), or the URL of a store.")] = "embedded",
    drama: Annotated[
        bool, typer.Option("--drama", help="Kill a trainer and the worker in the middle, damage a bundle.")
    ] = False,
    attacks: Annotated[
        str, typer.Option(help="What cheats do, in order: names in tests/attacks/, or file.py:function.")
    ] = "sign_flip,noise,replay_step",
    cheat_at: Annotated[str, typer.Option(help="Which trainers cheat, such as 2,5. Default: by the seed.")] = "",
    settlement: Annotated[
        str,
        typer.Option(help="What rounds rest on: proven (to the contract) or attested (by witnesses)."),
    ] = DEFAULT_SETTLEMENT,
    private: Annotated[
        bool,
        typer.Option("--private", help="Seal updates, so that only witnesses and the aggregator can read them."),
    ] = False,
    database: Annotated[str | None, typer.Option(help="postgresql+psycopg://... Default: SQLite.")] = None,
    broker: Annotated[str | None, typer.Option(help="redis://... or amqp://... Default: a folder.")] = None,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Of the API; 0 takes a free one.")] = 0,
) -> None:
    """Run a whole market on this machine: an owner pays, trainers train on their own data, cheats earn nothing.

    Starts a local chain, a block store, the API, the worker, three witnesses and every trainer as processes of their
    own, and ends them all. Rounds prove themselves: the contract checks a proof of each outcome; with --settlement
    attested it checks witnesses' signatures instead. With --private updates are sealed, and at the end every key of the
    run is tried on them. Exits 0 only if every round ran, all money adds up, and no key opened what it should not.

    Examples:

    cohort demo

    cohort demo --rounds 3 --trainers 4 --cheaters 1 --seed 42 --quiet

    cohort demo --private --rounds 3

    cohort demo --keep
    """
    from cohort_devnet.demo.settings import DemoSettings

    settings = DemoSettings(
        report=report,
        rounds=rounds,
        trainers=trainers,
        cheaters=cheaters,
        seed=seed,
        ipfs=ipfs,
        attacks=tuple(name.strip() for name in attacks.split(",") if name.strip()),
        cheat_at=_numbers(cheat_at) if cheat_at else None,
        database_url=database,
        broker_url=broker,
        port=port,
        settlement=settlement,
        private=private,
        keep=keep,
        drama=drama,
    )
    settings.roles()  # an unknown attack is an error now, not after the set-up
    _only_errors_in_logs()
    console = Console(width=None if Console().is_terminal else 120)
    if not _run(settings, console, quiet):
        raise typer.Exit(1)


def _only_errors_in_logs() -> None:
    """This process speaks through its display; the others' logs are files."""
    import logging

    import structlog

    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))


def _numbers(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError as error:
        raise InvalidInput(f"--cheat-at {text!r} is not a list of numbers such as 2,5") from error


def _run(settings, console: Console, quiet: bool) -> bool:
    """True if every round ran and money balances."""
    from cohort_trainer.exit_codes import exit_code_of

    from cohort_devnet.demo.display import make_display
    from cohort_devnet.demo.market import DemoMarket, announce, prepare_folder
    from cohort_devnet.preflight import require, run_preflight
    from cohort_devnet.supervisor import Supervisor

    proven = settings.settlement == "proven"
    require(run_preflight(settings.report, settings.trainers, [settings.port], proven=proven))
    prepare_folder(settings)
    display = make_display(console, quiet)
    with Supervisor(settings.run_folder, notify=announce(display)) as supervisor:
        market = DemoMarket(settings, display, supervisor)
        try:
            with display:
                report = market.run()
            fine = _show(report, settings, console, quiet)
            if settings.keep:
                _stay(market, console)
        except KeyboardInterrupt:
            console.print("\nInterrupted: ending every process.", style="yellow")
            _say_what_is_left(settings, console)
            raise
        except CohortError as error:
            # With its line breaks: the message may end with the log of a process.
            console.print(f"\nThe market stopped: {error}", style="red", markup=False, highlight=False, soft_wrap=True)
            _say_what_is_left(settings, console)
            raise typer.Exit(exit_code_of(error).number) from error
    return fine


def _show(report, settings, console: Console, quiet: bool) -> bool:
    """Writes and prints the report; whether everything is as it should be."""
    from cohort_devnet.demo.next_steps import next_steps
    from cohort_devnet.demo.page import write_page
    from cohort_devnet.demo.pictures import draw_rounds
    from cohort_devnet.demo.tables import print_headline, print_report

    started = time.monotonic()
    steps = next_steps(settings, None)
    report.save(settings.report / "report.json")
    draw_rounds(report, settings.report / "rounds.png")
    write_page(report, settings.report / "report.html", steps)
    report.timing.report = round(report.timing.report + time.monotonic() - started, 2)
    report.timing.total = round(report.timing.total + time.monotonic() - started, 2)
    report.save(settings.report / "report.json")
    if quiet:
        print_headline(report, console)
    else:
        print_report(report, console)
    console.print(_where(settings, report), markup=False, highlight=False)
    if not settings.keep and not quiet:
        _print_steps(steps, console)
    complete = len(report.rounds) == settings.rounds
    if not complete:
        console.print(f"Only {len(report.rounds)} of {settings.rounds} rounds ran.", style="bold red")
    return complete and report.money.balanced and (report.privacy is None or report.privacy.kept)


def _where(settings, report) -> str:
    from cohort_devnet.demo.wording import shown_path

    timing, folder = report.timing, settings.report
    return (
        f"\nThe run took {timing.total:.0f} s: set-up {timing.set_up:.0f}, rounds {timing.rounds:.0f}, claims "
        f"{timing.claims:.0f}, report {timing.report:.0f}.\nReport: {shown_path(folder / 'report.html')} (for people), "
        f"{shown_path(folder / 'report.json')}, {shown_path(folder / 'rounds.png')}"
    )


def _print_steps(steps: list[tuple[str, str]], console: Console) -> None:
    console.print("\nYour turn", style="bold")
    for what, command in steps:
        console.print(f"  {what}", markup=False, highlight=False, soft_wrap=True)
        for line in command.splitlines():
            console.print(f"    {line}", style="cyan", markup=False, highlight=False, soft_wrap=True)


def _stay(market, console: Console) -> None:
    """`--keep`: everything goes on until Ctrl-C."""
    from cohort_devnet.demo.next_steps import next_steps

    kept = market.keep_open()
    console.print(
        f"\nEverything keeps running: API {kept.api_url}, chain {kept.chain_url} (id {kept.chain_id}), store "
        f"{kept.ipfs_url}.",
        highlight=False,
        soft_wrap=True,
    )
    _print_steps(next_steps(market.settings, kept), console)
    console.print("\nCtrl-C ends it all.")
    try:
        while True:
            market.supervisor.check()
            time.sleep(1)
    except KeyboardInterrupt:
        # The way to end a kept market: no reason for another exit status than the run deserves.
        console.print("\nEnding every process.", style="yellow")
        _say_what_is_left(market.settings, console)


def _say_what_is_left(settings, console: Console) -> None:
    from cohort_devnet.demo.wording import shown_path

    chain, run = shown_path(settings.chain_state), shown_path(settings.run_folder)
    left = [
        f"{run}/logs (a log per process)",
        f"{chain} (the chain; `cohort devnet balances --state {chain}` re-adds it)",
        f"{run} (homes, store, database)",
    ]
    console.print("What is left:")
    for line in left:
        console.print(f"  {line}", markup=False, highlight=False, soft_wrap=True)
