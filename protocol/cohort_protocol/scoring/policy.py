"""Policies by name. A policy is a pure integer function of the Gram matrix, with parameters that have a hash.

The hash is in the terms of a project on chain, so that trainers know before they join by which rule they are paid.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np

from cohort_protocol.scoring.errors import UnknownPolicy
from cohort_protocol.scoring.fedavg import FedAvgPolicy
from cohort_protocol.scoring.gram import Gram
from cohort_protocol.scoring.outcome import PolicyOutcome
from cohort_protocol.scoring.peer import PeerPolicy
from cohort_protocol.scoring.rows import PublicRows


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

    def aggregate(
        self, updates: Sequence[np.ndarray], gram: Gram, public: PublicRows
    ) -> tuple[PolicyOutcome, np.ndarray]:
        """Judges a round and takes its step. updates: n arrays int16[d]; gram, public: as for `evaluate`.
        Returns the outcome and m, int64[d], |m| <= 2^31, in units of 2^(e-16). Raises `ScoringInputInvalid`."""


_POLICIES: dict[str, Callable[[Mapping[str, Any]], Policy]] = {
    "peer": PeerPolicy.from_params,
    "fedavg": FedAvgPolicy.from_params,
}


def known_policies() -> tuple[str, ...]:
    """The names that `policy_by_name` accepts."""
    return tuple(sorted(_POLICIES))


def policy_by_name(name: str, params: Mapping[str, Any] | None = None) -> Policy:
    """The policy of a spec. Raises `UnknownPolicy` or `PolicyParametersInvalid`."""
    build = _POLICIES.get(name)
    if build is None:
        raise UnknownPolicy(f"there is no policy {name!r}; known are: {', '.join(known_policies())}")
    return build(params or {})
