"""Amounts of a token as people read them. Everything else counts in base units (ints)."""

from __future__ import annotations


def exact_amount(value: int, decimals: int) -> str:
    """Whole tokens, thousands grouped, no digit lost: 1234500000 base units with 6 decimals are "1,234.5"."""
    whole, part = divmod(abs(value), 10**decimals)
    digits = str(part).rjust(decimals, "0").rstrip("0") if part else ""
    return f"{'-' if value < 0 else ''}{whole:,}{'.' + digits if digits else ''}"
