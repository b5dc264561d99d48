"""Files that only a project's witnesses and aggregators can read: updates and public rows of private projects."""

from cohort_protocol.sealing.errors import NotAReader, ReadersInvalid, SealBroken
from cohort_protocol.sealing.file import content_secret, open_sealed, seal, sealed_size
from cohort_protocol.sealing.readers import MAX_READERS, Readers
from cohort_protocol.sealing.store import OpeningStore

__all__ = [
    "MAX_READERS",
    "NotAReader",
    "OpeningStore",
    "Readers",
    "ReadersInvalid",
    "SealBroken",
    "content_secret",
    "open_sealed",
    "seal",
    "sealed_size",
]
