"""One whole run that nobody disturbs: what the tests of this folder look at and compare with."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.market.running import SIZE, DemoProcess


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> DemoProcess:
    """A finished `cohort demo`."""
    folder: Path = tmp_path_factory.mktemp("undisturbed") / "demo-report"
    with DemoProcess(folder, *SIZE) as demo:
        status = demo.finish()
    assert status == 0, demo.text()
    return demo
