"""Canonical bytes of project specs, and what they say of the settlement."""

from __future__ import annotations

import json

import pytest
from cohort_protocol.canonical import canonical_json
from cohort_protocol.errors import InvalidInput
from cohort_protocol.ipfs.unixfs import cid_of
from cohort_protocol.sealing.readers import public_key
from cohort_protocol.spec import DataSpec, ModelSpec, PolicySpec, ProjectSpec


def _spec(**changes) -> ProjectSpec:
    model = ModelSpec(
        family="mlp", initial_cid=str(cid_of(b"model")), initial_commitment="0x" + "11" * 32, dimension=10, exponent=-14
    )
    fields = {
        "title": "Digits",
        "model": model,
        "data": DataSpec(shape=[8], classes=2),
        "policy": PolicySpec(name="peer"),
    }
    return ProjectSpec(**{**fields, **changes})


def test_a_spec_from_before_the_settlement_field_is_still_canonical() -> None:
    fields = json.loads(_spec().to_bytes())
    assert "settlement" not in fields
    again = ProjectSpec.from_bytes(canonical_json(fields))
    assert again.settlement == "attested"


def test_a_proven_project_says_so() -> None:
    spec = _spec(settlement="proven")
    assert json.loads(spec.to_bytes())["settlement"] == "proven"
    assert ProjectSpec.from_bytes(spec.to_bytes()) == spec
    assert spec.to_bytes() != _spec().to_bytes()


@pytest.mark.parametrize("settlement", ["attested", "promised", None])
def test_there_is_one_spelling_of_each(settlement: object) -> None:
    fields = json.loads(_spec().to_bytes()) | {"settlement": settlement}
    with pytest.raises(InvalidInput):
        ProjectSpec.from_bytes(canonical_json(fields))


READER = "0x" + public_key(bytes([7] * 32)).hex()


def test_a_private_project_names_its_readers() -> None:
    spec = _spec(settlement="proven", readers=[READER])
    assert spec.private
    assert not _spec(settlement="proven").private
    assert "readers" not in json.loads(_spec(settlement="proven").to_bytes())
    assert ProjectSpec.from_bytes(spec.to_bytes()) == spec


@pytest.mark.parametrize(
    "changes",
    [
        {"readers": [READER]},  # attested: nobody else could check it
        {"settlement": "proven", "readers": [READER, READER]},
        {"settlement": "proven", "readers": ["0x02" + "ff" * 32]},
        {"settlement": "proven", "readers": [READER] * 16},
        {"settlement": "proven", "readers": []},  # the default is not written
    ],
)
def test_a_private_project_that_nobody_could_check_or_read_is_refused(changes: dict[str, object]) -> None:
    fields = json.loads(_spec().to_bytes()) | changes
    with pytest.raises(InvalidInput):
        ProjectSpec.from_bytes(canonical_json(fields))
