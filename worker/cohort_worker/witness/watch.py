"""The loop of a witness: wait for news of a project, check what is asked for, answer.

The mailbox (a service, or a folder) only says that something is to be checked; what is signed comes from the witness's
own node and its own fetches. Outages of mailbox, chain and IPFS are waited out with growing pauses, and nothing is said
meanwhile. A model that waits for receipts needs no asking: the chain says so.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass

import structlog
from cohort_protocol.bundle import RoundInputs
from cohort_protocol.chain import Market
from cohort_protocol.chain.types import ProjectTerms
from cohort_protocol.commitments import ZERO32, MarketId
from cohort_protocol.errors import CohortError, InvalidInput
from cohort_protocol.identifiers import RoundKey, parse_bytes32, to_hex
from cohort_protocol.ipfs.cid import Cid
from cohort_protocol.ipfs.errors import ContentNotFound
from cohort_protocol.ipfs.store import IpfsStore
from cohort_protocol.proof.scheme import CommitmentScheme
from cohort_protocol.proof.schemes import Schemes
from cohort_protocol.sealing.errors import NotAReader
from cohort_protocol.sealing.project import sealing_of
from cohort_protocol.service.messages import ProjectState, PublicRowsProposal, RevealSet, SettlementProposal
from cohort_protocol.spec import ProjectSpec, Settlement
from eth_account.signers.local import LocalAccount

from cohort_worker.rounds.margins import partial_receipts_due, rows_due
from cohort_worker.witness.history import ChainHistory, ProjectHistory, RoundHistory
from cohort_worker.witness.mailbox import Mailbox
from cohort_worker.witness.memory import Equivocation, SigningMemory
from cohort_worker.witness.models import make_model_receipt, pending_model
from cohort_worker.witness.public_rows import (
    RowsChecker,
    make_rows_refusal,
    make_rows_signature,
    rows_are_missing,
)
from cohort_worker.witness.receipts import Answer, RevealChecker, RevealRules, check_set, make_receipt
from cohort_worker.witness.settlement import (
    HistoryBehind,
    OutcomeRefused,
    check_proposal,
    fetch_spec,
    gather_inputs,
    make_refusal,
    make_signature,
)
from cohort_worker.witness.troubles import Troubles

log = structlog.get_logger(__name__)

LONG_POLL = 20.0
"""Seconds that the service may let us wait for news."""

LOOK_AGAIN = 1.0
"""Seconds until something that could not be told is looked at again."""

FETCH_SECONDS = 5.0
"""How long files of reveals are waited for before it is looked whether there is news; then they are waited for again. A
receipt waits for late files until it is time to sign for an incomplete set."""

FIRST_PAUSE, LONGEST_PAUSE = 0.2, 5.0
"""Seconds between two tries while something does not answer."""


@dataclass(frozen=True)
class WitnessParts:
    """What all projects of one witness share. Safe under threads."""

    account: LocalAccount
    mailbox: Mailbox
    market: Market
    history: ChainHistory
    store: IpfsStore
    memory: SigningMemory
    schemes: Schemes


class ProjectWatch:
    """One project. `run` is a thread's work."""

    def __init__(
        self, parts: WitnessParts, project: int, identity: MarketId, terms: ProjectTerms, settlement: Settlement
    ) -> None:
        """settlement: what the terms' verifier checks. Contacts nothing."""
        self._parts = parts
        self._project = project
        self._market = identity
        self._terms = terms
        self._settlement: Settlement = settlement
        self._reveals: RevealChecker | None = None
        self._rows: RowsChecker | None = None
        self._spec: tuple[ProjectSpec, Cid] | None = None
        self._vouched: set[bytes] = set()
        """Models for whose bytes a receipt was handed in."""
        self._troubles = Troubles(project)
        self._said: dict[RoundKey, tuple[bytes, int, int]] = {}
        self._answered: set[tuple[RoundKey, str]] = set()

    @property
    def project(self) -> int:
        return self._project

    def run(self, stopping: threading.Event) -> None:
        """Until the project is finished or `stopping` is set."""
        version, wait, pause = -1, 0.0, FIRST_PAUSE
        while not stopping.is_set():
            try:
                state, again = self.look(version, wait)
            except CohortError as error:
                self._troubles.log(error)
                stopping.wait(pause)
                version, wait, pause = -1, 0.0, min(LONGEST_PAUSE, 2 * pause)
                continue
            pause = FIRST_PAUSE
            if state.finished and again is None:
                log.info("project_finished", project=self._project)
                return
            version, wait = state.version, LONG_POLL if again is None else again

    def look(self, version: int = -1, wait: float = 0.0) -> tuple[ProjectState, float | None]:
        """Waits up to `wait` seconds for a state newer than `version`, and answers what is asked. Returns the state,
        and the seconds after which to look again even without news, or None. Raises as `answer`."""
        state = self._parts.mailbox.state(self._project, after=version, wait=wait)
        waiting = [one for one in (self.answer(state), self.vouch()) if one is not None]
        return state, min(waiting, default=None)

    def answer(self, state: ProjectState) -> float | None:
        """Checks and answers what is asked. Returns the seconds after which to look again even without news, or None.

        Raises what mailbox, chain and store raise; nothing of it speaks against a trainer.
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

    # --- a model that waits for receipts ------------------------------------------------------------------------------

    def vouch(self) -> float | None:
        """Signs for the bytes of the model that a settlement left without a quorum's receipts, if there is one and they
        open its commitment. Returns and raises as `answer`."""
        progress = self._parts.market.progress_of(self._project)
        model = progress.pending_model
        if model == ZERO32 or model in self._vouched:
            return None
        self._parts.history.refresh()
        history, scheme = self._parts.history.project(self._project), self._scheme()
        try:
            cid = pending_model(history, model, self._terms.dimension, self._parts.store, scheme)
        except (HistoryBehind, ContentNotFound) as error:
            self._troubles.log(error)
            return LOOK_AGAIN
        except InvalidInput as error:
            log.error("model_refused", project=self._project, model=to_hex(model), code=error.code, detail=str(error))
            self._vouched.add(model)
            return None
        receipt = make_model_receipt(self._parts.account, self._market, self._project, model)
        self._parts.mailbox.post_model_receipt(self._project, receipt)
        self._vouched.add(model)
        log.info("model_receipt_posted", project=self._project, model=to_hex(model), cid=str(cid))
        return None

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
        due = partial_receipts_due(current.reveal_start, current.reveal_end)
        checker = self._reveal_checker()
        findings = checker.check(key, reveals, committed, FETCH_SECONDS if now < due else LOOK_AGAIN)
        complete = set(committed) <= current.decided() | {item.member for item in reveals.reveals}
        if now < due and (checker.fetching or not complete):
            return [LOOK_AGAIN if checker.fetching else max(0.1, min(LONG_POLL, due - now))]
        receipt = make_receipt(self._parts.account, self._market, key, digest, reveals, findings)
        words = (digest, receipt.endorsed, receipt.refused)
        if self._said.get(key) != words:
            status = self._parts.mailbox.post_receipt(self._project, key.round, receipt).status
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
        started, scheme = time.monotonic(), self._scheme()  # what we lack ourselves is no reason to refuse
        try:
            inputs, spec = self._inputs(*found), self._project_spec()[0]
            self._rows_checker().check(parse_bytes32(proposal.rows), inputs, spec, scheme)
        except (HistoryBehind, ContentNotFound) as error:
            self._troubles.log(error)
            return [LOOK_AGAIN]
        except NotAReader:
            raise
        except InvalidInput as error:
            refusal = make_rows_refusal(self._parts.account, key, proposal.rows, str(error))
            self._parts.mailbox.post_rows_refusal(self._project, key.round, refusal)
            self._answered = {(key, proposal.rows)}
            return []
        signature = make_rows_signature(self._parts.account, self._market, key, proposal.rows)
        self._parts.mailbox.post_rows_signature(self._project, key.round, signature)
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
        words = self._rows_checker().impossible(inputs, self._project_spec()[0], self._scheme())
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
            statement = check_proposal(proposal, inputs, self._store(), self._scheme())
            self._parts.memory.remember(self._market, statement)
        except (HistoryBehind, ContentNotFound) as error:
            self._troubles.log(error)
            return [LOOK_AGAIN]
        except (OutcomeRefused, Equivocation) as error:
            refusal = make_refusal(self._parts.account, key, proposal.bundle_cid, str(error))
            self._parts.mailbox.post_settlement_refusal(self._project, key.round, refusal)
            self._answered.add((key, proposal.bundle_cid))
            return []
        signature = make_signature(self._parts.account, self._market, statement, proposal.bundle_cid, self._settlement)
        self._parts.mailbox.post_settlement_signature(self._project, key.round, signature)
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
            self._spec = fetch_spec(self._parts.store, self._terms, self._settlement)
        return self._spec

    def _store(self) -> IpfsStore:
        """The store as this witness reads it: in a private project updates are sealed for it, among others."""
        sealing = sealing_of(self._project_spec()[0], self._market.chain_id, self._market.market, self._project)
        return sealing.opened(self._parts.store, bytes(self._parts.account.key))

    def _rows_checker(self) -> RowsChecker:
        if self._rows is None:
            self._rows = RowsChecker(self._store())
        return self._rows

    def _scheme(self) -> CommitmentScheme:
        """Raises what `Schemes.of` raises: in a proven project the SRS file may be missing or another one's."""
        return self._parts.schemes.of(self._settlement, self._terms.verifier, self._terms.dimension)

    def _reveal_checker(self) -> RevealChecker:
        if self._reveals is None:
            rules = RevealRules(self._market, self._terms.dimension, self._scheme())
            self._reveals = RevealChecker(rules, self._store())
        return self._reveals

    # --- the chain ----------------------------------------------------------------------------------------------------

    def _round(self, key: RoundKey) -> tuple[tuple[ProjectHistory, RoundHistory] | None, float]:
        """The project and its round as on chain now, None if our node does not have it yet; and the time (unix
        seconds)."""
        head_time = self._parts.history.refresh()
        return self._parts.history.round(*key), max(time.time(), head_time)
