"""The written reference of report.json is the one that its model gives."""

from pathlib import Path

from cohort_devnet.demo.report_guide import guide

GUIDE = Path(__file__).resolve().parents[2] / "docs/guides/report.md"


def test_the_guide_is_up_to_date() -> None:
    assert GUIDE.read_text() == guide(), (
        "run: .venv/bin/python -m cohort_devnet.demo.report_guide > docs/guides/report.md"
    )


def test_amounts_are_said_to_be_decimal_text() -> None:
    assert "| `budget` | whole number as decimal text |" in guide()
    assert "| `payouts` | object: text to whole number as decimal text |" in guide()
