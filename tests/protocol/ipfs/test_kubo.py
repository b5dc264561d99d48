"""The store on a real Kubo node: the contract, CIDs, damage on the node's disk."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import requests
from cohort_protocol.ipfs.cid import RAW, Cid
from cohort_protocol.ipfs.connect import connect_store
from cohort_protocol.ipfs.embedded import EmbeddedStore
from cohort_protocol.ipfs.errors import ContentCorrupt
from cohort_protocol.ipfs.kubo import IMPORT_OPTIONS
from cohort_protocol.ipfs.kubo_rpc import Timeouts
from cohort_protocol.ipfs.store import IpfsStore
from cohort_protocol.ipfs.unixfs import CHUNK_BYTES, MAX_LINKS, Block, FileImport, cid_of

from tests.fixtures.kubo import TestNode
from tests.protocol.ipfs.lying_node import flipping_node
from tests.protocol.ipfs.store_contract import StoreContract
from tests.protocol.ipfs.trees import KUBO_CIDS, blocks_of, content


class KuboRig:
    def __init__(self, url: str, lies: ExitStack) -> None:
        self.url = url
        # A node that is online looks for missing blocks as long as it may.
        self.store = connect_store(url, Timeouts(find_s=3))
        self._lies = lies

    def plant(self, *blocks: Block) -> None:
        for block in blocks:
            codec = "raw" if block.cid.codec == RAW else "dag-pb"
            answer = post(self.url, "block/put", block.data, {"cid-codec": codec, "allow-big-block": "true"})
            assert answer["Key"] == str(block.cid)

    def damaged(self, cid: Cid) -> IpfsStore:
        return connect_store(self._lies.enter_context(flipping_node(self.url, str(cid))))


def post(url: str, command: str, data: bytes, options: dict[str, str]) -> dict[str, object]:
    """One RPC command with a file, past the store under test."""
    answer = requests.post(f"{url}/api/v0/{command}", params=options, files={"file": data}, timeout=60)
    assert answer.ok, answer.text
    return answer.json()


@pytest.fixture
def rig(kubo_node: TestNode) -> Iterator[KuboRig]:
    with ExitStack() as lies:
        rig = KuboRig(kubo_node.url, lies)
        yield rig
        rig.store.close()


class TestKuboStore(StoreContract):
    pass


def test_two_stores_one_cid_for_100_mb(rig: KuboRig, tmp_path: Path) -> None:
    data = content(100_000_000)
    embedded = EmbeddedStore(tmp_path / "store")
    cid = embedded.put(data)
    assert rig.store.put(data) == cid
    assert str(cid) == KUBO_CIDS[len(data)]
    assert rig.store.get(cid, len(data)) == data


def test_three_levels_of_nodes_are_laid_out_as_kubo_does(rig: KuboRig) -> None:
    # 174^2 + 1 chunks of 256 KiB would be 8 GB; the layout does not depend on the chunks' size.
    for chunks in (MAX_LINKS**2, MAX_LINKS**2 + 1, MAX_LINKS**2 + MAX_LINKS + 1):
        data = content(64 * chunks)
        importer = FileImport()
        for start in range(0, len(data), 64):
            importer.add(data[start : start + 64])
        # Hashed only: the node would write 30,000 files.
        options = {**IMPORT_OPTIONS, "chunker": "size-64", "only-hash": "true", "pin": "false"}
        answer = post(rig.url, "add", data, options)
        assert answer["Hash"] == str(importer.finish()[1])


def test_what_kubo_added_by_its_own_command_is_read(rig: KuboRig) -> None:
    # The options a person would type, without ours.
    data = content(3 * CHUNK_BYTES + 3, 60)
    options = {"cid-version": "1", "raw-leaves": "true", "chunker": "size-262144"}
    cid = Cid.parse(str(post(rig.url, "add", data, options)["Hash"]))
    assert cid == cid_of(data)
    assert rig.store.get(cid, len(data)) == data


def test_a_byte_flipped_on_the_nodes_disk(rig: KuboRig, kubo_node: TestNode) -> None:
    if kubo_node.repository is None:
        pytest.skip("the node at IPFS_API is not ours to damage")
    data = content(2 * CHUNK_BYTES, 61)
    cid = rig.store.put(data)
    hurt = blocks_of(data)[1].cid
    # Kubo files a block under its multihash: base32 in upper case of 0x12 0x20 digest, without the "b".
    name = multihash_name(hurt)
    (path,) = (kubo_node.repository / "blocks").glob(f"*/{name}.data")
    spoilt = bytearray(path.read_bytes())
    spoilt[77] ^= 1
    path.write_bytes(spoilt)
    with pytest.raises(ContentCorrupt, match=str(hurt)):
        rig.store.get(cid, len(data))


def multihash_name(cid: Cid) -> str:
    """The name of a block's file in a Kubo repository."""
    return base64.b32encode(bytes(cid)[2:]).decode().rstrip("=")


def test_the_node_is_asked_for_its_version(rig: KuboRig, kubo_node: TestNode) -> None:
    answer = requests.post(f"{kubo_node.url}/api/v0/version", timeout=10).json()
    assert rig.store.name_and_version() == f"kubo {answer['Version']}"
