"""The registry: complete, machine-readable, documented, and no silent fallback anywhere."""

from __future__ import annotations

import inspect
import json
import sys
from pathlib import Path

import pytest
from cohort_protocol.canonical import canonical_json
from cohort_protocol.errors import CohortError
from cohort_protocol.scoring import (
    PolicyNeedsUnmet,
    UnknownPolicy,
    catalogue,
    catalogue_entry,
    check_needs,
    known_policies,
    policy_by_name,
)
from cohort_protocol.scoring.catalogue import logit_average, shapley
from cohort_protocol.scoring.catalogue.entries import Need
from cohort_protocol.scoring.policy import CoordinatePolicy

DOCUMENT = Path(__file__).parents[4] / "docs/policies.md"
REPORTS = {"leave-one-out-models", "exact-shapley", "gtg-shapley", "logit-average-shapley"}
PROMISED = {
    *("fedavg", "multi-krum", "trimmed-mean", "coordinate-median", "bulyan", "foolsgold", "fltrust"),
    *("centred-clipping", "norm-clip", "three-sigma", "geometric-median", "rfa", "flag-aggregator", "monna"),
    *("leave-one-out", "cgsv", "dig-fl", "default", "peer", *REPORTS),
}


def test_everything_promised_is_there_once():
    names = [entry.name for entry in catalogue()]
    assert len(names) == len(set(names))
    assert set(names) >= PROMISED
    assert set(known_policies()) == set(names) - REPORTS


@pytest.mark.parametrize("entry", catalogue(), ids=lambda entry: entry.name)
def test_declared_needs_are_those_of_the_policy(entry):
    if entry.name in REPORTS:
        assert entry.needs == (Need.VALIDATION_MODEL,)
        assert entry.parameters() == ()
        return
    policy = policy_by_name(entry.name)
    declared = set(entry.needs) | set(entry.uses)
    assert policy.name == entry.name
    assert Need.GRAM in entry.needs
    assert (Need.FULL_UPDATES in entry.needs) == isinstance(policy, CoordinatePolicy)
    assert (Need.PAST_STEPS in declared) == (policy.needs.past_steps > 0)
    assert (Need.VALIDATION_ROWS in declared) == (policy.needs.count > policy.needs.past_steps)
    assert Need.VALIDATION_MODEL not in declared
    for parameter in entry.parameters():
        assert parameter.low <= parameter.default <= parameter.high
        assert (field := getattr(policy.parameters, parameter.name)) == parameter.default, field
        assert policy_by_name(entry.name, {parameter.name: parameter.default}) == policy


@pytest.mark.parametrize("entry", catalogue(), ids=lambda entry: entry.name)
def test_every_entry_is_json_and_names_its_paper_in_the_code(entry):
    text = json.loads(json.dumps(entry.as_json()))
    assert canonical_json(text)
    assert all(text[key] for key in ("name", "title", "paper", "pays", "when"))
    if entry.settles:
        policy = type(policy_by_name(entry.name))
        documented = (inspect.getdoc(policy) or "") + (sys.modules[policy.__module__].__doc__ or "")
    else:
        documented = (shapley.__doc__ or "") + (logit_average.__doc__ or "") + (shapley.leave_one_out.__doc__ or "")
    author = entry.paper.split(";")[0].split(",")[0].removesuffix(" et al.")
    if author != "this protocol":
        assert author in documented


@pytest.mark.parametrize("name", ["", "Krum", "multi_krum", "MULTI-KRUM", "multi-krum ", "none", "fedavg2"])
def test_an_unknown_name_is_an_error_everywhere(name):
    for call in (policy_by_name, catalogue_entry, lambda each: check_needs(each, batches=True)):
        with pytest.raises(UnknownPolicy, match="known are") as error:
            call(name)
        assert isinstance(error.value, CohortError)


@pytest.mark.parametrize("name", sorted(REPORTS))
def test_a_score_for_reports_settles_no_round(name):
    assert not catalogue_entry(name).settles
    with pytest.raises(PolicyNeedsUnmet, match="for reports"):
        policy_by_name(name)
    with pytest.raises(PolicyNeedsUnmet, match="for reports"):
        check_needs(name, batches=True)


def test_rules_that_read_batches_are_refused_without_a_validation_root():
    refused = set()
    for name in known_policies():
        check_needs(name, batches=True)
        if Need.VALIDATION_ROWS in catalogue_entry(name).needs:
            with pytest.raises(PolicyNeedsUnmet, match="validation root"):
                check_needs(name, batches=False)
            refused.add(name)
        else:
            check_needs(name, batches=False)
    assert refused == {"fltrust", "dig-fl", "leave-one-out"}


def table() -> list[str]:
    """The table of docs/policies.md, as the registry has it."""
    lines = ["| name | what, paper | needs | pays | when |", "|---|---|---|---|---|"]
    for entry in catalogue():
        needs = ", ".join(entry.needs) + (f"; uses {', '.join(entry.uses)}" if entry.uses else "")
        when = entry.when.removesuffix(".")
        lines.append(f"| `{entry.name}` | {entry.title}; {entry.paper} | {needs} | {entry.pays} | {when} |")
    return lines


def parameter_table() -> list[str]:
    """The table of parameters, as the registry has it."""
    lines = ["| policy | parameter | default | range |", "|---|---|---|---|"]
    for entry in catalogue():
        for each in entry.parameters():
            lines.append(f"| `{entry.name}` | `{each.name}` | {each.default} | {each.low} .. {each.high} |")
    return lines


def with_tables(text: str) -> str:
    """The document with both of its tables as they are now."""
    kept, tables = [], iter((table(), parameter_table()))
    for line in text.splitlines():
        if not line.startswith("|"):
            kept.append(line)
        elif line.startswith("|---"):
            kept += next(tables)
    return "\n".join(kept) + "\n"


def test_the_documentation_has_the_registry_line_by_line():
    text = DOCUMENT.read_text()
    assert text == with_tables(text), "run python -m tests.protocol.scoring.catalogue.test_registry"
    assert all(f"| `{entry.name}` |" in text for entry in catalogue())


if __name__ == "__main__":
    DOCUMENT.write_text(with_tables(DOCUMENT.read_text()))
