"""Why a witness does not sign for an update: stable codes, and what its trainer can do.

Codes of the first group are facts about bytes that everybody can check again: the witness sets the `refused` bit, and
with a quorum of such bits the update is out, its stake safe. Those of the second group may change: the witness sets no
bit and looks again until the time for reveals is over.
"""

from __future__ import annotations

from enum import StrEnum


class RefusalCode(StrEnum):
    """What is wrong with an update, or in the way of telling."""

    OUT_OF_RANGE = "update-out-of-range"
    TOO_LONG = "update-too-long"
    TOO_LARGE = "update-too-large"
    MALFORMED = "update-malformed"
    DOES_NOT_OPEN = "commitment-mismatch"

    NOT_FETCHABLE = "not-fetchable"
    OPENING_WRONG = "opening-wrong"
    NOT_COMMITTED = "not-committed"

    @property
    def is_final(self) -> bool:
        """Whether it is a fact about bytes."""
        return self in (self.OUT_OF_RANGE, self.TOO_LONG, self.TOO_LARGE, self.MALFORMED, self.DOES_NOT_OPEN)

    @property
    def advice(self) -> str:
        """For the trainer."""
        return _ADVICE[self]


_REPAIR = "Update the trainer's program: `cohort trainer run` writes no such file."

_ADVICE = {
    RefusalCode.OUT_OF_RANGE: f"The file's numbers are wider than int16, which an update's are. {_REPAIR}",
    RefusalCode.TOO_LONG: f"The file holds more numbers than the model has parameters. {_REPAIR}",
    RefusalCode.TOO_LARGE: f"The file is larger than an update of this project can be. {_REPAIR}",
    RefusalCode.MALFORMED: f"The file is not the one safetensors file that an update has. {_REPAIR}",
    RefusalCode.DOES_NOT_OPEN: "The file holds another update than was committed to. In a proven project: is the "
    "home's SRS file the project's (`cohort srs show`)? Else the home was copied or restored while a round ran.",
    RefusalCode.NOT_FETCHABLE: "The witness could not fetch the file yet. Keep the IPFS node that published it online "
    "and reachable until the reveal phase is over.",
    RefusalCode.OPENING_WRONG: "Update, CID and salt, as the service hands them on, do not give the commitment on "
    "chain. Reveal again; if it stays so, the service is at fault: reveal through another one.",
    RefusalCode.NOT_COMMITTED: "The witness's node does not see the commitment on chain yet. Nothing to do but wait.",
}


def advice(code: str) -> str:
    """What the trainer can do about a refusal; empty for a code of a newer version."""
    try:
        return RefusalCode(code).advice
    except ValueError:
        return ""
