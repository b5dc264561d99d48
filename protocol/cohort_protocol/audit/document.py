"""An audit as a document: what `cohort audit --json` prints, and what the page is made from.

Amounts and scores are decimal strings. `schema_version` rises when a field changes its meaning or goes away.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from cohort_protocol.audit.books import LEDGER_FIELDS
from cohort_protocol.audit.cases import ProjectCase
from cohort_protocol.audit.findings import Finding, State, printable
from cohort_protocol.audit.record import RoundRecord
from cohort_protocol.audit.run import Audit
from cohort_protocol.chain.events import RoundSettled
from cohort_protocol.chain.token import Token
from cohort_protocol.errors import CohortError
from cohort_protocol.identifiers import Address, Bytes32, CidText, to_hex
from cohort_protocol.ipfs.cid import Cid
from cohort_protocol.service.messages import DecimalText


class DocumentPart(BaseModel):
    """Base of every part: unknown fields are an error, so that a reader of another version notices."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)


class Read(DocumentPart):
    """What was read."""

    chain_id: int
    market: Address
    block: int
    """The newest block when the audit began: everything is as of it."""
    block_hash: Bytes32
    start_block: int
    store: str
    """Name and version of the block store, or the gateway."""


class ProjectFacts(DocumentPart):
    """What is audited."""

    number: int
    owner: Address
    title: str
    """From the spec; empty if it cannot be had."""
    token: Address
    token_symbol: str
    token_decimals: int
    settlement: Literal["attested", "proven"]
    """By the verifier on chain."""
    policy: str
    rounds: int


class RowFacts(DocumentPart):
    """An admitted row of a round, as the chain says."""

    row: int
    member: int
    trainer: str
    """Empty if no event names the member."""
    score: DecimalText
    """In units of 2^-30 of an average contribution."""
    reason: int
    """0: accepted."""
    pay: DecimalText


class RoundFacts(DocumentPart):
    """A round as the chain says."""

    number: int
    outcome: Literal["settled", "void", "defaulted", "running"]
    rows: list[RowFacts]
    paid: DecimalText
    burned: DecimalText
    bundle: CidText | None
    shapley_shares: list[float | None]
    """By row, of the logit-average Shapley spot check; empty if it was not made, null for a diverged update."""
    spearman: float | None
    """Of pay and those shares."""


class FindingFacts(DocumentPart):
    """A check and what it came to."""

    check: str
    about: str
    """What is compared with what."""
    round: int | None
    """null: the project as a whole."""
    state: Literal["true", "false", "unknown", "absent", "shown"]
    text: str
    figures: dict[str, str]
    """Whole numbers as decimal strings, hashes, CIDs, addresses."""


class AuditDocument(DocumentPart):
    """A whole audit."""

    schema_version: Literal[1] = 1
    state: Literal["true", "false", "unknown"]
    """`false` if any finding is, else `unknown` if any is, else `true`."""
    first: FindingFacts | None
    """The first finding of that state, unless it is `true`."""
    counts: dict[str, Annotated[int, Field(ge=0)]]
    """Findings by state."""
    read: Read
    project: ProjectFacts
    money: dict[str, str]
    """The project's ledger by its events, base units; negative only if a contract is broken."""
    rounds: list[RoundFacts]
    findings: list[FindingFacts]
    """Of the project, then round by round, in the order in which they were made."""


def document(audit: Audit) -> AuditDocument:
    """The audit as a document. Asks the chain for the token's symbol and decimals, and does without if it must."""
    case, state = audit.case, audit.state
    listed = [_finding(one) for one in audit.findings]
    first = next((one for one in listed if one.state == state.value), None) if state is not State.TRUE else None
    checked = {one.round for one in audit.findings}
    return AuditDocument(
        state=state.value,
        first=first,
        counts={each.value: len(audit.of(each)) for each in State},
        read=Read(
            chain_id=case.identity.chain_id,
            market=case.identity.market,
            block=case.head.number,
            block_hash=to_hex(case.head.hash),
            start_block=case.sources.start_block,
            store=_store_name(case),
        ),
        project=_project(case),
        money={name: str(getattr(case.book, name)) for name in LEDGER_FIELDS},
        rounds=[_round(case, entry, audit) for entry in case.record.ordered() if entry.number in checked],
        findings=listed,
    )


def _finding(one: Finding) -> FindingFacts:
    return FindingFacts(
        check=one.check,
        about=one.about,
        round=one.round,
        state=one.state.value,
        text=one.text,
        figures={name: str(value) for name, value in one.figures.items()},
    )


def _store_name(case: ProjectCase) -> str:
    try:
        return case.sources.store.name_and_version()
    except CohortError:
        return "a store that does not answer"


def _project(case: ProjectCase) -> ProjectFacts:
    title = policy = ""
    try:
        spec = case.spec.get()
        title, policy = printable(spec.title), printable(spec.policy.name)
    except CohortError:
        pass  # the check `spec` says why
    symbol, decimals = _token(case)
    return ProjectFacts(
        number=case.number,
        owner=case.created.owner,
        title=title,
        token=case.terms.token,
        token_symbol=symbol,
        token_decimals=decimals,
        settlement=case.settlement,
        policy=policy,
        rounds=len(case.record.ordered()),
    )


def _token(case: ProjectCase) -> tuple[str, int]:
    """Symbol and decimals: anybody can make a token that says anything, or nothing."""
    token = Token(case.sources.client, case.terms.token)
    try:
        return printable(token.symbol()), min(token.decimals(), 77)
    except CohortError:
        return "base units", 0


def _round(case: ProjectCase, entry: RoundRecord, audit: Audit) -> RoundFacts:
    pays, settled = entry.pays(), entry.settled
    judged = [(row.score, row.reason) for row in settled.rows] if settled is not None else [(0, 0)] * len(entry.rows)
    rows = [
        RowFacts(
            row=row.row,
            member=row.member,
            trainer=case.record.trainers.get(row.member, ""),
            score=judged[index][0] if index < len(judged) else 0,
            reason=judged[index][1] if index < len(judged) else 0,
            pay=pays[index] if index < len(pays) else 0,
        )
        for index, row in enumerate(entry.rows)
    ]
    spot = next((one for one in audit.findings if (one.check, one.round) == ("contribution", entry.number)), None)
    figures = dict(spot.figures) if spot is not None else {}
    shares = str(figures.get("shares_shapley", "")).split()
    return RoundFacts(
        number=entry.number,
        outcome=entry.outcome,
        rows=rows,
        paid=sum(pays),
        burned=settled.burned if isinstance(settled, RoundSettled) else 0,
        bundle=str(Cid.from_bytes(settled.bundle_cid)) if settled is not None else None,
        shapley_shares=[None if share == "-" else float(share) for share in shares],
        spearman=float(figures["spearman"]) if figures.get("spearman") else None,
    )
