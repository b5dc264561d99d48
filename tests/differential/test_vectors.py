"""The shared vectors say what Python says. Forge reads the same files: contracts/test/differential/Vectors.t.sol."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.differential.cases import Kind
from tests.differential.vectors import COUNT, FOLDER, MEMBERS, kinds, path_of, policy_files, text_of


@pytest.mark.parametrize("kind", kinds(), ids=lambda kind: kind.function)
def test_the_file_is_what_python_computes(kind: Kind) -> None:
    written = path_of(kind).read_text(encoding="utf-8")
    assert written == text_of(kind), "if the rule changed on purpose: python -m tests.differential --write-vectors"


@pytest.mark.parametrize("kind", kinds(), ids=lambda kind: kind.function)
def test_the_file_is_whole(kind: Kind) -> None:
    content = json.loads(path_of(kind).read_text(encoding="utf-8"))
    assert (content["rule"], len(content["cases"])) == (kind.function, COUNT)
    assert all(set(case) == {*MEMBERS[kind.function], "expected"} for case in content["cases"])
    assert len({json.dumps(case["expected"]) for case in content["cases"]}) > COUNT // 3, "the cases differ"


@pytest.mark.parametrize("path", policy_files(), ids=lambda path: path.stem)
def test_rounds_of_the_policy_are_what_python_computes(path: Path) -> None:
    assert path.read_text(encoding="utf-8") == policy_files()[path]


def test_every_file_belongs_to_a_rule() -> None:
    """But proofs.json, whose statements Python proves: tests/protocol/proof/proof_vectors.py."""
    assert {path.stem for path in FOLDER.glob("*.json")} == {kind.function for kind in kinds()} | {"proofs"}
