"""Colours of the report.

Okabe and Ito's colour-blind safe palette (Color Universal Design, 2008); honest trainers share
blue and are told apart by their labels, each attack has a colour and a mark of its own.
"""

from __future__ import annotations

from dataclasses import dataclass

HONEST_COLOUR = "#0072B2"
CLEAN_COLOUR = "#009E73"
MARKET_COLOUR = "#0072B2"
UNFILTERED_COLOUR = "#D55E00"
LOCAL_COLOUR = "#999999"


@dataclass(frozen=True)
class Look:
    """How one trainer's line and bar are drawn. `marker` and `hatch` in matplotlib's notation."""

    colour: str
    marker: str
    hatch: str


_ATTACKS = (Look("#D55E00", "x", "//"), Look("#CC79A7", "s", "\\\\"), Look("#E69F00", "^", ".."))


def looks(roles: dict[str, str], honest: str) -> dict[str, Look]:
    """Address -> look. Attacks take their looks in order of appearance, so that the same attack looks the same."""
    attacks: list[str] = []
    result = {}
    for address, role in roles.items():
        if role == honest:
            result[address] = Look(HONEST_COLOUR, "o", "")
            continue
        if role not in attacks:
            attacks.append(role)
        result[address] = _ATTACKS[attacks.index(role) % len(_ATTACKS)]
    return result
