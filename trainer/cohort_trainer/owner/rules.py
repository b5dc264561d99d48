"""What the market fixes for every project: who judges settlements and scores, the protocol's fee, least windows."""

from __future__ import annotations

from dataclasses import dataclass

from cohort_protocol.chain.proven import ProvenVerifier
from cohort_protocol.chain.types import Profile
from cohort_protocol.identifiers import to_hex
from cohort_protocol.spec import Settlement

from cohort_trainer.connection import Connection
from cohort_trainer.errors import HomeInvalid, WrongMarket


@dataclass(frozen=True)
class MarketRules:
    """The contracts that a new project of this market names, and the deployment's profile."""

    verifier: str
    policy: str
    verifier_code_hash: bytes
    """keccak256 of the code found there (32 bytes)."""
    policy_code_hash: bytes
    profile: Profile
    proven_policy_hash: bytes | None = None
    """Of the one policy that a verifier of proven rounds accepts (32 bytes); None for attested projects, which may take
    any."""


def read_rules(connection: Connection, settlement: Settlement = "attested") -> MarketRules:
    """The verifier is the home's; the policy contract is the one that the service names, if its code is on the market's
    list: the list, not the address, says what it does.

    settlement: of the project to come. Raises `WrongMarket`, `NoContract`, `Unavailable`, `HomeInvalid` if the home
    names no verifier of proven rounds.
    """
    profile = connection.market.profile()
    verifier, policy = _verifier(connection, settlement), connection.service.market().policy
    proven_policy = ProvenVerifier(connection.chain, verifier).policy_hash() if settlement == "proven" else None
    rules = MarketRules(
        verifier=verifier,
        policy=policy,
        verifier_code_hash=connection.chain.require_code(verifier),
        policy_code_hash=connection.chain.require_code(policy),
        profile=profile,
        proven_policy_hash=proven_policy,
    )
    for what, address, found, listed in (
        ("verifier", verifier, rules.verifier_code_hash, profile.verifiers),
        ("policy", policy, rules.policy_code_hash, profile.policies),
    ):
        if found not in listed:
            raise WrongMarket(
                f"the code of the {what} {address} has hash {to_hex(found)}, market {connection.market.address} allows "
                f"{', '.join(map(to_hex, listed)) or 'none'}: service and market do not belong together"
            )
    return rules


def _verifier(connection: Connection, settlement: Settlement) -> str:
    config = connection.config
    if settlement == "attested":
        return config.verifier
    if config.proven_verifier is None:
        raise HomeInvalid(
            "the project is to be proven, and this home names no verifier of proven rounds: take its address from a "
            'source you trust and add proven_verifier = "0x..." to config.toml'
        )
    return config.proven_verifier
