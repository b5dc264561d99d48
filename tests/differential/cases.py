"""Random cases for each rule that Python and Solidity both have, and what Python says of them.

A case is the ABI value that the harness contract takes (contracts/test/differential); edges of the ranges come up as
often as what lies between.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from random import Random
from typing import Any

from cohort_protocol import commitments
from cohort_protocol.chain.codec import contract_abi
from cohort_protocol.chain.packed import AdmittedRow, Opening, admitted_rows
from cohort_protocol.chain.profiles import PROFILES
from cohort_protocol.chain.terms import TermsOutOfBounds, check_terms
from cohort_protocol.chain.types import (
    ProjectTerms,
    Record,
    RoundView,
    Windows,
    deadlines,
)
from cohort_protocol.commitments import MarketId, SettlementStatement
from cohort_protocol.payout import PayoutTree, pays
from cohort_protocol.phases import Phase
from cohort_protocol.standing import loss_after, next_record, reliability
from eth_abi import encode
from eth_account.messages import SignableMessage
from eth_utils import keccak, to_checksum_address

from tests.differential.policy_rounds import draw_judgement, judgement_twin

ONE = 2**30
WEIGHTS = (0, 1, 32_768, 65_535, 65_536)


@dataclass(frozen=True)
class Kind:
    """A rule: a function of a harness contract, a way to draw a case, and the Python twin."""

    contract: str
    function: str
    draw: Callable[[Random], Any]
    twin: Callable[[Any, MarketId], Any]
    """What the function should answer for a case, as its ABI value. `MarketId`: where the harness stands."""


def _around(rng: Random, most: int, *edges: int) -> int:
    """A number of 0 .. most: an edge, something small, something of any size."""
    choice = rng.randrange(4)
    if choice == 0:
        return rng.choice([edge for edge in (0, 1, most - 1, most, *edges) if 0 <= edge <= most])
    if choice == 1:
        return rng.randint(0, min(most, 100))
    return rng.randint(0, most >> rng.randrange(max(1, most.bit_length())))


def _address(rng: Random) -> str:
    return to_checksum_address(rng.randbytes(20))


def _cid(rng: Random) -> bytes:
    return commitments.cid_from_parts(rng.choice((0x55, 0x70)), rng.randbytes(32))


# --- pay and payout roots ---------------------------------------------------------------------------------------------


def _outcome_words(rng: Random, rows: int) -> list[int]:
    words = []
    for _ in range(rows):
        rejected = rng.random() < 0.25
        words.append(rng.randint(1, 255) if rejected else _around(rng, 2**64 - 1, ONE) << 8)
    return words


def draw_pay(rng: Random) -> tuple:
    distributable = max(1, _around(rng, 2**112 - 1))
    return (
        _outcome_words(rng, rng.randint(1, 32)),
        distributable,
        max(1, _around(rng, 2**64 - 1, ONE)),
        max(1, _around(rng, 255, 4, 32)),
    )


def pay_twin(case: tuple, identity: MarketId) -> tuple:
    words, distributable, score_floor, share_cap = case
    scores, reasons = [word >> 8 for word in words], [word & 255 for word in words]
    return tuple(pays(scores, reasons, distributable, score_floor, share_cap))


def draw_root(rng: Random) -> tuple:
    rows = rng.randint(1, 32)
    return (
        _around(rng, 2**256 - 1),
        _around(rng, 2**32 - 1),
        [_around(rng, 2**32 - 1) for _ in range(rows)],
        [_around(rng, 2**112 - 1) for _ in range(rows)],
    )


def root_twin(case: tuple, identity: MarketId) -> bytes:
    project, round, members, amounts = case
    return PayoutTree(project, round, list(zip(members, amounts, strict=True))).root


# --- standing ---------------------------------------------------------------------------------------------------------


def draw_record(rng: Random) -> tuple:
    record = Record(
        credit=_around(rng, 2**24 - 1, 2**24 - 1000),
        usefulness=_around(rng, 40_000),
        rounds=_around(rng, 2**16 - 1),
        rejections=_around(rng, 127),
    )
    rows = rng.randint(1, 32)
    distributable = max(1, _around(rng, 2**112 - 1))
    rejected = rng.random() < 0.3
    pay = 0 if rejected else _around(rng, distributable, distributable // rows)
    return record.pack(), pay, rejected, rows, distributable, rng.choice((*WEIGHTS, rng.randint(0, 65_536)))


def record_twin(case: tuple, identity: MarketId) -> int:
    record, pay, rejected, rows, distributable, weight = case
    found = next_record(
        Record.unpack(record), pay=pay, rejected=rejected, rows=rows, distributable=distributable, weight=weight
    )
    return found.pack()


def draw_loss(rng: Random) -> tuple:
    return _around(rng, 30_000), rng.choice((10_000, 20_000)), rng.choice((*WEIGHTS, rng.randint(0, 65_536)))


def loss_twin(case: tuple, identity: MarketId) -> int:
    of_owner, loss, weight = case
    return loss_after(of_owner, loss * weight // 65_536)


def draw_reliability(rng: Random) -> tuple:
    return _around(rng, 2_222 * 50, 2_222), _around(rng, 30_000 * 1_000, 30_000)


def reliability_twin(case: tuple, identity: MarketId) -> int:
    """G as credit of as many owners as it takes, each at its cap but the last."""
    good, bad = case
    whole, rest = divmod(good, 2_222)
    owners = [2_222] * whole + [rest]
    return reliability([(to_checksum_address(f"0x{i + 1:040x}"), credit) for i, credit in enumerate(owners)], bad)


# --- hashes -----------------------------------------------------------------------------------------------------------


def draw_opening(rng: Random) -> tuple:
    """(member, update, (codec, digest), salt)"""
    return (
        _around(rng, 2**32 - 1),
        rng.randbytes(32),
        (rng.choice((0x55, 0x70)), rng.randbytes(32)),
        rng.randbytes(32),
    )


def draw_openings(rng: Random) -> list:
    return [draw_opening(rng) for _ in range(rng.randint(0, 32))]


def draw_commitment(rng: Random) -> tuple:
    return _around(rng, 2**256 - 1), _around(rng, 2**32 - 1), draw_opening(rng)


def commitment_twin(case: tuple, identity: MarketId) -> bytes:
    project, round, (member, update, cid, salt) = case
    return commitments.commitment(identity, project, round, member, update, commitments.cid_from_parts(*cid), salt)


def openings_twin(case: list, identity: MarketId) -> bytes:
    return commitments.openings_hash(
        [Opening(member, update, commitments.cid_from_parts(*cid), salt) for member, update, cid, salt in case]
    )


def draw_pairs(rng: Random) -> list:
    return [(_around(rng, 2**32 - 1), rng.randbytes(32)) for _ in range(rng.randint(0, 32))]


def draw_admissions(rng: Random) -> list:
    """Calls that admitted rows, each of one or more."""
    rows = [draw_opening(rng)[:3] for _ in range(rng.randint(0, 32))]
    cuts = sorted({0, len(rows), *(rng.randint(0, len(rows)) for _ in range(rng.randint(0, 4)))})
    return [rows[start:end] for start, end in pairwise(cuts)]


def admissions_twin(case: list, identity: MarketId) -> bytes:
    return commitments.admitted_hash(
        [
            [AdmittedRow(0, member, update, commitments.cid_from_parts(*cid)) for member, update, cid in rows]
            for rows in case
        ]
    )


def draw_claim_items(rng: Random) -> list:
    return [_around(rng, 2**160 - 1) for _ in range(rng.randint(0, 20))]


def draw_outcomes(rng: Random) -> list:
    return _outcome_words(rng, rng.randint(0, 32))


def outcomes_twin(case: list, identity: MarketId) -> bytes:
    return commitments.outcomes_hash([(word >> 8, word & 255) for word in case])


def draw_cid(rng: Random) -> tuple:
    return rng.choice((0x55, 0x70)), rng.randbytes(32)


def packed_twin(case: list, identity: MarketId) -> bytes:
    """The packing read back by the decoder of events, and packed again by the words of the interface."""
    packed = b"".join(m.to_bytes(4, "big") + bytes([cid[0]]) + update + cid[1] for m, update, cid, _ in case)
    rows = admitted_rows(0, packed)
    assert [(row.member, row.update, commitments.cid_parts(row.cid)) for row in rows] == [
        (m, update, cid) for m, update, cid, _ in case
    ]
    return packed


# --- typed data -------------------------------------------------------------------------------------------------------


def digest(message: SignableMessage) -> bytes:
    """What is signed: keccak256(0x19 || version || domain separator || struct hash) (EIP-712, EIP-191)."""
    return keccak(b"\x19" + message.version + message.header + message.body)


def draw_commit(rng: Random) -> tuple:
    return (
        _around(rng, 2**256 - 1),
        _around(rng, 2**32 - 1),
        _around(rng, 2**32 - 1),
        rng.randbytes(32),
    )


def draw_receipt(rng: Random) -> tuple:
    return (
        _around(rng, 2**256 - 1),
        _around(rng, 2**32 - 1),
        rng.randbytes(32),
        _around(rng, 2**32 - 1),
        _around(rng, 2**32 - 1),
    )


def draw_public_rows(rng: Random) -> tuple:
    return _around(rng, 2**256 - 1), _around(rng, 2**32 - 1), rng.randbytes(32)


def draw_model(rng: Random) -> tuple:
    return _around(rng, 2**256 - 1), rng.randbytes(32)


def draw_claim_to(rng: Random) -> tuple:
    return (
        _around(rng, 2**256 - 1),
        _around(rng, 2**32 - 1),
        rng.randbytes(32),
        _address(rng),
        _around(rng, 2**64 - 1),
    )


def draw_settlement(rng: Random) -> tuple:
    """The statement with the hashes of two CIDs that stand behind it in the same tuple's last words."""
    words = [rng.randbytes(32) for _ in range(7)]
    cids = [_cid(rng), _cid(rng)]
    numbers = _around(rng, 2**256 - 1), _around(rng, 2**32 - 1), _around(rng, 2**32 - 1)
    return _address(rng), *numbers, *words, *cids


def settlement_abi(case: tuple) -> tuple:
    """The case as the contract takes it: CIDs hashed."""
    return *case[:-2], *(keccak(cid) for cid in case[-2:])


def settlement_twin(case: tuple, identity: MarketId) -> bytes:
    market, project, round, dimension, admitted, validation, public, policy, outcomes, *rest = case
    previous, following, model, bundle = rest
    statement = SettlementStatement(
        project=project,
        round=round,
        dimension=dimension,
        admitted_hash=admitted,
        validation=validation,
        public_rows=public,
        policy_hash=policy,
        outcomes_hash=outcomes,
        previous_model=previous,
        next_model=following,
        next_model_cid=model,
        bundle_cid=bundle,
    )
    elsewhere = MarketId(identity.chain_id, market, identity.verifier)
    return digest(commitments.settlement_message(elsewhere, statement))


# --- phases and terms -------------------------------------------------------------------------------------------------


def draw_phase(rng: Random) -> tuple:
    """A round's header, its windows, and a time at or near one of its deadlines."""
    opened = rng.choice((0, rng.randint(1, 2**33)))
    commit_end = opened + rng.randint(0, 1000)
    guard, rescue, settle, takeover = (rng.randint(0, 1000) for _ in range(4))
    reveal_end = commit_end + guard + rng.randint(0, 1000)
    ends = (opened, commit_end, commit_end + guard, reveal_end, reveal_end + rescue + settle + takeover)
    time = max(0, rng.choice(ends) + rng.randint(-2, 2))
    commits = rng.randint(0, 32)
    batch = rng.randint(0, commits)
    admitted = rng.randint(0, commits)
    head = (opened, commit_end, reveal_end, batch, commits - batch, admitted)
    return *head, rng.randint(1, 16), guard, rescue, settle, takeover, time


def phase_twin(case: tuple, identity: MarketId) -> tuple:
    opened, commit_end, reveal_end, batch, alone, admitted, least, guard, rescue, settle, takeover, time = case
    windows = Windows(0, guard, 0, rescue, settle, takeover, 0)
    times = deadlines(windows, 0, commit_end, reveal_end)
    values: dict[str, Any] = {name: 0 for name in RoundView.__dataclass_fields__}
    values |= times._asdict() | {"phase": Phase.NONE, "opened_at": opened, "closed": False}
    view = RoundView(**values | {"batch_count": batch, "self_count": alone, "admitted": admitted})
    ends = (times.reveal_start, times.rescue_end, times.acceptor_end, times.settle_end)
    return view.phase_at(time, least), *ends


_EDGES = {
    "round_budget": (0, 1, 2**112 - 1),
    "aggregator_fee": (0, 1, 2**112 - 1),
    "stake": (0, 1, 2**112 - 1),
    "bond": (0, 1, 2**112 - 1),
    "score_floor": (0, 1, 2**64 - 1),
    "rounds": (0, 1, 2**32 - 1),
    "dimension": (0, 1, 2**24, 2**24 + 1, 2**32 - 1),
    "exponent": (-128, 0, 127),
    "min_reliability": (0, 10_000, 10_001, 65_535),
    "slots": (0, 1, 2, 3, 32, 33, 255),
    "min_trainers": (0, 1, 2, 16, 17, 255),
    "quorum": (0, 1, 3, 4, 5, 255),
    "share_cap": (0, 1, 255),
}


def draw_terms(rng: Random) -> tuple:
    """Terms near the bounds: right ones, with up to two members replaced."""
    bps = rng.choice((0, 100, 2_000))
    slots, budget = rng.randint(1, 32), rng.randint(100, 2**100)
    fee = budget * bps // 10_000
    aggregator_fee = rng.randint(0, (budget - fee - slots) // 2)
    witnesses, aggregators = _addresses(rng, rng.randint(1, 7)), _addresses(rng, rng.randint(1, 8))
    minimum = PROFILES[rng.choice(tuple(PROFILES))].minimum
    values: dict[str, Any] = {
        "round_budget": budget,
        "aggregator_fee": aggregator_fee,
        "stake": -(-2 * (budget - fee - aggregator_fee) // slots) + rng.randint(-1, 1),
        "bond": -(-budget // 2) + rng.choice((-1, 0, 0, 1)),
        "score_floor": rng.randint(1, 2**64 - 1),
        "rounds": rng.randint(1, 2**32 - 1),
        "dimension": rng.randint(1, 2**24),
        "exponent": -14,
        "min_reliability": rng.randint(0, 10_000),
        "slots": slots,
        "min_trainers": rng.randint(1, max(1, slots // 2)),
        "quorum": rng.randint(len(witnesses) // 2 + 1, len(witnesses)),
        "share_cap": rng.randint(1, 255),
    }
    for name in rng.sample(sorted(_EDGES), rng.randint(0, 2)):
        values[name] = rng.choice(_EDGES[name])
    windows = [max(0, length + rng.choice((-1, 0, 0, 0, 0, 0, 1, 365 * 86_400))) for length in vars(minimum).values()]
    hashes = [rng.randbytes(32) for _ in range(7)]
    places = ["0x4e59b44847b379578588920cA78FbF26c0B4956C", _address(rng), _address(rng)]
    terms = (*places, *hashes, *values.values(), tuple(windows), witnesses, aggregators)
    return terms, values["round_budget"] * bps // 10_000, tuple(vars(minimum).values())


def _addresses(rng: Random, count: int) -> list[str]:
    """Mostly sorted."""
    found = sorted((_address(rng) for _ in range(count)), key=lambda address: int(address, 16))
    if rng.random() < 0.1:
        rng.shuffle(found)
    if rng.random() < 0.05:
        found[-1] = found[0]
    return found


def terms_twin(case: tuple, identity: MarketId) -> bytes:
    """The error that the contract raises, as its bytes; none if the terms are in bounds."""
    values, fee, minimum = case
    names = list(ProjectTerms.__dataclass_fields__)
    fields = dict(zip(names, values, strict=True))
    fields |= {"windows": Windows(*fields["windows"])}
    fields |= {"witnesses": tuple(fields["witnesses"]), "aggregators": tuple(fields["aggregators"])}
    terms = ProjectTerms(**fields)
    bps = next(bps for bps in (0, 100, 2_000) if terms.protocol_fee(bps) == fee)
    spec = PROFILES["devnet"].with_([terms.verifier_code_hash], [terms.policy_code_hash])
    profile = spec.__class__(**vars(spec) | {"minimum": Windows(*minimum), "protocol_fee_bps": bps})
    try:
        check_terms(terms, profile)
    except TermsOutOfBounds as error:
        return _terms_error(error)
    return b""


def _terms_error(error: TermsOutOfBounds) -> bytes:
    errors = {item.name: item for item in contract_abi("CohortMarket").errors.values()}
    what, _, index = error.what.partition("[")
    word = what.encode().ljust(32, b"\0")
    if index:
        values = encode(["bytes32", "uint256"], [word, int(index.removesuffix("]"))])
        return errors["AddressesNotIncreasing"].selector + values
    values = encode(["bytes32", "uint256", "uint256"], [word, error.found, error.allowed])
    return errors["TermsInvalid"].selector + values


def _message_twin(build: Callable[..., SignableMessage]) -> Callable[[tuple, MarketId], bytes]:
    return lambda case, identity: digest(build(identity, *case))


RULES = "DifferentialRules"

KINDS = (
    Kind(RULES, "pays", draw_pay, pay_twin),
    Kind(RULES, "roots", draw_root, root_twin),
    Kind(RULES, "records", draw_record, record_twin),
    Kind(RULES, "losses", draw_loss, loss_twin),
    Kind(RULES, "reliabilities", draw_reliability, reliability_twin),
    Kind(RULES, "commitments", draw_commitment, commitment_twin),
    Kind(RULES, "openings", draw_openings, openings_twin),
    Kind(RULES, "batches", draw_pairs, lambda case, identity: commitments.batch_hash(case)),
    Kind(RULES, "admitted", draw_admissions, admissions_twin),
    Kind(RULES, "claimItems", draw_claim_items, lambda case, identity: commitments.claim_items_hash(case)),
    Kind(RULES, "outcomes", draw_outcomes, outcomes_twin),
    Kind(RULES, "cids", draw_cid, lambda case, identity: commitments.cid_hash(commitments.cid_from_parts(*case))),
    Kind(RULES, "packed", draw_openings, packed_twin),
    Kind(RULES, "phases", draw_phase, phase_twin),
    Kind(RULES, "terms", draw_terms, terms_twin),
    Kind("PolicyRounds", "judgements", draw_judgement, judgement_twin),
    Kind("RoundsDigests", "commits", draw_commit, _message_twin(commitments.commit_message)),
    Kind("RoundsDigests", "receipts", draw_receipt, _message_twin(commitments.receipt_message)),
    Kind("ResolutionDigests", "publicRows", draw_public_rows, _message_twin(commitments.public_rows_message)),
    Kind("SettlementDigests", "models", draw_model, _message_twin(commitments.model_receipt_message)),
    Kind("SettlementDigests", "claims", draw_claim_to, _message_twin(commitments.claim_to_message)),
    Kind("VerifierDigests", "settlements", draw_settlement, settlement_twin),
)
