"""Token amounts for people. Everything else counts in base units (ints)."""

from __future__ import annotations

import re

from cohort_protocol.identifiers import MAX_UINT256
from cohort_protocol.token_amounts import exact_amount

from cohort_trainer.errors import OwnerInputInvalid
from cohort_trainer.foreign_words import printable

MAX_SYMBOL = 16
"""Characters of a token's name that are shown: anybody can deploy a token with any name."""
_BASE_UNITS = re.compile(r"[0-9]{1,78}")
_TOKENS = re.compile(r"([0-9]{1,78})(?:\.([0-9]{1,77}))? tokens?")


def format_amount(value: int, decimals: int, symbol: str) -> str:
    """Exact: 1500000 base units of a token with 6 decimals are "1.5 SYM"."""
    return f"{exact_amount(value, decimals)} {printable(symbol)[:MAX_SYMBOL]}"


def rough_amount(value: int, decimals: int, symbol: str) -> str:
    """For estimates: rounded down to four significant digits, or to whole tokens where there are more.

    107777777777777777777 base units of a token with 18 decimals are "107.7 SYM"; less than a whole token keeps four
    digits after its zeros."""
    drop = max(0, min(decimals, len(str(abs(value))) - 4))
    return format_amount(value // 10**drop * 10**drop, decimals, symbol)


def parse_amount(value: str | int, decimals: int) -> int:
    """Base units from a whole number ("1500000", 1500000) or from tokens ("1.5 tokens").

    Raises `OwnerInputInvalid`, also for more decimals than the token has: nothing is rounded away.
    """
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise OwnerInputInvalid(f"{value!r} is not an amount; {_ALLOWED}")
    text = str(value).strip()
    tokens = _TOKENS.fullmatch(text)
    if tokens:
        part = (tokens[2] or "").rstrip("0")
        if len(part) > decimals:
            raise OwnerInputInvalid(f"{text!r} has more decimals than the token, which has {decimals}")
        amount = int(tokens[1]) * 10**decimals + int(part.ljust(decimals, "0") or "0")
    elif _BASE_UNITS.fullmatch(text):
        amount = int(text)
    else:
        raise OwnerInputInvalid(f"{text[:80]!r} is not an amount; {_ALLOWED}")
    if amount > MAX_UINT256:
        raise OwnerInputInvalid(f"{text[:80]!r} is more than any token has")
    return amount


_ALLOWED = 'allowed are base units ("1500000") and tokens ("1.5 tokens")'
