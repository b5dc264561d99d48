"""One bounded call to a Kubo node's RPC, and every way it can fail as one of our errors.

ipfshttpclient speaks the protocol; this module closes what it leaves open: answers are read in small pieces up
to a limit, redirects and proxies are off, each thread and each forked process has its own connections, and no
exception of ipfshttpclient, requests or urllib3 gets past `call`.
"""

from __future__ import annotations

import http.client
import json
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import multiaddr.exceptions
import requests
import urllib3.exceptions
from ipfshttpclient import exceptions as client_errors
from ipfshttpclient import http_requests

from cohort_protocol.deadlines import Deadline, Pace, bounded_session, ends_by
from cohort_protocol.ipfs.errors import ContentNotFound, ContentTooLarge, IpfsUnavailable, StoreUrlInvalid

_PIECE_BYTES = 64 * 1024
_MAX_ERROR_BYTES = 16 * 1024
_MAX_JSON_BYTES = 16 * 1024
_MAX_SHOWN = 300

# What Kubo (and go-ipfs before it) says when a block is in none of the places it looked.
_NOT_FOUND = ("ipld: could not find ", "merkledag: not found", "blockservice: key not found")
_NOT_FOUND_IN_TIME = "context deadline exceeded"

# Everything that the libraries below raise on a bad address, a bad network or a bad answer.
LIBRARY_ERRORS = (
    client_errors.Error,
    multiaddr.exceptions.Error,
    multiaddr.exceptions.MultiaddrError,
    requests.RequestException,
    urllib3.exceptions.HTTPError,
    urllib3.exceptions.ProxySchemeUnsupported,
    http.client.HTTPException,
    OSError,
    UnicodeError,
)


MIN_RATE = 16 * 1024
"""Bytes per second, 128 kbit/s. A model of 100 MB may take 6100 s at that rate."""


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds. A call fails as `IpfsUnavailable` when one passes, except `find_s`: `ContentNotFound`."""

    connect_s: float = 5.0
    silence_s: float = 60.0
    """Longest wait for the node's next bytes."""
    total_s: float = 600.0
    """Longest call, from the first byte of the request to the last of the answer; adding a file may take longer by what
    `min_rate` allows for its bytes."""
    find_s: float = 30.0
    """How long the node may look for one block on the network. Less than `silence_s`."""
    min_rate: float = MIN_RATE
    """Bytes per second: a file of many blocks may take `total_s`, and a second more for each `min_rate` bytes."""

    @property
    def pace(self) -> Pace:
        """Of files, up and down."""
        return Pace(self.total_s, self.min_rate)


class NodeRefused(IpfsUnavailable):
    """The node answered with an error of its own. `message` is what it said, printable, at most 300 characters."""

    def __init__(self, what: str, message: str) -> None:
        super().__init__(f"{what}: the IPFS node refused: {message}")
        self.message = message


class Rpc(http_requests.ClientSync):
    """The calls of one node. `address` is a multiaddr such as `/ip4/127.0.0.1/tcp/5001/http`.

    Does not connect until the first call. Raises `StoreUrlInvalid` for an address that cannot be used.
    """

    def __init__(self, address: str, timeouts: Timeouts) -> None:
        self._timeouts = timeouts
        self._threads = threading.local()
        try:
            super().__init__(
                address,
                "api/v0",
                # Compressed answers could unpack to any size.
                headers={"Accept-Encoding": "identity"},
                timeout=(timeouts.connect_s, timeouts.silence_s),
            )
        except LIBRARY_ERRORS as error:
            raise StoreUrlInvalid(f"{address} is not the address of an IPFS node: {error}") from error

    def call(
        self,
        path: str,
        argument: str | None = None,
        options: dict[str, str] | None = None,
        *,
        max_answer: int,
        body: Iterator[bytes] | None = None,
        headers: dict[str, str] | None = None,
    ) -> bytes:
        """POST one command and return its answer.

        Raises `ContentNotFound` (the node answers that it has not got or not found the block in time),
        `ContentTooLarge` (the answer has more than `max_answer` bytes), `NodeRefused` (any other error the
        node reports), `IpfsUnavailable` (anything else).
        """
        answer = bytearray()
        with self._mapped(path, argument), ends_by(time.monotonic() + self._timeouts.total_s) as deadline:
            arguments = () if argument is None else (argument,)
            data = None if body is None else self._sent(body, deadline)
            with self.request(path, arguments, opts=options or {}, data=data, headers=headers, stream=True) as pieces:
                for piece in pieces:
                    answer += piece
                    if len(answer) > max_answer:
                        raise ContentTooLarge(
                            f"{path} {argument or ''}: the node's answer has more than {max_answer} bytes"
                        )
                    deadline.left()
        return bytes(answer)

    def _sent(self, body: Iterator[bytes], deadline: Deadline) -> Iterator[bytes]:
        # A node that takes a large file in small sips must not hold us for ever, a slow line is no reason to give up.
        for part in body:
            deadline.left()
            yield part
            deadline.until += len(part) / self._timeouts.min_rate

    def call_json(
        self, path: str, argument: str | None = None, options: dict[str, str] | None = None, **more: object
    ) -> dict[str, object]:
        """As `call` for commands that answer with one small JSON object; anything else is `IpfsUnavailable`."""
        try:
            answer = self.call(path, argument, options, max_answer=_MAX_JSON_BYTES, **more)
        except ContentTooLarge as error:
            raise IpfsUnavailable(f"{error}; this command needs few: is that an IPFS node?") from error
        return _json_object(path, answer)

    def close(self) -> None:
        """Close this thread's connections; the next call opens new ones."""
        held = getattr(self._threads, "session", None)
        if held is not None:
            self._threads.session = None
            held[1].close()

    def _access_session(self) -> tuple[list[requests.Session], requests.Session]:
        # A connection shared by threads or inherited through fork would mix up the answers of two calls.
        held = getattr(self._threads, "session", None)
        if held is None or held[0] != os.getpid():
            held = (os.getpid(), self._make_session())
            self._threads.session = held
        return [], held[1]

    def _make_session(self) -> requests.Session:
        # A plain session: ipfshttpclient's own pins the address family, which our numeric and DNS addresses do
        # not need, in a way that urllib3 warns about.
        session = bounded_session()
        session.headers.update(self._session_props["headers"])
        session.params = self._session_props["params"]
        session.trust_env = False
        return session

    def _request(self, *args: object, **kwargs: object) -> object:
        return super()._request(*args, **{**kwargs, "chunk_size": _PIECE_BYTES})

    def _do_raise_for_status(self, response: requests.Response) -> None:
        if response.ok and not response.is_redirect:
            return
        shown = bytearray()
        for piece in response.iter_content(chunk_size=1024):
            shown += piece
            if len(shown) > _MAX_ERROR_BYTES:
                break
        status = requests.HTTPError(f"HTTP status {response.status_code}", response=response)
        try:
            message = json.loads(bytes(shown[:_MAX_ERROR_BYTES]))["Message"]
        except (ValueError, RecursionError, KeyError, TypeError):
            raise client_errors.StatusError(status) from None
        raise client_errors.ErrorResponse(_printable(message), status)

    @contextmanager
    def _mapped(self, path: str, argument: str | None) -> Iterator[None]:
        what = f"{path} {argument}" if argument else path
        try:
            yield
        except client_errors.ErrorResponse as error:
            message = str(error)
            if any(sign in message for sign in _NOT_FOUND):
                raise ContentNotFound(f"{what}: the node does not have it: {message}") from error
            if _NOT_FOUND_IN_TIME in message:
                raise ContentNotFound(
                    f"{what}: the node did not find it in {self._timeouts.find_s:g} s: {message}"
                ) from error
            raise NodeRefused(what, message) from error
        except TimeoutError as error:
            raise IpfsUnavailable(
                f"{what}: the IPFS node at {self._base_url} gave no full answer in {self._timeouts.total_s:g} s"
            ) from error
        except LIBRARY_ERRORS as error:
            raise IpfsUnavailable(
                f"{what}: the IPFS node at {self._base_url} cannot be used: {_printable(error)}. "
                "Check that it runs and that the address is that of its RPC (by default port 5001)"
            ) from error


def _json_object(path: str, answer: bytes) -> dict[str, object]:
    try:
        found = json.loads(answer)
    except (ValueError, RecursionError) as error:
        raise IpfsUnavailable(f"{path}: the node's answer is not JSON: {_printable(answer)}") from error
    if not isinstance(found, dict) or found.get("Type") == "error":
        raise IpfsUnavailable(f"{path}: the node's answer is {_printable(answer)}")
    return found


def _printable(value: object) -> str:
    shown = ascii(value) if isinstance(value, bytes) else "".join(c if c.isprintable() else "?" for c in str(value))
    return shown if len(shown) <= _MAX_SHOWN else shown[:_MAX_SHOWN] + "..."
