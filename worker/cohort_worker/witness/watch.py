"""The loop of a witness: wait for news of a project, check what is asked for, answer.

The service only says that something is to be checked; what is signed comes from the witness's own node and its own
fetches. Outages of service, chain and IPFS are waited out with growing pauses, and nothing is said meanwhile.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

import structlog
from cohort_protocol.bundle import RoundInputs
from cohort_protocol.chain import Market
from cohort_protocol.chain.types import ProjectTerms
from cohort_protocol.commitments import MarketId
from cohort_protocol.errors import CohortError, InvalidInput, Unavailable
from cohort_protocol.identifiers import RoundKey, parse_bytes32
from cohort_protocol.ipfs.cid import Cid
from cohort_protocol.ipfs.errors import ContentNotFound
from cohort_protocol.ipfs.store import IpfsStore
from cohort_protocol.service.client import ServiceClient
from cohort_protocol.service.errors import ServiceRefused
from cohort_protocol.service.messages import ProjectState, PublicRowsProposal, RevealSet, SettlementProposal
from cohort_protocol.spec import ProjectSpec
from eth_account.signers.local import LocalAccount

from cohort_worker.rounds.margins import partial_receipts_due, rows_due
from cohort_worker.witness.history import ChainHistory, ProjectHistory, RoundHistory
from cohort_worker.witness.memory import Equivocation, SigningMemory
from cohort_worker.witness.public_rows import (
    RowsChecker,
    make_rows_refusal,
    make_rows_signature,
    rows_are_missing,
)
from cohort_worker.witness.receipts import Answer, RevealChecker, check_set, make_receipt
from cohort_worker.witness.settlement import (
    HistoryBehind,
    OutcomeRefused,
    check_proposal,
    fetch_spec,
    gather_inputs,
    make_refusal,
    make_signature,
)

log = structlog.get_logger(__name__)

LONG_POLL = 20.0
"""Seconds that the service may let us wait for news."""

LOOK_AGAIN = 1.0
"""Seconds until something that could not be told is looked at again."""

FIRST_PAUSE, LONGEST_PAUSE = 0.2, 5.0
"""Seconds between two tries while something does not answer."""


@dataclass(frozen=True)
class WitnessParts:
    """What all projects of one witness share. Safe under threads."""

    account: LocalAccount
    service: ServiceClient
    market: Market
    history: ChainHistory
    store: IpfsStore
    memory: SigningMemory


class ProjectWatch:
    """One project. `run` is a thread's work."""

    def __init__(self, parts: WitnessParts, project: int, identity: MarketId, terms: ProjectTerms) -> None:
        self._parts = parts
        self._project = project
        self._market = identity
        self._terms = terms
        self._checker = RevealChecker(identity, terms.dimension, parts.store)
        self._rows = RowsChecker(parts.store)
        self._spec: tuple[ProjectSpec, Cid] | None = None
        self._said: dict[RoundKey, tuple[bytes, int, int]] = {}
        self._answered: set[tuple[RoundKey, str]] = set()

    def run(self, stopping: threading.Event) -> None:
        """Until the project is finished or `stopping` is set."""
        version, wait, pause = -1, 0.0, FIRST_PAUSE
        while not stopping.is_set():
            try:
                state = self._parts.service.state(self._project, after=version, wait=wait)
                again = self.answer(state)
            except CohortError as error:
                self._log_trouble(error)
                stopping.wait(pause)
                version, wait, pause = -1, 0.0, min(LONGEST_PAUSE, 2 * pause)
                continue
            pause = FIRST_PAUSE
            if state.finished:
                log.info("project_finished", project=self._project)
                return
            version, wait = state.version, LONG_POLL if again is None else again

    def answer(self, state: ProjectState) -> float | None:
        """Checks and answers what is asked. Returns the seconds after which to look again even without news, or None.

        Raises what service, chain and store raise; nothing of it speaks against a trainer.
        """
        if state.round is None or (state.reveal_set, state.public_rows, state.settlement) == (None, None, None):
            return None
        key = RoundKey(self._project, state.round.number)
        again: list[float] = []
        if state.reveal_set is not None:
            again += self._about_reveals(key, state.reveal_set)
        if state.public_rows is not None and not self._heard(key, state.public_rows):
            again += self._about_rows(key, state.public_rows)
        if state.settlement is not None and not self._settled(key, state.settlement):
            again += self._about_settlement(key, state.settlement)
        return min(again, default=None)

    # --- reveals ------------------------------------------------------------------------------------------------------

    def _about_reveals(self, key: RoundKey, reveals: RevealSet) -> list[float]:
        """Checks the set at once, and signs for it when it is complete or when time runs out."""
        found, now = self._round(key)
        if found is None:
            return [LOOK_AGAIN]
        project, current = found
        if current.ended or now >= current.reveal_end:
            return []
        started = time.monotonic()
        digest = check_set(reveals, project.trainers)
        committed = current.commitments()
        findings = self._checker.check(key, reveals, committed)
        complete = set(committed) <= current.decided() | {item.member for item in reveals.reveals}
        due = partial_receipts_due(current.reveal_start, current.reveal_end)
        if not complete and now < due:
            return [max(0.1, min(LONG_POLL, due - now))]
        receipt = make_receipt(self._parts.account, self._market, key, digest, reveals, findings)
        words = (digest, receipt.endorsed, receipt.refused)
        if self._said.get(key) != words:
            status = self._parts.service.post_receipt(self._project, key.round, receipt).status
            self._said = {key: words}
            log.info(
                "receipt_posted",
                project=key.project,
                round=key.round,
                reveals=len(findings),
                endorsed=receipt.endorsed.bit_count(),
                refused=receipt.refused.bit_count(),
                refusals=[f"{r.trainer} {r.code}: {r.detail}" for r in receipt.refusals],
                status=status,
                seconds=round(time.monotonic() - started, 3),
            )
        unknown = any(finding.answer is Answer.UNKNOWN for finding in findings)
        return [LOOK_AGAIN] if unknown and now < current.reveal_end else []

    # --- public rows --------------------------------------------------------------------------------------------------

    def _heard(self, key: RoundKey, proposal: PublicRowsProposal) -> bool:
        """Whether we have said what we have to say about these rows."""
        return self._parts.account.address in proposal.signed_by or (key, proposal.rows) in self._answered

    def _about_rows(self, key: RoundKey, proposal: PublicRowsProposal) -> list[float]:
        found, _ = self._round(key)
        if found is None:
            return [LOOK_AGAIN]
        if found[1].ended:
            return []
        started = time.monotonic()
        try:
            inputs, spec = self._inputs(*found), self._project_spec()[0]
            self._rows.check(parse_bytes32(proposal.rows), inputs, spec)
        except (HistoryBehind, ContentNotFound) as error:
            self._log_trouble(error)
            return [LOOK_AGAIN]
        except InvalidInput as error:
            refusal = make_rows_refusal(self._parts.account, key, proposal.rows, str(error))
            self._parts.service.post_rows_refusal(self._project, key.round, refusal)
            self._answered = {(key, proposal.rows)}
            return []
        signature = make_rows_signature(self._parts.account, self._market, key, proposal.rows)
        self._parts.service.post_rows_signature(self._project, key.round, signature)
        self._answered = {(key, proposal.rows)}
        seconds = round(time.monotonic() - started, 3)
        log.info("rows_signed", project=key.project, round=key.round, rows=proposal.rows, seconds=seconds)
        return []

    def _rows_may_come(self, key: RoundKey, inputs: RoundInputs, now: float) -> bool:
        """Whether it is too early to sign an outcome without the rows of the revealed batch."""
        if not rows_are_missing(inputs):
            return False
        view = self._parts.market.round_of(self._project, key.round)
        if now >= rows_due(view.reveal_end, view.acceptor_end):
            return False
        words = self._rows.impossible(inputs, self._project_spec()[0])
        if words:
            log.info("no_rows", project=key.project, round=key.round, detail=words)
        return not words

    # --- settlement ---------------------------------------------------------------------------------------------------

    def _settled(self, key: RoundKey, proposal: SettlementProposal) -> bool:
        """Whether we have said what we have to say about this proposal."""
        return self._parts.account.address in proposal.signed_by or (key, proposal.bundle_cid) in self._answered

    def _about_settlement(self, key: RoundKey, proposal: SettlementProposal) -> list[float]:
        found, now = self._round(key)
        if found is None:
            return [LOOK_AGAIN]
        project, current = found
        if current.ended:
            return []
        started = time.monotonic()
        try:
            inputs = self._inputs(project, current)
            if self._rows_may_come(key, inputs, now):
                log.info("rows_awaited", project=key.project, round=key.round, bundle=proposal.bundle_cid)
                return [LOOK_AGAIN]
            statement = check_proposal(proposal, inputs, self._parts.store)
            self._parts.memory.remember(self._market, statement)
        except (HistoryBehind, ContentNotFound) as error:
            self._log_trouble(error)
            return [LOOK_AGAIN]
        except (OutcomeRefused, Equivocation) as error:
            refusal = make_refusal(self._parts.account, key, proposal.bundle_cid, str(error))
            self._parts.service.post_settlement_refusal(self._project, key.round, refusal)
            self._answered.add((key, proposal.bundle_cid))
            return []
        signature = make_signature(self._parts.account, self._market, statement, proposal.bundle_cid)
        self._parts.service.post_settlement_signature(self._project, key.round, signature)
        self._answered = {(key, proposal.bundle_cid)}
        log.info(
            "settlement_signed",
            project=key.project,
            round=key.round,
            rows=len(current.rows),
            bundle=proposal.bundle_cid,
            seconds=round(time.monotonic() - started, 3),
        )
        return []

    def _inputs(self, project: ProjectHistory, current: RoundHistory) -> RoundInputs:
        on_chain = self._parts.market.round_of(self._project, current.number)
        facts = (len(current.rows), current.validation, current.public_rows)
        if facts != (on_chain.admitted, on_chain.validation, on_chain.public_rows):
            raise HistoryBehind(f"round {self._project}/{current.number}: not all of its events were read yet")
        return gather_inputs(self._market, self._project, self._terms, self._project_spec(), project, current)

    def _project_spec(self) -> tuple[ProjectSpec, Cid]:
        if self._spec is None:
            self._spec = fetch_spec(self._parts.store, self._terms)
        return self._spec

    # --- the chain ----------------------------------------------------------------------------------------------------

    def _round(self, key: RoundKey) -> tuple[tuple[ProjectHistory, RoundHistory] | None, float]:
        """The project and its round as on chain now, None if our node does not have it yet; and the time (unix
        seconds)."""
        head_time = self._parts.history.refresh()
        return self._parts.history.round(*key), max(time.time(), head_time)

    def _log_trouble(self, error: CohortError) -> None:
        if isinstance(error, Unavailable | ContentNotFound):
            log.info("waiting", project=self._project, code=error.code, detail=str(error))
        elif isinstance(error, ServiceRefused):
            log.info("service_refused", project=self._project, code=error.code, detail=str(error))
        else:
            log.warning("not_signed", project=self._project, code=error.code, detail=str(error))


class ProjectDiscovery:
    """Finds the projects that name this witness, and keeps a watch on each."""

    def __init__(self, parts: WitnessParts, verifier: str, only: frozenset[int]) -> None:
        self._parts = parts
        self._verifier = verifier
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

    def look(self, start: Callable[[ProjectWatch], None]) -> None:
        """Starts a watch for every new project of ours. Raises `ChainUnavailable`."""
        newest = self._parts.market.project_count()
        for project in range(self._looked_at + 1, newest + 1):
            terms = self._parts.market.terms_of(project)
            if self._is_ours(project, terms):
                log.info("project_watched", project=project, quorum=terms.quorum, witnesses=len(terms.witnesses))
                start(ProjectWatch(self._parts, project, self._parts.market.identity(project), terms))
            self._looked_at = project

    def _is_ours(self, project: int, terms: ProjectTerms) -> bool:
        if self._only and project not in self._only:
            return False
        if self._parts.account.address not in terms.witnesses:
            return False
        if terms.verifier != self._verifier:
            log.warning("other_verifier", project=project, found=terms.verifier, expected=self._verifier)
            return False
        return True

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


def check_service(service: ServiceClient, market: Market, verifier: str) -> None:
    """Raises `InvalidInput` if the service serves another market; `ServiceUnavailable` if it does not answer."""
    info = service.market()
    found = (info.chain_id, info.market, info.verifier)
    expected = (market.client.chain_id, market.address, verifier)
    if found != expected:
        raise InvalidInput(
            f"the service at {service.base_url} serves chain {found[0]}, market {found[1]}, verifier {found[2]}; this "
            f"witness was told chain {expected[0]}, market {expected[1]}, verifier {expected[2]}"
        )
