"""The commands of `cohort devnet`: a chain that stays, contracts on one that runs, play money."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from cohort_devnet.accounts import demo_account
from cohort_devnet.commands import app
from cohort_devnet.deployment import Deployment
from cohort_devnet.node import AnvilNode
from cohort_protocol.chain.client import ChainClient
from cohort_protocol.chain.errors import ChainUnavailable
from cohort_protocol.chain.token import Token
from typer.testing import CliRunner

COHORT = [sys.executable, "-m", "cohort_trainer.cli"]


def test_deploy_and_fund_commands(tmp_path: Path) -> None:
    run = CliRunner()
    receiver = demo_account(3, "newcomer").address
    with AnvilNode(tmp_path / "chain") as node:
        arguments = ["--url", node.url, "--home", str(tmp_path / "home")]
        first = run.invoke(app, ["deploy", *arguments])
        assert first.exit_code == 0, first.output
        assert first.output.endswith("deployed\n")
        deployment = Deployment.load(tmp_path / "home" / "deployment.json")
        again = run.invoke(app, ["deploy", *arguments])
        assert "was deployed already" in again.output
        assert Deployment.load(tmp_path / "home" / "deployment.json") == deployment
        client = ChainClient(node.url)
        for times in (1, 2):
            funded = run.invoke(app, ["fund", receiver, *arguments, "--tokens", "5", "--ether", "7"])
            assert funded.exit_code == 0, funded.output
            assert Token(client, deployment.token or "").balance_of(receiver) == times * 5 * 10**18
        assert client.balance(receiver) == 7 * 10**18


def start_up(home: Path, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*COHORT, "devnet", "up", "--port", "0", "--home", str(home), *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def read_until(process: subprocess.Popen[str], word: str) -> str:
    """Output up to the line with `word`; a process that ends before fails the test with its output."""
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        lines.append(line)
        if word in line:
            return "".join(lines)
    raise AssertionError("".join(lines))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_up_runs_until_it_is_told_to_end_and_goes_on_later(tmp_path: Path, number: int) -> None:
    home = tmp_path / "devnet"
    process = start_up(home)
    try:
        output = read_until(process, "ready")
        url = re.search(r"chain\s+(\S+) \(id 31337\)", output)
        assert url is not None
        deployment = Deployment.load(home / "deployment.json")
        assert deployment.market in output
        client = ChainClient(url.group(1), 31337)
        deployment.verify(client)
        os.kill(process.pid, number)
        assert process.wait(20) == 0
        assert "the state stays in" in process.stdout.read()  # type: ignore[union-attr]
    finally:
        process.kill()
        process.wait()
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline and _answers(client):
        time.sleep(0.05)
    assert not _answers(client), "the chain must end with the command"

    second = start_up(home)
    try:
        read_until(second, deployment.market)
        read_until(second, "ready")
        assert Deployment.load(home / "deployment.json") == deployment
        os.kill(second.pid, signal.SIGTERM)
        assert second.wait(20) == 0
    finally:
        second.kill()
        second.wait()


def test_with_proven_the_market_takes_proven_projects(tmp_path: Path) -> None:
    home = tmp_path / "devnet"
    process = start_up(home, "--proven")
    try:
        output = read_until(process, "ready")
        deployment = Deployment.load(home / "deployment.json")
        assert deployment.proven_verifier is not None
        assert deployment.proven_verifier in output
        assert (home / "devnet-40960.srs").is_file()
        os.kill(process.pid, signal.SIGTERM)
        assert process.wait(20) == 0
    finally:
        process.kill()
        process.wait()


def _answers(client: ChainClient) -> bool:
    try:
        client.block_number()
    except ChainUnavailable:
        return False
    return True


def test_help_says_what_it_is() -> None:
    shown = CliRunner().invoke(app, ["up", "--help"])
    assert shown.exit_code == 0
    for word in ("--port", "--home", "--fresh", "Ctrl-C"):
        assert word in shown.output
