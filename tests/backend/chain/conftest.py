"""One history on a real chain for all tests of this folder: making it takes seconds, applying it milliseconds."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.backend.chain.history import History, live
from tests.fixtures.chain import Devnet


@pytest.fixture(scope="package")
def history(devnet_session: Devnet) -> Iterator[History]:
    """See `live`. The chain stands where the history ended while the tests of this folder run."""
    snapshot = devnet_session.control.snapshot()
    yield live(devnet_session)
    devnet_session.control.revert(snapshot)
    devnet_session.market.forget()
    devnet_session._senders.clear()
