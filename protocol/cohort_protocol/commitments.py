"""Commitments and EIP-712 typed data: the bytes that trainers and witnesses sign.

Twins of `contracts/src/rounds/` and `contracts/src/verification/AttestedVerifier.sol`; `tests/` compares both on
random cases. Source: EIP-712.
"""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256

from eth_abi import encode
from eth_account import Account
from eth_account.messages import SignableMessage, encode_typed_data
from eth_account.signers.local import LocalAccount
from eth_utils import keccak

from cohort_protocol.errors import SignatureInvalid
from cohort_protocol.identifiers import parse_address

COMMITMENT_TYPEHASH = keccak(
    text="CohortCommitment(uint256 chainId,address market,uint256 project,uint32 round,"
    "address trainer,bytes32 update,bytes32 salt)"
)

MARKET_DOMAIN = ("CohortMarket", "1")
VERIFIER_DOMAIN = ("CohortAttestedVerifier", "1")

COMMIT_TYPE = [
    ("uint256", "project"),
    ("uint32", "round"),
    ("address", "trainer"),
    ("bytes32", "commitment"),
    ("uint64", "expiry"),
]
RECEIPT_TYPE = [
    ("uint256", "project"),
    ("uint32", "round"),
    ("bytes32", "revealsHash"),
    ("uint32", "endorsed"),
    ("uint32", "refused"),
]
SETTLEMENT_TYPE = [
    ("address", "market"),
    ("uint256", "project"),
    ("uint32", "round"),
    ("bytes32", "admittedHash"),
    ("bytes32", "policyHash"),
    ("bytes32", "outcomesHash"),
    ("bytes32", "previousModel"),
    ("bytes32", "nextModel"),
    ("bytes32", "nextModelCid"),
    ("bytes32", "bundleCid"),
]


@dataclass(frozen=True)
class MarketId:
    """Which market: binds every signature to one chain and one contract."""

    chain_id: int
    market: str
    verifier: str
    """The attested verifier, which is the domain of settlement signatures."""


@dataclass(frozen=True)
class SettlementStatement:
    """What a witness signs when it agrees with a round's outcome. Fields as in `IRoundVerifier.Statement`."""

    project: int
    round: int
    admitted_hash: bytes
    policy_hash: bytes
    outcomes_hash: bytes
    previous_model: bytes
    next_model: bytes
    next_model_cid: bytes
    """The 36 raw bytes of the CID (hashed in the statement)."""
    bundle_cid: bytes
    """The 36 raw bytes of the CID (hashed in the statement)."""


def commitment(market: MarketId, project: int, round: int, trainer: str, update: bytes, salt: bytes) -> bytes:
    """The 32 bytes that a trainer commits to: binds the update to the chain, market, round and trainer, so that a
    copied commitment can be opened by nobody else."""
    return keccak(
        encode(
            ["bytes32", "uint256", "address", "uint256", "uint32", "address", "bytes32", "bytes32"],
            [COMMITMENT_TYPEHASH, market.chain_id, market.market, project, round, trainer, update, salt],
        )
    )


def derive_salt(private_key: bytes, market: MarketId, project: int, round: int) -> bytes:
    """The salt of a trainer's commitment, from the key and the round (HMAC-SHA256, RFC 2104): a trainer who loses
    everything but the key can still open the commitment."""
    label = b"cohort/salt/v1" + encode(
        ["uint256", "address", "uint256", "uint32"], [market.chain_id, market.market, project, round]
    )
    return hmac.new(private_key, label, sha256).digest()


def reveals_hash(reveals: Sequence[tuple[str, bytes, bytes]]) -> bytes:
    """What a receipt speaks of. `reveals`: (trainer, update commitment, raw CID) in the order of the call."""
    packed = b"".join(
        encode(["address", "bytes32", "bytes32"], [trainer, update, keccak(cid)]) for trainer, update, cid in reveals
    )
    return keccak(packed)


def admitted_hash(rows: Sequence[tuple[str, bytes]]) -> bytes:
    """The chain over the admitted rows (trainer, update commitment), in order of admission."""
    digest = bytes(32)
    for trainer, update in rows:
        digest = keccak(encode(["bytes32", "address", "bytes32"], [digest, trainer, update]))
    return digest


def outcomes_hash(outcomes: Sequence[tuple[int, int]]) -> bytes:
    """keccak256(abi.encode(Outcome[])) of (score, reason) per row."""
    return keccak(encode(["(uint64,uint8)[]"], [list(outcomes)]))


def batch_hash(leaves: Sequence[tuple[str, bytes]]) -> bytes:
    """keccak256(abi.encode(CommitLeaf[])) of (trainer, commitment) per leaf."""
    return keccak(encode(["(address,bytes32)[]"], [list(leaves)]))


def _typed_data(
    domain: tuple[str, str], chain_id: int, contract: str, name: str, fields: list[tuple[str, str]], message: dict
) -> SignableMessage:
    return encode_typed_data(
        domain_data={"name": domain[0], "version": domain[1], "chainId": chain_id, "verifyingContract": contract},
        message_types={name: [{"type": kind, "name": field} for kind, field in fields]},
        message_data=message,
    )


def commit_message(
    market: MarketId, project: int, round: int, trainer: str, commitment: bytes, expiry: int
) -> SignableMessage:
    """EIP-712 `Commit`: lets the service post the trainer's commitment in a batch."""
    return _typed_data(
        MARKET_DOMAIN,
        market.chain_id,
        market.market,
        "Commit",
        COMMIT_TYPE,
        {"project": project, "round": round, "trainer": trainer, "commitment": commitment, "expiry": expiry},
    )


def receipt_message(
    market: MarketId, project: int, round: int, reveals_hash: bytes, endorsed: int, refused: int
) -> SignableMessage:
    """EIP-712 `Receipt`: a witness's word on a set of reveals."""
    return _typed_data(
        MARKET_DOMAIN,
        market.chain_id,
        market.market,
        "Receipt",
        RECEIPT_TYPE,
        {
            "project": project,
            "round": round,
            "revealsHash": reveals_hash,
            "endorsed": endorsed,
            "refused": refused,
        },
    )


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
            "admittedHash": statement.admitted_hash,
            "policyHash": statement.policy_hash,
            "outcomesHash": statement.outcomes_hash,
            "previousModel": statement.previous_model,
            "nextModel": statement.next_model,
            "nextModelCid": keccak(statement.next_model_cid),
            "bundleCid": keccak(statement.bundle_cid),
        },
    )


def sign(message: SignableMessage, account: LocalAccount) -> bytes:
    """The 65-byte signature (r, s, v; s low, EIP-2) of a typed message."""
    return bytes(account.sign_message(message).signature)


def check_signature(message: SignableMessage, signature: bytes, expected: str) -> None:
    """Raises `SignatureInvalid` unless `signature` over `message` recovers to `expected`."""
    if len(signature) != 65:
        raise SignatureInvalid(f"a signature is 65 bytes (r, s, v), this one has {len(signature)}")
    try:
        recovered = Account.recover_message(message, signature=signature)
    except Exception as error:  # eth-keys raises several unrelated types on malformed points
        raise SignatureInvalid(f"the signature is malformed: {error}") from error
    if recovered != parse_address(expected):
        raise SignatureInvalid(
            f"the signature is by {recovered}, expected {expected}: check the key, the chain id and the contract"
        )


def encode_evidence(signatures: Sequence[tuple[int, bytes]]) -> bytes:
    """The evidence of the attested verifier: abi.encode((uint8 witness, bytes signature)[]), strictly increasing by
    witness index."""
    return encode(["(uint8,bytes)[]"], [sorted(signatures)])
