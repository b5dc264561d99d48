"""A witness's word on revealed updates: fetched by itself, checked byte by byte against the chain.

Three answers per reveal. **Endorsed**: the bytes are there, are an update of this project, and are what was committed
to. **Refused**: the bytes are there and are wrong; that is a fact about content, which nobody can change. **Unknown**:
everything else, our own troubles first of all: bytes that cannot be fetched, a node that is late. An unknown reveal is
looked at again until the time for reveals is over, and costs its trainer nothing but the admission.

A receipt speaks of (member, update, CID) and not of the salt. So a wrong opening is unknown too, never refused: else
a service that garbles salts could collect refusals of good updates. The commitment binds the CID as well: what is
fetched is what the trainer said would be there, so that wrong bytes are its own. What the codes mean and what a trainer
can do is said in `cohort_protocol.service.refusals`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from itertools import pairwise

from cohort_protocol.chain.packed import Opening
from cohort_protocol.commitments import MarketId, commitment, openings_hash, receipt_message, sign
from cohort_protocol.errors import InvalidInput, Unavailable
from cohort_protocol.identifiers import MAX_SLOTS, RoundKey, parse_bytes32, to_hex
from cohort_protocol.ipfs.cid import Cid
from cohort_protocol.ipfs.errors import ContentMalformed, ContentNotFound, ContentTooLarge
from cohort_protocol.ipfs.store import IpfsStore
from cohort_protocol.proof.scheme import KECCAK, CommitmentScheme
from cohort_protocol.service.messages import ReceiptIntake, Refusal, RevealItem, RevealSet
from cohort_protocol.service.refusals import RefusalCode
from cohort_protocol.stored_rows import check_updates, wrong_update
from cohort_protocol.update import UpdateMalformed, described_update, update_size
from cohort_protocol.update.stream import update_stream
from eth_account.signers.local import LocalAccount

from cohort_worker.witness.fetches import Fetches

MAX_DETAIL = 500
LARGEST_LOOKED_INTO = 1 << 32
"""Bytes of a file that is too large, of which the first chunk is read to say in words what it holds instead."""


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


@dataclass(frozen=True)
class RevealRules:
    """What reveals of a project are checked against."""

    market: MarketId
    dimension: int
    scheme: CommitmentScheme = KECCAK
    """How the project commits to updates."""


def check_reveals(
    items: Sequence[RevealItem],
    committed: Mapping[int, bytes],
    rules: RevealRules,
    key: RoundKey,
    store: IpfsStore,
) -> list[Finding]:
    """Checks reveals of one round; one finding each. committed: commitments on chain by member.

    Each file is read once for its form. Whether the well-formed ones open their commitments is then checked of all at
    once: in a proven project a random combination of points costs little more than a single one."""
    forms = [_check_form(item, committed.get(item.member), rules, key, store) for item in items]
    return _check_openings(items, forms, rules, store)


def _check_openings(
    items: Sequence[RevealItem], forms: Sequence[Finding | None], rules: RevealRules, store: IpfsStore
) -> list[Finding]:
    """The findings of reveals, given what is wrong with their form."""
    formed = [index for index, finding in enumerate(forms) if finding is None]
    files = [(Cid.parse(items[index].cid), parse_bytes32(items[index].update)) for index in formed]
    found: dict[int, Finding] = {}
    try:
        wrong = {formed[index] for index in check_updates(store, files, rules.dimension, rules.scheme)}
    except (ContentNotFound, Unavailable) as error:
        found = {index: _finding(RefusalCode.NOT_FETCHABLE, str(error)) for index in formed}
    else:
        for index, (cid, update) in zip(formed, files, strict=True):
            mismatch = _finding(RefusalCode.DOES_NOT_OPEN, str(wrong_update(cid, update)))
            found[index] = mismatch if index in wrong else ENDORSED
    return [finding or found[index] for index, finding in enumerate(forms)]


def check_reveal(
    item: RevealItem, committed: bytes | None, rules: RevealRules, key: RoundKey, store: IpfsStore
) -> Finding:
    """Checks one reveal. committed: the trainer's commitment on chain, None if there is none."""
    on_chain = {} if committed is None else {item.member: committed}
    return check_reveals([item], on_chain, rules, key, store)[0]


def _finding(code: RefusalCode, detail: str) -> Finding:
    return Finding(Answer.REFUSED if code.is_final else Answer.UNKNOWN, code.value, detail)


def _check_form(
    item: RevealItem,
    committed: bytes | None,
    rules: RevealRules,
    key: RoundKey,
    store: IpfsStore,
    still_wanted: Callable[[], None] = lambda: None,
) -> Finding | None:
    """What is wrong with a reveal apart from the update's commitment; None: nothing. still_wanted: called now and then,
    and may raise to end it."""
    if committed is None:
        words = f"no commitment of {item.trainer} on chain in round {key}"
        return _finding(RefusalCode.NOT_COMMITTED, words)
    update, salt, cid = parse_bytes32(item.update), parse_bytes32(item.salt), Cid.parse(item.cid)
    opened = commitment(rules.market, key.project, key.round, item.member, update, bytes(cid), salt)
    if opened != committed:
        words = f"update, CID and salt give the commitment {to_hex(opened)}, on chain is {to_hex(committed)}"
        return _finding(RefusalCode.OPENING_WRONG, words)
    size = update_size(rules.dimension)
    try:
        for _ in update_stream(store.stream(cid, size), rules.dimension):
            still_wanted()
    except ContentTooLarge as error:
        return _too_large(cid, rules.dimension, store, f"an update of this project has {size} bytes: {error}")
    except (UpdateMalformed, ContentMalformed) as error:
        return _finding(RefusalCode.MALFORMED, str(error))
    except (ContentNotFound, Unavailable) as error:
        return _finding(RefusalCode.NOT_FETCHABLE, str(error))
    return None


def _too_large(cid: Cid, dimension: int, store: IpfsStore, words: str) -> Finding:
    """The finding of a file that is larger than any update, as exactly as its first bytes tell."""
    try:
        start = next(store.stream(cid, LARGEST_LOOKED_INTO), b"")
    except (ContentTooLarge, ContentMalformed):
        start = b""
    except (ContentNotFound, Unavailable) as error:
        return _finding(RefusalCode.NOT_FETCHABLE, str(error))
    reason, instead = described_update(start, dimension)
    if not reason:
        return _finding(RefusalCode.TOO_LARGE, words)
    code = RefusalCode.OUT_OF_RANGE if reason == "range" else RefusalCode.TOO_LONG
    return _finding(code, f"{instead}: {words}")


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


@dataclass(frozen=True)
class _Asked:
    """A reveal of a round, and the commitment that the chain has for it."""

    key: RoundKey
    committed: bytes | None
    words: str
    item: RevealItem = field(compare=False)

    @classmethod
    def of(cls, key: RoundKey, item: RevealItem, committed: bytes | None) -> _Asked:
        return cls(key, committed, item.model_dump_json(), item)


class RevealChecker:
    """Checks sets of reveals, and remembers what it found about bytes: content under a CID never changes.

    Files are fetched side by side: one that comes slowly, or not at all, holds up no other."""

    def __init__(self, rules: RevealRules, store: IpfsStore) -> None:
        self._rules = rules
        self._store = store
        self._known: dict[_Asked, Finding] = {}
        self._fetches: Fetches[_Asked, Finding | None] = Fetches(self._form)

    @property
    def fetching(self) -> bool:
        """Whether something did not come in time and is still being fetched."""
        return self._fetches.under_way > 0

    def check(
        self, key: RoundKey, reveals: RevealSet, committed: Mapping[int, bytes], seconds: float | None = None
    ) -> list[Finding]:
        """One finding per reveal of the set. committed: by member, from the chain. What has not come after `seconds` is
        unknown; ask again later (None: wait for all)."""
        names = [_Asked.of(key, item, committed.get(item.member)) for item in reveals.reveals]
        self._known = {known: finding for known, finding in self._known.items() if known.key == key}
        self._fetches.keep(set(names).__contains__)
        new = [index for index, name in enumerate(names) if name not in self._known]
        forms = self._fetches.found([names[index] for index in new], seconds)
        come = [index for index in new if names[index] in forms]
        items = [reveals.reveals[index] for index in come]
        checked = _check_openings(items, [forms[names[index]] for index in come], self._rules, self._store)
        late = _finding(RefusalCode.NOT_FETCHABLE, "its file has not come in full yet; it is being fetched")
        fresh = dict.fromkeys(new, late) | dict(zip(come, checked, strict=True))
        for index, finding in fresh.items():
            if finding.answer is not Answer.UNKNOWN:
                self._known[names[index]] = finding
        return [fresh[index] if index in fresh else self._known[name] for index, name in enumerate(names)]

    def _form(self, asked: _Asked, still_wanted: Callable[[], None]) -> Finding | None:
        return _check_form(asked.item, asked.committed, self._rules, asked.key, self._store, still_wanted)


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
