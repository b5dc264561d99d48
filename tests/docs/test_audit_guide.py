"""The auditor's guide names every check, every exit code of an audit and every field of its JSON."""

from __future__ import annotations

import pytest
from cohort_protocol.audit import learned, openings, outcome, proven, service, whole
from cohort_protocol.audit.document import AuditDocument, Read, RoundFacts
from cohort_protocol.audit.errors import AuditFalse, AuditUnknown
from cohort_protocol.audit.findings import State
from cohort_protocol.audit.run import PROJECT_CHECKS
from cohort_trainer.exit_codes import exit_code_of

from tests.architecture.sources import ROOT

GUIDE = (ROOT / "docs/guides/audit.md").read_text()
CHECKS = (
    *PROJECT_CHECKS,
    whole.LAST,
    *openings.CHECKS,
    *outcome.ATTESTED,
    *outcome.SETTLED,
    *outcome.CLOSED,
    *proven.CHECKS,
    *learned.CHECKS,
    *service.CHECKS,
    *service.ROUND_CHECKS,
)


@pytest.mark.parametrize("name", sorted({check.name for check in CHECKS}))
def test_every_check_is_in_the_guide(name: str) -> None:
    assert f"`{name}`" in GUIDE


def test_a_name_stands_for_one_thing() -> None:
    """`files` and `payout-root` are made of every round that ended; all other names are of one check."""
    by_name: dict[str, set[object]] = {}
    for check in CHECKS:
        by_name.setdefault(check.name, set()).add(check.run)
    assert all(len(made) == 1 for made in by_name.values()), by_name


def test_exit_codes_and_states_are_in_the_guide() -> None:
    for error in (AuditFalse("x"), AuditUnknown("x")):
        code = exit_code_of(error)
        assert f"| {code.number} `{code.name}` |" in GUIDE
    for state in State:
        assert f"`{state}`" in GUIDE


@pytest.mark.parametrize("part", [AuditDocument, Read, RoundFacts])
def test_every_field_of_the_document_is_in_the_guide(part: type) -> None:
    missing = [name for name in part.model_fields if f"`{name}" not in GUIDE]
    assert not missing
