"""Store addresses."""

from __future__ import annotations

from pathlib import Path

import pytest
from cohort_protocol.ipfs.connect import connect_store
from cohort_protocol.ipfs.embedded import EmbeddedStore
from cohort_protocol.ipfs.errors import StoreUrlInvalid
from cohort_protocol.ipfs.kubo import KuboStore
from hypothesis import given, settings
from hypothesis import strategies as st


def test_a_folder(tmp_path: Path) -> None:
    folder = tmp_path / "with space and ü"
    store = connect_store(folder.as_uri())
    assert isinstance(store, EmbeddedStore)
    assert store.root == folder
    assert store.name_and_version() == "embedded block store 1"


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:5001", "http://127.0.0.1:5001/", "https://[::1]:443", "http://node.example:5001"]
)
def test_a_node_is_not_contacted_before_it_is_used(url: str) -> None:
    assert isinstance(connect_store(url), KuboStore)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "store",
        "/absolute/folder",
        "file://host/folder",
        "file:relative",
        "file:///",
        "file:///a?b",
        "file:///a%00b",
        "http://127.0.0.1",
        "http://127.0.0.1:0",
        "http://127.0.0.1:99999",
        "http://127.0.0.1:port",
        "http://:5001",
        "http://127.0.0.1:5001/api/v0",
        "http://127.0.0.1:5001/?x=1",
        "http://[::1:5001",
        "ftp://127.0.0.1:5001",
        "/ip4/127.0.0.1/tcp/5001",
    ],
)
def test_other_addresses_are_refused_with_what_is_allowed(url: str) -> None:
    with pytest.raises(StoreUrlInvalid, match=r"file:///absolute/folder .* http://host:port"):
        connect_store(url)


def test_a_password_in_an_address_is_refused_and_not_repeated() -> None:
    with pytest.raises(StoreUrlInvalid) as refused:
        connect_store("http://owner:hunter2@127.0.0.1:5001")
    assert "hunter2" not in str(refused.value)


@settings(deadline=None)
@given(st.text(st.characters(codec="utf-8"), min_size=1, max_size=70))
def test_any_host_is_taken_or_refused(host: str) -> None:
    try:
        store = connect_store(f"http://{host}:9")
    except StoreUrlInvalid:
        return
    assert isinstance(store, KuboStore)


@pytest.mark.parametrize("host", ["x" * 70, "x" * 300])
def test_a_host_that_no_resolver_takes_is_refused(host: str) -> None:
    with pytest.raises(StoreUrlInvalid, match="not the address of an IPFS node"):
        connect_store(f"http://{host}:9")
