"""Projects: terms and ledger as on chain, the models a project went through; and beside the chain, the spec documents
and the version that wakes long-polls."""

from __future__ import annotations

from cohort_protocol.chain.types import Windows
from sqlalchemy import JSON, BigInteger, Boolean, Float, ForeignKey, LargeBinary, String
from sqlalchemy.orm import Mapped, mapped_column

from cohort_backend.database import Base, ExactInteger


class Project(Base):
    """Projection of ProjectCreated and of everything that moves its money or its rounds."""

    __tablename__ = "projects"

    id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    """The contract's number, from 1."""
    owner: Mapped[str] = mapped_column(String(42), index=True)
    """Who created it, EIP-55."""
    created_block: Mapped[int] = mapped_column(BigInteger)
    """Height of the block that created it."""
    created_tx: Mapped[bytes] = mapped_column(LargeBinary(32))
    """Transaction that created it."""

    # Terms: fixed at creation (`cohort_protocol.chain.types.ProjectTerms`).
    token: Mapped[str] = mapped_column(String(42))
    """ERC-20 that everything here is paid in."""
    verifier: Mapped[str] = mapped_column(String(42))
    """Contract that decides whether a settlement is right."""
    policy: Mapped[str] = mapped_column(String(42))
    """Contract that gives the scores."""
    verifier_code_hash: Mapped[bytes] = mapped_column(LargeBinary(32))
    """keccak256 of the verifier's code."""
    policy_code_hash: Mapped[bytes] = mapped_column(LargeBinary(32))
    """keccak256 of the policy's code."""
    spec_digest: Mapped[bytes] = mapped_column(LargeBinary(32))
    """SHA-256 of the canonical spec."""
    policy_hash: Mapped[bytes] = mapped_column(LargeBinary(32))
    """keccak256 of the canonical scoring policy."""
    initial_model: Mapped[bytes] = mapped_column(LargeBinary(32))
    """keccak256 of the canonical bytes of the first model."""
    validation_root: Mapped[bytes] = mapped_column(LargeBinary(32))
    """Merkle root of the validation batches, one per round; zeros: none."""
    access_root: Mapped[bytes] = mapped_column(LargeBinary(32))
    """Merkle root of the trainers who may join; zeros: no list."""
    round_budget: Mapped[int] = mapped_column(ExactInteger)
    """R: base units set aside for each round."""
    aggregator_fee: Mapped[int] = mapped_column(ExactInteger)
    """Base units of R that go to whoever settles."""
    stake: Mapped[int] = mapped_column(ExactInteger)
    """Base units that each trainer deposits to join."""
    bond: Mapped[int] = mapped_column(ExactInteger)
    """Base units that the aggregator of a round stands to lose."""
    score_floor: Mapped[int] = mapped_column(ExactInteger)
    """Below this sum of scores (2^30 = one average contribution) a round pays in proportion."""
    rounds: Mapped[int] = mapped_column(BigInteger)
    """Most rounds that the project runs."""
    dimension: Mapped[int] = mapped_column(BigInteger)
    """d: parameters of the model."""
    exponent: Mapped[int] = mapped_column()
    """e: an update counts in units of 2^e."""
    min_reliability: Mapped[int] = mapped_column()
    """Basis points needed to join."""
    slots: Mapped[int] = mapped_column()
    """N: most trainers in a round, <= 32."""
    min_trainers: Mapped[int] = mapped_column()
    """k_min: fewer commits or reveals void a round."""
    quorum: Mapped[int] = mapped_column()
    """q: witness signatures needed."""
    share_cap: Mapped[int] = mapped_column()
    """One trainer gets at most share_cap / n of what a round distributes."""
    commit_seconds: Mapped[int] = mapped_column(BigInteger)
    """Window from opening to tC, seconds."""
    guard_seconds: Mapped[int] = mapped_column(BigInteger)
    """Window from tC to the first reveal, seconds."""
    reveal_seconds: Mapped[int] = mapped_column(BigInteger)
    """Window from the end of the guard to tR, seconds."""
    rescue_seconds: Mapped[int] = mapped_column(BigInteger)
    """Window from tR to tG, seconds."""
    settle_seconds: Mapped[int] = mapped_column(BigInteger)
    """Window from tG to tS, seconds."""
    takeover_seconds: Mapped[int] = mapped_column(BigInteger)
    """Window from tS to tF, seconds."""
    self_commit_seconds: Mapped[int] = mapped_column(BigInteger)
    """Last part of the commit window, in which no batch is posted any more, seconds."""
    witnesses: Mapped[list[str]] = mapped_column(JSON)
    """Addresses, strictly increasing; a witness is named on chain by its index here."""
    aggregators: Mapped[list[str]] = mapped_column(JSON)
    """Addresses, strictly increasing at creation; those that the owner added later follow."""
    protocol_fee: Mapped[int] = mapped_column(ExactInteger)
    """Base units of R that go to the protocol, per settled round."""
    standing_weight: Mapped[int] = mapped_column()
    """Part of the full standing gain that this fee earns, in 1/65536."""

    # Progress.
    round: Mapped[int] = mapped_column(BigInteger, default=0)
    """Number of the newest round; 0 before the first."""
    ended: Mapped[bool] = mapped_column(Boolean, default=False)
    """No round opens any more."""
    members: Mapped[int] = mapped_column(default=0)
    """Trainers who have joined, staked, and not left."""
    member_numbers: Mapped[int] = mapped_column(BigInteger, default=0)
    """Members are numbered from 1 to this."""
    last_join_block: Mapped[int] = mapped_column(BigInteger, default=0)
    """Height of the newest block in which `members` grew; 0 before the first."""
    model: Mapped[bytes] = mapped_column(LargeBinary(32))
    """Commitment of the model that the next round starts from."""
    pending_model: Mapped[bytes | None] = mapped_column(LargeBinary(32))
    """Commitment of the newest model, while witnesses have not vouched for its bytes."""
    pending_until: Mapped[int] = mapped_column(BigInteger, default=0)
    """Unix seconds from which a round may open without the pending model; 0 if there was none."""
    acceptor: Mapped[str | None] = mapped_column(String(42))
    """Aggregator that has accepted the next round."""

    # Ledger, base units: deposited = free + held + claimable + claimed + fees + burned + refunded. Stakes and bonds
    # stand beside it.
    deposited: Mapped[int] = mapped_column(ExactInteger, default=0)
    """Ever paid in."""
    free: Mapped[int] = mapped_column(ExactInteger, default=0)
    """May open rounds, or go back to the owner once the project has ended."""
    held: Mapped[int] = mapped_column(ExactInteger, default=0)
    """Set aside for the running round."""
    claimable: Mapped[int] = mapped_column(ExactInteger, default=0)
    """Earned, not yet taken out."""
    claimed: Mapped[int] = mapped_column(ExactInteger, default=0)
    """Taken out by trainers."""
    fees: Mapped[int] = mapped_column(ExactInteger, default=0)
    """Earned by aggregators and by the protocol."""
    burned: Mapped[int] = mapped_column(ExactInteger, default=0)
    """Undistributed pay of settled rounds, fees of defaulted ones."""
    refunded: Mapped[int] = mapped_column(ExactInteger, default=0)
    """Sent back to the owner."""
    stakes: Mapped[int] = mapped_column(ExactInteger, default=0)
    """Of trainers."""
    bonds: Mapped[int] = mapped_column(ExactInteger, default=0)
    """Of aggregators, their fees included."""
    stakes_burned: Mapped[int] = mapped_column(ExactInteger, default=0)
    """The burned part of slashed stakes."""
    bonds_burned: Mapped[int] = mapped_column(ExactInteger, default=0)
    """The burned part of slashed bonds."""
    protocol_fees: Mapped[int] = mapped_column(ExactInteger, default=0)
    """Part of `fees` that the protocol has not collected yet."""

    @property
    def distributable(self) -> int:
        """D: the most that a round pays to its trainers, base units."""
        return self.round_budget - self.aggregator_fee - self.protocol_fee

    @property
    def windows(self) -> Windows:
        """Lengths of a round's phases, seconds."""
        return Windows(
            commit=self.commit_seconds,
            guard=self.guard_seconds,
            reveal=self.reveal_seconds,
            rescue=self.rescue_seconds,
            settle=self.settle_seconds,
            takeover=self.takeover_seconds,
            self_commit=self.self_commit_seconds,
        )


class Bond(Base):
    """An aggregator's money in a project: projection of every event that moves a bond, and of the fees."""

    __tablename__ = "bonds"

    project: Mapped[int] = mapped_column(ForeignKey("projects.id"), primary_key=True, autoincrement=False)
    """Project."""
    aggregator: Mapped[str] = mapped_column(String(42), primary_key=True)
    """EIP-55."""
    free: Mapped[int] = mapped_column(ExactInteger, default=0)
    """Base units that can be withdrawn or locked."""
    locked: Mapped[int] = mapped_column(ExactInteger, default=0)
    """Base units behind rounds that were accepted and have not ended."""


class ProjectModel(Base):
    """The models of a project in order: projection of ProjectCreated, RoundSettled and of what became of models that
    had to wait for receipts."""

    __tablename__ = "project_models"

    project: Mapped[int] = mapped_column(ForeignKey("projects.id"), primary_key=True, autoincrement=False)
    """Project."""
    round: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    """The settled round that left this model; 0 for the first model. Void and defaulted rounds leave none."""
    commitment: Mapped[bytes] = mapped_column(LargeBinary(32))
    """keccak256 of its canonical bytes."""
    cid: Mapped[str | None] = mapped_column(String(64))
    """CIDv1 of its safetensors file; None for the first model, whose CID is in the spec."""
    receipted: Mapped[bool] = mapped_column(Boolean, default=True)
    """False while witnesses have not vouched for its bytes: no round starts from it yet. A model that is dropped for
    want of receipts leaves no row."""


class SpecDocument(Base):
    """Specs by digest: a cache of IPFS content, checked against the digest before it is stored."""

    __tablename__ = "spec_documents"

    digest: Mapped[bytes] = mapped_column(LargeBinary(32), primary_key=True)
    """SHA-256 of the content."""
    content: Mapped[bytes] = mapped_column(LargeBinary)
    """Canonical JSON of `cohort_protocol.spec.ProjectSpec`."""


class ProjectVersion(Base):
    """Grows by one in the transaction of every visible change. Never part of a rebuild, so it never goes back."""

    __tablename__ = "project_versions"

    project: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    """Project (no foreign key: survives the projection)."""
    version: Mapped[int] = mapped_column(BigInteger)
    """Counts from 1."""
    changed_at: Mapped[float] = mapped_column(Float(53))
    """Unix seconds of the newest change."""
