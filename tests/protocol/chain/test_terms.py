"""Bounds on terms and the profiles that set them. Agreement with the contract: tests/differential (`terms`)."""

from __future__ import annotations

from dataclasses import fields, replace

import pytest
from cohort_protocol.chain.profiles import PROFILES, profile_by_name
from cohort_protocol.chain.terms import (
    TermsOutOfBounds,
    check_terms,
    minimum_bond,
    minimum_stake,
    most_min_trainers,
)
from cohort_protocol.chain.types import ZERO_ADDRESS, ListedToken, Windows
from cohort_protocol.errors import InvalidInput

from tests.fixtures.chain import Devnet
from tests.fixtures.scene import make_terms

DAY = 86_400


def test_least_money_rounds_up() -> None:
    assert minimum_stake(980_005, 4) == 490_003
    assert minimum_stake(8, 4) == 4
    assert minimum_stake(1, 32) == 1
    assert (minimum_bond(7), minimum_bond(8)) == (4, 4)
    assert [most_min_trainers(slots) for slots in (1, 2, 3, 8, 9, 32)] == [1, 1, 1, 4, 4, 16]


def test_terms_that_are_refused_name_what_and_what_is_allowed(devnet: Devnet) -> None:
    people = [f"0x{index:040x}" for index in range(1, 9)]
    terms, profile = make_terms(devnet, people[:3], people[3:4]), devnet.market.profile()
    check_terms(terms, profile)
    for changes, what, allowed in (
        ({"slots": 33}, "slots", 32),
        ({"min_trainers": 3}, "minTrainers", 2),
        ({"quorum": 1}, "quorum", 2),
        ({"quorum": 4}, "quorum", 3),
        ({"stake": terms.stake - 1}, "stake", terms.stake),
        ({"bond": terms.bond - 1}, "bond", terms.bond),
        ({"dimension": 2**24 + 1}, "dimension", 2**24),
        ({"min_reliability": 10_001}, "minReliability", 10_000),
        ({"windows": replace(terms.windows, settle=0)}, "settle window", 1),
        ({"windows": replace(terms.windows, self_commit=terms.windows.commit)}, "selfCommit window", 599),
        ({"witnesses": tuple(people)}, "witnesses", 7),
        ({"aggregators": ()}, "aggregators", 1),
    ):
        with pytest.raises(TermsOutOfBounds, match=f"{what} is .* allowed is {allowed}") as refused:
            check_terms(replace(terms, **changes), profile)
        assert isinstance(refused.value, InvalidInput)
        assert (refused.value.what, refused.value.allowed) == (what, allowed)


def test_real_profiles_leave_time_to_act() -> None:
    for name in ("l2", "mainnet"):
        spec = PROFILES[name]
        assert spec.minimum.guard >= 600
        assert spec.minimum.rescue >= DAY
        assert spec.slash_window == 7 * DAY
        assert all(getattr(spec.minimum, field.name) >= 300 for field in fields(Windows))
        assert spec.minimum.self_commit < spec.minimum.commit
    assert all(
        getattr(PROFILES["mainnet"].minimum, field.name) >= getattr(PROFILES["l2"].minimum, field.name)
        for field in fields(Windows)
    )


def test_a_profile_takes_what_differs_between_chains() -> None:
    token = ListedToken("0x" + "11" * 20, 5)
    profile = PROFILES["l2"].with_([b"v" * 32], [b"p" * 32], [token])
    assert (profile.verifiers, profile.policies, profile.tokens) == ((b"v" * 32,), (b"p" * 32,), (token,))
    assert profile.fee_recipient == ZERO_ADDRESS
    assert PROFILES["l2"].with_([], [], fee_recipient=token.token).fee_recipient == token.token
    assert profile_by_name("l2") is PROFILES["l2"]
    with pytest.raises(InvalidInput, match="devnet, l2, mainnet"):
        profile_by_name("l3")
