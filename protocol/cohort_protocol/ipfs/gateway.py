"""Reading through an IPFS gateway that nobody has to trust.

Blocks are asked for one by one as raw bytes (Trustless Gateway specification,
https://specs.ipfs.tech/http-gateways/trustless-gateway/) and verified against their CIDs like those of every store, so
that a gateway can withhold content and nothing else. Read only.
"""

from __future__ import annotations

import ipaddress
import threading
import time
from pathlib import Path
from typing import BinaryIO, NoReturn
from urllib.parse import SplitResult, urljoin, urlsplit

import httpx
import requests
import urllib3

from cohort_protocol.deadlines import Deadline, Pace, bounded_session, ends_by
from cohort_protocol.ipfs.cid import Cid
from cohort_protocol.ipfs.errors import ContentNotFound, ContentTooLarge, IpfsUnavailable, StoreUrlInvalid
from cohort_protocol.ipfs.kubo_rpc import MIN_RATE
from cohort_protocol.ipfs.reader import MAX_BLOCK_BYTES
from cohort_protocol.ipfs.store import IpfsStore
from cohort_protocol.shown_urls import shown_url

RAW_BLOCK = "application/vnd.ipld.raw"
TIMEOUT = 60.0
"""Seconds without a byte: a gateway may have to find the content first."""
LONGEST = 5
"""Timeouts that a block may take in all, redirects and headers included: a gateway could send a byte now and then for
ever. A file may take as long, and longer by what `MIN_RATE` allows for its bytes."""
MAX_REDIRECTS = 3
_PIECE = 1 << 16
_NOT_THERE = (404, 410, 412)
"""412: a gateway that answers `Cache-Control: only-if-cached` so, and does not hold the block."""


class GatewayStore(IpfsStore):
    """The gateway at `https://host[:port]` or `http://host[:port]`. Raises `StoreUrlInvalid`.

    What would write raises `IpfsUnavailable`."""

    def __init__(self, url: str, timeout: float = TIMEOUT, min_rate: float = MIN_RATE) -> None:
        parts = _parsed(url)
        self._url = self._where = f"{parts.scheme}://{parts.netloc}"
        self._timeout, self._longest = timeout, LONGEST * timeout
        self._pace = Pace(self._longest, min_rate)
        self._local = _is_inside(parts.hostname or "")
        self._threads = threading.local()

    def name_and_version(self) -> str:
        return f"gateway {self._url}"

    def close(self) -> None:
        if (session := getattr(self._threads, "session", None)) is not None:
            session.close()

    def _session(self) -> requests.Session:
        """This thread's."""
        session: requests.Session | None = getattr(self._threads, "session", None)
        if session is None:
            session = self._threads.session = bounded_session()
            # A proxy set for the machine never serves its own loopback.
            session.trust_env = not self._local
            # Nor does a gateway get what ~/.netrc has for some host.
            session.auth = _no_credentials
            session.headers.update({"Accept": RAW_BLOCK, "Accept-Encoding": "identity"})
        return session

    def put(self, source: bytes | Path | BinaryIO) -> Cid:
        self._refuse("add content")

    def unpin(self, cid: Cid) -> None:
        self._refuse("unpin")

    def pinned(self, cid: Cid) -> bool:
        return False

    def _add_pin(self, cid: Cid) -> None:
        self._refuse("pin")

    def _refuse(self, what: str) -> NoReturn:
        raise IpfsUnavailable(
            f"the gateway {self._url} can only be read, it cannot {what}: use a node or a block store"
        )

    def _read_block(self, cid: Cid) -> bytes:
        with ends_by(time.monotonic() + self._longest) as deadline:
            try:
                with self._asked(cid, deadline) as answer:
                    return self._content(cid, answer, deadline)
            except (requests.RequestException, urllib3.exceptions.HTTPError, OSError, UnicodeError) as error:
                # UnicodeError: of a redirect to what is no host's name.
                found = f"does not answer ({type(error).__name__})"
                if time.monotonic() >= deadline.until:
                    found = f"sends it for {self._longest:g} s, and no end"
                raise IpfsUnavailable(f"block {cid}: {self._url} {found}") from error

    def _asked(self, cid: Cid, deadline: Deadline) -> requests.Response:
        """The answer, redirects followed. Raises `IpfsUnavailable`, `TimeoutError` and what `requests` raises."""
        where = f"{self._url}/ipfs/{cid}?format=raw"
        for _ in range(MAX_REDIRECTS + 1):
            answer = self._session().get(where, stream=True, timeout=min(self._timeout, deadline.left()))
            if not answer.is_redirect:
                return answer
            answer.close()
            where = self._redirected(cid, where, answer.headers["location"])
        raise IpfsUnavailable(f"block {cid}: {self._url} redirects more than {MAX_REDIRECTS} times")

    def _redirected(self, cid: Cid, where: str, location: str) -> str:
        """Where a redirect leads: over HTTPS if the gateway is asked so, and into no private network unless the gateway
        is in one. Raises `IpfsUnavailable`."""
        try:
            found = urljoin(where, location)
            parts = urlsplit(found)
            inside = _is_inside(parts.hostname) if parts.hostname else True
        except ValueError as error:
            raise IpfsUnavailable(f"block {cid}: {self._url} redirects to what is no address") from error
        allowed = ("https",) if where.startswith("https:") else ("http", "https")
        if parts.scheme not in allowed or not parts.hostname or (inside and not self._local):
            raise IpfsUnavailable(f"block {cid}: {self._url} redirects to {found[:200]!a}, which is not followed")
        return found

    def _content(self, cid: Cid, answer: requests.Response, deadline: Deadline) -> bytes:
        if answer.status_code in _NOT_THERE:
            raise ContentNotFound(f"block {cid} is not to be had at {self._url}")
        if answer.status_code != 200:
            raise IpfsUnavailable(f"block {cid}: {self._url} answered HTTP status {answer.status_code}")
        if answer.headers.get("content-encoding", "identity").lower() != "identity":
            raise IpfsUnavailable(f"block {cid}: {self._url} sends it compressed, which was not asked for")
        found = bytearray()
        while part := answer.raw.read1(_PIECE):
            found += part
            if len(found) > MAX_BLOCK_BYTES:
                raise ContentTooLarge(f"block {cid}: {self._url} sends more than {MAX_BLOCK_BYTES} bytes")
            deadline.left()
        return bytes(found)

    def _read_held_block(self, cid: Cid) -> bytes:
        return self._read_block(cid)

    def _holds_block(self, cid: Cid) -> bool:
        try:
            self._read_block(cid)
        except ContentNotFound:
            return False
        return True


def _parsed(url: str) -> SplitResult:
    """Raises `StoreUrlInvalid`, without what may be a password."""
    try:
        parts, host = urlsplit(url), httpx.URL(url).host
        extra = parts.path not in ("", "/") or parts.query or parts.fragment or "@" in parts.netloc
        if parts.scheme in ("http", "https") and parts.hostname and host and parts.port != 0 and not extra:
            return parts
    except (ValueError, httpx.InvalidURL):
        pass
    raise StoreUrlInvalid(f"{shown_url(url)} is not a gateway: expected http(s)://host[:port] and nothing else")


def _no_credentials(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request


def _is_inside(host: str) -> bool:
    """Whether the name says that it is of this machine or of a private network. Addresses that other names resolve to
    are not looked at: what comes from there is compared with the CID and goes nowhere."""
    try:
        return not ipaddress.ip_address(host).is_global
    except ValueError:
        return host.rstrip(".").lower() == "localhost" or host.rstrip(".").lower().endswith(".localhost")
