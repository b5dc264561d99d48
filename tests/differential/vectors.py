"""The shared vectors in tests/vectors: written here, read by Python and by forge, so that both are held to one file.

A file per rule: {"rule", "count", "cases": [{member: value, ...}, ...]}. Numbers are decimal strings, bytes hex;
`expected` is the answer. Lists of structs are written as one list per member, which is how forge reads them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random
from typing import Any

from cohort_protocol.commitments import MarketId

from tests.differential.cases import KINDS, Kind
from tests.differential.policy_rounds import case_of, edge_rounds, honest_round

FOLDER = Path(__file__).resolve().parents[1] / "vectors"
SEED = "vectors"
COUNT = 32
"""Cases in each file."""

IDENTITY = MarketId(31337, "0x" + "c0" * 20, "0x" + "c0" * 20)
"""The chain and the contract that hashes and digests of the vectors are bound to."""

MEMBERS = {
    "pays": ("outcomes", "distributable", "scoreFloor", "shareCap"),
    "roots": ("project", "round", "members", "amounts"),
    "records": ("record", "pay", "rejected", "rows", "distributable", "weight"),
    "losses": ("ofOwner", "loss", "weight"),
    "reliabilities": ("good", "bad"),
    "commitments": ("project", "round", "member", "update", "codec", "digest", "salt"),
    "openings": ("members", "updates", "codecs", "digests", "salts"),
    "batches": ("members", "commitments"),
    "admitted": ("calls", "members", "updates", "codecs", "digests"),
    "claimItems": ("items",),
    "outcomes": ("outcomes",),
    "phases": (
        *("openedAt", "commitEnd", "revealEnd", "batchCount", "selfCount", "admitted", "minTrainers"),
        *("guard", "rescue", "settle", "takeover", "time"),
    ),
    "judgements": ("n", "steps", "trainable", "values", "gram", "hints"),
    "commits": ("project", "round", "member", "commitment"),
    "receipts": ("project", "round", "openingsHash", "endorsed", "refused"),
    "publicRows": ("project", "round", "rows"),
    "models": ("project", "model"),
    "claims": ("project", "member", "itemsHash", "to", "expiry"),
    "settlements": (
        *("market", "project", "round", "dimension", "admittedHash", "validation", "publicRows", "policyHash"),
        *("outcomesHash", "previousModel", "nextModel", "nextModelCid", "bundleCid"),
    ),
}
"""Rule -> names of a case's members, in the order of its ABI value. Rules that are missing have random cases only."""

_FLAT = {"commitments"}
"""Nested structs written out as members of their own."""
_COLUMNS = {"openings", "batches"}
"""Lists of structs: one list per member."""
_CALLS = {"admitted"}
"""Lists of lists of structs: how many structs each has, and one list per member of all of them."""


def flat(value: Any) -> Iterator[Any]:
    """Tuples within tuples, written out."""
    for part in value:
        if isinstance(part, tuple):
            yield from flat(part)
        else:
            yield part


def members_of(kind: Kind, case: Any) -> dict[str, Any]:
    """A case by member."""
    names = MEMBERS[kind.function]
    if kind.function in _CALLS:
        columns = list(zip(*(tuple(flat(one)) for rows in case for one in rows), strict=True)) or [()] * (
            len(names) - 1
        )
        return dict(zip(names, [[len(rows) for rows in case], *map(list, columns)], strict=True))
    if kind.function in _COLUMNS:
        columns = list(zip(*(tuple(flat(one)) for one in case), strict=True)) or [()] * len(names)
        return dict(zip(names, map(list, columns), strict=True))
    if kind.function in _FLAT:
        case = tuple(flat(case))
    if len(names) == 1:
        case = (case,)
    return dict(zip(names, case, strict=True))


def in_json(value: Any) -> Any:
    if isinstance(value, tuple | list):
        return [in_json(part) for part in value]
    if isinstance(value, bytes):
        return "0x" + value.hex()
    return value if isinstance(value, str | bool) else str(int(value))


def kinds() -> list[Kind]:
    """The rules that have a file."""
    return [kind for kind in KINDS if kind.function in MEMBERS]


def cases_of(kind: Kind) -> list[Any]:
    """The ABI values of the vectors of a rule."""
    rng = Random(f"{SEED}/{kind.function}")
    return [kind.draw(rng) for _ in range(COUNT)]


def vectors_of(kind: Kind) -> dict[str, Any]:
    """The content of a file."""
    cases = [members_of(kind, case) | {"expected": kind.twin(case, IDENTITY)} for case in cases_of(kind)]
    return {
        "rule": kind.function,
        "chainId": str(IDENTITY.chain_id),
        "contract": IDENTITY.market,
        "count": str(len(cases)),
        "cases": [{name: in_json(value) for name, value in case.items()} for case in cases],
    }


def text_of(kind: Kind) -> str:
    """The file, a case to a line."""
    content = vectors_of(kind)
    cases = ",\n".join(json.dumps(case) for case in content.pop("cases"))
    return f'{json.dumps(content)[:-1]}, "cases": [\n{cases}\n]}}\n'


def path_of(kind: Kind) -> Path:
    return FOLDER / f"{kind.function}.json"


HONEST = FOLDER / "policies" / "honest.json"
"""Rounds of 8, 20 and 32 honest trainers with all public rows, and one of 12 without value rows, in the form of
`judgements`: what gas is measured with, and wrong hints tried on."""


EDGES = FOLDER / "policies" / "edges.json"
"""Rounds where one digit decides, in the same form."""


def policy_files() -> dict[Path, str]:
    """Text of `HONEST` and `EDGES`."""
    honest = [honest_round(*shape) for shape in ((8, 3), (20, 3), (32, 3), (12, 0))]
    return {HONEST: _judgements(honest), EDGES: _judgements(edge_rounds())}


def _judgements(rounds: Sequence[tuple[Any, int, Any]]) -> str:
    kind = next(kind for kind in kinds() if kind.function == "judgements")
    cases = [case_of(*each) for each in rounds]
    written = [members_of(kind, case) | {"expected": kind.twin(case, IDENTITY)} for case in cases]
    content = [{name: in_json(value) for name, value in case.items()} for case in written]
    return json.dumps({"rule": "judgements", "count": str(len(content)), "cases": content}, indent=1) + "\n"


def write_vectors() -> list[Path]:
    """Writes every file and returns their paths."""
    FOLDER.mkdir(exist_ok=True)
    for kind in kinds():
        path_of(kind).write_text(text_of(kind), encoding="utf-8")
    for path, text in policy_files().items():
        path.write_text(text, encoding="utf-8")
    return [*(path_of(kind) for kind in kinds()), *policy_files()]
