"""Mutations by operator, for a sample: every statement, comparison, operator, number and value of contracts/src,
changed as an outside tester would.

sites.py takes every check away. This one knows nothing about the contracts: it walks the compiler's syntax tree and
changes whatever can be changed without breaking the types. There are ten thousand, so a run draws some by seed.
Those that sites.py has are left out. The same two forms as there: `plain` as somebody could have written it, `switched`
for one compilation of all. What errors say is left alone, and what a switch cannot reach: constants where they are
defined (where they are used, they are values), modifiers, types.

| kind | change |
|---|---|
| statement | deleted: writes to storage, events, transfers, calls |
| negation | a comparison or condition is its opposite |
| boundary | < and <=, > and >= exchanged, where sites.py does not look |
| operator | + and -, * and /, << and >>, & and \\|, && and \\|\\| exchanged |
| ceiling | a quotient is rounded up |
| value | one more or one less; another address; the highest bit of bytes; true and false |
| swap | two neighbouring arguments of the same type exchanged |
| assembly statement | deleted |
| assembly number | its lowest bit changed: shifts, masks, offsets |
| assembly value | the result of a call one more, or the opposite if it is a truth |
"""

from __future__ import annotations

import hashlib
import json
import posixpath
import random
import re
import subprocess
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import sites

Node = dict  # of the compiler's syntax tree
NEGATED = {"==": "!=", "!=": "==", "<": ">=", ">=": "<", ">": "<=", "<=": ">"}
EXCHANGED = {"+": "-", "-": "+", "*": "/", "/": "*", "<<": ">>", ">>": "<<", "&": "|", "|": "&", "&&": "||", "||": "&&"}
ELEMENTARY = re.compile(r"bool|address|u?int\d+|bytes\d+")
# Results that are 0 or 1: a lowest bit changed is the opposite.
YUL_TRUTHS = sites.TRUTHS
# More gas for a call is no other behaviour.
YUL_LEFT = {"gas"}
# Swaps need both in both places.
PLAIN_NODES = {"Identifier", "MemberAccess", "IndexAccess", "Literal"}


@dataclass(frozen=True)
class Candidate:
    """A mutation, and the text behind a switch with `#` for its number. Several of one file fit together if their
    stretches do not overlap."""

    path: str
    kind: str
    start: int
    end: int
    plain: str
    switched: str
    stash_at: int | None  # assembly in a pure function: see Mutant.stash


def syntax_trees(contracts: Path) -> dict[str, Node]:
    """By path relative to src, of every source there; in about 10 s of a processor."""
    sources = [f"src/{f.relative_to(contracts / 'src').as_posix()}" for f in sorted((contracts / "src").rglob("*.sol"))]
    texts: dict[str, str] = {}
    waiting = list(sources)
    while waiting:
        name = waiting.pop()
        texts[name] = (contracts / name).read_text()
        for found in re.findall(r'^import[^;]*?"([^"]+)";', texts[name], re.M):
            inner = posixpath.normpath(posixpath.join(posixpath.dirname(name), found))
            target = inner if found.startswith(".") else f"node_modules/{found}"
            if target not in texts and target not in waiting:
                waiting.append(target)
    question = {
        "language": "Solidity",
        "sources": {name: {"content": text} for name, text in texts.items()},
        "settings": {
            "remappings": ["@openzeppelin/=node_modules/@openzeppelin/"],
            "evmVersion": "cancun",
            "outputSelection": {"*": {"": ["ast"]}},
        },
    }
    command = [str(contracts / "compiler" / "solc"), "--standard-json"]
    done = subprocess.run(command, input=json.dumps(question), text=True, stdout=subprocess.PIPE, check=True)
    answer = json.loads(done.stdout)
    errors = [e["formattedMessage"] for e in answer.get("errors", []) if e["severity"] == "error"]
    if errors:
        raise RuntimeError(errors[0])
    return {name.removeprefix("src/"): answer["sources"][name]["ast"] for name in sources}


class Walker:
    """Collects the candidates of one file."""

    def __init__(self, path: str, text: str, tree: Node) -> None:
        if not text.isascii():
            raise RuntimeError(f"{path} has characters beyond ASCII: offsets would be wrong")
        self.path, self.text = path, text
        self.found: list[Candidate] = []
        self.pure = False
        self.assembly = 0
        for function in self._functions(tree):
            self.pure = function["stateMutability"] == "pure"
            self._visit(function["body"], function)

    def _functions(self, node: object) -> Iterator[Node]:
        if isinstance(node, list):
            for one in node:
                yield from self._functions(one)
        elif isinstance(node, dict):
            if node.get("nodeType") == "FunctionDefinition":
                if node.get("body"):
                    yield node
                return
            for one in node.values():
                yield from self._functions(one)

    def _span(self, node: Node) -> tuple[int, int]:
        start, length, _ = (int(part) for part in node["src"].split(":"))
        return start, start + length

    def _text(self, node: Node) -> str:
        return self.text[slice(*self._span(node))]

    def _add(self, kind: str, span: tuple[int, int], plain: str, switched: str, stash_at: int | None = None) -> None:
        self.found.append(Candidate(self.path, kind, *span, plain, switched, stash_at))

    def _visit(self, node: object, parent: Node) -> None:
        if isinstance(node, list):
            for one in node:
                self._visit(one, parent)
            return
        if not isinstance(node, dict) or "nodeType" not in node:
            return
        kind = node["nodeType"]
        if kind in ("RevertStatement", "ArrayTypeName", "ElementaryTypeName"):  # what an error says is no behaviour
            return
        if kind == "InlineAssembly":
            self.assembly = self._span(node)[0]
            self._visit_yul(node["AST"], node)
            return
        visit = getattr(self, f"_visit_{kind}", None)
        if visit is not None:
            visit(node, parent)
        for name, one in node.items():
            if isinstance(one, dict | list) and name != "typeDescriptions":
                self._visit(one, node)

    # Statements

    def _visit_ExpressionStatement(self, node: Node, parent: Node) -> None:
        if parent["nodeType"] == "ForStatement" and parent.get("loopExpression") is node:
            return
        expression = node.get("expression") or node["eventCall"]
        if expression["nodeType"] == "FunctionCall":
            self._swaps(expression)
        elif expression["nodeType"] == "Assignment" and "storage pointer" in self._type(expression["leftHandSide"]):
            return
        start, end = self._span(node)
        end = self.text.index(";", end - 1) + 1
        alone = parent["nodeType"] not in ("Block", "UncheckedBlock")
        whole = self.text[start:end]
        self._add("statement", (start, end), "{}" if alone else "", f"{{ if (Mutant.off(#)) {{ {whole} }} }}")

    _visit_EmitStatement = _visit_ExpressionStatement

    def _visit_condition(self, node: Node, parent: Node) -> None:
        condition = node.get("condition")
        if condition is not None and condition["nodeType"] not in ("BinaryOperation", "UnaryOperation"):
            self._negate(condition, f"!{self._text(condition)}")

    _visit_IfStatement = _visit_WhileStatement = _visit_ForStatement = _visit_Conditional = _visit_condition

    def _visit_Return(self, node: Node, parent: Node) -> None:
        expression = node.get("expression")
        if expression is not None:
            self._value(expression, self._type(expression))

    def _visit_VariableDeclarationStatement(self, node: Node, parent: Node) -> None:
        if node.get("initialValue") is not None and len(node["declarations"]) == 1:
            self._value(node["initialValue"], node["declarations"][0]["typeDescriptions"]["typeString"])

    # Expressions

    def _type(self, node: Node) -> str:
        return node["typeDescriptions"].get("typeString") or ""

    def _visit_Assignment(self, node: Node, parent: Node) -> None:
        operator = node["operator"]
        target = self._type(node["leftHandSide"])
        self._value(node["rightHandSide"], target)
        if operator != "=" and operator[:-1] in EXCHANGED:
            left, right = self._text(node["leftHandSide"]), self._text(node["rightHandSide"])
            other = f"{left} {EXCHANGED[operator[:-1]]}= {right}"
            if parent["nodeType"] == "ExpressionStatement":
                span = self._span(node)
                chosen = f"(Mutant.on(#) ? {left} {EXCHANGED[operator[:-1]]} {right} : {left} {operator[:-1]} {right})"
                self._add("operator", span, other, f"{left} = {chosen}")

    def _visit_BinaryOperation(self, node: Node, parent: Node) -> None:
        operator, common = node["operator"], node["commonType"]["typeString"]
        if common.startswith(("int_const", "rational")):
            return
        left, right = self._text(node["leftExpression"]), self._text(node["rightExpression"])
        span = self._span(node)
        if operator in NEGATED:
            self._negate(node, f"{left} {NEGATED[operator]} {right}")
        if operator in sites.FLIPPED:
            other = f"{left} {sites.FLIPPED[operator]} {right}"
            self._add("boundary", span, other, f"(Mutant.on(#) ? {other} : {self._text(node)})")
        if operator in EXCHANGED and not self._constant(node["leftExpression"]):
            other = f"{left} {EXCHANGED[operator]} {right}"
            self._add("operator", span, other, f"(Mutant.on(#) ? {other} : {self._text(node)})")
        if operator == "/" and common == "uint256":
            self._add("ceiling", span, f"({left} + {right} - 1) / {right}", f"Mutant.ceiling(#, {left}, {right})")
        for side in ("leftExpression", "rightExpression"):
            shift = operator in ("<<", ">>") and side == "rightExpression"
            self._value(node[side], "uint256" if shift else common)

    def _visit_UnaryOperation(self, node: Node, parent: Node) -> None:
        if node["operator"] == "!":
            self._negate(node, self._text(node["subExpression"]))

    def _visit_IndexAccess(self, node: Node, parent: Node) -> None:
        if node.get("indexExpression") is not None:
            index = self._type(node["indexExpression"])
            self._value(node["indexExpression"], "uint256" if index.startswith("int_const") else index)

    def _visit_FunctionCall(self, node: Node, parent: Node) -> None:
        if node["kind"] == "typeConversion" or node["expression"]["nodeType"] == "NewExpression":
            return
        named = re.match(r"function (?:\w+ )?\(([^()]*)\)", self._type(node["expression"]))
        types = named.group(1).split(",") if named else []
        for i, argument in enumerate(node["arguments"]):
            given = self._type(argument)
            wanted = types[i] if len(types) == len(node["arguments"]) else given
            self._value(argument, wanted)
        if parent["nodeType"] not in ("ExpressionStatement", "EmitStatement"):
            self._swaps(node)

    def _constant(self, node: Node) -> bool:
        return self._type(node).startswith("int_const")

    def _negate(self, node: Node, plain: str) -> None:
        if self._type(node) == "bool":
            self._add("negation", self._span(node), plain, f"Mutant.flip(#, {self._text(node)})")

    def _value(self, node: Node, wanted: str) -> None:
        """One candidate; whether a number is one more or one less is by place."""
        text, span = self._text(node), self._span(node)
        if node["nodeType"] == "TupleExpression" or not ELEMENTARY.fullmatch(wanted):
            return
        if not self._constant(node) and not ELEMENTARY.fullmatch(self._type(node)):
            return
        whole = f"({text})" if node["nodeType"] in ("BinaryOperation", "Conditional", "Assignment") else text
        more = int(hashlib.sha256(f"{self.path}{span}".encode()).hexdigest(), 16) % 2 == 0
        if wanted == "bool":
            if node["nodeType"] not in ("BinaryOperation", "UnaryOperation"):
                self._negate(node, f"!{whole}")
        elif wanted == "address":
            self._add("value", span, f"address(uint160({text}) ^ 1)", f"Mutant.other(#, {text})")
        elif wanted.startswith("bytes"):
            if not self._constant(node):
                switched = f"{wanted}(Mutant.twisted(#, {text}))"
                self._add("value", span, f"{whole} ^ {wanted}(bytes1(0x80))", switched)
        else:
            name = ("more" if more else "less") + ("" if wanted.startswith("u") else "Int")
            self._add("value", span, f"{whole} {'+' if more else '-'} 1", f"{wanted}(Mutant.{name}(#, {text}))")

    def _swaps(self, node: Node) -> None:
        arguments = node["arguments"]
        for a, b in pairwise(arguments):
            first, second = self._text(a), self._text(b)
            same = self._type(a) == self._type(b) and first != second and not self._constant(a)
            if same and {a["nodeType"], b["nodeType"]} <= PLAIN_NODES:
                span = (self._span(a)[0], self._span(b)[1])
                between = self.text[self._span(a)[1] : self._span(b)[0]]
                switched = f"Mutant.on(#) ? {second} : {first}{between}Mutant.on(#) ? {first} : {second}"
                self._add("swap", span, f"{second}{between}{first}", switched)

    # Assembly

    def _visit_yul(self, node: object, parent: Node) -> None:
        if isinstance(node, list):
            for one in node:
                self._visit_yul(one, parent)
            return
        if not isinstance(node, dict) or "nodeType" not in node or node["nodeType"] == "YulCase":
            return
        kind = node["nodeType"]
        loop = parent["nodeType"] == "YulForLoop" and node in (parent["pre"], parent["post"], parent["condition"])
        if kind in ("YulExpressionStatement", "YulAssignment"):
            self._add_yul("assembly statement", node, "", "if iszero(eq(@, #)) { $ }")
        elif kind == "YulFunctionCall" and parent["nodeType"] != "YulExpressionStatement" and not loop:
            name = node["functionName"]["name"]
            if name in YUL_TRUTHS:
                opposite = f"iszero({self._text(node)})"
                self._add_yul("assembly value", node, opposite, "xor($, eq(@, #))")
            elif name not in YUL_LEFT and parent["nodeType"] != "YulIf":
                self._add_yul("assembly value", node, f"add({self._text(node)}, 1)", "add($, eq(@, #))")
        elif kind == "YulLiteral" and node["kind"] == "number" and parent["nodeType"] != "YulForLoop":
            changed = int(node["value"], 0) ^ 1
            plain = hex(changed) if node["value"].startswith("0x") else str(changed)
            self._add_yul("assembly number", node, plain, "xor($, eq(@, #))")
        for name, one in node.items():
            if isinstance(one, dict | list) and name != "functionName":
                self._visit_yul(one, node)

    def _add_yul(self, kind: str, node: Node, plain: str, switched: str) -> None:
        """In `switched`: @ where the switch is, $ the text as it is."""
        place = sites.STASHED if self.pure else "coinbase()"
        switched = switched.replace("@", place).replace("$", self._text(node))
        self._add(kind, self._span(node), plain, switched, self.assembly if self.pure else None)


def candidates(contracts: Path) -> list[Candidate]:
    """Of all sources in which sites.py looks, without the mutations that it finds."""
    src = contracts / "src"
    known = {(m.path, _changed(m.start, m.end, m.plain, (src / m.path).read_text())) for m in sites.find_all(src)[0]}
    found: dict[tuple[str, str], Candidate] = {}
    for path, tree in syntax_trees(contracts).items():
        if path.split("/")[0] in sites.SKIPPED_FOLDERS:
            continue
        text = (src / path).read_text()
        for one in Walker(path, text, tree).found:
            place = (path, _changed(one.start, one.end, one.plain, text))
            if place not in known:
                found.setdefault(place, one)
    return list(found.values())


def _changed(start: int, end: int, plain: str, text: str) -> str:
    """The mutated source without blanks, as a digest."""
    return hashlib.sha256("".join((text[:start] + plain + text[end:]).split()).encode()).hexdigest()


def drawn(every: list[Candidate], size: int, seed: int) -> list[Candidate]:
    """`size` of them that fit together: from each file in proportion to the square root of what it has, of all kinds
    alike."""
    chance = random.Random(seed)
    by_file: dict[str, list[Candidate]] = defaultdict(list)
    for one in every:
        by_file[one.path].append(one)
    roots = {path: len(ones) ** 0.5 for path, ones in by_file.items()}
    chosen: list[Candidate] = []
    for path in sorted(by_file):
        by_kind: dict[str, list[Candidate]] = defaultdict(list)
        for one in by_file[path]:
            by_kind[one.kind].append(one)
        piles = [chance.sample(by_kind[kind], len(by_kind[kind])) for kind in sorted(by_kind)]
        chance.shuffle(piles)
        wanted = size * roots[path] / sum(roots.values())
        quota = int(wanted) + (chance.random() < wanted % 1)
        taken: list[Candidate] = []
        while len(taken) < quota and any(piles):
            for pile in piles:
                while pile and len(taken) < quota:
                    one = pile.pop()
                    if all(one.end <= other.start or other.end <= one.start for other in taken):
                        taken.append(one)
                        break
        chosen += taken
    return chosen


def switched_sources(contracts: Path, chosen: dict[int, Candidate]) -> tuple[list[sites.Mutation], dict[str, str]]:
    """As sites.find_all gives them: the mutations, and the switched text of each file, with the number before each."""
    mutations: list[sites.Mutation] = []
    edits: dict[str, list[tuple[int, int, str]]] = defaultdict(list)
    texts = {one.path: (contracts / "src" / one.path).read_text() for one in chosen.values()}
    for number, one in chosen.items():
        line = texts[one.path].count("\n", 0, one.start) + 1
        mutations.append(sites.Mutation(number, one.path, line, one.kind, one.start, one.end, one.plain))
        edits[one.path].append((one.start, one.end, f"/*#{number}*/" + one.switched.replace("#", str(number))))
        stash = (one.stash_at, one.stash_at, sites.STASH)
        if one.stash_at is not None and stash not in edits[one.path]:
            edits[one.path].append(stash)
    return mutations, {path: sites.switched_source(texts[path], edits[path]) for path in edits}


def misfits(errors: str, src: Path) -> set[int]:
    """Numbers of the mutations in the functions of which the compiler complains: a switch takes a place on the stack,
    of which there are 16."""
    found: set[int] = set()
    for message in re.split(r"^(?=(?:Compiler)?Error|Warning)", errors, flags=re.M):
        place = re.search(r"--> src/(\S+?):(\d+):", message)
        if place is None or message.startswith("Warning"):
            continue
        lines = (src / place.group(1)).read_text().splitlines()
        heads = [i for i, line in enumerate(lines) if re.match(r" {0,4}(function|constructor)\b", line)]
        at = int(place.group(2)) - 1
        first = max((i for i in heads if i <= at), default=0)
        until = min((i for i in heads if i > at), default=len(lines))
        found |= {int(number) for number in re.findall(r"/\*#(\d+)\*/", "\n".join(lines[first:until]))}
    return found
