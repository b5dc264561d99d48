"""The lens: much of a market in one call, all of it as of one block.

Typed reads of `contracts/src/lens/MarketLens.sol`. It says nothing that `MarketReads` does not say in several calls.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from cohort_protocol.chain.client import BlockRef, ChainClient
from cohort_protocol.chain.codec import contract_abi
from cohort_protocol.chain.errors import NoContract
from cohort_protocol.chain.structs import AbiStruct, all_of
from cohort_protocol.chain.types import (
    Bond,
    Ledger,
    Member,
    Progress,
    ProjectTerms,
    Record,
    RoundView,
)
from cohort_protocol.identifiers import parse_address


@dataclass(frozen=True)
class AggregatorView(AbiStruct):
    """An aggregator of a project and its money in it."""

    _convert = {"bond": Bond.from_abi}  # noqa: RUF012

    aggregator: str
    bond: Bond


@dataclass(frozen=True)
class ProjectOverview(AbiStruct):
    """Everything about a project but its members."""

    _convert: ClassVar = {
        "terms": ProjectTerms.from_abi,
        "progress": Progress.from_abi,
        "ledger": Ledger.from_abi,
        "aggregators": all_of(AggregatorView),
        "newest": RoundView.from_abi,
    }

    terms: ProjectTerms
    """`aggregators` has those added later too."""
    progress: Progress
    ledger: Ledger
    protocol_fee: int
    """Base units per settled round."""
    standing_weight: int
    """1/65536"""
    aggregators: tuple[AggregatorView, ...]
    newest: RoundView
    """All zero before the first round."""


@dataclass(frozen=True)
class Place(AbiStruct):
    """A trainer in one project."""

    _convert: ClassVar = {"member": Member.from_abi, "record": Record.from_abi}

    member: Member
    """All zero if the trainer is unknown in the project."""
    record: Record
    self_commit: bytes
    """Of the round asked for (32 bytes); see `MarketReads.self_commit_of`."""
    losses: int
    """Of the trainer, over all projects."""


@dataclass(frozen=True)
class RoundOverview(AbiStruct):
    """One round as a trainer sees it."""

    _convert: ClassVar = {"round": RoundView.from_abi, "progress": Progress.from_abi, "place": Place.from_abi}

    round: RoundView
    progress: Progress
    place: Place
    time: int
    """Of the block, unix seconds."""


class MarketLens:
    """Reads of one deployed lens. Raises `UnknownProject`, `TransactionReverted`, `NoContract`, `ChainUnavailable`."""

    def __init__(self, client: ChainClient, address: str):
        self.client = client
        self.address = parse_address(address)
        self.abi = contract_abi("MarketLens")

    def _read(self, name: str, *arguments: Any, ref: BlockRef) -> Any:
        data = self.client.call(self.address, self.abi.encode_call(name, *arguments), ref=ref, what=name)
        if not data:
            raise NoContract(f"nothing at {self.address} answers {name}: check the lens's address and the chain")
        return self.abi.decode_result(name, data)

    def market(self, ref: BlockRef = "latest") -> str:
        """Address of the market that this lens shows."""
        return self._read("MARKET", ref=ref)

    def project_overview(self, project: int, ref: BlockRef = "latest") -> ProjectOverview:
        return ProjectOverview.from_abi(self._read("projectOverview", project, ref=ref))

    def round_overview(self, project: int, round: int, trainer: str, ref: BlockRef = "latest") -> RoundOverview:
        """`round` 0: the newest."""
        return RoundOverview.from_abi(self._read("roundOverview", project, round, trainer, ref=ref))

    def places_of(self, trainer: str, projects: Sequence[int], ref: BlockRef = "latest") -> tuple[Place, ...]:
        """The trainer's place in each project; `self_commit` is that of the project's newest round."""
        return tuple(Place.from_abi(one) for one in self._read("placesOf", trainer, list(projects), ref=ref))

    def members_of(self, project: int, first: int, until: int, ref: BlockRef = "latest") -> tuple[Place, ...]:
        """Members `first` to `until` - 1 by number; `self_commit` stays zero."""
        return tuple(Place.from_abi(one) for one in self._read("membersOf", project, first, until, ref=ref))
