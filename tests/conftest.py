"""Fixtures that every part's tests may use."""

from tests.fixtures.chain import devnet, devnet_session
from tests.fixtures.leftovers import (
    pytest_configure,
    pytest_sessionfinish,
    pytest_terminal_summary,
    pytest_unconfigure,
)
from tests.fixtures.proven import proven_devnet, proven_devnet_session, srs_file

__all__ = [
    "devnet",
    "devnet_session",
    "proven_devnet",
    "proven_devnet_session",
    "pytest_configure",
    "pytest_sessionfinish",
    "pytest_terminal_summary",
    "pytest_unconfigure",
    "srs_file",
]
