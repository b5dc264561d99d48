"""The service's HTTP client against a real server that answers well, badly, slowly and not at all."""

from __future__ import annotations

import gzip
import json
import socket
import threading
import time

import httpcore
import httpx
import pytest
from cohort_protocol.errors import Conflict, InvalidInput, NotFound, Unavailable
from cohort_protocol.service import transport
from cohort_protocol.service.client import MAX_ANSWER_BYTES, ServiceClient
from cohort_protocol.service.errors import (
    ServiceAnswerMalformed,
    ServiceConflict,
    ServiceNotFound,
    ServiceRefused,
    ServiceUnavailable,
    ServiceUrlInvalid,
)
from cohort_protocol.service.messages import CommitIntake, RevealIntake
from eth_utils import to_checksum_address

from tests.protocol.service.hostile_server import answering, dripping, http_answer, problem, serving

CID = "bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy"
ADDRESS = "0x" + "11" * 20
MARKET = {
    "chain_id": 31337,
    "market": "0x" + "ab" * 20,
    "verifier": "0x" + "cd" * 20,
    "policy": "0x" + "ef" * 20,
    "block": 7,
    "version": "0.1.0",
}
COMMIT = CommitIntake(trainer=ADDRESS, member=4, commitment="0x" + "22" * 32, signature="0x" + "33" * 65)
REVEAL = RevealIntake(trainer=ADDRESS, member=4, update="0x" + "22" * 32, salt="0x" + "44" * 32, cid=CID)


def json_answer(value: object) -> bytes:
    return http_answer(200, json.dumps(value).encode())


def state(version: int = 3, project: int = 1) -> dict:
    return {"version": version, "project": project, "ended": False, "finished": False, "round": None}


@pytest.fixture
def pauses() -> list[float]:
    return []


@pytest.fixture
def client_for(pauses):
    clients = []

    def make(url: str, **options) -> ServiceClient:
        client = ServiceClient(url, **{"timeout": 2.0, "sleep": pauses.append, **options})
        clients.append(client)
        return client

    yield make
    for client in clients:
        client.close()


def test_a_message_is_parsed_and_the_path_is_the_documented_one(client_for):
    with serving(answering(json_answer(MARKET))) as server:
        info = client_for(server.url + "/").market()
    assert info.chain_id == 31337
    assert info.market == to_checksum_address(MARKET["market"])
    assert server.requests[0].startswith(b"GET /v1/market HTTP/1.1\r\n")
    assert b"accept-encoding: identity" in server.requests[0].lower()


def test_a_post_carries_the_message(client_for):
    with serving(answering(json_answer({"status": "recorded"}))) as server:
        assert client_for(server.url).post_commit(4, 2, COMMIT).status == "recorded"
    head, _, body = server.requests[0].partition(b"\r\n\r\n")
    assert head.startswith(b"POST /v1/projects/4/rounds/2/commits ")
    assert CommitIntake.model_validate_json(body) == COMMIT


@pytest.mark.parametrize(
    ("status", "code", "kind", "also"),
    [
        (400, "opening-wrong", ServiceRefused, ServiceRefused),
        (404, "not-found", ServiceNotFound, NotFound),
        (409, "duplicate-commitment", ServiceConflict, Conflict),
        (422, "invalid-input", ServiceRefused, ServiceRefused),
    ],
)
def test_a_refusal_keeps_code_title_detail_and_status(client_for, pauses, status, code, kind, also):
    with serving(answering(problem(status, code, "the salt is another"))) as server:
        with pytest.raises(kind) as raised:
            client_for(server.url).post_reveal(1, 1, REVEAL)
        assert len(server.requests) == 1
    error = raised.value
    assert (error.code, error.title, error.detail, error.status) == (code, "No", "the salt is another", status)
    assert isinstance(error, also)
    assert not isinstance(error, Unavailable)
    assert "the salt is another" in str(error)
    assert pauses == []


def test_a_refusal_that_is_no_problem_json_keeps_its_status_and_loses_its_control_characters(client_for):
    page = b"<html>\x1b[31mForbidden\r\nby proxy</html>"
    with serving(answering(http_answer(403, page, "text/html"))) as server, pytest.raises(ServiceRefused) as raised:
        client_for(server.url).market()
    assert raised.value.code == "http-403"
    assert raised.value.detail.startswith("<html> [31mForbidden by proxy</html> (")


def test_a_foreign_code_does_not_reach_our_logs(client_for):
    with (
        serving(answering(problem(400, "x\n[error] all is lost", "d\x07"))) as server,
        pytest.raises(ServiceRefused) as raised,
    ):
        client_for(server.url).market()
    assert raised.value.code == "http-400"
    assert raised.value.detail == "d"


def test_503_is_retried_with_growing_pauses_and_then_succeeds(client_for, pauses):
    busy = problem(503, "unavailable", "starting")
    with serving(answering(busy, busy, json_answer(MARKET))) as server:
        assert client_for(server.url).market().block == 7
        assert len(server.requests) == 3
    assert pauses == [0.1, 0.2]


def test_503_for_ever_is_unavailable_with_the_words_of_the_service(client_for, pauses):
    with serving(answering(problem(503, "unavailable", "no database"))) as server:
        with pytest.raises(ServiceUnavailable, match="no database"):
            client_for(server.url, retries=2).market()
        assert len(server.requests) == 3
    assert pauses == [0.1, 0.2]


def test_retry_after_is_obeyed_within_reason(client_for, pauses):
    answers = [problem(503, "unavailable", "x", f"retry-after: {seconds}\r\n") for seconds in ("1", "86400")]
    with serving(answering(*answers, json_answer(MARKET))) as server:
        client_for(server.url).market()
    assert pauses == [1.0, 2.0]


@pytest.mark.parametrize("status", [500, 502, 429, 408, 504])
def test_other_faults_of_the_service_are_unavailable_and_not_retried(client_for, pauses, status):
    with serving(answering(problem(status, "internal", "sorry"))) as server:
        with pytest.raises(ServiceUnavailable) as raised:
            client_for(server.url).market()
        assert len(server.requests) == 1
    assert not isinstance(raised.value, ServiceAnswerMalformed)
    assert pauses == []


def test_a_redirect_is_not_followed(client_for):
    with serving(answering(json_answer(MARKET))) as target:
        moved = http_answer(302, b"", extra=f"location: {target.url}/v1/market\r\n")
        with serving(answering(moved)) as server, pytest.raises(ServiceAnswerMalformed, match="final address"):
            client_for(server.url).market()
        assert target.requests == []


def test_nobody_listening_is_unavailable_after_the_retries(client_for, pauses):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(ServiceUnavailable, match=f":{port}/v1/market"):
        client_for(f"http://127.0.0.1:{port}").market()
    assert pauses == [0.1, 0.2, 0.4]


def test_a_connection_cut_in_the_middle_is_retried(client_for, pauses):
    cut = http_answer(200, b'{"chain_id": 3')[:-5].replace(b"content-length: 14", b"content-length: 140")
    with serving(answering(cut, json_answer(MARKET))) as server:
        assert client_for(server.url).market().block == 7
    assert pauses == [0.1]


def test_a_body_that_announces_too_much_is_refused_unread(client_for):
    head = f"HTTP/1.1 200 X\r\ncontent-length: {MAX_ANSWER_BYTES + 1}\r\n\r\n".encode()
    with serving(answering(head)) as server, pytest.raises(ServiceAnswerMalformed, match=str(MAX_ANSWER_BYTES)):
        client_for(server.url, timeout=5).market()


def test_a_body_without_end_is_cut_off_at_the_limit(client_for):
    sent = 0

    def flood(connection: socket.socket, request: bytes) -> None:
        nonlocal sent
        connection.sendall(b"HTTP/1.1 200 X\r\ntransfer-encoding: chunked\r\n\r\n")
        while True:
            connection.sendall(b"10000\r\n" + b"a" * 0x10000 + b"\r\n")
            sent += 0x10000

    with serving(flood) as server, pytest.raises(ServiceAnswerMalformed, match="more than"):
        client_for(server.url, timeout=10).market()
    # Socket buffers hold a few megabytes more than we read.
    assert sent < 32 * MAX_ANSWER_BYTES


def test_a_compressed_body_is_refused(client_for):
    bomb = gzip.compress(b" " * (1 << 24))
    with (
        serving(answering(http_answer(200, bomb, extra="content-encoding: gzip\r\n"))) as server,
        pytest.raises(ServiceAnswerMalformed, match="compressed"),
    ):
        client_for(server.url).market()


@pytest.mark.parametrize(
    "body",
    [b"", b"null", b"[]", b"{}", b"<html>", b"\xff\xfe", b'{"chain_id": NaN}', b"[" * 100_000, b'{"chain_id": 1e999}'],
)
def test_an_answer_of_another_form_is_malformed_not_a_crash(client_for, body):
    with (
        serving(answering(http_answer(200, body))) as server,
        pytest.raises(ServiceAnswerMalformed, match="MarketInfo") as raised,
    ):
        client_for(server.url).market()
    assert isinstance(raised.value, Unavailable)


def test_fields_that_the_protocol_does_not_know_are_malformed(client_for):
    with (
        serving(answering(json_answer({**MARKET, "extra": 1}))) as server,
        pytest.raises(ServiceAnswerMalformed, match="extra"),
    ):
        client_for(server.url).market()


def test_an_answer_about_another_project_or_trainer_is_malformed(client_for):
    with (
        serving(answering(json_answer(state(project=2)))) as server,
        pytest.raises(ServiceAnswerMalformed, match="project 1 and answers about 2"),
    ):
        client_for(server.url).state(1)
    rewards = {"project": 1, "trainer": "0x" + "99" * 20, "earned": "0", "claimed": "0", "claimable": "0", "items": []}
    with serving(answering(json_answer(rewards))) as server, pytest.raises(ServiceAnswerMalformed, match="trainer"):
        client_for(server.url).rewards(1, ADDRESS)


def test_silence_ends_at_the_timeout_and_is_not_retried(client_for, pauses):
    with serving(lambda connection, request: time.sleep(1.5)) as server:
        started = time.monotonic()
        with pytest.raises(ServiceUnavailable, match=r"within 0\.3 s"):
            client_for(server.url, timeout=0.3).market()
        assert time.monotonic() - started < 1.2
        assert len(server.requests) == 1
    assert pauses == []


@pytest.mark.parametrize("part", ["head", "body"])
def test_a_server_that_drips_cannot_hold_a_request_past_its_deadline(client_for, part):
    """Each byte comes well within any read timeout; only a deadline over the whole request ends this."""
    ending = threading.Event()
    answer = json_answer(MARKET)
    head_end = answer.index(b"\r\n\r\n") + 4

    def behave(connection: socket.socket, request: bytes) -> None:
        if part == "body":
            connection.sendall(answer[:head_end])
        dripping(answer if part == "head" else answer[head_end:], 0.05, ending.is_set)(connection, request)

    with serving(behave) as server:
        started = time.monotonic()
        with pytest.raises(ServiceUnavailable, match="no complete answer"):
            client_for(server.url, timeout=0.5).market()
        took = time.monotonic() - started
        ending.set()
    assert 0.4 < took < 1.5


def test_a_long_poll_may_take_its_wait_on_top_of_the_timeout(client_for):
    def slow(connection: socket.socket, request: bytes) -> None:
        assert b"after=3&wait=1 " in request
        time.sleep(0.8)
        connection.sendall(json_answer(state(4)))

    with serving(slow) as server:
        assert client_for(server.url, timeout=0.4).state(1, after=3, wait=1).version == 4


def test_one_client_serves_many_threads_with_their_own_deadlines(client_for):
    def behave(connection: socket.socket, request: bytes) -> None:
        if b"/rounds/9/" in request:
            time.sleep(1.0)
        connection.sendall(json_answer({"status": "recorded"}))

    results: dict[int, str] = {}
    with serving(behave) as server:
        client = client_for(server.url, timeout=0.5)

        def post(round: int) -> None:
            try:
                results[round] = client.post_commit(1, round, COMMIT).status
            except ServiceUnavailable:
                results[round] = "unavailable"

        threads = [threading.Thread(target=post, args=(round,)) for round in (1, 2, 9, 3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert results == {1: "recorded", 2: "recorded", 3: "recorded", 9: "unavailable"}


@pytest.mark.parametrize(
    "url",
    [
        *("", "localhost:8000", "ftp://host", "http://", "http://user:pw@host", "http://h?x=1", "http://h\n"),
        *("http://xn--a", "http://h:x"),
    ],
)
def test_an_address_that_is_none_is_refused_at_once(url):
    with pytest.raises(ServiceUrlInvalid):
        ServiceClient(url)


def test_an_address_that_is_no_address_of_a_trainer_never_leaves(client_for):
    with serving(answering(json_answer({}))) as server:
        with pytest.raises(InvalidInput):
            client_for(server.url).rewards(1, "../../v1/market")
        assert server.requests == []


def test_every_error_of_httpx_is_mapped():
    """A lower-level error that is neither a timeout nor a transport error would escape as it is."""
    leaves = [httpx.ReadTimeout, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.WriteTimeout]
    leaves += [httpx.ConnectError, httpx.ReadError, httpx.WriteError]
    leaves += [httpx.RemoteProtocolError, httpx.LocalProtocolError]
    for leaf in leaves:
        assert issubclass(leaf, httpx.TimeoutException | httpx.TransportError)


def test_every_error_of_httpcore_is_mapped_by_the_transport():
    request = httpx.Request("GET", "http://x")
    kinds = [kind for kind in vars(httpcore).values() if isinstance(kind, type) and issubclass(kind, Exception)]
    assert len(kinds) > 10
    for kind in kinds:
        if kind.__name__ == "ConnectionNotAvailable":  # internal to httpcore's pool
            continue
        with pytest.raises(httpx.TransportError), transport._mapped(request):
            raise kind("boom")


def test_a_name_that_no_host_can_have_is_unavailable():
    with ServiceClient("http://" + "a" * 300, retries=0, timeout=2) as client, pytest.raises(ServiceUnavailable):
        client.market()
