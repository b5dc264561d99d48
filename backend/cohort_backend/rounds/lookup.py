"""Finding the round that a request speaks of, and refusing those that come at the wrong time."""

from __future__ import annotations

from typing import NamedTuple

from cohort_protocol.phases import Phase
from sqlalchemy.orm import Session

from cohort_backend.chain.repository import chain_now
from cohort_backend.errors import PhaseNotAllowed, UnknownProject, UnknownRound
from cohort_backend.projects import repository as projects
from cohort_backend.projects.models import Project
from cohort_backend.rounds import repository as rounds
from cohort_backend.rounds.models import Round
from cohort_backend.rounds.phase import phase_of, takes_openings


class RoundInProject(NamedTuple):
    """A round with its project, at one moment."""

    project: Project
    round: Round
    now: int
    """Unix seconds, as the chain counts them."""

    @property
    def phase(self) -> Phase:
        return phase_of(self.round, self.now, self.project.min_trainers)

    def require_openings(self) -> None:
        """Raises `PhaseNotAllowed` unless commitments can be opened: in REVEAL, or after it to save a stake."""
        if not takes_openings(self.round, self.now, self.project.min_trainers):
            raise PhaseNotAllowed(self.project.id, self.round.number, self.phase, Phase.REVEAL)

    def require(self, allowed: Phase) -> None:
        """Raises `PhaseNotAllowed` outside one phase."""
        if self.phase is not allowed:
            raise PhaseNotAllowed(self.project.id, self.round.number, self.phase, allowed)


def find_project(session: Session, project: int) -> Project:
    """Raises `UnknownProject`."""
    found = projects.get(session, project)
    if found is None:
        raise UnknownProject(project)
    return found


def find_round(session: Session, project: int, round: int) -> RoundInProject:
    """Raises `UnknownProject`, `UnknownRound`."""
    owner = find_project(session, project)
    found = rounds.get(session, project, round)
    if found is None:
        raise UnknownRound(project, round)
    return RoundInProject(owner, found, chain_now(session))
