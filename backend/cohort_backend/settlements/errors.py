"""Why a witness's word on an outcome is not taken."""

from __future__ import annotations

from cohort_protocol.errors import Conflict


class ProposalChanged(Conflict):
    """The word speaks of another outcome than the one proposed now. Read the state and check again."""

    code = "proposal-changed"


class WordChanged(Conflict):
    """The witness has signed this outcome and now refuses it, or the other way round."""

    code = "word-changed"
