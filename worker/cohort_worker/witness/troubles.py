"""What keeps a witness from answering, in its log: once for each trouble, not with every attempt."""

from __future__ import annotations

import structlog
from cohort_protocol.errors import CohortError, Unavailable
from cohort_protocol.ipfs.errors import ContentNotFound
from cohort_protocol.service.errors import ServiceRefused

log = structlog.get_logger(__name__)


class Troubles:
    """Of one project. Not for two threads."""

    def __init__(self, project: int) -> None:
        self._project = project
        self._last = ""

    def log(self, error: CohortError) -> None:
        """An outage, a refusal of the mailbox, or something that is not signed for a reason."""
        words = f"{error.code}: {error}"
        if words == self._last:
            return
        self._last = words
        if isinstance(error, Unavailable | ContentNotFound):
            log.info("waiting", project=self._project, code=error.code, detail=str(error))
        elif isinstance(error, ServiceRefused):
            log.info("service_refused", project=self._project, code=error.code, detail=str(error))
        else:
            log.warning("not_signed", project=self._project, code=error.code, detail=str(error))
