"""What the contracts' sources say of themselves, read without a compiler: which errors and events each call can reach,
constants, EIP-712 types.

Calls are followed by name: `Library.name(` into that library, `name(` into the same file if it has one, else into the
only contract that has it; a function that is assigned to a function type (`... untyped = name;`) counts as called. That
is enough for our sources, which overload nothing across files.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SOURCES = ROOT / "contracts" / "src"

_UNITS = {"": 1, "seconds": 1, "minutes": 60, "hours": 3600, "days": 86_400}


@dataclass(frozen=True)
class Body:
    """One function of one file."""

    file: str
    name: str
    external: bool
    text: str


@cache
def files() -> dict[str, str]:
    """Text of each source without comments, by contract name; interfaces and the local test token left out."""
    paths = [path for path in SOURCES.rglob("*.sol") if not {"interfaces", "devnet"} & set(path.parts)]
    assert len(paths) > 20, f"only {len(paths)} sources: the checks would check nothing"
    return {path.stem: _without_comments(path.read_text()) for path in paths}


def _without_comments(text: str) -> str:
    return re.sub(r"//[^\n]*|/\*.*?\*/", "", text, flags=re.S)


@cache
def bodies() -> tuple[Body, ...]:
    """Every function that has a body."""
    found = []
    for file, text in files().items():
        for start in re.finditer(r"\bfunction (\w+)\(", text):
            brace = re.compile(r"[{;]").search(text, start.end())
            assert brace is not None
            if brace.group() == ";":
                continue
            end = _closing(text, brace.start())
            head = text[start.start() : brace.start()]
            external = re.search(r"\b(external|public)\b", head) is not None
            found.append(Body(file, start.group(1), external, text[brace.start() : end]))
    return tuple(found)


def _closing(text: str, brace: int) -> int:
    depth = 0
    for at in range(brace, len(text)):
        depth += {"{": 1, "}": -1}.get(text[at], 0)
        if depth == 0:
            return at
    raise AssertionError("a brace is never closed")


def _called(body: Body) -> list[Body]:
    found = []
    for match in re.finditer(r"(?:\b(\w+)\.)?\b(\w+)\(", body.text):
        owner, name = match.groups()
        same = [other for other in bodies() if other.name == name]
        named = [other for other in same if other.file == owner]
        here = [other for other in same if other.file == body.file] if owner is None else []
        elsewhere = [other for other in same if owner is None or not other.external] if owner not in files() else []
        found += named or here or elsewhere
    pointed = re.findall(r"\bfunction\s*\([^;]*?\w = (\w+);", body.text)
    return found + [other for other in bodies() if other.file == body.file and other.name in pointed]


@cache
def reached(function: str) -> tuple[Body, ...]:
    """The bodies that an external function may run, itself first."""
    queue = [body for body in bodies() if body.name == function and body.external]
    assert len(queue) == 1, f"{function} has {len(queue)} bodies"
    for body in queue:
        queue += [other for other in dict.fromkeys(_called(body)) if other not in queue]
    return tuple(queue)


def errors_of(function: str) -> set[str]:
    """Our errors that a call can end in."""
    return {name for body in reached(function) for name in re.findall(r"revert (?:\w+\.)?(\w+)\(", body.text)}


def events_of(function: str) -> set[str]:
    """Events that a call can emit."""
    found = {name for body in reached(function) for name in re.findall(r"emit (?:\w+\.)?(\w+)\(", body.text)}
    topics = {name for body in reached(function) for name in re.findall(r"topic = (\w+)\.selector", body.text)}
    return found | topics


def phases_of(function: str) -> set[str]:
    """Phases in which a call on the newest round does not revert with WrongPhase or RoundStillRunning."""
    entered = {
        name for body in reached(function) for name in re.findall(r"_enter\((?:\)\()?[^)]*Phase\.(\w+)\)", body.text)
    }
    return entered | set(re.findall(r"found != Phase\.(\w+)", reached(function)[0].text))


def constant(name: str) -> int:
    """Value of a constant: a number, with a unit of time or a shift."""
    values = {value for text in files().values() for value in re.findall(rf"constant {name} = ([^;]+);", text)}
    assert len(values) == 1, f"{name} has the values {values}"
    return number(values.pop())


def number(text: str) -> int:
    """`1_000`, `30 days`, `1 << 24`."""
    match = re.fullmatch(r"([\d_]+)(?: (seconds|minutes|hours|days)| << (\d+))?", text.strip())
    assert match is not None, f"{text!r} is no number"
    value, unit, shift = match.groups()
    return int(value.replace("_", "")) * _UNITS[unit or ""] << int(shift or 0)


def typed_structures() -> set[str]:
    """What the contracts hash as EIP-712 types and as the type of a commitment, domains left out."""
    found = set()
    for text in files().values():
        for parts in re.findall(r"TYPEHASH\s*=\s*keccak256\(\s*((?:\"[^\"]*\"\s*)+)\)", text):
            found.add("".join(re.findall(r"\"([^\"]*)\"", parts)))
    return {one for one in found if not one.startswith("EIP712Domain(")}


def least_windows() -> dict[str, tuple[int, int]]:
    """Bounds of the constructor in seconds: on a local chain, and elsewhere."""
    pattern = r'_atLeast\("(\w+) window", [\w.]+, local \? (\d+) : ([^)]+)\)'
    return {name: (int(local), number(other)) for name, local, other in re.findall(pattern, files()["Deployment"])}
