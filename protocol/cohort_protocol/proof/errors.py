"""The errors of commitments and proofs."""

from __future__ import annotations

from cohort_protocol.errors import CohortError, InvalidInput, Unavailable


class ProofError(CohortError):
    """Base of everything that goes wrong around commitments and proofs."""

    code = "proof-error"


class SrsInvalid(ProofError, InvalidInput):
    """A file is no structured reference string: wrong format, a bad point, powers that do not belong together."""

    code = "srs-invalid"


class SrsTooSmall(ProofError, InvalidInput):
    """A structured reference string has fewer powers than the vector has entries."""

    code = "srs-too-small"


class SrsInsecure(ProofError, InvalidInput):
    """Somebody knows the secret of this structured reference string, and the chain is no devnet."""

    code = "srs-insecure"


class SrsUnreadable(ProofError, Unavailable):
    """The file of a structured reference string could not be read from, or written to, this machine's disk."""

    code = "srs-unreadable"


class CurveLibraryMissing(ProofError, Unavailable):
    """The curve library cannot be loaded on this platform. The message names what else can be done."""

    code = "curve-library-missing"


class PointMalformed(ProofError, InvalidInput):
    """Not the canonical encoding of a point of the curve."""

    code = "point-malformed"


class StatementInvalid(ProofError, InvalidInput):
    """A statement that no round can make: sizes, ranges or a matrix that is not symmetric."""

    code = "statement-invalid"


class OpeningMismatch(ProofError, InvalidInput):
    """A vector does not open its commitment."""

    code = "opening-mismatch"


class VectorOutOfRange(ProofError, InvalidInput):
    """A vector of a type, shape or size that cannot be committed to."""

    code = "vector-out-of-range"


class ProofInvalid(ProofError, InvalidInput):
    """A proof does not prove its statement. The message names the check that failed."""

    code = "proof-invalid"


class WitnessInvalid(ProofError, InvalidInput):
    """The rows that a prover was given do not make the statement true: nothing can be proved."""

    code = "proof-witness-invalid"
