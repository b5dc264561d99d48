"""Loading the optional C extensions: built when Cohort is installed, if a compiler is there, and loaded with ctypes, so
that building them takes no Python headers and a call lets other threads run."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

from cohort_protocol.errors import Unavailable


class ExtensionUnavailable(Unavailable):
    """A C extension is not there or does not load. Everything runs without, slower."""

    code = "extension-unavailable"


def load_extension(folder: Path, name: str, declare: Callable[[ctypes.CDLL], None]) -> ctypes.CDLL:
    """The extension `name` of a package's folder, after `declare` has said what its functions take.

    Raises `ExtensionUnavailable` if it was not built, does not load, or lacks a function."""
    found = [path for suffix in EXTENSION_SUFFIXES if (path := folder / f"{name}{suffix}").is_file()]
    if not found:
        raise ExtensionUnavailable(
            "the C extension was not built (no compiler at install?); results are the same, only slower. Install gcc "
            "or clang, then run `pip install -e .` again"
        )
    try:
        library = ctypes.CDLL(str(found[0]))
        declare(library)
    except (OSError, AttributeError) as error:
        raise ExtensionUnavailable(
            f"the C extension {found[0].name} does not load ({error}): run `pip install -e .` again"
        ) from error
    return library
