"""The market contract: typed reads, and builders of the transactions that change it.

Builders return what to sign and hold no key. `ref` of a read is a block number or tag; "latest" answers as of the
newest block's timestamp, which on a chain that mines only on demand stands still between transactions.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

from cohort_protocol.chain.client import BlockRef, ChainClient
from cohort_protocol.chain.codec import contract_abi
from cohort_protocol.chain.errors import NoContract
from cohort_protocol.chain.transactions import TransactionRequest
from cohort_protocol.chain.types import (
    ClaimItem,
    CommitLeaf,
    CommitSignature,
    Ledger,
    Member,
    NextModel,
    Outcome,
    Progress,
    ProjectTerms,
    Receipt,
    Reveal,
    RevealState,
    RoundView,
    Row,
    Standing,
)
from cohort_protocol.commitments import MarketId
from cohort_protocol.identifiers import parse_address
from cohort_protocol.phases import Phase


class MarketReads:
    """What the market says. Raises `UnknownProject`, `TransactionReverted`, `NoContract`, `ChainUnavailable`."""

    def __init__(self, client: ChainClient, address: str):
        self.client = client
        self.address = parse_address(address)
        self.abi = contract_abi("CohortMarket")
        self._terms: dict[int, ProjectTerms] = {}
        self._lock = threading.Lock()

    def _read(self, name: str, *arguments: Any, ref: BlockRef = "latest") -> Any:
        data = self.client.call(self.address, self.abi.encode_call(name, *arguments), ref=ref, what=name)
        if not data:
            raise NoContract(
                f"nothing at {self.address} answers {name}: check the market's address and the chain "
                f"(id {self.client.chain_id})"
            )
        return self.abi.decode_result(name, data)

    def identity(self, project: int) -> MarketId:
        """What signatures for this project are bound to."""
        return MarketId(self.client.chain_id, self.address, self.terms_of(project).verifier)

    def project_count(self, ref: BlockRef = "latest") -> int:
        """Projects are numbered from 1 to this."""
        return self._read("projectCount", ref=ref)

    def owner_of(self, project: int, ref: BlockRef = "latest") -> str:
        return self._read("ownerOf", project, ref=ref)

    def terms_of(self, project: int) -> ProjectTerms:
        """Terms never change, so they are asked for once. Look at a reorg's depth before relying on a new project."""
        with self._lock:
            known = self._terms.get(project)
        if known is None:
            known = ProjectTerms.from_abi(self._read("termsOf", project))
            with self._lock:
                self._terms[project] = known
        return known

    def forget(self) -> None:
        """Drops remembered terms: after a reorg a project number may stand for other terms."""
        with self._lock:
            self._terms.clear()

    def ledger_of(self, project: int, ref: BlockRef = "latest") -> Ledger:
        return Ledger.from_abi(self._read("ledgerOf", project, ref=ref))

    def progress_of(self, project: int, ref: BlockRef = "latest") -> Progress:
        return Progress.from_abi(self._read("progressOf", project, ref=ref))

    def member_of(self, project: int, trainer: str, ref: BlockRef = "latest") -> Member:
        return Member.from_abi(self._read("memberOf", project, trainer, ref=ref))

    def member_count(self, project: int, ref: BlockRef = "latest") -> int:
        """Members who have not left."""
        return self._read("memberCount", project, ref=ref)

    def round_of(self, project: int, round: int, ref: BlockRef = "latest") -> RoundView:
        return RoundView.from_abi(self._read("roundOf", project, round, ref=ref))

    def phase_of(self, project: int, round: int, ref: BlockRef = "latest") -> Phase:
        return Phase(self._read("phaseOf", project, round, ref=ref))

    def self_commit_of(self, project: int, round: int, trainer: str, ref: BlockRef = "latest") -> bytes:
        """Zero if there is none. The market keeps only the trainer's last: `TransactionReverted` (StateOverwritten)
        if there was one in a later round."""
        return self._read("selfCommitOf", project, round, trainer, ref=ref)

    def reveal_state_of(self, project: int, round: int, trainer: str, ref: BlockRef = "latest") -> RevealState:
        """The market keeps only the trainer's last: `TransactionReverted` (StateOverwritten) if there was a reveal in
        a later round."""
        return RevealState(self._read("revealStateOf", project, round, trainer, ref=ref))

    def fees_of(self, token: str, aggregator: str, ref: BlockRef = "latest") -> int:
        return self._read("feesOf", token, aggregator, ref=ref)

    def standing_of(self, trainer: str, ref: BlockRef = "latest") -> Standing:
        return Standing.from_abi(self._read("standingOf", trainer, ref=ref))

    def commitment_of(self, project: int, round: int, trainer: str, update: bytes, salt: bytes) -> bytes:
        """The contract's own computation, for comparison with `commitments.commitment`."""
        return self._read("commitmentOf", project, round, trainer, update, salt)

    def reveals_hash_of(self, reveals: Sequence[Reveal]) -> bytes:
        """The contract's own computation, for comparison with `commitments.reveals_hash`."""
        return self._read("revealsHashOf", list(reveals))

    def payout_leaf_of(self, project: int, round: int, row: int, trainer: str, amount: int) -> bytes:
        """The contract's own computation, for comparison with `payout.payout_leaf`."""
        return self._read("payoutLeafOf", project, round, row, trainer, amount)


class Market(MarketReads):
    """One deployed market: reads, and a builder for each call that changes it.

    Builders raise `ArgumentInvalid` for values that do not fit; whether the market would accept the call is said by
    `simulate`, or when the transaction is sent.
    """

    def simulate(self, request: TransactionRequest, sender: str) -> bytes:
        """Runs the request without sending it. Raises `TransactionReverted` if the market would refuse."""
        return self.client.call(
            request.to,
            request.data,
            sender=sender,
            value=request.value,
            ref="pending",
            what=request.describe or "the transaction",
        )

    def _build(self, describe: str, name: str, *arguments: Any) -> TransactionRequest:
        return TransactionRequest(self.address, self.abi.encode_call(name, *arguments), describe=describe)

    def create_project(self, terms: ProjectTerms, deposit: int) -> TransactionRequest:
        """The signer becomes the owner. Needs an allowance of `deposit` for the market."""
        return self._build(
            f"create a project and deposit {deposit} base units of token {terms.token}",
            "createProject",
            terms,
            deposit,
        )

    def fund(self, project: int, amount: int) -> TransactionRequest:
        """Needs an allowance of `amount` for the market."""
        return self._build(f"add {amount} base units to the escrow of project {project}", "fund", project, amount)

    def end_project(self, project: int) -> TransactionRequest:
        return self._build(f"end project {project}: no round opens any more", "endProject", project)

    def refund(self, project: int) -> TransactionRequest:
        return self._build(f"send the free escrow of project {project} back to its owner", "refund", project)

    def join(self, project: int) -> TransactionRequest:
        """Needs an allowance of the project's stake for the market."""
        return self._build(f"join project {project} with its stake", "join", project)

    def leave(self, project: int) -> TransactionRequest:
        return self._build(f"leave project {project}", "leave", project)

    def withdraw_stake(self, project: int, trainer: str) -> TransactionRequest:
        return self._build(f"send the stake in project {project} back to {trainer}", "withdrawStake", project, trainer)

    def open_round(self, project: int) -> TransactionRequest:
        return self._build(f"open the next round of project {project}", "openRound", project)

    def commit_batch(
        self, project: int, round: int, leaves: Sequence[CommitLeaf], signatures: Sequence[CommitSignature]
    ) -> TransactionRequest:
        """`leaves` strictly increasing by trainer, `signatures[i]` for `leaves[i]`."""
        return self._build(
            f"post {len(leaves)} commitments for round {project}/{round}",
            "commitBatch",
            project,
            round,
            list(leaves),
            list(signatures),
        )

    def commit_self(self, project: int, round: int, commitment: bytes) -> TransactionRequest:
        return self._build(
            f"post your commitment for round {project}/{round}", "commitSelf", project, round, commitment
        )

    def reveal(
        self,
        project: int,
        round: int,
        batch: Sequence[CommitLeaf],
        reveals: Sequence[Reveal],
        receipts: Sequence[Receipt],
    ) -> TransactionRequest:
        """`batch` as posted (empty if every reveal is self-posted)."""
        return self._build(
            f"reveal {len(reveals)} updates of round {project}/{round}",
            "reveal",
            project,
            round,
            list(batch),
            list(reveals),
            list(receipts),
        )

    def advance(self, project: int, round: int) -> TransactionRequest:
        return self._build(f"end the phase of round {project}/{round} early", "advance", project, round)

    def settle(
        self,
        project: int,
        round: int,
        rows: Sequence[Row],
        outcomes: Sequence[Outcome],
        next_model: NextModel,
        bundle_cid: bytes,
        evidence: bytes,
    ) -> TransactionRequest:
        """`rows` and `outcomes` in order of admission; `evidence` as the project's verifier wants it."""
        return self._build(
            f"settle round {project}/{round}",
            "settle",
            project,
            round,
            list(rows),
            list(outcomes),
            next_model,
            bundle_cid,
            evidence,
        )

    def close_round(self, project: int, round: int, rows: Sequence[Row]) -> TransactionRequest:
        return self._build(
            f"close round {project}/{round}, which nobody can settle any more",
            "closeRound",
            project,
            round,
            list(rows),
        )

    def claim(self, project: int, trainer: str, items: Sequence[ClaimItem]) -> TransactionRequest:
        total = sum(item.amount for item in items)
        return self._build(
            f"pay {trainer} {total} base units earned in {len(items)} rounds of project {project}",
            "claim",
            project,
            trainer,
            list(items),
        )

    def withdraw_fees(self, token: str) -> TransactionRequest:
        return self._build(f"take out your fees in token {token}", "withdrawFees", token)

    def self_permit(self, token: str, value: int, deadline: int, v: int, r: bytes, s: bytes) -> TransactionRequest:
        """Uses an EIP-2612 signature of the sender, so that no separate approval is needed."""
        return self._build(
            f"allow the market {value} base units of token {token}",
            "selfPermit",
            token,
            value,
            deadline,
            v,
            r,
            s,
        )

    def multicall(self, requests: Sequence[TransactionRequest]) -> TransactionRequest:
        """Several calls of the market in one transaction: all of them or none."""
        return self._build(
            "; ".join(request.describe for request in requests),
            "multicall",
            [request.data for request in requests],
        )
