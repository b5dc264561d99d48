"""Checks of what a project was created with: terms, code, spec, first model."""

from __future__ import annotations

from dataclasses import replace

from cohort_protocol.audit.cases import ProjectCase
from cohort_protocol.audit.findings import Check, Result, agreed
from cohort_protocol.bundle import fetch_model
from cohort_protocol.chain.terms import TermsOutOfBounds, check_terms
from cohort_protocol.chain.types import Profile, ProjectTerms
from cohort_protocol.identifiers import parse_bytes32, to_hex
from cohort_protocol.ipfs.cid import Cid
from cohort_protocol.scoring import check_needs
from cohort_protocol.sealing.project import check_readers
from cohort_protocol.standing import standing_weight


def terms(case: ProjectCase) -> Result:
    """Terms by the event of creation and by the market, and within the bounds of the protocol."""
    found, market = case.terms, case.sources.market
    now = market.terms_of(case.number)
    problems = []
    if replace(now, aggregators=()) != replace(found, aggregators=()):
        different = [name for name in found.__dict__ if getattr(found, name) != getattr(now, name)]
        problems.append(f"the market's terms differ from those of the event of creation in {', '.join(different)}")
    profile = market.profile()
    fee = found.protocol_fee(profile.protocol_fee_bps)
    full = next((one.full_fee for one in profile.tokens if one.token == found.token), 0)
    expected = (fee, standing_weight(fee, full))
    if expected != (stated := (case.created.protocol_fee, case.created.standing_weight)):
        problems.append(f"protocol fee and standing weight are {stated}, they should be {expected}")
    problems += _out_of_bounds(found, profile)
    return agreed(
        problems,
        f"{found.rounds} rounds of {found.round_budget}, {found.slots} slots, {found.quorum} of "
        f"{len(found.witnesses)} witnesses",
        round_budget=found.round_budget,
        distributable=case.distributable,
        aggregator_fee=found.aggregator_fee,
        protocol_fee=case.created.protocol_fee,
        quorum=found.quorum,
        witnesses=len(found.witnesses),
    )


def _out_of_bounds(found: ProjectTerms, profile: Profile) -> list[str]:
    try:
        check_terms(found, profile)
    except TermsOutOfBounds as error:
        return [f"out of the protocol's bounds: {error}"]
    return []


def code(case: ProjectCase) -> Result:
    """Verifier and policy have the code that the terms pin, which is on the deployment's list."""
    client, market, found = case.sources.client, case.sources.market, case.terms
    profile = market.profile()
    problems, figures = [], {"market": to_hex(client.require_code(market.address))}
    for name, address, pinned, allowed in (
        ("verifier", found.verifier, found.verifier_code_hash, profile.verifiers),
        ("policy", found.policy, found.policy_code_hash, profile.policies),
    ):
        there = client.require_code(address)
        figures[name] = to_hex(there)
        if there != pinned:
            problems.append(f"the {name} at {address} has the code {to_hex(there)}, the terms pin {to_hex(pinned)}")
        if pinned not in allowed:
            problems.append(f"the {name}'s code {to_hex(pinned)} is not on the deployment's list")
    return agreed(problems, "verifier and policy have the code that the terms pin", **figures)


def spec(case: ProjectCase) -> Result:
    """The spec behind the digest on chain: canonical, and of the same model and policy as the terms."""
    document, found = case.spec.get(), case.terms
    policy = case.policy()
    check_needs(document.policy.name, batches=any(found.validation_root))
    check_readers(document, found)
    problems = [
        f"{what} is {in_spec} in the spec and {on_chain} in the terms"
        for what, in_spec, on_chain in (
            ("dimension", document.model.dimension, found.dimension),
            ("exponent", document.model.exponent, found.exponent),
            ("the first model", document.model.initial_commitment, to_hex(found.initial_model)),
            ("what settlements rest on", document.settlement, case.settlement),
            ("the policy's hash", to_hex(policy.policy_hash()), to_hex(found.policy_hash)),
        )
        if in_spec != on_chain
    ]
    return agreed(
        problems,
        f"{document.title!r}: {document.model.family} of {found.dimension} parameters, policy {policy.name}, "
        f"{'private, ' if document.private else ''}{document.settlement} rounds",
        cid=str(case.spec_cid),
        policy=policy.name,
        policy_hash=to_hex(found.policy_hash),
        dimension=found.dimension,
    )


def first_model(case: ProjectCase) -> Result:
    """The bytes of the first model open its commitment."""
    document = case.spec.get()
    cid, pinned = Cid.parse(document.model.initial_cid), parse_bytes32(document.model.initial_commitment)
    fetch_model(case.sources.store, cid, pinned, document.model.dimension, case.scheme())
    return agreed([], "the first model's bytes open its commitment", cid=str(cid))


CHECKS: tuple[Check[ProjectCase], ...] = (
    Check("terms", "terms of the event against the market and the protocol's bounds", terms),
    Check("code", "code of verifier and policy against the hashes that the terms pin", code),
    Check("spec", "the spec behind the digest on chain against the terms", spec),
    Check("first-model", "bytes of the first model against its commitment", first_model),
)
