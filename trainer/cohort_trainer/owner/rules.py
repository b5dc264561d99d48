"""What the market fixes for every project: who judges settlements and scores, the protocol's fee, least windows."""

from __future__ import annotations

from dataclasses import dataclass

from cohort_protocol.chain.types import Profile
from cohort_protocol.identifiers import to_hex

from cohort_trainer.connection import Connection
from cohort_trainer.errors import WrongMarket


@dataclass(frozen=True)
class MarketRules:
    """The contracts that a new project of this market names, and the deployment's profile."""

    verifier: str
    policy: str
    verifier_code_hash: bytes
    """keccak256 of the code found there (32 bytes)."""
    policy_code_hash: bytes
    profile: Profile


def read_rules(connection: Connection) -> MarketRules:
    """The verifier is the home's; the policy contract is the one that the service names, if its code is on the market's
    list: the list, not the address, says what it does.

    Raises `WrongMarket`, `NoContract`, `Unavailable`.
    """
    profile = connection.market.profile()
    verifier, policy = connection.config.verifier, connection.service.market().policy
    rules = MarketRules(
        verifier=verifier,
        policy=policy,
        verifier_code_hash=connection.chain.require_code(verifier),
        policy_code_hash=connection.chain.require_code(policy),
        profile=profile,
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
