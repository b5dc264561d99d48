"""Checks of how updates came into a round: commitments, signatures, receipts, the chain of admitted rows, the batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from eth_utils import keccak

from cohort_protocol.audit.calls import MarketCall, witness_words
from cohort_protocol.audit.cases import RoundCase
from cohort_protocol.audit.errors import CallHidden
from cohort_protocol.audit.findings import Check, NotTold, Result, absent, agreed
from cohort_protocol.audit.record import ENDS
from cohort_protocol.chain.events import (
    CommitsPosted,
    CommittedSelf,
    PublicRowsPosted,
    RoundOpened,
    RoundSettled,
    UpdatesAdmitted,
    ValidationRevealed,
)
from cohort_protocol.chain.packed import AdmittedRow, admission, admitted_rows, commit_leaves
from cohort_protocol.commitments import (
    ZERO32,
    admitted_hash,
    commit_message,
    commitment,
    full_signature,
    public_rows_message,
    receipt_message,
    signed_by,
)
from cohort_protocol.errors import SignatureInvalid
from cohort_protocol.identifiers import MAX_SLOTS, to_hex
from cohort_protocol.learning.batches import batch_leaf
from cohort_protocol.merkle import root_above

_INSIDE = (CommitsPosted, CommittedSelf, UpdatesAdmitted, ValidationRevealed, PublicRowsPosted, *ENDS)


def events(case: RoundCase) -> Result:
    """The round's events are whole: opened once, ended once, rows without a gap, every row's member known."""
    record, problems = case.record, []
    opened, ends = record.of(RoundOpened), [event for event in record.events if isinstance(event, ENDS)]
    if len(opened) != 1 or len(ends) > 1:
        problems.append(f"the round was opened {len(opened)} times and ended {len(ends)} times")
    started = opened[0].at if opened else case.project.created.at
    if any(isinstance(event, _INSIDE) and event.at[:2] < started[:2] for event in record.events):
        problems.append("the round has events of commitments or rows before it was opened")
    for kind in (CommitsPosted, ValidationRevealed, PublicRowsPosted, RoundSettled):
        if len(record.of(kind)) > 1:
            problems.append(f"{len(record.of(kind))} events {kind.__name__} in one round")
    next_row = 0
    for event in record.of(UpdatesAdmitted):
        if event.first_row != next_row:
            problems.append(f"rows {next_row} to {event.first_row - 1} are missing from the events")
        next_row = event.first_row + len(event.rows)
    members = [row.member for row in record.rows]
    if len(set(members)) != len(members) or len(members) > MAX_SLOTS:
        problems.append(f"{len(members)} rows of {len(set(members))} members")
    unknown_members = sorted(set(members) - set(case.project.record.trainers))
    if unknown_members:
        problems.append(f"rows of members {unknown_members[:5]}, whom no event knows")
    if ends and len(record.pays()) != len(members):
        problems.append(f"{len(members)} rows were admitted, {len(record.pays())} were paid")
    blocks = {event.at.block_number for event in record.events}
    text = (
        f"{len(record.events)} events in blocks {min(blocks)} to {max(blocks)}, {len(members)} rows, {record.outcome}"
    )
    return agreed(problems, text, events=len(record.events), rows=len(members), outcome=record.outcome)


def admissions(case: RoundCase) -> Result:
    """The hash chained over the admitted rows: from the events, in the market, and in the call that ended the round."""
    record, project = case.record, case.project
    chained = admitted_hash(record.admissions)
    problems, compared = [], []
    view = project.sources.market.round_of(project.number, case.number, project.head.number)
    if any(view.admitted_hash):
        compared.append("the market")
        if view.admitted_hash != chained:
            problems.append(
                f"the rows of the events chain to {to_hex(chained)}, the market keeps {to_hex(view.admitted_hash)}"
            )
    end = record.end
    if end is not None and record.rows:
        name = "settle" if isinstance(end, RoundSettled) else "closeRound"
        call = _ending_call(case, name)
        compared.append(f"the call of {name}")
        repeated = [(one["members"], one["rows"]) for one in call.arguments["admissions"]]
        expected = [(one.members, one.rows) for one in map(admission, record.admissions)]
        if repeated != expected:
            problems.append(f"the rows of the events are not those that {name} repeated to the market")
    if not compared and not record.rows:
        return absent("nothing was admitted (yet)")
    if not compared:
        raise NotTold("neither the market nor a call says which rows were admitted")
    text = (
        f"{len(record.rows)} rows in {len(record.admissions)} calls chain to one hash, as {' and '.join(compared)} say"
    )
    return agreed(problems, text, admitted_hash=to_hex(chained), rows=len(record.rows))


def _ending_call(case: RoundCase, name: str) -> MarketCall:
    end = case.record.end
    if end is None:
        raise NotTold(f"round {case.number} runs")
    return case.project.calls.named(end.at.transaction_hash, name, case.project.number, case.number)[0]


def _reveal_call(case: RoundCase, event: UpdatesAdmitted) -> tuple[MarketCall, Sequence[AdmittedRow]]:
    """The call that admitted these rows, and everything that it opened. Raises `CallHidden`."""
    for call in case.project.calls.named(event.at.transaction_hash, "reveal", case.project.number, case.number):
        opened = _opened(call)
        if {_content(row) for row in event.rows} <= {_content(row) for row in opened}:
            return call, opened
    raise CallHidden(f"no call of reveal in transaction {to_hex(event.at.transaction_hash)} opens the admitted rows")


def _opened(call: MarketCall) -> tuple[AdmittedRow, ...]:
    try:
        return admitted_rows(0, call.arguments["rows"])
    except ValueError as error:
        raise CallHidden(f"the rows of a call of reveal do not decode: {error}") from error


def _content(row: AdmittedRow) -> tuple[int, bytes, bytes]:
    return row.member, row.update, row.cid


def commitments_opened(case: RoundCase) -> Result:
    """Every admitted row, with the salt that was revealed, opens a commitment that was posted before and counts."""
    if not case.record.rows:
        return absent("nothing was admitted")
    project, posted = case.project, case.record.commitments()
    problems, checked = [], 0
    for event in case.record.of(UpdatesAdmitted):
        call, opened = _reveal_call(case, event)
        salts = dict(zip((_content(row) for row in opened), call.arguments["salts"], strict=False))
        for row in event.rows:
            checked += 1
            salt = salts.get(_content(row), b"")
            made = commitment(project.identity, project.number, case.number, row.member, row.update, row.cid, salt)
            found = posted.get(row.member)
            if found is None or found.commitment != made:
                said = "nothing" if found is None else to_hex(found.commitment)
                problems.append(f"row {row.row} opens {to_hex(made)}, member {row.member} had posted {said}")
            elif found.at[:2] >= event.at[:2]:
                problems.append(f"row {row.row} was revealed before its commitment was posted")
    return agreed(problems, f"{checked} rows open the commitments that were posted for them", rows=checked)


def commit_signatures(case: RoundCase) -> Result:
    """Every commitment that counts was signed by its trainer or delegate, or posted by one of them."""
    posted = case.record.commitments()
    if not posted:
        return absent("nobody committed")
    signatures = _batch_signatures(case)
    problems = []
    for member, found in sorted(posted.items()):
        trainer = case.trainer(member)
        allowed = case.project.record.signers_at(trainer, found.at)
        if found.by_trainer:
            calls = case.project.calls.named(found.at.transaction_hash, "commitSelf", case.project.number, case.number)
            if not any(call.sender in allowed and call.arguments["member"] == member for call in calls):
                problems.append(f"the commitment of member {member} was posted by neither it nor its delegate")
            continue
        message = commit_message(case.project.identity, case.project.number, case.number, member, found.commitment)
        signature = signatures.get((member, found.commitment))
        if signature is None:
            problems.append(f"the batch holds no signature for the commitment of member {member}")
            continue
        try:
            signed_by(message, signature, allowed)
        except SignatureInvalid as error:
            problems.append(f"the commitment of member {member}: {error}")
    alone = sum(one.by_trainer for one in posted.values())
    text = f"{len(posted)} commitments: {len(posted) - alone} signed for the batch, {alone} posted by their trainers"
    return agreed(problems, text, commitments=len(posted), by_trainers=alone)


def _batch_signatures(case: RoundCase) -> dict[tuple[int, bytes], bytes]:
    """(member, commitment) -> signature of 65 bytes, as the batch brought them."""
    event = case.record.one(CommitsPosted)
    if event is None:
        return {}
    found: dict[tuple[int, bytes], bytes] = {}
    for call in case.project.calls.named(event.at.transaction_hash, "commitBatch", case.project.number, case.number):
        packed: bytes = call.arguments["signatures"]
        for position, leaf in enumerate(commit_leaves(call.arguments["leaves"])):
            part = packed[64 * position : 64 * position + 64]
            if len(part) == 64:
                found[leaf.member, leaf.commitment] = full_signature(part[:32], part[32:])
    return found


def receipts(case: RoundCase) -> Result:
    """A quorum of the project's witnesses signed for every admitted row."""
    if not case.record.rows:
        return absent("nothing was admitted")
    terms, project = case.project.terms, case.project
    problems, rows, words = [], 0, 0
    for event in case.record.of(UpdatesAdmitted):
        call, opened = _reveal_call(case, event)
        digest = keccak(call.arguments["rows"])
        endorsed: dict[int, int] = {}
        for receipt in call.arguments["receipts"]:
            message = receipt_message(
                project.identity, project.number, case.number, digest, receipt["endorsed"], receipt["refused"]
            )
            problem = _not_by_witness(case, message, receipt)
            if problem is not None:
                problems.append(f"a receipt: {problem}")
                continue
            words += 1
            endorsed[receipt["witness"]] = receipt["endorsed"] & ~receipt["refused"]
        place = {_content(row): position for position, row in enumerate(opened)}
        for row in event.rows:
            rows += 1
            count = sum(bits >> place[_content(row)] & 1 for bits in endorsed.values())
            if count < terms.quorum:
                problems.append(f"row {row.row} was admitted with the word of {count} witnesses, {terms.quorum} needed")
    text = f"{words} receipts of witnesses stand for {rows} rows, at least {terms.quorum} for each"
    return agreed(problems, text, receipts=words, rows=rows, quorum=terms.quorum)


def _not_by_witness(case: RoundCase, message: Any, word: Any) -> str | None:
    """What is wrong with a witness's signature (a decoded struct with witness, r, vs); None if nothing is."""
    witnesses = case.project.terms.witnesses
    index = word["witness"]
    if index >= len(witnesses):
        return f"witness {index} of {len(witnesses)}"
    try:
        signed_by(message, full_signature(word["r"], word["vs"]), (witnesses[index],))
    except SignatureInvalid as error:
        return str(error)
    return None


def batch(case: RoundCase) -> Result:
    """The validation batch of the round is one that the owner had fixed before the project began."""
    event = case.record.one(ValidationRevealed)
    if event is None:
        return absent("no validation batch was revealed")
    root = case.project.terms.validation_root
    calls = case.project.calls.named(event.at.transaction_hash, "revealValidation", case.project.number, case.number)
    proofs = [call.arguments["proof"] for call in calls if call.arguments["digest"] == event.digest]
    leaf = batch_leaf(case.number, event.digest)
    fits = any(len(proof) <= 64 and root_above(leaf, list(proof)) == root for proof in proofs)
    problems = [] if fits else [f"the batch {to_hex(event.digest)} does not lead to the root of the terms"]
    if any(committed.at[:2] > event.at[:2] for committed in case.record.commitments().values()):
        problems.append("a commitment was posted after the batch was known")
    return agreed(
        problems,
        "the batch is in the root of the terms, and was shown after the last commitment",
        digest=to_hex(event.digest),
    )


def public_rows_signed(case: RoundCase) -> Result:
    """A quorum of witnesses signed the public rows."""
    event = case.record.one(PublicRowsPosted)
    if event is None:
        return absent("no public rows were posted")
    project, terms = case.project, case.project.terms
    calls = project.calls.named(event.at.transaction_hash, "postPublicRows", project.number, case.number)
    call = next((one for one in calls if one.arguments["rows"] == event.rows), None)
    if call is None or event.rows == ZERO32:
        raise CallHidden("the call that posted the public rows is not in the transaction of their event")
    message = public_rows_message(project.identity, project.number, case.number, event.rows)
    signatures = call.arguments["signatures"]
    problems = [problem for word in signatures if (problem := _not_by_witness(case, message, word)) is not None]
    signers = {index for index, _ in witness_words(signatures)}
    if len(signers) < terms.quorum:
        problems.append(f"{len(signers)} witnesses signed, {terms.quorum} are needed")
    return agreed(problems, f"{len(signers)} witnesses signed the public rows", rows=to_hex(event.rows))


CHECKS: tuple[Check[RoundCase], ...] = (
    Check("events", "the round's events: opened and ended once, rows without a gap", events),
    Check("admitted-rows", "the hash chained over admitted rows against the market and the ending call", admissions),
    Check("commitments", "admitted rows and their salts against the commitments posted before", commitments_opened),
    Check("commit-signatures", "signatures of trainers or delegates under every commitment", commit_signatures),
    Check("receipts", "signatures of a quorum of witnesses under every admitted row", receipts),
    Check("batch", "the revealed validation batch against the root in the terms", batch),
    Check("public-rows-signed", "signatures of a quorum of witnesses under the posted public rows", public_rows_signed),
)
