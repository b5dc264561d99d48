"""Why a witness's receipt for a model is not taken."""

from __future__ import annotations

from cohort_protocol.errors import Conflict


class ModelNotPending(Conflict):
    """The receipt speaks of a model that does not wait for one. Read the state again."""

    code = "model-not-pending"
