"""Why a commitment, a reveal or a receipt is not taken. Each has a stable code and says what to do."""

from __future__ import annotations

from cohort_protocol.errors import Conflict, InvalidInput

from cohort_backend.errors import Forbidden


class NotAMember(Forbidden):
    """The trainer may not commit in this round."""

    code = "not-a-member"


class NotAWitness(Forbidden):
    """The signer is not one of the project's witnesses."""

    code = "not-a-witness"


class MemberDiffers(InvalidInput):
    """The member number is not that of the trainer."""

    code = "member-differs"


class DuplicateCommitment(Conflict):
    """Somebody else posted the very same commitment: a copy can never be opened by its copier."""

    code = "duplicate-commitment"


class CommitmentDiffers(Conflict):
    """The trainer has committed to something else in this round already."""

    code = "commitment-differs"


class BatchPosted(Conflict):
    """The round's batch has been made: this commitment can only go in by the trainer's own transaction."""

    code = "batch-posted"


class BatchTooLate(Conflict):
    """The last part of the commit phase is for commitments that trainers post themselves."""

    code = "batch-too-late"


class RoundFull(Conflict):
    """All slots of the round are taken."""

    code = "round-full"


class NotCommitted(Conflict):
    """There is no commitment of this trainer on chain."""

    code = "not-committed"


class OpeningWrong(InvalidInput):
    """Update, CID and salt do not give the commitment on chain."""

    code = "opening-wrong"


class RevealSetChanged(Conflict):
    """The receipt speaks of a set that is not the current one. Take the new set from the state and sign again."""

    code = "reveal-set-changed"


class ReceiptContradicts(Conflict):
    """The witness has said the opposite about a reveal of this set."""

    code = "receipt-contradicts"


class BitsOutOfRange(InvalidInput):
    """The bitmaps speak of reveals that are not in the set, or say yes and no at once."""

    code = "bits-out-of-range"


class RefusalsInvalid(InvalidInput):
    """The words do not fit the bitmaps."""

    code = "refusals-invalid"
