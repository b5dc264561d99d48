"""Our bond in a project: brought in when it is missing, from the aggregator's own account.

It is behind the rounds that we accept and comes back when they end; fees are added to it. It is lost if a round that we
accepted is not settled before tS.
"""

from __future__ import annotations

from cohort_protocol.chain import Token
from cohort_protocol.errors import CohortError
from cohort_protocol.identifiers import RoundKey

from cohort_worker.parts import WorkerParts
from cohort_worker.rounds.planner import DepositBond
from cohort_worker.rounds.sending import send


class BondUnfunded(CohortError):
    """The aggregator's account has too few tokens for the bond. Nothing was sent."""

    code = "bond-unfunded"


def deposit_bond(parts: WorkerParts, step: DepositBond) -> None:
    """Allows the market the missing tokens and deposits them.

    Raises `BondUnfunded`, and as `TransactionSender.execute`.
    """
    key, us, market = RoundKey(step.project, step.round), parts.sender.address, parts.market
    terms = market.terms_of(step.project)
    if market.bond_of(step.project, us).free >= terms.bond:
        return  # deposited already, and not indexed yet
    token = Token(parts.client, terms.token)
    balance = token.balance_of(us)
    if balance < step.amount:
        raise BondUnfunded(
            f"the bond of project {step.project} takes {step.amount} base units of token {token.address} more, the "
            f"aggregator {us} has {balance}: send it the rest"
        )
    if token.allowance(us, market.address) < step.amount:
        # Another project's approval may take the place of this one before it is used: every look at the nonce gives a
        # new intent, and the same one until the transaction is mined.
        nonce = parts.client.nonce(us)
        send(parts, key, "approve", token.approve(market.address, step.amount), f"nonce {nonce}")
    send(
        parts,
        key,
        "bond",
        market.deposit_bond(step.project, step.amount),
        f"after {step.deposited}",
        amount=step.amount,
    )
