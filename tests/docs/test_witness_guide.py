"""The guide for witnesses says what the program does."""

from __future__ import annotations

import re
from pathlib import Path

from cohort_protocol.service.refusals import RefusalCode
from cohort_worker.witness.commands import app
from typer.main import get_command

GUIDE = (Path(__file__).parents[2] / "docs" / "guides" / "witness.md").read_text()


def test_every_reason_is_in_the_table_as_it_is() -> None:
    rows = dict(re.findall(r"^\| `([a-z-]+)` \| .+ \| (yes|no) \|$", GUIDE, re.MULTILINE))
    assert rows == {code.value: "yes" if code.is_final else "no" for code in RefusalCode}


def test_every_command_and_option_that_is_shown_exists() -> None:
    commands = get_command(app).commands
    options = {option for command in commands.values() for one in command.params for option in one.opts}
    shown = set(re.findall(r"cohort witness ([a-z]+)", GUIDE))
    assert shown == set(commands)
    named = set(re.findall(r"(?<![\w-])(--[a-z][a-z-]*)", GUIDE))
    assert named <= options, named - options
