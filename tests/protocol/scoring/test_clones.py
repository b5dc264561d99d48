"""Groups of clones and kinship."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from cohort_protocol.scoring.clones import clone_groups, kin_factors, kinship
from cohort_protocol.scoring.fixed_point import ONE
from cohort_protocol.scoring.units import UNIT, unit_gram
from hypothesis import given, settings
from hypothesis import strategies as st


def units_of(rows):
    gram = [[sum(x * y for x, y in zip(a, b, strict=True)) for b in rows] for a in rows]
    return unit_gram(gram, range(len(rows)))


vectors = st.lists(st.lists(st.integers(-6, 6), min_size=3, max_size=3).filter(any), min_size=1, max_size=8)


def plain_groups(cosines, limit):
    """Complete linkage by definition: join the most similar, until no two groups may."""
    groups = [{row} for row in range(len(cosines))]
    while len(groups) > 1:
        links = {
            (i, j): min(cosines[a][b] for a in groups[i] for b in groups[j])
            for i, j in combinations(range(len(groups)), 2)
        }
        best = max(links.values())
        if best <= limit:
            break
        tied = [pair for pair, link in links.items() if link == best]
        # All ties at once: a graph whose components become one group each.
        whole = {index: {index} for index in range(len(groups))}
        for i, j in tied:
            union = whole[i] | whole[j]
            for index in union:
                whole[index] = union
        components = {frozenset(members) for members in whole.values()}
        groups = [set().union(*(groups[index] for index in component)) for component in components]
    return {frozenset(group) for group in groups}


@settings(max_examples=300)
@given(vectors, st.integers(5_000, 9_999))
def test_groups_are_those_of_complete_linkage(rows, limit):
    units = units_of(rows)
    found = clone_groups(units, limit)
    assert {frozenset(group) for group in found} == plain_groups(units, limit * UNIT // 10_000)
    assert sorted(row for group in found for row in group) == list(range(len(rows)))


@settings(max_examples=200)
@given(vectors, st.randoms())
def test_permuting_permutes(rows, random):
    order = list(range(len(rows)))
    random.shuffle(order)
    straight, shuffled = units_of(rows), units_of([rows[i] for i in order])
    groups = {frozenset(order[place] for place in group) for group in clone_groups(shuffled, 9_000)}
    assert groups == {frozenset(group) for group in clone_groups(straight, 9_000)}
    kin, moved = kinship(straight), kinship(shuffled)
    assert moved == [[kin[i][j] for j in order] for i in order]


def test_exact_copies_are_one_group_and_a_chain_is_not():
    near = [[100, 0, 0], [97, 24, 0], [88, 47, 0]]
    # Neighbours have a cosine of .97, the ends of .88.
    assert clone_groups(units_of([*near, near[0], [0, 0, 5]]), 9_000) == ((0, 1, 3), (2,), (4,))


def test_kinship_is_what_two_have_in_common_beyond_the_round():
    random = np.random.default_rng(3)
    common = 3000 * random.standard_normal(400)
    own = 3000 * random.standard_normal((7, 400))
    own[5] = 0.8 * own[6] + 0.6 * own[5]
    kin = kinship(units_of(np.rint(common + own).astype(int).tolist()))
    honest = [kin[a][b] / ONE for a, b in combinations(range(5), 2)]
    assert max(map(abs, honest)) < 0.35
    assert kin[5][6] / ONE == pytest.approx(0.8, abs=0.1)


def test_relatives_share_and_strangers_do_not():
    kin = [[0, ONE, 0], [ONE, 0, ONE * 525 // 1000], [0, ONE * 525 // 1000, 0]]
    factors = kin_factors(kin, 4_000, 6_500)
    assert factors[0] == ONE // 2
    assert factors[2] == pytest.approx(ONE / 1.5, rel=1e-6)
    assert factors[1] == pytest.approx(ONE / 2.5, rel=1e-6)
    assert kin_factors([[0, 0], [0, 0]], 4_000, 6_500) == [ONE, ONE]


def test_three_have_no_others_to_compare_with():
    assert kinship(units_of([[1, 0], [1, 0], [0, 1]])) == [[0] * 3] * 3
