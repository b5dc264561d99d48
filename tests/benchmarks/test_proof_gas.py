"""Gas by part: calls of a contract are found in a trace wherever they are, and the parts make the whole."""

from __future__ import annotations

from benchmarks.proof.gas import Parts, gas_of

VERIFIER, POLICY = "0x" + "0A" * 20, "0x" + "0b" * 20
TRACE = {
    "to": "0x" + "01" * 20,
    "gasUsed": "0x64",
    "calls": [
        {"to": "0x" + "02" * 20, "gasUsed": "0x5"},
        {
            "to": "0x" + "03" * 20,
            "gasUsed": "0x46",
            "calls": [
                {"to": VERIFIER.lower(), "gasUsed": "0x32", "calls": [{"to": POLICY, "gasUsed": "0x14"}]},
                {"gasUsed": "0x1"},
            ],
        },
    ],
}


def test_calls_are_found_at_any_depth() -> None:
    assert gas_of(TRACE, VERIFIER) == 50
    assert gas_of(TRACE, POLICY) == 20
    assert gas_of(TRACE, "0x" + "04" * 20) == 0


def test_parts_make_the_whole() -> None:
    parts = Parts.of(settled=2_000_000, calldata=300_000, verifier=900_000, policy=250_000, terms=34)
    assert sum(vars(parts).values()) == 2_000_000
    assert parts.curve == 34 * 6_150 + 150
    assert parts.arithmetic == 900_000 - 250_000 - parts.curve - 113_000
