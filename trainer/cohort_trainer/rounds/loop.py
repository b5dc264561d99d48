"""A trainer's rounds, one after the other: wait until something changes, look at the chain, do what is due.

The service's long-poll says *when* to look and where bytes may be found; the chain says what is true. Without the
service the loop looks at the chain every few seconds instead, and everything but a reveal still works. A commitment
that nobody could reveal is opened by ourselves before its stake can be slashed (`rescue`).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

import structlog
from cohort_protocol.chain.errors import LogMalformed, RangeTooLarge
from cohort_protocol.chain.types import ZERO_ADDRESS
from cohort_protocol.errors import Unavailable
from cohort_protocol.identifiers import parse_bytes32
from cohort_protocol.learning.errors import TrainingFailed
from cohort_protocol.service.errors import ServiceError
from cohort_protocol.service.messages import ProjectState, RoundView
from cohort_protocol.service.refusals import advice
from cohort_protocol.update import CodecError

from cohort_trainer.errors import NotADelegate, NotAMember, RecordBroken
from cohort_trainer.membership import stake_missing
from cohort_trainer.rounds.facts import RoundFacts, look
from cohort_trainer.rounds.rescue import StakeGuard
from cohort_trainer.rounds.results import RoundResult, result_of
from cohort_trainer.rounds.steps import RoundSteps, ServiceHints, Step

log = structlog.get_logger(__name__)

SHORTEST_LOOK, LONGEST_LOOK = 1.0, 20.0
"""Bounds in seconds of the time after which the chain is looked at although the service reports nothing."""
SOON = 0.25
"""Seconds before a step that was not possible is tried again; doubles up to the time between looks."""
CALM = 0.1
"""Seconds between polls while others are busy: a round changes some thirty times, twice of which concern us."""


@dataclass
class RoundLoop:
    """Runs the rounds of one project until it is finished, `rounds` of them are over, or the caller stops it."""

    steps: RoundSteps
    guard: StakeGuard
    rounds: int | None = None
    """Stop after this many rounds in which this trainer took part; None for all."""
    on_result: Callable[[int, RoundResult], None] | None = None
    """Called with number and result of each round that is over."""
    sleep: Callable[[float], None] = time.sleep
    _version: int = field(default=-1, init=False)
    _hints: ServiceHints = field(default_factory=ServiceHints, init=False)
    _open: set[int] = field(default_factory=set, init=False)
    """Rounds that are decided and whose result is not recorded yet."""
    _results: int = field(default=0, init=False)
    _sat_out: int = field(default=0, init=False)
    """The round that is given up for a reason of this trainer's own."""
    _trained: bool = field(default=False, init=False)
    _heard: set[tuple[int, str, str]] = field(default_factory=set, init=False)
    """Round, witness and code of what witnesses have against our updates and was said."""
    _outage: str | None = field(default=None, init=False)
    """The part that does not answer, so that an outage is logged once and not with every attempt."""

    def __post_init__(self) -> None:
        windows = self.steps.project.terms.windows
        # A tenth of a window: at least once between `self_due` and the end of the commit phase, and in each rescue.
        shortest = min(windows.commit, windows.reveal, windows.rescue)
        self._interval = min(LONGEST_LOOK, max(SHORTEST_LOOK, shortest / 10))

    def run(self) -> int:
        """Number of rounds whose end was seen. Raises `NotAMember`, `StakeMissing`, `NotADelegate`, `TrainingFailed` if
        the training function never worked, and errors of configuration (`WrongChain`, `NoContract`, ...); outages are
        waited out."""
        service = self.steps.connection.service
        usual = service.timeout
        # A service that hangs must not keep us from the chain for longer than the time between looks.
        service.timeout = max(0.5, self._interval / 2)
        try:
            return self._run()
        finally:
            service.timeout = usual

    def _run(self) -> int:
        project, trainer, journal = self.steps.project.id, self.steps.trainer, self.steps.journal
        log.info("trainer-started", project=project, trainer=trainer, seed=self.steps.training.seed)
        self.steps.training.prepare()
        self._open = {number for number in journal.rounds() if self._is_open(number)}
        self.guard.recall()
        pause, seen, looked = 0.0, None, float("-inf")
        while True:
            state = self._listen(pause, first=looked < 0)
            key = _what_concerns(state, trainer)
            due = time.monotonic() - looked >= self._interval
            if state is not None and key == seen and not due and pause == 0.0:
                self.sleep(CALM)
                continue
            seen, looked = key, time.monotonic()
            try:
                facts = look(self.steps.connection, self.steps.project, trainer)
                self._recovered("chain")
                unsafe = self.guard.look(facts)
                self._report(facts)
                if self._is_over(facts):
                    return self._results
                self._check_member(facts)
                step = self._act(facts)
                step = Step.AGAIN if unsafe else step
            except (Unavailable, LogMalformed, RangeTooLarge) as error:
                self._waiting_for("chain or IPFS", error)
                step = Step.AGAIN
            pause = min(self._interval, max(SOON, pause * 2)) if step is Step.AGAIN else 0.0

    # --- waiting ----------------------------------------------------------------------------------------------------

    def _listen(self, pause: float, first: bool) -> ProjectState | None:
        """The service's view of the project, None while it does not answer. Waits for a change of it, unless a step
        is to be tried again after `pause` seconds."""
        if pause:
            self.sleep(pause)
        service, project = self.steps.connection.service, self.steps.project.id
        patient = not pause and not first and self._outage is None
        try:
            state = service.state(project, self._version if patient else -1, self._interval if patient else 0.0)
        except ServiceError as error:
            self._waiting_for("service", error)
            if not pause and not first:
                self.sleep(SHORTEST_LOOK)
            return None
        self._recovered("service")
        self._version = state.version
        if state.round is not None:
            self._hear(state.round)
            references = [state.round.model, *state.round.past_models]
            trainer = self.steps.trainer
            self._hints = ServiceHints(
                models={parse_bytes32(model.commitment): model.cid for model in references},
                round=state.round.number,
                forgot_commit=trainer not in state.round.committed,
                forgot_reveal=trainer not in state.round.revealed,
            )
        return state

    def _hear(self, round: RoundView) -> None:
        """Says once what each witness has against this trainer's update, and what can be done about it: some of it in
        time for the round."""
        for refusal in round.refusals:
            words = (round.number, refusal.witness or "", refusal.code)
            if refusal.trainer == self.steps.trainer and words not in self._heard:
                self._heard.add(words)
                log.warning(
                    "witness-does-not-sign",
                    project=self.steps.project.id,
                    round=round.number,
                    witness=refusal.witness,
                    code=refusal.code,
                    why=refusal.detail,
                    next=advice(refusal.code),
                )

    def _waiting_for(self, part: str, error: Exception) -> None:
        if self._outage != part:
            log.warning("waiting", for_=part, detail=str(error), project=self.steps.project.id)
            self._outage = part

    def _recovered(self, part: str) -> None:
        if self._outage is not None and part in self._outage:
            log.info("answers-again", part=self._outage, project=self.steps.project.id)
            self._outage = None

    # --- acting -----------------------------------------------------------------------------------------------------

    def _act(self, facts: RoundFacts) -> Step:
        if facts.number == self._sat_out:
            return Step.DONE
        try:
            step = self.steps.act(facts, self._hints)
        except RecordBroken as error:
            return self._sit_out(facts, error)
        except (TrainingFailed, CodecError) as error:
            if not self._trained:
                # A function that has never worked is a mistake to mend now, not after ten rounds without pay.
                raise
            return self._sit_out(facts, error)
        if facts.number not in self._open and self._is_open(facts.number):
            self._trained = True
            self._open.add(facts.number)
            self.guard.open.add(facts.number)
            self.steps.journal.prune(facts.number)
        return step

    def _is_open(self, number: int) -> bool:
        """Whether a round is decided and its result not recorded. One whose record is damaged is history."""
        try:
            record = self.steps.journal.load(number)
        except RecordBroken as error:
            log.error("record-broken", round=number, why=str(error))
            return False
        return record is not None and record.result is None

    def _sit_out(self, facts: RoundFacts, error: Exception) -> Step:
        log.error("round-sat-out", project=self.steps.project.id, round=facts.number, why=str(error))
        self._sat_out = facts.number
        return Step.DONE

    def _check_member(self, facts: RoundFacts) -> None:
        """Raises if this trainer can take part in no further round, unless there is still something to open."""
        member, account = facts.member, self.steps.account.address
        trainer, project = self.steps.trainer, self.steps.project.id
        if self.guard.open or facts.finished or facts.left:
            return
        if not member.joined:
            raise NotAMember(f"{trainer} is no trainer of project {project}: `cohort trainer join {project}` first")
        if not member.staked:
            raise stake_missing(project, trainer)
        if account != trainer and member.delegate != account:
            named = "nobody" if member.delegate == ZERO_ADDRESS else member.delegate
            raise NotADelegate(
                f"{account} is not the delegate of {trainer} in project {project}, that is {named}: {trainer} names "
                f"one with `cohort trainer set-delegate {project} {account}`"
            )

    def _report(self, facts: RoundFacts) -> None:
        """Logs and records the end of each round that this trainer took part in, once."""
        newest = facts.number if facts.phase.terminal else facts.number - 1
        for number in sorted(number for number in self._open - self.guard.open if number <= newest):
            record = self.steps.journal.load(number)
            assert record is not None
            result = result_of(self.steps.connection, record.project, number, record.member, record.fate)
            log.info("round-over", project=record.project, round=number, result=result.words())
            self.steps.journal.change(record, result=result.words())
            self._open.discard(number)
            self._results += 1
            if self.on_result is not None:
                self.on_result(number, result)

    def _is_over(self, facts: RoundFacts) -> bool:
        if facts.finished and not self.guard.open:
            log.info("project-finished", project=self.steps.project.id, rounds=facts.number)
            return True
        return self.rounds is not None and self._results >= self.rounds


def _what_concerns(state: ProjectState | None, trainer: str) -> object:
    """The part of the state whose change is a reason to look at the chain."""
    if state is None or state.round is None:
        return state is None, state is not None and (state.ended, state.finished)
    round = state.round
    return round.number, round.phase, state.ended, state.finished, trainer in round.committed, trainer in round.revealed
