"""What the contracts take and give, as frozen dataclasses: mirrors of `contracts/src/types/Types.sol` and of the
structs in `contracts/src/interfaces/` (a test compares names, order and types with the compiled ABI).

Amounts are in base units of the project's token, times in unix seconds, addresses in EIP-55 form. Two things look
different on chain and are converted where a call is encoded or an answer decoded: a CID is 36 bytes here and
(codec, digest) there, a signature 65 bytes here and compact (EIP-2098: r, vs) there. What calls take as packed bytes
or words is in `packed`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from cohort_protocol.chain.skips import LeafSkip as LeafSkip
from cohort_protocol.chain.skips import SkipReason as SkipReason
from cohort_protocol.chain.structs import AbiStruct, Located, Signed, all_of
from cohort_protocol.phases import Phase

ZERO_ADDRESS = "0x" + 40 * "0"
"""Nobody, in an address field that may be empty."""

BASIS_POINTS = 10_000


def self_commit_mark(commitment: bytes) -> bytes:
    """What the market keeps of a commitment (32 bytes) that its trainer posted: the first 27 bytes, then zeros."""
    return commitment[:27] + bytes(5)


# -- terms


@dataclass(frozen=True)
class Windows(AbiStruct):
    """Lengths of a round's phases, in seconds. Upper bounds: commit and reveal end early when everyone has acted."""

    commit: int
    """Open -> tC."""
    guard: int
    """tC -> first reveal."""
    reveal: int
    """End of guard -> tR."""
    rescue: int
    """tR -> tG: an unrevealed commitment may still be opened to save its stake."""
    settle: int
    """tG -> tS: the aggregator that accepted the round must have settled."""
    takeover: int
    """tS -> tF: any bonded aggregator of the project may settle."""
    self_commit: int
    """The last part of the commit phase, for trainers only: no batch any more."""


class Deadlines(NamedTuple):
    """The times of a round, unix seconds; half-open intervals end there."""

    commit_end: int
    reveal_start: int
    reveal_end: int
    rescue_end: int
    acceptor_end: int
    settle_end: int
    slash_end: int


def deadlines(windows: Windows, slash_window: int, commit_end: int, reveal_end: int) -> Deadlines:
    """All times of a round from the two that its events carry. `slash_window` from the deployment's profile."""
    rescue_end = reveal_end + windows.rescue
    acceptor_end = rescue_end + windows.settle
    return Deadlines(
        commit_end=commit_end,
        reveal_start=commit_end + windows.guard,
        reveal_end=reveal_end,
        rescue_end=rescue_end,
        acceptor_end=acceptor_end,
        settle_end=acceptor_end + windows.takeover,
        slash_end=rescue_end + slash_window,
    )


@dataclass(frozen=True)
class ProjectTerms(AbiStruct):
    """What an owner fixes when a project is created. Nothing here can change later."""

    _convert = {"windows": Windows.from_abi}  # noqa: RUF012

    token: str
    verifier: str
    """`IRoundVerifier` that decides whether a settlement is right."""
    policy: str
    """`IRoundPolicy` that gives the scores."""
    verifier_code_hash: bytes
    """keccak256 of the verifier's code (32 bytes): must be what is found there, and on the deployment's list."""
    policy_code_hash: bytes
    spec_digest: bytes
    """SHA-256 of the canonical project spec (32 bytes)."""
    policy_hash: bytes
    """keccak256 of the canonical scoring policy (32 bytes)."""
    initial_model: bytes
    """keccak256 of the canonical bytes of the first model (32 bytes)."""
    validation_root: bytes
    """Merkle root of the validation batches, one per round; zeros: none."""
    access_root: bytes
    """Merkle root of the trainers who may join; zeros: no list."""
    round_budget: int
    """R: set aside for each round."""
    aggregator_fee: int
    """Part of R that goes to whoever settles."""
    stake: int
    """Of each trainer, at least 2 D / slots."""
    bond: int
    """Of the aggregator of a round, at least R / 2."""
    score_floor: int
    """Below this sum of scores a round pays only in proportion."""
    rounds: int
    """Most rounds this project runs."""
    dimension: int
    """d: parameters of the model."""
    exponent: int
    """e: an update counts in units of 2^e."""
    min_reliability: int
    """Basis points needed to join."""
    slots: int
    """N: most trainers in a round."""
    min_trainers: int
    """k_min: fewer commits or rows void the round."""
    quorum: int
    """q: witness signatures needed."""
    share_cap: int
    """One trainer gets at most share_cap / n of what a round distributes."""
    windows: Windows
    witnesses: tuple[str, ...]
    """Strictly increasing; a witness is named by its index here."""
    aggregators: tuple[str, ...]
    """Strictly increasing; the owner may add more."""

    def protocol_fee(self, protocol_fee_bps: int) -> int:
        """The protocol's part of a settled round's budget, rounded down."""
        return self.round_budget * protocol_fee_bps // BASIS_POINTS

    def distributable(self, protocol_fee_bps: int) -> int:
        """D = R - aggregator fee - protocol fee: the most that a round pays to its trainers."""
        return self.round_budget - self.aggregator_fee - self.protocol_fee(protocol_fee_bps)


@dataclass(frozen=True)
class ListedToken(AbiStruct):
    """A token whose protocol fees count for standing."""

    token: str
    full_fee: int
    """F0: a protocol fee per round of this much earns the full gain."""


@dataclass(frozen=True)
class Profile(AbiStruct):
    """What one deployment fixes for all its projects."""

    _convert = {"minimum": Windows.from_abi, "tokens": all_of(ListedToken)}  # noqa: RUF012

    minimum: Windows
    """No project may have shorter windows."""
    slash_window: int
    """Seconds from tG in which an unrevealed commitment can be slashed; stakes stay until then."""
    protocol_fee_bps: int
    fee_recipient: str
    """Of the protocol fee; zero: it is burned."""
    verifiers: tuple[bytes, ...]
    """Code hashes that projects may use."""
    policies: tuple[bytes, ...]
    tokens: tuple[ListedToken, ...]


# -- what calls take


@dataclass(frozen=True)
class Receipt(Signed):
    """One witness's word on a set of openings: bit i speaks of opening i of the call."""

    witness: int
    """Index in the project's witness list."""
    endorsed: int
    refused: int
    signature: bytes
    """EIP-712 `Receipt` by the witness, 65 bytes."""


@dataclass(frozen=True)
class WitnessSignature(Signed):
    """One witness's signature over something that is said once for everybody."""

    witness: int
    """Index in the project's witness list."""
    signature: bytes
    """65 bytes."""


@dataclass(frozen=True)
class Admission(AbiStruct):
    """What one call of `reveal` admitted. The market keeps a chain over these (`commitments.admitted_hash`)."""

    members: bytes
    """4 bytes for each row."""
    rows: bytes
    """keccak256 of the rows, 69 bytes each."""


class Outcome(NamedTuple):
    """What the policy says of one row."""

    score: int
    """Fixed point: 2^30 is an average contribution; 0 if rejected."""
    reason: int
    """0 = accepted, else the policy's reason code."""


@dataclass(frozen=True)
class NextModel(Located):
    """The model that a settlement leaves behind."""

    commitment: bytes
    """keccak256 of its canonical bytes."""
    cid: bytes
    """36-byte CIDv1."""


# -- what reads give


@dataclass(frozen=True)
class Ledger(AbiStruct):
    """The money of one project. `stakes`, `bonds`, `free`, `held` and `claimable` go up and down, all else only ever
    grows."""

    deposited: int
    free: int
    """May open rounds, or go back to the owner once the project has ended."""
    held: int
    """Set aside for the round that is running."""
    claimable: int
    """Earned, not yet taken out."""
    claimed: int
    fees: int
    """Earned by aggregators (now part of `bonds` or withdrawn) and by the protocol."""
    burned: int
    """Undistributed pay; stays in the contract for ever, no call can move it."""
    refunded: int
    stakes: int
    """Of trainers."""
    bonds: int
    """Of aggregators, their fees included."""
    stakes_burned: int
    bonds_burned: int
    protocol_fees: int
    """Part of `fees` that has not been collected yet."""

    @property
    def balanced(self) -> bool:
        """deposited = free + held + claimable + claimed + fees + burned + refunded, exactly."""
        return self.deposited == (
            self.free + self.held + self.claimable + self.claimed + self.fees + self.burned + self.refunded
        )


@dataclass(frozen=True)
class Member(AbiStruct):
    """A trainer's place in a project."""

    trainer: str
    number: int
    """From 1, given once and for ever; 0: unknown in this project."""
    joined_round: int
    """May commit in rounds after this one."""
    unlock_at: int
    """0, or: has left, and may take the stake out from then on."""
    staked: bool
    joined: bool
    """And has not left."""
    delegate: str
    """May commit and reveal for the trainer; `ZERO_ADDRESS`: nobody."""

    @property
    def known(self) -> bool:
        return self.number > 0

    @property
    def active(self) -> bool:
        """Joined, has not left, and has its stake in."""
        return self.joined and self.staked

    def may_commit_in(self, round: int) -> bool:
        return self.active and self.joined_round < round

    def signers(self) -> tuple[str, ...]:
        """Whose signature counts for this member: its own, and its delegate's."""
        return (self.trainer,) if self.delegate == ZERO_ADDRESS else (self.trainer, self.delegate)


@dataclass(frozen=True)
class Bond(AbiStruct):
    """An aggregator's money in a project."""

    free: int
    locked: int
    """Behind rounds that were accepted and have not ended."""


@dataclass(frozen=True)
class Record(AbiStruct):
    """How a trainer has worked in one project."""

    credit: int = 0
    """1,000 for each round with an average share or more, in proportion below. 24 bits."""
    usefulness: int = 0
    """Moving average of share x n, basis points, at most 40,000."""
    rounds: int = 0
    """Admitted rows of settled rounds. 16 bits."""
    rejections: int = 0
    """Rows rejected as hostile. 7 bits."""

    @classmethod
    def unpack(cls, word: int) -> Record:
        """From its 64 bits: credit 24, usefulness 16, rounds 16, rejections 7, from the lowest. The highest bit only
        says that the member exists (a slot that was written before costs a settlement less)."""
        return cls(word & 0xFFFFFF, word >> 24 & 0xFFFF, word >> 40 & 0xFFFF, word >> 56 & 0x7F)

    def pack(self) -> int:
        """The reverse of `unpack`."""
        return self.credit | self.usefulness << 24 | self.rounds << 40 | self.rejections << 56 | 1 << 63


@dataclass(frozen=True)
class Progress(AbiStruct):
    """How far a project has come."""

    round: int
    """Number of the newest round, 0 before the first."""
    members: int
    """Who would be waited for in a round that opens now."""
    member_numbers: int
    """Members are numbered from 1 to this."""
    ended: bool
    model: bytes
    """Commitment of the model that the next round starts from."""
    pending_model: bytes
    """Waits for receipts; zeros: none."""
    pending_until: int
    """From then on the next round may open without it."""
    acceptor: str
    """Aggregator of the next round; `ZERO_ADDRESS`: nobody has accepted it."""
    owner: str
    rules: str
    """Where the terms are kept, as code."""


@dataclass(frozen=True)
class RoundView(AbiStruct):
    """One round as of a block. Of a round that is neither the newest nor has unresolved commitments the market keeps
    only `phase` and `payout_root`; its events have the rest."""

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
    rescue_end: int
    """tG"""
    acceptor_end: int
    """tS"""
    settle_end: int
    """tF"""
    slash_end: int
    """tG + the deployment's slash window"""
    budget: int
    """R, while it is held."""
    acceptor: str
    """Bonded aggregator, sole batcher."""
    expected: int
    """Commitments that end the commit phase: min(slots, members when it opened)."""
    batch_count: int
    """Leaves of the batch that count."""
    self_count: int
    """Commitments posted by their trainers."""
    admitted: int
    """n"""
    refused: int
    """Opened, and refused by a quorum of witnesses."""
    unresolved: int
    """Commitments neither admitted, refused, rescued nor slashed."""
    batch_posted: bool
    closed: bool
    """Terminal, and its money has been moved."""
    batch_bits: int
    """Bit i: leaf i of the batch counts."""
    resolved_bits: int
    """Bit i: leaf i was admitted, refused, rescued or slashed."""
    batch_hash: bytes
    """keccak256 of the leaves, 36 bytes each."""
    admitted_hash: bytes
    """See `commitments.admitted_hash`."""
    model: bytes
    """Commitment of the model this round starts from; once the round is settled, of the model that the next one starts
    from (`RoundOpened` keeps the other)."""
    validation: bytes
    """Digest of this round's validation batch; zeros: not revealed."""
    public_rows: bytes
    """Commitment of the public rows; zeros: none posted."""
    payout_root: bytes
    """First 27 bytes of the root; set when closed and any row exists."""

    @property
    def commits(self) -> int:
        """Commitments that can still become, or have become, a row."""
        return self.batch_count + self.self_count

    def phase_at(self, timestamp: int, min_trainers: int) -> Phase:
        """The phase at a time, if nobody acts until then: twin of `RoundState.phaseAt`. `min_trainers` from the
        project's terms. A VOID or DEFAULTED round is `closed` only once somebody called `closeRound`."""
        if self.closed:
            return self.phase
        if self.opened_at == 0:
            return Phase.NONE
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

    @property
    def everyone_committed(self) -> bool:
        """Whether the commit phase can end now."""
        return self.commits >= self.expected

    @property
    def everyone_revealed(self) -> bool:
        """Whether the reveal phase can end now."""
        return self.unresolved == 0
