"""Which projects vouch for a trainer's reliability. The service's list saves time; the chain says what it is worth."""

from __future__ import annotations

import structlog
from cohort_protocol.chain import TransactionReverted
from cohort_protocol.chain.events import MemberJoined
from cohort_protocol.service.errors import ServiceError
from cohort_protocol.standing import standing_order

from cohort_trainer.chain_events import find_events
from cohort_trainer.connection import Connection
from cohort_trainer.errors import ReliabilityTooLow

log = structlog.get_logger(__name__)


def projects_on_chain(connection: Connection, trainer: str) -> list[int]:
    """Every project that the trainer ever joined, in the order that the market wants. Raises `ChainUnavailable`."""
    config = connection.config
    joined = find_events(connection.chain, config.market, MemberJoined, [None, trainer], config.start_block)
    numbers = {event.project for event in joined}
    return standing_order((connection.market.owner_of(number), number) for number in numbers)


def projects_from_service(connection: Connection, trainer: str) -> list[int] | None:
    """As the service names them; None if it does not answer or its list is not one that the market takes."""
    try:
        projects = connection.service.trainer(trainer).projects
        connection.market.reliability_of(trainer, projects)
    except (ServiceError, TransactionReverted) as error:
        log.info("standing-not-from-service", detail=str(error), next="asking the chain")
        return None
    return projects


def reliability(connection: Connection, trainer: str) -> int:
    """The most that all projects together show, basis points, from the chain alone."""
    return connection.market.reliability_of(trainer, projects_on_chain(connection, trainer))


def vouching_projects(connection: Connection, project: int, trainer: str) -> list[int]:
    """The projects to name when joining `project`; none if it asks for no reliability.

    Raises `ReliabilityTooLow` if not even all of them suffice, `ChainUnavailable`.
    """
    needed = connection.market.terms_of(project).min_reliability
    if needed == 0:
        return []
    named = projects_from_service(connection, trainer)
    if named is not None and connection.market.reliability_of(trainer, named) >= needed:
        return named
    # The service may have left some out.
    known = projects_on_chain(connection, trainer)
    found = connection.market.reliability_of(trainer, known)
    if found < needed:
        raise ReliabilityTooLow(
            f"project {project} asks for a reliability of {needed / 100:.2f}%, {trainer} has {found / 100:.2f}% from "
            f"{len(known)} projects: work in projects that ask for less first. Nothing was sent"
        )
    return known
