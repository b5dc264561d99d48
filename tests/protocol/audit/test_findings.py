"""Findings, rank correlation, and what comes of what nobody foresaw."""

from __future__ import annotations

import pytest
from cohort_protocol.audit.errors import CallHidden
from cohort_protocol.audit.findings import MAX_TEXT, Check, Result, State, agreed, find, shown, true, unknown
from cohort_protocol.audit.learned import spearman
from cohort_protocol.chain.errors import ChainUnavailable, MethodUnsupported
from cohort_protocol.errors import InvalidInput, NotFound
from cohort_protocol.ipfs.errors import ContentCorrupt, ContentNotFound
from hypothesis import given
from hypothesis import strategies as st


def made(result: Result | Exception, decides: bool = True):
    def run(_: None) -> Result:
        if isinstance(result, Exception):
            raise result
        return result

    return find(Check("name", "about", run, decides), None, 3)


@pytest.mark.parametrize(
    ("error", "state"),
    [
        (ChainUnavailable("x"), State.UNKNOWN),
        (ContentNotFound("x"), State.UNKNOWN),
        (ContentCorrupt("x"), State.UNKNOWN),
        (CallHidden("x"), State.UNKNOWN),
        (NotFound("x"), State.UNKNOWN),
        (MethodUnsupported("x"), State.UNKNOWN),
        (InvalidInput("x"), State.FALSE),
        (ValueError("x"), State.UNKNOWN),
        (KeyError("x"), State.UNKNOWN),
    ],
)
def test_what_cannot_be_read_is_unknown_and_what_is_malformed_is_false(error: Exception, state: State) -> None:
    assert made(error).state is state


def test_a_programming_error_that_no_input_can_cause_is_not_hidden() -> None:
    with pytest.raises(AssertionError):
        made(AssertionError("x"))


def test_a_check_that_only_shows_makes_nothing_unknown_or_false() -> None:
    assert made(unknown("no torch"), decides=False).state is State.ABSENT
    assert made(InvalidInput("x"), decides=False).state is State.ABSENT
    assert made(shown("figure"), decides=False).state is State.SHOWN


def test_findings_are_short_and_printable() -> None:
    found = made(true("\x1b[31mred\n" + "x" * 10_000, title="\x07bell"))
    assert len(found.text) <= MAX_TEXT + 10
    assert found.text.isprintable()
    assert found.text.startswith("\\x1b[31mred\\n")
    assert found.figures["title"] == "\\x07bell"
    assert found.where == "name of round 3"


def test_the_first_problem_is_named_with_how_many_there_are() -> None:
    assert agreed([], "fine").state is State.TRUE
    found = agreed(["one", "two", "three"], "fine", figure=1)
    assert (found.state, found.text, found.figures) == (State.FALSE, "one (and 2 more)", {"figure": 1})


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ([1, 2, 3], [10, 20, 30], 1),
        ([1, 2, 3], [3, 2, 1], -1),
        ([1, 2, 3, 4], [1, 3, 2, 4], 0.8),
        ([1, 1, 2], [1, 2, 3], 0.8660254),  # ties share their mean rank
        ([1, 1, 1], [1, 2, 3], None),
    ],
)
def test_rank_correlation(first: list[float], second: list[float], expected: float | None) -> None:
    found = spearman(first, second)
    assert found == (pytest.approx(expected) if expected is not None else None)


@given(st.lists(st.tuples(st.integers(-5, 5), st.integers(-5, 5)), min_size=2, max_size=12))
def test_rank_correlation_is_symmetric_and_bounded(pairs: list[tuple[int, int]]) -> None:
    first, second = [float(a) for a, _ in pairs], [float(b) for _, b in pairs]
    found = spearman(first, second)
    assert found == spearman(second, first)
    assert found is None or -1.0000001 <= found <= 1.0000001
