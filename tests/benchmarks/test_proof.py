"""The proving benchmark measures what it says, on models that take no time."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from cohort_protocol.proof.curve import add
from cohort_protocol.proof.srs import Srs, make_insecure_srs

from benchmarks.proof import inputs, proving
from benchmarks.table import Row


@pytest.fixture
def rows(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, Row]:
    def srs_of(d: int) -> Srs:
        return make_insecure_srs(tmp_path / str(d), d, "benchmark")

    monkeypatch.setattr(proving, "srs_of", srs_of)
    monkeypatch.setattr(proving, "QUICK_SIZES", (64, 256))
    monkeypatch.setattr(proving, "N", 8)
    return {row.name: row for row in proving.run(quick=True)}


def test_every_part_of_both_sizes_is_there(rows: dict[str, Row]) -> None:
    for d in (64, 256):
        for way in proving.WAYS:
            total = rows[f"d={d}, n=8, p=8: prove{way}"].value
            start = f"d={d}, n=8, p=8: prove{way}: "
            parts = [row.value for name, row in rows.items() if name.startswith(start) and _wall(name)]
            assert len(parts) == 7
            assert sum(parts) == pytest.approx(total)
            assert rows[f"d={d}: check of an opening, of 8 at once{way}"].value > 0
    assert all(row.goal is None for row in rows.values()), "a quick run has no goals"


def test_a_wrong_commitment_is_no_measurement(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    srs = make_insecure_srs(tmp_path / "srs", 64, "benchmark")
    made = inputs.make_round(srs, 7, 64)
    point = made.statement.commitments[0]
    wrong = replace(made.statement, commitments=(add(point, point), *made.statement.commitments[1:]))
    monkeypatch.setattr(proving, "N", 7)
    with pytest.raises(RuntimeError, match=r"\[0\]"):
        proving._openings(srs, inputs.Proved(wrong, made.rows), 64, "", False)


def _wall(name: str) -> bool:
    return not name.endswith(("CPU", "memory"))
