"""What goes over the wire between the service and trainers, owners and witnesses (JSON, version 1).

The service is a convenience, not an authority: every signature here is checked again by the contract, and everything
that a trainer acts on is checked by the trainer against chain and IPFS.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, Field

from cohort_protocol.identifiers import MAX_SLOTS, Address, Bytes27, Bytes32, CidText
from cohort_protocol.phases import Phase
from cohort_protocol.service.proofs import ModelReceiptIntake as ModelReceiptIntake
from cohort_protocol.service.proofs import PendingModel as PendingModel
from cohort_protocol.service.proofs import ProofView as ProofView
from cohort_protocol.service.public_rows import PublicRowsProposal as PublicRowsProposal
from cohort_protocol.service.public_rows import PublicRowsRefusal as PublicRowsRefusal
from cohort_protocol.service.public_rows import PublicRowsSignature as PublicRowsSignature
from cohort_protocol.service.terms import (
    NO_HASH,
    DecimalText,
    Detail,
    MemberNumber,
    Message,
    Signature,
    TermsRequest,
    TermsView,
)
from cohort_protocol.service.terms import WindowSeconds as WindowSeconds
from cohort_protocol.spec import ProjectSpec

# --- the market -----------------------------------------------------------------------------------------------------


class MarketInfo(Message):
    """Which market this service serves. Check it against your own address book."""

    chain_id: int
    market: Address
    verifier: Address
    policy: Address
    """The policy contract that new projects use (scores supplied, their verifier vouches for them)."""
    proven_verifier: Address | None = None
    """The verifier of projects whose rounds prove themselves; None: this service takes none."""
    block: int
    """Newest block that the service has indexed."""
    version: str


class TransactionToSign(Message):
    """A transaction that the caller signs and sends. The service holds no key of yours."""

    to: Address
    data: Annotated[str, Field(pattern=r"^0x[0-9a-f]*$", max_length=200_000)]
    value: DecimalText = 0
    description: str


# --- projects -------------------------------------------------------------------------------------------------------


class ProjectRequest(Message):
    """POST /v1/projects: a project to create. `owner` will sign the returned transactions."""

    owner: Address
    spec: ProjectSpec
    terms: TermsRequest
    deposit: DecimalText


class ProjectDraft(Message):
    """The spec is published; sign and send the transactions in order to create and fund the project."""

    spec_cid: CidText
    terms_hash: Bytes32
    cost: dict[str, DecimalText]
    """Preview in base units: per_round, distributable_per_round, protocol_fee_per_round, aggregator_fees, total,
    deposit."""
    transactions: list[TransactionToSign]


class LedgerView(Message):
    """Per project: deposited = free + held + claimable + claimed + fees + burned + refunded (base units). Stakes and
    bonds stand beside it."""

    deposited: DecimalText
    free: DecimalText
    held: DecimalText
    claimable: DecimalText
    claimed: DecimalText
    fees: DecimalText
    burned: DecimalText
    refunded: DecimalText
    stakes: DecimalText
    bonds: DecimalText
    """Of aggregators, their fees included."""
    stakes_burned: DecimalText
    bonds_burned: DecimalText
    protocol_fees: DecimalText
    """Part of `fees` that has not been collected yet."""


class ProjectView(Message):
    id: int
    owner: Address
    spec_cid: CidText
    spec: ProjectSpec | None = None
    """None until the service could fetch the spec, and in lists."""
    terms: TermsView
    policy_hash: Bytes32
    ended: bool
    round: int
    """Newest round; 0 before the first."""
    members: int
    """Joined, staked, not left."""
    protocol_fee: DecimalText
    """Per settled round."""
    distributable: DecimalText
    """D: the most that a round pays to its trainers."""
    standing_weight: Annotated[int, Field(ge=0, le=65_536)]
    """Part of the full standing gain that this project's fee earns, in 1/65536."""
    acceptor: Address | None = None
    """Aggregator of the next round; None: nobody has accepted it."""
    pending_model: Bytes32 | None = None
    """Waits for witnesses to vouch for its bytes."""
    pending_until: int | None = None
    """Unix seconds; from then on a round opens without the pending model."""
    ledger: LedgerView


class RecordView(Message):
    """How a trainer has worked in one project."""

    credit: int
    """1,000 for each round with an average share or more, in proportion below."""
    usefulness_bps: int
    """Moving average of share x n."""
    rounds: int
    rejections: int


class TrainerView(Message):
    """A trainer's standing across projects, and place in one project where asked through one."""

    address: Address
    reliability_bps: int
    """By all projects of this market that the trainer worked in."""
    losses: int
    """In all projects, in units of credit."""
    rounds: int
    """Admitted rows of settled rounds, in all projects."""
    rejections: int
    """In all projects."""
    projects: list[int] = Field(default_factory=list)
    """Those that vouch for the trainer, in the order that `join` and `reliabilityOf` want."""
    member: bool | None = None
    """Joined, and has not left."""
    number: MemberNumber | None = None
    staked: bool | None = None
    stake: DecimalText | None = None
    delegate: Address | None = None
    unlock_at: int | None = None
    """Unix seconds from which the stake can be taken out; None unless the trainer left."""
    record: RecordView | None = None
    earned: DecimalText | None = None
    claimed: DecimalText | None = None


class FundingRequest(Message):
    """POST /v1/projects/{p}/funding: adds to the escrow. Whoever signs the returned transactions pays."""

    amount: DecimalText


class TransactionsToSign(Message):
    """Sign and send in order."""

    transactions: list[TransactionToSign]


class ProjectList(Message):
    """GET /v1/projects?after=N&limit=L: by number."""

    items: list[ProjectView]
    next: int | None = None
    """Give it as `after` for the next page; None on the last."""


class TrainerList(Message):
    """GET /v1/projects/{p}/trainers?after=0x..&limit=L: by address."""

    items: list[TrainerView]
    next: Address | None = None


# --- a round --------------------------------------------------------------------------------------------------------


class ModelRef(Message):
    commitment: Bytes32
    cid: CidText


class RowView(Message):
    """An admitted update, in order of admission."""

    row: int
    member: MemberNumber
    trainer: Address
    update: Bytes32
    cid: CidText
    score: DecimalText | None = None
    reason: int | None = None
    pay: DecimalText | None = None
    claimed: bool = False


class RefusalView(Message):
    """An update that witnesses would not sign for, in words."""

    trainer: Address
    witness: Address | None = None
    code: str
    detail: str


class GasUsed(Message):
    step: str
    tx: Bytes32
    gas: int


class RoundView(Message):
    """One round as the service sees it. Times are unix seconds."""

    project: int
    number: int
    phase: Phase
    opened_at: int
    commit_end: int
    reveal_start: int
    reveal_end: int
    rescue_end: int
    acceptor_end: int
    settle_end: int
    slash_end: int
    budget: DecimalText
    acceptor: Address
    """The aggregator that accepted this round: sole batcher, and first in line to settle."""
    expected: int
    """Commitments that end the commit phase."""
    unresolved: int = 0
    """Commitments that were opened in no way yet."""
    model: ModelRef
    past_models: list[ModelRef]
    """Models before the rounds up to five back, oldest first, ending with the current one: their differences are the
    global steps."""
    committed: list[Address]
    """On chain, or handed in here for the batch."""
    revealed: list[Address]
    """On chain, or handed in here."""
    rows: list[RowView]
    refusals: list[RefusalView]
    rescued: list[Address] = Field(default_factory=list)
    """Opened too late for pay, in time for the stake."""
    slashed: list[Address] = Field(default_factory=list)
    """Opened in no way: the stake is gone."""
    validation: Bytes32 | None = None
    public_rows: Bytes32 | None = None
    next_model: ModelRef | None = None
    bundle_cid: CidText | None = None
    payout_root: Bytes27 | None = None
    proof: ProofView | None = None
    """None in an attested project."""
    gas: list[GasUsed] = Field(default_factory=list)


class RoundList(Message):
    """GET /v1/projects/{p}/rounds?after=N&limit=L: by number."""

    items: list[RoundView]
    next: int | None = None


class ProjectState(Message):
    """GET /v1/projects/{id}/state?after=V&wait=S: answers at once if `version` > V, else when something changes or
    after S seconds."""

    version: int
    project: int
    ended: bool
    finished: bool
    """No further round will open (ended, or all rounds run and terminal)."""
    round: RoundView | None
    reveal_set: RevealSet | None = None
    public_rows: PublicRowsProposal | None = None
    settlement: SettlementProposal | None = None
    pending_model: PendingModel | None = None


# --- intake from trainers -------------------------------------------------------------------------------------------


class CommitIntake(Message):
    """POST /v1/projects/{p}/rounds/{r}/commits: EIP-712 `Commit` by the trainer or its delegate; posted on chain in one
    batch."""

    trainer: Address
    member: MemberNumber
    commitment: Bytes32
    signature: Signature


class RevealIntake(Message):
    """POST /v1/projects/{p}/rounds/{r}/reveals: opens the commitment. Needs no signature: only the trainer knows the
    preimage."""

    trainer: Address
    member: MemberNumber
    update: Bytes32
    salt: Bytes32
    cid: CidText


class Accepted(Message):
    """202: recorded. Sending the same again is harmless."""

    status: Literal["recorded", "already-recorded"]


# --- intake from witnesses ------------------------------------------------------------------------------------------


class RevealItem(Message):
    """One reveal of the set that witnesses are asked about, with everything the contract will check."""

    trainer: Address
    member: MemberNumber
    commitment: Bytes32
    update: Bytes32
    salt: Bytes32
    cid: CidText


class RevealSet(Message):
    """Reveals waiting for receipts, by increasing member number. `openings_hash` is what a receipt signs."""

    openings_hash: Bytes32
    reveals: Annotated[list[RevealItem], Field(max_length=MAX_SLOTS)]
    receipts_from: list[Address]


class Refusal(Message):
    trainer: Address
    code: Annotated[str, Field(pattern=r"^[a-z-]{1,40}$")]
    detail: Detail


class ReceiptIntake(Message):
    """POST /v1/projects/{p}/rounds/{r}/receipts: a witness's EIP-712 `Receipt`. Bit i speaks of reveal i of the set;
    a bit in neither map means that the witness could not tell (for example: could not fetch the bytes)."""

    witness: Address
    openings_hash: Bytes32
    endorsed: Annotated[int, Field(ge=0, lt=2**32)]
    refused: Annotated[int, Field(ge=0, lt=2**32)]
    refusals: Annotated[list[Refusal], Field(max_length=MAX_SLOTS)] = Field(default_factory=list)
    """In words, for every reveal that is not endorsed."""
    signature: Signature


class ReceiptView(Message):
    """A witness's receipt as it was handed in."""

    witness: Address
    endorsed: int
    refused: int
    signature: Signature


class ReceiptedSet(Message):
    """Openings by increasing member number, and what witnesses say of them: bit i speaks of reveal i."""

    openings_hash: Bytes32
    reveals: Annotated[list[RevealItem], Field(max_length=MAX_SLOTS)]
    receipts: list[ReceiptView]


class ReceiptedSets(Message):
    """GET /v1/projects/{p}/rounds/{r}/receipts: with the batch from the chain this is all that a `reveal` transaction
    needs, so that any trainer can send it if the aggregator does not."""

    items: list[ReceiptedSet]


class SettlementProposal(Message):
    """The aggregator's outcome of a round, before it is settled. Witnesses recompute it and sign or refuse."""

    admitted_hash: Bytes32
    validation: Bytes32 = NO_HASH
    """Digest of the round's validation batch; zeros: none."""
    public_rows: Bytes32 = NO_HASH
    """Commitment of the round's public rows; zeros: none."""
    policy_hash: Bytes32
    outcomes: list[tuple[DecimalText, int]]
    """(score, reason) per row."""
    previous_model: Bytes32
    next_model: ModelRef
    bundle_cid: CidText
    mode: Literal["attested", "proven"] = "attested"
    """What the signatures are: evidence of the outcome, or receipts for the next model's bytes."""
    signed_by: list[Address]


class SettlementSignature(Message):
    """POST /v1/projects/{p}/rounds/{r}/settlement/signatures: a witness's EIP-712 `Settlement`; in a proven project
    `ModelBytes`, since there only the bytes of the next model need a witness."""

    witness: Address
    bundle_cid: CidText
    signature: Signature


class SettlementSignatures(Message):
    """GET /v1/projects/{p}/rounds/{r}/settlement/signatures: every word that witnesses ever gave on an outcome of the
    round, by witness. Two of one witness are evidence against it, unless updates were admitted anew between them
    (`cohort_protocol.equivocation`)."""

    items: list[SettlementSignature]


class SettlementRefusal(Message):
    """POST /v1/projects/{p}/rounds/{r}/settlement/refusals: a witness recomputed something else (signed as a reason
    on record, EIP-191 over the canonical JSON of this message without the signature)."""

    witness: Address
    bundle_cid: CidText
    detail: Detail
    signature: Signature


# --- rewards --------------------------------------------------------------------------------------------------------


class RewardItem(Message):
    """Pay of one round with its Merkle proof against the payout root on chain."""

    round: int
    row: int
    amount: DecimalText
    claimed: bool
    proof: list[Bytes32]
    payout_root: Bytes27


class Rewards(Message):
    project: int
    trainer: Address
    member: MemberNumber
    earned: DecimalText
    claimed: DecimalText
    claimable: DecimalText
    items: list[RewardItem]


class PartHealth(Message):
    """One part that the service depends on."""

    part: Literal["database", "chain", "ipfs"]
    ready: bool
    detail: str
    """Name and version, or what is wrong."""


class PolicyParameterView(Message):
    """A parameter that a spec may set: a whole number in low .. high."""

    name: str
    default: int
    low: int
    high: int


class PolicyEntryView(Message):
    """A rule that projects can be paid by, or a score for reports."""

    name: str
    """For `policy.name` of a spec."""
    title: str
    paper: str
    settles: bool
    """Whether a project may be paid by it."""
    needs: list[str]
    uses: list[str]
    """What it reads where it is there."""
    pays: str
    when: str
    parameters: list[PolicyParameterView]


class PolicyListing(Message):
    """GET /v1/policies."""

    policies: list[PolicyEntryView]


class Health(Message):
    """GET /health/live and /health/ready. Ready: HTTP 200 if all parts are, else 503."""

    status: Literal["live", "ready", "not-ready"]
    version: str
    parts: list[PartHealth] = Field(default_factory=list)


class Problem(BaseModel):
    """application/problem+json (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str
    code: str


ProjectState.model_rebuild()
