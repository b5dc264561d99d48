"""Fixed-point values as people read them."""

from __future__ import annotations

from cohort_protocol.scoring.fixed_point import ONE


def decimal(value: int, digits: int = 3) -> str:
    """A fixed-point value with `digits` significant digits (more before the point), rounded half up in size:
    -0.613, 0.0000305, 1138."""
    sign, size = ("-" if value < 0 else ""), abs(value)
    places = digits
    while size and places < 12 and size * 10**places // ONE < 10 ** (digits - 1):
        places += 1
    while places and size * 10 ** (places - 1) // ONE >= 10 ** (digits - 1):
        places -= 1
    scaled = (size * 10**places + ONE // 2) // ONE
    if scaled == 0:
        return "0"
    whole, fraction = divmod(scaled, 10**places)
    text = f"{whole}.{fraction:0{places}d}".rstrip("0").rstrip(".") if places else str(whole)
    return sign + text


def percent(value: int) -> str:
    """A fixed-point share as a percentage: 14.2%, 0.21%."""
    return f"{decimal(value * 100)}%"
