"""Histories on a real chain for all tests of this folder: making them takes seconds, applying them milliseconds."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.backend.chain.history import History, live, live_with_pending_models
from tests.fixtures.chain import Devnet


@pytest.fixture(scope="package")
def histories(devnet_session: Devnet) -> Iterator[dict[str, History]]:
    """By name. The chain stands where they ended while the tests of this folder run."""
    with devnet_session.undone():
        yield {"attested": live(devnet_session), "pending": live_with_pending_models(devnet_session)}


@pytest.fixture
def history(histories: dict[str, History]) -> History:
    """See `live`."""
    return histories["attested"]
