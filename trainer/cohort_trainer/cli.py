"""The one command line: `cohort`. Every package adds its commands through the entry points "cohort.commands".

A command's package is imported when that command is used, not before: `cohort --help` needs neither torch nor celery,
and a machine with only the trainer's packages can still run the trainer's commands.
"""

from __future__ import annotations

import importlib.metadata
import inspect
import io
import sys
from typing import Annotated, Any

import typer
from cohort_protocol.errors import CohortError
from typer.core import TyperCommand, TyperGroup

from cohort_trainer.auditing.commands import audit
from cohort_trainer.errors import CommandNotInstalled, FileUnusable
from cohort_trainer.exit_codes import FAULT, INTERRUPTED, exit_code_of, table_json, table_text
from cohort_trainer.foreign_words import printable
from cohort_trainer.listing import projects
from cohort_trainer.logs import LogFormat, configure
from cohort_trainer.policies import policies

ENTRY_POINTS = "cohort.commands"

KNOWN: dict[str, tuple[str, str]] = {
    "demo": ("A whole market on this machine: owner, trainers, cheats, witnesses.", "demo"),
    "doctor": ("Check what this machine has and lacks for the demo.", "demo"),
    "trainer": ("Train on your own data for a project, and get paid.", "trainer"),
    "project": ("Create, fund, watch and end a project as its owner.", "trainer"),
    "rehearse": ("Rehearse attacks on a project: accuracy lost, money earned.", "trainer"),
    "aggregator": ("See, add to and take out an aggregator's bond and fees.", "trainer"),
    "srs": ("Import and check the reference strings of proven projects.", "trainer"),
    "public-key": ("A witness's or aggregator's public key, for the readers of a private project.", "trainer"),
    "serve": ("Run the API.", "backend"),
    "db": ("Create or migrate the service's database.", "backend"),
    "worker": ("Run the worker: index the chain, score rounds, settle.", "worker"),
    "witness": ("Run a witness: check updates and settlements, and sign.", "worker"),
    "devnet": ("A local chain with the contracts on it.", "demo"),
}
"""Name -> (help, extra of the distribution that brings it), in the order of `cohort --help`."""


class LazyGroup(TyperGroup):
    """Lists the entry points by name and imports one only when it is the command to run."""

    def list_commands(self, ctx: typer.Context) -> list[str]:
        names = _entry_points()
        ordered = [name for name in KNOWN if name in names] + sorted(set(names) - set(KNOWN))
        return ordered + super().list_commands(ctx)

    def get_command(self, ctx: typer.Context, cmd_name: str) -> Any:
        own = super().get_command(ctx, cmd_name)
        if own is not None or cmd_name not in _entry_points():
            return own if own is None else _reflowed(own)
        help_text = KNOWN.get(cmd_name, (f"Commands of {_entry_points()[cmd_name].value}.", ""))[0]
        return TyperCommand(cmd_name, help=help_text, short_help=help_text)

    def resolve_command(self, ctx: typer.Context, args: list[str]) -> tuple[str | None, Any, list[str]]:
        name, command, rest = super().resolve_command(ctx, args)
        if name is not None and name in _entry_points() and super().get_command(ctx, name) is None:
            command = _load(name)
        return name, command, rest

    def invoke(self, ctx: typer.Context) -> Any:
        try:
            return super().invoke(ctx)
        except CohortError as error:
            raise _ended(error) from error
        except OSError as error:
            # The file system says no to a path, most often one of the command line. Other errors of the system are not
            # foreseen.
            if error.filename is None:
                raise
            import structlog

            structlog.get_logger(__name__).debug("file-unusable", exc_info=True)
            unusable = FileUnusable(f"{str(error.filename)[:300]!a} cannot be used: {error.strerror}")
            raise _ended(unusable) from error
        except (KeyboardInterrupt, typer.Abort) as error:
            _say("cohort: interrupted")
            raise typer.Exit(INTERRUPTED.number) from error


def _entry_points() -> dict[str, importlib.metadata.EntryPoint]:
    return {point.name: point for point in importlib.metadata.entry_points(group=ENTRY_POINTS)}


def _load(name: str) -> Any:
    """The click command behind an entry point: a `typer.Typer` becomes a group, a function a command."""
    point = _entry_points()[name]
    try:
        target = point.load()
    except ModuleNotFoundError as error:
        raise CommandNotInstalled(_how_to_install(name, error)) from error
    if isinstance(target, typer.Typer):
        group = typer.main.get_group(target)
        group.name = name
        return _reflowed(group)
    if inspect.isfunction(target):
        single = typer.Typer(add_completion=False)
        single.command(name=name)(target)
        return _reflowed(typer.main.get_command(single))
    raise CommandNotInstalled(
        f"the entry point {name} = {point.value} of group {ENTRY_POINTS} is a {type(target).__name__}; "
        "allowed are a typer.Typer and a function"
    )


def _reflowed(command: Any) -> Any:
    """The command, and those below it, with paragraphs of help as lines of their own: docstrings break where the source
    does, terminals elsewhere."""
    if command.help:
        command.help = "\n\n".join(" ".join(part.split()) for part in command.help.split("\n\n"))
    for below in getattr(command, "commands", {}).values():
        _reflowed(below)
    return command


def _how_to_install(name: str, error: ModuleNotFoundError) -> str:
    extra = KNOWN.get(name, ("", ""))[1]
    if extra:
        return f"`cohort {name}` needs {error.name}, which is not installed: pip install 'cohort[{extra}]'"
    return f"`cohort {name}` needs {error.name}, which is not installed: install the package that brings the command"


def _ended(error: CohortError) -> typer.Exit:
    """Says an error that we know, and ends with its number."""
    code = exit_code_of(error)
    _say(f"cohort: {error} [{error.code}, exit {code.number}]")
    return typer.Exit(code.number)


def _say(line: str) -> None:
    print(printable(" ".join(line.split())), file=sys.stderr, flush=True)


def _show_version(value: bool) -> None:
    if value:
        print(f"cohort {importlib.metadata.version('cohort')}")
        raise typer.Exit()


app = typer.Typer(
    name="cohort",
    cls=LazyGroup,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="A marketplace where a project owner pays data owners for what their private data teaches a model.",
    epilog="Start: `cohort demo` runs a whole market on this machine, `cohort audit 1` then checks all of it. Each "
    "command has its own --help with examples; `cohort exit-codes` lists what a command ends with.",
)


@app.callback()
def root(
    log_format: Annotated[
        LogFormat, typer.Option(envvar="COHORT_LOG_FORMAT", help="auto: JSON lines unless stderr is a terminal.")
    ] = LogFormat.AUTO,
    verbose: Annotated[bool, typer.Option("--verbose", help="Log details too.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    configure(log_format, verbose)


app.command(name="projects")(projects)
app.command(name="audit")(audit)
app.command(name="policies")(policies)


@app.command(name="exit-codes")
def exit_codes(
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")] = False,
) -> None:
    """List the exit codes and what to do about each.

    Example:

    cohort exit-codes --json
    """
    print(table_json() if as_json else table_text())


def main() -> None:
    """The console script. Never shows a traceback for an error that we know."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        # Names of files may hold bytes that are no text.
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        app()
    except KeyboardInterrupt:
        _say("cohort: interrupted")
        sys.exit(INTERRUPTED.number)
    except Exception as error:
        # The boundary of the process: an error nobody foresaw keeps its traceback for the report, and a number.
        _report_fault(error)
        sys.exit(FAULT.number)


def _report_fault(error: Exception) -> None:
    import traceback

    traceback.print_exception(error)
    _say(f"cohort: unforeseen {type(error).__name__}: {error} [exit {FAULT.number}]; please report it")


if __name__ == "__main__":
    main()
