"""JSON-RPC over HTTP with an end: an answer has a largest size and a latest time, whatever a node sends.

web3 waits for every next byte anew and keeps all that comes, so that a node which never stops would take the memory, or
one that drips the time, of whoever asks.
"""

from __future__ import annotations

import threading
import time
from typing import Any

import requests
import urllib3
from eth_typing import URI
from web3 import HTTPProvider
from web3._utils.http_session_manager import HTTPSessionManager

from cohort_protocol.deadlines import Deadline, bounded_session, ends_by

MAX_ANSWER_BYTES = 64 << 20
"""The largest answers are logs; `chain.logs` asks for fewer blocks where one is too long."""
DEADLINE = 6.0
"""Timeouts that an answer may take in all, headers included."""
_PIECE = 1 << 16


class AnswerTooLong(Exception):
    """The node sends more than `MAX_ANSWER_BYTES`. Caught by `ChainClient`."""


class BoundedProvider(HTTPProvider):
    """A provider whose answers end. Raises as `HTTPProvider` does, and `AnswerTooLong`."""

    def __init__(self, endpoint_uri: str, **options: Any) -> None:
        super().__init__(endpoint_uri, **options)
        self._request_session_manager = _BoundedSessions()


class _BoundedSessions(HTTPSessionManager):
    def __init__(self) -> None:
        super().__init__()
        self._threads = threading.local()

    def make_post_request(self, endpoint_uri: URI, data: bytes | dict[str, Any], **options: Any) -> bytes:
        with ends_by(time.monotonic() + DEADLINE * options["timeout"]) as deadline:
            options = {**options, "stream": True}
            with self.get_response_from_post_request(endpoint_uri, data=data, **options) as response:
                response.raise_for_status()
                if response.is_redirect:
                    # A signed transaction goes where it was sent, and not where an answer points.
                    raise requests.TooManyRedirects("redirects are not followed", response=response)
                return _content(response, deadline)

    def cache_and_return_session(
        self, endpoint_uri: URI, session: requests.Session | None = None, request_timeout: float | None = None
    ) -> requests.Session:
        """One session for each thread: it ends with its thread."""
        found: requests.Session | None = getattr(self._threads, "session", None)
        if found is None:
            found = self._threads.session = bounded_session()
        return found


def _content(response: requests.Response, deadline: Deadline) -> bytes:
    """The body. Raises `AnswerTooLong`, `requests.Timeout`, `requests.ConnectionError` and what else `requests` says of
    broken bodies."""
    found = bytearray()
    try:
        while part := response.raw.read1(_PIECE, decode_content=True):
            found += part
            if len(found) > MAX_ANSWER_BYTES:
                raise AnswerTooLong
            deadline.left()
    except (TimeoutError, urllib3.exceptions.ReadTimeoutError) as error:
        raise requests.ReadTimeout(str(error)) from error
    except urllib3.exceptions.DecodeError as error:
        raise requests.exceptions.ContentDecodingError(str(error)) from error
    except urllib3.exceptions.HTTPError as error:
        raise requests.exceptions.ChunkedEncodingError(str(error)) from error
    return bytes(found)
