"""An aggregator's money as a library: what the `cohort aggregator` commands do, callable from Python.

The worker brings in the bond that it needs by itself; this is for whoever owns the key: to see it, add to it, and take
out what is free, which includes the fees of settled rounds.
"""

from __future__ import annotations

from dataclasses import dataclass

import structlog
from cohort_protocol.chain.types import Bond

from cohort_trainer.actor import Actor
from cohort_trainer.amounts import format_amount, parse_amount
from cohort_trainer.errors import BalanceTooLow, NotAnAggregator

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class BondStatus:
    """An aggregator in one project, from the chain. Amounts in base units."""

    project: int
    listed: bool
    """Among the project's aggregators."""
    bond: Bond
    needed: int
    """For each round that it accepts."""
    next_round: int
    accepted: bool
    """It has accepted the next round."""
    symbol: str
    decimals: int

    @property
    def rounds_covered(self) -> int:
        """Rounds that the free part is enough to accept."""
        return self.bond.free // self.needed

    def lines(self) -> list[str]:
        """For people."""
        bond, place = self.bond, "an aggregator" if self.listed else "NOT an aggregator"
        return [
            f"Project {self.project}: {place}",
            f"  free         {format_amount(bond.free, self.decimals, self.symbol)}, fees included",
            f"  locked       {format_amount(bond.locked, self.decimals, self.symbol)} behind rounds that still run",
            f"  a round      takes {format_amount(self.needed, self.decimals, self.symbol)}: what is free covers "
            f"{self.rounds_covered}",
            f"  next round   {self.next_round}, {'accepted by you' if self.accepted else 'not accepted by you'}",
        ]


class Aggregator(Actor):
    """An aggregator with its home. Close it, or use it in a `with` statement."""

    def status(self, project: int) -> BondStatus:
        """Raises `UnknownProject`, `ChainUnavailable`."""
        self.connection.check_chain()
        market = self.connection.market
        terms, progress = market.terms_of(project), market.progress_of(project)
        token = self.connection.token(terms.token)
        return BondStatus(
            project=project,
            listed=self.address in market.aggregators_of(project),
            bond=market.bond_of(project, self.address),
            needed=terms.bond,
            next_round=progress.round + 1,
            accepted=progress.acceptor == self.address,
            symbol=token.symbol(),
            decimals=token.decimals(),
        )

    def deposit(self, project: int, amount: str | int) -> int:
        """Adds to the free bond; base units. Raises `NotAnAggregator`, `BalanceTooLow`, `TransactionReverted`."""
        found = self.status(project)
        if not found.listed:
            raise NotAnAggregator(
                f"{self.address} is not among the aggregators of project {project}: its owner adds one with "
                f"`cohort project add-aggregator {project} {self.address}`"
            )
        value = parse_amount(amount, found.decimals)
        token = self.connection.token(self.connection.market.terms_of(project).token)
        held = token.balance_of(self.address)
        if held < value:
            raise BalanceTooLow(f"the bond takes {value} base units, {self.address} holds {held} of {token.address}")
        moment = self.connection.chain.block_number()
        call = self.connection.market.deposit_bond(project, value)
        self.purse.pay(token, value, [call], f"bond {project} of {value} at {moment}")
        log.info("bond-deposited", project=project, amount=str(value))
        return value

    def withdraw(self, project: int, amount: str | int | None = None) -> int:
        """Takes out of the free bond; base units. None: all of it. Raises `BalanceTooLow`, `TransactionReverted`."""
        found = self.status(project)
        value = found.bond.free if amount is None else parse_amount(amount, found.decimals)
        if value > found.bond.free or value == 0:
            raise BalanceTooLow(
                f"{found.bond.free} base units of the bond of {self.address} in project {project} are free, "
                f"{found.bond.locked} are locked behind rounds that have not ended; asked for {value}"
            )
        moment = self.connection.chain.block_number()
        request = self.connection.market.withdraw_bond(project, value)
        self.purse.sender.execute(request, f"withdraw bond {project} of {value} at {moment}")
        log.info("bond-withdrawn", project=project, amount=str(value))
        return value
