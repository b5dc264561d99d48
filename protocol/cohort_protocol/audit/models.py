"""Checks of the line of models: each round starts from what the rounds before it left."""

from __future__ import annotations

from cohort_protocol.audit.calls import witness_words
from cohort_protocol.audit.cases import ProjectCase
from cohort_protocol.audit.findings import Check, NotTold, Result, absent, agreed
from cohort_protocol.chain.events import ModelDropped, ModelPending, ModelReceipted
from cohort_protocol.commitments import model_receipt_message, signed_by
from cohort_protocol.errors import SignatureInvalid
from cohort_protocol.identifiers import to_hex


def model_line(case: ProjectCase) -> Result:
    """From the first model to the newest: every round starts from the last settled model that was not dropped."""
    current, problems, steps = case.terms.initial_model, [], 0
    for entry in case.record.ordered():
        settled = case.record.settled_before(entry.number)
        current = settled[-1].next_model.commitment if settled else case.terms.initial_model
        if entry.opened is not None and entry.opened.model != current:
            problems.append(
                f"round {entry.number} started from {to_hex(entry.opened.model)}, the rounds before it lead to "
                f"{to_hex(current)}"
            )
    after = case.record.settled_before(2**63)
    steps = len(after)
    progress = case.sources.market.progress_of(case.number, case.head.number)
    newest = after[-1].next_model.commitment if after else case.terms.initial_model
    if newest not in (progress.model, progress.pending_model):
        problems.append(f"the market goes on from {to_hex(progress.model)}, its events lead to {to_hex(newest)}")
    waiting = any(progress.pending_model) and progress.pending_model == newest
    text = f"{steps} settled rounds lead from the first model to {to_hex(newest)}"
    return agreed(
        problems, text + (", which waits for receipts" if waiting else ""), rounds=steps, model=to_hex(newest)
    )


def model_receipts(case: ProjectCase) -> Result:
    """Models whose bytes nobody had vouched for when they were settled: a quorum did later, or they were dropped."""
    pending = [event for event in case.record.models if isinstance(event, ModelPending)]
    if not pending:
        return absent("every settlement came with the witnesses' word on the model's bytes")
    problems, receipted = [], 0
    dropped = {event.model for event in case.record.models if isinstance(event, ModelDropped)}
    for event in case.record.models:
        if isinstance(event, ModelReceipted):
            receipted += 1
            problems += _wrong_receipt(case, event)
    left = len(pending) - receipted - len(dropped)
    text = (
        f"{len(pending)} models waited: {receipted} got a quorum of receipts, {len(dropped)} were dropped, {left} wait"
    )
    return agreed(problems, text, waited=len(pending), receipted=receipted, dropped=len(dropped))


def _wrong_receipt(case: ProjectCase, event: ModelReceipted) -> list[str]:
    calls = [
        call
        for call in case.calls.of(event.at.transaction_hash)
        if call.name == "receiptModel" and call.arguments.get("project") == case.number
    ]
    if not calls:
        raise NotTold(f"transaction {to_hex(event.at.transaction_hash)} shows no call of receiptModel")
    message = model_receipt_message(case.identity, case.number, event.model)
    witnesses, problems, signers = case.terms.witnesses, [], set()
    for index, signature in witness_words(calls[0].arguments["signatures"]):
        try:
            signed_by(message, signature, witnesses[index : index + 1])
            signers.add(index)
        except SignatureInvalid as error:
            problems.append(f"receipt of model {to_hex(event.model)} by witness {index}: {error}")
    if len(signers) < case.terms.quorum:
        problems.append(f"model {to_hex(event.model)} has {len(signers)} receipts, {case.terms.quorum} are needed")
    return problems


CHECKS: tuple[Check[ProjectCase], ...] = (
    Check(
        "model-line",
        "the model that each round started from against the one that the rounds before it left",
        model_line,
    ),
    Check("model-receipts", "witnesses' receipts of models that waited for them", model_receipts),
)
