"""An audit from beginning to end."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from cohort_protocol.audit import learned, models, money, openings, outcome, service, terms, whole
from cohort_protocol.audit.cases import Progress, ProjectCase, RoundCase, Sources
from cohort_protocol.audit.errors import AuditFalse, AuditUnknown
from cohort_protocol.audit.findings import Check, Finding, State, find
from cohort_protocol.errors import NotFound
from cohort_protocol.service.client import ServiceClient

PROJECT_CHECKS: tuple[Check[ProjectCase], ...] = (
    *whole.CHECKS,
    *terms.CHECKS,
    *money.CHECKS,
    *models.CHECKS,
)


class NoSuchRound(NotFound):
    """The project has no round of this number."""

    code = "no-such-round"


@dataclass(frozen=True)
class Audit:
    """A finished audit."""

    case: ProjectCase
    findings: tuple[Finding, ...]
    """Of the project, then of its rounds in order."""

    def of(self, state: State) -> list[Finding]:
        return [finding for finding in self.findings if finding.state is state]

    @property
    def state(self) -> State:
        """False if any check is, else unknown if any is, else true."""
        for state in (State.FALSE, State.UNKNOWN):
            if self.of(state):
                return state
        return State.TRUE

    def raise_if_not_true(self) -> None:
        """Raises `AuditFalse` or `AuditUnknown` with the first such check."""
        for state, error in ((State.FALSE, AuditFalse), (State.UNKNOWN, AuditUnknown)):
            found = self.of(state)
            if found:
                many = "" if len(found) == 1 else f" ({len(found)} checks are {state})"
                raise error(f"{found[0].where} is {state}: {found[0].text}{many}")


def round_checks(case: RoundCase) -> Sequence[Check[RoundCase]]:
    """What is checked of a round, by how it ended."""
    ending: Sequence[Check[RoundCase]] = ()
    if case.record.settled is not None:
        ending = (*_settlement_checks(case), *outcome.SETTLED, *learned.CHECKS)
    elif case.record.end is not None:
        ending = outcome.CLOSED if case.record.rows else ()
    return (*openings.CHECKS, *ending)


def _settlement_checks(case: RoundCase) -> Sequence[Check[RoundCase]]:
    """Of what the settlement rests on."""
    if case.project.settlement == "attested":
        return outcome.ATTESTED
    from cohort_protocol.audit import proven

    return proven.CHECKS


def audit(
    sources: Sources,
    project: int,
    rounds: Sequence[int] | None = None,
    *,
    service_client: ServiceClient | None = None,
    say: Progress = lambda line: None,
    saw: Callable[[Finding], None] = lambda finding: None,
) -> Audit:
    """Checks a project and its rounds (None: all of them).

    service_client: what this service says is compared, too; nothing else depends on it. say: told what is done next;
    saw: told every finding as it is made. Raises `NoSuchProject`, `NoSuchRound`, `NotAReader`, `LogMalformed`, and
    `ChainUnavailable` if not even the events can be read; what cannot be read later makes a check unknown."""
    case = ProjectCase(sources, project, say)
    case.check_reader()
    ordered = case.record.ordered()
    if rounds is not None:
        missing = sorted(set(rounds) - {record.number for record in ordered})
        if missing:
            raise NoSuchRound(f"project {project} has no round {missing[0]}: it opened {len(ordered)}")
        ordered = [record for record in ordered if record.number in rounds]
    findings = []
    for finding in _all_findings(case, [RoundCase(case, record, say) for record in ordered], service_client, say):
        findings.append(finding)
        saw(finding)
    return Audit(case, tuple(findings))


def _all_findings(
    case: ProjectCase, rounds: Sequence[RoundCase], client: ServiceClient | None, say: Progress
) -> Iterator[Finding]:
    say("the project")
    for check in PROJECT_CHECKS:
        yield find(check, case, None)
    if client is not None:
        for asked in service.CHECKS:
            yield find(asked, service.ServiceCase(case, client), None)
    for one in rounds:
        say(f"round {one.number}")
        for each in round_checks(one):
            yield find(each, one, one.number)
        if client is not None:
            for compared in service.ROUND_CHECKS:
                yield find(compared, service.ServiceRound(one, client), one.number)
    yield find(whole.LAST, case, None)
