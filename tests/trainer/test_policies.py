"""`cohort policies`: the registry on the command line."""

from __future__ import annotations

import json

import pytest
from cohort_protocol.scoring import UnknownPolicy, catalogue
from cohort_trainer import cli
from cohort_trainer.exit_codes import exit_code_of
from typer.testing import CliRunner

from tests.trainer.test_cli import cohort


def run(*arguments):
    return CliRunner().invoke(cli.app, ["policies", *arguments])


def test_lists_every_name_with_its_paper_and_needs():
    result = run()
    assert result.exit_code == 0
    for entry in catalogue():
        assert f"{entry.name}: {entry.title} ({entry.paper})" in result.stdout
    assert "needs gram, full-updates" in result.stdout


def test_one_name_shows_its_parameters():
    result = run("multi-krum")
    assert "byzantine_bps = 3000, 0 .. 4999" in result.stdout
    assert "bulyan" not in result.stdout


def test_json_is_the_registry():
    listed = json.loads(run("--json").stdout)["policies"]
    assert listed == [entry.as_json() for entry in catalogue()]
    assert json.loads(run("fltrust", "--json").stdout)["policies"][0]["needs"] == ["gram", "validation-rows"]


def test_an_unknown_name_ends_with_its_number():
    result = cohort("policies", "krum")
    assert result.returncode == exit_code_of(UnknownPolicy("x")).number
    assert "known are" in result.stderr
    assert result.stdout == ""


@pytest.mark.parametrize("arguments", [["policies", "--help"]])
def test_help_has_an_example(arguments):
    assert "cohort policies multi-krum" in cohort(*arguments).stdout
