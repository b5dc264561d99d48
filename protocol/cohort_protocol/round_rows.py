"""The public rows of a round as they are posted: a manifest, a JSON block whose SHA-256 a quorum of witnesses signs and
the chain keeps, and one file of int32 per row. In a proven project a card with the rows' points (`proof.rows_card`)
stands between: the chain keeps the SHA-256 of the card, and the card has that of the manifest.

Rows are computed in floating point (`learning.public_rows`), so two machines may differ in the last digits. One
machine's are posted; witnesses compare them with their own, and from then on everybody computes with the posted bytes.
No torch.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Annotated, Literal

import numpy as np
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, ValidationError

from cohort_protocol.canonical import canonical_json, parse_json
from cohort_protocol.commitments import ZERO32
from cohort_protocol.errors import InvalidInput
from cohort_protocol.identifiers import MAX_SLOTS, Bytes32, CidText, to_hex
from cohort_protocol.ipfs.cid import RAW, Cid
from cohort_protocol.ipfs.errors import ContentMalformed, ContentTooLarge
from cohort_protocol.ipfs.store import IpfsStore
from cohort_protocol.proof.curve import compress
from cohort_protocol.proof.errors import ProofError
from cohort_protocol.proof.rows_card import MAX_CARD_BYTES, RowsCard, step_points
from cohort_protocol.proof.scheme import CommitmentScheme, StoredVector
from cohort_protocol.scoring.kernel import Row
from cohort_protocol.scoring.kernel.sources import StreamRow
from cohort_protocol.scoring.rows import MAX_PUBLIC_ROWS, PublicRows, PublicVectors
from cohort_protocol.spec import MAX_DIMENSION, Settlement

MAX_MANIFEST_BYTES = 32 * 1024
MAX_REVEALED = 16
"""Newest earlier batches that public rows are computed from: bounds the work of a project of many rounds."""


class RowsUnusable(InvalidInput):
    """What was posted as a round's public rows is not that. The round is judged without them."""

    code = "rows-unusable"


def _signed(value: int | str) -> int:
    """A whole number of either sign, as a decimal string in its one spelling."""
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise ValueError(f"expected a whole number as a decimal string, got {type(value).__name__}")
    if isinstance(value, int):
        return value
    if len(value) > 60 or not value.removeprefix("-").isascii() or not value.removeprefix("-").isdigit():
        raise ValueError(f"{value[:70]!r} is not a whole number of at most 60 decimal digits")
    return int(value)


SignedDecimal = Annotated[int, BeforeValidator(_signed), PlainSerializer(str, return_type=str)]


class RowLayout(BaseModel):
    """Which public rows there are besides the past steps; see `scoring.rows.PublicRows`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    trainable: bool
    gradients: bool
    halves: bool
    values: Annotated[int, Field(ge=0, le=3)]
    classes: Annotated[int, Field(ge=0, le=MAX_PUBLIC_ROWS // 2)]

    def rows(self) -> PublicRows:
        """As the scoring engine names it. Raises `ScoringInputInvalid`."""
        return PublicRows(0, self.trainable, self.gradients, self.halves, self.values, self.classes)

    @classmethod
    def of(cls, rows: PublicRows) -> RowLayout:
        """Without the past steps, which follow from the models."""
        return cls(
            trainable=rows.trainable,
            gradients=rows.gradients,
            halves=rows.halves,
            values=rows.values,
            classes=rows.classes,
        )


NO_ROWS = RowLayout(trainable=False, gradients=False, halves=False, values=0, classes=0)
"""Of a proven round without a batch, or with one that no rows follow from: only its past steps are committed to."""


class RowsManifest(BaseModel):
    """What the commitment on chain is the SHA-256 of, or the card behind it has the SHA-256 of."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    version: Literal[1] = 1
    project: Annotated[int, Field(ge=1, lt=2**53)]
    round: Annotated[int, Field(ge=1, lt=2**32)]
    admitted: Bytes32
    """`commitments.admitted_hash` of the updates that the rows speak of."""
    model: Bytes32
    """Commitment of the model that the round started from."""
    policy: Bytes32
    """Hash of the policy that reads the rows."""
    validation: Bytes32
    """Digest of the round's batch."""
    revealed: Annotated[list[Annotated[int, Field(ge=1, lt=2**32)]], Field(max_length=MAX_REVEALED)]
    """Earlier rounds whose batches were read, in order."""
    remembered: Bytes32
    """Commitment of the earlier rows whose values were remembered; zeros: none."""
    dimension: Annotated[int, Field(ge=1, le=MAX_DIMENSION)]
    layout: RowLayout
    rows: Annotated[list[CidText], Field(max_length=MAX_PUBLIC_ROWS)]
    """Files of the rows, in the order of `PublicRows`."""
    members: Annotated[list[Annotated[int, Field(ge=1, lt=2**32)]], Field(max_length=MAX_SLOTS)]
    """Numbers of the trainers, in row order."""
    values: Annotated[list[SignedDecimal], Field(max_length=MAX_SLOTS)]
    """What the value rows say of each, in units of 2^-30 nats: the next rows remember it."""

    def to_bytes(self) -> bytes:
        """Canonical bytes."""
        return canonical_json(self.model_dump(mode="json"))

    @property
    def digest(self) -> bytes:
        """32 bytes, hence its CID."""
        return sha256(self.to_bytes()).digest()

    @classmethod
    def from_bytes(cls, data: bytes) -> RowsManifest:
        """Parses untrusted bytes; only the canonical encoding is accepted. Raises `RowsUnusable`."""
        try:
            manifest = cls.model_validate(parse_json(data, MAX_MANIFEST_BYTES))
            fits = manifest.layout.rows().count == len(manifest.rows)
        except (ValidationError, InvalidInput) as error:
            raise RowsUnusable(f"not a manifest of public rows: {str(error)[:300]}") from error
        if not fits or len(manifest.members) != len(manifest.values):
            raise RowsUnusable("the manifest's rows and layout, or its members and values, differ in number")
        if manifest.to_bytes() != data:
            raise RowsUnusable("the manifest of public rows is not in canonical form")
        return manifest


@dataclass(frozen=True)
class RowsSubject:
    """What the chain says of a round that its rows must speak of. Hashes of 32 bytes."""

    project: int
    round: int
    admitted: bytes
    model: bytes
    policy: bytes
    validation: bytes
    dimension: int
    members: tuple[int, ...]
    settlement: Settlement
    models: tuple[bytes, ...]
    """Commitments of the models whose differences the policy reads, oldest first, ending with `model`."""

    def check(self, manifest: RowsManifest, needs: PublicRows) -> None:
        """Raises `RowsUnusable` if the manifest speaks of something else, or lacks a row that the policy needs."""
        facts: dict[str, tuple[object, object]] = {
            "project": (manifest.project, self.project),
            "round": (manifest.round, self.round),
            "admitted updates": (manifest.admitted, to_hex(self.admitted)),
            "model": (manifest.model, to_hex(self.model)),
            "policy": (manifest.policy, to_hex(self.policy)),
            "batch": (manifest.validation, to_hex(self.validation)),
            "dimension": (manifest.dimension, self.dimension),
            "members": (manifest.members, list(self.members)),
        }
        for what, (found, expected) in facts.items():
            if found != expected:
                raise RowsUnusable(f"the public rows are for {what} {found}, this round has {expected}")
        # u0 is missing until a batch was revealed.
        wanted = RowLayout.of(needs)
        allowed = [wanted, wanted.model_copy(update={"trainable": False})]
        if self.settlement == "proven":
            allowed = [NO_ROWS] if self.validation == ZERO32 else [*allowed, NO_ROWS]
        if manifest.layout not in allowed:
            raise RowsUnusable(f"the public rows are {manifest.layout}, the policy reads {wanted}")

    def check_card(self, card: RowsCard, manifest: RowsManifest) -> None:
        """Raises `RowsUnusable` if a proven round's card has other rows than its manifest, or other past steps than the
        models on chain."""
        layout = replace(manifest.layout.rows(), past_steps=len(self.models) - 1)
        if card.layout != layout:
            raise RowsUnusable(f"the card of public rows commits to {card.layout}, this round has {layout}")
        if card.points[: layout.past_steps] != self._steps():
            raise RowsUnusable("the card of public rows has other past steps than the models on chain")

    def _steps(self) -> tuple:
        try:
            return step_points(self.models)
        except ProofError as error:
            raise RowsUnusable(f"a model on chain is committed to by what is no point: {error}") from error


def reads_batch(needs: PublicRows) -> bool:
    """Whether a policy with these needs reads any row that comes from a validation batch."""
    return needs.trainable or needs.gradients or needs.halves or needs.values > 0 or needs.classes > 0


def wants_rows(settlement: Settlement, needs: PublicRows, round: int, validation: bytes) -> bool:
    """Whether rows are to be posted in a round: for the batch that was revealed (digest; zeros: none), if the policy
    reads one; in a proven project also for the past steps, in every round but the first."""
    return (reads_batch(needs) and validation != ZERO32) or (settlement == "proven" and round > 1)


def manifest_cid(digest: bytes) -> Cid:
    """Where the block with this SHA-256 (32 bytes) is: manifests and cards are one raw block each."""
    return Cid(RAW, digest)


def fetch_card(store: IpfsStore, digest: bytes) -> RowsCard:
    """The card behind the commitment on chain of a proven round. Raises as `fetch_manifest`."""
    try:
        return RowsCard.from_bytes(store.get(manifest_cid(digest), MAX_CARD_BYTES))
    except (ContentTooLarge, ContentMalformed, ProofError) as error:
        raise RowsUnusable(f"the card of public rows: {error}") from error


def fetch_manifest(store: IpfsStore, digest: bytes) -> RowsManifest:
    """The manifest with this SHA-256. Raises `RowsUnusable`; `ContentNotFound`, `ContentCorrupt`, `IpfsUnavailable` if
    that cannot be told now."""
    try:
        return RowsManifest.from_bytes(store.get(manifest_cid(digest), MAX_MANIFEST_BYTES))
    except (ContentTooLarge, ContentMalformed) as error:
        raise RowsUnusable(f"the manifest of public rows: {error}") from error


def remembered_values(store: IpfsStore, digest: bytes, settlement: Settlement = "attested") -> dict[int, int]:
    """What the rows behind a commitment on chain said of each member, in units of 2^-30 nats; nothing for zeros and for
    what is no manifest. Raises as `fetch_manifest` if that cannot be told now."""
    if digest == ZERO32:
        return {}
    try:
        manifest = fetch_manifest(store, fetch_card(store, digest).manifest if settlement == "proven" else digest)
    except RowsUnusable:
        return {}
    return dict(zip(manifest.members, manifest.values, strict=True))


# --- the files --------------------------------------------------------------------------------------------------------


def encode_row(row: np.ndarray) -> bytes:
    """int32[d], little-endian, of int64[d] with |x| < 2^31. Raises `RowsUnusable` for larger values."""
    if row.size and int(np.abs(row).max()) >= 2**31:
        raise RowsUnusable(f"a public row with an entry of {int(np.abs(row).max())}, it must be below 2^31")
    return row.astype("<i4").tobytes()


def stored_row(store: IpfsStore, cid: Cid, dimension: int) -> StreamRow:
    """The row int64[d] behind `cid`, streamed. Reading raises what the store raises, and `ScoringInputInvalid`."""
    return StreamRow(lambda: _wide(store.stream(cid, 4 * dimension)), dimension, np.int64)


def _wide(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """int32 as int64. What is left over at the end is too little for a value: the row is too short, as its reader
    says."""
    rest = b""
    for chunk in chunks:
        rest += chunk
        whole = len(rest) & ~3
        yield np.frombuffer(rest[:whole], "<i4").astype("<i8").tobytes()
        rest = rest[whole:]


def fetch_rows(store: IpfsStore, digest: bytes, subject: RowsSubject, needs: PublicRows) -> PostedRows:
    """The posted rows of a round, checked against what the chain says of it; their files are read once here, so that
    what is wrong with them is known before a round is computed, and streamed later. digest: from the chain.

    Raises `RowsUnusable`; `ContentNotFound`, `ContentCorrupt`, `IpfsUnavailable` if that cannot be told now."""
    card = fetch_card(store, digest) if subject.settlement == "proven" else None
    manifest = fetch_manifest(store, digest if card is None else card.manifest)
    subject.check(manifest, needs)
    if card is not None:
        subject.check_card(card, manifest)
    sources = []
    for text in manifest.rows:
        cid, size, least = Cid.parse(text), 0, 0
        try:
            for chunk in store.stream(cid, 4 * manifest.dimension):
                size += len(chunk)
                if len(chunk) % 4 == 0:  # chunks of a file as `put` makes it, but for the last
                    least = min(least, int(np.frombuffer(chunk, "<i4").min(initial=0)))
        except (ContentTooLarge, ContentMalformed) as error:
            raise RowsUnusable(f"the public row {cid}: {error}") from error
        if size != 4 * manifest.dimension or least == -(2**31):
            raise RowsUnusable(f"the public row {cid} is not {manifest.dimension} numbers below 2^31")
        sources.append(stored_row(store, cid, manifest.dimension))
    return PostedRows(manifest, vectors_of(manifest.layout.rows(), sources), card)


@dataclass(frozen=True)
class PostedRows:
    """Public rows as everybody computes with them."""

    manifest: RowsManifest
    vectors: PublicVectors
    card: RowsCard | None = None
    """In a proven project."""

    def check_points(self, scheme: CommitmentScheme) -> None:
        """Raises `RowsUnusable` if a row does not open its point on the card; without a card there is nothing to check.
        The first check of a row reads it."""
        if self.card is None:
            return
        points = self.card.points[self.card.layout.past_steps :]
        files = zip(self.vectors.rows(), points, self.manifest.rows, strict=True)
        vectors = [StoredVector(row, compress(point), ("public row", cid)) for row, point, cid in files]
        if wrong := scheme.check(vectors):
            cid = self.manifest.rows[wrong[0]]
            raise RowsUnusable(f"the public row {cid} does not open its commitment on the card")


def vectors_of(layout: PublicRows, rows: list[Row]) -> PublicVectors:
    """Names rows that come in the order of `PublicRows`, without past steps."""
    left = iter(rows)

    def pair(there: bool) -> tuple[Row, Row] | None:
        return (next(left), next(left)) if there else None

    return PublicVectors(
        trainable=next(left) if layout.trainable else None,
        gradients=pair(layout.gradients),
        halves=pair(layout.halves),
        values=tuple(next(left) for _ in range(layout.values)),
        classes=tuple((next(left), next(left)) for _ in range(layout.classes)),
    )
