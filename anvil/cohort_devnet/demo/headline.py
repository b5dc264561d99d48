"""The run in money."""

from __future__ import annotations

from collections.abc import Sequence

from cohort_devnet.demo.report import HONEST, Headline, Round, TrainerSummary
from cohort_devnet.demo.settings import DISTRIBUTABLE, PRICES, QUORUM, ROUND_BUDGET, TOKEN, WITNESSES

GWEI_PER_ETHER = 10**9

TRUST = (
    f"All {WITNESSES} witnesses of this run are ours (quorum {QUORUM}): it proves that the parts work together, that "
    "the contract paid by the signed scores and never more than its budget, and that money adds up. It does not prove "
    "that the scores are right to someone who trusts none of the witnesses; the bundles on IPFS let anyone compute "
    "them again."
)


TRUST_PROVEN = (
    "The contract checked a proof of each round: scores, pay and the next model follow from the updates that were "
    "committed to, whoever computed them. It rests on the reference string of this local chain, which anybody can "
    f"forge proofs with, and on {QUORUM} of {WITNESSES} witnesses, all ours, for facts about bytes: that updates can "
    "be fetched and open their commitments, and that the public rows are those of the owner's batch."
)


def headline_of(rounds: Sequence[Round], trainers: Sequence[TrainerSummary], settlement: str) -> Headline:
    """What the cheats earned, what an equal split would have paid them, what a round cost."""
    earned = {trainer.address: trainer.earned for trainer in trainers}
    cheats = [trainer for trainer in trainers if trainer.role != HONEST]
    honest = [trainer for trainer in trainers if trainer.role == HONEST]
    paid = sum(earned.values())
    to_cheats = sum(trainer.earned for trainer in cheats)
    gas = sum(step.gas for entry in rounds for step in entry.gas) // max(1, len(rounds))
    return Headline(
        paid_to_trainers=paid,
        cheats_earned=to_cheats,
        cheats_earned_part=to_cheats / paid if paid else 0.0,
        equal_split_would_pay_cheats=DISTRIBUTABLE * len(rounds) * len(cheats) // len(trainers),
        mean_honest_earned=sum(trainer.earned for trainer in honest) // max(1, len(honest)),
        gas_per_round=gas,
        gas_per_round_usd=round(gas * PRICES.gas_price_gwei / GWEI_PER_ETHER * PRICES.ether_usd, 4),
        round_budget_usd=ROUND_BUDGET / TOKEN * PRICES.token_usd,
        prices=PRICES,
        trust=TRUST_PROVEN if settlement == "proven" else TRUST,
    )
