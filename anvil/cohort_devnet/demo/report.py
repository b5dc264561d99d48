"""`report.json`: what a run of `cohort demo` leaves behind, field by field.

Amounts are base units of the project's token, as decimal strings (`project.token_decimals` places). Scores are
decimal strings in units of 2^-30 of an average contribution. Accuracies are parts of 1 on the owner's test set, which
no trainer sees. `schema_version` rises when a field changes its meaning or goes away.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from cohort_protocol.errors import InvalidInput
from cohort_protocol.identifiers import Address, Bytes32, CidText
from cohort_protocol.round_rows import SignedDecimal
from cohort_protocol.service.messages import DecimalText
from pydantic import BaseModel, ConfigDict, Field, ValidationError

HONEST = "honest"


class ReportPart(BaseModel):
    """Base of every part: unknown fields are an error, so that a reader of another version notices."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)


class Parts(ReportPart):
    """Name and version of each part that ran."""

    chain: str
    ipfs: str
    database: str
    broker: str


class Project(ReportPart):
    """The project on chain."""

    id: int
    contract: Address
    token: Address
    token_symbol: str
    token_decimals: int
    spec_cid: CidText
    budget: DecimalText
    """Deposited by the owner for all rounds."""
    round_budget: DecimalText
    """R, set aside for each round."""
    aggregator_fee: DecimalText
    """Part of R that goes to whoever settles the round."""
    protocol_fee: DecimalText
    """Part of R that goes to the protocol if the round is settled."""
    fee_recipient: Address
    """Of the protocol's fees, fixed by the deployment."""
    stake: DecimalText
    """Of each trainer; lost if it commits and never reveals."""
    bond: DecimalText
    """Of the aggregator for each round; lost if it does not settle in time."""
    standing_weight: int
    """Part of the full standing gain that the protocol's fee earns for trainers, in 1/65536."""
    dimension: int
    """Parameters of the model."""
    policy: str
    settlement: Literal["proven", "attested"] = "attested"
    """What a round's outcome rests on: a proof that the contract checks, or the signatures of a quorum of witnesses."""


class Baseline(ReportPart):
    """The same task, data and seeds without the market, for comparison."""

    accuracy_initial: float
    """The initial model."""
    accuracy_final: float
    """The market's last model."""
    accuracy_local_only_mean: float
    """Mean over the honest trainers of a model trained on one's own data alone, for as many rounds."""
    accuracy_clean_fedavg: float
    """The honest trainers only, averaged with equal weights and without a filter, after the last round."""
    accuracy_clean_fedavg_rounds: list[float]
    accuracy_unfiltered_rounds: list[float]
    """All trainers, the cheats among them, averaged with equal weights and without a filter."""


class Flag(ReportPart):
    """A trainer whose update did not count in a round."""

    trainer: Address
    reason: str
    """One word: `opposes-others`, `too-small`, `outlier` (policy); `update-malformed`, ... (witnesses); `late-reveal`
    (the stake is saved), `no-reveal` (the stake can be taken), `no-commit`."""
    detail: str
    """The same as a sentence with its figures."""


class TrainerVerdict(ReportPart):
    """What the round's bundle says of one trainer."""

    trainer: Address
    accepted: bool
    reason: str
    share: str
    """Part of all scores of the round, a decimal number."""
    sentence: str


class Submission(ReportPart):
    """One trainer's work in one round, as it stands on chain."""

    trainer: Address
    commitment: Bytes32 | None
    """What was committed to before anything was shown: update, CID and who it is from."""
    update: Bytes32
    """keccak256 of the update's canonical bytes."""
    cid: CidText


class Gas(ReportPart):
    """One transaction of a round."""

    step: str
    """`open` (accepts the round, too), `commit`, `commit-self`, `reveal`, `validation`, `public-rows`,
    `rescue`, `settle`, `close` or `slash`."""
    tx: Bytes32
    gas: int


class Proof(ReportPart):
    """What a settled round's outcome rests on."""

    mode: Literal["proven", "attested"]
    prove_seconds: float | None = None
    """That proving took beside everything else; null in an attested round."""
    verify_gas: int | None = None
    """Gas of checking proof, policy and model in the settlement, by the worker's node; null if attested."""
    bytes: int | None = None
    """Of the proof; null if attested."""
    evidence_bytes: int | None = None
    """Of all that the contract's verifier read: proof, Gram matrix, points, rows, receipts; null if attested."""
    receipts: int | None = None
    """Witnesses who vouched for the next model's bytes by the settlement; null if attested."""


class Round(ReportPart):
    number: int
    accuracy: float
    """Of the model that this round left behind."""
    model_cid: CidText
    bundle_cid: CidText | None
    """None for a round that nobody could settle (void or defaulted)."""
    outcome: Literal["settled", "void", "defaulted"]
    accepted: list[Address]
    flagged: list[Flag]
    scores: dict[Address, DecimalText]
    payouts: dict[Address, DecimalText]
    judged_by: str = ""
    """`validation batch`, or `agreement alone` with the reason; empty for a round that nobody settled."""
    verdicts: list[TrainerVerdict]
    proof: Proof | None = None
    """Null for a round that nobody settled."""
    submissions: list[Submission]
    reliability_bps: dict[Address, int]
    """After this round, by this project alone: no owner can bring it above 10%."""
    gas: list[Gas]
    seconds: dict[str, float]
    """Wall time of each phase as the owner saw it: `commit` (train and commit), `reveal` (publish, witnesses' receipts,
    reveal), `evaluate` (score and aggregate), `settle` (prove, or witnesses recompute and sign; settlement), and
    `total`."""
    bytes: dict[str, int]
    """`update` (one file), `updates` (all), `model`, `bundle`."""


class TrainerSummary(ReportPart):
    """One trainer at the end."""

    name: str
    address: Address
    role: str
    """`honest`, or the name of the attack."""
    examples: int
    """Size of its data shard."""
    earned: DecimalText
    claimed: DecimalText
    claim_tx: Bytes32 | None = None
    claim_gas: int | None = None
    member: int
    """Its number in the project."""
    stake: DecimalText
    """In the contract; 0 if it was slashed or withdrawn."""
    reliability_bps: int
    """By this project alone: no owner can bring it above 10%."""
    losses: int
    """Of standing, in all projects, in units of credit: rejected updates, commitments that were never opened."""
    credit: int
    """1,000 for each round with an average share of the pay or more, less in proportion."""
    usefulness_bps: int
    """Moving average of share x number of rows, with weight 1/8."""
    rounds: int
    """Settled rounds in which its update was admitted."""
    rejections: int
    """Of them, those in which the policy rejected it."""


class Money(ReportPart):
    """The project's money, from events and token balances on chain alone.

    paid_in = free + held + claimable + claimed + fees + burned + refunded. Stakes are trainers' money, bonds the
    aggregators', and both stand beside. A negative amount can only come from a broken contract, and is shown as such.
    """

    paid_in: SignedDecimal
    claimed: SignedDecimal
    claimable: SignedDecimal
    held: SignedDecimal
    refunded: SignedDecimal
    free: SignedDecimal
    fees: SignedDecimal
    """Of aggregators and of the protocol."""
    protocol_fees: SignedDecimal
    """Part of `fees` that is the protocol's."""
    protocol_fees_collected: SignedDecimal
    """Part of `protocol_fees` that was sent to its recipient."""
    burned: SignedDecimal
    """Pay that no score earned, and fees of rounds that nobody settled. Stays in the contract for ever."""
    stakes: SignedDecimal
    """Held by the contract for this project's trainers."""
    stakes_burned: SignedDecimal
    stake_rewards: SignedDecimal
    """Part of slashed stakes that went to those who had them slashed."""
    bonds: SignedDecimal
    """Held by the contract for this project's aggregators, their fees included."""
    bonds_burned: SignedDecimal
    contract_balance: SignedDecimal
    """The token's own book: what the contract holds in all, for every project."""
    unasked: SignedDecimal = 0
    """Part of it that somebody sent to the contract without a call: in nobody's ledger."""
    supply: SignedDecimal
    """All tokens there are; equals the sum over all holders."""
    balanced: bool
    findings: list[str]
    """What does not add up, in words; empty if `balanced`."""


class Prices(ReportPart):
    """Assumptions, not measurements: they turn gas into money."""

    gas_price_gwei: float
    ether_usd: float
    token_usd: float


class Headline(ReportPart):
    """The run in money."""

    paid_to_trainers: DecimalText
    cheats_earned: DecimalText
    cheats_earned_part: float
    """Of all payouts."""
    equal_split_would_pay_cheats: DecimalText
    """Had every round been shared equally among all trainers."""
    mean_honest_earned: DecimalText
    gas_per_round: int
    """Mean over the rounds, of all transactions from open to settle."""
    gas_per_round_usd: float
    round_budget_usd: float
    prices: Prices
    trust: str


class Reader(ReportPart):
    """Somebody for whom the updates of a private run are sealed."""

    name: str
    address: Address
    opened: int
    """Updates that its key opened."""


class Privacy(ReportPart):
    """Of a private run: which keys open its updates. Every key was tried on every file."""

    updates: int
    """Files of updates on IPFS, all rounds."""
    file_bytes: int
    """Size of the largest."""
    readers: list[Reader]
    outsiders: int
    """Keys of the owner and of the trainers, each tried in the place of every reader."""
    opened_by_outsiders: int
    """Updates that any of them opened, or that need no key. Not 0: the run fails."""

    @property
    def kept(self) -> bool:
        """Every reader opens everything, nobody else anything."""
        return self.opened_by_outsiders == 0 and all(reader.opened == self.updates for reader in self.readers)


class DramaEvent(ReportPart):
    """One thing that `--drama` did, and what became of it."""

    round: int
    what: str
    outcome: str


class Timing(ReportPart):
    """Seconds from the command's start."""

    set_up: float
    """Until the project was created and funded."""
    rounds: float
    claims: float
    report: float
    total: float
    restarts: dict[str, int] = Field(default_factory=dict)
    """Processes that died and were started again."""


class Report(ReportPart):
    """A whole run."""

    schema_version: Literal[3] = 3
    seed: int
    parts: Parts
    project: Project
    baseline: Baseline
    rounds: list[Round]
    trainers: list[TrainerSummary]
    money: Money
    headline: Headline
    privacy: Privacy | None = None
    """Null if updates are public."""
    drama: list[DramaEvent] = Field(default_factory=list)
    timing: Timing

    def save(self, path: Path) -> None:
        """Writes the report in one step."""
        partial = path.with_name(path.name + ".partial")
        partial.write_text(self.model_dump_json(indent=1) + "\n")
        partial.replace(path)

    @classmethod
    def load(cls, path: Path) -> Report:
        """Reads a report. Raises `InvalidInput` if it is none of this schema version."""
        try:
            return cls.model_validate_json(path.read_bytes())
        except (OSError, ValidationError) as error:
            raise InvalidInput(f"{path} is not a report of schema version 3: {error}") from error

    def names(self) -> dict[str, str]:
        """Address -> short name of the trainer."""
        return {trainer.address: trainer.name for trainer in self.trainers}

    def roles(self) -> dict[str, str]:
        return {trainer.address: trainer.role for trainer in self.trainers}

    def amount(self, value: int, digits: int = 2) -> str:
        """An amount in whole tokens with its symbol, rounded down to `digits` decimals, thousands grouped."""
        return f"{tokens(value, self.project.token_decimals, digits)} {self.project.token_symbol}"


def tokens(value: int, decimals: int, digits: int = 2) -> str:
    """`value` base units as whole tokens, rounded down (towards zero) to `digits` decimals."""
    whole, rest = divmod(abs(value), 10**decimals)
    fraction = f"{rest:0{decimals}d}"[:digits] if decimals else ""
    text = f"{whole:,}" + (f".{fraction.ljust(digits, '0')}" if digits else "")
    return ("-" if value < 0 else "") + text
