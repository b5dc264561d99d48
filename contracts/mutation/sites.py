"""Finds the one-line mutations of contracts/src: a check taken away, one clause of it, a deadline moved by one, a lock
removed.

Every mutation is a replacement of a stretch of one source file. Each has two forms: `plain`, the changed source as
somebody could have written it, and `switched`, the same change behind a switch that is thrown when the tests run, so
that all mutations fit into one compilation (mutant schemata; Untch, Offutt and Harrold 1993).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

SKIPPED_FOLDERS = {"interfaces", "types", "devnet"}
CHECK_CALL = re.compile(
    r"^[ \t]*((?:_check\w*|_within|_atLeast|_increasing|TermsCheck\.check|Quorum\.check|Bn254\.check"
    r"|RoundArgument\.check|Deposits\.pull|_closeNewestRound)"
    r"\([^;{}]*\);)[ \t]*(?=//|\n)",
    re.M,
)
SKIP_RETURN = re.compile(r"return \(?(?:\w+, )?(?:LeafSkip|SkipReason)\.|return false|return \(0, 0\)")
# In assembly: calls that give 0 or 1; strict comparisons, each with the one whose negation differs at equality only.
TRUTHS = {"gt", "lt", "sgt", "slt", "eq", "iszero"}
OPPOSITE = {"gt": "lt", "lt": "gt", "sgt": "slt", "slt": "sgt"}
# See Mutant.stash.
STASH = "Mutant.stash();\n        "
STASHED = "mload(0x10000)"
# Kinds of operators.py whose change says nothing by itself.
IN_THEIR_LINE = {"negation", "operator", "ceiling", "value", "swap", "assembly number", "assembly value"}
FLIPPED = {"<": "<=", "<=": "<", ">": ">=", ">=": ">"}


@dataclass(frozen=True)
class Mutation:
    """One mutation. `start` and `end` are offsets into the file's text."""

    number: int
    path: str  # relative to contracts/src
    line: int
    kind: str  # guard, clause, boundary, check, lock
    start: int
    end: int
    plain: str

    def describe(self, text: str) -> str:
        """Of a number or a value, the line that it stands in."""
        start, end = self.start, self.end
        if self.kind in IN_THEIR_LINE:
            start, end = text.rfind("\n", 0, start) + 1, text.find("\n", end)
        after = text[start : self.start] + self.plain + text[self.end : end]
        return " ".join(text[start:end].split()) + "  ->  " + " ".join(after.split() or ["(nothing)"])


def blank_comments(text: str) -> str:
    """The text with comments and strings replaced by spaces of the same length, so that offsets stay."""
    pattern = re.compile(r"//[^\n]*|/\*.*?\*/|\"(?:[^\"\\\n]|\\.)*\"", re.S)
    return pattern.sub(lambda m: re.sub(r"[^\n]", " ", m.group(0)), text)


def closing(text: str, at: int) -> int:
    """Offset just behind the bracket that closes the one at `at`."""
    depth = 0
    for i in range(at, len(text)):
        depth += (text[i] in "([{") - (text[i] in ")]}")
        if depth == 0:
            return i + 1
    raise ValueError("unbalanced brackets")


def split_top(text: str, start: int, end: int, operator: str) -> list[tuple[int, int]]:
    """Stretches of [start, end) between occurrences of `operator` outside brackets, without outer blanks."""
    parts, depth, begin, i = [], 0, start, start
    while i < end:
        depth += (text[i] in "([{") - (text[i] in ")]}")
        if depth == 0 and text.startswith(operator, i):
            parts.append((begin, i))
            begin = i = i + len(operator)
            continue
        i += 1
    parts.append((begin, end))
    return [_trim(text, a, b) for a, b in parts]


def _trim(text: str, start: int, end: int) -> tuple[int, int]:
    while start < end and text[start].isspace():
        start += 1
    while end > start and text[end - 1].isspace():
        end -= 1
    return start, end


def comparison(text: str, start: int, end: int) -> tuple[int, str] | None:
    """The ordering operator of [start, end) outside brackets, if there is exactly one."""
    found, depth, i = [], 0, start
    while i < end:
        depth += (text[i] in "([{") - (text[i] in ")]}")
        if depth == 0 and text[i] in "<>":
            if text[i : i + 2] in ("<<", ">>"):
                i += 2
                continue
            if text[i - 1] != "=":
                found.append((i, text[i : i + 2] if text[i + 1] == "=" else text[i]))
        i += 1
    return found[0] if len(found) == 1 else None


class Finder:
    """Collects the mutations of one file, and the edits that put all of them behind switches."""

    def __init__(self, path: str, text: str, first: int) -> None:
        self.path, self.text, self.next = path, text, first
        self.bare = blank_comments(text)
        self.mutations: list[Mutation] = []
        self.edits: list[tuple[int, int, str]] = []
        self._conditions()
        self._checks()
        self._assembly()
        self._locks()

    def _add(self, kind: str, start: int, end: int, plain: str) -> int:
        line = self.text.count("\n", 0, start) + 1
        self.mutations.append(Mutation(self.next, self.path, line, kind, start, end, plain))
        self.next += 1
        return self.next - 1

    def _conditions(self) -> None:
        for match in re.finditer(r"\bif \(", self.bare):
            start = match.end() - 1
            end = closing(self.bare, start)
            body = self.bare[end:].lstrip().removeprefix("{").lstrip()
            guard = body.startswith("revert") or SKIP_RETURN.match(body) is not None
            self._condition(start + 1, end - 1, guard)

    def _condition(self, start: int, end: int, guard: bool) -> None:
        whole = self.text[start:end]
        either = split_top(self.bare, start, end, "||")
        both = split_top(self.bare, start, end, "&&") if len(either) == 1 else []
        clauses = either if len(either) > 1 else both
        pieces = []
        for a, b in clauses:
            piece = self._flip(a, b)
            if guard and len(clauses) > 1:
                rest = [self.text[x:y] for x, y in clauses if (x, y) != (a, b)]
                joint = " || " if len(either) > 1 else " && "
                number = self._add("clause", start, end, joint.join(rest))
                switch = f"Mutant.off({number})" if len(either) > 1 else f"Mutant.on({number})"
                piece = f"({piece} {'&&' if len(either) > 1 else '||'} {switch})"
            pieces.append(piece)
        switched = (" || " if len(either) > 1 else " && ").join(pieces)
        if guard:
            number = self._add("guard", start, end, f"false && ({whole})")
            switched = f"({switched}) && Mutant.off({number})"
        if switched != whole:
            self.edits.append((start, end, switched))

    def _flip(self, start: int, end: int) -> str:
        clause = self.text[start:end]
        found = comparison(self.bare, start, end)
        if found is None:
            return clause
        at, operator = found
        flipped = self.text[start:at] + FLIPPED[operator] + self.text[at + len(operator) : end]
        number = self._add("boundary", start, end, flipped)
        return f"(Mutant.on({number}) ? {flipped} : {clause})"

    def _checks(self) -> None:
        assembly = [(m.start(), closing(self.bare, m.end() - 1)) for m in re.finditer(r"\bassembly[^{]*\{", self.bare)]
        for match in CHECK_CALL.finditer(self.bare):
            start, end = match.span(1)
            if any(a <= start < b for a, b in assembly):
                continue
            if any(start < b and a < end for a, b, _ in self.edits):
                continue
            before = self.bare[:start].rstrip()
            if not before.endswith((";", "{", "}")):  # the branch of an if: leave the else where it is
                continue
            number = self._add("check", start, end, "")
            self.edits.append((start, end, f"if (Mutant.off({number})) {{ {self.text[start:end]} }}"))

    def _assembly(self) -> None:
        """`if <condition> { ... }` in assembly. Where the block ends a loop (what is looked at before the next entry is
        taken), also clauses and comparisons; clamps and cases only as a whole."""
        for match in re.finditer(r"\bif (?=\w+(?:\(| \{))", self.bare):
            start = match.end()
            end = re.compile(r"\w+").match(self.bare, start).end()
            if self.bare[end] == "(":
                end = closing(self.bare, end)
            block = self.bare.index("{", end)
            stops = re.search(r"\b(break|revert|leave)\b", self.bare[block : closing(self.bare, block)]) is not None
            place = self._switch_place(start)
            whole = self._clauses(start, end, (start, end), "", place) if stops else self.text[start:end]
            number = self._add("guard", start, end, "0")
            self.edits.append((start, end, f"mul(iszero(eq({place}, {number})), {whole})"))

    def _clauses(self, start: int, end: int, all_of: tuple[int, int], joint: str, place: str) -> str:
        """The condition with a switch at every clause of `or` and `and`, and at every comparison."""
        name = re.compile(r"\w+").match(self.bare, start).group()
        inner = (start + len(name) + 1, end - 1)
        parts = split_top(self.bare, *inner, ",") if self.bare[start + len(name)] == "(" else []
        if name == "or" or (name == "and" and self._is_truth(start, end)):
            return f"{name}({', '.join(self._clauses(a, b, all_of, name, place) for a, b in parts)})"
        if name == "iszero" and self.bare[parts[0][0] : parts[0][1]].startswith(("and(", "or(")):
            return f"iszero({self._clauses(*parts[0], all_of, '', place)})"

        def without(replacement: str) -> str:
            return self.text[all_of[0] : start] + replacement + self.text[end : all_of[1]]

        found = self.text[start:end]
        if name in OPPOSITE:
            flipped = f"iszero({OPPOSITE[name]}{found[len(name) :]})"
            number = self._add("boundary", *all_of, without(flipped))
            found = f"xor({found}, mul(eq({place}, {number}), eq({', '.join(self.text[a:b] for a, b in parts)})))"
        if joint == "or":
            number = self._add("clause", *all_of, without("0"))
            found = f"mul(iszero(eq({place}, {number})), {found})"
        elif joint == "and":
            number = self._add("clause", *all_of, without("1"))
            found = f"or(eq({place}, {number}), {found})"
        return found

    def _is_truth(self, start: int, end: int) -> bool:
        """Whether assembly gives 0 or 1. Names count as truths beside another truth: `and(valid, lt(x, p))`."""
        name = re.compile(r"\w+").match(self.bare, start).group()
        if name not in ("and", "or"):
            return name in TRUTHS
        parts = split_top(self.bare, start + len(name) + 1, end - 1, ",")
        truths = [part for part in parts if self._is_truth(*part)]
        return bool(truths) and all(part in truths or self.bare[slice(*part)].isidentifier() for part in parts)

    def _switch_place(self, at: int) -> str:
        """Where the assembly at `at` finds the switch. Pure functions may not look at the environment; for them it is
        put into memory before the assembly begins."""
        if not self._in_pure(at):
            return "coinbase()"
        block = self.bare.rindex("assembly", 0, at)
        if (block, block, STASH) not in self.edits:
            self.edits.append((block, block, STASH))
        return STASHED

    def _in_pure(self, at: int) -> bool:
        """Whether the function of Solidity around `at` is pure. Those of assembly are further in."""
        start = max(m.start() for m in re.finditer(r"^ {0,4}function ", self.bare[:at], re.M))
        return re.search(r"\bpure\b", self.bare[start : self.bare.index("{", start)]) is not None

    def _locks(self) -> None:
        for match in re.finditer(r"\bnonReentrant\b", self.bare):
            number = self._add("lock", *match.span(), "")
            self.edits.append((*match.span(), f"nonReentrantUnless{number}"))


def switched_source(text: str, edits: list[tuple[int, int, str]]) -> str:
    for start, end, replacement in sorted(edits, reverse=True):
        text = text[:start] + replacement + text[end:]
    return text


def find_all(src: Path) -> tuple[list[Mutation], dict[str, str]]:
    """All mutations of the sources, numbered from 1, and the switched text of each file that has any."""
    mutations: list[Mutation] = []
    switched: dict[str, str] = {}
    for file in sorted(src.rglob("*.sol")):
        path = file.relative_to(src)
        if path.parts[0] in SKIPPED_FOLDERS:
            continue
        finder = Finder(path.as_posix(), file.read_text(), len(mutations) + 1)
        mutations += finder.mutations
        if finder.edits:
            switched[path.as_posix()] = switched_source(finder.text, finder.edits)
    return mutations, switched
