"""What an address that cannot be used is called in a message."""

from __future__ import annotations

import pytest
from cohort_protocol.chain.client import ChainClient
from cohort_protocol.errors import CohortError
from cohort_protocol.ipfs.connect import connect_store
from cohort_protocol.ipfs.gateway import GatewayStore
from cohort_protocol.service.client import ServiceClient
from cohort_protocol.shown_urls import shown_url


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("ws://node.example:8546/v3/secret", "'ws://node.example:8546...'"),
        ("https://node.example?key=secret", "'https://node.example...'"),
        ("https://me:secret@node.example", "'https://...'"),
        ("https://me:sec/ret@node.example", "'https://...'"),
        ("https://node.example/@secret", "'https://...'"),
        ("me:secret@host", "a text of 14 characters"),
        ("secret://", "'secret://'"),
        ("http://a\nb\x1b[2J", "'http://a\\nb\\x1b...'"),
        ("http://" + "a" * 5000, "'http://" + "a" * 80 + "...'"),
        ("https://me:secret", "'https://me...'"),
        ("http://[::1]:5001/x", "'http://[::1]:5001...'"),
        ("http://[secret", "'http://...'"),
        ("http://h:99secret", "'http://h...'"),
        (None, "a NoneType"),
    ],
)
def test_host_and_scheme_are_shown_and_nothing_else(url: object, shown: str) -> None:
    assert shown_url(url) == shown


@pytest.mark.parametrize("connect", [ChainClient, connect_store, GatewayStore, ServiceClient])
@pytest.mark.parametrize(
    "url",
    [
        "ws://node.example/v3/secret",
        "ws://me:secret@node.example",
        "https://me:secret",
        "https://me:secret/x@node.example:1",
        "me:secret@node.example",
    ],
)
def test_no_address_that_is_refused_shows_its_secrets(connect: type, url: str) -> None:
    try:
        connect(url)
    except CohortError as error:
        found: BaseException | None = error
        while found is not None:
            assert "secret" not in str(found)
            found = found.__cause__
    else:
        pytest.fail("it was taken")
