"""Times for people: a deadline with its date and how far away it is."""

from __future__ import annotations

from datetime import UTC, datetime

_UNITS = (("day", 86_400), ("h", 3_600), ("min", 60), ("s", 1))


def in_words(seconds: int) -> str:
    """The largest unit and the one below: 11,000 is "3 h 3 min", 90,000 "1 day 1 h", 86,401 "1 day"."""
    rest = max(0, seconds)
    for position, (name, size) in enumerate(_UNITS):
        if rest >= size:
            count, rest = divmod(rest, size)
            text = f"{count} {name}{'s' if name == 'day' and count != 1 else ''}"
            below = rest // _UNITS[position + 1][1] if position + 1 < len(_UNITS) else 0
            return f"{text} {below} {_UNITS[position + 1][0]}" if below else text
    return "0 s"


def moment(timestamp: int, now: int) -> str:
    """A time (unix seconds) as seen from `now`: "2026-11-21 13:00:00 UTC, in 3 h 20 min"."""
    try:
        date = datetime.fromtimestamp(timestamp, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    except (OverflowError, OSError, ValueError):
        date = f"{timestamp} (unix seconds)"
    distance = in_words(abs(timestamp - now))
    return f"{date}, in {distance}" if timestamp > now else f"{date}, {distance} ago"
