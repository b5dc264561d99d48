"""The local chain as a process: started, ended, kept, and never left behind."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from cohort_devnet import node as node_module
from cohort_devnet.accounts import demo_account, fund
from cohort_devnet.node import AnvilFailed, AnvilMissing, AnvilNode, DevnetControl, anvil_package, find_anvil
from cohort_protocol.chain.client import ChainClient
from cohort_protocol.errors import InvalidInput

ADDRESS = "0x52908400098527886E0F7030069857D2E4169EE7"


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_it_starts_answers_and_ends(tmp_path: Path) -> None:
    node = AnvilNode(tmp_path)
    with node:
        pid = node.pid
        assert pid is not None
        assert node.running
        assert os.getsid(pid) == pid, "a session of its own: Ctrl-C in the terminal must not reach it"
        client = ChainClient(node.url, 31337)
        assert client.block_number() == 0
        assert client.rpc("eth_accounts") == [], "no keys that everybody knows"
    assert not node.running
    assert not alive(pid)
    node.stop()


def test_two_chains_run_beside_each_other(tmp_path: Path) -> None:
    with AnvilNode(tmp_path / "a") as first, AnvilNode(tmp_path / "b") as second:
        assert first.url != second.url


def test_a_taken_port_is_told(tmp_path: Path) -> None:
    with AnvilNode(tmp_path / "a") as first:
        port = int(first.url.rsplit(":", 1)[1])
        with pytest.raises(AnvilFailed, match="in use"):
            AnvilNode(tmp_path / "b", port=port).start()


def test_the_state_is_kept_and_loaded(tmp_path: Path) -> None:
    state = tmp_path / "kept" / "state.json"
    with AnvilNode(tmp_path / "a", state=state) as node:
        control = DevnetControl(ChainClient(node.url))
        control.set_balance(ADDRESS, 123)
        control.mine(3)
    kept = state.read_bytes()

    with AnvilNode.load(state, tmp_path / "b") as node:
        client = ChainClient(node.url)
        assert client.balance(ADDRESS) == 123
        assert client.block_number() == 3
        DevnetControl(client).set_balance(ADDRESS, 5)
        DevnetControl(client).mine(1)
    assert state.read_bytes() == kept, "a kept state is evidence"

    with AnvilNode(tmp_path / "c", state=state) as node:
        assert ChainClient(node.url).block_number() == 3
    with pytest.raises(AnvilFailed, match="no chain state"):
        AnvilNode.load(tmp_path / "missing.json", tmp_path / "d")


def test_a_power_cut_loses_at_most_a_second(tmp_path: Path) -> None:
    state = tmp_path / "state.json"
    node = AnvilNode(tmp_path / "a", state=state)
    node.start()
    DevnetControl(ChainClient(node.url)).set_balance(ADDRESS, 77)
    DevnetControl(ChainClient(node.url)).mine(1)
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline and b"0x4d" not in (state.read_bytes() if state.exists() else b""):
        time.sleep(0.1)
    node.kill()
    assert not node.running
    with AnvilNode(tmp_path / "b", state=state) as again:
        assert ChainClient(again.url).balance(ADDRESS) == 77


def test_a_heartbeat_moves_the_clock(tmp_path: Path) -> None:
    with AnvilNode(tmp_path, heartbeat=1) as node:
        client = ChainClient(node.url)
        before = client.block()
        deadline = time.monotonic() + 10
        while client.block_number() < before.number + 2 and time.monotonic() < deadline:
            time.sleep(0.1)
        assert client.block().timestamp > before.timestamp
        assert abs(client.block().timestamp - time.time()) < 5


def test_control_of_time_and_state(tmp_path: Path) -> None:
    with AnvilNode(tmp_path) as node:
        client = ChainClient(node.url)
        control = DevnetControl(client)
        start = client.block().timestamp
        assert control.warp(1000) >= start + 1000
        control.warp_to(start + 5000)
        assert client.block().timestamp == start + 5000
        snapshot = control.snapshot()
        fund(control, [ADDRESS], ether=2)
        assert client.balance(ADDRESS) == 2 * 10**18
        control.revert(snapshot)
        assert client.balance(ADDRESS) == 0
        with pytest.raises(AnvilFailed, match="snapshot"):
            control.revert(snapshot)
        number, block_hash = client.block_number(), client.block().hash
        control.mine()
        control.reorg(1)
        assert client.block(number).hash == block_hash


def test_a_missing_binary_names_the_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert find_anvil().name == "anvil"
    with pytest.raises(AnvilMissing, match="make setup"):
        find_anvil(tmp_path)
    for system, machine, package in (
        ("linux", "x86_64", "anvil-linux-amd64"),
        ("linux", "aarch64", "anvil-linux-arm64"),
        ("darwin", "arm64", "anvil-darwin-arm64"),
        ("darwin", "x86_64", "anvil-darwin-amd64"),
    ):
        monkeypatch.setattr(node_module.sys, "platform", system)
        monkeypatch.setattr(node_module.platform, "machine", lambda machine=machine: machine)
        assert anvil_package() == f"@foundry-rs/{package}"
    monkeypatch.setattr(node_module.platform, "machine", lambda: "riscv64")
    with pytest.raises(AnvilMissing, match="riscv64"):
        anvil_package()


def test_a_chain_that_dies_at_once_is_told_with_its_output(tmp_path: Path) -> None:
    broken = tmp_path / "state.json"
    broken.write_text("{not a state")
    with pytest.raises(AnvilFailed) as failed:
        AnvilNode.load(broken, tmp_path / "home").start()
    assert "ended with status" in str(failed.value)
    assert "state" in str(failed.value)


def test_demo_accounts_are_the_same_everywhere_and_all_different() -> None:
    assert demo_account(0, "owner").address == demo_account(0, "owner").address
    addresses = {
        demo_account(seed, role, index).address
        for seed in range(3)
        for role in ("owner", "trainer", "witness")
        for index in range(4)
    }
    assert len(addresses) == 36
    assert demo_account(7, "trainer", 3).address == "0x8Dc97a8a63853D42729ce0faaAA3C5a61C0dBb77"
    for bad in ((-1, "owner", 0), (0, "", 0), (0, "a/b", 0), (0, "owner", -1)):
        with pytest.raises(InvalidInput):
            demo_account(*bad)
