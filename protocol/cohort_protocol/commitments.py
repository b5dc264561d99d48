"""Commitments and EIP-712 typed data: the bytes that trainers and witnesses sign.

Twins of `contracts/src/rounds/` and `contracts/src/verification/AttestedVerifier.sol`; `tests/` compares both on
random cases. CIDs are 36 bytes and signatures 65 bytes (r, s, v) here; `cid_parts` and `compact_signature` give the
forms that go on chain. Sources: EIP-712 (typed data), EIP-2098 (compact signatures), EIP-2 (low s).
"""

from __future__ import annotations

import hmac
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Protocol

from eth_abi import encode
from eth_account import Account
from eth_account.messages import SignableMessage, encode_typed_data
from eth_account.signers.local import LocalAccount
from eth_utils import keccak

from cohort_protocol.errors import InvalidInput, SignatureInvalid
from cohort_protocol.identifiers import parse_address

COMMITMENT_TYPEHASH = keccak(text="CohortCommitment(uint256 chainId,address market,uint256 project,uint32 round)")

MARKET_DOMAIN = ("CohortMarket", "1")
VERIFIER_DOMAIN = ("CohortAttestedVerifier", "1")
PROVEN_DOMAIN = ("CohortProvenVerifier", "1")

COMMIT_TYPE = [
    ("uint256", "project"),
    ("uint32", "round"),
    ("uint32", "member"),
    ("bytes32", "commitment"),
]
RECEIPT_TYPE = [
    ("uint256", "project"),
    ("uint32", "round"),
    ("bytes32", "openingsHash"),
    ("uint32", "endorsed"),
    ("uint32", "refused"),
]
MODEL_RECEIPT_TYPE = [("uint256", "project"), ("bytes32", "model")]
PUBLIC_ROWS_TYPE = [("uint256", "project"), ("uint32", "round"), ("bytes32", "rows")]
CLAIM_TO_TYPE = [
    ("uint256", "project"),
    ("uint32", "member"),
    ("bytes32", "itemsHash"),
    ("address", "to"),
    ("uint64", "expiry"),
]
SETTLEMENT_TYPE = [
    ("address", "market"),
    ("uint256", "project"),
    ("uint32", "round"),
    ("uint32", "dimension"),
    ("bytes32", "admittedHash"),
    ("bytes32", "validation"),
    ("bytes32", "publicRows"),
    ("bytes32", "policyHash"),
    ("bytes32", "outcomesHash"),
    ("bytes32", "previousModel"),
    ("bytes32", "nextModel"),
    ("bytes32", "nextModelCid"),
    ("bytes32", "bundleCid"),
]
MODEL_BYTES_TYPE = [
    ("address", "market"),
    ("uint256", "project"),
    ("uint32", "round"),
    ("bytes32", "model"),
    ("bytes32", "modelCid"),
    ("bytes32", "bundleCid"),
]

ZERO32 = bytes(32)
"""Stands for "none" where a hash may be missing."""

_CID_BYTES = 36
_HALF_ORDER = 0x7FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF5D576E7357A4501DDFE92F46681B20A0
"""Half the order of secp256k1: s of a signature is at most this (EIP-2)."""
_PARITY = 1 << 255


@dataclass(frozen=True)
class MarketId:
    """Which market: binds every signature to one chain and one contract."""

    chain_id: int
    market: str
    verifier: str
    """The project's verifier, attested or proven: the domain of what is signed for a settlement."""


@dataclass(frozen=True)
class SettlementStatement:
    """What a witness signs when it agrees with a round's outcome. Fields as in `IRoundVerifier.Statement`."""

    project: int
    round: int
    dimension: int
    """Length of an update and of a model, as in the project's terms."""
    admitted_hash: bytes
    policy_hash: bytes
    outcomes_hash: bytes
    previous_model: bytes
    next_model: bytes
    next_model_cid: bytes
    """The 36 raw bytes of the CID (hashed in the statement)."""
    bundle_cid: bytes
    """The 36 raw bytes of the CID (hashed in the statement)."""
    validation: bytes = ZERO32
    """Digest of the round's validation batch; zeros: none was revealed."""
    public_rows: bytes = ZERO32
    """Commitment of the public rows; zeros: none was posted."""


# --- CIDs and signatures, as they go on chain -------------------------------------------------------------------------


def cid_parts(cid: bytes) -> tuple[int, bytes]:
    """(codec, sha2-256 digest) of a CIDv1 of 36 bytes. Raises `InvalidInput` for any other form.

    The codec is not judged here: the contract and `ipfs.cid.Cid` do.
    """
    if not isinstance(cid, bytes) or len(cid) != _CID_BYTES or cid[0] != 1 or cid[2:4] != b"\x12\x20":
        raise InvalidInput(f"{cid!r:.90} is not a CIDv1 with a sha2-256 digest: expected 01, codec, 12 20, 32 bytes")
    return cid[1], cid[4:]


def cid_from_parts(codec: int, digest: bytes) -> bytes:
    """The 36 bytes of a CIDv1 with a sha2-256 digest."""
    return bytes((1, codec, 0x12, 0x20)) + digest


def cid_hash(cid: bytes) -> bytes:
    """How a statement names a CID: keccak256 of its 36 bytes."""
    return keccak(cid_from_parts(*cid_parts(cid)))


def compact_signature(signature: bytes) -> tuple[bytes, bytes]:
    """(r, vs) of a 65-byte signature (r, s, v): the parity of v moves into the top bit of s (EIP-2098).

    Raises `SignatureInvalid` unless v is 27 or 28 and s is low, which is what the contracts accept.
    """
    if not isinstance(signature, bytes) or len(signature) != 65:
        raise SignatureInvalid(f"a signature is 65 bytes (r, s, v), this one has {len(signature)}")
    r, s, v = signature[:32], int.from_bytes(signature[32:64], "big"), signature[64]
    if v not in (27, 28):
        raise SignatureInvalid(f"a signature ends with 27 or 28, this one with {v}")
    if s > _HALF_ORDER:
        raise SignatureInvalid("the signature has a high s (EIP-2): sign again with a wallet that gives the low one")
    return r, ((v - 27) * _PARITY | s).to_bytes(32, "big")


def full_signature(r: bytes, vs: bytes) -> bytes:
    """The 65 bytes (r, s, v) of a compact signature: the reverse of `compact_signature`."""
    word = int.from_bytes(vs, "big")
    return r + (word % _PARITY).to_bytes(32, "big") + bytes([27 + word // _PARITY])


# --- packed rows and leaves -------------------------------------------------------------------------------------------


def pack_row(member: int, update: bytes, cid: bytes) -> bytes:
    """What a commitment opens to, 69 bytes: member (4, big endian), codec (1), update commitment (32), digest of the
    CID (32). `cid`: 36 bytes. The same bytes in commitments, receipts, events and the chain of admitted rows.

    Raises `InvalidInput` for what does not fit.
    """
    codec, digest = cid_parts(cid)
    return _packed_member(member) + bytes([codec]) + _word(update, "update") + digest


class PackedRow(Protocol):
    """What 69 bytes say: an opening without its salt, or an admitted row."""

    @property
    def member(self) -> int: ...
    @property
    def update(self) -> bytes:
        """keccak256 of the canonical bytes of the update."""
        ...

    @property
    def cid(self) -> bytes:
        """36 bytes."""
        ...


def pack_rows(rows: Iterable[PackedRow]) -> bytes:
    """69 bytes per row, see `pack_row`. Raises `InvalidInput`."""
    return b"".join(pack_row(row.member, row.update, row.cid) for row in rows)


def pack_leaf(member: int, commitment: bytes) -> bytes:
    """An entry of a batch, 36 bytes: member (4, big endian), commitment (32). Raises `InvalidInput`."""
    return _packed_member(member) + _word(commitment, "commitment")


def pack_members(members: Iterable[int]) -> bytes:
    """4 bytes each, big endian. Raises `InvalidInput`."""
    return b"".join(_packed_member(member) for member in members)


def _packed_member(member: int) -> bytes:
    if not 0 <= member < 2**32:
        raise InvalidInput(f"member numbers have 32 bits, this one is {member}")
    return member.to_bytes(4, "big")


def _word(value: bytes, what: str) -> bytes:
    if not isinstance(value, bytes) or len(value) != 32:
        raise InvalidInput(f"{what} is exactly 32 bytes, got {value!r:.80}")
    return value


# --- hashes -----------------------------------------------------------------------------------------------------------


def commitment_domain(chain_id: int, market: str, project: int, round: int) -> bytes:
    """What every commitment of a round begins with, 32 bytes."""
    return keccak(
        encode(
            ["bytes32", "uint256", "address", "uint256", "uint32"],
            [COMMITMENT_TYPEHASH, chain_id, market, project, round],
        )
    )


def commitment_in(domain: bytes, member: int, update: bytes, cid: bytes, salt: bytes) -> bytes:
    """The commitment in the round of `domain`, 32 bytes: keccak256(domain || row || salt)."""
    return keccak(domain + pack_row(member, update, cid) + _word(salt, "salt"))


def commitment(
    market: MarketId, project: int, round: int, member: int, update: bytes, cid: bytes, salt: bytes
) -> bytes:
    """The 32 bytes that a trainer commits to: binds the update and its CID (36 bytes) to the chain, market, round and
    member, so that a copied commitment can be opened by nobody else and no CID can be swapped."""
    return commitment_in(commitment_domain(market.chain_id, market.market, project, round), member, update, cid, salt)


def derive_salt(private_key: bytes, market: MarketId, project: int, round: int) -> bytes:
    """The salt of a trainer's commitment, from the key and the round (HMAC-SHA256, RFC 2104): a trainer who loses
    everything but the key can still open the commitment."""
    label = b"cohort/salt/v1" + encode(
        ["uint256", "address", "uint256", "uint32"], [market.chain_id, market.market, project, round]
    )
    return hmac.new(private_key, label, sha256).digest()


def openings_hash(openings: Sequence[PackedRow]) -> bytes:
    """What a receipt speaks of: keccak256 of the packed rows, in the order of the call."""
    return keccak(pack_rows(openings))


def admitted_hash(admissions: Sequence[Sequence[PackedRow]]) -> bytes:
    """The chain over the calls of `reveal` that admitted rows, in order; for each the rows that it admitted. A link is
    keccak256(previous, keccak256(members), keccak256(rows)), the first one begins with zeros."""
    link = ZERO32
    for rows in admissions:
        link = keccak(link + keccak(pack_members(row.member for row in rows)) + openings_hash(rows))
    return link


def outcomes_hash(outcomes: Sequence[tuple[int, int]]) -> bytes:
    """keccak256 of one word per row, score << 8 | reason, of (score, reason) per row."""
    return keccak(b"".join(word.to_bytes(32, "big") for word in _outcome_words(outcomes)))


def encode_outcomes(outcomes: Sequence[tuple[int, int]]) -> bytes:
    """The policy input of `SuppliedScores`: abi.encode(uint256[]) of score << 8 | reason per row."""
    return encode(["uint256[]"], [_outcome_words(outcomes)])


def _outcome_words(outcomes: Sequence[tuple[int, int]]) -> list[int]:
    for row, (score, reason) in enumerate(outcomes):
        if not 0 <= score < 2**64 or not 0 <= reason < 256:
            raise InvalidInput(f"row {row} has score {score} and reason {reason}: allowed are 64 and 8 bits")
    return [score << 8 | reason for score, reason in outcomes]


def batch_hash(leaves: Sequence[tuple[int, bytes]]) -> bytes:
    """keccak256 of the packed leaves (member, commitment)."""
    return keccak(b"".join(pack_leaf(*leaf) for leaf in leaves))


def claim_items_hash(items: Sequence[int]) -> bytes:
    """What a `ClaimTo` signature speaks of: keccak256 of the words of the claim (`chain.packed.pack_claims`)."""
    return keccak(b"".join(item.to_bytes(32, "big") for item in items))


# --- messages ---------------------------------------------------------------------------------------------------------


def _typed_data(
    domain: tuple[str, str], chain_id: int, contract: str, name: str, fields: list[tuple[str, str]], message: dict
) -> SignableMessage:
    return encode_typed_data(
        domain_data={"name": domain[0], "version": domain[1], "chainId": chain_id, "verifyingContract": contract},
        message_types={name: [{"type": kind, "name": field} for kind, field in fields]},
        message_data=message,
    )


def _market_message(market: MarketId, name: str, fields: list[tuple[str, str]], message: dict) -> SignableMessage:
    return _typed_data(MARKET_DOMAIN, market.chain_id, market.market, name, fields, message)


def commit_message(market: MarketId, project: int, round: int, member: int, commitment: bytes) -> SignableMessage:
    """EIP-712 `Commit`, by the trainer or its delegate: lets the aggregator post the commitment in a batch. Good for
    the commit phase of this very round."""
    fields = {"project": project, "round": round, "member": member, "commitment": commitment}
    return _market_message(market, "Commit", COMMIT_TYPE, fields)


def receipt_message(
    market: MarketId, project: int, round: int, openings_hash: bytes, endorsed: int, refused: int
) -> SignableMessage:
    """EIP-712 `Receipt`: a witness's word on a set of openings."""
    fields = {
        "project": project,
        "round": round,
        "openingsHash": openings_hash,
        "endorsed": endorsed,
        "refused": refused,
    }
    return _market_message(market, "Receipt", RECEIPT_TYPE, fields)


def model_receipt_message(market: MarketId, project: int, model: bytes) -> SignableMessage:
    """EIP-712 `ModelReceipt`: a witness's word that the bytes of the pending model can be fetched and open its
    commitment."""
    return _market_message(market, "ModelReceipt", MODEL_RECEIPT_TYPE, {"project": project, "model": model})


def public_rows_message(market: MarketId, project: int, round: int, rows: bytes) -> SignableMessage:
    """EIP-712 `PublicRows`: a witness's word that `rows` commits to the round's public rows."""
    fields = {"project": project, "round": round, "rows": rows}
    return _market_message(market, "PublicRows", PUBLIC_ROWS_TYPE, fields)


def claim_to_message(
    market: MarketId, project: int, member: int, items_hash: bytes, to: str, expiry: int
) -> SignableMessage:
    """EIP-712 `ClaimTo`: lets anyone send a trainer's pay to another address. See `claim_items_hash`."""
    fields = {"project": project, "member": member, "itemsHash": items_hash, "to": to, "expiry": expiry}
    return _market_message(market, "ClaimTo", CLAIM_TO_TYPE, fields)


def settlement_message(market: MarketId, statement: SettlementStatement) -> SignableMessage:
    """EIP-712 `Settlement`: a witness's word on the outcome of a round."""
    return _typed_data(
        VERIFIER_DOMAIN,
        market.chain_id,
        market.verifier,
        "Settlement",
        SETTLEMENT_TYPE,
        {
            "market": market.market,
            "project": statement.project,
            "round": statement.round,
            "dimension": statement.dimension,
            "admittedHash": statement.admitted_hash,
            "validation": statement.validation,
            "publicRows": statement.public_rows,
            "policyHash": statement.policy_hash,
            "outcomesHash": statement.outcomes_hash,
            "previousModel": statement.previous_model,
            "nextModel": statement.next_model,
            "nextModelCid": cid_hash(statement.next_model_cid),
            "bundleCid": cid_hash(statement.bundle_cid),
        },
    )


def model_bytes_message(
    market: MarketId, project: int, round: int, model: bytes, model_cid: bytes, bundle_cid: bytes
) -> SignableMessage:
    """EIP-712 `ModelBytes`, for a proven round: a witness's word that the bytes of the next model can be fetched under
    its CID and open its commitment, and that the round's bundle can be fetched. CIDs: 36 bytes each.

    `market.verifier` is the proven verifier, whose domain this is."""
    fields = {
        "market": market.market,
        "project": project,
        "round": round,
        "model": model,
        "modelCid": cid_hash(model_cid),
        "bundleCid": cid_hash(bundle_cid),
    }
    return _typed_data(PROVEN_DOMAIN, market.chain_id, market.verifier, "ModelBytes", MODEL_BYTES_TYPE, fields)


def sign(message: SignableMessage, account: LocalAccount) -> bytes:
    """The 65-byte signature (r, s, v; s low, EIP-2) of a typed message."""
    return bytes(account.sign_message(message).signature)


def check_signature(message: SignableMessage, signature: bytes, expected: str) -> None:
    """Raises `SignatureInvalid` unless `signature` over `message` recovers to `expected`, in the one form that the
    contracts accept (65 bytes, v 27 or 28, low s)."""
    signed_by(message, signature, (expected,))


def signed_by(message: SignableMessage, signature: bytes, allowed: Collection[str]) -> str:
    """Who of `allowed` (for example a trainer and its delegate) signed `message`. Raises `SignatureInvalid`."""
    compact_signature(signature)
    try:
        recovered = Account.recover_message(message, signature=signature)
    except Exception as error:  # eth-keys raises several unrelated types on malformed points
        raise SignatureInvalid(f"the signature is malformed: {error}") from error
    wanted = [parse_address(address) for address in allowed]
    if recovered not in wanted:
        raise SignatureInvalid(
            f"the signature is by {recovered}, expected {' or '.join(wanted)}: check the key, the chain id and the "
            f"contract"
        )
    return recovered


def encode_evidence(signatures: Sequence[tuple[int, bytes]]) -> bytes:
    """The evidence of the attested verifier: abi.encode(WitnessSignature[]) of (witness index, 65-byte signature),
    strictly increasing by witness."""
    ordered = sorted(signatures)
    if len({witness for witness, _ in ordered}) != len(ordered):
        raise InvalidInput(f"a witness signed twice: {[witness for witness, _ in ordered]}")
    return encode(["(uint8,bytes32,bytes32)[]"], [[(w, *compact_signature(signature)) for w, signature in ordered]])
