"""What an audit says: one finding per check, with its figures.

Unknown is not false: it says that something could not be read, so that another node or store may still tell.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Generic, TypeVar

from cohort_protocol.errors import CohortError, InvalidInput, NotFound, Unavailable

MAX_TEXT = 600
"""Characters of a finding: what it quotes may come from anywhere."""

Figure = int | str
"""A whole number, or words (addresses, hashes, CIDs)."""

Subject = TypeVar("Subject")


class State(StrEnum):
    """What a check came to."""

    TRUE = "true"
    FALSE = "false"
    UNKNOWN = "unknown"
    """What it needs could not be read."""
    ABSENT = "absent"
    """There is nothing to check: a round without a batch has no public rows."""
    SHOWN = "shown"
    """A figure without a limit: nothing follows from it but what readers make of it."""


@dataclass(frozen=True)
class Result:
    """What one check found."""

    state: State
    text: str
    figures: Mapping[str, Figure] = field(default_factory=dict)


def true(text: str, **figures: Figure) -> Result:
    return Result(State.TRUE, text, figures)


def false(text: str, **figures: Figure) -> Result:
    return Result(State.FALSE, text, figures)


def unknown(text: str, **figures: Figure) -> Result:
    return Result(State.UNKNOWN, text, figures)


def absent(text: str) -> Result:
    return Result(State.ABSENT, text)


def shown(text: str, **figures: Figure) -> Result:
    return Result(State.SHOWN, text, figures)


def agreed(problems: list[str], text: str, **figures: Figure) -> Result:
    """True with `text` if nothing stands against it, else false with the first problem and how many there are."""
    if not problems:
        return true(text, **figures)
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    return false(problems[0] + more, **figures)


@dataclass(frozen=True)
class Check(Generic[Subject]):
    """One thing that is looked at. `name` is stable: JSON, exit messages and documentation use it."""

    name: str
    about: str
    """What is compared with what, in a sentence."""
    run: Callable[[Subject], Result]
    decides: bool = True
    """Not: it only shows a figure, and where that cannot be had nothing is unknown."""


@dataclass(frozen=True)
class Finding:
    """A check, where it was made, and what it came to."""

    check: str
    about: str
    round: int | None
    """None: the project as a whole."""
    state: State
    text: str
    figures: Mapping[str, Figure]

    @property
    def where(self) -> str:
        """For messages: the check and its round."""
        return self.check if self.round is None else f"{self.check} of round {self.round}"


class NotTold(Unavailable):
    """Something that several checks need could not be had; the check that says why is named."""

    code = "audit-not-told"


def printable(text: str) -> str:
    """Without what a terminal would obey: titles, symbols and errors may quote anybody's bytes."""
    return "".join(each if each.isprintable() else ascii(each)[1:-1] for each in text)


def find(check: Check[Subject], subject: Subject, round: int | None) -> Finding:
    """Makes a check. What cannot be read makes it unknown, what is malformed makes it false: nothing that chain, IPFS
    or a service answers ends an audit."""
    try:
        result = check.run(subject)
    except (Unavailable, NotFound) as error:
        result = unknown(str(error))
    except InvalidInput as error:
        result = false(str(error))
    except CohortError as error:
        result = unknown(f"{type(error).__name__}: {error}")
    except (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError) as error:
        # Whatever is read may be hostile. What nobody foresaw is on record here, and no other check is lost to it.
        result = unknown(f"unforeseen {type(error).__name__}: {error}; please report it")
    if not check.decides and result.state in (State.FALSE, State.UNKNOWN):
        result = absent(f"cannot be measured here: {result.text}")
    text = result.text if len(result.text) <= MAX_TEXT else result.text[: MAX_TEXT - 3] + "..."
    figures = {name: printable(each) if isinstance(each, str) else each for name, each in result.figures.items()}
    return Finding(check.name, check.about, round, result.state, printable(text), figures)
