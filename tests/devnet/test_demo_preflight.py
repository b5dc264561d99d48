"""The preflight says what is missing and how to mend it."""

from __future__ import annotations

import shutil
import socket
import sys
from collections import namedtuple
from pathlib import Path

import pytest
from cohort_devnet import preflight
from cohort_devnet.preflight import PreflightFailed, free_port, require, run_preflight
from cohort_protocol.proof.errors import CurveLibraryMissing


def test_this_machine_passes(tmp_path: Path) -> None:
    require(run_preflight(tmp_path / "not" / "there" / "yet", 1, [0, free_port()], proven=True))


def test_without_the_curve_library_there_is_still_an_attested_market(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def missing() -> None:
        raise CurveLibraryMissing("no wheel")

    monkeypatch.setattr("cohort_protocol.proof.library.library", missing)
    with pytest.raises(PreflightFailed, match=r"no wheel.*--settlement attested"):
        require(run_preflight(tmp_path, 1, proven=True))
    require(run_preflight(tmp_path, 1))


def test_a_port_in_use_is_named() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(PreflightFailed, match=f"port {port} is in use.*--port"):
            require([preflight.check_port(port)])


def test_an_old_python_is_refused_with_the_way_out() -> None:
    assert "make PYTHON=python3.12 demo" in preflight.check_python((3, 10)).problem
    assert preflight.check_python((3, 11)).problem == ""


def test_a_missing_node_is_named(tmp_path: Path) -> None:
    assert "install Node 20" in preflight.check_node("no-such-node").problem


@pytest.mark.parametrize(("printed", "fine"), [("v18.1.0", False), ("v20.0.0", True), ("what", False)])
def test_an_old_node_is_refused(tmp_path: Path, printed: str, fine: bool) -> None:
    node = tmp_path / "node"
    node.write_text(f"#!{sys.executable}\nprint('{printed}')\n")
    node.chmod(0o755)
    assert (preflight.check_node(str(node)).problem == "") is fine


def test_a_full_disk_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(10**12, 10**12, 10**8))
    assert "GB are needed" in preflight.check_disk(tmp_path).problem


def test_too_little_memory_names_the_number_of_trainers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preflight, "free_memory_gb", lambda: 2.0)
    assert "--trainers" in preflight.check_memory(20).problem
    assert preflight.check_memory(1).problem == ""


def test_missing_packages_are_listed() -> None:
    check = preflight.check_packages(["json", "no_such_package"])
    assert "no_such_package" in check.problem
    assert "make setup" in check.problem


def test_a_missing_anvil_says_how_to_get_it(tmp_path: Path) -> None:
    assert "make setup" in preflight.check_anvil(tmp_path).problem


def test_all_problems_are_reported_at_once() -> None:
    with pytest.raises(PreflightFailed) as caught:
        require([preflight.check_python((3, 9)), preflight.check_node("no-such-node")])
    assert "Python 3.9" in str(caught.value)
    assert "Node.js is missing" in str(caught.value)
