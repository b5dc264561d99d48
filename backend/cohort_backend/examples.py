"""Examples for the API's description: real messages, so that they cannot drift from the messages' definitions."""

from __future__ import annotations

from cohort_protocol.bundle import (
    BundleEvidence,
    BundleOutcome,
    BundlePolicy,
    BundleRow,
    PublishedModel,
    RoundBundle,
)
from cohort_protocol.ipfs.cid import RAW, Cid
from cohort_protocol.phases import Phase
from cohort_protocol.scoring import Verdict
from cohort_protocol.service import messages as m
from cohort_protocol.spec import DataSpec, ModelSpec, PolicySpec, ProjectSpec

OWNER = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266"
TRAINER = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8"
WITNESSES = [
    "0x15d34AAf54267DB7D7c367839AAf71A00a2C6A65",
    "0x90F79bf6EB2c4f870365E785982E1f101E93b906",
    "0x9965507D1a55bcC2695C58ba16FB37d819B0A4dc",
]
AGGREGATOR = "0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC"
MARKET, VERIFIER, TOKEN, POLICY = (
    "0x5FbDB2315678afecb367f032d93F642f64180aa3",
    "0xe7f1725E7734CE288F8367e1Bb143E90bb3F0512",
    "0x9fE46736679d2D9a65F0992F2272dE9f3c7fa6e0",
    "0xCf7Ed3AccA5a467e9e704C703E8D87F634fB0Fc9",
)
UNIT = 10**18


def _hash(byte: int) -> str:
    return "0x" + f"{byte:02x}" * 32


def _cid(byte: int) -> str:
    return str(Cid(RAW, bytes([byte]) * 32))


SIGNATURE = "0x" + "5a" * 64 + "1b"
MODEL = m.ModelRef(commitment=_hash(0x11), cid=_cid(0x21))
NEXT_MODEL = m.ModelRef(commitment=_hash(0x12), cid=_cid(0x22))

MARKET_INFO = m.MarketInfo(
    chain_id=31337,
    market=MARKET,
    verifier=VERIFIER,
    policy=POLICY,
    proven_verifier="0xDc64a140Aa3E981100a9becA4E685f962f0cF6C9",
    block=128,
    version="0.1.0",
)

TRANSACTION = m.TransactionToSign(
    to=TOKEN,
    data="0x095ea7b3" + MARKET[2:].lower().rjust(64, "0") + f"{1000 * UNIT:064x}",
    value=0,
    description=f"allow {MARKET} to take {1000 * UNIT} base units of token {TOKEN}",
)
TRANSACTIONS = m.TransactionsToSign(transactions=[TRANSACTION])
FUNDING = m.FundingRequest(amount=1000 * UNIT)

SPEC = ProjectSpec(
    title="Handwritten digits",
    description="8 x 8 pixels, ten classes.",
    model=ModelSpec(
        family="digits-cnn",
        config={},
        seed=7,
        initial_cid=MODEL.cid,
        initial_commitment=MODEL.commitment,
        dimension=38_282,
        exponent=-14,
    ),
    data=DataSpec(shape=[1, 8, 8], classes=10, scale=16.0),
    policy=PolicySpec(name="peer"),
    seed=7,
)

TERMS = m.TermsRequest(
    token=TOKEN,
    round_budget=100 * UNIT,
    aggregator_fee=2 * UNIT,
    stake=25 * UNIT,
    bond=50 * UNIT,
    score_floor=2**30,
    rounds=10,
    slots=8,
    min_trainers=3,
    quorum=2,
    share_cap=4,
    windows=m.WindowSeconds(commit=60, guard=0, reveal=60, rescue=60, settle=60, takeover=60, self_commit=20),
    witnesses=WITNESSES,
    aggregators=[AGGREGATOR],
)
PROJECT_REQUEST = m.ProjectRequest(owner=OWNER, spec=SPEC, terms=TERMS, deposit=1000 * UNIT)
PROJECT_DRAFT = m.ProjectDraft(
    spec_cid=_cid(0x20),
    terms_hash=_hash(0x13),
    cost={
        "per_round": 100 * UNIT,
        "distributable_per_round": 97 * UNIT,
        "protocol_fee_per_round": UNIT,
        "aggregator_fees": 20 * UNIT,
        "total": 1000 * UNIT,
        "deposit": 1000 * UNIT,
    },
    transactions=[TRANSACTION],
)
PROJECT = m.ProjectView(
    id=1,
    owner=OWNER,
    spec_cid=_cid(0x20),
    spec=SPEC,
    terms=m.TermsView(**dict(TERMS)),
    policy_hash=_hash(0x14),
    ended=False,
    round=3,
    members=8,
    protocol_fee=UNIT,
    distributable=97 * UNIT,
    standing_weight=65_536,
    acceptor=AGGREGATOR,
    ledger=m.LedgerView(
        deposited=1000 * UNIT,
        free=700 * UNIT,
        held=100 * UNIT,
        claimable=144 * UNIT,
        claimed=50 * UNIT,
        fees=6 * UNIT,
        burned=0,
        refunded=0,
        stakes=200 * UNIT,
        bonds=104 * UNIT,
        stakes_burned=0,
        bonds_burned=0,
        protocol_fees=2 * UNIT,
    ),
)
PROJECTS = m.ProjectList(items=[PROJECT.model_copy(update={"spec": None})], next=None)

PROOF = m.ProofView(
    bundle_cid=_cid(0x24),
    state="proving",
    part=3,
    parts=6,
    step="committing to the quotient",
    prover="python",
)

ROUND = m.RoundView(
    project=1,
    number=3,
    phase=Phase.SETTLE,
    opened_at=1_760_000_000,
    commit_end=1_760_000_009,
    reveal_start=1_760_000_009,
    reveal_end=1_760_000_011,
    rescue_end=1_760_000_071,
    acceptor_end=1_760_000_131,
    settle_end=1_760_000_191,
    slash_end=1_760_000_131,
    budget=100 * UNIT,
    acceptor=AGGREGATOR,
    expected=8,
    model=MODEL,
    past_models=[MODEL],
    committed=[TRAINER],
    revealed=[TRAINER],
    rows=[m.RowView(row=0, member=1, trainer=TRAINER, update=_hash(0x15), cid=_cid(0x23))],
    refusals=[
        m.RefusalView(
            trainer=TRAINER,
            witness=WITNESSES[0],
            code="update-malformed",
            detail="the file has 12 bytes, an update of 38282 parameters has 76684",
        )
    ],
    proof=PROOF,
    gas=[m.GasUsed(step="open", tx=_hash(0x16), gas=142_000)],
)
ROUNDS = m.RoundList(items=[ROUND], next=None)
STATE = m.ProjectState(
    version=41,
    project=1,
    ended=False,
    finished=False,
    round=ROUND,
    settlement=m.SettlementProposal(
        admitted_hash=_hash(0x17),
        policy_hash=_hash(0x14),
        outcomes=[(2**30, 0)],
        previous_model=MODEL.commitment,
        next_model=NEXT_MODEL,
        bundle_cid=_cid(0x24),
        signed_by=[WITNESSES[0]],
    ),
)

COMMIT = m.CommitIntake(trainer=TRAINER, member=1, commitment=_hash(0x18), signature=SIGNATURE)
REVEAL = m.RevealIntake(trainer=TRAINER, member=1, update=_hash(0x15), salt=_hash(0x19), cid=_cid(0x23))
RECEIPT = m.ReceiptIntake(
    witness=WITNESSES[0],
    openings_hash=_hash(0x1A),
    endorsed=0b1,
    refused=0b10,
    refusals=[m.Refusal(trainer=TRAINER, code="update-malformed", detail="the file has 12 bytes")],
    signature=SIGNATURE,
)
RECEIPTED_SETS = m.ReceiptedSets(
    items=[
        m.ReceiptedSet(
            openings_hash=_hash(0x1A),
            reveals=[
                m.RevealItem(
                    trainer=TRAINER,
                    member=1,
                    commitment=_hash(0x18),
                    update=_hash(0x15),
                    salt=_hash(0x19),
                    cid=_cid(0x23),
                )
            ],
            receipts=[m.ReceiptView(witness=WITNESSES[0], endorsed=0b1, refused=0, signature=SIGNATURE)],
        )
    ]
)
SETTLEMENT_SIGNATURE = m.SettlementSignature(witness=WITNESSES[0], bundle_cid=_cid(0x24), signature=SIGNATURE)
SETTLEMENT_SIGNATURES = m.SettlementSignatures(items=[SETTLEMENT_SIGNATURE])
SETTLEMENT_REFUSAL = m.SettlementRefusal(
    witness=WITNESSES[0], bundle_cid=_cid(0x24), detail="row 2: I get score 0, the proposal says 1", signature=SIGNATURE
)
PUBLIC_ROWS_SIGNATURE = m.PublicRowsSignature(witness=WITNESSES[0], rows=_hash(0x1C), signature=SIGNATURE)
PUBLIC_ROWS_REFUSAL = m.PublicRowsRefusal(
    witness=WITNESSES[0],
    rows=_hash(0x1C),
    detail="public row v differs by up to 70000, 512 are allowed",
    signature=SIGNATURE,
)
MODEL_RECEIPT = m.ModelReceiptIntake(witness=WITNESSES[0], model=NEXT_MODEL.commitment, signature=SIGNATURE)
ACCEPTED = m.Accepted(status="recorded")

MEMBER = m.TrainerView(
    address=TRAINER,
    reliability_bps=909,
    losses=0,
    rounds=2,
    rejections=0,
    projects=[1],
    member=True,
    number=1,
    staked=True,
    stake=25 * UNIT,
    record=m.RecordView(credit=2000, usefulness_bps=2300, rounds=2, rejections=0),
    earned=24 * UNIT,
    claimed=12 * UNIT,
)
STANDING = m.TrainerView(address=TRAINER, reliability_bps=909, losses=0, rounds=2, rejections=0, projects=[1])
TRAINERS = m.TrainerList(items=[MEMBER], next=None)
REWARDS = m.Rewards(
    project=1,
    trainer=TRAINER,
    member=1,
    earned=24 * UNIT,
    claimed=12 * UNIT,
    claimable=12 * UNIT,
    items=[
        m.RewardItem(round=2, row=0, amount=12 * UNIT, claimed=False, proof=[_hash(0x1B)], payout_root=_hash(0x1C)[:56])
    ],
)

BUNDLE = RoundBundle(
    chain_id=31337,
    market=MARKET,
    project=1,
    round=1,
    spec_cid=_cid(0x20),
    policy=BundlePolicy(name="peer", params={}, hash=_hash(0x14)),
    dimension=38_282,
    exponent=-14,
    model=PublishedModel(commitment=MODEL.commitment, cid=MODEL.cid),
    past_models=[],
    validation=m.NO_HASH,
    public_rows=m.NO_HASH,
    rows=[BundleRow(row=0, first_row=0, member=1, trainer=TRAINER, update=_hash(0x15), cid=_cid(0x23))],
    evidence=BundleEvidence(fallback="none", batch=None, manifest=None, layout=None, rows=[], revealed=[], values=[]),
    gram=[[81_920_000]],
    outcomes=[BundleOutcome(score=2**30, reason=0, weight=2**16, clip=2**30)],
    verdicts=[
        Verdict(
            trainer=TRAINER,
            accepted=True,
            reason="accepted",
            reason_code=0,
            figures=[],
            score=str(2**30),
            weight=2**16,
            share="1",
            rank=1,
            group=[],
            uncertainty=None,
            sentence="Accepted: it points the way of the others.",
        )
    ],
    next_model=PublishedModel(commitment=NEXT_MODEL.commitment, cid=NEXT_MODEL.cid),
)

POLICY_ENTRY = m.PolicyEntryView(
    name="multi-krum",
    title="Multi-Krum",
    paper="Blanchard et al., NeurIPS 2017",
    settles=True,
    needs=["gram"],
    uses=[],
    pays="chosen rows equally, the others nothing",
    when="Data alike for all, a known share of attackers; drops honest rows that differ.",
    parameters=[m.PolicyParameterView(name="byzantine_bps", default=3000, low=0, high=4999)],
)
POLICIES = m.PolicyListing(policies=[POLICY_ENTRY])

LIVE = m.Health(status="live", version="0.1.0")
READY = m.Health(
    status="ready",
    version="0.1.0",
    parts=[
        m.PartHealth(part="database", ready=True, detail="sqlite 3.46.1"),
        m.PartHealth(part="chain", ready=True, detail="anvil/v1.7.1, chain 31337, block 128"),
        m.PartHealth(part="ipfs", ready=True, detail="embedded block store 1"),
    ],
)
