"""Amounts that people write and read."""

from __future__ import annotations

import pytest
from cohort_trainer.amounts import format_amount, parse_amount, rough_amount
from cohort_trainer.errors import OwnerInputInvalid
from hypothesis import given
from hypothesis import strategies as st


@given(st.integers(0, 2**256 - 1), st.integers(0, 30))
def test_what_is_shown_is_what_would_be_parsed(value, decimals):
    shown = format_amount(value, decimals, "SYM").removesuffix(" SYM").replace(",", "")
    assert parse_amount(f"{shown} tokens", decimals) == value


@given(st.integers(0, 2**256 - 1), st.integers(0, 30))
def test_digits_alone_are_base_units(value, decimals):
    assert parse_amount(str(value), decimals) == parse_amount(value, decimals) == value


@pytest.mark.parametrize(
    ("text", "expected"),
    [("1 token", 10**6), ("1.5 tokens", 1_500_000), ("0.000001 tokens", 1), ("2.500000000 tokens", 2_500_000)],
)
def test_tokens(text, expected):
    assert parse_amount(text, 6) == expected


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            "-1",
            "1.5",
            "1e18",
            "0.0000001 tokens",
            "1,000 tokens",
            "tokens",
            ".5 tokens",
            "\u0661 tokens",
            "\u0661",
        ),
        *(True, 1.0, None, str(2**256), "9" * 78 + " tokens"),
    ],
)
def test_nothing_else_is_an_amount(text):
    with pytest.raises(OwnerInputInvalid):
        parse_amount(text, 6)


def test_the_name_of_a_token_cannot_write_on_the_terminal() -> None:
    """Anybody can deploy a token with any name; it stands beside what is asked for."""
    shown = format_amount(5, 0, "\x1b[2J\n  Stake 0\u202eXYZ and much more")
    assert shown.isprintable()
    assert len(shown) <= 20


@pytest.mark.parametrize(
    ("value", "decimals", "words"),
    [
        (107_777_777_777_777_777_777, 18, "107.7 T"),
        (2_586_666_666_666_666_666_666, 18, "2,586 T"),
        (1_234_567 * 10**18 + 1, 18, "1,234,567 T"),
        (2_800_007, 18, "0.0000000000028 T"),
        (242_500_000, 6, "242.5 T"),
        (0, 18, "0 T"),
        (12_345, 0, "12,345 T"),
    ],
)
def test_estimates_are_short_and_never_too_high(value, decimals, words):
    assert rough_amount(value, decimals, "T") == words
