"""What a witness says of revealed updates: every way that one can be wrong, and what is nobody's fault."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from cohort_protocol import commitments
from cohort_protocol.chain.packed import Opening
from cohort_protocol.commitments import MarketId, check_signature, receipt_message
from cohort_protocol.identifiers import RoundKey, parse_bytes32, to_hex
from cohort_protocol.ipfs.cid import DAG_PB, RAW, Cid
from cohort_protocol.ipfs.embedded import EmbeddedStore
from cohort_protocol.proof.project_srs import scheme_of
from cohort_protocol.proof.srs import Srs, make_insecure_srs
from cohort_protocol.service.messages import RevealItem, RevealSet
from cohort_protocol.service.refusals import RefusalCode, advice
from cohort_protocol.update import encode_update, update_size
from cohort_worker.witness.receipts import (
    Answer,
    Finding,
    RevealChecker,
    RevealRules,
    RevealSetInvalid,
    check_reveal,
    check_reveals,
    check_set,
    make_receipt,
)
from eth_account import Account

DIMENSION = 50
MARKET = MarketId(31337, "0x" + "11" * 20, "0x" + "22" * 20)
KEY = RoundKey(3, 7)
WITNESS = Account.from_key(b"\x01" * 32)
MEMBERS = {4: "0x" + "30" + "00" * 19, 5: "0x" + "10" + "00" * 19, 9: "0x" + "20" + "00" * 19}
"""Address by number, from the chain."""
SALT = b"\x05" * 32


@dataclass
class Case:
    """An item of a set and what the chain has for it."""

    item: RevealItem
    committed: bytes | None


@pytest.fixture
def store(tmp_path: Path) -> EmbeddedStore:
    return EmbeddedStore(tmp_path / "ipfs")


@pytest.fixture(scope="module")
def srs(tmp_path_factory: pytest.TempPathFactory) -> Srs:
    return make_insecure_srs(tmp_path_factory.mktemp("srs") / "small.srs", DIMENSION, "receipts")


@pytest.fixture(params=["attested", "proven"], autouse=True)
def rules(request: pytest.FixtureRequest, srs: Srs, monkeypatch: pytest.MonkeyPatch) -> RevealRules:
    """Everything here holds for both kinds of projects."""
    made = RevealRules(MARKET, DIMENSION, scheme_of(request.param, srs))
    monkeypatch.setitem(globals(), "RULES", made)
    return made


RULES = RevealRules(MARKET, DIMENSION)
"""Of the test that runs."""


def _case(store: EmbeddedStore, member: int = 4, cid: Cid | None = None, **changes) -> Case:
    """cid: what the trainer has committed to, if it is not where its update is. changes: of the item alone."""
    values = np.arange(DIMENSION, dtype=np.int16) + member
    update = RULES.scheme.update(values)
    published = store.put(encode_update(values))
    cid = cid or published
    committed = commitments.commitment(MARKET, *KEY, member, update, bytes(cid), SALT)
    item = RevealItem(
        trainer=MEMBERS[member],
        member=member,
        commitment=to_hex(committed),
        update=to_hex(update),
        salt=to_hex(SALT),
        cid=str(cid),
    )
    return Case(item.model_copy(update=changes), committed)


def _check(case: Case, store: EmbeddedStore) -> Finding:
    return check_reveal(case.item, case.committed, RULES, KEY, store)


def test_a_right_update_is_endorsed(store: EmbeddedStore) -> None:
    assert _check(_case(store), store) == Finding(Answer.ENDORSED)


def _other_dimension(store: EmbeddedStore) -> Cid:
    return store.put(encode_update(np.zeros(DIMENSION - 1, np.int16)))


def _other_update(store: EmbeddedStore) -> Cid:
    return store.put(encode_update(np.zeros(DIMENSION, np.int16)))


def _one_byte_more(store: EmbeddedStore) -> Cid:
    return store.put(encode_update(np.zeros(DIMENSION, np.int16)) + b"\x00")


def _longer(store: EmbeddedStore) -> Cid:
    return store.put(encode_update(np.zeros(DIMENSION + 1, np.int16)))


def _wide(store: EmbeddedStore) -> Cid:
    """Numbers that no int16 holds, in a safetensors file of their own type."""
    values = np.full(DIMENSION, 40_000, "<i4")
    header = f'{{"update":{{"dtype":"I32","shape":[{DIMENSION}],"data_offsets":[0,{4 * DIMENSION}]}}}}'.encode()
    return store.put(len(header).to_bytes(8, "little") + header + values.tobytes())


def _not_a_file(store: EmbeddedStore) -> Cid:
    """A dag-pb block that is there, matches its CID and is no UnixFS file."""
    content = b"this is not a directory of blocks"
    written = store.put(content)
    cid = Cid.of_block(DAG_PB, content)
    path = store._path(cid)
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(store._path(written).read_bytes())
    return cid


@pytest.mark.parametrize(
    ("make", "code"),
    [
        (lambda store: store.put(b"garbage"), "update-malformed"),
        (lambda store: store.put(b""), "update-malformed"),
        (lambda store: store.put(bytes(update_size(DIMENSION))), "update-malformed"),
        (_other_dimension, "update-malformed"),
        (_not_a_file, "update-malformed"),
        (_one_byte_more, "update-too-large"),
        (lambda store: store.put(bytes(5_000_000)), "update-too-large"),
        (_longer, "update-too-long"),
        (_wide, "update-out-of-range"),
        (_other_update, "commitment-mismatch"),
    ],
)
def test_wrong_bytes_are_refused_in_words(store: EmbeddedStore, make: Callable, code: str) -> None:
    found = _check(_case(store, cid=make(store)), store)
    assert (found.answer, found.code) == (Answer.REFUSED, code)
    assert len(found.detail) > 20
    assert RefusalCode(code).is_final
    assert advice(code)


def test_what_cannot_be_fetched_is_nobodys_fault(store: EmbeddedStore) -> None:
    found = _check(_case(store, cid=Cid(RAW, b"\x03" * 32)), store)
    assert (found.answer, found.code) == (Answer.UNKNOWN, "not-fetchable")


def test_a_damaged_store_is_nobodys_fault(store: EmbeddedStore) -> None:
    case = _case(store)
    block = store._path(Cid.parse(case.item.cid))
    block.write_bytes(block.read_bytes()[:-1] + b"\xff")
    found = _check(case, store)
    assert (found.answer, found.code) == (Answer.UNKNOWN, "not-fetchable")


def test_a_wrong_opening_sets_neither_bit(store: EmbeddedStore) -> None:
    found = _check(_case(store, salt=to_hex(b"\x06" * 32)), store)
    assert (found.answer, found.code) == (Answer.UNKNOWN, "opening-wrong")


def test_a_cid_that_was_not_committed_to_is_not_even_fetched(store: EmbeddedStore) -> None:
    """A service that swaps CIDs cannot get a good update refused."""
    garbage = str(store.put(b"garbage"))
    case = _case(store)
    found = _check(replace(case, item=case.item.model_copy(update={"cid": garbage})), store)
    assert (found.answer, found.code) == (Answer.UNKNOWN, "opening-wrong")


def test_a_copied_commitment_cannot_be_opened(store: EmbeddedStore) -> None:
    """The victim's update and salt, the victim's commitment on chain, under the copier's name."""
    victim = _case(store)
    copied = Case(victim.item.model_copy(update={"trainer": MEMBERS[5], "member": 5}), victim.committed)
    found = _check(copied, store)
    assert (found.answer, found.code) == (Answer.UNKNOWN, "opening-wrong")


def test_what_the_service_says_of_the_commitment_does_not_count(store: EmbeddedStore) -> None:
    case = _case(store)
    assert _check(replace(case, committed=b"\x09" * 32), store).code == "opening-wrong"
    assert _check(replace(case, committed=None), store).code == "not-committed"
    lying = _case(store, commitment=to_hex(b"\x09" * 32))
    assert _check(lying, store).answer is Answer.ENDORSED


def test_one_wrong_update_among_many_is_found(store: EmbeddedStore) -> None:
    cases = [_case(store, 4), _case(store, 5, _other_update(store)), _case(store, 9)]
    committed = {case.item.member: case.committed for case in cases if case.committed is not None}
    found = check_reveals([case.item for case in cases], committed, RULES, KEY, store)
    assert [one.answer for one in found] == [Answer.ENDORSED, Answer.REFUSED, Answer.ENDORSED]
    assert (found[1].code, cases[1].item.cid in found[1].detail) == ("commitment-mismatch", True)


def test_a_commitment_that_is_no_point_is_refused(store: EmbeddedStore) -> None:
    """In a proven project such an update would make the round unprovable."""
    update = b"\xff" * 32
    cid = store.put(encode_update(np.zeros(DIMENSION, np.int16)))
    committed = commitments.commitment(MARKET, *KEY, 4, update, bytes(cid), SALT)
    item = _case(store, 4).item.model_copy(update={"update": to_hex(update), "cid": str(cid)})
    found = check_reveal(item, committed, RULES, KEY, store)
    assert (found.answer, found.code) == (Answer.REFUSED, "commitment-mismatch")


@pytest.mark.parametrize("code", list(RefusalCode))
def test_every_reason_says_what_a_trainer_can_do(code: RefusalCode) -> None:
    assert len(advice(code.value)) > 40
    assert advice("something-newer") == ""


# --- sets and receipts ------------------------------------------------------------------------------------------------


def _set(items: list[RevealItem]) -> RevealSet:
    digest = commitments.openings_hash(
        [
            Opening(item.member, parse_bytes32(item.update), bytes(Cid.parse(item.cid)), parse_bytes32(item.salt))
            for item in items
        ]
    )
    return RevealSet(openings_hash=to_hex(digest), reveals=items, receipts_from=[])


def test_a_receipt_says_one_thing_of_each(store: EmbeddedStore) -> None:
    cases = [
        _case(store, 4),
        _case(store, 5, store.put(b"garbage")),
        _case(store, 9, Cid(RAW, b"\x03" * 32)),
    ]
    reveals = _set([case.item for case in cases])
    checker = RevealChecker(RULES, store)
    committed = {case.item.member: case.committed for case in cases}
    findings = checker.check(KEY, reveals, committed)
    digest = check_set(reveals, MEMBERS)
    receipt = make_receipt(WITNESS, MARKET, KEY, digest, reveals, findings)
    assert (receipt.endorsed, receipt.refused) == (0b001, 0b010)
    assert [(refusal.trainer, refusal.code) for refusal in receipt.refusals] == [
        (MEMBERS[5], "update-malformed"),
        (MEMBERS[9], "not-fetchable"),
    ]
    assert receipt.openings_hash == reveals.openings_hash
    message = receipt_message(MARKET, *KEY, parse_bytes32(reveals.openings_hash), 0b001, 0b010)
    check_signature(message, bytes.fromhex(receipt.signature[2:]), WITNESS.address)


def test_what_comes_back_is_endorsed_later(store: EmbeddedStore) -> None:
    case = _case(store)
    block = store._path(Cid.parse(case.item.cid))
    hidden = block.with_suffix(".hidden")
    block.rename(hidden)
    reveals, committed = _set([case.item]), {case.item.member: case.committed}
    checker = RevealChecker(RULES, store)
    assert checker.check(KEY, reveals, committed)[0].answer is Answer.UNKNOWN
    hidden.rename(block)
    assert checker.check(KEY, reveals, committed)[0].answer is Answer.ENDORSED
    block.unlink()
    assert checker.check(KEY, reveals, committed)[0].answer is Answer.ENDORSED, "content never changes under a CID"


def test_a_set_that_is_none_is_not_signed(store: EmbeddedStore) -> None:
    items = [_case(store, member).item for member in MEMBERS]
    good = _set(items)
    assert to_hex(check_set(good, MEMBERS)) == good.openings_hash
    for bad in (
        _set([]),
        _set(items[::-1]),
        _set([items[0], items[0]]),
        good.model_copy(update={"openings_hash": to_hex(b"\x01" * 32)}),
        good.model_copy(update={"reveals": [items[0].model_copy(update={"cid": "baaaaaaaa"})]}),
        # a service that blames one trainer for the update of another
        good.model_copy(update={"reveals": [items[0].model_copy(update={"trainer": MEMBERS[5]}), *items[1:]]}),
        _set([items[0].model_copy(update={"member": 3})]),
    ):
        with pytest.raises(RevealSetInvalid):
            check_set(bad, MEMBERS)


def test_bits_count_from_the_lowest_number(store: EmbeddedStore) -> None:
    items = [_case(store, member).item for member in MEMBERS]
    findings = [Finding(Answer.UNKNOWN, "not-fetchable", "x")] * 2 + [Finding(Answer.ENDORSED)]
    reveals = _set(items)
    receipt = make_receipt(WITNESS, MARKET, KEY, check_set(reveals, MEMBERS), reveals, findings)
    assert receipt.endorsed == 0b100


def test_findings_of_another_round_are_forgotten(store: EmbeddedStore) -> None:
    case = _case(store)
    reveals = _set([case.item])
    checker = RevealChecker(RULES, store)
    assert checker.check(KEY, reveals, {case.item.member: case.committed})[0].answer is Answer.ENDORSED
    other = RoundKey(3, 8)
    assert checker.check(other, reveals, {case.item.member: case.committed})[0].code == "opening-wrong"
    assert len(checker._known) == 0


class HeldStore(EmbeddedStore):
    """A store in which one file comes only after `go`, a chunk at a time."""

    def __init__(self, root: Path, held: str) -> None:
        super().__init__(root)
        self.held, self.go, self.asked, self.ended = held, threading.Event(), 0, threading.Event()

    def stream(self, cid: Cid, max_bytes: int) -> Iterator[bytes]:
        if str(cid) != self.held:
            yield from super().stream(cid, max_bytes)
            return
        self.asked += 1
        try:
            for byte in b"".join(super().stream(cid, max_bytes)):
                self.go.wait(0.05)
                yield bytes([byte])
        finally:
            self.ended.set()


def test_a_file_that_drips_holds_up_no_other(store: EmbeddedStore) -> None:
    cases = [_case(store, member) for member in MEMBERS]
    reveals, committed = _set([case.item for case in cases]), {c.item.member: c.committed for c in cases}
    slow = HeldStore(store.root, cases[0].item.cid)
    checker = RevealChecker(RULES, slow)
    for _ in range(2):
        began = time.monotonic()
        findings = checker.check(KEY, reveals, committed, 0.5)
        assert time.monotonic() - began < 3
        assert [one.answer for one in findings] == [Answer.UNKNOWN, Answer.ENDORSED, Answer.ENDORSED]
        assert findings[0].code == "not-fetchable"
        assert checker.fetching
    assert slow.asked == 1, "it is waited for, not asked for again"
    slow.go.set()
    assert {one.answer for one in checker.check(KEY, reveals, committed)} == {Answer.ENDORSED}
    assert not checker.fetching


def test_what_nobody_waits_for_any_more_is_let_go(store: EmbeddedStore) -> None:
    case = _case(store)
    reveals, committed = _set([case.item]), {case.item.member: case.committed}
    slow = HeldStore(store.root, case.item.cid)
    checker = RevealChecker(RULES, slow)
    assert checker.check(KEY, reveals, committed, 0.1)[0].answer is Answer.UNKNOWN
    other = _case(store, 5)
    assert checker.check(KEY, _set([other.item]), {5: other.committed})[0].answer is Answer.ENDORSED
    assert not checker.fetching
    assert slow.ended.wait(10)


def test_what_breaks_while_looking_is_raised_where_it_is_waited_for(store: EmbeddedStore) -> None:
    class Broken(EmbeddedStore):
        def stream(self, cid: Cid, max_bytes: int) -> Iterator[bytes]:
            raise MemoryError

    case = _case(store)
    with pytest.raises(MemoryError):
        RevealChecker(RULES, Broken(store.root)).check(KEY, _set([case.item]), {case.item.member: case.committed})
