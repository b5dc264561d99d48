"""What a proven round's public rows are committed to by: their points, and the manifest that names their files.

| bytes | what |
|---|---|
| 32 | SHA-256 of the manifest (`round_rows.RowsManifest`), hence its CID |
| 1, 1, 1 | past steps, u0 (0 or 1), value rows (0 .. 3) |
| 64 p | the rows' points, x and y, in the order of `scoring.rows` |

The chain keeps the SHA-256 of these bytes, so that they are a raw block of IPFS whose CID follows from the chain. The
verifier contract reads them from the evidence of a settlement; a project's quorum signs the hash. Past steps are among
the points: nobody can leave them out of a round to let a replayed step pass.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from itertools import pairwise
from typing import Self

from cohort_protocol.proof.curve import Point, add, decompress, negate
from cohort_protocol.proof.errors import StatementInvalid
from cohort_protocol.proof.statement import MAX_PUBLIC_ROWS, check_layout, layout_numbers
from cohort_protocol.scoring.errors import ScoringInputInvalid
from cohort_protocol.scoring.rows import PublicRows

_HEAD, _POINT = 35, 64
MAX_CARD_BYTES = _HEAD + _POINT * MAX_PUBLIC_ROWS


@dataclass(frozen=True)
class RowsCard:
    """See the module. Raises `StatementInvalid` for a layout that proofs do not know."""

    manifest: bytes
    """SHA-256 of the manifest, 32 bytes."""
    layout: PublicRows
    """Past steps, u0 and value rows."""
    points: tuple[Point, ...]

    def __post_init__(self) -> None:
        check_layout(self.layout)
        if len(self.manifest) != 32 or len(self.points) != self.layout.count:
            raise StatementInvalid(
                f"a card of {self.layout.count} public rows with {len(self.points)} points and a manifest digest of "
                f"{len(self.manifest)} bytes: one point each, and 32 bytes"
            )

    def to_bytes(self) -> bytes:
        """See the module."""
        return self.manifest + bytes(layout_numbers(self.layout)) + b"".join(point.words() for point in self.points)

    @property
    def digest(self) -> bytes:
        """32 bytes: what stands on chain."""
        return sha256(self.to_bytes()).digest()

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Parses untrusted bytes. Raises `StatementInvalid` or `PointMalformed`."""
        if not _HEAD <= len(data) <= MAX_CARD_BYTES or (len(data) - _HEAD) % _POINT or data[33] > 1:
            raise StatementInvalid(f"{len(data)} bytes are no card of public rows: 35 and 64 for each of up to 10 rows")
        try:
            layout = PublicRows(past_steps=data[32], trainable=bool(data[33]), values=data[34])
        except ScoringInputInvalid as error:
            raise StatementInvalid(f"a card of public rows: {error}") from error
        points = tuple(Point.from_words(data[at : at + _POINT]) for at in range(_HEAD, len(data), _POINT))
        return cls(data[:32], layout, points)


def step_points(models: Sequence[bytes]) -> tuple[Point, ...]:
    """Points of the steps between models, most recent first. models: compressed commitments, oldest first.

    Raises `PointMalformed`."""
    points = [decompress(model) for model in models]
    return tuple(add(after, negate(before)) for before, after in pairwise(points))[::-1]
