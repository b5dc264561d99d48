"""A witness's word on revealed updates: fetched by itself, checked byte by byte against the chain.

Three answers per reveal. **Endorsed**: the bytes are there, are an update of this project, and are what was committed
to. **Refused**: the bytes are there and are wrong; that is a fact about content, which nobody can change. **Unknown**:
everything else, our own troubles first of all: bytes that cannot be fetched, a node that is late. An unknown reveal is
looked at again until the time for reveals is over, and costs its trainer nothing but the admission.

A receipt speaks of (member, update, CID) and not of the salt. So a wrong opening is unknown too, never refused: else
a service that garbles salts could collect refusals of good updates. The commitment binds the CID as well: what is
fetched is what the trainer said would be there, so that wrong bytes are its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from itertools import pairwise

from cohort_protocol.bundle import CommitmentMismatch, fetch_update
from cohort_protocol.chain.packed import Opening
from cohort_protocol.commitments import MarketId, commitment, openings_hash, receipt_message, sign
from cohort_protocol.errors import InvalidInput, Unavailable
from cohort_protocol.identifiers import MAX_SLOTS, RoundKey, parse_bytes32, to_hex
from cohort_protocol.ipfs.cid import Cid
from cohort_protocol.ipfs.errors import ContentMalformed, ContentNotFound, ContentTooLarge
from cohort_protocol.ipfs.store import IpfsStore
from cohort_protocol.service.messages import ReceiptIntake, Refusal, RevealItem, RevealSet
from cohort_protocol.update import UpdateMalformed, update_size
from eth_account.signers.local import LocalAccount

MAX_DETAIL = 500


class RevealSetInvalid(InvalidInput):
    """The service asks for a word on a set that is not one. Nothing is signed."""

    code = "reveal-set-invalid"


class Answer(Enum):
    """What a witness says of one reveal."""

    ENDORSED = "endorsed"
    REFUSED = "refused"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Finding:
    """The answer, and for all but endorsements the reason."""

    answer: Answer
    code: str = ""
    detail: str = ""


ENDORSED = Finding(Answer.ENDORSED)


def check_reveal(
    item: RevealItem, committed: bytes | None, market: MarketId, key: RoundKey, dimension: int, store: IpfsStore
) -> Finding:
    """Checks one reveal. committed: the trainer's commitment on chain, None if there is none."""
    if committed is None:
        return Finding(Answer.UNKNOWN, "not-committed", f"no commitment of {item.trainer} on chain in round {key}")
    update, salt, cid = parse_bytes32(item.update), parse_bytes32(item.salt), Cid.parse(item.cid)
    opened = commitment(market, key.project, key.round, item.member, update, bytes(cid), salt)
    if opened != committed:
        return Finding(
            Answer.UNKNOWN,
            "opening-wrong",
            f"update, CID and salt give the commitment {to_hex(opened)}, on chain is {to_hex(committed)}",
        )
    try:
        fetch_update(store, cid, update, dimension)
    except ContentTooLarge as error:
        size = update_size(dimension)
        return Finding(Answer.REFUSED, "update-too-large", f"an update of this project has {size} bytes: {error}")
    except (UpdateMalformed, ContentMalformed) as error:
        return Finding(Answer.REFUSED, "update-malformed", str(error))
    except CommitmentMismatch as error:
        return Finding(Answer.REFUSED, "commitment-mismatch", str(error))
    except (ContentNotFound, Unavailable) as error:
        return Finding(Answer.UNKNOWN, "not-fetchable", str(error))
    return ENDORSED


def check_set(reveals: RevealSet, trainers: Mapping[int, str]) -> bytes:
    """The hash that a receipt on this set signs, computed from its items. trainers: address by member number, from the
    chain. Raises `RevealSetInvalid`."""
    members = [item.member for item in reveals.reveals]
    if not members or len(members) > MAX_SLOTS or any(a >= b for a, b in pairwise(members)):
        raise RevealSetInvalid(
            f"a set holds 1 .. {MAX_SLOTS} reveals by increasing member, this one {len(members)}: {members}"
        )
    for item in reveals.reveals:
        if trainers.get(item.member) != item.trainer:
            raise RevealSetInvalid(
                f"the service says that member {item.member} is {item.trainer}, on chain it is "
                f"{trainers.get(item.member, 'nobody')}"
            )
    try:
        openings = [
            Opening(item.member, parse_bytes32(item.update), bytes(Cid.parse(item.cid)), parse_bytes32(item.salt))
            for item in reveals.reveals
        ]
        digest = openings_hash(openings)
    except InvalidInput as error:
        raise RevealSetInvalid(f"the set holds a reveal that cannot be one: {error}") from error
    if to_hex(digest) != reveals.openings_hash:
        raise RevealSetInvalid(f"the set has the hash {to_hex(digest)}, the service says {reveals.openings_hash}")
    return digest


class RevealChecker:
    """Checks sets of reveals, and remembers what it found about bytes: content under a CID never changes."""

    def __init__(self, market: MarketId, dimension: int, store: IpfsStore) -> None:
        self._market = market
        self._dimension = dimension
        self._store = store
        self._known: dict[tuple[RoundKey, int, str, str, str], Finding] = {}

    def check(self, key: RoundKey, reveals: RevealSet, committed: Mapping[int, bytes]) -> list[Finding]:
        """One finding per reveal of the set. committed: by member, from the chain."""
        self._known = {known: finding for known, finding in self._known.items() if known[0] == key}
        return [self._check_one(key, item, committed.get(item.member)) for item in reveals.reveals]

    def _check_one(self, key: RoundKey, item: RevealItem, committed: bytes | None) -> Finding:
        name = (key, item.member, item.update, item.salt, item.cid)
        found = self._known.get(name)
        if found is None:
            found = check_reveal(item, committed, self._market, key, self._dimension, self._store)
            if found.answer is not Answer.UNKNOWN:
                self._known[name] = found
        return found


def make_receipt(
    account: LocalAccount,
    market: MarketId,
    key: RoundKey,
    digest: bytes,
    reveals: RevealSet,
    findings: Sequence[Finding],
) -> ReceiptIntake:
    """The signed receipt. digest: of the set, from `check_set`. Bit i speaks of reveal i; unknown reveals set neither
    bit and are named with their reason."""
    endorsed, refused = (
        sum(1 << bit for bit, finding in enumerate(findings) if finding.answer is answer)
        for answer in (Answer.ENDORSED, Answer.REFUSED)
    )
    message = receipt_message(market, key.project, key.round, digest, endorsed, refused)
    return ReceiptIntake(
        witness=account.address,
        openings_hash=to_hex(digest),
        endorsed=endorsed,
        refused=refused,
        refusals=[
            Refusal(trainer=item.trainer, code=finding.code, detail=finding.detail[:MAX_DETAIL])
            for item, finding in zip(reveals.reveals, findings, strict=True)
            if finding.answer is not Answer.ENDORSED
        ],
        signature=to_hex(sign(message, account)),
    )
