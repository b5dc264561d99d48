"""Fixtures of the IPFS tests."""

from __future__ import annotations

import pytest

from tests.fixtures.kubo import kubo_binary, kubo_node

__all__ = ["kubo_binary", "kubo_node"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    # The first test that needs the node may have to wait for Kubo to be built.
    for item in items:
        if "kubo_node" in getattr(item, "fixturenames", ()) and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(1200))
