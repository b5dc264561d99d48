"""docs/protocol/attacks.md: every attack that the protocol lists is there, with what stops it and tests that exist."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import pytest

from tests.docs.markdown import code, tables

ROOT = Path(__file__).resolve().parents[2]
PAGE = "attacks.md"
LISTED = (
    # The protocol's list.
    "free work by an owner who stalls",
    "free work by an owner who mislabels batches",
    "free work by an owner who withholds batches",
    "replay of a commitment",
    "replay of a reveal",
    "replay of a receipt",
    "replay of a settlement",
    "a revoked delegate",
    "copied update",
    "forged batch leaf",
    "missing batch leaf",
    "duplicate batch leaf",
    "withheld leaves",
    "last-revealer choice",
    "expired signature as an escape from a slash",
    "revoked delegate as an escape from a slash",
    "dropped or invented rows",
    "wrong entry of G",
    "wrong w",
    "wrong C_m",
    "wrong C_M",
    "tail beyond d",
    "out-of-range plaintext",
    "off-curve points",
    "points at infinity",
    "non-canonical encodings",
    "bond withdrawn before a slash",
    "stake withdrawn before a slash",
    "a call at deadline -1, 0, +1",
    "the same after a phase has ended early",
    "a day without blocks over tR",
    "reorganisation over tC",
    "token with a fee on transfers",
    "rebasing token",
    "token that returns false",
    "token that returns nothing",
    "re-entrant token",
    "blocking token",
    "dust scores",
    "all flagged",
    "n = k_min - 1",
    "n = k_min",
    "n = N",
    "n = N + 1",
    "model bytes withheld after settlement",
    "200 rounds and 1,000 departed trainers",
    # Proofs.
    "swapped or repeated C_a",
    "proof of another round, chain, contract or project",
    "another n or d",
    "S that fails the identity, wrong degree included",
    "false statements proved anew",
    "every single-bit flip",
    "truncated or extended calldata",
    "griefing by gas",
    "plaintext that does not open its commitment",
    "one refused trainer holds the round up",
    "refused without a reason",
    "SRS file with one corrupted point",
)


def _rows() -> list[dict[str, str]]:
    return [row for one in tables(PAGE) if one.columns[0] == "attack" for row in one.rows]


@cache
def _solidity_tests() -> frozenset[str]:
    found = set()
    for file in (ROOT / "contracts" / "test").rglob("*.t.sol"):
        contract = ""
        heads = re.findall(r"^contract (\w+)|^    function ((?:test|invariant)\w*)\(", file.read_text(), re.M)
        for name, test in heads:
            contract = name or contract
            if test:
                found.add(f"{contract}.{test}")
    return frozenset(found)


@cache
def _sources() -> str:
    """Everything that could stop an attack: contracts, what they import, and the packages."""
    folders = ["contracts/src", "protocol/cohort_protocol", "worker/cohort_worker", "trainer/cohort_trainer"]
    files = [file for folder in folders for end in ("*.sol", "*.py") for file in (ROOT / folder).rglob(end)]
    imported = ("token/ERC20/utils/SafeERC20.sol", "utils/ReentrancyGuardTransient.sol")
    files += [ROOT / "contracts/node_modules/@openzeppelin/contracts" / name for name in imported]
    return "\n".join(file.read_text(encoding="utf-8") for file in files)


def test_every_attack_is_listed_once() -> None:
    names = [row["attack"] for row in _rows()]
    assert len(set(names)) == len(names)
    assert set(LISTED) <= set(names)


@pytest.mark.parametrize("row", _rows(), ids=lambda row: row["attack"])
def test_an_attack_has_tests_and_all_of_them_exist(row: dict[str, str]) -> None:
    names = code(row["tests"])
    assert names
    assert row["tests"] == ", ".join(f"`{name}`" for name in names)
    for name in names:
        if name.startswith("tests/"):
            file, _, test = name.partition("::")
            assert re.search(rf"^ *def {test}\(", (ROOT / file).read_text(encoding="utf-8"), re.M), name
        else:
            assert name in _solidity_tests()


@pytest.mark.parametrize("row", _rows(), ids=lambda row: row["attack"])
def test_what_stops_an_attack_is_in_the_sources(row: dict[str, str]) -> None:
    assert row["what stops it"]
    for name in code(row["what stops it"]):
        assert re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", _sources()), name


def test_every_test_of_the_attack_folder_is_named() -> None:
    """No test is written against an attack that nobody can look up."""
    page = {name for row in _rows() for name in code(row["tests"])}
    # Neither is an attack that fails: what a proof rests on, and what it leaves to who settles.
    page |= {"ProofAttacksTest.test_Trust_WhenTauIsKnown", "ProofAttacksTest.test_Replay_WhenACidIsAnother"}
    for file in sorted((ROOT / "contracts" / "test" / "attacks").glob("*.t.sol")):
        contract = re.search(r"^contract (\w+)", file.read_text(), re.M).group(1)
        assert {name for name in _solidity_tests() if name.startswith(f"{contract}.")} <= page
