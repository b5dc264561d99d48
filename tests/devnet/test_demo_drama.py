"""Damage to a stored bundle is noticed by whoever reads it, on both stores, and can be undone."""

from __future__ import annotations

from pathlib import Path

import pytest
from cohort_devnet.demo import drama
from cohort_devnet.demo.drama import DamageUnnoticed, block_file, damage_and_read, flip_one_byte
from cohort_protocol.ipfs.cid import Cid
from cohort_protocol.ipfs.connect import connect_store
from cohort_protocol.ipfs.embedded import EmbeddedStore

from tests.fixtures.kubo import kubo_binary

CONTENT = bytes(range(256)) * 40
LARGE = CONTENT * 60

__all__ = ["kubo_binary"]


@pytest.mark.parametrize("content", [CONTENT, LARGE], ids=["one block", "many blocks"])
def test_a_flipped_byte_in_the_embedded_store_is_caught_and_put_back(tmp_path: Path, content: bytes) -> None:
    url = f"file://{tmp_path}"
    with connect_store(url) as store:
        cid = store.put(content)
    before = block_file(tmp_path / "blocks", cid).read_bytes()
    words = damage_and_read(tmp_path / "blocks", url, cid)
    assert str(cid) in words
    assert words.startswith("content-corrupt")
    assert block_file(tmp_path / "blocks", cid).read_bytes() == before


def test_a_flipped_byte_in_kubo_is_caught_and_put_back(tmp_path: Path, kubo_binary: Path) -> None:
    from cohort_devnet.kubo import KuboNode

    with KuboNode(kubo_binary, tmp_path) as node:
        with connect_store(node.api_url) as store:
            cid = store.put(CONTENT)
        words = damage_and_read(node.repository / "blocks", node.api_url, cid)
        assert str(cid) in words
        with connect_store(node.api_url) as store:
            assert store.get(cid, len(CONTENT)) == CONTENT


def test_damage_that_nobody_notices_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    url = f"file://{tmp_path}"
    with connect_store(url) as store:
        cid = store.put(CONTENT)
    monkeypatch.setattr(drama, "flip_one_byte", lambda path, position: lambda: None)
    with pytest.raises(DamageUnnoticed, match="raised nothing"):
        damage_and_read(tmp_path / "blocks", url, cid)


def test_exactly_one_bit_changes(tmp_path: Path) -> None:
    file = tmp_path / "block"
    file.write_bytes(CONTENT)
    restore = flip_one_byte(file, 1000)
    different = [index for index, (a, b) in enumerate(zip(CONTENT, file.read_bytes(), strict=True)) if a != b]
    assert different == [1000]
    restore()
    assert file.read_bytes() == CONTENT


def test_a_block_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    store = EmbeddedStore(tmp_path)
    with pytest.raises(FileNotFoundError):
        block_file(store.root / "blocks", Cid.parse("bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy"))
