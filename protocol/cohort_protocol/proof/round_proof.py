"""A proof and its bytes. Names are those of `docs/protocol/proof.md`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from cohort_protocol.proof.curve import ORDER, Point
from cohort_protocol.proof.errors import ProofInvalid
from cohort_protocol.proof.statement import word

PROOF_BYTES = 320


@dataclass(frozen=True)
class RoundProof:
    """What a prover sends. Raises `ProofInvalid` for a number that is not below r."""

    correlation: Point
    """C_S."""
    v1: int
    """V(z)."""
    v2: int
    """V(1/z)."""
    s1: int
    """S(z)."""
    h: int
    """1 / (z (1 - z^2)): not needed, but costs the contract less to check than to compute."""
    quotient: Point
    """[W]."""
    opening: Point
    """[W']."""

    def __post_init__(self) -> None:
        for name in ("v1", "v2", "s1", "h"):
            if not 0 <= getattr(self, name) < ORDER:
                raise ProofInvalid(f"{name} is not below the group's order")

    def to_bytes(self) -> bytes:
        """320 bytes: C_S, v1, v2, s1, h, W, W'."""
        numbers = b"".join(word(value) for value in (self.v1, self.v2, self.s1, self.h))
        return self.correlation.words() + numbers + self.quotient.words() + self.opening.words()

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """The inverse of `to_bytes`. Raises `ProofInvalid` and `PointMalformed`."""
        if len(data) != PROOF_BYTES:
            raise ProofInvalid(f"a proof has {PROOF_BYTES} bytes, found {len(data)}")
        v1, v2, s1, h = (int.from_bytes(data[64 + 32 * k : 96 + 32 * k], "big") for k in range(4))
        points = [Point.from_words(data[start : start + 64]) for start in (0, 192, 256)]
        return cls(points[0], v1, v2, s1, h, points[1], points[2])
