"""Why a project is not drafted or shown."""

from __future__ import annotations

from cohort_protocol.errors import InvalidInput, Unavailable


class TermsRefused(InvalidInput):
    """The market contract would refuse these terms."""

    code = "terms-refused"


class SpecRefused(InvalidInput):
    """The spec does not fit its own model, policy or terms."""

    code = "spec-refused"


class InitialModelRefused(InvalidInput):
    """The first model cannot be fetched, does not decode, or is not what the spec commits to."""

    code = "initial-model-refused"


class SpecNotHere(Unavailable):
    """The project's spec is not in this database yet."""

    code = "spec-not-here"
