"""The connection to a chain: JSON-RPC over HTTP or IPC through web3, every failure mapped into our error tree."""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Sequence
from typing import Any
from urllib.parse import SplitResult, urlsplit

import requests
from eth_utils import keccak, to_checksum_address
from web3 import IPCProvider
from web3._utils.threads import Timeout as IpcTimeout
from web3.exceptions import RequestTimedOut, Web3Exception
from web3.providers.rpc.utils import ExceptionRetryConfiguration

from cohort_protocol.chain.errors import (
    AlreadyKnown,
    AnswerMalformed,
    BroadcastRefused,
    ChainError,
    ChainUnavailable,
    FeeTooHigh,
    InsufficientFunds,
    MethodUnsupported,
    NoContract,
    NonceOccupied,
    NonceTooLow,
    RangeTooLarge,
    TransactionReverted,
    WrongChain,
)
from cohort_protocol.chain.http import MAX_ANSWER_BYTES, AnswerTooLong, BoundedProvider
from cohort_protocol.chain.reverts import decode_revert
from cohort_protocol.chain.transactions import Block, RawLog, TransactionReceipt, TransactionRequest
from cohort_protocol.errors import InvalidInput
from cohort_protocol.identifiers import parse_address, to_hex
from cohort_protocol.shown_urls import shown_url

BlockRef = int | str
"""A block number, or "latest", "pending", "safe", "finalized", "earliest"."""

_TAGS = ("latest", "pending", "safe", "finalized", "earliest")
_QUANTITY = re.compile(r"0x[0-9a-fA-F]{1,64}")
_EVM_FAILURES = ("evm error", "out of gas", "invalid opcode", "gas required exceeds")
"""How nodes say that a contract failed without reverting."""
_RETRIES = 3
_BACKOFF = 0.1
"""Seconds before the second attempt, doubled after: covers a keep-alive connection that the node closed, no more.
Longer outages are the business of whoever called."""


class ChainClient:
    """One chain by URL: `http(s)://host:port/...` or `ipc:///absolute/path`.

    Safe under threads and across fork (a child process opens its own connection). No method retries longer than
    about `3 * timeout`. Every failure is a `ChainError`.
    """

    def __init__(self, url: str, expected_chain_id: int | None = None, timeout: float = 10.0):
        self.url = url
        self.expected_chain_id = expected_chain_id
        self.timeout = timeout
        self._lock = threading.Lock()
        self._connection: tuple[int, BoundedProvider | IPCProvider] | None = None
        self._chain_id: int | None = None
        self._parts = _parsed(url)

    # -- connection

    def _provider(self) -> BoundedProvider | IPCProvider:
        with self._lock:
            if self._connection is None or self._connection[0] != os.getpid():
                self._connection = (os.getpid(), self._connect())
            return self._connection[1]

    def _connect(self) -> BoundedProvider | IPCProvider:
        if self._parts.scheme == "ipc":
            return IPCProvider(self._parts.path, timeout=int(max(1, self.timeout)))
        options: dict[str, Any] = {"timeout": self.timeout}
        if self._parts.hostname in ("127.0.0.1", "localhost", "::1"):
            # A proxy set for the machine never serves its own loopback.
            options["proxies"] = {"no_proxy": self._parts.hostname}
        return BoundedProvider(
            self.url,
            request_kwargs=options,
            exception_retry_configuration=ExceptionRetryConfiguration(
                errors=(requests.ConnectionError,), retries=_RETRIES, backoff_factor=_BACKOFF
            ),
        )

    def close(self) -> None:
        """Drops the connection. The next call opens a new one."""
        with self._lock:
            self._connection = None

    def rpc(self, method: str, params: Sequence[Any] = (), what: str | None = None) -> Any:
        """The result of a JSON-RPC call, undecoded. `what` names the call in messages.

        Raises `ChainUnavailable`, `TransactionReverted`, `MethodUnsupported`, `RangeTooLarge`, or a
        `BroadcastRefused` where the node refused a transaction.
        """
        what = what or method
        response = self._request(method, list(params), what)
        if not isinstance(response, dict) or ("result" not in response and "error" not in response):
            raise AnswerMalformed(f"{what}: the chain at {self._shown} answered something that is not JSON-RPC")
        if response.get("error") is not None:
            raise _map_rpc_error(response["error"], method, what)
        return response.get("result")

    def _request(self, method: str, params: list[Any], what: str) -> Any:
        """The decoded JSON of the answer. Causes are named by type where their text could quote the URL."""
        try:
            return self._provider().make_request(method, params)  # type: ignore[arg-type]
        except (requests.Timeout, RequestTimedOut, IpcTimeout) as error:
            raise ChainUnavailable(
                f"{what}: the chain at {self._shown} did not answer within {self.timeout:g} s"
            ) from error
        except requests.HTTPError as error:
            status = error.response.status_code if error.response is not None else "an error"
            raise ChainUnavailable(f"{what}: the chain at {self._shown} answered HTTP status {status}") from error
        except requests.RequestException as error:
            raise ChainUnavailable(
                f"{what}: the chain at {self._shown} is not reachable ({type(error).__name__})"
            ) from error
        except Web3Exception as error:
            raise ChainUnavailable(f"{what}: the chain at {self._shown} failed ({type(error).__name__})") from error
        except AnswerTooLong as error:
            words = f"{what}: the chain at {self._shown} answers more than {MAX_ANSWER_BYTES} bytes"
            raise (RangeTooLarge(words) if method == "eth_getLogs" else AnswerMalformed(words)) from error
        except OSError as error:
            raise ChainUnavailable(f"{what}: the chain at {self._shown} is not reachable: {error}") from error
        except (ValueError, RecursionError) as error:
            # JSON that does not parse: a proxy's error page, for example; or that is nested without end.
            raise AnswerMalformed(f"{what}: the chain at {self._shown} did not answer JSON: {error}") from error

    @property
    def _shown(self) -> str:
        """The URL without its path and query, which may hold an access token."""
        if self._parts.scheme == "ipc":
            return self.url
        return f"{self._parts.scheme}://{self._parts.hostname}:{self._parts.port or ''}".rstrip(":")

    # -- the chain

    def check(self) -> int:
        """The chain id. Raises `WrongChain` if it is not the expected one."""
        found = _quantity(self.rpc("eth_chainId"), "eth_chainId")
        if self.expected_chain_id is not None and found != self.expected_chain_id:
            raise WrongChain(
                f"the chain at {self._shown} has id {found}, expected {self.expected_chain_id}: check the URL"
            )
        self._chain_id = found
        return found

    @property
    def chain_id(self) -> int:
        """Asked and checked once, then remembered."""
        return self.check() if self._chain_id is None else self._chain_id

    def version(self) -> str:
        """Name and version of the node."""
        return str(self.rpc("web3_clientVersion"))[:200]

    def block_number(self) -> int:
        return _quantity(self.rpc("eth_blockNumber"), "eth_blockNumber")

    def block(self, ref: BlockRef = "latest") -> Block:
        """Raises `ChainUnavailable` if the node does not have that block (yet)."""
        found = self.rpc("eth_getBlockByNumber", [_ref(ref), False])
        if not isinstance(found, dict):
            raise ChainUnavailable(f"the chain at {self._shown} has no block {ref} (yet)")
        return Block(
            number=_quantity(found.get("number") or "0x0", "block"),
            hash=_data(found.get("hash") or "0x" + "00" * 32, "block", 32),
            parent_hash=_data(found.get("parentHash"), "block", 32),
            timestamp=_quantity(found.get("timestamp"), "block"),
            base_fee=_quantity(found.get("baseFeePerGas") or "0x0", "block"),
            gas_limit=_quantity(found.get("gasLimit"), "block"),
        )

    def next_base_fee(self) -> int:
        """wei per gas that the next block charges (EIP-1559); 0 on a chain without."""
        found = self.rpc("eth_feeHistory", ["0x1", "latest", []])
        fees = found.get("baseFeePerGas") if isinstance(found, dict) else None
        if not isinstance(fees, list) or not fees:
            return 0
        return _quantity(fees[-1], "eth_feeHistory")

    def balance(self, address: str, ref: BlockRef = "latest") -> int:
        """wei"""
        return _quantity(self.rpc("eth_getBalance", [parse_address(address), _ref(ref)]), "eth_getBalance")

    def nonce(self, address: str, ref: BlockRef = "latest") -> int:
        """Transactions of the address so far; "pending" counts those in the node's pool too."""
        found = self.rpc("eth_getTransactionCount", [parse_address(address), _ref(ref)])
        return _quantity(found, "eth_getTransactionCount")

    def code(self, address: str, ref: BlockRef = "latest") -> bytes:
        return _data(self.rpc("eth_getCode", [parse_address(address), _ref(ref)]), "eth_getCode")

    def require_code(self, address: str) -> bytes:
        """keccak256 of the code at the address. Raises `NoContract` if there is none."""
        found = self.code(address)
        if not found:
            raise NoContract(
                f"there is no contract at {address} on chain {self.chain_id}: check the address and the chain"
            )
        return keccak(found)

    def call(
        self,
        to: str,
        data: bytes,
        *,
        sender: str | None = None,
        value: int = 0,
        ref: BlockRef = "latest",
        what: str = "the call",
    ) -> bytes:
        """eth_call. Raises `TransactionReverted` if the contract refuses."""
        fields = {"to": to, "data": to_hex(data)}
        if sender is not None:
            fields["from"] = sender
        if value:
            fields["value"] = hex(value)
        return _data(self.rpc("eth_call", [fields, _ref(ref)], what), what)

    def estimate_gas(self, request: TransactionRequest, sender: str) -> int:
        """Gas that the request would use now. Raises `TransactionReverted` if it would be refused."""
        fields = _request_fields(request, sender)
        return _quantity(self.rpc("eth_estimateGas", [fields], request.describe or "the transaction"), "estimate")

    def send_raw(self, raw: bytes) -> bytes:
        """Broadcasts a signed transaction and returns its hash. Raises a `BroadcastRefused`, `InsufficientFunds`, or
        `ChainUnavailable` (then it may or may not have arrived)."""
        return _data(self.rpc("eth_sendRawTransaction", [to_hex(raw)]), "eth_sendRawTransaction", 32)

    def in_pool_or_mined(self, hash: bytes) -> bool:
        """Whether the node knows the transaction."""
        return self.rpc("eth_getTransactionByHash", [to_hex(hash)]) is not None

    def receipt(self, hash: bytes) -> TransactionReceipt | None:
        """None while the transaction is not mined."""
        found = self.rpc("eth_getTransactionReceipt", [to_hex(hash)])
        if found is None:
            return None
        if not isinstance(found, dict) or not isinstance(found.get("logs"), list):
            raise AnswerMalformed("the chain answered a receipt that is not one")
        created = found.get("contractAddress")
        return TransactionReceipt(
            hash=hash,
            block_number=_quantity(found.get("blockNumber"), "receipt"),
            block_hash=_data(found.get("blockHash"), "receipt", 32),
            success=_quantity(found.get("status"), "receipt") == 1,
            gas_used=_quantity(found.get("gasUsed"), "receipt"),
            gas_price=_quantity(found.get("effectiveGasPrice") or "0x0", "receipt"),
            contract_address=_address(created) if created else None,
            logs=tuple(_log(log) for log in found["logs"]),
        )

    def logs(
        self,
        address: str,
        from_block: int,
        to_block: int,
        topics: Sequence[Sequence[bytes] | bytes | None] = (),
    ) -> list[RawLog]:
        """Logs of one contract in [from_block, to_block], in order. Raises `RangeTooLarge` if the node wants less."""
        wanted: list[Any] = []
        for topic in topics:
            if isinstance(topic, bytes):
                wanted.append(to_hex(topic))
            else:
                wanted.append(None if topic is None else [to_hex(one) for one in topic])
        query = {"address": address, "fromBlock": hex(from_block), "toBlock": hex(to_block), "topics": wanted}
        found = self.rpc("eth_getLogs", [query])
        if not isinstance(found, list):
            raise AnswerMalformed("the chain answered logs that are not a list")
        logs = [_log(log) for log in found if not (isinstance(log, dict) and log.get("removed"))]
        return sorted(logs, key=lambda log: (log.block_number, log.log_index))


def _parsed(url: str) -> SplitResult:
    """Raises `InvalidInput`."""
    try:
        parts = urlsplit(url)
        known = parts.scheme in ("http", "https", "ipc") and parts.port != 0  # asking for a port checks it
    except ValueError:
        known = False  # without the cause, whose words may quote a password
    if not known:
        raise InvalidInput(
            f"{shown_url(url)} is not a chain's URL: expected http://host:port, https://host or ipc:///path"
        )
    return parts


def _request_fields(request: TransactionRequest, sender: str) -> dict[str, str]:
    fields = {"from": sender, "data": to_hex(request.data)}
    if request.to:
        fields["to"] = request.to
    if request.value:
        fields["value"] = hex(request.value)
    return fields


def _map_rpc_error(detail: Any, method: str, what: str) -> ChainError:
    """JSON-RPC errors have codes that nodes use differently, so the text decides where the code does not."""
    code = detail.get("code") if isinstance(detail, dict) else None
    text = str(detail.get("message", "") if isinstance(detail, dict) else detail)[:500]
    lower = text.lower()
    if code == 3 or "revert" in lower:
        return decode_revert(_revert_data(detail.get("data") if isinstance(detail, dict) else None), what)
    if method in ("eth_call", "eth_estimateGas") and any(word in lower for word in _EVM_FAILURES):
        return TransactionReverted(f"{what} fails: {text}")
    if "insufficient funds" in lower:
        return InsufficientFunds(f"{what}: the account cannot pay for gas and value: {text}")
    if method == "eth_sendRawTransaction":
        if "less than block base fee" in lower:
            return FeeTooHigh(f"the node refuses the transaction until gas is cheaper: {text}")
        if "already known" in lower or "already imported" in lower or "known transaction" in lower:
            return AlreadyKnown(text)
        if "nonce too low" in lower or "nonce is too low" in lower:
            return NonceTooLow(text)
        if "underpriced" in lower:
            return NonceOccupied(text)
        if code is not None and code != -32603:
            return BroadcastRefused(f"the node refuses the transaction: {text}")
    if code == -32601 or "not supported" in lower or "unsupported method" in lower:
        return MethodUnsupported(f"the node does not know {method}: {text}")
    if method == "eth_getLogs" and ("range" in lower or "limit" in lower or "too many" in lower):
        return RangeTooLarge(f"the node refuses this search for logs: {text}")
    return ChainUnavailable(f"{what}: the node answered error {code}: {text}")


def _revert_data(data: Any) -> bytes:
    """Nodes put the revert data under `data`, under `data.data`, or behind the word `Reverted`."""
    if isinstance(data, dict):
        data = data.get("data") or data.get("result")
    if not isinstance(data, str):
        return b""
    data = data.removeprefix("Reverted ").removeprefix("0x")
    try:
        return bytes.fromhex(data[:8192])
    except ValueError:
        return b""


def _ref(ref: BlockRef) -> str:
    if isinstance(ref, int):
        return hex(ref)
    if ref not in _TAGS:
        raise InvalidInput(f"{ref!r} is not a block: expected a number or one of {', '.join(_TAGS)}")
    return ref


def _quantity(value: Any, what: str) -> int:
    try:
        if not isinstance(value, str) or not _QUANTITY.fullmatch(value):
            raise ValueError("not a 0x-prefixed number")
        return int(value, 16)
    except ValueError as error:
        raise AnswerMalformed(f"{what}: the chain answered {str(value)[:40]!r}: {error}") from error


def _data(value: Any, what: str, length: int | None = None) -> bytes:
    try:
        if not isinstance(value, str) or not value.startswith("0x"):
            raise ValueError("not 0x-prefixed bytes")
        found = bytes.fromhex(value[2:])
        if length is not None and len(found) != length:
            raise ValueError(f"expected {length} bytes")
        return found
    except ValueError as error:
        raise AnswerMalformed(f"{what}: the chain answered {str(value)[:40]!r}: {error}") from error


def _address(value: Any) -> str:
    return to_checksum_address(_data(value, "address", 20))


def _log(log: Any) -> RawLog:
    if not isinstance(log, dict) or not isinstance(log.get("topics"), list):
        raise AnswerMalformed("the chain answered a log that is not one")
    return RawLog(
        address=_address(log.get("address")),
        topics=tuple(_data(topic, "log", 32) for topic in log["topics"]),
        data=_data(log.get("data"), "log"),
        block_number=_quantity(log.get("blockNumber"), "log"),
        block_hash=_data(log.get("blockHash"), "log", 32),
        transaction_hash=_data(log.get("transactionHash"), "log", 32),
        log_index=_quantity(log.get("logIndex"), "log"),
    )
