"""Reading through an IPFS gateway that nobody has to trust.

Blocks are asked for one by one as raw bytes (Trustless Gateway specification,
https://specs.ipfs.tech/http-gateways/trustless-gateway/) and verified against their CIDs like those of every store, so
that a gateway can withhold content and nothing else. Read only.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import BinaryIO, NoReturn
from urllib.parse import SplitResult, urlsplit

import httpx

from cohort_protocol.ipfs.cid import Cid
from cohort_protocol.ipfs.errors import ContentNotFound, ContentTooLarge, IpfsUnavailable, StoreUrlInvalid
from cohort_protocol.ipfs.reader import MAX_BLOCK_BYTES
from cohort_protocol.ipfs.store import IpfsStore

RAW_BLOCK = "application/vnd.ipld.raw"
TIMEOUT = 60.0
"""Seconds without a byte: a gateway may have to find the content first."""
LONGEST = 5
"""Timeouts that a block may take in all: a gateway could send a byte now and then for ever."""
_NOT_THERE = (404, 410, 412)
"""412: a gateway that answers `Cache-Control: only-if-cached` so, and does not hold the block."""


class GatewayStore(IpfsStore):
    """The gateway at `https://host[:port]` or `http://host[:port]`. Raises `StoreUrlInvalid`.

    What would write raises `IpfsUnavailable`."""

    def __init__(self, url: str, timeout: float = TIMEOUT) -> None:
        parts = _parsed(url)
        self._url = f"{parts.scheme}://{parts.netloc}"
        local = parts.hostname in ("127.0.0.1", "localhost", "::1")
        self._longest = LONGEST * timeout
        # A proxy set for the machine never serves its own loopback.
        self._client = httpx.Client(timeout=timeout, follow_redirects=True, max_redirects=3, trust_env=not local)

    def name_and_version(self) -> str:
        return f"gateway {self._url}"

    def close(self) -> None:
        self._client.close()

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
        where = f"{self._url}/ipfs/{cid}?format=raw"
        until = time.monotonic() + self._longest
        try:
            with self._client.stream("GET", where, headers={"Accept": RAW_BLOCK}) as answer:
                if answer.status_code in _NOT_THERE:
                    raise ContentNotFound(f"block {cid} is not to be had at {self._url}")
                if answer.status_code != 200:
                    raise IpfsUnavailable(f"block {cid}: {self._url} answered HTTP status {answer.status_code}")
                found = bytearray()
                for part in answer.iter_bytes():
                    found += part
                    if len(found) > MAX_BLOCK_BYTES:
                        raise ContentTooLarge(f"block {cid}: {self._url} sends more than {MAX_BLOCK_BYTES} bytes")
                    if time.monotonic() > until:
                        raise IpfsUnavailable(f"block {cid}: {self._url} sends it for {self._longest:g} s, and no end")
                return bytes(found)
        except (httpx.HTTPError, httpx.InvalidURL, UnicodeError) as error:
            # The last two: of a redirect to what is no host's name.
            raise IpfsUnavailable(f"block {cid}: {self._url} does not answer ({type(error).__name__})") from error

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
    shown = url[:8] + "..." if "@" in url else url[:200]
    raise StoreUrlInvalid(f"{shown!a} is not a gateway: expected http(s)://host[:port] and nothing else")
