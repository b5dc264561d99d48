"""The error tree of Cohort. Every error that this project raises on purpose derives from `CohortError`.

An error message says what was found, what is allowed, and what to do about it. Areas add their own branch
beside their code (`ipfs/errors.py`, ...) and map every lower-level error of their library into it.
"""

from __future__ import annotations


class CohortError(Exception):
    """Base of every error raised by Cohort.

    `code` is stable and machine readable: it appears in problem+json answers, logs and refusals.
    """

    code: str = "cohort-error"


class InvalidInput(CohortError):
    """Something from a user, the network, the chain or IPFS is malformed. Nothing was changed."""

    code = "invalid-input"


class NotFound(CohortError):
    """The named thing does not exist here."""

    code = "not-found"


class Conflict(CohortError):
    """The request contradicts what is already recorded (for example a second, different commitment)."""

    code = "conflict"


class WrongPhase(CohortError):
    """The call came in a phase of the round that does not allow it. The message names both."""

    code = "wrong-phase"


class SignatureInvalid(InvalidInput):
    """A signature does not recover to the address it claims."""

    code = "signature-invalid"


class Unavailable(CohortError):
    """A part we depend on (chain, IPFS, database, API) does not answer. Trying again later is right.

    Never the fault of a trainer: nothing derived from this may lower anybody's standing or pay.
    """

    code = "unavailable"
