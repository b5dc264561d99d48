"""Errors of the service that belong to no single domain. Each domain keeps its own in its folder."""

from __future__ import annotations

from cohort_protocol.errors import CohortError, InvalidInput, NotFound, Unavailable, WrongPhase
from cohort_protocol.phases import Phase


class Forbidden(CohortError):
    """The signer may not do this here."""

    code = "forbidden"


class CannotListen(Unavailable):
    """Another process has the port, or the address is not this machine's."""

    code = "cannot-listen"


class UnknownProject(NotFound):
    """This service has not indexed such a project."""

    code = "unknown-project"

    def __init__(self, project: int) -> None:
        super().__init__(
            f"project {project} is not known here: check the number, and wait a moment if it was created just now"
        )


class UnknownRound(NotFound):
    """This service has not indexed such a round."""

    code = "unknown-round"

    def __init__(self, project: int, round: int) -> None:
        super().__init__(
            f"round {project}/{round} is not known here: check the numbers, and wait a moment if it opened just now"
        )


class PhaseNotAllowed(WrongPhase):
    """As `WrongPhase`, with the phases at hand for the answer."""

    def __init__(self, project: int, round: int, found: Phase, allowed: Phase) -> None:
        self.found, self.allowed = found, allowed
        super().__init__(f"round {project}/{round} is in phase {found.name}, this is allowed in {allowed.name} only")


class BodyTooLarge(InvalidInput):
    """A request body over the limit."""

    code = "body-too-large"


class Busy(Unavailable):
    """Too many requests of this kind wait already."""

    code = "busy"
