"""Sending transactions: own nonces per key, journaled before they are broadcast, each intent at most once.

The caller names what a transaction is for (its intent). Whatever happens - a crash between signing and broadcast, an
answer that never came, two threads at once, a restart - the same intent leads to one successful transaction.
Fees follow EIP-1559 under a cap, with room for the base fee to double. A recorded transaction is never signed again
with a higher fee (two signed transactions for one intent could both be mined after a reorg): if gas becomes dearer
than that, it waits until gas is cheaper.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import structlog
from eth_account.signers.local import LocalAccount
from eth_account.typed_transactions import TypedTransaction
from hexbytes import HexBytes

from cohort_protocol.chain.client import ChainClient
from cohort_protocol.chain.errors import (
    AlreadyKnown,
    FeeTooHigh,
    InsufficientFunds,
    IntentInvalid,
    NonceOccupied,
    NonceTaken,
    NonceTooLow,
    TransactionLost,
    TransactionReverted,
)
from cohort_protocol.chain.journal import MAX_INTENT, EntryState, JournalEntry, TransactionJournal
from cohort_protocol.chain.transactions import TransactionReceipt, TransactionRequest
from cohort_protocol.identifiers import to_hex

log = structlog.get_logger(__name__)

GWEI = 10**9
GAS_MARGIN_PERCENT = 30
"""Added to the estimate: another transaction may come first and make ours longer (a reveal beside a reveal)."""
GAS_MARGIN_BASE = 20_000
REBROADCAST_AFTER = 3.0
"""Seconds without a receipt after which the node is asked whether it still has the transaction."""
MOST_ATTEMPTS = 5
"""Fresh nonces tried in one call of `execute` before giving up: more means that somebody else uses the key."""


@dataclass(frozen=True)
class FeePolicy:
    """What we pay for gas, in wei per gas (EIP-1559)."""

    cap: int = 500 * GWEI
    """Most that base fee and tip may cost together."""
    tip: int = 1 * GWEI

    def fees(self, base_fee: int) -> tuple[int, int]:
        """(max fee, tip): room for the base fee to double, within the cap. Raises `FeeTooHigh`."""
        if base_fee + self.tip > self.cap:
            raise FeeTooHigh(
                f"gas costs {(base_fee + self.tip) / GWEI:.2f} gwei, more than the cap of {self.cap / GWEI:.2f}: wait, "
                "or raise the cap"
            )
        return min(2 * base_fee + self.tip, self.cap), self.tip


class TransactionSender:
    """Sends with one key. Safe under threads, and across processes that share the journal."""

    def __init__(
        self,
        client: ChainClient,
        account: LocalAccount,
        journal: TransactionJournal,
        *,
        fees: FeePolicy | None = None,
        confirmations: int = 0,
        poll: float = 0.05,
        timeout: float = 60.0,
    ):
        self.client = client
        self.address: str = account.address
        self.fees = fees or FeePolicy()
        self.confirmations = confirmations
        """Blocks on top of the receipt's before it counts."""
        self.poll = poll
        self.timeout = timeout
        self._account = account
        self._journal = journal

    def execute(self, request: TransactionRequest, intent: str, timeout: float | None = None) -> TransactionReceipt:
        """Sends and waits; the receipt of the one success of this intent.

        An intent that succeeded before returns its receipt and sends nothing. One that was recorded but not mined is
        broadcast again with the same bytes. One that reverted, or whose nonce another transaction took, is estimated
        and signed anew. What was recorded wins over a different request under the same intent (and is logged): use a
        new intent for a new purpose. Raises `TransactionReverted`, `TransactionLost` (try again), `InsufficientFunds`,
        `FeeTooHigh`, `IntentInvalid`, `ChainUnavailable` (try again).
        """
        for _ in range(MOST_ATTEMPTS):
            entry = self.send(request, intent)
            try:
                return self.wait(entry, timeout)
            except NonceTaken:
                continue
        raise NonceTaken(
            f"{intent}: {MOST_ATTEMPTS} nonces in a row were taken by other transactions of {self.address}: another "
            "program uses this key without this journal"
        )

    def send(self, request: TransactionRequest, intent: str) -> JournalEntry:
        """Signs, records and broadcasts, unless the intent has a transaction that is mined or still can be.

        Errors as in `execute`; when it raises before the transaction is recorded, nothing was sent and nothing will be.
        """
        if not 0 < len(intent) <= MAX_INTENT:
            raise IntentInvalid(f"an intent is 1 to {MAX_INTENT} characters, this one has {len(intent)}")
        entry = self._standing(self._journal.find(intent))
        if entry is None:
            entry = self._sign_once(request, intent)
        recorded = _unsigned(entry.raw)
        if (recorded.to.lower(), recorded.data) != (request.to.lower(), request.data):
            # After a crash a caller may know more than when it signed. What was signed once may be mined, so it wins.
            log.warning("intent_recorded_with_other_data", intent=intent, hash=to_hex(entry.hash))
        if entry.state is EntryState.PENDING:
            self._broadcast(entry)
        return entry

    def wait(self, entry: JournalEntry, timeout: float | None = None) -> TransactionReceipt:
        """Waits until the transaction is mined and confirmed.

        Raises `TransactionReverted` with the contract's reason, `NonceTaken`, or `TransactionLost` after `timeout`
        seconds (the transaction stays in the journal).
        """
        limit = self.timeout if timeout is None else timeout
        start = time.monotonic()
        next_check = start + REBROADCAST_AFTER
        while True:
            receipt = self.client.receipt(entry.hash)
            if receipt is not None and self._confirmed(receipt):
                return self._finish(entry, receipt)
            now = time.monotonic()
            if receipt is None and now >= next_check:
                next_check = now + REBROADCAST_AFTER
                self._check_displaced(entry)
                if not self.client.in_pool_or_mined(entry.hash):
                    log.warning("transaction_dropped", intent=entry.intent, hash=to_hex(entry.hash))
                    self._broadcast(entry)
            if now - start >= limit:
                self._check_displaced(entry)
                raise TransactionLost(
                    f"{entry.intent}: transaction {to_hex(entry.hash)} (nonce {entry.nonce}) has no receipt after "
                    f"{limit:g} s. It is recorded: the same intent again sends the same bytes"
                )
            time.sleep(self.poll)

    def resume(self) -> list[JournalEntry]:
        """Broadcasts again every recorded transaction that is not mined, after a restart, and brings the journal up
        to date. Returns the entries still pending. Raises `ChainUnavailable`."""
        still = []
        for entry in self._journal.pending():
            found = self._standing(entry)
            if found is not None and found.state is EntryState.PENDING:
                self._broadcast(found)
                still.append(found)
        return still

    # -- steps

    def _standing(self, entry: JournalEntry | None) -> JournalEntry | None:
        """The entry if its transaction is mined with success or can still be mined; else None (sign anew).

        Asks the chain, not the journal: a reorg may have taken a mined transaction out again.
        """
        if entry is None:
            return None
        receipt = self.client.receipt(entry.hash)
        if receipt is not None:
            state = EntryState.MINED if receipt.success else EntryState.REVERTED
            entry = self._mark(entry, state, receipt.block_number)
            return entry if receipt.success else None
        if self._displaced(entry):
            self._mark(entry, EntryState.DISPLACED, None)
            log.warning("transaction_displaced", intent=entry.intent, nonce=entry.nonce, hash=to_hex(entry.hash))
            return None
        return self._mark(entry, EntryState.PENDING, None)

    def _mark(self, entry: JournalEntry, state: EntryState, block_number: int | None) -> JournalEntry:
        if (entry.state, entry.block_number) == (state, block_number):
            return entry
        self._journal.mark(entry.intent, entry.attempt, state, block_number)
        return JournalEntry(entry.intent, entry.attempt, entry.nonce, entry.raw, entry.hash, state, block_number)

    def _displaced(self, entry: JournalEntry) -> bool:
        """Whether the nonce is used, and not by this transaction. The order matters: had this transaction used the
        nonce by the first question, the second would find its receipt."""
        newest = self.client.block_number()
        mined = self.client.nonce(self.address, max(0, newest - self.confirmations))
        return mined > entry.nonce and self.client.receipt(entry.hash) is None

    def _check_displaced(self, entry: JournalEntry) -> None:
        if self._displaced(entry):
            self._mark(entry, EntryState.DISPLACED, None)
            raise NonceTaken(
                f"{entry.intent}: nonce {entry.nonce} of {self.address} was used by another transaction, so "
                f"{to_hex(entry.hash)} can never be mined; the same intent again signs with a fresh nonce"
            )

    def _confirmed(self, receipt: TransactionReceipt) -> bool:
        if self.confirmations == 0:
            return True
        return self.client.block_number() >= receipt.block_number + self.confirmations

    def _finish(self, entry: JournalEntry, receipt: TransactionReceipt) -> TransactionReceipt:
        state = EntryState.MINED if receipt.success else EntryState.REVERTED
        self._journal.mark(entry.intent, entry.attempt, state, receipt.block_number)
        if receipt.success:
            return receipt
        raise self._reason(entry, receipt)

    def _reason(self, entry: JournalEntry, receipt: TransactionReceipt) -> TransactionReverted:
        """Why a mined transaction reverted: the node keeps no reason, so the call is repeated on the state before its
        block. Another transaction of the block may have been the cause; then the repetition succeeds."""
        try:
            request = _unsigned(entry.raw)
            self.client.call(
                request.to,
                request.data,
                sender=self.address,
                value=request.value,
                ref=receipt.block_number - 1,
                what=entry.intent,
            )
        except TransactionReverted as error:
            return error
        return TransactionReverted(
            f"{entry.intent}: transaction {to_hex(entry.hash)} reverted in block {receipt.block_number}; the same call "
            "on the block before succeeds, so an earlier transaction of that block, or the gas limit, is the cause"
        )

    def _sign_once(self, request: TransactionRequest, intent: str) -> JournalEntry:
        gas = request.gas
        if gas is None:
            estimate = self.client.estimate_gas(request, self.address)
            gas = estimate + estimate * GAS_MARGIN_PERCENT // 100 + GAS_MARGIN_BASE
        gas = min(gas, self.client.block().gas_limit)
        max_fee, tip = self.fees.fees(self.client.next_base_fee())
        chain_id = self.client.chain_id
        needed = gas * max_fee + request.value
        balance = self.client.balance(self.address)
        if balance < needed:
            raise InsufficientFunds(
                f"{intent}: {self.address} holds {balance} wei and may need {needed}: send it some for gas"
            )
        with self._journal.exclusive():
            # Another thread or process may have been faster with the same intent.
            before = self._journal.find(intent)
            standing = self._standing(before)
            if standing is not None:
                return standing
            nonce = self._next_nonce()
            signed = self._account.sign_transaction(
                {
                    "type": 2,
                    "chainId": chain_id,
                    "nonce": nonce,
                    "maxFeePerGas": max_fee,
                    "maxPriorityFeePerGas": tip,
                    "gas": gas,
                    "value": request.value,
                    "data": request.data,
                    **({"to": request.to} if request.to else {}),
                }
            )
            entry = JournalEntry(
                intent=intent,
                attempt=before.attempt + 1 if before else 1,
                nonce=nonce,
                raw=bytes(signed.raw_transaction),
                hash=bytes(signed.hash),
            )
            self._journal.record(entry)
        return entry

    def _next_nonce(self) -> int:
        """The lowest nonce that neither the chain, nor the node's pool, nor a recorded transaction uses.

        Recorded transactions that the node lost are broadcast again first: a gap below would hold ours up for ever.
        The journal is asked before the chain: a transaction that is mined between the two questions is then in one of
        the answers. In the other order it could be in neither, and its nonce would be given twice; two intents of the
        very same call would then be one transaction, and nobody would notice.
        """
        recorded = self._journal.pending()
        free = self.client.nonce(self.address, "pending")
        ours = {entry.nonce: entry for entry in recorded}
        while free in ours:
            self._broadcast(ours[free])
            free += 1
        return free

    def _broadcast(self, entry: JournalEntry) -> None:
        try:
            self.client.send_raw(entry.raw)
        except AlreadyKnown:
            return
        except (NonceTooLow, NonceOccupied) as error:
            # Mined already, or the nonce belongs to another transaction: `wait` finds out which.
            log.info("broadcast_superseded", intent=entry.intent, nonce=entry.nonce, detail=str(error))


def _unsigned(raw: bytes) -> TransactionRequest:
    """What a signed EIP-1559 transaction calls."""
    fields = TypedTransaction.from_bytes(HexBytes(raw)).as_dict()
    to = fields["to"]
    return TransactionRequest(
        to="0x" + bytes(to).hex() if to else "", data=bytes(fields["data"]), value=int(fields["value"])
    )
