"""docs/protocol/evidence.md against the contract's own table, the packer and the errors of the sources."""

from __future__ import annotations

import re
from math import prod

from cohort_protocol.chain.codec import contract_abi
from cohort_protocol.commitments import MarketId

from tests.docs import solidity
from tests.docs.markdown import code, table, tables
from tests.protocol.proof.evidences import proven_round

PAGE = "evidence.md"
SOURCES = solidity.SOURCES / "verification" / "proven"
MARKET = MarketId(31337, "0x" + "c1" * 20, "0x" + "c2" * 20)


def _layout() -> list[dict[str, str]]:
    return tables(PAGE)[1].rows


def _size(formula: str, n: int, p: int, calls: int) -> int:
    """Bytes of a part, from what the table says."""
    values = {"n": n, "p": p, "calls": calls, "n(n+1)/2": n * (n + 1) // 2, "p(p+1)/2": p * (p + 1) // 2}
    found = 0
    for term in formula.split(" + "):
        factors = re.findall(r"\d+(?![)/])|n\(n\+1\)/2|p\(p\+1\)/2|n|p|calls", term)
        found += prod(values[factor] if factor in values else int(factor) for factor in factors)
    return found


def test_layout_is_that_of_the_contract() -> None:
    source = (SOURCES / "ProvenEvidence.sol").read_text()
    rows = [line.strip("/ ").split("|")[1:3] for line in source.splitlines() if line.startswith("/// |")][2:]
    listed = {row["part"]: row["bytes"] for row in _layout()}
    assert [part.strip() for part, _ in rows] == list(listed)
    for part, size in rows:
        assert size.strip() == listed[part.strip()] or part.strip() == "hints"


def test_layout_adds_up_to_the_length_of_real_evidences() -> None:
    for n, p in ((1, 0), (3, 1), (5, 9)):
        found = proven_round(n, p, 16, MARKET, seed=n)
        sizes = {row["part"]: row["bytes"].removesuffix(", or 0") for row in _layout()}
        del sizes["signatures"], sizes["hints"]
        if not p:
            del sizes["card"]
        expected = sum(_size(size, n, p, len(found.admissions)) for size in sizes.values()) + len(found.hints)
        assert expected == len(found.evidence())


def test_every_error_of_the_verifier_is_in_the_order_of_checks() -> None:
    named = {name for row in table(PAGE, "check").rows for name in code(row["error"])}
    ours = {error.name for error in contract_abi("ProvenVerifier").errors.values()}
    assert named == ours - {"TauInvalid", "PrecompileFailed", "AddressEmptyCode", "FailedCall"}
