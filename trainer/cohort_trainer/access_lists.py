"""Lists of trainers who may join a project: a Merkle tree of addresses whose root stands in the terms.

Leaf: keccak256(bytes.concat(keccak256(abi.encode(address)))), in increasing order of the addresses; inner nodes and odd
nodes as in the payout tree (OpenZeppelin MerkleProof). The owner gives trainers the list, or each its own proof.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from cohort_protocol.errors import InvalidInput
from cohort_protocol.identifiers import parse_address, parse_bytes32
from cohort_protocol.merkle import MerkleTree, root_above
from eth_abi import encode
from eth_utils import keccak

from cohort_trainer.durable_files import read_bounded
from cohort_trainer.errors import AccessFileInvalid, NotOnAccessList

MAX_FILE_BYTES = 16 * 1024 * 1024
MOST_SIBLINGS = 64


def access_leaf(trainer: str) -> bytes:
    """The leaf of one trainer; twin of `Members._checkAccess`."""
    return keccak(keccak(encode(["address"], [parse_address(trainer)])))


class AccessList:
    """The trainers who may join. Raises `AccessFileInvalid` for an empty list, `InvalidInput` for a wrong address."""

    def __init__(self, trainers: Sequence[str]) -> None:
        self.trainers = sorted({parse_address(one) for one in trainers}, key=lambda one: int(one, 16))
        if not self.trainers:
            raise AccessFileInvalid("an access list without addresses would let nobody join")
        self._tree = MerkleTree([access_leaf(one) for one in self.trainers])

    @property
    def root(self) -> bytes:
        """32 bytes, for the terms."""
        return self._tree.root

    def proof(self, trainer: str) -> tuple[bytes, ...]:
        """What `join` needs. Raises `NotOnAccessList`."""
        address = parse_address(trainer)
        if address not in self.trainers:
            raise NotOnAccessList(f"{address} is not among the {len(self.trainers)} trainers of the list")
        return self._tree.proof(self.trainers.index(address))


def opens(root: bytes, trainer: str, proof: Sequence[bytes]) -> bool:
    """Whether the proof shows that the trainer is on the list with this root (32 bytes)."""
    return root_above(access_leaf(trainer), proof) == root


def read_list(path: Path) -> AccessList:
    """From a file with addresses, as JSON array or one per line. Raises `AccessFileInvalid`."""
    try:
        return AccessList(_entries(path))
    except InvalidInput as error:
        raise AccessFileInvalid(f"{path} is no list of addresses: {error}") from error


def read_proof(path: Path, trainer: str, root: bytes) -> tuple[bytes, ...]:
    """The trainer's proof from a file: the list of addresses, or the siblings of the proof (32 bytes of hex each); as
    JSON array, or one per line.

    Raises `AccessFileInvalid`, `NotOnAccessList` (also if the list or proof belongs to another root).
    """
    entries = _entries(path)
    try:
        if entries and all(len(entry) == 42 for entry in entries):
            proof = AccessList(entries).proof(trainer)
        else:
            proof = tuple(parse_bytes32(entry) for entry in entries)
    except InvalidInput as error:
        raise AccessFileInvalid(f"{path} holds neither addresses nor hashes of 32 bytes: {error}") from error
    if len(proof) > MOST_SIBLINGS or not opens(root, trainer, proof):
        raise NotOnAccessList(
            f"{path} does not show that {trainer} is on the project's list (root 0x{root.hex()}): ask its owner for "
            "the present list, or for your proof"
        )
    return proof


def _entries(path: Path) -> list[str]:
    data = read_bounded(path, MAX_FILE_BYTES)
    if data is None:
        raise AccessFileInvalid(f"there is no file {path}")
    try:
        text = data.decode("ascii").strip()
        values = json.loads(text) if text.startswith("[") else text.split()
    except (ValueError, RecursionError) as error:
        raise AccessFileInvalid(f"{path} is neither a JSON array nor lines of hex: {error}") from error
    if not all(isinstance(value, str) for value in values):
        raise AccessFileInvalid(f"{path} holds something that is not text; expected addresses or hashes")
    return values
