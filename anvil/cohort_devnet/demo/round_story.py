"""One round, step by step from commit to claim: the heart of the report's page."""

from __future__ import annotations

from html import escape

from cohort_devnet.demo.markup import code, table
from cohort_devnet.demo.report import HONEST, Report, Round
from cohort_devnet.demo.wording import proof_text, role_text, short


def follow_round(report: Report, entry: Round) -> str:
    """The section of the page as HTML."""
    items = "".join(
        f'<li><h3>{escape(name)} <span class="who">by {escape(who)}</span></h3><div>{text}</div>'
        f'<div class="facts">{facts}</div></li>'
        for name, who, text, facts in (*_before_scoring(report, entry), *_from_scoring(report, entry))
    )
    seconds = entry.seconds
    phases = ", ".join(
        f"{name} {seconds[name]:.1f} s" for name in ("commit", "reveal", "evaluate", "settle") if name in seconds
    )
    return (
        f"<h2>Follow round {entry.number} from commit to claim</h2>"
        f"<p>It took {seconds.get('total', 0.0):.1f} seconds ({phases}).</p>"
        f'<ol class="steps">{items}</ol>'
    )


Step = tuple[str, str, str, str]
"""Name, who does it, what happens (HTML), where to look it up (HTML)."""


def _before_scoring(report: Report, entry: Round) -> list[Step]:
    project = report.project
    return [
        (
            "Open",
            "the aggregator",
            f"Accepts the round with a bond of {escape(report.amount(project.bond, 0))}, which it loses if it does not "
            f"settle in time. {escape(report.amount(project.round_budget, 0))} are set aside for this round and can no "
            "longer go back to the owner. The model to start from is fixed by its hash.",
            _transaction(entry, "open"),
        ),
        (
            "Train and commit",
            "each trainer",
            f"Trains on its own data and signs a hash of its update ({project.dimension:,} numbers of 16 bits), of "
            "where it will be found, and of its own place in the project. Nobody can copy what nobody has shown. All "
            "go on chain in one batch; who commits and never reveals loses its stake of "
            f"{escape(report.amount(project.stake, 0))}.",
            _transaction(entry, "commit"),
        ),
        (
            "Reveal",
            "each trainer",
            _published(report, entry) + " on IPFS and opens its commitment." + _commitments(report, entry),
            "",
        ),
        (
            "Witness",
            "two of three witnesses",
            "Each fetches the bytes itself, decodes them, checks them against the hash, and signs one receipt for all.",
            _transaction(entry, "reveal"),
        ),
    ]


def _published(report: Report, entry: Round) -> str:
    size = f"{entry.bytes.get('update', 0):,} bytes"
    if report.privacy is None:
        return f"Publishes the update ({size})"
    names = ", ".join(reader.name for reader in report.privacy.readers)
    return f"Seals the update ({size}) for {escape(names)}, and publishes the sealed file"


def _from_scoring(report: Report, entry: Round) -> list[Step]:
    return [
        (
            "Filter and score",
            "the worker",
            "Compares all updates with each other, with the last three steps, and with what they are worth on the "
            "round's validation batch, in whole numbers, so that everybody who repeats it gets the same result."
            + (f" This round was judged by: {escape(entry.judged_by)}." if entry.judged_by else "")
            + _verdicts(report, entry),
            "",
        ),
        (
            "Publish",
            "the worker",
            "The new model and the bundle, which holds everything that the outcome follows from, go to IPFS.",
            f"model {code(entry.model_cid)}<br>bundle {code(entry.bundle_cid or '')}",
        ),
        ("Settle", "the contract", _settlement(entry), _transaction(entry, "settle")),
        ("Claim", "each trainer", "Takes out the pay of all rounds in one transaction." + _claims(report, entry), ""),
    ]


def _settlement(entry: Round) -> str:
    pay = "computes the pay from the scores itself, and cannot pay more than the round's budget. The round is final."
    if entry.proof is None or entry.proof.mode == "attested":
        return f"Witnesses repeat the computation and sign it. The contract checks a quorum of signatures, {pay}"
    return (
        "The worker proves that the inner products of the updates are those that it claims. The contract checks the "
        f"proof, runs the scoring policy on them, {pay} Settled by {escape(proof_text(entry.proof))}; "
        f"{entry.proof.receipts} witnesses vouch for the bytes of the next model."
    )


def _transaction(entry: Round, step: str) -> str:
    found = next((gas for gas in entry.gas if gas.step == step), None)
    return f"transaction {code(short(found.tx))}, {found.gas:,} gas" if found is not None else ""


def _commitments(report: Report, entry: Round) -> str:
    names = report.names()
    order = list(names)
    committed = sorted(
        (item for item in entry.submissions if item.commitment is not None), key=lambda item: order.index(item.trainer)
    )
    return table(
        ["trainer", "committed to", "update's hash", "revealed at"],
        [
            [escape(names[item.trainer]), *(code(short(text)) for text in (item.commitment, item.update, item.cid))]
            for item in committed
        ],
    )


def _verdicts(report: Report, entry: Round) -> str:
    names, roles = report.names(), report.roles()
    rows = []
    order = list(names)
    for verdict in sorted(entry.verdicts, key=lambda verdict: order.index(verdict.trainer)):
        tag = "good" if verdict.accepted else "bad"
        rows.append(
            [
                escape(names[verdict.trainer]),
                f'<span class="tag {tag}">{escape(verdict.reason)}</span>',
                escape(verdict.sentence),
                escape(role_text(roles[verdict.trainer])),
            ]
        )
    for flag in entry.flagged:
        if flag.trainer not in {verdict.trainer for verdict in entry.verdicts}:
            rows.append(
                [
                    escape(names.get(flag.trainer, short(flag.trainer))),
                    f'<span class="tag bad">{escape(flag.reason)}</span>',
                    escape(flag.detail),
                    escape(role_text(roles.get(flag.trainer, HONEST))),
                ]
            )
    return table(["trainer", "verdict", "why", "what it really was"], rows)


def _claims(report: Report, entry: Round) -> str:
    rows = [
        [
            escape(trainer.name),
            escape(report.amount(entry.payouts.get(trainer.address, 0))),
            escape(report.amount(trainer.claimed)),
            code(short(trainer.claim_tx)) if trainer.claim_tx else "nothing to claim",
        ]
        for trainer in report.trainers
    ]
    return table(["trainer", "#pay of this round", "#claimed, all rounds", "transaction"], rows)
