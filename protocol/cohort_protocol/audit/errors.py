"""How an audit ends if not everything is true."""

from __future__ import annotations

from cohort_protocol.errors import CohortError, Unavailable


class AuditError(CohortError):
    """Base of what ends an audit."""

    code = "audit-error"


class AuditFalse(AuditError):
    """At least one check is false. The message names the first."""

    code = "audit-false"


class AuditUnknown(AuditError):
    """No check is false, but at least one could not be made. The message names the first."""

    code = "audit-unknown"


class CallHidden(AuditError, Unavailable):
    """A transaction's calldata is not a call of the market: it was made by another contract, or the node does not have
    it. What only calldata says cannot be told from here."""

    code = "audit-call-hidden"
