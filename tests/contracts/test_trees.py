"""Every Solidity test stands in the plan beside its file, and the other way round.

A plan (`X.tree` beside `X.t.sol`) has blocks `XTest::what`, and below each of them branches. A branch names its test by
the words of the test's name (`test_Reveal_RevertWhen_TheProjectIsUnknown`: `when the project is unknown` below
`RevealsTest::reveal`), or in brackets: `of 8 trainers (test_Round8)`.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parents[2] / "contracts" / "test"
FILES = sorted(TESTS.rglob("*.t.sol"))
NAMED = re.compile(r"\(((?:test|invariant)\w+)\)")


def _words(camel: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", " ", camel).lower()


def _branch(test: str) -> str:
    """What a test's name says: `block: when ...`, or the name itself."""
    parts = re.fullmatch(r"test(?:Fuzz)?_(\w+?)_(?:RevertWhen_|When_?)(\w+)", test)
    return f"{parts.group(1).lower()}: when {_words(parts.group(2))}" if parts else test


def _tests(file: Path) -> list[str]:
    return re.findall(r"^    function ((?:test|invariant)\w*)\(", file.read_text(), re.M)


def _planned(tree: Path) -> list[str]:
    found, block = [], ""
    for line in tree.read_text().splitlines():
        if head := re.fullmatch(r"(\w+)::(.+)", line):
            block = head.group(2).lower()
        elif branch := re.match(r"[├└]── (.*)", line):
            named = NAMED.search(branch.group(1))
            if "(tests/" not in branch.group(1):  # in Python
                found.append(named.group(1) if named else f"{block}: {branch.group(1).lower()}")
    return found


def test_there_are_tests() -> None:
    assert len(FILES) > 40


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.relative_to(TESTS).as_posix())
def test_a_plan_names_every_test_of_its_file_once_and_no_other(file: Path) -> None:
    tree = file.with_name(file.name.replace(".t.sol", ".tree"))
    planned = _planned(tree)
    expected = [name if name in planned else _branch(name) for name in _tests(file)]
    assert sorted(planned) == sorted(expected)


def test_every_plan_has_its_tests() -> None:
    assert [tree.name for tree in TESTS.rglob("*.tree") if not tree.with_name(f"{tree.stem}.t.sol").exists()] == []


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.relative_to(TESTS).as_posix())
def test_a_branch_says_what_should_happen(file: Path) -> None:
    """Below each `when ...` stands at least one line `it should ...`; elsewhere the block may say it for all."""
    lines = file.with_name(file.name.replace(".t.sol", ".tree")).read_text().splitlines()
    for line, following in zip(lines, [*lines[1:], ""], strict=True):
        if re.match(r"[├└]── when ", line):
            assert re.match(r"[│ ]   [├└]── it should ", following), line
