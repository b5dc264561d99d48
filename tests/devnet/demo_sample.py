"""A made-up report with every feature of a real one, for the tests of pictures, page and tables."""

from __future__ import annotations

import random

from cohort_devnet.demo.report import (
    Baseline,
    DramaEvent,
    Flag,
    Gas,
    Headline,
    Money,
    Parts,
    Prices,
    Project,
    Proof,
    Report,
    Round,
    Submission,
    Timing,
    TrainerSummary,
    TrainerVerdict,
)
from cohort_protocol.identifiers import parse_address

TOKEN = 10**18
BUDGET = 1000 * TOKEN
FEE = 20 * TOKEN
PROTOCOL_FEE = 10 * TOKEN
DISTRIBUTABLE = BUDGET - FEE - PROTOCOL_FEE
STAKE = 250 * TOKEN
BOND = BUDGET // 2


PROOF = Proof(mode="proven", prove_seconds=3.21, verify_gas=812_345, bytes=320, evidence_bytes=5_432, receipts=2)


def _hash(value: int) -> str:
    return f"0x{value * 0x9E3779B97F4A7C15F39CC0605CEDC835 % 2**256:064x}"


def _cid(value: int) -> str:
    letters = random.Random(value)
    return "bafkrei" + "".join(letters.choice("abcdefghijklmnopqrstuvwxyz234567") for _ in range(52))


def sample_report(trainers: int = 8, rounds: int = 10, seed: int = 7) -> Report:
    """Trainer 3 flips signs, trainer 6 sends noise; the seventh round was hard."""
    draw = random.Random(seed)
    addresses = [parse_address(f"0x{(index + 1) * 0x9E3779B97F4A7C15F39CC06:040x}") for index in range(trainers)]
    roles = ["sign_flip" if index == 2 else "noise" if index == 5 else "honest" for index in range(trainers)]
    reliability = dict.fromkeys(addresses, 0)
    earned = dict.fromkeys(addresses, 0)
    made = []
    for number in range(1, rounds + 1):
        weights = [
            0.0 if role == "sign_flip" else 0.02 if role == "noise" else draw.uniform(0.5, 1.6) for role in roles
        ]
        pays = [DISTRIBUTABLE * int(1000 * weight) // int(1000 * sum(weights)) for weight in weights]
        for address, role, pay in zip(addresses, roles, pays, strict=True):
            earned[address] += pay
            gain = 0.05 * (10_000 - reliability[address]) * min(1.0, pay * trainers / DISTRIBUTABLE)
            reliability[address] += -reliability[address] // 5 if role == "sign_flip" else int(gain)
        made.append(_round(number, addresses, roles, pays, dict(reliability)))
    return Report(
        seed=seed,
        parts=Parts(
            chain="anvil 1.7.1", ipfs="embedded block store 0.1.0", database="SQLite 3.45.1", broker="filesystem"
        ),
        project=Project(
            id=1,
            contract=parse_address("0x" + "a1" * 20),
            token=parse_address("0x" + "b2" * 20),
            token_symbol="CTT",
            token_decimals=18,
            spec_cid=_cid(99),
            budget=rounds * BUDGET,
            round_budget=BUDGET,
            aggregator_fee=FEE,
            protocol_fee=PROTOCOL_FEE,
            fee_recipient=parse_address("0x" + "c3" * 20),
            stake=STAKE,
            bond=BOND,
            standing_weight=65_536,
            dimension=38_282,
            policy="peer",
            settlement="proven",
        ),
        baseline=Baseline(
            accuracy_initial=0.094,
            accuracy_final=made[-1].accuracy,
            accuracy_local_only_mean=0.731,
            accuracy_clean_fedavg=0.964,
            accuracy_clean_fedavg_rounds=[0.965 - 0.5 * 0.55**n for n in range(1, rounds + 1)],
            accuracy_unfiltered_rounds=[0.9 - 0.65 * 0.7**n + 0.03 * (-1) ** n for n in range(1, rounds + 1)],
        ),
        rounds=made,
        trainers=_trainers(addresses, roles, earned, reliability, rounds),
        money=_money(sum(earned.values()), trainers, rounds),
        headline=_headline(earned, roles, addresses, rounds, trainers),
        drama=[DramaEvent(round=4, what="SIGKILL to the worker", outcome="started again in 1.2 s; the round finished")],
        timing=Timing(set_up=14.0, rounds=62.0, claims=4.0, report=9.0, total=89.0, restarts={"worker": 1}),
    )


def _trainers(
    addresses: list[str], roles: list[str], earned: dict[str, int], reliability: dict[str, int], rounds: int
) -> list[TrainerSummary]:
    return [
        TrainerSummary(
            name=f"trainer-{index + 1}",
            address=address,
            role=role,
            examples=40 + 37 * index,
            earned=earned[address],
            claimed=earned[address],
            claim_tx=_hash(5000 + index),
            claim_gas=98_000,
            member=index + 1,
            stake=STAKE,
            reliability_bps=reliability[address],
            losses=10_000 * rounds if role == "sign_flip" else 0,
            credit=1000 * rounds if role == "honest" else 0,
            usefulness_bps=int(earned[address] * len(addresses) * 10_000 // (rounds * DISTRIBUTABLE)),
            rounds=rounds,
            rejections=rounds if role == "sign_flip" else 0,
        )
        for index, (address, role) in enumerate(zip(addresses, roles, strict=True))
    ]


def _money(paid: int, trainers: int, rounds: int) -> Money:
    return Money(
        paid_in=rounds * BUDGET,
        claimed=paid,
        claimable=0,
        held=0,
        refunded=rounds * DISTRIBUTABLE - paid,
        free=0,
        fees=rounds * (FEE + PROTOCOL_FEE),
        protocol_fees=rounds * PROTOCOL_FEE,
        protocol_fees_collected=rounds * PROTOCOL_FEE,
        burned=0,
        stakes=trainers * STAKE,
        stakes_burned=0,
        stake_rewards=0,
        bonds=BOND + rounds * FEE,
        bonds_burned=0,
        contract_balance=rounds * FEE + BOND + trainers * STAKE,
        supply=10**6 * TOKEN,
        balanced=True,
        findings=[],
    )


def _headline(earned: dict[str, int], roles: list[str], addresses: list[str], rounds: int, trainers: int) -> Headline:
    paid = sum(earned.values())
    cheats = sum(earned[a] for a, role in zip(addresses, roles, strict=True) if role != "honest")
    count = sum(role != "honest" for role in roles)
    return Headline(
        paid_to_trainers=paid,
        cheats_earned=cheats,
        cheats_earned_part=cheats / paid,
        equal_split_would_pay_cheats=DISTRIBUTABLE * rounds * count // trainers,
        mean_honest_earned=(paid - cheats) // (trainers - count),
        gas_per_round=700_000,
        gas_per_round_usd=2.1,
        round_budget_usd=1000.0,
        prices=Prices(gas_price_gwei=1.0, ether_usd=3000.0, token_usd=1.0),
        trust="All three witnesses of this run are ours.",
    )


def _round(number: int, addresses: list[str], roles: list[str], pays: list[int], reliability: dict[str, int]) -> Round:
    flipped = [address for address, role in zip(addresses, roles, strict=True) if role == "sign_flip"]
    detail = "rejected: its direction opposes the others (cosine -0.613, at least -0.1 is needed)"
    total = sum(pays)
    return Round(
        number=number,
        accuracy=0.96 - 0.52 * 0.55**number,
        model_cid=_cid(number),
        bundle_cid=_cid(100 + number),
        outcome="settled",
        accepted=[address for address in addresses if address not in flipped],
        flagged=[Flag(trainer=address, reason="opposes-others", detail=detail) for address in flipped],
        scores={a: pay // 10**12 for a, pay in zip(addresses, pays, strict=True)},
        payouts=dict(zip(addresses, pays, strict=True)),
        verdicts=[
            TrainerVerdict(
                trainer=address,
                accepted=address not in flipped,
                reason="opposes-others" if address in flipped else "accepted",
                share=f"{pay / total:.4f}",
                sentence=detail
                if address in flipped
                else f"accepted, {pay / total:.1%} of the round's scores: agreement with the others 0.61, average 0.58",
            )
            for address, pay in zip(addresses, pays, strict=True)
        ],
        proof=PROOF,
        submissions=[
            Submission(trainer=a, commitment=_hash(number * 31 + i), update=_hash(number * 37 + i), cid=_cid(900 + i))
            for i, a in enumerate(addresses)
        ],
        reliability_bps=reliability,
        gas=[
            Gas(step=step, tx=_hash(number * 1000 + i), gas=gas)
            for i, (step, gas) in enumerate(
                [("open", 95_210), ("commit", 121_034), ("reveal", 301_220), ("settle", 455_091)]
            )
        ],
        seconds={"commit": 2.4, "reveal": 1.3, "evaluate": 0.4, "settle": 0.8, "total": 4.9},
        bytes={"update": 76_644, "updates": 613_152, "model": 306_336, "bundle": 9_120},
    )
