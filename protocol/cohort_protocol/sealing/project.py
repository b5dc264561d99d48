"""How the files of one project are published and read: as they are, or sealed for its readers."""

from __future__ import annotations

from dataclasses import dataclass

from eth_abi import encode

from cohort_protocol.chain.types import ProjectTerms
from cohort_protocol.ipfs.store import IpfsStore
from cohort_protocol.sealing.file import content_secret, seal, sealed_size
from cohort_protocol.sealing.readers import Readers, public_key, readers_from
from cohort_protocol.sealing.store import OpeningStore
from cohort_protocol.spec import ProjectSpec


@dataclass(frozen=True)
class Sealing:
    """Of a project. Without readers everything is public, and every method gives what it is given."""

    readers: Readers | None
    context: bytes
    """Chain, market and project: no file of another project opens here."""

    def published(self, content: bytes, private_key: bytes) -> bytes:
        """What is put into the store for `content`: always the same bytes for the same key. private_key: of whoever
        publishes."""
        if self.readers is None:
            return content
        return seal(content, content_secret(private_key, self.context, content), self.readers, self.context)

    def published_size(self, size: int) -> int:
        """Bytes of what is published for `size` bytes of content."""
        return size if self.readers is None else sealed_size(size, self.readers)

    def check_reader(self, private_key: bytes) -> None:
        """Raises `NotAReader` for a key that cannot open the files of this project."""
        if self.readers is not None:
            self.readers.place_of(public_key(private_key))

    def opened(self, store: IpfsStore, private_key: bytes) -> IpfsStore:
        """`store` as the holder of a key reads it. Reading raises `NotAReader` with a key that cannot."""
        if self.readers is None:
            return store
        return OpeningStore(store, private_key, self.readers, self.context)


def check_readers(spec: ProjectSpec, terms: ProjectTerms) -> None:
    """Raises `ReadersInvalid` unless a private project's readers are its witnesses and aggregators, as its terms name
    them: trainers agree to those, and to nobody else, reading their updates."""
    if spec.private:
        readers_from(spec.readers).check_covers([*terms.witnesses, *terms.aggregators])


def sealing_of(spec: ProjectSpec, chain_id: int, market: str, project: int) -> Sealing:
    """The sealing that a spec asks for. market: its address."""
    context = b"cohort/sealed/v1" + encode(["uint256", "address", "uint256"], [chain_id, market, project])
    return Sealing(readers_from(spec.readers) if spec.private else None, context)
