"""The catalogue of policies: what a project can be paid by."""

from __future__ import annotations

from typing import Annotated

from cohort_protocol.scoring import catalogue, catalogue_entry
from cohort_protocol.scoring.catalogue.entries import CatalogueEntry
from cohort_protocol.service.messages import PolicyEntryView, PolicyListing
from fastapi import APIRouter, Path

from cohort_backend import examples
from cohort_backend.openapi import answers

router = APIRouter(prefix="/v1/policies", tags=["policies"])

PolicyName = Annotated[str, Path(min_length=1, max_length=64, description="Name of the policy, as in a spec.")]


@router.get("", responses=answers(examples.POLICIES))
def policies() -> PolicyListing:
    """Every rule that the workers of this version can apply, and every score for reports.

    Each with its paper, what it needs, what it pays and when to take it, and the parameters that a spec may set."""
    return PolicyListing(policies=[_view(entry) for entry in catalogue()])


@router.get("/{name}", responses=answers(examples.POLICY_ENTRY, 404))
def policy(name: PolicyName) -> PolicyEntryView:
    """One of them. An unknown name is refused with the names that there are."""
    return _view(catalogue_entry(name))


def _view(entry: CatalogueEntry) -> PolicyEntryView:
    return PolicyEntryView.model_validate(entry.as_json())
