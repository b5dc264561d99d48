"""What is audited: a project, its rounds, and what several checks need of them, read or computed once."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Generic, TypeVar

from cohort_protocol.audit.books import ProjectBook
from cohort_protocol.audit.calls import Calls
from cohort_protocol.audit.findings import NotTold
from cohort_protocol.audit.record import ProjectRecord, RoundRecord
from cohort_protocol.bundle import MAX_BUNDLE_BYTES, Recomputed, RoundBundle, recompute
from cohort_protocol.chain.client import ChainClient
from cohort_protocol.chain.errors import NoContract
from cohort_protocol.chain.events import MarketEvent, MarketLogs, ProjectCreated, RoundSettled
from cohort_protocol.chain.market import Market
from cohort_protocol.chain.packed import AdmittedRow, SettledRow
from cohort_protocol.chain.proven import ProvenVerifier
from cohort_protocol.chain.types import ProjectTerms
from cohort_protocol.commitments import MarketId
from cohort_protocol.errors import CohortError, InvalidInput, NotFound, Unavailable
from cohort_protocol.identifiers import to_hex
from cohort_protocol.ipfs.cid import RAW, Cid
from cohort_protocol.ipfs.store import IpfsStore
from cohort_protocol.payout import distributable
from cohort_protocol.proof.errors import ProofError
from cohort_protocol.proof.scheme import KECCAK, CommitmentScheme
from cohort_protocol.round_inputs import RoundInputs, RoundInputsInvalid, round_inputs
from cohort_protocol.scoring import Policy, policy_by_name
from cohort_protocol.sealing.project import Sealing, sealing_of
from cohort_protocol.spec import MAX_SPEC_BYTES, ProjectSpec, Settlement

SEALED = (
    "private: updates are sealed for the project's readers; the proof stands for what nobody else can compute again"
)
"""Why a check does not apply to a private project."""

SPAN = 20_000
"""Blocks whose events are read between two words of progress."""

T = TypeVar("T")

Progress = Callable[[str], None]
"""Told what is done next, in a line."""


class NoSuchProject(NotFound):
    """The market has no project of this number."""

    code = "no-such-project"


@dataclass(frozen=True)
class Sources:
    """Where an audit reads. Nothing else is asked."""

    client: ChainClient
    market: Market
    store: IpfsStore
    start_block: int = 0
    """The market's first block, or one before it."""
    threads: int = 2
    srs: Path | None = None
    """File of the structured reference string: needed to compare files of proven projects with their commitments, not
    to verify their proofs."""
    reader: bytes | None = field(default=None, repr=False)
    """Private key of one of a private project's readers, 32 bytes: opens its sealed files. Never leaves the process."""


class Once(Generic[T]):
    """Made when first asked for. Who asks again after it failed is told which check says why."""

    def __init__(self, check: str, make: Callable[[], T]) -> None:
        self._check = check
        self._make = make
        self._value: T | None = None
        self._failed = False

    def get(self) -> T:
        """Raises what making it raised, later `NotTold`."""
        if self._failed:
            raise NotTold(f"this needs what the check {self._check!r} could not have")
        if self._value is None:
            try:
                self._value = self._make()
            except CohortError:
                self._failed = True
                raise
        return self._value


def books_of(events: Iterable[MarketEvent]) -> dict[int, ProjectBook]:
    """Project -> its money by events, from a market's events since its first block, in order."""
    books: dict[int, ProjectBook] = {}
    for event in events:
        project = getattr(event, "project", None)
        if project is not None:
            books.setdefault(project, ProjectBook()).take(event)
    return books


class ProjectCase:
    """One project as of the newest block when the audit began. Reading it raises `NoSuchProject`, `LogMalformed`,
    `ChainUnavailable`."""

    def __init__(self, sources: Sources, project: int, say: Progress) -> None:
        self.sources = sources
        self.number = project
        self.head = sources.client.block("latest")
        logs, last = MarketLogs(sources.client, sources.market.address), self.head.number
        events: list[MarketEvent] = []
        for first in range(sources.start_block, last + 1, SPAN):
            say(f"reading events from block {first} on, of {last}")
            events += logs.fetch(first, min(last, first + SPAN - 1))
        self.event_count = len(events)
        self.books = books_of(events)
        self.record = ProjectRecord.of(project, events)
        if self.record.created is None:
            known = [event.project for event in events if isinstance(event, ProjectCreated)]
            raise NoSuchProject(
                f"the market {sources.market.address} created no project {project} from block {sources.start_block} to "
                f"{self.head.number}; it created {known[:20] or 'none'}"
            )
        self.created: ProjectCreated = self.record.created
        self.calls = Calls(sources.client, sources.market.address)
        self.spec: Once[ProjectSpec] = Once("spec", self._fetch_spec)
        self.settlement: Settlement = self._settlement()
        self._scheme: Once[CommitmentScheme] = Once("first-model", self._find_scheme)

    @property
    def terms(self) -> ProjectTerms:
        """As in the event that created the project."""
        return self.created.terms

    @property
    def identity(self) -> MarketId:
        """What signatures for this project are bound to."""
        return MarketId(self.sources.client.chain_id, self.sources.market.address, self.terms.verifier)

    @property
    def book(self) -> ProjectBook:
        return self.books[self.number]

    @property
    def distributable(self) -> int:
        """D, base units."""
        return distributable(self.terms.round_budget, self.terms.aggregator_fee, self.created.protocol_fee)

    @property
    def spec_cid(self) -> Cid:
        return Cid(RAW, self.terms.spec_digest)

    def _fetch_spec(self) -> ProjectSpec:
        return ProjectSpec.from_bytes(self.sources.store.get(self.spec_cid, MAX_SPEC_BYTES))

    def _settlement(self) -> Settlement:
        """As the verifier on chain says: one of proven rounds names its reference string."""
        try:
            ProvenVerifier(self.sources.client, self.terms.verifier).tau_g2(self.head.number)
        except NoContract:
            return "attested"
        return "proven"

    def scheme(self) -> CommitmentScheme:
        """How files are committed to. Raises `NotTold` if that takes a reference string that is not here."""
        return self._scheme.get()

    def _find_scheme(self) -> CommitmentScheme:
        if self.settlement == "attested":
            return KECCAK
        # Brings the curve library in.
        from cohort_protocol.proof.schemes import Schemes

        schemes = Schemes(self.sources.client, self.sources.srs)
        try:
            return schemes.of("proven", self.terms.verifier, self.terms.dimension)
        except ProofError as error:
            raise NotTold(f"files cannot be compared with their commitments: {error}") from error

    @property
    def sealed(self) -> bool:
        """Whether updates are sealed for the project's witnesses and aggregators, and no key of one of them is here.
        Raises what `spec` raises."""
        return self.spec.get().private and self.sources.reader is None

    def check_reader(self) -> None:
        """Raises `NotAReader` if the key that was given opens nothing of this private project, so that nobody takes
        checks for made that could not be. A spec that cannot be read is left to the check of that name."""
        if self.sources.reader is None:
            return
        try:
            sealing = self._sealing(self._fetch_spec())
        except (InvalidInput, NotFound, Unavailable):
            return
        sealing.check_reader(self.sources.reader)

    def store(self) -> IpfsStore:
        """Where the files of rounds are read: sealed ones open with a reader's key. Raises what `spec` raises."""
        if self.sources.reader is None:
            return self.sources.store
        return self._sealing(self.spec.get()).opened(self.sources.store, self.sources.reader)

    def _sealing(self, spec: ProjectSpec) -> Sealing:
        return sealing_of(spec, self.identity.chain_id, self.identity.market, self.number)

    def policy(self) -> Policy:
        """Raises what `spec` raises, `UnknownPolicy`, `PolicyParametersInvalid`."""
        spec = self.spec.get()
        return policy_by_name(spec.policy.name, spec.policy.params)


class RoundCase:
    """One round of a project."""

    def __init__(self, project: ProjectCase, record: RoundRecord, say: Progress) -> None:
        self.project = project
        self.record = record
        self.say = say
        self.inputs: Once[RoundInputs] = Once("spec", self._gather)
        self.bundle: Once[RoundBundle] = Once("bundle", self._fetch_bundle)
        self.recomputed: Once[Recomputed] = Once("outcome", self._recompute)

    @property
    def number(self) -> int:
        return self.record.number

    @property
    def store(self) -> IpfsStore:
        return self.project.store()

    @cached_property
    def settled(self) -> RoundSettled:
        """Only for checks of settled rounds."""
        found = self.record.settled
        if found is None:
            raise NotTold(f"round {self.number} was not settled")
        return found

    @property
    def bundle_cid(self) -> Cid:
        return Cid.from_bytes(self.settled.bundle_cid)

    def judged(self) -> list[tuple[AdmittedRow, SettledRow]]:
        """Every admitted row with what it got. Raises `NotTold` if they differ in number: `events` says so."""
        admitted, settled = self.record.rows, self.settled.rows
        if len(admitted) != len(settled):
            raise NotTold(f"{len(admitted)} rows were admitted and {len(settled)} settled: see the check 'events'")
        return list(zip(admitted, settled, strict=True))

    def trainer(self, member: int) -> str:
        """Raises `NotTold` for a number that nobody was given: `events` says so."""
        found = self.project.record.trainers.get(member)
        if found is None:
            raise NotTold(f"no event gives member number {member} to anybody: see the check 'events'")
        return found

    def _gather(self) -> RoundInputs:
        project, record = self.project, self.project.record
        inputs = round_inputs(
            chain_id=project.sources.client.chain_id,
            market=project.sources.market.address,
            project=project.number,
            round=self.number,
            spec=project.spec.get(),
            spec_cid=project.spec_cid,
            policy_hash=project.terms.policy_hash,
            settled=[(one.next_model.commitment, one.next_model.cid) for one in record.settled_before(self.number)],
            admissions=[
                [(row.member, self.trainer(row.member), row.update, row.cid) for row in admitted]
                for admitted in self.record.admissions
            ],
            validation=self.record.validation,
            public_rows=self.record.public_rows,
            facts=record.facts_before(self.number),
        )
        started = self.record.opened.model if self.record.opened is not None else b""
        if inputs.models[-1].commitment != started:
            raise RoundInputsInvalid(
                f"round {self.number} started from {to_hex(started)}, the settled rounds before it lead to "
                f"{to_hex(inputs.models[-1].commitment)}"
            )
        return inputs

    def _fetch_bundle(self) -> RoundBundle:
        return RoundBundle.from_bytes(self.project.sources.store.get(self.bundle_cid, MAX_BUNDLE_BYTES))

    def _recompute(self) -> Recomputed:
        inputs = self.inputs.get()
        self.say(f"round {self.number}: computing it again from {len(inputs.rows)} updates")
        return recompute(inputs, self.store, threads=self.project.sources.threads, scheme=self.project.scheme())
