"""Joining and leaving a project, the stake and the delegate. Each step is safe to run again after a crash."""

from __future__ import annotations

from collections.abc import Sequence

import structlog
from cohort_protocol.chain.events import DelegateChanged, MarketEvent, MemberJoined, Staked
from cohort_protocol.chain.types import ZERO_ADDRESS, Member

from cohort_trainer.allowances import Purse
from cohort_trainer.amounts import format_amount
from cohort_trainer.chain_events import find_events
from cohort_trainer.connection import Connection
from cohort_trainer.durations import moment
from cohort_trainer.errors import (
    BalanceTooLow,
    NotAMember,
    StakeLocked,
    StakeMissing,
    StakeThere,
    StillLeaving,
)
from cohort_trainer.projects import VerifiedProject

log = structlog.get_logger(__name__)


def join(
    purse: Purse,
    project: VerifiedProject,
    *,
    access_proof: Sequence[bytes] = (),
    standing_projects: Sequence[int] = (),
    delegate: str | None = None,
) -> Member:
    """Permit, stake, join and delegate in one transaction, unless done before. Safe to run again after a crash.

    Raises `StillLeaving`, `StakeMissing` (joined, but the stake was slashed), `BalanceTooLow`, `TransactionReverted`,
    `TransactionLost`, `InsufficientFunds`.
    """
    connection, trainer = purse.connection, purse.address
    market = connection.market
    member = market.member_of(project.id, trainer)
    if member.joined:
        if not member.staked:
            raise stake_missing(project.id, trainer)
        return member if delegate is None else set_delegate(purse, project.id, delegate)
    if member.unlock_at:
        raise StillLeaving(
            f"{trainer} has left project {project.id} and its stake is still there: take it out with "
            f"`cohort trainer withdraw-stake {project.id}` ({moment(member.unlock_at, connection.now())}), then join "
            "again"
        )
    calls = [market.join(project.id, access_proof, standing_projects)]
    if delegate is not None:
        calls.append(market.set_delegate(project.id, delegate))
    times = _count(connection, MemberJoined, project.id, trainer)
    _pay_stake(purse, project, 0 if member.staked else project.terms.stake, calls, f"join {project.id} time {times}")
    member = market.member_of(project.id, trainer)
    log.info("joined", project=project.id, trainer=trainer, member=member.number, from_round=member.joined_round + 1)
    return member


def stake_for(purse: Purse, project: VerifiedProject, trainer: str) -> Member:
    """Pays the stake of `trainer`, who alone can take it out again. Raises `StakeThere`, `BalanceTooLow`, and as
    `join`."""
    connection, market = purse.connection, purse.connection.market
    if market.member_of(project.id, trainer).staked:
        raise StakeThere(f"the stake of {trainer} in project {project.id} is in already; nothing was sent")
    times = _count(connection, Staked, project.id, trainer)
    calls = [market.stake_for(project.id, trainer)]
    _pay_stake(purse, project, project.terms.stake, calls, f"stake {project.id} for {trainer} time {times}")
    log.info("staked", project=project.id, trainer=trainer, amount=str(project.terms.stake))
    return market.member_of(project.id, trainer)


def restake(purse: Purse, project: VerifiedProject) -> Member:
    """Pays the own stake again after it was slashed. Raises `NotAMember`, `StakeThere`, `BalanceTooLow`."""
    member = purse.connection.market.member_of(project.id, purse.address)
    if not member.joined:
        raise NotAMember(
            f"{purse.address} is no trainer of project {project.id}: `cohort trainer join {project.id}` pays the stake"
        )
    return stake_for(purse, project, purse.address)


def set_delegate(purse: Purse, project: int, delegate: str | None) -> Member:
    """Lets `delegate` commit and reveal for this account from now on; None: nobody. Raises `NotAMember`,
    `TransactionReverted`."""
    connection, trainer = purse.connection, purse.address
    market = connection.market
    member = market.member_of(project, trainer)
    if not member.known:
        raise NotAMember(f"{trainer} is unknown in project {project}: join first, then name a delegate")
    if member.delegate != (delegate or ZERO_ADDRESS):
        times = _count(connection, DelegateChanged, project, trainer)
        purse.sender.execute(market.set_delegate(project, delegate), f"delegate {project} change {times}")
        log.info("delegate-set", project=project, trainer=trainer, delegate=delegate)
    return market.member_of(project, trainer)


def leave(purse: Purse, project: int) -> Member:
    """Takes part in no further round, from at once. Raises `NotAMember`, `TransactionReverted`."""
    connection, trainer = purse.connection, purse.address
    market = connection.market
    member = market.member_of(project, trainer)
    if not member.joined and not member.unlock_at:
        raise NotAMember(f"{trainer} is no trainer of project {project}: nothing to leave")
    if member.joined:
        times = _count(connection, MemberJoined, project, trainer)
        purse.sender.execute(market.leave(project), f"leave {project} time {times}")
        member = market.member_of(project, trainer)
        log.info("left", project=project, trainer=trainer, stake_free_at=member.unlock_at)
    return member


def withdraw_stake(purse: Purse, project: int, trainer: str | None = None) -> int:
    """Sends the stake of `trainer` (default: this account) to it; base units. Anyone may once it is free.

    Raises `NotAMember`, `StakeLocked` with the time in words, or `TransactionReverted` with the contract's reason
    (still a member).
    """
    connection = purse.connection
    market, trainer = connection.market, trainer or purse.address
    member = market.member_of(project, trainer)
    if not member.staked:
        raise NotAMember(f"{trainer} has no stake in project {project}: it was withdrawn or slashed, or never paid")
    now = connection.now()
    if not member.joined and member.unlock_at > now:
        raise StakeLocked(
            f"the stake of {trainer} in project {project} is free {moment(member.unlock_at, now)}: until then a "
            "commitment of the last round could still be slashed"
        )
    request = market.withdraw_stake(project, trainer)
    market.simulate(request, purse.address)
    amount = market.terms_of(project).stake
    times = _count(connection, Staked, project, trainer)
    purse.sender.execute(request, f"withdraw {project} of {trainer} stake {times}")
    log.info("stake-withdrawn", project=project, trainer=trainer, amount=str(amount))
    return amount


def stake_missing(project: int, trainer: str) -> StakeMissing:
    """For a member whose stake was slashed."""
    return StakeMissing(
        f"{trainer} is a member of project {project} and its stake was slashed: a commitment was never opened. "
        f"`cohort trainer restake {project}` pays the stake again; until then it takes part in no round"
    )


def _pay_stake(purse: Purse, project: VerifiedProject, value: int, calls: Sequence, intent: str) -> None:
    token = purse.connection.token(project.terms.token)
    held = token.balance_of(purse.address)
    if held < value:
        symbol, decimals = token.symbol(), token.decimals()
        raise BalanceTooLow(
            f"the stake of project {project.id} is {format_amount(value, decimals, symbol)}, {purse.address} holds "
            f"{format_amount(held, decimals, symbol)} of token {token.address}"
        )
    purse.pay(token, value, calls, intent)


def _count(connection: Connection, kind: type[MarketEvent], project: int, trainer: str) -> int:
    """How often something has happened to a trainer so far: makes each time an intent of its own."""
    config = connection.config
    return len(find_events(connection.chain, config.market, kind, [project, trainer], config.start_block))
