"""Errors of `cohort audit` itself; how an audit ends is in `cohort_protocol.audit.errors`."""

from __future__ import annotations

from cohort_protocol.errors import InvalidInput, Unavailable

from cohort_trainer.errors import TrainerError


class AuditPlaceInvalid(TrainerError, InvalidInput):
    """Chain, market or block store are not named, or not usable. Nothing was read."""

    code = "audit-place-invalid"


class ChainNotShown(TrainerError, Unavailable):
    """A kept chain state could not be served."""

    code = "chain-not-shown"
