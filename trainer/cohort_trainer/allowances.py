"""Letting the market take tokens: by a signature inside the same transaction (EIP-2612) where the token knows permits,
else by an approval of exactly the amount before it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import structlog
from cohort_protocol.chain import EntryState, FileJournal, Token, TransactionRequest, TransactionReverted
from cohort_protocol.chain.errors import AnswerMalformed, NoContract
from cohort_protocol.chain.sender import TransactionSender
from cohort_protocol.chain.transactions import TransactionReceipt
from eth_account.signers.local import LocalAccount

from cohort_trainer.connection import Connection

log = structlog.get_logger(__name__)

PERMIT_SECONDS = 3600
"""How long a signed permit is good for: longer than a transaction waits, and not for ever."""


@dataclass(frozen=True)
class Purse:
    """An account that pays: what it signs with, and where its transactions are recorded."""

    connection: Connection
    account: LocalAccount
    sender: TransactionSender
    transactions: Path
    """File of the sender's journal."""

    @property
    def address(self) -> str:
        return self.account.address

    def pay(self, token: Token, value: int, calls: Sequence[TransactionRequest], intent: str) -> TransactionReceipt:
        """Sends calls of the market that take `value` base units of `token` from this account, as one transaction.

        An approval goes before it only if the token knows no permit. Safe to run again after a crash at any point:
        the same intent succeeds once. Raises `TransactionReverted`, `TransactionLost`, `InsufficientFunds`.
        """
        market = self.connection.market
        plain = calls[0] if len(calls) == 1 else market.multicall(calls)
        if self._was_sent(intent) or value == 0 or token.allowance(self.address, market.address) >= value:
            return self.sender.execute(plain, intent)
        permit = self._permit(token, value)
        if permit is not None:
            request = market.multicall([permit, *calls])
            if self._would_succeed(request):
                return self.sender.execute(request, intent)
        # Approving twice does no harm, so that this intent need not outlive a crash.
        block = self.connection.chain.block_number()
        self.sender.execute(token.approve(market.address, value), f"approve {value} at {block} for: {intent}"[:120])
        return self.sender.execute(plain, intent)

    def _was_sent(self, intent: str) -> bool:
        """Whether an earlier run recorded the transaction, and it was mined or still can be."""
        self.sender.resume()
        entry = FileJournal(self.transactions).find(intent)
        return entry is not None and entry.state in (EntryState.PENDING, EntryState.MINED)

    def _permit(self, token: Token, value: int) -> TransactionRequest | None:
        """The call that uses a permit signed now; None if the token has none."""
        market = self.connection.market
        deadline = self.connection.now() + PERMIT_SECONDS
        try:
            message = token.permit_message(self.address, market.address, value, deadline)
        except (TransactionReverted, NoContract, AnswerMalformed):
            return None
        signed = self.account.sign_message(message)
        r, s = signed.r.to_bytes(32, "big"), signed.s.to_bytes(32, "big")
        return market.self_permit(token.address, value, deadline, signed.v, r, s)

    def _would_succeed(self, request: TransactionRequest) -> bool:
        """False if the token does not take the permit. Raises `TransactionReverted` for a reason of the market's own,
        which an approval would not mend."""
        market = self.connection.market
        try:
            market.simulate(request, self.address)
        except TransactionReverted as error:
            own = {item.name for item in market.abi.errors.values() if not item.name.startswith("SafeERC20")}
            if error.name in own:
                raise
            log.info("permit-not-taken", detail=str(error), next="approving instead")
            return False
        return True
