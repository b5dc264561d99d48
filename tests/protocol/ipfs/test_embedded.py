"""The embedded store: the contract, and what is its own (format, crashes, damage, a failing disk)."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from cohort_protocol.ipfs.cid import Cid
from cohort_protocol.ipfs.embedded import EmbeddedStore
from cohort_protocol.ipfs.errors import ContentCorrupt, IpfsUnavailable, StoreUrlInvalid
from cohort_protocol.ipfs.unixfs import CHUNK_BYTES, Block, cid_of

from tests.protocol.ipfs.store_contract import StoreContract
from tests.protocol.ipfs.trees import blocks_of, content


class EmbeddedRig:
    def __init__(self, root: Path) -> None:
        self.url = root.as_uri()
        self.root = root
        self.store = EmbeddedStore(root)

    def path(self, cid: Cid) -> Path:
        return next((self.root / "blocks").glob(f"*/{cid}"))

    def plant(self, *blocks: Block) -> None:
        for block in blocks:
            folder = self.root / "blocks" / str(block.cid)[-3:-1]
            folder.mkdir(exist_ok=True)
            (folder / str(block.cid)).write_bytes(block.data)

    def damaged(self, cid: Cid) -> EmbeddedStore:
        path = self.path(cid)
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 0x10
        path.write_bytes(data)
        return self.store


@pytest.fixture
def rig(tmp_path: Path) -> EmbeddedRig:
    return EmbeddedRig(tmp_path / "store")


class TestEmbeddedStore(StoreContract):
    pass


def test_the_folder_can_be_listed_by_hand(rig: EmbeddedRig) -> None:
    cid = rig.store.put(b"hello")
    name = str(cid)
    assert (rig.root / "blocks" / name[-3:-1] / name).read_bytes() == b"hello"
    assert (rig.root / "pins" / name).is_file()
    assert (rig.root / "version").read_text() == "cohort block store 1\n"
    assert list((rig.root / "tmp").iterdir()) == []


def test_adding_again_repairs_a_damaged_block(rig: EmbeddedRig) -> None:
    data = content(3 * CHUNK_BYTES)
    cid = rig.store.put(data)
    rig.damaged(blocks_of(data)[1].cid)
    with pytest.raises(ContentCorrupt):
        rig.store.get(cid, len(data))
    assert rig.store.put(data) == cid
    assert rig.store.get(cid, len(data)) == data


@pytest.mark.parametrize("spoilt", [b"", b"hell", b"hello and more", b"x" * 3_000_000])
def test_blocks_of_another_length_are_corrupt(rig: EmbeddedRig, spoilt: bytes) -> None:
    cid = rig.store.put(b"hello")
    rig.path(cid).write_bytes(spoilt)
    with pytest.raises(ContentCorrupt, match=str(cid)):
        rig.store.get(cid, 10**9)


def test_another_format_is_refused(rig: EmbeddedRig) -> None:
    (rig.root / "version").write_text("cohort block store 2\n")
    with pytest.raises(StoreUrlInvalid, match="block store 2"):
        EmbeddedStore(rig.root)


def test_old_temporary_files_go_and_young_ones_stay(rig: EmbeddedRig) -> None:
    old, young = rig.root / "tmp" / "old", rig.root / "tmp" / "young"
    for path in (old, young):
        path.write_bytes(b"left over")
    os.utime(old, (time.time() - 7200, time.time() - 7200))
    EmbeddedStore(rig.root)
    assert not old.exists()
    assert young.exists()


def test_a_disk_that_fails_is_unavailable(rig: EmbeddedRig, tmp_path: Path) -> None:
    cid = rig.store.put(b"hello")
    path = rig.path(cid)
    path.unlink()
    path.mkdir()
    for call in (lambda: rig.store.get(cid, 10), lambda: rig.store.put(b"hello")):
        with pytest.raises(IpfsUnavailable, match=str(rig.root)):
            call()
    (tmp_path / "file").write_bytes(b"not a folder")
    with pytest.raises(IpfsUnavailable, match="open the store"):
        EmbeddedStore(tmp_path / "file" / "store")


def test_killed_writers_leave_whole_blocks_or_none(rig: EmbeddedRig) -> None:
    script = (
        "import sys\n"
        "from cohort_protocol.ipfs.connect import connect_store\n"
        "store = connect_store(sys.argv[1])\n"
        "print('ready', flush=True)\n"
        "seed = 0\n"
        "while True:\n"
        "    store.put(seed.to_bytes(8, 'big') * 40_000)\n"
        "    seed += 1\n"
    )
    for wait in (0.02, 0.05, 0.11, 0.17):
        writer = subprocess.Popen([sys.executable, "-c", script, rig.url], stdout=subprocess.PIPE)
        assert writer.stdout is not None
        with writer.stdout:
            assert writer.stdout.readline() == b"ready\n"
            time.sleep(wait)
            os.kill(writer.pid, signal.SIGKILL)
            writer.wait(10)
    found = list((rig.root / "blocks").glob("*/*"))
    assert found
    assert all(Cid.parse(path.name).matches(path.read_bytes()) for path in found)
    # Whatever is pinned is complete.
    for pin in (rig.root / "pins").iterdir():
        assert rig.store.has(Cid.parse(pin.name))
    # And the next writer is not disturbed.
    data = (0).to_bytes(8, "big") * 40_000
    assert rig.store.put(data) == cid_of(data)
    assert rig.store.get(cid_of(data), len(data)) == data
