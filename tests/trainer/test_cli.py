"""The `cohort` command: light until it is used, clear when it fails, numbered when it ends."""

from __future__ import annotations

import importlib.metadata
import json
import os
import re
import signal
import subprocess
import sys
import time

import pytest
import structlog
from cohort_backend import examples
from cohort_protocol.chain.errors import (
    ChainUnavailable,
    InsufficientFunds,
    TransactionReverted,
    UnknownProject,
    WrongChain,
)
from cohort_protocol.errors import CohortError, InvalidInput, Unavailable
from cohort_protocol.ipfs.errors import ContentNotFound, IpfsUnavailable
from cohort_protocol.keystore import KeystoreMissing, PasswordWrong
from cohort_protocol.learning.errors import DatasetInvalid, TrainFunctionInvalid, TrainingFailed
from cohort_protocol.service.errors import ServiceConflict, ServiceNotFound, ServiceRefused, ServiceUnavailable
from cohort_protocol.service.messages import ProjectList
from cohort_trainer import cli, errors
from cohort_trainer.exit_codes import TABLE, exit_code_of, table_text
from typer.testing import CliRunner

from tests.trainer.conftest import PASSWORD, until

HEAVY = ("torch", "celery", "web3", "fastapi", "sqlalchemy", "numpy", "pydantic", "httpx", "eth_account", "structlog")


def cohort(*arguments: str, **options) -> subprocess.CompletedProcess:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "NO_COLOR": "1", **options.pop("env", {})}
    return subprocess.run(
        [sys.executable, "-m", "cohort_trainer.cli", *arguments],
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        env=environment,
        timeout=120,
        **options,
    )


@pytest.fixture(autouse=True)
def own_logging():
    """Commands configure logging for their process; here that is everybody's."""
    yield
    structlog.reset_defaults()


# --- laziness -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "arguments", [["--help"], ["--version"], ["exit-codes"], ["trainer", "--help"], ["project", "--help"]]
)
def test_help_imports_nothing_heavy(arguments):
    script = (
        "import sys\n"
        "from cohort_trainer import cli\n"
        f"sys.argv = ['cohort', *{arguments!r}]\n"
        "try:\n"
        "    cli.main()\n"
        "except SystemExit as end:\n"
        "    assert end.code in (0, None), end.code\n"
        f"heavy = [name for name in {HEAVY!r} if name in sys.modules]\n"
        "print(heavy, file=sys.stderr)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    # Once a command runs, typer itself reads its options with pydantic, and the log is set up.
    allowed = ["pydantic", "structlog"] if arguments[0] in ("exit-codes", "trainer", "project") else []
    assert done.stderr.strip().splitlines()[-1] == str(allowed), done.stderr


def test_help_takes_less_than_half_a_second_of_computing():
    """CPU time, not wall time: other processes share the machine."""
    import resource

    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = cohort("--help")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert done.returncode == 0
    assert (after.ru_utime + after.ru_stime) - (before.ru_utime + before.ru_stime) < 0.5


def test_help_lists_every_entry_point_with_a_sentence():
    out = cohort("--help", env={"COLUMNS": "200"}).stdout
    for point in importlib.metadata.entry_points(group=cli.ENTRY_POINTS):
        assert point.name in cli.KNOWN, f"{point.name} has no help text in cli.KNOWN"
        assert re.search(rf"{point.name} +{re.escape(cli.KNOWN[point.name][0][:30])}", out)


def test_every_entry_point_loads_and_has_help():
    for name in cli.KNOWN:
        result = CliRunner().invoke(cli.app, [name, "--help"])
        assert result.exit_code == 0, f"{name}: {result.output}"


def test_version_is_the_distribution_s():
    assert cohort("--version").stdout.strip() == f"cohort {importlib.metadata.version('cohort')}"


# --- packages that are not there ------------------------------------------------------------------------------------


def point(name: str, value: str) -> importlib.metadata.EntryPoint:
    return importlib.metadata.EntryPoint(name=name, value=value, group=cli.ENTRY_POINTS)


@pytest.fixture
def entry_points(monkeypatch):
    def pretend(*points: importlib.metadata.EntryPoint) -> None:
        monkeypatch.setattr(cli, "_entry_points", lambda: {one.name: one for one in points})

    return pretend


def test_a_missing_extra_says_how_to_install_it(entry_points):
    entry_points(point("worker", "no_such_package.commands:worker"))
    result = CliRunner().invoke(cli.app, ["worker"])
    assert result.exit_code == 50
    assert "pip install 'cohort[worker]'" in result.output
    assert "no_such_package" in result.output
    assert "Traceback" not in result.output


def test_a_command_of_another_package_is_listed_and_its_absence_explained(entry_points):
    entry_points(point("extra", "no_such_package:app"))
    assert "extra" in CliRunner().invoke(cli.app, ["--help"]).output
    result = CliRunner().invoke(cli.app, ["extra"])
    assert result.exit_code == 50
    assert "install the package that brings the command" in result.output


def test_an_entry_point_that_is_neither_app_nor_function(entry_points):
    entry_points(point("odd", "json:__name__"))
    result = CliRunner().invoke(cli.app, ["odd"])
    assert result.exit_code == 50
    assert "allowed are a typer.Typer and a function" in result.output


def test_a_plain_function_is_a_command(entry_points):
    entry_points(point("shout", "tests.trainer.test_cli:shout"))
    result = CliRunner().invoke(cli.app, ["shout", "--times", "2", "hey"])
    assert result.exit_code == 0
    assert result.output.strip() == "heyhey!"


def shout(word: str, times: int = 1) -> None:
    """Says a word."""
    print(word * times + "!")


def fails() -> None:
    """Ends with an error of ours."""
    raise WrongChain("the chain has id 1,\nexpected 2")


def breaks() -> None:
    """Ends with an error nobody foresaw."""
    raise RuntimeError("a bug")


def test_an_error_of_ours_is_one_line_and_a_number(entry_points):
    entry_points(point("fails", "tests.trainer.test_cli:fails"))
    result = CliRunner().invoke(cli.app, ["fails"])
    assert result.exit_code == 23
    assert result.output == "cohort: the chain has id 1, expected 2 [wrong-chain, exit 23]\n"


def test_an_unforeseen_error_keeps_its_traceback_and_ends_with_1(entry_points, monkeypatch, capsys):
    entry_points(point("breaks", "tests.trainer.test_cli:breaks"))
    monkeypatch.setattr(sys, "argv", ["cohort", "breaks"])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 1
    err = capsys.readouterr().err
    assert "Traceback" in err
    assert err.strip().endswith("cohort: unforeseen RuntimeError: a bug [exit 1]; please report it")


def test_a_wrong_command_line_ends_with_2():
    assert cohort("trainer", "run").returncode == 2
    assert cohort("no-such-command").returncode == 2


# --- exit codes -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "number"),
    [
        (CohortError("x"), 1),
        (RuntimeError("x"), 1),
        (InvalidInput("x"), 10),
        (UnknownProject("x"), 11),
        (TransactionReverted("x"), 21),
        (ContentNotFound("x"), 11),
        (ServiceConflict("any-code", "t", "d", 409), 14),
        (ServiceNotFound("any-code", "t", "d", 404), 14),
        (ServiceRefused("invalid-input", "t", "d", 422), 14),
        (ServiceUnavailable("x"), 20),
        (ChainUnavailable("x"), 20),
        (IpfsUnavailable("x"), 20),
        (Unavailable("x"), 20),
        (InsufficientFunds("x"), 22),
        (WrongChain("x"), 23),
        (errors.HomeBusy("x"), 31),
        (PasswordWrong("x"), 32),
        (errors.PasswordMissing("x"), 32),
        (KeystoreMissing("x"), 10),
        (errors.DraftTampered("x"), 40),
        (DatasetInvalid("x"), 41),
        (errors.DataDoesNotFit("x"), 41),
        (TrainingFailed("x"), 42),
        (TrainFunctionInvalid("x"), 42),
        (errors.Declined("x"), 3),
        (errors.StakeLocked("x"), 13),
        (errors.ReliabilityTooLow("x"), 15),
        (errors.NotADelegate("x"), 16),
        (errors.StakeMissing("x"), 22),
        (errors.AccessFileInvalid("x"), 10),
    ],
)
def test_the_number_of_an_error(error, number):
    assert exit_code_of(error).number == number


def test_numbers_and_codes_are_unique_and_explained():
    numbers = [entry.number for entry in TABLE]
    codes = [code for entry in TABLE for code in entry.codes]
    assert len(set(numbers)) == len(numbers)
    assert len(set(codes)) == len(codes)
    assert all(entry.help.endswith(".") for entry in TABLE)
    assert all(str(number) in table_text() for number in numbers)


def test_every_error_of_the_trainer_has_a_number_of_its_own():
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.TrainerError)]
    assert len(kinds) > 15
    for kind in kinds:
        if kind is not errors.TrainerError:
            assert exit_code_of(kind("x")).number > 2, kind


# --- whole commands -------------------------------------------------------------------------------------------------


def test_from_init_to_claim_as_processes(stage, tmp_path):
    """What a new trainer types, on a real chain: init, join, run, status, claim, leave, withdraw."""
    home, deployment = tmp_path / "cli", stage.devnet.deployment
    password = tmp_path / "password"
    password.write_text(PASSWORD.get_secret_value() + "\n")
    password.chmod(0o600)
    key = tmp_path / "key"
    key.write_text(bytes(stage.account.key).hex())
    common = ["--home", str(home), "--password-file", str(password)]
    where = ["--api", stage.service.url, "--chain", stage.devnet.node.url, "--ipfs", f"file://{stage.root}/ipfs"]
    market = ["--chain-id", "31337", "--market", deployment.market, "--verifier", deployment.verifier]

    made = cohort("trainer", "init", *common, *where, *market, "--key-file", str(key))
    assert made.returncode == 0, made.stderr
    assert stage.account.address in made.stdout
    again = cohort("trainer", "init", *common, *where, *market)
    assert again.returncode == 30
    assert "already" in again.stderr

    project = str(stage.scene.project)
    helper = stage.devnet.account("trainer", 8).address
    unasked = cohort("trainer", "join", project, *common)
    assert unasked.returncode == 3
    assert "Three kinds of flowers" in unasked.stdout
    assert "--yes" in unasked.stderr
    joined = cohort("trainer", "join", project, *common, "--data", str(stage.data), "--yes")
    assert joined.returncode == 0, joined.stderr
    assert "24 examples, fits" in joined.stdout
    assert "member 1" in joined.stdout
    named = cohort("trainer", "set-delegate", project, helper, *common)
    assert named.returncode == 0, named.stderr
    assert cohort("trainer", "set-delegate", project, *common).returncode == 2
    forbidden = cohort(
        "trainer", "run", project, *common, "--data", str(stage.data), "--as-delegate-of", helper, "--claim"
    )
    assert forbidden.returncode == 16
    assert cohort("trainer", "restake", project, *common, "--yes").returncode == 12

    stage.scene.trainers.append(stage.account)
    stage.service.run_automatically(1)
    ran = cohort("trainer", "run", project, *common, "--data", str(stage.data), "--once")
    assert ran.returncode == 0, ran.stderr
    events = [json.loads(line)["event"] for line in ran.stderr.splitlines()]
    assert [event for event in events if event in ("committed", "revealed", "round-over")] == [
        "committed",
        "revealed",
        "round-over",
    ]

    status = json.loads(cohort("trainer", "status", "--home", str(home), "--json").stdout)
    assert int(status["projects"][0]["claimable"]) > 0
    assert status["projects"][0]["delegate"] == helper
    claimed = json.loads(cohort("trainer", "claim", *common, "--json", "--to", helper).stdout)
    assert stage.devnet.token.balance_of(helper) == int(claimed["claims"][0]["amount"])
    assert claimed["claims"][0]["amount"] == status["projects"][0]["claimable"]
    assert "nothing to claim" in cohort("trainer", "claim", *common).stdout
    assert cohort("trainer", "leave", project, *common, "--yes").returncode == 0
    early = cohort("trainer", "withdraw-stake", project, *common)
    assert early.returncode == 13
    assert "is free 20" in early.stderr
    stage.devnet.control.warp(3000)
    left = cohort("trainer", "withdraw-stake", project, *common)
    assert left.returncode == 0, left.stderr
    wrong = cohort("trainer", "claim", "--home", str(home), env={"COHORT_TRAINER_PASSWORD": "wrong"})
    assert wrong.returncode == 32


def test_ctrl_c_ends_a_run_without_a_traceback(stage, tmp_path):
    with stage.joined() as trainer:
        home = trainer.home
    environment = {**os.environ, "COHORT_TRAINER_PASSWORD": PASSWORD.get_secret_value(), "OMP_NUM_THREADS": "1"}
    command = ["trainer", "run", str(stage.scene.project), "--home", str(home.root), "--data", str(stage.data)]
    process = subprocess.Popen(
        [sys.executable, "-m", "cohort_trainer.cli", *command],
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        text=True,
        env=environment,
    )
    try:
        until(lambda: any("/state" in path for _, path in stage.service.requests), timeout=60)
        time.sleep(0.2)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=30)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 130
    assert "Traceback" not in err
    assert err.strip().endswith("cohort: interrupted")


def test_a_market_that_the_service_names_must_be_confirmed(stage, tmp_path):
    where = ["--api", stage.service.url, "--chain", stage.devnet.node.url, "--ipfs", f"file://{stage.root}/ipfs"]
    environment = {"COHORT_OWNER_PASSWORD": "x"}
    home = tmp_path / "owner"
    asked = cohort("project", "init", "--home", str(home), *where, env=environment)
    assert asked.returncode == 3
    assert stage.devnet.deployment.market in asked.stdout
    assert not home.exists()
    made = cohort("project", "init", "--home", str(home), *where, "--yes", env=environment)
    assert made.returncode == 0, made.stderr
    found = cohort("project", "status", str(stage.scene.project), "--home", str(home), "--json", env=environment)
    assert json.loads(found.stdout)["balanced"] is True


def test_what_was_given_is_never_put_into_the_service_s_mouth(stage, tmp_path):
    where = ["--api", stage.service.url, "--ipfs", f"file://{stage.root}/ipfs", "--yes"]
    chain = ["--chain", stage.devnet.node.url]
    environment = {"COHORT_TRAINER_PASSWORD": "x"}
    home = tmp_path / "trainer"

    def init(*more: str) -> subprocess.CompletedProcess:
        return cohort("trainer", "init", "--home", str(home), *where, *more, env=environment)

    other = init(*chain, "--chain-id", "1")
    assert other.returncode == 23
    assert "you gave --chain-id 1, the service" in other.stderr
    assert "chain id 1" not in other.stdout
    other = init(*chain, "--market", "0x" + "11" * 20)
    assert other.returncode == 23
    assert not home.exists()


def test_a_home_is_not_made_for_a_market_that_the_chain_does_not_have(stage, tmp_path):
    home, nothing = tmp_path / "trainer", "0x" + "11" * 20
    pins = ["--chain-id", str(stage.devnet.deployment.chain_id), "--market", nothing, "--verifier", nothing]
    where = ["--api", "http://127.0.0.1:1", "--ipfs", f"file://{stage.root}/ipfs", "--home", str(home)]
    environment = {"COHORT_TRAINER_PASSWORD": "x"}
    refused = cohort("trainer", "init", *where, "--chain", stage.devnet.node.url, *pins, env=environment)
    assert refused.returncode == 23, refused.stderr
    assert not home.exists()
    made = cohort("trainer", "init", *where, "--chain", "http://127.0.0.1:1", *pins, env=environment)
    assert made.returncode == 0, made.stderr
    assert "Warning" in made.stderr


def test_projects_are_listed(stage, tmp_path):
    view = examples.PROJECT.model_copy(
        update={"terms": examples.PROJECT.terms.model_copy(update={"token": stage.scene.terms.token})}
    )
    hostile = view.model_copy(update={"id": 8, "spec": view.spec.model_copy(update={"title": "\x1b[2Jgone"})})
    known = {view.id: view, 8: hostile, 9: view.model_copy(update={"id": 9, "spec": None, "ended": True})}

    def listing(method: str, path: str, body: bytes):
        if path.startswith("/v1/projects?after=0"):
            return 200, ProjectList(items=list(known.values()), next=9).model_dump(mode="json")
        number = path.removeprefix("/v1/projects/")
        return (200, known[int(number)].model_dump(mode="json")) if number.isdigit() else None

    stage.service.intercept = listing
    listed = cohort("projects", "--api", stage.service.url)
    assert listed.returncode == 0, listed.stderr
    assert f"{view.id}: {view.spec.title}" in listed.stdout
    assert f"{view.distributable} base units a round" in listed.stdout
    assert "\x1b" not in listed.stdout
    assert "9: (its spec cannot be fetched now) [over]" in listed.stdout
    assert listed.stdout.endswith("More: --after 9\n")
    home = str(stage.home().root)
    assert "COTEST a round" in cohort("projects", "--home", home).stdout
    found = json.loads(cohort("projects", "--home", home, "--json").stdout)
    assert [one["id"] for one in found["items"]] == sorted(known)
    assert found["next"] == 9
    assert cohort("projects").returncode == 30


def test_exit_codes_for_scripts():
    found = json.loads(cohort("exit-codes", "--json").stdout)["exit_codes"]
    assert [one["number"] for one in found] == [one.number for one in TABLE]


def _commands(command, path=()):
    below = getattr(command, "commands", None)
    if not below:
        yield path, command
        return
    for name, one in below.items():
        yield from _commands(one, (*path, name))


def test_every_command_has_an_example_of_itself():
    import click
    from typer.main import get_command

    root = get_command(cli.app)
    seen = 0
    for name in root.list_commands(click.Context(root)):
        command = root.get_command(click.Context(root), name)
        loaded = cli._load(name) if name in cli.KNOWN else command
        for path, one in _commands(loaded, (name,)):
            words = " ".join((one.help or "").split())
            assert f"cohort {' '.join(path)}" in words.partition("Example")[2], f"{' '.join(path)} has no example"
            seen += 1
    assert seen > 45


def test_example_files_are_written_once(tmp_path):
    first = cohort("project", "example", str(tmp_path / "mine"), "--token", "0x" + "ab" * 20)
    assert first.returncode == 0
    assert "0x" + "ab" * 20 in (tmp_path / "mine" / "terms.toml").read_text()
    assert cohort("project", "example", str(tmp_path / "mine")).returncode == 30
