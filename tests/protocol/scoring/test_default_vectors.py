"""The shared vectors of the default policy say what the policy says, and speak of every outcome."""

from __future__ import annotations

import json

from cohort_protocol.scoring import PublicRows
from cohort_protocol.scoring.default import DefaultPolicy

from tests.protocol.scoring.default_vectors import FILE, expected


def read():
    return json.loads(FILE.read_text())["cases"]


def test_every_case_is_what_the_policy_answers():
    for case in read():
        policy = DefaultPolicy.from_params({name: int(value) for name, value in case["parameters"].items()})
        public = {name: value if isinstance(value, bool) else int(value) for name, value in case["public"].items()}
        gram = tuple(tuple(map(int, row)) for row in case["gram"])
        outcome = policy.evaluate(gram, int(case["updates"]), PublicRows(**public))
        assert expected(outcome) == case["expected"]


def test_cases_cover_every_reason_groups_and_the_largest_round():
    rows = [row for case in read() for row in case["expected"]]
    assert {row["reason"] for row in rows} == {"0", "1", "2"}
    assert any(row["group"] for row in rows)
    assert any(int(row["clip"]) < 2**30 for row in rows)
    assert max(int(case["updates"]) for case in read()) == 32
    assert {int(case["parameters"].get("evidence", 1)) for case in read()} == {1, 2, 3, 4}
