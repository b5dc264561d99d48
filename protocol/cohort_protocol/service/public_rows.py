"""What goes over the wire about the public rows of a round (see `messages`)."""

from __future__ import annotations

from cohort_protocol.identifiers import Address, Bytes32
from cohort_protocol.service.terms import Detail, Message, Signature


class PublicRowsProposal(Message):
    """The public rows that the aggregator computed from the revealed batch. Witnesses compute their own, compare, and
    sign or refuse; the quorum's signatures let anybody post them."""

    rows: Bytes32
    """What is signed: SHA-256 of the manifest, hence its CID."""
    admitted_hash: Bytes32
    validation: Bytes32
    """Digest of the round's batch."""
    signed_by: list[Address]


class PublicRowsSignature(Message):
    """POST /v1/projects/{p}/rounds/{r}/public-rows/signatures: a witness's EIP-712 `PublicRows`."""

    witness: Address
    rows: Bytes32
    signature: Signature


class PublicRowsRefusal(Message):
    """POST /v1/projects/{p}/rounds/{r}/public-rows/refusals: a witness computed other rows (EIP-191 over the canonical
    JSON of this message without the signature)."""

    witness: Address
    rows: Bytes32
    detail: Detail
    signature: Signature
