"""Checks of what a round came to: bundle, updates, scores, pay, standing, the next model."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable

from eth_abi import decode
from eth_abi.exceptions import DecodingError

from cohort_protocol.audit.calls import witness_words
from cohort_protocol.audit.cases import SEALED, RoundCase
from cohort_protocol.audit.findings import Check, NotTold, Result, absent, agreed, false, unknown
from cohort_protocol.bundle import compare, outcomes_of, statement_of
from cohort_protocol.chain.events import LossRecorded, RoundDefaulted, RoundVoided
from cohort_protocol.chain.types import Outcome, Record
from cohort_protocol.commitments import SettlementStatement, admitted_hash, outcomes_hash, settlement_message, signed_by
from cohort_protocol.errors import InvalidInput, NotFound, SignatureInvalid, Unavailable
from cohort_protocol.identifiers import to_hex
from cohort_protocol.ipfs.cid import Cid
from cohort_protocol.ipfs.errors import ContentCorrupt
from cohort_protocol.payout import PayoutTree, default_pay, pays, undistributed, void_pay
from cohort_protocol.scoring import PublicRows
from cohort_protocol.scoring.kernel import Row, blocks
from cohort_protocol.standing import next_record, rejection_loss
from cohort_protocol.stored_rows import stored_model, stored_update

_EVIDENCE = "(uint8,bytes32,bytes32)[]"
_BLOCK = 1 << 16
"""Parameters at a time."""


def attestation(case: RoundCase) -> Result:
    """The evidence of the settlement: a quorum of witnesses signed just this statement."""
    call = case.project.calls.named(case.settled.at.transaction_hash, "settle", case.project.number, case.number)[0]
    statement = statement_on_chain(case)
    message = settlement_message(case.project.identity, statement)
    try:
        (entries,) = decode([_EVIDENCE], call.arguments["evidence"])
    except (DecodingError, OverflowError) as error:
        return false(f"the evidence is not a list of signatures: {error}")
    words = witness_words({"witness": witness, "r": r, "vs": vs} for witness, r, vs in entries)
    terms, problems = case.project.terms, []
    for index, signature in words:
        try:
            if index >= len(terms.witnesses):
                raise SignatureInvalid(f"there is no witness {index}")
            signed_by(message, signature, (terms.witnesses[index],))
        except SignatureInvalid as error:
            problems.append(f"the signature of witness {index} is not under what was settled: {error}")
    signers = {index for index, _ in words}
    if len(signers) < terms.quorum:
        problems.append(f"{len(signers)} witnesses signed, {terms.quorum} are needed")
    names = ", ".join(terms.witnesses[index] for index in sorted(signers) if index < len(terms.witnesses))
    text = f"{len(signers)} of {len(terms.witnesses)} witnesses signed the settlement (quorum {terms.quorum})"
    return agreed(problems, text, signatures=len(signers), quorum=terms.quorum, signers=names)


def statement_on_chain(case: RoundCase) -> SettlementStatement:
    """What the settlement said, from the chain alone: nothing of the bundle."""
    settled, opened = case.settled, case.record.opened
    if opened is None:
        raise NotTold(f"no event opened round {case.number}")
    return SettlementStatement(
        project=case.project.number,
        round=case.number,
        dimension=case.project.terms.dimension,
        admitted_hash=admitted_hash(case.record.admissions),
        policy_hash=case.project.terms.policy_hash,
        outcomes_hash=outcomes_hash([(row.score, row.reason) for row in settled.rows]),
        previous_model=opened.model,
        next_model=settled.next_model.commitment,
        next_model_cid=settled.next_model.cid,
        bundle_cid=settled.bundle_cid,
        validation=case.record.validation,
        public_rows=case.record.public_rows,
    )


def bundle(case: RoundCase) -> Result:
    """The bundle that the settlement names: there, canonical, and about what was settled."""
    found = case.bundle.get()
    said, on_chain = statement_of(found, case.bundle_cid), statement_on_chain(case)
    problems = [
        f"the bundle says {name} {_word(getattr(said, name))}, settled was {_word(getattr(on_chain, name))}"
        for name in said.__dict__
        if getattr(said, name) != getattr(on_chain, name)
    ]
    if (found.chain_id, found.market) != (case.project.identity.chain_id, case.project.identity.market):
        problems.append(f"the bundle is of market {found.market} on chain {found.chain_id}")
    size = len(found.to_bytes())
    return agreed(
        problems,
        f"the bundle is there, canonical, and about this settlement ({size} bytes)",
        cid=str(case.bundle_cid),
        bytes=size,
    )


def _word(value: object) -> str:
    return to_hex(value) if isinstance(value, bytes) else str(value)


def files(case: RoundCase) -> Result:
    """Every update, the model that the round started from and the one that it left: fetched whole, and opening what is
    committed to on chain."""
    inputs = case.inputs.get()
    before = inputs.models[-1]
    d, store, scheme = inputs.dimension, case.store, case.project.scheme()
    after = case.settled.next_model if case.record.settled is not None else None
    updates = [] if case.project.sealed else list(enumerate(inputs.rows))
    readers: list[tuple[str, Callable[[], Row]]] = [
        (f"the update of row {index}", lambda row=row: stored_update(store, row.cid, row.update, d, scheme))
        for index, row in updates
    ]
    readers.append(("the model it started from", lambda: stored_model(store, before.cid, before.commitment, d, scheme)))
    if after is not None:
        readers.append(
            ("the model it left", lambda: stored_model(store, Cid.from_bytes(after.cid), after.commitment, d, scheme))
        )
    wrong, missing = [], []
    for name, read in readers:
        try:
            for _ in blocks(read(), _BLOCK):
                pass
        except ContentCorrupt as error:
            wrong.append(f"{name} is damaged in the store: {error}")
        except (Unavailable, NotFound) as error:
            missing.append(f"{name} cannot be had: {error}")
        except InvalidInput as error:
            wrong.append(f"{name} is wrong: {error}")
    figures = {"files": len(readers), "missing": len(missing), "wrong": len(wrong)}
    if wrong:
        return agreed(wrong, "", **figures)
    if missing:
        more = f" (and {len(missing) - 1} more)" if len(missing) > 1 else ""
        return unknown(missing[0] + more, **figures)
    sealed = f" ({len(inputs.rows)} updates are sealed)" if case.project.sealed else ""
    return agreed([], f"{len(updates)} updates and the models open what is committed to on chain{sealed}", **figures)


def policy(case: RoundCase) -> Result:
    """The project's policy, run on the bundle's Gram matrix, gives the settled scores and reasons. Needs no update."""
    document = case.bundle.get()
    rules = case.project.policy()
    n, p = len(document.rows), len(document.gram) - len(document.rows)
    layout = document.evidence.layout.rows() if document.evidence.layout is not None else PublicRows()
    steps = p - layout.count
    if steps < 0 or any(len(line) != n + p for line in document.gram):
        return false(f"the bundle's Gram matrix of {n + p} lines does not fit {n} rows and {layout.count} public ones")
    public = PublicRows(steps, layout.trainable, layout.gradients, layout.halves, layout.values, layout.classes)
    try:
        outcome = rules.evaluate(tuple(tuple(line) for line in document.gram), n, public)
    except (ArithmeticError, ValueError) as error:
        # Policies take it for granted that sums of rows have lengths; a quorum that lies may sign for any matrix.
        return false(f"policy {rules.name} cannot judge by the bundle's Gram matrix, which no rows have: {error}")
    expected = [Outcome(row.score, int(row.reason)) for row in outcome.rows]
    return _same_outcomes(case, expected, f"policy {rules.name} on the bundle's {n + p} x {n + p} inner products")


def _same_outcomes(case: RoundCase, expected: list[Outcome], source: str) -> Result:
    settled = [Outcome(row.score, row.reason) for row in case.settled.rows]
    if len(settled) != len(expected):
        return false(f"{source} judges {len(expected)} rows, {len(settled)} were settled")
    problems = [
        f"row {index} has score {ours.score} and reason {ours.reason} by {source}; settled were score {theirs.score} "
        f"and reason {theirs.reason}"
        for index, (ours, theirs) in enumerate(zip(expected, settled, strict=True))
        if ours != theirs
    ]
    accepted = sum(row.reason == 0 for row in settled)
    text = f"scores and reasons of {len(settled)} rows ({accepted} accepted) follow from {source}"
    return agreed(problems, text, rows=len(settled), accepted=accepted, wrong=len(problems))


def outcome(case: RoundCase) -> Result:
    """The whole round, computed again from updates, models and public rows, is the settled bundle, byte for byte."""
    if case.project.sealed:
        return absent(SEALED)
    done = case.recomputed.get()
    if done.bundle_cid == case.bundle_cid:
        return agreed(
            [],
            f"computed again from {len(done.bundle.rows)} updates: the same bundle, byte for byte",
            cid=str(done.bundle_cid),
            bytes=len(done.bundle_bytes),
        )
    try:
        words = compare(done.bundle, case.bundle.get()) or "other bytes"
    except (InvalidInput, Unavailable, NotFound) as error:
        words = str(error)
    return false(
        f"the round comes to the bundle {done.bundle_cid}, settled was {case.bundle_cid}: {words}",
        expected=str(done.bundle_cid),
        settled=str(case.bundle_cid),
    )


def scores(case: RoundCase) -> Result:
    """Settled scores and reasons against those computed from the updates."""
    if case.project.sealed:
        return absent(SEALED)
    return _same_outcomes(case, outcomes_of(case.recomputed.get().bundle), "the updates")


def next_model(case: RoundCase) -> Result:
    """The next model is this one plus the weighted updates, as computed again."""
    if case.project.sealed:
        return absent(SEALED)
    done, settled = case.recomputed.get(), case.settled.next_model
    expected = (done.bundle.next_model.commitment, done.bundle.next_model.cid)
    found = (to_hex(settled.commitment), str(Cid.from_bytes(settled.cid)))
    if found != expected:
        return false(f"the next model should be {expected[0]} at {expected[1]}, settled was {found[0]} at {found[1]}")
    weights = [row.weight for row in done.bundle.outcomes]
    return agreed(
        [],
        f"the next model is the one before plus the updates with weights that sum to {sum(weights)}",
        commitment=found[0],
        cid=found[1],
        weights=sum(weights),
    )


def pay(case: RoundCase) -> Result:
    """Pay from the settled scores, never more than the budget; what nobody earned is burned, dust is free again."""
    settled, terms, d = case.settled, case.project.terms, case.project.distributable
    expected = pays(
        [row.score for row in settled.rows],
        [row.reason for row in settled.rows],
        d,
        terms.score_floor,
        terms.share_cap,
    )
    problems = [
        f"row {row.row} was paid {row.pay}, its score earns {amount}"
        for row, amount in zip(settled.rows, expected, strict=True)
        if row.pay != amount
    ]
    if settled.paid != sum(expected):
        problems.append(f"the settlement says it paid {settled.paid}, the scores earn {sum(expected)}")
    dust, burned = undistributed(expected, d)
    if settled.burned != burned:
        problems.append(f"{settled.burned} were burned, it should be {burned}")
    text = f"{sum(expected)} of {d} paid, {burned} burned, {dust} of dust free again, fee {terms.aggregator_fee}"
    return agreed(
        problems,
        text,
        paid=settled.paid,
        distributable=d,
        burned=burned,
        dust=dust,
        aggregator_fee=terms.aggregator_fee,
        protocol_fee=case.project.created.protocol_fee,
    )


def equal_pay(case: RoundCase) -> Result:
    """Pay of a round without scores: a slot's part each if it was void, an equal part each if nobody settled."""
    end, terms, d = case.record.end, case.project.terms, case.project.distributable
    rows = len(case.record.rows)
    match end:
        case RoundVoided():
            expected = void_pay(d, terms.slots)
        case RoundDefaulted():
            expected = default_pay(d, rows)
        case _:
            return absent("the round has not ended so")
    problems = [] if end.share == expected else [f"each row was paid {end.share}, it should be {expected}"]
    if list(end.members) != [row.member for row in case.record.rows]:
        problems.append(f"members {list(end.members)} were paid, admitted were others")
    return agreed(problems, f"{rows} rows were paid {expected} each", share=end.share, rows=rows)


def payout_root(case: RoundCase) -> Result:
    """The tree over (round, row, member, amount) has the root of the event and of the market."""
    record, end = case.record, case.record.end
    if end is None or not record.rows:
        return absent("nobody is paid in this round")
    pay_of_rows = record.pays()
    if len(pay_of_rows) != len(record.rows):
        return false(f"{len(record.rows)} rows, {len(pay_of_rows)} payments")
    members = [row.member for row in record.rows]
    tree = PayoutTree(case.project.number, case.number, list(zip(members, pay_of_rows, strict=True)))
    project = case.project
    kept = project.sources.market.round_of(project.number, case.number, project.head.number).payout_root
    problems = [
        f"the payments have the root {to_hex(tree.root)}, {where} {to_hex(root)}"
        for where, root in (("the event says", end.payout_root), ("the market keeps", kept))
        if root != tree.root
    ]
    return agreed(
        problems,
        f"{len(members)} payments lead to the root that claims are checked against",
        root=to_hex(tree.root),
        rows=len(members),
    )


def standing(case: RoundCase) -> Result:
    """Records of the rows' members after this round, and the losses of those rejected."""
    settled, project = case.settled, case.project
    before = _records_before(case)
    problems, n = [], len(settled.rows)
    for admitted, row in case.judged():
        expected = next_record(
            before[admitted.member],
            pay=row.pay,
            rejected=row.reason != 0,
            rows=n,
            distributable=project.distributable,
            weight=project.created.standing_weight,
        )
        if row.record != expected:
            problems.append(f"member {admitted.member} should have {expected}, settled was {row.record}")
    rejected = {project.record.trainers.get(admitted.member) for admitted, row in case.judged() if row.reason != 0}
    most = rejection_loss(project.created.standing_weight)
    for event in case.record.of(LossRecorded):
        of_settlement = event.at.transaction_hash == settled.at.transaction_hash
        if of_settlement and (event.trainer not in rejected or event.loss > most):
            problems.append(f"{event.trainer} lost {event.loss}: only rejected rows cost standing, at most {most}")
    return agreed(
        problems,
        f"records of {n} members follow from pay and reasons; {len(rejected)} rows were rejected",
        rows=n,
        rejected=len(rejected),
    )


def _records_before(case: RoundCase) -> dict[int, Record]:
    found: dict[int, Record] = defaultdict(Record)
    for entry in case.project.record.ordered():
        if entry.number < case.number and entry.settled is not None:
            for admitted, row in zip(entry.rows, entry.settled.rows, strict=False):
                found[admitted.member] = row.record
    return found


ATTESTED: tuple[Check[RoundCase], ...] = (
    Check("attestation", "signatures of a quorum of witnesses under what was settled", attestation),
)
SETTLED: tuple[Check[RoundCase], ...] = (
    Check("bundle", "the bundle that the settlement names against the settlement", bundle),
    Check("files", "updates and models against their commitments on chain", files),
    Check("policy", "settled scores against the policy on the bundle's Gram matrix", policy),
    Check("outcome", "the round computed again from the updates against the bundle, byte for byte", outcome),
    Check("scores", "settled scores against those computed from the updates", scores),
    Check("next-model", "the next model against the one before plus the weighted updates", next_model),
    Check("pay", "pay of every row, burned and dust against scores and terms", pay),
    Check("payout-root", "the root of the payments, by events and in the market", payout_root),
    Check("standing", "records after the round against pay and reasons", standing),
)
CLOSED: tuple[Check[RoundCase], ...] = (
    Check("files", "updates against their commitments on chain", files),
    Check("equal-pay", "pay of a round without scores against its terms", equal_pay),
    Check("payout-root", "the root of the payments, by events and in the market", payout_root),
)
