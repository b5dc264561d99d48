"""Fixtures that every part's tests may use."""

import signal

from hypothesis import settings

from tests.fixtures.chain import devnet, devnet_session
from tests.fixtures.leftovers import (
    pytest_configure,
    pytest_sessionfinish,
    pytest_terminal_summary,
    pytest_unconfigure,
)
from tests.fixtures.proven import proven_devnet, proven_devnet_session, srs_file
from tests.fixtures.schedule import pytest_xdist_make_scheduler

__all__ = [
    "devnet",
    "devnet_session",
    "proven_devnet",
    "proven_devnet_session",
    "pytest_configure",
    "pytest_sessionfinish",
    "pytest_terminal_summary",
    "pytest_unconfigure",
    "pytest_xdist_make_scheduler",
    "srs_file",
]

# An example that takes long says that the machine has other things to do. In CI, Hypothesis' own profile stays beneath.
settings.register_profile("cohort", settings.default, deadline=None)
settings.load_profile("cohort")

# A shell that is no terminal's starts what it puts into the background (`make test &`) with Ctrl-C ignored, and every
# program that a test starts would inherit that: those that are told to end by it would not.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
