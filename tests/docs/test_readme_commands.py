"""Every `cohort` command and option that README and guides show exists."""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest
from cohort_trainer import cli
from typer.main import get_command

ROOT = Path(__file__).parents[2]
PAGES = ["README.md", "deploy/settings.md", *(str(p.relative_to(ROOT)) for p in sorted((ROOT / "docs").rglob("*.md")))]
CALL = re.compile(r"^(?:[A-Z_]+=\S+ )*(?:\.venv/bin/)?cohort ([^#|;]*)")
EVERYWHERE = {"--help"}


def calls(text: str) -> list[str]:
    """Commands in fenced or indented blocks and in `code`, continued lines joined."""
    joined = re.sub(r"\\\n\s*", " ", text)
    blocks = [
        line.strip() for block in re.findall(r"^```\w*\n(.*?)^```", joined, re.M | re.S) for line in block.splitlines()
    ]
    blocks += [line.strip() for line in joined.splitlines() if line.startswith("    cohort ")]
    blocks += re.findall(r"`(cohort [^`\n]+)`", joined)
    return [match[1] for line in blocks if (match := CALL.match(line))]


def command_of(words: list[str]) -> tuple[click.Command, list[str]]:
    """The command that words name, and what follows."""
    root = get_command(cli.app)
    found: click.Command | None = root
    rest = list(words)
    while rest and hasattr(found, "commands") and not rest[0].startswith("-"):
        name = rest[0]
        below = (
            cli._load(name) if found is root and name in cli.KNOWN else found.get_command(click.Context(found), name)
        )
        assert below is not None, f"there is no command `cohort {' '.join(words)}`"
        found, rest = below, rest[1:]
    return found, rest


@pytest.mark.parametrize("page", [page for page in PAGES if calls((ROOT / page).read_text())])
def test_commands_and_options_exist(page: str) -> None:
    for call in calls((ROOT / page).read_text()):
        words = call.split()
        command, rest = command_of(words)
        options = {name for one in command.params for name in (*one.opts, *one.secondary_opts)} | EVERYWHERE
        shown = {word.partition("=")[0].rstrip(",.)") for word in rest if word.startswith("--")}
        assert shown <= options, f"{page}: `cohort {call}` shows {shown - options}"


def test_there_is_something_to_check() -> None:
    assert len(calls((ROOT / "README.md").read_text())) > 15
