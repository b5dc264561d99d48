"""Validation batches: drawn and committed to when a project is created, shown one per round after its commit phase.

A batch is a file (labels, then inputs) and a card, a small JSON block that names round, number of examples and the CID
of the file. The SHA-256 of the card is the round's digest on chain, so that the CID of the card follows from it; the
digests of all rounds are the leaves of a Merkle tree whose root stands in the terms. Before the owner shows a round's
digest nobody learns anything of its batch: the CID on the card commits to the examples. No torch.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from hashlib import sha256
from math import prod
from typing import Annotated, Literal

import numpy as np
from eth_abi import encode
from eth_utils import keccak
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from cohort_protocol.canonical import canonical_json, parse_json
from cohort_protocol.errors import InvalidInput
from cohort_protocol.identifiers import CidText
from cohort_protocol.ipfs.cid import RAW, Cid
from cohort_protocol.ipfs.store import IpfsStore
from cohort_protocol.ipfs.unixfs import cid_of
from cohort_protocol.learning.data import Dataset
from cohort_protocol.merkle import MerkleTree
from cohort_protocol.spec import DataSpec

BATCH_EXAMPLES = 128
"""Fewest in a batch: smaller ones say too little about eight updates."""
ROOMY_BATCH = 256
MAX_BATCH_EXAMPLES = 65_536
MAX_BATCH_BYTES = 64 * 2**20
MAX_BATCH_ROUNDS = 10_000
"""Most rounds of a project with batches: the owner keeps them all."""
MAX_CARD_BYTES = 1024
LARGEST_INPUT = np.float32(1e30)


class BatchMalformed(InvalidInput):
    """Not the validation batch of this round and data section. Nobody can judge by it."""

    code = "batch-malformed"


class BatchesImpossible(InvalidInput):
    """These validation examples make no batches."""

    code = "batches-impossible"


class BatchCard(BaseModel):
    """What a round's digest on chain is the SHA-256 of."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    version: Literal[1] = 1
    round: Annotated[int, Field(ge=1, le=MAX_BATCH_ROUNDS)]
    examples: Annotated[int, Field(ge=1, le=MAX_BATCH_EXAMPLES)]
    cid: CidText
    """Of the file with the examples."""

    def to_bytes(self) -> bytes:
        """Canonical bytes."""
        return canonical_json(self.model_dump(mode="json"))

    @property
    def digest(self) -> bytes:
        """32 bytes, what stands on chain."""
        return sha256(self.to_bytes()).digest()

    @classmethod
    def from_bytes(cls, data: bytes) -> BatchCard:
        """Parses untrusted bytes; only the canonical encoding is accepted. Raises `BatchMalformed`."""
        try:
            card = cls.model_validate(parse_json(data, MAX_CARD_BYTES))
        except (ValidationError, InvalidInput) as error:
            raise BatchMalformed(f"not the card of a validation batch: {str(error)[:300]}") from error
        if card.to_bytes() != data:
            raise BatchMalformed("the card of the validation batch is not in canonical form")
        return card


# --- the file ---------------------------------------------------------------------------------------------------------


def batch_bytes(examples: int, data: DataSpec) -> int:
    """Size of the file of a batch."""
    return 4 * examples * (1 + prod(data.shape))


def encode_batch(batch: Dataset) -> bytes:
    """int32[k] labels, then float32[k, *shape] inputs, little-endian."""
    return batch.labels.astype("<i4").tobytes() + np.ascontiguousarray(batch.inputs, "<f4").tobytes()


def decode_batch(content: bytes, examples: int, data: DataSpec) -> Dataset:
    """The inverse of `encode_batch` for untrusted bytes. Raises `BatchMalformed`."""
    if len(content) != batch_bytes(examples, data):
        raise BatchMalformed(
            f"a batch of {examples} examples of shape {data.shape} has {batch_bytes(examples, data)} bytes, the file "
            f"has {len(content)}"
        )
    labels = np.frombuffer(content, "<i4", examples).astype(np.int64)
    inputs = np.frombuffer(content, "<f4", offset=4 * examples).astype(np.float32).reshape(examples, *data.shape)
    if labels.min() < 0 or labels.max() >= data.classes:
        raise BatchMalformed(f"labels {labels.min()} .. {labels.max()} of a batch are outside 0 .. {data.classes - 1}")
    if not (np.abs(inputs) <= LARGEST_INPUT).all():
        raise BatchMalformed(f"inputs of a batch are not finite numbers of at most {LARGEST_INPUT:g}")
    return Dataset(inputs, labels)


def card_of(batch: Dataset, round: int) -> BatchCard:
    """The card of a batch."""
    return BatchCard(round=round, examples=len(batch), cid=str(cid_of(encode_batch(batch))))


def card_cid(digest: bytes) -> Cid:
    """Where the card of a round's digest (32 bytes) is: it is one raw block."""
    return Cid(RAW, digest)


def fetch_batch(store: IpfsStore, digest: bytes, round: int, data: DataSpec) -> Dataset:
    """The batch that was revealed for a round, verified against its digest on chain.

    Raises `BatchMalformed`, `ContentTooLarge`, `ContentMalformed` (the owner's fault), `ContentNotFound`,
    `ContentCorrupt`, `IpfsUnavailable`."""
    card = BatchCard.from_bytes(store.get(card_cid(digest), MAX_CARD_BYTES))
    if card.round != round:
        raise BatchMalformed(f"the batch revealed for round {round} is that of round {card.round}")
    size = batch_bytes(card.examples, data)
    if size > MAX_BATCH_BYTES:
        raise BatchMalformed(f"a batch of {size} bytes, at most {MAX_BATCH_BYTES} are read")
    return decode_batch(store.get(Cid.parse(card.cid), size), card.examples, data)


def keep_batch(store: IpfsStore, digest: bytes, data: DataSpec) -> None:
    """Pins a batch that `fetch_batch` has found good: later rounds read it again. Raises what the store raises."""
    content = store.get(card_cid(digest), MAX_CARD_BYTES)
    card = BatchCard.from_bytes(content)
    store.put(store.get(Cid.parse(card.cid), batch_bytes(card.examples, data)))
    store.put(content)


# --- drawing ----------------------------------------------------------------------------------------------------------


def draw_batches(examples: Dataset, rounds: int, size: int = BATCH_EXAMPLES, seed: int = 0) -> Iterator[Dataset]:
    """One batch per round: disjoint while the examples last (`fresh_batches`), then drawn anew from all of them, since
    a batch that was shown once can only be shown again. See `batch_rows`.

    Raises `BatchesImpossible`."""
    if not 1 <= rounds <= MAX_BATCH_ROUNDS:
        raise BatchesImpossible(f"{rounds} rounds: batches are made for 1 .. {MAX_BATCH_ROUNDS}")
    if not BATCH_EXAMPLES <= size <= min(MAX_BATCH_EXAMPLES, len(examples)):
        raise BatchesImpossible(
            f"batches of {size} examples from {len(examples)}: a batch holds {BATCH_EXAMPLES} .. {MAX_BATCH_EXAMPLES} "
            "of them; give more validation data, or take a policy without batches"
        )
    return (examples.take(batch_rows(examples.labels, number, size, seed)) for number in range(1, rounds + 1))


def default_batch_size(examples: int, rounds: int) -> int:
    """256 where every round can then show new examples, else 128. The more examples, the less of pay is luck
    (docs/decisions/0018)."""
    return ROOMY_BATCH if examples >= ROOMY_BATCH * rounds else BATCH_EXAMPLES


def batch_rows(labels: np.ndarray, number: int, size: int, seed: int) -> np.ndarray:
    """Which examples a round's batch holds, int64[size]. labels: int64[k] of all of them; number: the round, from 1.

    Batches are stratified (Cochran, Sampling Techniques, 1977, chapter 5): every class has the part of each batch that
    it has of all examples, up to one example, and so it has of the first half of a batch. How many examples of which
    class a batch happens to hold would otherwise decide much of the values of trainers who lack classes."""
    if number <= fresh_batches(len(labels), size):
        return stratified_order(labels, [seed, 0xBA7C])[(number - 1) * size : number * size]
    return stratified_order(labels, [seed, 0xBA7C, number])[:size]


def stratified_order(labels: np.ndarray, seed: Sequence[int]) -> np.ndarray:
    """An order of the examples, int64[k], in which every class is spread evenly; random within a class."""
    random = np.random.default_rng(seed)
    places = np.empty(len(labels))
    for label in np.unique(labels):
        members = random.permutation(np.flatnonzero(labels == label))
        places[members] = (np.arange(len(members)) + random.random()) / len(members)
    return np.argsort(places, kind="stable")


def fresh_batches(examples: int, size: int) -> int:
    """How many of the batches show nothing that an earlier one showed."""
    return examples // size


# --- the tree ---------------------------------------------------------------------------------------------------------


def batch_leaf(round: int, digest: bytes) -> bytes:
    """Twin of `PublicFacts.revealValidation`."""
    return keccak(keccak(encode(["uint32", "bytes32"], [round, digest])))


class BatchTree:
    """The Merkle tree of a project's batches; inner and odd nodes as in OpenZeppelin's MerkleProof."""

    def __init__(self, digests: Sequence[bytes]) -> None:
        """digests: 32 bytes each, of the rounds from 1 on. Raises `BatchesImpossible` if there are none."""
        if not digests:
            raise BatchesImpossible("a project with validation batches has at least one")
        self._tree = MerkleTree([batch_leaf(round, digest) for round, digest in enumerate(digests, 1)])

    @property
    def root(self) -> bytes:
        """32 bytes, for the terms."""
        return self._tree.root

    def proof(self, round: int) -> tuple[bytes, ...]:
        """What `revealValidation` needs for a round, from 1. Raises `BatchesImpossible` for a round without a batch."""
        if not 1 <= round <= len(self._tree.leaves):
            raise BatchesImpossible(f"round {round} has no batch: there are {len(self._tree.leaves)}")
        return self._tree.proof(round - 1)
