"""Deploying on a local chain, the file about it, and the commands of `cohort devnet`."""

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
from cohort_devnet.compiler import ensure_artifacts
from cohort_devnet.deployment import CodeChanged, Deployment, deploy
from cohort_devnet.node import AnvilNode, DevnetControl, repository_root
from cohort_protocol.chain.client import ChainClient
from cohort_protocol.chain.errors import ChainUnavailable, NoContract, WrongChain
from cohort_protocol.chain.journal import MemoryJournal
from cohort_protocol.chain.market import Market
from cohort_protocol.chain.sender import TransactionSender
from cohort_protocol.chain.token import Token
from cohort_protocol.errors import InvalidInput
from typer.testing import CliRunner

from tests.fixtures.chain import Devnet

COHORT = [sys.executable, "-m", "cohort_trainer.cli"]


def test_the_deployed_contracts_work(devnet: Devnet) -> None:
    deployment = devnet.deployment
    deployment.verify(devnet.client)
    assert Market(devnet.client, deployment.market).project_count() == 0
    assert Token(devnet.client, deployment.token).decimals() == 18
    assert 0 < deployment.block <= devnet.client.block_number()


def test_the_file_is_read_back(devnet: Devnet, tmp_path: Path) -> None:
    path = tmp_path / "run" / "deployment.json"
    devnet.deployment.save(path)
    assert Deployment.load(path) == devnet.deployment


@pytest.mark.parametrize("content", ["", "{}", '{"chain_id": 31337}', "[]", '{"more": 1}'])
def test_a_file_that_is_not_a_deployment(tmp_path: Path, content: str) -> None:
    path = tmp_path / "deployment.json"
    path.write_text(content)
    with pytest.raises(InvalidInput, match="not a deployment"):
        Deployment.load(path)


def test_a_missing_file_names_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="cohort devnet up"):
        Deployment.load(tmp_path / "deployment.json")


def test_another_chain_or_other_code_is_noticed(devnet: Devnet) -> None:
    deployment = devnet.deployment
    with pytest.raises(WrongChain):
        deployment.model_copy(update={"chain_id": 1}).verify(devnet.client)
    with pytest.raises(CodeChanged, match="AttestedVerifier"):
        deployment.model_copy(update={"verifier": deployment.token}).verify(devnet.client)
    with pytest.raises(NoContract):
        deployment.model_copy(update={"market": devnet.account("anyone").address}).verify(devnet.client)


def test_any_other_chain_is_refused(tmp_path: Path) -> None:
    """The test token is worthless: it must never reach a chain where somebody could take it for money."""
    with AnvilNode(tmp_path, chain_id=10) as node:
        client = ChainClient(node.url)
        account = demo_account(0, "deployer")
        DevnetControl(client).set_balance(account.address, 10**18)
        with pytest.raises(WrongChain, match="31337 only, this one has id 10"):
            deploy(client, TransactionSender(client, account, MemoryJournal()), ensure_artifacts(repository_root()))
        assert client.nonce(account.address) == 0


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
            assert Token(client, deployment.token).balance_of(receiver) == times * 5 * 10**18
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
