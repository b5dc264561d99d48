"""The challenges of a proof: hashes of everything that was fixed before them (Fiat-Shamir).

`docs/protocol/proof.md` has the argument. keccak256 of plain concatenations: every part has a length that follows from
the statement's numbers, which stand in the head, so that no two statements have the same bytes.
"""

from __future__ import annotations

from dataclasses import dataclass

from eth_utils import keccak

from cohort_protocol.proof.curve import ORDER, Point
from cohort_protocol.proof.statement import RoundStatement, gram_bytes, word

CHALLENGE_BITS = 128
"""Bits of x_a, gamma and rho: half the cost of full scalars where points are multiplied in bulk, and an error of 2^-128
that no other part of the system reaches."""


@dataclass
class Transcript:
    """The state after each message. Prover and verifier call `correlation`, `evaluations`, `quotient` in this order."""

    state: bytes
    """Of the statement."""
    x: tuple[int, ...]
    """One coefficient a row, 128 bits, independent: powers x^a of one number would only show the sums of the matrix
    along a + b = const."""
    state1: bytes = b""
    z: int = 0
    state2: bytes = b""
    gamma: int = 0
    rho: int = 0
    state3: bytes = b""
    y: int = 0

    @classmethod
    def of(cls, statement: RoundStatement) -> Transcript:
        """The start: everything public."""
        state = keccak(
            statement.head()
            + statement.step.words()
            + b"".join(point.words() for point in statement.commitments)
            + gram_bytes(statement.gram, statement.n)
            + b"".join(word(weight) for weight in statement.weights)
        )
        rows = statement.n + statement.p
        x = tuple(int.from_bytes(keccak(state + word(a))[16:], "big") for a in range(rows))
        return cls(state, x)

    def correlation(self, commitment: Point) -> None:
        """The prover has sent C_S: gives z, the point at which V and S are opened."""
        self.state1 = keccak(self.state + commitment.words())
        self.z = int.from_bytes(self.state1, "big") % ORDER

    def evaluations(self, v1: int, v2: int, s1: int) -> None:
        """The prover has sent V(z), V(1/z) and S(z): gives gamma and rho, which join the polynomials to one."""
        self.state2 = keccak(self.state1 + word(v1) + word(v2) + word(s1))
        number = int.from_bytes(self.state2, "big")
        self.gamma, self.rho = number >> CHALLENGE_BITS, number % (1 << CHALLENGE_BITS)

    def quotient(self, commitment: Point) -> None:
        """The prover has sent [W]: gives y, the point at which the quotient is checked."""
        self.state3 = keccak(self.state2 + commitment.words())
        self.y = int.from_bytes(self.state3, "big") % ORDER
