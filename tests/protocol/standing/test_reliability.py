"""Reliability across projects: by hand, and what no sequence of events can do."""

from __future__ import annotations

import pytest
from cohort_protocol.errors import InvalidInput
from cohort_protocol.standing import (
    loss_after,
    no_reveal_loss,
    rejection_loss,
    reliability,
    standing_order,
)
from eth_utils import to_checksum_address
from hypothesis import given
from hypothesis import strategies as st

OWNERS = [to_checksum_address(f"0x{index:040x}") for index in range(1, 30)]
credits_of = st.lists(st.tuples(st.sampled_from(OWNERS), st.integers(0, 2**24 - 1)), max_size=30)
losses_of = st.integers(0, 10 * 30_000)


def test_a_newcomer_has_none() -> None:
    assert reliability([], 0) == 0
    assert reliability([(OWNERS[0], 0)], 0) == 0


def test_a_first_full_round_and_the_most_from_one_owner() -> None:
    assert reliability([(OWNERS[0], 1_000)], 0) == 10_000 * 1_000 // 21_000 == 476
    assert reliability([(OWNERS[0], 2_222)], 0) == 999
    assert reliability([(OWNERS[0], 2**24 - 1)], 0) == 999, "one owner alone gives at most a tenth"
    assert reliability([(OWNERS[0], 1_500), (OWNERS[0], 1_500)], 0) == 999, "however many projects it has"
    assert reliability([(OWNERS[0], 2_222), (OWNERS[1], 2_222)], 0) == 10_000 * 4_444 // 24_444


def test_losses_weigh_as_they_are() -> None:
    assert reliability([(OWNERS[0], 2_222)], 10_000) == 10_000 * 2_222 // 32_222
    assert rejection_loss(65_536) == 10_000
    assert no_reveal_loss(65_536) == 20_000
    assert rejection_loss(32_768) == 5_000
    assert rejection_loss(0) == no_reveal_loss(0) == 0
    assert loss_after(0, 10_000) == 10_000
    assert loss_after(25_000, 20_000) == 30_000
    assert loss_after(30_000, 20_000) == 30_000
    with pytest.raises(InvalidInput):
        loss_after(0, -1)


@given(credits_of, losses_of, losses_of)
def test_good_behaviour_never_lowers_it_and_bad_never_raises_it(credits, losses: int, more: int) -> None:
    found = reliability(credits, losses)
    assert 0 <= found < 10_000
    assert reliability(credits[:-1], losses) <= found
    assert reliability(credits, losses + more) <= found


@given(credits_of, losses_of, st.randoms(use_true_random=False))
def test_the_order_of_projects_does_not_matter(credits, losses: int, random) -> None:
    shuffled = list(credits)
    random.shuffle(shuffled)
    assert reliability(shuffled, losses) == reliability(credits, losses)


def test_projects_are_named_by_owner_then_number() -> None:
    found = standing_order([(OWNERS[9], 1), (OWNERS[2], 7), (OWNERS[2], 3), (OWNERS[9], 1)])
    assert found == [3, 7, 1]
