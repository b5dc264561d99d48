"""What every transaction journal must do. Subclass `JournalSuite` and give it a `journal` fixture."""

from __future__ import annotations

import threading
import time

import pytest
from cohort_protocol.chain.errors import IntentInvalid
from cohort_protocol.chain.journal import EntryState, JournalEntry, TransactionJournal


def entry(intent: str = "settle 1/1", attempt: int = 1, nonce: int = 0) -> JournalEntry:
    return JournalEntry(intent, attempt, nonce, raw=b"\x02" + intent.encode(), hash=nonce.to_bytes(32, "big"))


class JournalSuite:
    """Run on every implementation of `TransactionJournal`."""

    def test_an_unknown_intent_is_none(self, journal: TransactionJournal) -> None:
        assert journal.find("settle 1/1") is None
        assert journal.pending() == []

    def test_what_was_recorded_is_found(self, journal: TransactionJournal) -> None:
        journal.record(entry())
        assert journal.find("settle 1/1") == entry()
        assert journal.find("settle 1/2") is None

    def test_the_newest_attempt_is_found(self, journal: TransactionJournal) -> None:
        journal.record(entry(attempt=1, nonce=3))
        journal.mark("settle 1/1", 1, EntryState.DISPLACED, None)
        journal.record(entry(attempt=2, nonce=4))
        found = journal.find("settle 1/1")
        assert found is not None
        assert (found.attempt, found.nonce, found.state) == (2, 4, EntryState.PENDING)

    def test_marking_changes_one_entry(self, journal: TransactionJournal) -> None:
        journal.record(entry("a", nonce=1))
        journal.record(entry("b", nonce=2))
        journal.mark("a", 1, EntryState.MINED, 77)
        found = journal.find("a")
        assert found is not None
        assert (found.state, found.block_number) == (EntryState.MINED, 77)
        assert journal.find("b") == entry("b", nonce=2)
        journal.mark("a", 1, EntryState.PENDING, None)
        assert journal.find("a") == entry("a", nonce=1)

    def test_pending_is_by_nonce_and_without_the_others(self, journal: TransactionJournal) -> None:
        for nonce in (5, 3, 4, 6):
            journal.record(entry(f"intent {nonce}", nonce=nonce))
        journal.mark("intent 4", 1, EntryState.REVERTED, 10)
        journal.mark("intent 6", 1, EntryState.DISPLACED, None)
        assert [one.nonce for one in journal.pending()] == [3, 5]

    def test_an_attempt_is_recorded_once(self, journal: TransactionJournal) -> None:
        journal.record(entry(nonce=1))
        with pytest.raises(IntentInvalid):
            journal.record(entry(nonce=2))
        assert journal.find("settle 1/1") == entry(nonce=1)

    @pytest.mark.parametrize("intent", ["", "x" * 201])
    def test_intents_are_bounded(self, journal: TransactionJournal, intent: str) -> None:
        with pytest.raises(IntentInvalid):
            journal.record(entry(intent))

    def test_what_is_not_there_cannot_be_marked(self, journal: TransactionJournal) -> None:
        journal.record(entry())
        with pytest.raises(IntentInvalid):
            journal.mark("settle 1/1", 2, EntryState.MINED, 1)

    def test_exclusive_excludes_other_threads(self, journal: TransactionJournal) -> None:
        inside, most = 0, 0

        def work() -> None:
            nonlocal inside, most
            for _ in range(3):
                with journal.exclusive():
                    inside += 1
                    most = max(most, inside)
                    time.sleep(0.002)
                    inside -= 1

        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(10)
        assert most == 1

    def test_exclusive_ends_with_an_error_inside(self, journal: TransactionJournal) -> None:
        with pytest.raises(ZeroDivisionError), journal.exclusive():
            raise ZeroDivisionError
        with journal.exclusive():
            pass

    def test_the_journal_can_be_used_inside_exclusive(self, journal: TransactionJournal) -> None:
        with journal.exclusive():
            journal.record(entry())
            assert journal.find("settle 1/1") == entry()
            assert journal.pending() == [entry()]
