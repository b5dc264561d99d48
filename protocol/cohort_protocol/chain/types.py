"""What the contracts take and give, as frozen dataclasses: mirrors of `contracts/src/types/Types.sol` and of the
structs in `contracts/src/interfaces/` (a test compares names, order and types with the compiled ABI).

Amounts are in base units of the project's token, times in unix seconds, addresses in EIP-55 form.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, ClassVar, Self

from cohort_protocol.phases import Phase


class SkipReason(IntEnum):
    """Why one reveal of a batch was passed over. The others of the batch are not affected."""

    NONE = 0
    ALREADY_REVEALED = 1
    NOT_COMMITTED = 2
    WRONG_OPENING = 3
    NO_QUORUM = 4
    BAD_CID = 5


class RevealState(IntEnum):
    """What became of a trainer's commitment in a round."""

    NONE = 0
    """Not revealed."""
    ADMITTED = 1
    REFUSED = 2
    """Revealed, and refused by a quorum of witnesses."""


def snake_case(name: str) -> str:
    """`roundBudget` -> `round_budget`."""
    return re.sub(r"(?<=[a-z0-9])([A-Z])", r"_\1", name).lower()


class AbiStruct:
    """A Solidity struct. Members are matched by name, never by position: reordering a struct to pack its storage must
    not swap two amounts here."""

    _convert: ClassVar[dict[str, Callable[[Any], Any]]] = {}
    """Fields whose ABI value is not their Python value (nested structs, enums, lists)."""

    @classmethod
    def from_abi(cls, members: Mapping[str, Any]) -> Self:
        """From the members by Solidity name, as `codec` decodes a struct."""
        values = {snake_case(name): value for name, value in members.items()}
        return cls(**{name: cls._convert.get(name, _as_is)(value) for name, value in values.items()})


def _as_is(value: Any) -> Any:
    return value


def _all_of(struct: type[AbiStruct]) -> Callable[[Any], Any]:
    return lambda items: tuple(struct.from_abi(item) for item in items)


@dataclass(frozen=True)
class Windows(AbiStruct):
    """Lengths of a round's phases, in seconds. Upper bounds: a phase ends early when everyone has acted."""

    commit: int
    guard: int
    reveal: int
    settle: int


@dataclass(frozen=True)
class ProjectTerms(AbiStruct):
    """What an owner fixes when a project is created. Nothing here can change later."""

    _convert = {"windows": Windows.from_abi}  # noqa: RUF012

    token: str
    verifier: str
    spec_digest: bytes
    """SHA-256 of the canonical project spec (32 bytes)."""
    policy_hash: bytes
    """keccak256 of the canonical scoring policy (32 bytes)."""
    initial_model: bytes
    """keccak256 of the canonical bytes of the first model (32 bytes)."""
    round_budget: int
    """R: set aside for each round."""
    aggregator_fee: int
    """Part of R that goes to whoever settles."""
    stake: int
    """Deposited by each trainer to join."""
    score_floor: int
    """Below this sum of scores a round pays only in proportion."""
    rounds: int
    """Most rounds this project runs."""
    dimension: int
    """d: parameters of the model."""
    slots: int
    """N: most trainers in a round."""
    min_trainers: int
    """k_min: fewer commits or reveals void the round."""
    quorum: int
    """q: witness signatures needed."""
    share_cap: int
    """One trainer gets at most share_cap / n of what a round distributes."""
    windows: Windows
    witnesses: tuple[str, ...]
    """Strictly increasing; a witness is named by its index here."""
    aggregators: tuple[str, ...]
    """Strictly increasing."""

    @property
    def distributable(self) -> int:
        """D = R - aggregator fee: the most that a settled round pays to its trainers."""
        return self.round_budget - self.aggregator_fee


@dataclass(frozen=True)
class CommitLeaf(AbiStruct):
    """One entry of a batch of commitments."""

    trainer: str
    commitment: bytes


@dataclass(frozen=True)
class CommitSignature(AbiStruct):
    """The trainer's consent to one entry of a batch, checked when the batch is posted."""

    expiry: int
    """Last second at which the batch may be posted."""
    signature: bytes
    """EIP-712 `Commit` by the trainer, 65 bytes."""


@dataclass(frozen=True)
class Reveal(AbiStruct):
    """What opens a commitment."""

    trainer: str
    update: bytes
    """keccak256 of the canonical bytes of the update."""
    salt: bytes
    cid: bytes
    """36-byte CIDv1 where the update can be fetched."""


@dataclass(frozen=True)
class Receipt(AbiStruct):
    """One witness's word on a set of reveals: bit i speaks of reveal i of the call."""

    witness: int
    """Index in the project's witness list."""
    endorsed: int
    refused: int
    signature: bytes
    """EIP-712 `Receipt` by the witness, 65 bytes."""


@dataclass(frozen=True)
class Row(AbiStruct):
    """An admitted update, in order of admission."""

    trainer: str
    update: bytes


@dataclass(frozen=True)
class Outcome(AbiStruct):
    """What the policy says of one row."""

    score: int
    """Fixed point: 2^30 is an average contribution; 0 if rejected."""
    reason: int
    """0 = accepted, else the policy's reason code."""


@dataclass(frozen=True)
class NextModel(AbiStruct):
    """The model that a settlement leaves behind."""

    commitment: bytes
    """keccak256 of its canonical bytes."""
    cid: bytes
    """36-byte CIDv1."""


@dataclass(frozen=True)
class ClaimItem(AbiStruct):
    """A claim on one round."""

    round: int
    index: int
    """Row of the trainer in that round."""
    amount: int
    proof: tuple[bytes, ...]


@dataclass(frozen=True)
class Ledger(AbiStruct):
    """The accounts of one project. All but `free`, `held` and `claimable` only ever grow."""

    free: int
    """May open rounds, or go back to the owner once the project has ended."""
    held: int
    """Set aside for the round that is running."""
    claimable: int
    """Earned, not yet taken out."""
    claimed: int
    fees: int
    """Credited to aggregators."""
    burned: int
    """Undistributed pay; stays in the contract for ever, no call can move it."""
    deposited: int
    refunded: int

    @property
    def balanced(self) -> bool:
        """deposited = free + held + claimable + claimed + fees + burned + refunded, exactly."""
        return self.deposited == (
            self.free + self.held + self.claimable + self.claimed + self.fees + self.burned + self.refunded
        )


@dataclass(frozen=True)
class Member(AbiStruct):
    """A trainer's place in a project."""

    stake: int
    """0 = not a member."""
    joined_round: int
    """May commit in rounds after this one."""
    left_round: int
    """Newest round when leaving; meaningful if `left`."""
    left: bool

    @property
    def active(self) -> bool:
        """Joined, and has not left."""
        return self.stake > 0 and not self.left


@dataclass(frozen=True)
class Standing(AbiStruct):
    """A trainer's standing across projects, in basis points. A newcomer has 0."""

    reliability: int
    """0 .. 10,000."""
    usefulness: int
    """Moving average of share x n, 0 .. 40,000."""
    rounds: int
    """Admitted rows so far."""
    rejections: int
    """Rows rejected as hostile so far."""


@dataclass(frozen=True)
class Progress(AbiStruct):
    """How far a project has come."""

    round: int
    """Number of the newest round, 0 before the first."""
    model: bytes
    """Commitment of the model that the next round starts from."""
    ended: bool


@dataclass(frozen=True)
class RoundView(AbiStruct):
    """One round as of a block."""

    _convert = {"phase": Phase}  # noqa: RUF012

    phase: Phase
    """As of the timestamp of the block that was asked. See `phase_at`."""
    opened_at: int
    commit_end: int
    """tC"""
    reveal_start: int
    """tC + g"""
    reveal_end: int
    """tR"""
    settle_end: int
    """tF"""
    budget: int
    eligible: int
    """Members when it opened (65,535 if more)."""
    batch_count: int
    """Commitments in the batch, without those that their trainers replaced."""
    self_count: int
    """Commitments posted by their trainers."""
    admitted: int
    """n"""
    refused: int
    """Revealed, and refused by a quorum of witnesses."""
    closed: bool
    """Terminal, and its money has been moved."""
    claimed_bits: int
    """Bit i: row i has been claimed."""
    batch_hash: bytes
    admitted_hash: bytes
    model: bytes
    """Commitment of the model this round starts from."""
    payout_root: bytes
    """Set when closed and any row exists."""

    @property
    def commits(self) -> int:
        """Commitments that can still become, or have become, a row."""
        return self.batch_count + self.self_count

    def phase_at(self, timestamp: int, min_trainers: int) -> Phase:
        """The phase at a time, if nobody acts until then: twin of `RoundState.phaseAt`. `min_trainers` from the
        project's terms. A VOID or DEFAULTED round is `closed` only once somebody called `closeRound`."""
        if self.opened_at == 0:
            return Phase.NONE
        if self.closed:
            return self.phase
        if timestamp < self.commit_end:
            return Phase.COMMIT
        if self.commits < min_trainers:
            return Phase.VOID
        if timestamp < self.reveal_start:
            return Phase.GUARD
        if timestamp < self.reveal_end:
            return Phase.REVEAL
        if self.admitted < min_trainers:
            return Phase.VOID
        return Phase.SETTLE if timestamp < self.settle_end else Phase.DEFAULTED

    def everyone_committed(self, slots: int) -> bool:
        """Whether the commit phase can end now. `slots` from the project's terms."""
        return self.commits >= min(self.eligible, slots)

    @property
    def everyone_revealed(self) -> bool:
        """Whether the reveal phase can end now."""
        return self.admitted + self.refused >= self.commits

    def claimed(self, row: int) -> bool:
        """Whether the pay of `row` has been taken out."""
        return bool(self.claimed_bits >> row & 1)
