"""Bounds on a project's terms: twin of `contracts/src/projects/TermsCheck.sol`.

For whoever writes terms, to hear in words what the contract would refuse before anything is sent.
"""

from __future__ import annotations

from cohort_protocol.chain.types import Profile, ProjectTerms, Windows
from cohort_protocol.errors import InvalidInput
from cohort_protocol.identifiers import MAX_SLOTS

MAX_AGGREGATORS = 8
MAX_WITNESSES = 7
MAX_DIMENSION = 2**24
MAX_WINDOW = 365 * 86_400
"""Seconds."""
MAX_MIN_RELIABILITY = 10_000
"""Basis points."""


class TermsOutOfBounds(InvalidInput):
    """Terms that the market would refuse. `what` as in the contract's `TermsInvalid`."""

    code = "terms-out-of-bounds"

    def __init__(self, what: str, found: object, allowed: object):
        super().__init__(f"the project terms are outside their bounds: {what} is {found}, allowed is {allowed}")
        self.what = what
        self.found = found
        self.allowed = allowed


def minimum_stake(distributable: int, slots: int) -> int:
    """ceil(2 D / N): what a trainer must stand to lose, base units."""
    return -(-2 * distributable // slots)


def minimum_bond(round_budget: int) -> int:
    """ceil(R / 2): what the aggregator of a round must stand to lose, base units."""
    return -(-round_budget // 2)


def most_min_trainers(slots: int) -> int:
    """N / 2, rounded down, at least 1: a void round stays rare."""
    return max(1, slots // 2)


def check_terms(terms: ProjectTerms, profile: Profile) -> None:
    """Raises `TermsOutOfBounds` for terms that `createProject` refuses, naming the first of them as the contract does.

    What only the chain knows is not checked: that token, verifier and policy have code, and the pinned code.
    """
    _within("slots", terms.slots, 1, MAX_SLOTS)
    _within("minTrainers", terms.min_trainers, 1, most_min_trainers(terms.slots))
    _within("dimension", terms.dimension, 1, MAX_DIMENSION)
    _within("minReliability", terms.min_reliability, 0, MAX_MIN_RELIABILITY)
    _at_least("rounds", terms.rounds, 1)
    _at_least("scoreFloor", terms.score_floor, 1)
    _at_least("shareCap", terms.share_cap, 1)
    _within("witnesses", len(terms.witnesses), 1, MAX_WITNESSES)
    _within("quorum", terms.quorum, len(terms.witnesses) // 2 + 1, len(terms.witnesses))
    _within("aggregators", len(terms.aggregators), 1, MAX_AGGREGATORS)
    _increasing("witnesses", terms.witnesses)
    _increasing("aggregators", terms.aggregators)
    _check_money(terms, profile.protocol_fee_bps)
    _check_windows(terms.windows, profile.minimum)
    if terms.verifier_code_hash not in profile.verifiers:
        raise TermsOutOfBounds("verifier", terms.verifier_code_hash.hex(), _listed(profile.verifiers))
    if terms.policy_code_hash not in profile.policies:
        raise TermsOutOfBounds("policy", terms.policy_code_hash.hex(), _listed(profile.policies))


def _listed(hashes: tuple[bytes, ...]) -> str:
    return "code with hash " + " or ".join(digest.hex() for digest in hashes)


def _check_money(terms: ProjectTerms, protocol_fee_bps: int) -> None:
    fees = terms.aggregator_fee + terms.protocol_fee(protocol_fee_bps)
    _at_least("roundBudget", terms.round_budget, fees + terms.slots)
    _at_least("stake", terms.stake, minimum_stake(terms.round_budget - fees, terms.slots))
    _at_least("bond", terms.bond, minimum_bond(terms.round_budget))


def _check_windows(windows: Windows, minimum: Windows) -> None:
    _within("commit window", windows.commit, minimum.commit, MAX_WINDOW)
    _within("guard window", windows.guard, minimum.guard, MAX_WINDOW)
    _within("reveal window", windows.reveal, minimum.reveal, MAX_WINDOW)
    _within("rescue window", windows.rescue, minimum.rescue, MAX_WINDOW)
    _within("settle window", windows.settle, minimum.settle, MAX_WINDOW)
    _within("takeover window", windows.takeover, minimum.takeover, MAX_WINDOW)
    _within("selfCommit window", windows.self_commit, minimum.self_commit, windows.commit - 1)


def _at_least(what: str, found: int, least: int) -> None:
    if found < least:
        raise TermsOutOfBounds(what, found, least)


def _within(what: str, found: int, least: int, most: int) -> None:
    if found < least:
        raise TermsOutOfBounds(what, found, least)
    if found > most:
        raise TermsOutOfBounds(what, found, most)


def _increasing(what: str, addresses: tuple[str, ...]) -> None:
    numbers = [0, *(int(address, 16) for address in addresses)]
    for index in range(len(addresses)):
        if numbers[index + 1] <= numbers[index]:
            raise TermsOutOfBounds(f"{what}[{index}]", addresses[index], "strictly increasing addresses")
