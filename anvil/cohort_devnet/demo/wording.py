"""Words that the page, the tables and the report share."""

from __future__ import annotations

import re
from pathlib import Path

from cohort_devnet.demo.report import HONEST, Prices, Privacy, Proof

_NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")

_TOGETHER = "All parts work together as separate processes, and no service process held an owner's or a trainer's key."
_FACTS = (
    "All money adds up, from token balances and events on chain alone.",
    "Copying was impossible: commitments were on chain before the first update was shown.",
)
_LIMITS = (
    "Anything about real prices: gas is measured, but its price is an assumption that is printed beside it.",
    "That other tasks, other data or cleverer cheats give the same figures.",
)
PROVEN = {
    "attested": (
        _TOGETHER,
        "The contract paid by the scores that a quorum of witnesses signed, and no round paid more than its budget.",
        *_FACTS,
    ),
    "proven": (
        _TOGETHER,
        "Each round's scores, weights and next model follow from the committed updates: the contract checked a proof "
        "of all inner products and ran the scoring policy on them itself, in the settlement's transaction.",
        "The final model is the first one plus the sum of the paid work, by the commitments on chain.",
        *_FACTS,
    ),
}
"""By what rounds rest on."""
NOT_PROVEN = {
    "attested": (
        "That the scores are right if you do not trust the witnesses: here all of them are ours, and a captured quorum "
        "can misstate scores, though never pay more than the budget. What they signed can be computed again by anyone "
        "from the bundles on IPFS. Rounds of `--settlement proven` prove themselves instead.",
        *_LIMITS,
    ),
    "proven": (
        "Facts about bytes, which no proof speaks of: that updates could be fetched, and that the public rows are "
        "those of the owner's batch. A quorum of witnesses says so, and here all of them are ours.",
        "Anything to somebody who knows the secret of the reference string: on this local chain everybody does. "
        "Elsewhere it comes from a public ceremony (`cohort srs import`), and a known secret is refused.",
        *_LIMITS,
    ),
}


PRIVATE = (
    "Updates were sealed for the witnesses and the aggregator, and every round was checked by its proof all the same: "
    "at the end no other key of the run opened one, tried in the place of every reader.",
)
"""What a private run proves besides."""
NOT_PRIVATE = (
    "That nothing of an update can be known: lengths, angles and the weighted sum of each round are public, and the "
    "readers see everything (docs/protocol/private.md says what follows from that).",
)
"""And what it does not."""


def privacy_text(privacy: Privacy) -> str:
    """Who can read updates, in a sentence."""
    names = ", ".join(reader.name for reader in privacy.readers)
    least = min((reader.opened for reader in privacy.readers), default=0)
    opened = "all" if least == privacy.updates else f"only {least}"
    stolen = privacy.opened_by_outsiders
    return (
        f"Updates were sealed for {names}: their keys open {opened} of the {privacy.updates} files. The keys of the "
        f"owner and of {privacy.outsiders - 1} trainers, each tried in the place of every reader, open "
        f"{stolen if stolen else 'none'}."
    )


def number_word(value: int) -> str:
    """Small numbers in words, others in digits."""
    return _NUMBERS[value] if 0 <= value < len(_NUMBERS) else str(value)


def proof_text(proof: Proof | None) -> str:
    """What a round's settlement rests on, with figures where it is a proof."""
    if proof is None:
        return "nobody"
    if proof.mode == "attested":
        return "witnesses' signatures"
    if proof.prove_seconds is None or proof.verify_gas is None:
        return "a proof"
    return f"a proof ({proof.prove_seconds:.1f} s, {proof.verify_gas:,} gas to check)"


def role_text(role: str) -> str:
    """`honest`, or the attack's name in words."""
    return role if role == HONEST else role.replace("_", " ")


def share_text(part: float) -> str:
    """A part of one as a percentage; small ones keep two significant digits."""
    value = 100 * part
    if 0 < value < 0.0001:
        return "< 0.0001%"
    if value == 0 or value >= 10:
        return f"{value:.3g}%"
    return f"{value:.2g}%" if value < 1 else f"{value:.1f}%"


def price_text(prices: Prices) -> str:
    return f"at {prices.gas_price_gwei:g} gwei and {prices.ether_usd:,.0f} USD per ETH"


def shown_path(path: Path) -> str:
    """A path as one would type it here: relative if it lies below the working directory."""
    try:
        return str(path.absolute().relative_to(Path.cwd()))
    except ValueError:
        return str(path.absolute())


def shorten_ids(text: str) -> str:
    """A sentence with its CIDs and hashes shortened."""
    return re.sub(r"\b(b[a-z2-7]{50,}|0x[0-9a-fA-F]{40,})\b", lambda found: short(found[0]), text)


def short(text: str | None) -> str:
    """Start and end of a long identifier."""
    if text is None:
        return "none"
    return text if len(text) <= 16 else f"{text[:8]}…{text[-6:]}"
