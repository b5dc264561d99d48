from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.fixtures.chain import Devnet
from tests.fixtures.postgres import postgres_server
from tests.fixtures.redis import redis_url
from tests.worker.stage import Stage

__all__ = ["postgres_server", "redis_url"]


@pytest.fixture
def make_stage(devnet: Devnet, tmp_path: Path) -> Iterator[Callable[..., Stage]]:
    """Makes projects with their people; terms may be changed by name."""
    made: list[Stage] = []

    def make(**options) -> Stage:
        made.append(Stage.create(devnet, tmp_path / f"stage{len(made)}", **options))
        return made[-1]

    yield make
    for stage in made:
        stage.close()


@pytest.fixture
def stage(make_stage: Callable[..., Stage]) -> Stage:
    """A project with three trainers."""
    return make_stage()
