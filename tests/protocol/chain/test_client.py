"""The client against a real chain, and against nodes that are down, slow, wrong or lying."""

from __future__ import annotations

import inspect
import json
import multiprocessing
import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest
import requests
import web3.exceptions
from cohort_devnet.node import AnvilNode
from cohort_protocol.chain.client import ChainClient
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
from cohort_protocol.chain.transactions import TransactionRequest
from cohort_protocol.errors import InvalidInput
from eth_utils import keccak
from web3._utils.threads import Timeout as IpcTimeout

from tests.fixtures.chain import AHEAD, Devnet
from tests.protocol.chain.lying_node import LyingNode, error, result
from tests.protocol.ipfs.lying_node import scripted_node

HASH = "0x" + "ab" * 32


def test_blocks_balances_and_code(devnet: Devnet) -> None:
    client = devnet.client
    devnet.control.mine(2)
    block = client.block()
    assert block.number == client.block_number()
    assert client.block(block.number) == block
    assert client.block(block.number - 1).hash == block.parent_hash
    assert 0 < block.timestamp - time.time() < 2 * AHEAD
    assert block.gas_limit > 10**7
    account = devnet.account("anyone")
    assert client.balance(account.address) == 100 * 10**18
    assert client.require_code(devnet.market.address) == keccak(client.code(devnet.market.address))
    with pytest.raises(NoContract, match="no contract at"):
        client.require_code(account.address)
    assert client.version().startswith("anvil/")
    assert 0 < client.next_base_fee() < 10**12


def test_a_block_that_is_not_there_yet(devnet: Devnet) -> None:
    with pytest.raises(ChainUnavailable, match="no block"):
        devnet.client.block(10**9)


def test_a_wrong_chain_is_refused_before_anything_else(devnet: Devnet) -> None:
    client = ChainClient(devnet.node.url, expected_chain_id=1)
    with pytest.raises(WrongChain, match="has id 31337, expected 1"):
        _ = client.chain_id
    assert ChainClient(devnet.node.url, 31337).chain_id == 31337


@pytest.mark.parametrize(
    "url",
    [
        *("", "localhost:8545", "ftp://x", "ws://127.0.0.1:1", "file:///etc/passwd"),
        *("http://[", "http://127.0.0.1:99999", "http://127.0.0.1:x", "http://127.0.0.1:0"),
    ],
)
def test_urls_are_checked(url: str) -> None:
    with pytest.raises(InvalidInput, match="not a chain's URL"):
        ChainClient(url)


@pytest.mark.parametrize("reference", ["newest", "0x5", ""])
def test_block_references_are_checked(devnet: Devnet, reference: str) -> None:
    with pytest.raises(InvalidInput, match="not a block"):
        devnet.client.block(reference)


def test_receipts_of_unknown_transactions_are_none(devnet: Devnet) -> None:
    assert devnet.client.receipt(b"\x01" * 32) is None
    assert not devnet.client.in_pool_or_mined(b"\x01" * 32)


def test_a_closed_port_is_unavailable() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    start = time.monotonic()
    with pytest.raises(ChainUnavailable, match="not reachable"):
        ChainClient(f"http://127.0.0.1:{port}", timeout=1).block_number()
    assert time.monotonic() - start < 3


def test_a_node_that_never_answers_times_out() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(8)
        start = time.monotonic()
        with pytest.raises(ChainUnavailable, match=r"did not answer within 0\.3 s"):
            ChainClient(f"http://127.0.0.1:{listener.getsockname()[1]}", timeout=0.3).block_number()
        assert time.monotonic() - start < 3


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (200, b"<html>gateway</html>", AnswerMalformed),
        (200, b"", AnswerMalformed),
        (200, b"[]", AnswerMalformed),
        (200, b'{"jsonrpc": "2.0", "id": 0}', AnswerMalformed),
        (200, b'{"jsonrpc": "2.0", "id": 0, "result": 5}', AnswerMalformed),
        (200, b'{"jsonrpc": "2.0", "id": 0, "result": "0xzz"}', AnswerMalformed),
        (200, b'{"jsonrpc": "2.0", "id": 0, "result": null}', AnswerMalformed),
        (200, '{"jsonrpc": "2.0", "id": 0, "result": "0x\u0661"}'.encode(), AnswerMalformed),
        (200, b'{"jsonrpc": "2.0", "id": 0, "result": "0x1_0"}', AnswerMalformed),
        (200, b'{"jsonrpc": "2.0", "id": 0, "result": "-0x1"}', AnswerMalformed),
        (200, b'{"jsonrpc": "2.0", "id": 0, "result": NaN}', AnswerMalformed),
        (200, b'{"jsonrpc": "2.0", "id": 0, "result": ' + b"9" * 5000 + b"}", AnswerMalformed),
        (200, b"[" * 1_000_000, AnswerMalformed),
        (200, b'{"a":' * 100_000, AnswerMalformed),
        (200, b'{"jsonrpc": "2.0", "id": 0, "error": "no"}', ChainUnavailable),
        (500, b"oops", ChainUnavailable),
        (429, b"slow down", ChainUnavailable),
        (401, b"who are you", ChainUnavailable),
    ],
)
def test_answers_that_are_not_answers(status: int, body: bytes, expected: type[ChainError]) -> None:
    with LyingNode(lambda method, params: (status, body)) as node, pytest.raises(expected):
        ChainClient(node.url, timeout=2).block_number()


def endless(piece: bytes, pause: float) -> Callable[[socket.socket], None]:
    """An answer of which there is always more."""

    def answer(connection: socket.socket) -> None:
        connection.sendall(b'HTTP/1.1 200 OK\r\n\r\n{"result":"')
        while True:
            connection.sendall(piece)
            time.sleep(pause)

    return answer


@pytest.mark.parametrize(
    ("piece", "pause", "method", "expected", "words"),
    [
        (b"a" * (1 << 20), 0, "eth_chainId", AnswerMalformed, "answers more than"),
        (b"a" * (1 << 20), 0, "eth_getLogs", RangeTooLarge, "answers more than"),
        (b" ", 0.05, "eth_chainId", ChainUnavailable, "did not answer within"),
    ],
)
def test_an_answer_that_does_not_end_is_cut_off(
    piece: bytes, pause: float, method: str, expected: type[ChainError], words: str
) -> None:
    started = time.monotonic()
    with scripted_node(endless(piece, pause)) as url, pytest.raises(expected, match=words):
        ChainClient(url, timeout=0.5).rpc(method, [])
    assert time.monotonic() - started < 20


def test_headers_that_do_not_end_are_cut_off() -> None:
    def drip(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nX: ")
        for _ in range(600):
            connection.sendall(b"y")
            time.sleep(0.05)

    started = time.monotonic()
    with scripted_node(drip) as url, pytest.raises(ChainUnavailable, match="did not answer within"):
        ChainClient(url, timeout=0.3).block_number()
    assert time.monotonic() - started < 15


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_transaction_goes_nowhere_else(status: int) -> None:
    """A node that redirects does not make us send what it was asked to some other address."""
    with LyingNode(lambda *call: result("0x" + "11" * 32)) as elsewhere:
        answer = f"HTTP/1.1 {status} X\r\nLocation: {elsewhere.url}\r\nContent-Length: 0\r\n\r\n".encode()
        with scripted_node(lambda connection: connection.sendall(answer)) as url, pytest.raises(ChainUnavailable):
            ChainClient(url, timeout=2).rpc("eth_sendRawTransaction", ["0x02"])
        assert elsewhere.calls == []


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\nabcd",
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 307 X\r\nLocation: /\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 302 X\r\nLocation: http://[::1\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"a" * 100_000 + b"\r\n\r\n",
        b"\0" * 1000,
    ],
)
def test_broken_http_is_unavailable(answer: bytes) -> None:
    with scripted_node(lambda connection: connection.sendall(answer)) as url, pytest.raises(ChainUnavailable):
        ChainClient(url, timeout=2).block_number()


@pytest.mark.parametrize(
    ("method", "answer", "expected"),
    [
        ("eth_call", error(3, "execution reverted", "0x08c379a0"), TransactionReverted),
        ("eth_call", error(-32000, "execution reverted: custom error"), TransactionReverted),
        ("eth_call", error(-32015, "VM execution error", {"data": "Reverted 0x"}), ChainUnavailable),
        ("eth_call", error(-32005, "daily request count exceeded"), ChainUnavailable),
        ("eth_call", error(-32603, "internal error"), ChainUnavailable),
        ("anvil_setBalance", error(-32601, "Method not found"), MethodUnsupported),
        ("eth_getLogs", error(-32005, "query returned more than 10000 results, limit"), RangeTooLarge),
        ("eth_getLogs", error(-32602, "block range is too wide"), RangeTooLarge),
        ("eth_sendRawTransaction", error(-32000, "already known"), AlreadyKnown),
        ("eth_sendRawTransaction", error(-32003, "transaction already imported"), AlreadyKnown),
        ("eth_sendRawTransaction", error(-32000, "nonce too low: next nonce 5, tx nonce 4"), NonceTooLow),
        ("eth_sendRawTransaction", error(-32000, "replacement transaction underpriced"), NonceOccupied),
        ("eth_sendRawTransaction", error(-32000, "insufficient funds for gas * price + value"), InsufficientFunds),
        ("eth_sendRawTransaction", error(-32003, "max fee per gas less than block base fee"), FeeTooHigh),
        ("eth_sendRawTransaction", error(-32602, "Failed to decode transaction"), BroadcastRefused),
        ("eth_sendRawTransaction", error(-32603, "internal error"), ChainUnavailable),
    ],
)
def test_errors_of_nodes_have_types(method: str, answer, expected: type[ChainError]) -> None:
    with LyingNode(lambda *call: answer) as node, pytest.raises(ChainError) as raised:
        ChainClient(node.url).rpc(method, [])
    assert type(raised.value) is expected


@pytest.mark.parametrize(
    "data", ["0x5a0ec33b", {"data": "0x5a0ec33b"}, "Reverted 0x5a0ec33b", {"result": "0x5a0ec33b"}]
)
def test_revert_data_is_found_where_nodes_put_it(data: object) -> None:
    answer = error(3, "execution reverted", data)
    with LyingNode(lambda *call: answer) as node, pytest.raises(TransactionReverted) as got:
        ChainClient(node.url).call("0x" + "11" * 20, b"")
    assert "0x5a0ec33b" in str(got.value)


@pytest.mark.parametrize(
    ("call", "value"),
    [
        (lambda client: client.block(), "not a block"),
        (lambda client: client.block(), {"number": "0x1"}),
        (lambda client: client.receipt(b"\1" * 32), []),
        (lambda client: client.receipt(b"\1" * 32), {"logs": [], "status": "0x1"}),
        (lambda client: client.receipt(b"\1" * 32), {"logs": ["log"]}),
        (lambda client: client.logs("0x" + "11" * 20, 0, 1), {"logs": []}),
        (lambda client: client.logs("0x" + "11" * 20, 0, 1), [{"topics": ["0x12"], "address": "0x" + "11" * 20}]),
        (lambda client: client.logs("0x" + "11" * 20, 0, 1), [None]),
        (lambda client: client.balance("0x" + "11" * 20), "0x" + "f" * 65),
        (lambda client: client.call("0x" + "11" * 20, b""), "0xabc"),
        (lambda client: client.send_raw(b"\1"), "0x00"),
    ],
)
def test_lies_of_the_right_form_are_caught(call, value: object) -> None:
    with LyingNode(lambda *_: result(value)) as node, pytest.raises(ChainUnavailable):
        call(ChainClient(node.url))


def test_a_token_in_the_url_is_not_told() -> None:
    client = ChainClient("http://127.0.0.1:1/v3/secret-token?key=secret", timeout=0.5)
    with pytest.raises(ChainUnavailable) as raised:
        client.block_number()
    assert "127.0.0.1:1 is not reachable" in str(raised.value)
    assert "secret" not in str(raised.value)


def lower_errors() -> list[type[Exception]]:
    from_web3 = [
        kind
        for _, kind in inspect.getmembers(web3.exceptions, inspect.isclass)
        if issubclass(kind, web3.exceptions.Web3Exception)
    ]
    from_requests = [
        kind
        for _, kind in inspect.getmembers(requests.exceptions, inspect.isclass)
        if issubclass(kind, requests.RequestException)
    ]
    assert len(from_web3) > 30
    assert len(from_requests) > 15
    return [*from_web3, *from_requests, OSError, FileNotFoundError, ConnectionRefusedError, TimeoutError, ValueError]


@pytest.mark.parametrize("kind", [*lower_errors(), IpcTimeout], ids=lambda kind: kind.__name__)
def test_every_error_of_the_libraries_is_mapped(kind: type[Exception], monkeypatch: pytest.MonkeyPatch) -> None:
    client = ChainClient("http://127.0.0.1:1")
    raised = kind.__new__(kind)
    if isinstance(raised, requests.RequestException):
        raised.__init__(*("broken", "{", 0) if isinstance(raised, json.JSONDecodeError) else ("broken",))

    def fail(*_: object) -> None:
        raise raised

    monkeypatch.setattr(client._provider(), "make_request", fail)
    with pytest.raises(ChainUnavailable):
        client.block_number()


@pytest.fixture(scope="module")
def ipc_node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AnvilNode]:
    with AnvilNode(tmp_path_factory.mktemp("ipc"), ipc=True) as node:
        yield node


def test_ipc_answers_like_http(ipc_node: AnvilNode) -> None:
    over_ipc, over_http = ChainClient(ipc_node.ipc_url, 31337), ChainClient(ipc_node.url, 31337)
    assert over_ipc.chain_id == 31337
    assert over_ipc.block(0) == over_http.block(0)
    with pytest.raises(TransactionReverted):
        over_ipc.estimate_gas(TransactionRequest("", b"\xfe"), "0x" + "00" * 20)
    with pytest.raises(MethodUnsupported):
        over_http.rpc("eth_nothing")


def test_a_missing_socket_is_unavailable() -> None:
    with pytest.raises(ChainUnavailable, match="not reachable"):
        ChainClient("ipc:///tmp/no/such/cohort.ipc", timeout=1).block_number()


def _ask(url: str, times: int, answers) -> None:
    client = ChainClient(url)
    answers.put([client.block(0).number for _ in range(times)])


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="this system has no fork")
@pytest.mark.parametrize("kind", ["url", "ipc_url"])
def test_a_forked_child_opens_its_own_connection(ipc_node: AnvilNode, kind: str) -> None:
    """Celery forks. Two processes on one socket would read each other's answers."""
    client = ChainClient(getattr(ipc_node, kind))
    client.block_number()
    parent = client._connection
    context = multiprocessing.get_context("fork")
    answers = context.Queue()

    def child() -> None:
        client.block_number()
        answers.put(client._connection is not None and parent is not None and client._connection[1] is not parent[1])

    process = context.Process(target=child)
    process.start()
    assert answers.get(timeout=20) is True
    process.join(10)


@pytest.mark.parametrize("kind", ["url", "ipc_url"])
def test_threads_share_a_client(ipc_node: AnvilNode, kind: str) -> None:
    client = ChainClient(getattr(ipc_node, kind))
    wrong: list[object] = []

    def work(seed: int) -> None:
        address = f"0x{seed:040x}"
        client.rpc("anvil_setBalance", [address, hex(seed * 1000)])
        for _ in range(20):
            if client.balance(address) != seed * 1000:
                wrong.append(address)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(1, 9)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not wrong
