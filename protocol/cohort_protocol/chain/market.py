"""The market contract: typed reads, and builders of the transactions that change it.

Builders return what to sign and hold no key.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from cohort_protocol.chain.errors import ArgumentInvalid
from cohort_protocol.chain.packed import (
    Batch,
    ClaimItem,
    CommitLeaf,
    Opening,
    admission,
    pack_claims,
    pack_leaves,
    pack_signatures,
)
from cohort_protocol.chain.reads import MarketReads
from cohort_protocol.chain.transactions import TransactionRequest
from cohort_protocol.chain.types import ZERO_ADDRESS, NextModel, ProjectTerms, Receipt, WitnessSignature
from cohort_protocol.commitments import PackedRow, cid_parts, commitment_domain, commitment_in, pack_rows
from cohort_protocol.errors import InvalidInput

__all__ = ["Market", "MarketReads"]

_NO_BATCH = Batch()


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

    # -- projects

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

    def add_aggregator(self, project: int, aggregator: str) -> TransactionRequest:
        """By the owner; nobody can be removed."""
        return self._build(
            f"let {aggregator} accept later rounds of project {project}", "addAggregator", project, aggregator
        )

    def end_project(self, project: int) -> TransactionRequest:
        return self._build(f"end project {project}: no round opens any more", "endProject", project)

    def refund(self, project: int) -> TransactionRequest:
        return self._build(f"send the free escrow of project {project} back to its owner", "refund", project)

    def collect_protocol_fees(self, project: int) -> TransactionRequest:
        return self._build(
            f"send the protocol's fees of project {project} to their recipient", "collectProtocolFees", project
        )

    # -- members

    def join(
        self, project: int, access_proof: Sequence[bytes] = (), standing_projects: Sequence[int] = ()
    ) -> TransactionRequest:
        """Needs an allowance of the project's stake for the market, unless somebody staked for the signer already.

        access_proof: Merkle proof of the signer, if the project has a list. standing_projects: those that vouch for
        the signer's reliability, in the order of `standing.standing_order`, if the project asks for some.
        """
        return self._build(
            f"join project {project} with its stake", "join", project, list(access_proof), list(standing_projects)
        )

    def stake_for(self, project: int, trainer: str) -> TransactionRequest:
        """Needs an allowance of the project's stake for the market. Only the trainer can take it out again."""
        return self._build(f"pay the stake of {trainer} in project {project}", "stakeFor", project, trainer)

    def set_delegate(self, project: int, delegate: str | None) -> TransactionRequest:
        """`delegate` may commit and reveal for the signer, and never move money; None revokes."""
        if delegate is None:
            return self._build(
                f"let nobody else commit for you in project {project}", "setDelegate", project, ZERO_ADDRESS
            )
        return self._build(
            f"let {delegate} commit and reveal for you in project {project}", "setDelegate", project, delegate
        )

    def leave(self, project: int) -> TransactionRequest:
        return self._build(f"leave project {project}", "leave", project)

    def withdraw_stake(self, project: int, trainer: str) -> TransactionRequest:
        return self._build(f"send the stake in project {project} back to {trainer}", "withdrawStake", project, trainer)

    # -- bonds

    def deposit_bond(self, project: int, amount: int) -> TransactionRequest:
        """Needs an allowance of `amount` for the market."""
        return self._build(f"add {amount} base units to your bond in project {project}", "depositBond", project, amount)

    def withdraw_bond(self, project: int, amount: int) -> TransactionRequest:
        """Fees are part of the bond's free balance."""
        return self._build(
            f"take {amount} base units out of your bond in project {project}", "withdrawBond", project, amount
        )

    def accept(self, project: int, round: int) -> TransactionRequest:
        """`round` is the next one (newest + 1)."""
        return self._build(f"accept round {project}/{round} with your bond", "accept", project, round)

    def withdraw_acceptance(self, project: int, round: int) -> TransactionRequest:
        return self._build(
            f"take back your acceptance of round {project}/{round}", "withdrawAcceptance", project, round
        )

    # -- rounds

    def open_round(self, project: int) -> TransactionRequest:
        return self._build(f"open the next round of project {project}", "openRound", project)

    def commit_batch(
        self, project: int, round: int, leaves: Sequence[CommitLeaf], signatures: Sequence[bytes]
    ) -> TransactionRequest:
        """`leaves` strictly increasing by member, `signatures[i]` (EIP-712 `Commit`, 65 bytes) for `leaves[i]`."""
        with _arguments_of("commitBatch"):
            packed = pack_leaves(leaves), pack_signatures(signatures)
        return self._build(
            f"post {len(leaves)} commitments for round {project}/{round}", "commitBatch", project, round, *packed
        )

    def commit_self(
        self, project: int, round: int, member: int, commitment: bytes, batch: Batch = _NO_BATCH
    ) -> TransactionRequest:
        """By the trainer or its delegate. `batch` as posted, empty if none was."""
        return self._build(
            f"post the commitment of member {member} for round {project}/{round}",
            "commitSelf",
            project,
            round,
            member,
            commitment,
            _whole(batch, "commitSelf"),
        )

    def reveal(
        self, project: int, round: int, batch: Batch, openings: Sequence[Opening], receipts: Sequence[Receipt]
    ) -> TransactionRequest:
        """`batch` as posted, of which only the leaves are sent that are not opened here (it may be empty if every
        opening is of a self-posted commitment); `openings` strictly increasing by member, `receipts` by witness."""
        return self._build(
            f"reveal {len(openings)} updates of round {project}/{round}",
            "reveal",
            project,
            round,
            *self._opened(project, round, batch, openings, "reveal"),
            list(receipts),
        )

    def rescue(self, project: int, round: int, batch: Batch, openings: Sequence[Opening]) -> TransactionRequest:
        """Saves the stakes of commitments that were not admitted. `batch` and `openings` as for `reveal`."""
        return self._build(
            f"open {len(openings)} commitments of round {project}/{round} to save their stakes",
            "rescue",
            project,
            round,
            *self._opened(project, round, batch, openings, "rescue"),
        )

    def _opened(
        self, project: int, round: int, batch: Batch, openings: Sequence[Opening], where: str
    ) -> tuple[bytes, bytes, list[bytes]]:
        """Leaves, rows and salts of a call that opens commitments."""
        with _arguments_of(where):
            domain = commitment_domain(self.client.chain_id, self.address, project, round)
            opened = {one.member: commitment_in(domain, one.member, one.update, one.cid, one.salt) for one in openings}
            return batch.beside(opened), pack_rows(openings), [one.salt for one in openings]

    def slash_no_reveal(self, project: int, round: int, member: int, batch: Batch = _NO_BATCH) -> TransactionRequest:
        """A tenth of the stake goes to the signer. `batch` as posted (empty if the commitment was self-posted)."""
        return self._build(
            f"slash member {member}, who opened nothing in round {project}/{round}",
            "slashNoReveal",
            project,
            round,
            member,
            _whole(batch, "slashNoReveal"),
        )

    def reveal_validation(self, project: int, round: int, digest: bytes, proof: Sequence[bytes]) -> TransactionRequest:
        return self._build(
            f"reveal the validation batch of round {project}/{round}",
            "revealValidation",
            project,
            round,
            digest,
            list(proof),
        )

    def post_public_rows(
        self, project: int, round: int, rows: bytes, signatures: Sequence[WitnessSignature]
    ) -> TransactionRequest:
        """`signatures`: EIP-712 `PublicRows` by a quorum, strictly increasing by witness."""
        return self._build(
            f"post the public rows of round {project}/{round}",
            "postPublicRows",
            project,
            round,
            rows,
            list(signatures),
        )

    # -- settlement

    def settle(
        self,
        project: int,
        round: int,
        admissions: Sequence[Sequence[PackedRow]],
        policy_input: bytes,
        next_model: NextModel,
        bundle_cid: bytes,
        evidence: bytes,
    ) -> TransactionRequest:
        """`admissions`: for each call of `reveal` that admitted any, in order, the rows that it admitted (see
        `packed.by_admission`); `policy_input` as the project's policy and `evidence` as its verifier want them
        (`commitments.encode_outcomes`, `commitments.encode_evidence`); `bundle_cid`: 36 bytes."""
        with _arguments_of("settle.bundle"):
            codec, digest = cid_parts(bundle_cid)
        return self._build(
            f"settle round {project}/{round}",
            "settle",
            project,
            round,
            _admissions(admissions, "settle"),
            policy_input,
            next_model,
            {"codec": codec, "digest": digest},
            evidence,
        )

    def close_round(self, project: int, round: int, admissions: Sequence[Sequence[PackedRow]]) -> TransactionRequest:
        """`admissions` as for `settle`; none if nothing was admitted."""
        return self._build(
            f"close round {project}/{round}, which nobody can settle any more",
            "closeRound",
            project,
            round,
            _admissions(admissions, "closeRound"),
        )

    def receipt_model(self, project: int, signatures: Sequence[WitnessSignature]) -> TransactionRequest:
        """`signatures`: EIP-712 `ModelReceipt` by a quorum, strictly increasing by witness."""
        return self._build(
            f"vouch for the bytes of the pending model of project {project}",
            "receiptModel",
            project,
            list(signatures),
        )

    # -- payouts

    def claim(self, project: int, member: int, items: Sequence[ClaimItem]) -> TransactionRequest:
        """The money goes to the trainer, whoever signs."""
        return self._build(
            f"pay member {member} {_total(items)} base units earned in {len(items)} rounds of project {project}",
            "claim",
            project,
            member,
            *_claims(items, "claim"),
        )

    def claim_to(
        self,
        project: int,
        member: int,
        items: Sequence[ClaimItem],
        to: str,
        expiry: int = 0,
        signature: bytes = b"",
    ) -> TransactionRequest:
        """By the trainer itself (no signature), or by anyone with its EIP-712 `ClaimTo` over the words of these items
        (`packed.pack_claims`)."""
        return self._build(
            f"pay {_total(items)} base units, earned by member {member} in {len(items)} rounds of project {project}, "
            f"to {to}",
            "claimTo",
            project,
            member,
            *_claims(items, "claimTo"),
            to,
            expiry,
            signature,
        )

    # -- several at once

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


def _total(items: Sequence[ClaimItem]) -> int:
    return sum(item.amount for item in items)


def _whole(batch: Batch, where: str) -> bytes:
    with _arguments_of(where):
        return batch.packed


def _admissions(admissions: Sequence[Sequence[PackedRow]], where: str) -> list[Any]:
    with _arguments_of(where):
        return [admission(rows) for rows in admissions]


def _claims(items: Sequence[ClaimItem], where: str) -> tuple[list[int], list[bytes]]:
    with _arguments_of(where):
        return pack_claims(items)


@contextmanager
def _arguments_of(where: str) -> Iterator[None]:
    """What cannot be packed is an argument that the call cannot take."""
    try:
        yield
    except InvalidInput as error:
        raise ArgumentInvalid(f"{where}: {error}") from error
