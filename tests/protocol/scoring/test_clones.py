"""Groups of clones and kinship."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from cohort_protocol.scoring.belief import agreements
from cohort_protocol.scoring.clones import clone_groups, kin_factors, kinship, twins
from cohort_protocol.scoring.fixed_point import ONE
from cohort_protocol.scoring.units import UNIT, unit_gram
from hypothesis import given, settings
from hypothesis import strategies as st


def units_of(rows):
    gram = [[sum(x * y for x, y in zip(a, b, strict=True)) for b in rows] for a in rows]
    return unit_gram(gram, range(len(rows)))


vectors = st.lists(st.lists(st.integers(-6, 6), min_size=3, max_size=3).filter(any), min_size=1, max_size=8)


def plain_groups(cosines, limit):
    """Complete linkage by definition: join the most similar, until no two groups may. None if there are ties."""
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
        if len(tied) > 1 and best < UNIT * 0.999:
            return None
        i, j = tied[0]
        groups = [group for place, group in enumerate(groups) if place not in (i, j)] + [groups[i] | groups[j]]
    return {frozenset(group) for group in groups}


@settings(max_examples=300)
@given(vectors, st.integers(5_000, 9_999))
def test_groups_are_those_of_complete_linkage(rows, limit):
    units = units_of(rows)
    found = clone_groups(units, limit)
    expected = plain_groups(units, limit * UNIT // 10_000)
    assert expected is None or {frozenset(group) for group in found} == expected
    assert sorted(row for group in found for row in group) == list(range(len(rows)))


@settings(max_examples=200)
@given(vectors, st.randoms())
def test_permuting_permutes(rows, random):
    order = list(range(len(rows)))
    random.shuffle(order)
    straight, shuffled = units_of(rows), units_of([rows[i] for i in order])
    groups = {frozenset(order[place] for place in group) for group in clone_groups(shuffled, 9_000)}
    assert groups == {frozenset(group) for group in clone_groups(straight, 9_000)}
    kin, moved = (kinship(units, agreements(units)) for units in (straight, shuffled))
    assert moved == [[kin[i][j] for j in order] for i in order]


wide = st.lists(st.lists(st.integers(-99, 99), min_size=5, max_size=5).filter(any), min_size=1, max_size=9)


@settings(max_examples=300)
@given(wide, st.integers(5_000, 9_500))
def test_rows_alike_among_themselves_and_like_no_others_are_one_group(rows, limit):
    """What a contract takes as decided without looking further."""
    units = units_of([*rows, rows[0]])
    near = [{b for b in range(len(units)) if units[a][b] > limit * UNIT // 10_000} for a in range(len(units))]
    groups = clone_groups(units, limit)
    for neighbours in near:
        if all(near[b] == neighbours for b in neighbours):
            assert tuple(sorted(neighbours)) in groups


def test_equal_links_are_joined_together():
    """Four rows, each equally near to the next: nobody is left out by the order."""
    units = [[UNIT if a == b else (UNIT * 95 // 100 if abs(a - b) == 1 else 0) for b in range(4)] for a in range(4)]
    assert clone_groups(units, 9_000) == ((0, 1, 2, 3),)


def test_exact_copies_are_one_group_and_a_chain_is_not():
    near = [[100, 0, 0], [97, 24, 0], [88, 47, 0]]
    # Neighbours have a cosine of .97, the ends of .88.
    assert clone_groups(units_of([*near, near[0], [0, 0, 5]]), 9_000) == ((0, 1, 3), (2,), (4,))


def test_kinship_is_what_two_have_in_common_beyond_the_round():
    random = np.random.default_rng(3)
    common = 3000 * random.standard_normal(400)
    own = 3000 * random.standard_normal((7, 400))
    own[5] = 0.8 * own[6] + 0.6 * own[5]
    units = units_of(np.rint(common + own).astype(int).tolist())
    kin = kinship(units, agreements(units))
    honest = [kin[a][b] / ONE for a, b in combinations(range(5), 2)]
    assert max(honest) < 0.35
    assert kin[5][6] / ONE == pytest.approx(0.8, abs=0.1)


def test_relatives_share_and_strangers_do_not():
    kin = [[0, ONE, 0], [ONE, 0, ONE * 525 // 1000], [0, ONE * 525 // 1000, 0]]
    factors = kin_factors(kin, 4_000, 6_500)
    assert factors[0] == ONE // 2
    assert factors[2] == pytest.approx(ONE / 1.5, rel=1e-6)
    assert factors[1] == pytest.approx(ONE / 2.5, rel=1e-6)
    assert kin_factors([[0, 0], [0, 0]], 4_000, 6_500) == [ONE, ONE]


def test_twins_have_a_relative_of_the_limit():
    limit = 8_000 * ONE // 10_000
    kin = [[0, limit, 0], [limit, 0, limit - 1], [0, limit - 1, 0]]
    assert twins(kin, 8_000) == [True, True, False]
    assert twins([], 8_000) == []


@settings(max_examples=200)
@given(st.lists(st.lists(st.integers(-99, 99), min_size=6, max_size=6).filter(any), min_size=4, max_size=9))
def test_kinship_is_the_cosine_without_the_sum_of_the_others(rows):
    units = units_of(rows)
    vectors = [np.array(row, float) / np.linalg.norm(row) for row in rows]
    agreed = agreements(units)
    kin = kinship(units, agreed)
    beyond = 1 - max(value / ONE for value in map(abs, agreed)) ** 2
    for a, b in combinations(range(len(rows)), 2):
        others = sum(vector for c, vector in enumerate(vectors) if c not in (a, b))
        x, y = vectors[a], vectors[b]
        square = float(others @ others)
        if square < 1e-4:
            continue
        x, y = (v - (v @ others) / square * others for v in (x, y))
        if min(x @ x, y @ y) < 1e-4:
            continue
        exact = x @ y / np.sqrt((x @ x) * (y @ y))
        if abs(x @ y - 0.3 * beyond) > 1e-6:
            assert kin[a][b] / ONE == pytest.approx(exact if x @ y > 0.3 * beyond else 0, abs=1e-3)
        assert kin[a][b] == kin[b][a]


def test_squares_before_their_division_stay_in_256_bits():
    """Of any matrix with entries in -1 .. 1."""
    n, unit = 32, UNIT
    sums, others = (n - 1) * unit, n * n * unit
    product = unit * others + sums * sums
    assert product * product << 60 < 2**255
    assert (unit * others + sums * sums) ** 2 < 2**255


def test_three_have_no_others_to_compare_with():
    assert kinship(units_of([[1, 0], [1, 0], [0, 1]]), [ONE] * 3) == [[0] * 3] * 3
