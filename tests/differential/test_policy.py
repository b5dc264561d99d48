"""The default policy on chain: its hash, and that random rounds reach every part of it."""

from __future__ import annotations

from random import Random

import pytest
from cohort_devnet.compiler import ensure_artifacts
from cohort_devnet.node import repository_root
from cohort_protocol.chain.codec import ContractAbi
from cohort_protocol.scoring import PublicRows, ScoringInputInvalid
from cohort_protocol.scoring.default import DefaultPolicy
from cohort_protocol.scoring.hints import check_layout, gram_bytes, hints

from tests.differential.harness import Harness
from tests.differential.policy_rounds import case_of, draw_round, gram_of, honest_round
from tests.fixtures.chain import Devnet


def test_the_contract_has_the_hash_of_the_default_parameters(devnet_session: Devnet) -> None:
    with devnet_session.undone():
        harness = Harness(devnet_session.client, devnet_session.sender(devnet_session.account("deployer")))
        function = harness.abis["PolicyRounds"].functions["POLICY_HASH"]
        found = devnet_session.client.call(harness.addresses["PolicyRounds"], function.selector, what="POLICY_HASH")
    assert found == DefaultPolicy().policy_hash()


def test_the_contract_fits_into_the_code_limit() -> None:
    artifact = ensure_artifacts(repository_root())["DefaultPolicy"]
    assert len(artifact.deployedBytecode.removeprefix("0x")) // 2 < 24_576
    errors = {item.name for item in ContractAbi(artifact.abi).errors.values()}
    assert {"LayoutUnsupported", "GramLengthWrong", "HintsLengthWrong", "SquareNegative"} <= errors
    assert {"MedianWrong", "CompanyWrong"} <= errors


def test_random_rounds_reach_every_part() -> None:
    """Groups found by bits and step by step, rejections, kin, gates half open, rounds of nobody."""
    seen = set()
    for seed in range(400):
        gram, n, layout = draw_round(Random(seed))
        done = DefaultPolicy().judged(tuple(map(tuple, gram)), n, layout)
        groups, units = done.players.groups, done.players.units
        seen |= {("players", min(2, len(groups))), ("kept", min(2, len(done.kept)))}
        seen |= {("group", min(3, len(group))) for group in groups}
        # Players nearer than the limit that are not one: somebody else was nearer to one of them.
        near = any(units[a][b] > 9 * 2**40 // 10 for a in range(len(units)) for b in range(a))
        seen.add(("linked", near))
        seen.add(("rejected", len(done.kept) < len(groups)))
        seen.add(("all rejected", bool(groups) and not done.kept))
        seen.add(("short", sum(map(len, groups)) < n))
        judged = done.judgement
        if judged is None:
            continue
        seen.add(("kin", min(judged.kin) < 2**30))
        seen |= {("novelty", _part(factor)) for factor in judged.novelty.factors}
        seen |= {("company", _part(factor)) for factor in judged.company.factors}
        seen.add(("belief", layout.values > 0, _part(judged.standings.belief)))
        seen |= {("trust", layout.values > 0, trust > 0) for trust in judged.trusts}
        seen.add(("clip", min(done.players.clips) < 2**30))
    flags = {(name, value) for name in ("linked", "rejected", "short", "kin", "clip") for value in (True, False)}
    parts = {(name, value) for name in ("novelty", "company") for value in ("shut", "between", "open")}
    trusts = {("trust", measured, some) for measured in (True, False) for some in (True, False)}
    counts = {(name, count) for name in ("players", "kept") for count in range(3)}
    counts |= {("group", count) for count in range(1, 4)}
    beliefs = {("belief", True, "shut"), ("belief", True, "between"), ("belief", False, "shut")}
    assert (flags | parts | trusts | counts | beliefs) - seen == set()
    assert ("all rejected", True) in seen


def _part(factor: int) -> str:
    return "shut" if factor == 0 else "open" if factor == 2**30 else "between"


def test_bytes_of_a_matrix_say_the_matrix() -> None:
    for seed in range(50):
        gram, n, layout = draw_round(Random(seed))
        data = gram_bytes(gram, n)
        assert [list(row) for row in gram_of(data, n, layout.count)] == gram
        p = layout.count
        assert len(data) == 7 * n * (n + 1) // 2 + 9 * n * p + 11 * p * (p + 1) // 2


def test_hints_are_small_and_the_same_each_time() -> None:
    for n in (1, 2, 8, 32):
        gram, _, layout = honest_round(n)
        case = case_of(gram, n, layout)
        assert case == case_of(gram, n, layout)
        assert len(case[5]) == 6 + (2 * n if n > 1 else 0)


@pytest.mark.parametrize(
    ("n", "layout"),
    [
        (0, PublicRows()),
        (33, PublicRows()),
        (3, PublicRows(past_steps=4)),
        (3, PublicRows(values=1)),
        (3, PublicRows(values=2)),
        (3, PublicRows(gradients=True)),
        (3, PublicRows(classes=2)),
    ],
)
def test_a_layout_that_the_contract_does_not_take_is_refused(n: int, layout: PublicRows) -> None:
    with pytest.raises(ScoringInputInvalid, match="the contract takes"):
        check_layout(n, layout)


def test_what_has_no_room_in_the_bytes_is_refused() -> None:
    assert gram_bytes(((2**55 - 1,),), 1) == b"\x7f" + 6 * b"\xff"
    with pytest.raises(ScoringInputInvalid, match="beyond"):
        gram_bytes(((2**55,),), 1)
    with pytest.raises(ScoringInputInvalid):
        hints(((-1,),), 1, PublicRows())
