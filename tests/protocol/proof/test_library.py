"""The curve library: loaded late and once, and what is said where it is missing."""

from __future__ import annotations

import subprocess
import sys
import tracemalloc
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from cohort_protocol import native_extension
from cohort_protocol.proof import msm_native
from cohort_protocol.proof.combination import combine_rows
from cohort_protocol.proof.curve import GENERATOR, multiply
from cohort_protocol.proof.library import library_status
from cohort_protocol.scoring.kernel import StreamRow

from tests.protocol.proof.plain import times


def run(*lines: str) -> str:
    """Output of a fresh interpreter."""
    done = subprocess.run([sys.executable, "-c", "\n".join(lines)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_nothing_is_loaded_before_it_is_used() -> None:
    """Processes of attested projects read proofs' types and never pay for the library."""
    out = run(
        "import sys",
        "import cohort_protocol.proof.commitment, cohort_protocol.proof.prover, cohort_protocol.proof.verifier",
        "from cohort_protocol.proof.curve import decompress",
        "decompress((1).to_bytes(32, 'big'))",
        "print('mclbn256' in sys.modules)",
    )
    assert out == "False\n"


def test_where_it_is_missing_the_error_names_what_else_to_do() -> None:
    out = run(
        "import sys",
        "sys.modules['mclbn256'] = None",
        "from cohort_protocol.proof.curve import GENERATOR, multiply",
        "from cohort_protocol.proof.errors import CurveLibraryMissing",
        "try: multiply(GENERATOR, 2)",
        "except CurveLibraryMissing as error: print(error.code, error)",
        "from cohort_protocol.proof.library import library_status",
        "print(library_status())",
    )
    assert "\nmissing: the curve library mclbn256 1.3.5 does not load" in out
    assert out.startswith("curve-library-missing")
    for words in ("mclbn256==1.3.5", "container", "attested"):
        assert words in out


def test_doctors_are_told() -> None:
    assert library_status() == "mclbn256 1.3.5"


def test_the_curve_is_right_whoever_loads_first() -> None:
    """Many threads at once: the library's own default is another curve, and its setting is global."""
    out = run(
        "from concurrent.futures import ThreadPoolExecutor",
        "from cohort_protocol.proof.curve import GENERATOR, multiply",
        "with ThreadPoolExecutor(8) as pool:",
        "    print({multiply(GENERATOR, 2).x for _ in pool.map(lambda k: multiply(GENERATOR, k), range(64))})",
    )
    assert out == f"{{{times(2)[0]}}}\n"


def test_threads_do_not_disturb_each_other() -> None:
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda k: multiply(GENERATOR, k), range(50)))
    assert [(point.x, point.y) for point in found] == [times(k) for k in range(50)]


def test_memory_does_not_grow_with_the_number_of_rows() -> None:
    """Only a block of each row is held: growth is the same for vectors four times as long."""

    def peak(count: int, d: int) -> int:
        def row(seed: int) -> StreamRow:
            def opened() -> Iterator[bytes]:
                for part in range(2 * d >> 14):
                    yield np.random.default_rng([seed, part]).bytes(1 << 14)

            return StreamRow(opened, d)

        rows = [row(seed) for seed in range(count)]
        tracemalloc.start()
        combine_rows(rows, [2**127 + seed for seed in range(count)])
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    peak(1, 1 << 14)
    short, long = (peak(32, d) - peak(4, d) for d in (1 << 16, 1 << 18))
    assert long < 1.1 * short + (1 << 20)


def test_the_extension_for_sums_is_optional_and_says_why_it_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    fresh = msm_native._load.__wrapped__
    monkeypatch.setattr(native_extension, "EXTENSION_SUFFIXES", [".no-such-suffix"])
    assert "was not built" in fresh()
    with msm_native.without_extension():
        assert msm_native.native_msm() is None
