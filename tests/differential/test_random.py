"""Python and Solidity agree on 2,000 random cases of every rule. More: python -m tests.differential --cases 100000."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from random import Random

import pytest

from tests.differential.cases import KINDS, Kind
from tests.differential.harness import Disagreement, Harness
from tests.fixtures.chain import Devnet

CASES = 2_000


@pytest.fixture(scope="module")
def harness(devnet_session: Devnet) -> Iterator[Harness]:
    with devnet_session.undone():
        sender = devnet_session.sender(devnet_session.account("deployer"))
        yield Harness(devnet_session.client, sender)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.function)
def test_python_and_solidity_agree(harness: Harness, kind: Kind) -> None:
    assert harness.compare(kind, CASES, seed=1) == CASES


def test_a_disagreement_is_found_and_told(harness: Harness) -> None:
    """A twin that errs in one case of many does not pass."""
    pays = KINDS[0]

    def greedy(case, identity):
        right = pays.twin(case, identity)
        return (right[0] + 1, *right[1:]) if len(right) == 32 and right[0] else right

    with pytest.raises(Disagreement, match=r"pays of .* Solidity says .* Python"):
        harness.compare(replace(pays, twin=greedy), CASES, seed=1)


def test_cases_reach_the_edges(harness: Harness) -> None:
    """Terms of every kind of error and none, rounds of every phase: random cases that never get there prove nothing."""
    by_name = {kind.function: kind for kind in KINDS}
    errors, phases = set(), set()
    rng = Random(5)
    for _ in range(4_000):
        found = by_name["terms"].twin(by_name["terms"].draw(rng), harness.identity(by_name["terms"]))
        errors.add(found[4:36].rstrip(b"\0"))
        phases.add(by_name["phases"].twin(by_name["phases"].draw(rng), harness.identity(by_name["phases"]))[0])
    assert len(errors) == 21, errors
    assert len(phases) == 7, "every phase but FINAL, which is an outcome"
