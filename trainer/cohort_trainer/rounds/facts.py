"""What the chain says about a project's newest round and this trainer's place in it."""

from __future__ import annotations

from dataclasses import dataclass

from cohort_protocol.chain.types import Member, RoundView
from cohort_protocol.phases import Phase

from cohort_trainer.connection import Connection
from cohort_trainer.projects import VerifiedProject


@dataclass(frozen=True)
class RoundFacts:
    """One look at the chain."""

    now: int
    """The chain's time, unix seconds."""
    number: int
    """Newest round; 0 before the first."""
    view: RoundView | None
    """None before the first round."""
    member: Member
    ended: bool
    rounds_left: int
    """Rounds that the terms still allow after this one."""

    @property
    def phase(self) -> Phase:
        return self.view.phase if self.view is not None else Phase.NONE

    @property
    def taking_part(self) -> bool:
        """Whether this trainer may commit in the newest round."""
        return self.member.may_commit_in(self.number)

    @property
    def finished(self) -> bool:
        """No further round will open for this trainer, and the newest one is over."""
        over = self.view is None or self.view.phase.terminal
        return over and (self.ended or self.rounds_left == 0 or self.left)

    @property
    def left(self) -> bool:
        """This trainer has left, and its stake is still there."""
        return not self.member.joined and self.member.unlock_at > 0


def look(connection: Connection, project: VerifiedProject, trainer: str) -> RoundFacts:
    """Reads the newest round as of the block being built, so that phases that end by time alone are seen to end.

    Raises `ChainUnavailable`, `TransactionReverted`.
    """
    market = connection.market
    progress = market.progress_of(project.id)
    view = market.round_of(project.id, progress.round, "pending") if progress.round else None
    return RoundFacts(
        now=connection.now(),
        number=progress.round,
        view=view,
        member=market.member_of(project.id, trainer),
        ended=progress.ended,
        rounds_left=project.terms.rounds - progress.round,
    )


def reveal_is_final(connection: Connection, project: VerifiedProject, facts: RoundFacts) -> bool:
    """Whether the end of the commit phase lies deep enough in the chain that a reorg cannot reopen it.

    An update that is published while somebody can still commit can be copied.
    """
    depth = connection.config.confirmations
    if depth == 0:
        return facts.phase is Phase.REVEAL
    ref = connection.chain.block_number() - depth
    if ref < connection.config.start_block:
        return False
    if connection.market.progress_of(project.id, ref).round < facts.number:
        return False
    return connection.market.round_of(project.id, facts.number, ref).phase in (Phase.GUARD, Phase.REVEAL)
