"""The evidence of a proven settlement: what `ProvenVerifier` reads, packed.

Twin of `contracts/src/verification/proven/ProvenEvidence.sol`, which has the table of the parts. Big endian, nothing
between the parts. Encoding takes what is known of a round; decoding is for whoever finds the bytes on chain.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cohort_protocol.commitments import (
    ZERO32,
    PackedRow,
    admitted_hash,
    cid_from_parts,
    compact_signature,
    full_signature,
    pack_rows,
)
from cohort_protocol.errors import InvalidInput
from cohort_protocol.proof.curve import Point, decompress
from cohort_protocol.proof.errors import ProofError
from cohort_protocol.proof.round_proof import PROOF_BYTES, RoundProof
from cohort_protocol.proof.rows_card import RowsCard
from cohort_protocol.proof.statement import MAX_PUBLIC_ROWS, MAX_ROWS, RoundStatement, gram_bytes, gram_length

_ROW, _CARD, _POINT, _WORD = 69, 35, 64, 32
"""Bytes of an admitted row, of a card without points, of a point, of a number."""
MAX_HINT_BYTES = (1 << 16) - 1
MAX_RECEIPTS = 7


class EvidenceMalformed(ProofError, InvalidInput):
    """Bytes that are no evidence, or parts that do not make one."""

    code = "evidence-malformed"


@dataclass(frozen=True)
class EvidenceRow:
    """An admitted row as its 69 bytes say it."""

    member: int
    update: bytes
    """Compressed point, 32 bytes."""
    cid: bytes
    """36 bytes."""


@dataclass(frozen=True)
class ProvenEvidence:
    """The parts of an evidence."""

    admissions: tuple[tuple[EvidenceRow, ...], ...]
    """The rows that each call of `reveal` admitted."""
    card: RowsCard | None
    """None: the round has no public rows."""
    commitments: tuple[Point, ...]
    """Of the updates, then of the public rows."""
    previous_model: Point
    """C_M. Its x is not in the evidence: the statement has it."""
    step: Point
    """C_m."""
    proof: RoundProof
    gram: bytes
    receipts: tuple[tuple[int, bytes], ...]
    """(witness, 65-byte signature over ModelBytes)."""
    hints: bytes

    @property
    def admitted(self) -> bytes:
        """What the rows hash to, 32 bytes."""
        return admitted_hash(self.admissions)


def encode_evidence(
    admissions: Sequence[Sequence[PackedRow]],
    statement: RoundStatement,
    proof: RoundProof,
    card: RowsCard | None,
    hints: bytes,
    receipts: Sequence[tuple[int, bytes]] = (),
) -> bytes:
    """The bytes that `settle` takes.

    admissions: the rows that each call of `reveal` admitted, in order. card: what the round's `publicRows` is the hash
    of; None if nothing was posted. hints: for the policy contract. receipts: (witness index, 65-byte signature) over
    `model_bytes_message`, a quorum or none.

    Raises `EvidenceMalformed` if the parts do not belong together, `SignatureInvalid` for a malformed signature."""
    rows = [row for call in admissions for row in call]
    _check_parts(statement, rows, card)
    ordered = sorted(receipts)
    if len({witness for witness, _ in ordered}) != len(ordered):
        raise EvidenceMalformed(f"a witness signed twice: {[witness for witness, _ in ordered]}")
    if len(hints) > MAX_HINT_BYTES or len(ordered) > MAX_RECEIPTS or len(admissions) > MAX_ROWS:
        raise EvidenceMalformed(
            f"{len(hints)} bytes of hints, {len(ordered)} receipts and {len(admissions)} calls: at most "
            f"{MAX_HINT_BYTES}, {MAX_RECEIPTS} and {MAX_ROWS}"
        )
    parts = [
        bytes([len(ordered)]) + len(hints).to_bytes(2, "big") + bytes([len(admissions)]),
        bytes(len(call) for call in admissions),
        pack_rows(rows),
        card.to_bytes() if card is not None else b"",
        *(point.y.to_bytes(_WORD, "big") for point in statement.commitments[: statement.n]),
        decompress(statement.previous_model).y.to_bytes(_WORD, "big"),
        statement.step.words(),
        proof.to_bytes(),
        gram_bytes(statement.gram, statement.n),
        *(witness.to_bytes(_WORD, "big") + b"".join(compact_signature(signature)) for witness, signature in ordered),
        hints,
    ]
    return b"".join(parts)


def _check_parts(statement: RoundStatement, rows: Sequence[PackedRow], card: RowsCard | None) -> None:
    """What the contract would refuse for reasons that are ours."""
    if len(rows) != statement.n:
        raise EvidenceMalformed(f"{len(rows)} admitted rows and {statement.n} updates: give every row, in order")
    for index, (row, point) in enumerate(zip(rows, statement.commitments, strict=False)):
        if decompress(row.update) != point:
            raise EvidenceMalformed(f"row {index} commits to another update than the statement")
    posted = ZERO32 if card is None else card.digest
    if posted != statement.public_rows:
        raise EvidenceMalformed(
            f"the card of the public rows hashes to {posted.hex()}, the statement has {statement.public_rows.hex()}"
        )
    if (() if card is None else card.points) != statement.commitments[statement.n :]:
        raise EvidenceMalformed("the public rows of the card are not those of the statement")


class _Reader:
    """Takes bytes from the front."""

    def __init__(self, data: bytes):
        self._data, self._at = data, 0

    def take(self, count: int) -> bytes:
        part = self._data[self._at : self._at + count]
        if len(part) != count:
            raise EvidenceMalformed(f"the evidence has {len(self._data)} bytes and should go on for {count} more")
        self._at += count
        return part

    def number(self, count: int) -> int:
        return int.from_bytes(self.take(count), "big")

    def end(self) -> None:
        if self._at != len(self._data):
            raise EvidenceMalformed(f"{len(self._data) - self._at} bytes follow the evidence")


def decode_evidence(data: bytes, previous_model: bytes, posted: bool) -> ProvenEvidence:
    """The parts of an evidence that was found on chain.

    previous_model: compressed commitment of the model that the round started from. posted: whether the round has
    public rows. Raises `EvidenceMalformed`, `PointMalformed`, `StatementInvalid` or `ProofInvalid` for bytes that the
    contract refuses for their form."""
    reader = _Reader(data)
    receipt_count, hint_bytes, calls = reader.number(1), reader.number(2), reader.number(1)
    counts = reader.take(calls)
    n = sum(counts)
    if not 1 <= n <= MAX_ROWS:
        raise EvidenceMalformed(f"{n} rows: 1 .. {MAX_ROWS} can be admitted")
    admissions = tuple(tuple(_row(reader.take(_ROW)) for _ in range(count)) for count in counts)
    card = _card(reader) if posted else None
    rows = [row for call in admissions for row in call]
    updates = tuple(_point(row.update, reader.number(_WORD), "an update") for row in rows)
    previous = _point(previous_model, reader.number(_WORD), "the previous model")
    step = Point.from_words(reader.take(_POINT))
    proof = RoundProof.from_bytes(reader.take(PROOF_BYTES))
    gram = reader.take(gram_length(n, 0 if card is None else len(card.points)))
    receipts = tuple(_receipt(reader) for _ in range(receipt_count))
    hints = reader.take(hint_bytes)
    reader.end()
    commitments = updates + (() if card is None else card.points)
    return ProvenEvidence(admissions, card, commitments, previous, step, proof, gram, receipts, hints)


def _row(data: bytes) -> EvidenceRow:
    return EvidenceRow(int.from_bytes(data[:4], "big"), data[5:37], cid_from_parts(data[4], data[37:]))


def _card(reader: _Reader) -> RowsCard:
    head = reader.take(_CARD)
    points = sum(head[32:])
    if points > MAX_PUBLIC_ROWS or head[34] not in (0, 3):
        raise EvidenceMalformed(f"public rows {tuple(head[32:])}: at most {MAX_PUBLIC_ROWS}, value rows none or 3")
    return RowsCard.from_bytes(head + reader.take(_POINT * points))


def _point(compressed: bytes, y: int, what: str) -> Point:
    point = Point(int.from_bytes(compressed, "big") & ~(1 << 255), y)
    if decompress(compressed) != point:
        raise EvidenceMalformed(f"{what} is not the point whose y the evidence gives")
    return point


def _receipt(reader: _Reader) -> tuple[int, bytes]:
    witness = reader.number(_WORD)
    if witness >= MAX_RECEIPTS:
        raise EvidenceMalformed(f"witness {witness}: a project has at most {MAX_RECEIPTS}")
    return witness, full_signature(reader.take(_WORD), reader.take(_WORD))
