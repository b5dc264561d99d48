"""Finds the projects that name a witness, and keeps a watch on each."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

import structlog
from cohort_protocol.chain import Market
from cohort_protocol.chain.types import ProjectTerms
from cohort_protocol.errors import CohortError, InvalidInput, Unavailable
from cohort_protocol.service.client import ServiceClient
from cohort_protocol.spec import Settlement

from cohort_worker.witness.watch import FIRST_PAUSE, LONGEST_PAUSE, ProjectWatch, WitnessParts

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Verifiers:
    """Addresses of the market's verifier contracts: a project's terms name one of them, which says what it is."""

    attested: str
    proven: str | None = None
    """None: this witness serves no proven projects."""

    def settlement(self, verifier: str) -> Settlement | None:
        """What a verifier checks; None for one that we do not know."""
        if verifier == self.attested:
            return "attested"
        return "proven" if self.proven is not None and verifier == self.proven else None


class ProjectDiscovery:
    """Finds the projects that name this witness, and keeps a watch on each."""

    def __init__(self, parts: WitnessParts, verifiers: Verifiers, only: frozenset[int]) -> None:
        """only: numbers of projects; empty: all that name the witness."""
        self._parts = parts
        self._verifiers = verifiers
        self._only = only
        self._looked_at = 0
        self._watches: list[threading.Thread] = []

    def run(self, stopping: threading.Event, seconds: float) -> None:
        """Looks for new projects every `seconds` until `stopping` is set."""
        pause = FIRST_PAUSE
        while not stopping.is_set():
            try:
                self.look(lambda watch: self._start(watch, stopping))
                pause = FIRST_PAUSE
                stopping.wait(seconds)
            except Unavailable as error:
                log.info("waiting", code=error.code, detail=str(error))
                stopping.wait(pause)
                pause = min(LONGEST_PAUSE, 2 * pause)

    def once(self) -> list[dict[str, object]]:
        """Looks at every project of ours once; per project what is left: `answered`, or `waiting` with the reason.

        Raises `ChainUnavailable` if the projects cannot be told."""
        watches: list[ProjectWatch] = []
        self.look(watches.append)
        found: list[dict[str, object]] = []
        for watch in watches:
            try:
                _, again = watch.look()
            except CohortError as error:
                found.append({"project": watch.project, "state": "waiting", "code": error.code, "detail": str(error)})
            else:
                found.append({"project": watch.project, "state": "answered" if again is None else "waiting"})
        return found

    def look(self, start: Callable[[ProjectWatch], None]) -> None:
        """Starts a watch for every new project of ours. Raises `ChainUnavailable`."""
        newest = self._parts.market.project_count()
        for project in range(self._looked_at + 1, newest + 1):
            terms = self._parts.market.terms_of(project)
            settlement = self._is_ours(project, terms)
            if settlement is not None:
                log.info(
                    "project_watched",
                    project=project,
                    settlement=settlement,
                    quorum=terms.quorum,
                    witnesses=len(terms.witnesses),
                )
                identity = self._parts.market.identity(project)
                start(ProjectWatch(self._parts, project, identity, terms, settlement))
            self._looked_at = project

    def _is_ours(self, project: int, terms: ProjectTerms) -> Settlement | None:
        """What its settlements rest on, if this witness is to watch it."""
        if self._only and project not in self._only:
            return None
        if self._parts.account.address not in terms.witnesses:
            return None
        settlement = self._verifiers.settlement(terms.verifier)
        if settlement is None:
            expected = [one for one in (self._verifiers.attested, self._verifiers.proven) if one is not None]
            log.warning("other_verifier", project=project, found=terms.verifier, expected=expected)
            return None
        if settlement == "proven":
            self._check_srs(project, terms)
        return settlement

    def _check_srs(self, project: int, terms: ProjectTerms) -> None:
        """Says at once, and once, what the rounds of a proven project will lack; they say it again."""
        try:
            self._parts.schemes.of("proven", terms.verifier, terms.dimension)
        except InvalidInput as error:
            log.error("srs_unusable", project=project, code=error.code, detail=str(error))

    def _start(self, watch: ProjectWatch, stopping: threading.Event) -> None:
        thread = threading.Thread(target=_guarded, args=(watch, stopping), daemon=True)
        thread.start()
        self._watches.append(thread)


def _guarded(watch: ProjectWatch, stopping: threading.Event) -> None:
    while not stopping.is_set():
        try:
            watch.run(stopping)
            return
        except Exception:
            if stopping.is_set():
                return  # connections are being closed under us
            # The boundary of the thread: one project's trouble must not leave it without its witness for good.
            log.exception("watch_broken")
            stopping.wait(LONGEST_PAUSE)


def check_service(service: ServiceClient, market: Market, verifiers: Verifiers) -> None:
    """Raises `InvalidInput` if the service serves another market; `ServiceUnavailable` if it does not answer."""
    info = service.market()
    found = (info.chain_id, info.market, info.verifier)
    expected = (market.client.chain_id, market.address, verifiers.attested)
    if found != expected:
        raise InvalidInput(
            f"the service at {service.base_url} serves chain {found[0]}, market {found[1]}, verifier {found[2]}; this "
            f"witness was told chain {expected[0]}, market {expected[1]}, verifier {expected[2]}"
        )
    if verifiers.proven is not None and info.proven_verifier not in (verifiers.proven, None):
        raise InvalidInput(
            f"the service at {service.base_url} serves proven projects with verifier {info.proven_verifier}, this "
            f"witness was told {verifiers.proven}"
        )
