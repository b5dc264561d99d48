"""Policies by name. A policy is a pure integer function of a round's rows, with parameters that have a hash.

The hash is in the terms of a project on chain, so that trainers know before they join by which rule they are paid.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np

from cohort_protocol.scoring.catalogue.entries import ENTRIES, CatalogueEntry, Need
from cohort_protocol.scoring.errors import PolicyNeedsUnmet, UnknownPolicy
from cohort_protocol.scoring.gram import Gram
from cohort_protocol.scoring.kernel import Row
from cohort_protocol.scoring.outcome import PolicyOutcome
from cohort_protocol.scoring.rows import PublicRows


@runtime_checkable
class Policy(Protocol):
    """A filter, a score and weights. Immutable."""

    @property
    def name(self) -> str:
        """Under which it is registered."""

    @property
    def needs(self) -> PublicRows:
        """The public rows that it reads. Fewer are given in the first rounds and in rounds without a batch."""

    def description(self) -> dict[str, Any]:
        """Name and all parameters, as canonical JSON can hold them."""

    def policy_hash(self) -> bytes:
        """keccak256 of the canonical JSON of the description."""

    def suggested_score_floor(self, slots: int) -> int:
        """S_floor for a project with this many slots: a smaller sum of scores is paid only in proportion."""

    def evaluate(self, gram: Gram, updates: int, public: PublicRows) -> PolicyOutcome:
        """Judges a round. gram: (updates + public.count) square, updates first, then the public rows in the order of
        `PublicRows`. Raises `ScoringInputInvalid`."""


@runtime_checkable
class CoordinatePolicy(Policy, Protocol):
    """A policy whose step is no weighted sum of the updates: it reads them coordinate by coordinate. Its `evaluate`
    raises `NeedsFullUpdates`; the weights of its outcome are 0."""

    def aggregate(self, updates: Sequence[Row], gram: Gram, public: PublicRows) -> tuple[PolicyOutcome, np.ndarray]:
        """Judges a round and takes its step. updates: n arrays or sources int16[d]; gram, public: as for `evaluate`.
        Returns the outcome and m, int64[d], |m| <= 2^31, in units of 2^(e-16). Raises `ScoringInputInvalid`."""


_ENTRIES: dict[str, CatalogueEntry] = {entry.name: entry for entry in ENTRIES}


def catalogue() -> tuple[CatalogueEntry, ...]:
    """Every name that this program knows, those for reports included, in the order of the documentation."""
    return tuple(_ENTRIES.values())


def catalogue_entry(name: str) -> CatalogueEntry:
    """The entry of a name, for reports or not. Raises `UnknownPolicy`."""
    entry = _ENTRIES.get(name) if isinstance(name, str) else None
    if entry is None:
        raise UnknownPolicy(f"there is no policy {name!r}; known are: {', '.join(known_policies())}")
    return entry


def known_policies() -> tuple[str, ...]:
    """The names that `policy_by_name` accepts."""
    return tuple(sorted(entry.name for entry in ENTRIES if entry.settles))


def policy_by_name(name: str, params: Mapping[str, Any] | None = None) -> Policy:
    """The policy of a spec. Raises `UnknownPolicy`, `PolicyParametersInvalid`, and `PolicyNeedsUnmet` for a score that
    is for reports."""
    return _settling(name).build(params or {})


def check_needs(name: str, batches: bool) -> None:
    """Refuses, when a project is created or joined, a policy that could never run there.

    batches: whether the terms fix a validation root. Raises `UnknownPolicy` or `PolicyNeedsUnmet`."""
    entry = _settling(name)
    if Need.VALIDATION_ROWS in entry.needs and not batches:
        free = [each.name for each in ENTRIES if each.settles and Need.VALIDATION_ROWS not in each.needs]
        raise PolicyNeedsUnmet(
            f"policy {name!r} needs validation batches and the terms have no validation root: fix a root of one batch "
            f"per round, or take one of {', '.join(free)}"
        )


def _settling(name: str) -> CatalogueEntry:
    entry = catalogue_entry(name)
    if not entry.settles:
        raise PolicyNeedsUnmet(
            f"{name!r} is a score for reports: it runs models, which settles no round; known policies are: "
            f"{', '.join(known_policies())}"
        )
    return entry
