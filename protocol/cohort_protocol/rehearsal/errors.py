"""The errors of rehearsals."""

from __future__ import annotations

from cohort_protocol.errors import InvalidInput, NotFound


class RehearsalInvalid(InvalidInput):
    """A rehearsal was asked for that cannot be run: sizes, shares or data that do not fit."""

    code = "rehearsal-invalid"


class UnknownTask(NotFound):
    """No task of this name. The message lists those that exist."""

    code = "unknown-task"


class UnknownPartition(NotFound):
    """No way to split data of this name. The message lists those that exist."""

    code = "unknown-partition"


class UnknownAttack(NotFound):
    """No attack of this name. The message lists those that exist."""

    code = "unknown-attack"
