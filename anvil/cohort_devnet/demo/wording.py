"""Words that the page, the tables and the report share."""

from __future__ import annotations

import re
from pathlib import Path

from cohort_devnet.demo.report import HONEST, Prices

_NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")

PROVEN = (
    "All parts work together as separate processes, and no service process held an owner's or a trainer's key.",
    "The contract paid by the scores that a quorum of witnesses signed, and no round paid more than its budget.",
    "All money adds up, from token balances and events on chain alone.",
    "Copying was impossible: commitments were on chain before the first update was shown.",
)
NOT_PROVEN = (
    "That the scores are right if you do not trust the witnesses: here all of them are ours, and a captured quorum "
    "can misstate scores, though never pay more than the budget. What they signed can be computed again by anyone "
    "from the bundles on IPFS; a proof on chain in their place is a later version.",
    "Anything about real prices: gas is measured, but its price is an assumption that is printed beside it.",
    "That other tasks, other data or cleverer cheats give the same figures.",
)


def number_word(value: int) -> str:
    """Small numbers in words, others in digits."""
    return _NUMBERS[value] if 0 <= value < len(_NUMBERS) else str(value)


def role_text(role: str) -> str:
    """`honest`, or the attack's name in words."""
    return role if role == HONEST else role.replace("_", " ")


def share_text(part: float) -> str:
    """A part of one as a percentage; small ones keep two significant digits."""
    value = 100 * part
    if 0 < value < 0.0001:
        return "< 0.0001%"
    if value == 0 or value >= 10:
        return f"{value:.3g}%"
    return f"{value:.2g}%" if value < 1 else f"{value:.1f}%"


def price_text(prices: Prices) -> str:
    return f"at {prices.gas_price_gwei:g} gwei and {prices.ether_usd:,.0f} USD per ETH"


def shown_path(path: Path) -> str:
    """A path as one would type it here: relative if it lies below the working directory."""
    try:
        return str(path.absolute().relative_to(Path.cwd()))
    except ValueError:
        return str(path.absolute())


def shorten_ids(text: str) -> str:
    """A sentence with its CIDs and hashes shortened."""
    return re.sub(r"\b(b[a-z2-7]{50,}|0x[0-9a-fA-F]{40,})\b", lambda found: short(found[0]), text)


def short(text: str | None) -> str:
    """Start and end of a long identifier."""
    if text is None:
        return "none"
    return text if len(text) <= 16 else f"{text[:8]}…{text[-6:]}"
