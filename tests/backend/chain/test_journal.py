"""The journal in the database passes the suite of every journal, and keeps what only a database has to keep apart."""

from __future__ import annotations

import pytest
from cohort_backend.chain.journal import DatabaseJournal
from cohort_backend.database import Database
from cohort_protocol.chain.errors import JournalBroken
from cohort_protocol.chain.journal import EntryState, JournalEntry, TransactionJournal
from eth_utils import keccak

from tests.protocol.chain.journal_suite import JournalSuite

SENDER = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266"
OTHER = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8"


def _entry(intent: str, nonce: int, attempt: int = 1) -> JournalEntry:
    raw = f"{intent}/{attempt}".encode()
    return JournalEntry(intent, attempt, nonce, raw, keccak(raw))


class TestDatabaseJournal(JournalSuite):
    @pytest.fixture
    def journal(self, database: Database) -> TransactionJournal:
        return DatabaseJournal(database, 31337, SENDER)

    def test_keys_and_chains_are_apart(self, database: Database) -> None:
        mine = DatabaseJournal(database, 31337, SENDER)
        mine.record(_entry("settle 1/1", 4))
        for other in (DatabaseJournal(database, 31337, OTHER), DatabaseJournal(database, 1, SENDER)):
            assert other.find("settle 1/1") is None
            assert other.pending() == []
            other.record(_entry("settle 1/1", 4))
        assert mine.pending() == [_entry("settle 1/1", 4)]

    def test_a_nonce_that_may_still_be_mined_is_taken(self, database: Database) -> None:
        journal = DatabaseJournal(database, 31337, SENDER)
        journal.record(_entry("open 1/1", 4))
        with pytest.raises(JournalBroken, match="nonce 4"):
            journal.record(_entry("open 2/1", 4))
        journal.mark("open 1/1", 1, EntryState.DISPLACED, None)
        journal.record(_entry("open 2/1", 4))

    def test_another_process_finds_what_was_recorded(self, database: Database) -> None:
        DatabaseJournal(database, 31337, SENDER).record(_entry("open 1/1", 0))
        url = database.engine.url.render_as_string(hide_password=False)
        again = Database.open(url)
        assert DatabaseJournal(again, 31337, SENDER.lower()).find("open 1/1") == _entry("open 1/1", 0)
        again.close()
