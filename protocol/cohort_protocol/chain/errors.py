"""Errors of the chain: one tree, into which every error of web3, requests and eth_abi is mapped."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cohort_protocol.errors import CohortError, Conflict, InvalidInput, NotFound, Unavailable


class ChainError(CohortError):
    """Root of everything that can go wrong between us and the chain."""

    code = "chain-error"


class ChainUnavailable(ChainError, Unavailable):
    """The node does not answer, answers too late, limits our rate or answers something that is not JSON-RPC."""

    code = "chain-unavailable"


class AnswerMalformed(ChainUnavailable):
    """The node or the contract answered bytes that do not decode. Usually a wrong address or a broken proxy."""

    code = "chain-answer-malformed"


class MethodUnsupported(ChainError):
    """The node does not know a JSON-RPC method that we need (for example `anvil_*` on a real chain)."""

    code = "chain-method-unsupported"


class WrongChain(ChainError):
    """The node serves another chain than the one we were told to use."""

    code = "wrong-chain"


class NoContract(ChainError, NotFound):
    """There is no code at the address."""

    code = "no-contract"


class ArgumentInvalid(ChainError, InvalidInput):
    """A value does not fit the type that the contract expects. Nothing was sent."""

    code = "chain-argument-invalid"


class TransactionReverted(ChainError):
    """A contract refused a call. Nothing was changed on chain.

    `name` is the custom error's name ("Error" for a require text, "Panic" for a failed check of the compiler,
    "Unknown" when the data matches no error we know); `arguments` its decoded values by parameter name.
    """

    code = "transaction-reverted"

    def __init__(self, message: str, name: str = "Unknown", arguments: Mapping[str, Any] | None = None):
        super().__init__(message)
        self.name = name
        self.arguments: dict[str, Any] = dict(arguments or {})


class UnknownProject(TransactionReverted, NotFound):
    """The market has no project of that number."""

    code = "unknown-project"


class InsufficientFunds(ChainError):
    """The account cannot pay for the transaction's gas and value."""

    code = "insufficient-funds"


class FeeTooHigh(ChainError, Unavailable):
    """Gas costs more than the cap allows at the moment."""

    code = "fee-too-high"


class TransactionLost(ChainError, Unavailable):
    """No receipt in the time allowed. The signed transaction is in the journal: the same intent again sends the same
    bytes, so that trying again is safe."""

    code = "transaction-lost"


class NonceTaken(TransactionLost):
    """Another transaction of the same key used the nonce, so the recorded one can never be mined."""

    code = "nonce-taken"


class BroadcastRefused(ChainError):
    """The node refuses the transaction for another reason than those above."""

    code = "broadcast-refused"


class AlreadyKnown(BroadcastRefused):
    """The node has this very transaction already."""

    code = "already-known"


class NonceTooLow(BroadcastRefused):
    """The chain is past this nonce: the transaction, or another with its nonce, is mined."""

    code = "nonce-too-low"


class NonceOccupied(BroadcastRefused):
    """The node's pool holds another transaction with this nonce."""

    code = "nonce-occupied"


class LogMalformed(ChainError, InvalidInput):
    """A log carries the topic of one of our events and bytes that do not decode as that event."""

    code = "log-malformed"


class RangeTooLarge(ChainError):
    """The node refuses to search that many blocks or return that many logs at once."""

    code = "log-range-too-large"


class JournalBroken(ChainError):
    """The journal of sent transactions cannot be read. Sending without it could send twice, so nothing is sent."""

    code = "journal-broken"


class IntentInvalid(ChainError, Conflict):
    """An intent is empty or too long, or the journal has (or lacks) an attempt that it should not."""

    code = "intent-invalid"
