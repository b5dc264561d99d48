"""What a proof of a round says, and its bytes as the contract reads them.

A statement is about R = n + p committed rows: the n admitted updates in the order of admission, then the p public rows
in the order of `scoring.rows`. It says: `gram` holds all inner products of the rows, and `step` is the commitment of
sum_a weights[a] * update_a. Everything else in it ties that to one round of one project.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from eth_utils import keccak

from cohort_protocol.identifiers import parse_address
from cohort_protocol.proof.curve import Point
from cohort_protocol.proof.errors import StatementInvalid
from cohort_protocol.scoring.gram import TOTAL_WEIGHT
from cohort_protocol.scoring.hints import ENTRY_BYTES
from cohort_protocol.scoring.hints import gram_bytes as gram_bytes
from cohort_protocol.scoring.rows import PublicRows

DOMAIN = keccak(text="Cohort round proof 1")
"""First word of the transcript: another protocol, or another version of this one, has another."""

MAX_ROWS = 32
"""n: slots of a project."""
MAX_PUBLIC_ROWS = 10
MAX_DIMENSION = 1 << 24
"""d of a proven project: the bounds of `ENTRY_BYTES` need it."""

HASHES = (
    "admitted_hash",
    "validation",
    "public_rows",
    "policy_hash",
    "outcomes_hash",
    "previous_model",
    "next_model",
)
"""Fields of a statement that are hashes, 32 bytes each."""


@dataclass(frozen=True)
class RoundStatement:
    """One round's statement. Raises `StatementInvalid` for what no contract would read."""

    chain_id: int
    verifier: str
    """Address of the verifier contract."""
    market: str
    project: int
    round: int
    dimension: int
    """d."""
    layout: PublicRows
    """Which public rows there are: past steps, u0, value rows; nothing else."""
    admitted_hash: bytes
    validation: bytes
    public_rows: bytes
    """What is on chain about the public rows (32 bytes, as the four around it)."""
    policy_hash: bytes
    outcomes_hash: bytes
    previous_model: bytes
    """Compressed commitment of the model before the round."""
    next_model: bytes
    step: Point
    """C_m."""
    commitments: tuple[Point, ...]
    """C_a of the n updates, then of the p public rows."""
    gram: tuple[tuple[int, ...], ...]
    """int[R, R], symmetric."""
    weights: tuple[int, ...]
    """w_a of the n updates; their sum is at most 2^16."""

    def __post_init__(self) -> None:
        check_layout(self.layout)
        if not (1 <= self.n <= MAX_ROWS and len(self.weights) == self.n):
            raise StatementInvalid(
                f"{len(self.commitments)} commitments, {self.p} of public rows, and {len(self.weights)} weights: there "
                f"are 1 .. {MAX_ROWS} updates, one weight each"
            )
        if not 1 <= self.dimension <= MAX_DIMENSION:
            raise StatementInvalid(f"dimension {self.dimension}: 1 .. {MAX_DIMENSION} can be proved")
        if any(weight < 0 for weight in self.weights) or sum(self.weights) > TOTAL_WEIGHT:
            raise StatementInvalid(f"weights {self.weights}: none is negative, their sum is at most {TOTAL_WEIGHT}")
        for name in HASHES:
            if len(getattr(self, name)) != 32:
                raise StatementInvalid(f"{name} has {len(getattr(self, name))} bytes, not 32")
        for value, bits in ((self.chain_id, 256), (self.project, 256), (self.round, 32)):
            if not 0 <= value < 1 << bits:
                raise StatementInvalid(f"{value} is no uint{bits}")
        check_gram(self.gram, self.n, self.p)

    @property
    def n(self) -> int:
        """Updates."""
        return len(self.commitments) - self.p

    @property
    def p(self) -> int:
        """Public rows."""
        return self.layout.count

    def head(self) -> bytes:
        """keccak256 of what ties the proof to its round: 18 words."""
        numbers = (self.project, self.round, self.dimension, self.n, *layout_numbers(self.layout))
        words = [
            DOMAIN,
            word(self.chain_id),
            bytes(12) + bytes.fromhex(parse_address(self.verifier)[2:]),
            bytes(12) + bytes.fromhex(parse_address(self.market)[2:]),
            *(word(number) for number in numbers),
            self.admitted_hash,
            self.validation,
            self.public_rows,
            self.policy_hash,
            self.outcomes_hash,
            self.previous_model,
            self.next_model,
        ]
        return keccak(b"".join(words))


def layout_numbers(layout: PublicRows) -> tuple[int, int, int]:
    """(steps, trainable, values): past steps, 1 if u0 is there, value rows."""
    return layout.past_steps, int(layout.trainable), layout.values


def check_layout(layout: PublicRows) -> None:
    """Raises `StatementInvalid` for public rows that proofs do not know."""
    if layout.gradients or layout.halves or layout.classes or layout.count > MAX_PUBLIC_ROWS:
        raise StatementInvalid(
            f"{layout}: proofs know past steps, u0 and value rows, {MAX_PUBLIC_ROWS} in all at most, and no gradients"
        )


def check_gram(gram: Sequence[Sequence[int]], n: int, p: int) -> None:
    """Raises `StatementInvalid` unless gram is symmetric, of n + p rows, and each entry fits its bytes."""
    size = n + p
    if len(gram) != size or any(len(row) != size for row in gram):
        raise StatementInvalid(f"the Gram matrix of {size} rows has {size} rows and columns")
    for a in range(size):
        for b in range(a, size):
            limit = 1 << 8 * entry_bytes(a, b, n) - 1
            if gram[a][b] != gram[b][a]:
                raise StatementInvalid(f"entries ({a}, {b}) and ({b}, {a}) of the Gram matrix differ")
            if not -limit <= gram[a][b] < limit:
                raise StatementInvalid(
                    f"entry ({a}, {b}) of the Gram matrix is {gram[a][b]}: it must fit {entry_bytes(a, b, n)} bytes"
                )


def entry_bytes(a: int, b: int, n: int) -> int:
    """Bytes of the entry of rows a and b, n of which are updates."""
    return ENTRY_BYTES[(a >= n) + (b >= n)]


def gram_length(n: int, p: int) -> int:
    """Bytes of a Gram matrix of n updates and p public rows."""
    among = n * (n + 1) // 2, n * p, p * (p + 1) // 2
    return sum(count * width for count, width in zip(among, ENTRY_BYTES, strict=True))


def parse_gram(data: bytes, n: int, p: int) -> tuple[tuple[int, ...], ...]:
    """The inverse of `gram_bytes`. Raises `StatementInvalid` for another length."""
    if not (1 <= n <= MAX_ROWS and 0 <= p <= MAX_PUBLIC_ROWS) or len(data) != gram_length(n, p):
        raise StatementInvalid(f"{len(data)} bytes are no Gram matrix of {n} updates and {p} public rows")
    gram, at = [[0] * (n + p) for _ in range(n + p)], 0
    for a in range(n + p):
        for b in range(a, n + p):
            width = entry_bytes(a, b, n)
            gram[a][b] = gram[b][a] = int.from_bytes(data[at : at + width], "big", signed=True)
            at += width
    return tuple(tuple(row) for row in gram)


def word(value: int) -> bytes:
    """32 bytes, big-endian."""
    return value.to_bytes(32, "big")
