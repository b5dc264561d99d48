"""The chain: connection, typed bindings of the market, its events, and sending transactions exactly once.

`client` talks JSON-RPC, `market` and `token` read and build transactions, `events` decodes logs, `sender` and
`journal` sign and send. Import from the modules; the names used everywhere are repeated here.
"""

from cohort_protocol.chain.client import BlockRef, ChainClient
from cohort_protocol.chain.errors import ChainError, ChainUnavailable, TransactionReverted
from cohort_protocol.chain.events import MarketEvent, MarketLogs
from cohort_protocol.chain.journal import EntryState, FileJournal, JournalEntry, MemoryJournal, TransactionJournal
from cohort_protocol.chain.lens import MarketLens
from cohort_protocol.chain.market import Market
from cohort_protocol.chain.sender import FeePolicy, TransactionSender
from cohort_protocol.chain.token import Token
from cohort_protocol.chain.transactions import TransactionReceipt, TransactionRequest

__all__ = [
    "BlockRef",
    "ChainClient",
    "ChainError",
    "ChainUnavailable",
    "EntryState",
    "FeePolicy",
    "FileJournal",
    "JournalEntry",
    "Market",
    "MarketEvent",
    "MarketLens",
    "MarketLogs",
    "MemoryJournal",
    "Token",
    "TransactionJournal",
    "TransactionReceipt",
    "TransactionRequest",
    "TransactionReverted",
    "TransactionSender",
]
