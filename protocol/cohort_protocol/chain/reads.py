"""What the market contract says: typed reads.

`ref` of a read is a block number or tag; "latest" answers as of the newest block's timestamp, which on a chain that
mines only on demand stands still between transactions.
"""

from __future__ import annotations

import threading
from collections.abc import Collection, Sequence
from typing import Any

from cohort_protocol.chain.client import BlockRef, ChainClient
from cohort_protocol.chain.codec import contract_abi
from cohort_protocol.chain.errors import NoContract
from cohort_protocol.chain.packed import Opening
from cohort_protocol.chain.types import (
    Bond,
    Ledger,
    Member,
    Profile,
    Progress,
    ProjectTerms,
    Record,
    RoundView,
)
from cohort_protocol.commitments import MarketId, pack_rows
from cohort_protocol.identifiers import parse_address
from cohort_protocol.phases import Phase


class MarketReads:
    """Raises `UnknownProject`, `TransactionReverted`, `NoContract`, `ChainUnavailable`."""

    def __init__(self, client: ChainClient, address: str):
        self.client = client
        self.address = parse_address(address)
        self.abi = contract_abi("CohortMarket")
        self._known: dict[tuple[str, int], Any] = {}
        self._lock = threading.Lock()

    def _read(self, name: str, *arguments: Any, ref: BlockRef = "latest") -> Any:
        data = self.client.call(self.address, self.abi.encode_call(name, *arguments), ref=ref, what=name)
        if not data:
            raise NoContract(
                f"nothing at {self.address} answers {name}: check the market's address and the chain "
                f"(id {self.client.chain_id})"
            )
        return self.abi.decode_result(name, data)

    def _once(self, name: str, project: int, *arguments: Any) -> Any:
        """An answer that never changes, asked for once."""
        with self._lock:
            known = self._known.get((name, project))
        if known is None:
            known = self._read(name, *arguments)
            with self._lock:
                self._known[name, project] = known
        return known

    def forget(self) -> None:
        """Drops remembered terms: after a reorg a project number may stand for other terms."""
        with self._lock:
            self._known.clear()

    # -- the deployment

    def profile(self) -> Profile:
        """What this deployment fixes for all projects. Asked for once."""
        return Profile.from_abi(self._once("profile", 0))

    def parts(self) -> tuple[str, str, str, str]:
        """The contracts whose code the market runs besides its own: rounds, resolution, settlement, projects."""
        return tuple(self._once("parts", 0))

    def identity(self, project: int) -> MarketId:
        """What signatures for this project are bound to."""
        return MarketId(self.client.chain_id, self.address, self.terms_of(project).verifier)

    # -- projects

    def project_count(self, ref: BlockRef = "latest") -> int:
        """Projects are numbered from 1 to this."""
        return self._read("projectCount", ref=ref)

    def terms_of(self, project: int) -> ProjectTerms:
        """Terms never change, so they are asked for once; for aggregators that the owner added later ask
        `aggregators_of`. Look at a reorg's depth before relying on a new project."""
        return ProjectTerms.from_abi(self._once("termsOf", project, project))

    def fees_of(self, project: int) -> tuple[int, int]:
        """(protocol fee per settled round in base units, standing weight in 1/65536). Asked for once."""
        found = self._once("feesOf", project, project)
        return found["protocolFee"], found["standingWeight"]

    def distributable_of(self, project: int) -> int:
        """D: the most that a round pays to its trainers, base units."""
        terms = self.terms_of(project)
        return terms.round_budget - terms.aggregator_fee - self.fees_of(project)[0]

    def ledger_of(self, project: int, ref: BlockRef = "latest") -> Ledger:
        return Ledger.from_abi(self._read("ledgerOf", project, ref=ref))

    def progress_of(self, project: int, ref: BlockRef = "latest") -> Progress:
        return Progress.from_abi(self._read("progressOf", project, ref=ref))

    def owner_of(self, project: int) -> str:
        return self.progress_of(project).owner

    # -- members and bonds

    def member_of(self, project: int, trainer: str, ref: BlockRef = "latest") -> Member:
        """All zero if unknown."""
        return Member.from_abi(self._read("memberOf", project, trainer, ref=ref))

    def member_at(self, project: int, number: int, ref: BlockRef = "latest") -> Member:
        """All zero if there is none."""
        return Member.from_abi(self._read("memberAt", project, number, ref=ref))

    def bond_of(self, project: int, aggregator: str, ref: BlockRef = "latest") -> Bond:
        return Bond.from_abi(self._read("bondOf", project, aggregator, ref=ref))

    def aggregators_of(self, project: int, ref: BlockRef = "latest") -> tuple[str, ...]:
        return self._read("aggregatorsOf", project, ref=ref)

    # -- rounds

    def round_of(self, project: int, round: int, ref: BlockRef = "latest") -> RoundView:
        return RoundView.from_abi(self._read("roundOf", project, round, ref=ref))

    def phase_of(self, project: int, round: int, ref: BlockRef = "latest") -> Phase:
        return Phase(self._read("phaseOf", project, round, ref=ref))

    def self_commit_of(self, project: int, round: int, member: int, ref: BlockRef = "latest") -> bytes:
        """32 bytes: the first 27 of the commitment and zeros (`self_commit_mark`); all zero if there is none; the
        number 1 once it was resolved. Kept for the newest round, and for older ones until it is resolved."""
        return self._read("selfCommitOf", project, round, member, ref=ref)

    # -- pay

    def claimed_rounds(self, project: int, member: int, word: int, ref: BlockRef = "latest") -> int:
        """Bit r % 256 of word r // 256: what the member earned in round r has been paid out."""
        return self._read("claimedRounds", project, member, word, ref=ref)

    def claimed_among(
        self, project: int, member: int, rounds: Collection[int], ref: BlockRef = "latest"
    ) -> frozenset[int]:
        """Those of `rounds` for which the member has been paid out. A read for every 256 rounds."""
        words = {
            word: self.claimed_rounds(project, member, word, ref) for word in sorted({one // 256 for one in rounds})
        }
        return frozenset(one for one in rounds if words[one // 256] >> one % 256 & 1)

    # -- standing

    def record_of(self, project: int, member: int, ref: BlockRef = "latest") -> Record:
        return Record.from_abi(self._read("recordOf", project, member, ref=ref))

    def losses_of(self, trainer: str, ref: BlockRef = "latest") -> int:
        """In all projects, in units of credit."""
        return self._read("lossesOf", trainer, ref=ref)

    def losses_through(self, trainer: str, owner: str, ref: BlockRef = "latest") -> int:
        """Through the projects of one owner, in units of credit."""
        return self._read("lossesThrough", trainer, owner, ref=ref)

    def reliability_of(self, trainer: str, projects: Sequence[int], ref: BlockRef = "latest") -> int:
        """Basis points, by the projects named, in the order of `standing.standing_order`."""
        return self._read("reliabilityOf", trainer, list(projects), ref=ref)

    # -- the contract's own computations, for comparison with `commitments` and `payout`

    def commitments_of(self, project: int, round: int, openings: Sequence[Opening]) -> tuple[bytes, ...]:
        salts = [opening.salt for opening in openings]
        return self._read("commitmentsOf", project, round, pack_rows(openings), salts)

    def payout_leaf_of(self, project: int, round: int, row: int, member: int, amount: int) -> bytes:
        return self._read("payoutLeafOf", project, round, row, member, amount)
