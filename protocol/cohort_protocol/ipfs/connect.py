"""From an address in a setting to a store."""

from __future__ import annotations

import ipaddress
from pathlib import Path
from urllib.parse import SplitResult, unquote, urlsplit

from cohort_protocol.ipfs.embedded import EmbeddedStore
from cohort_protocol.ipfs.errors import StoreUrlInvalid
from cohort_protocol.ipfs.kubo import KuboStore
from cohort_protocol.ipfs.kubo_rpc import Timeouts
from cohort_protocol.ipfs.store import IpfsStore
from cohort_protocol.shown_urls import shown_url

_ALLOWED = (
    "allowed are file:///absolute/folder (embedded block store) and http://host:port or https://host:port "
    "(the RPC of a Kubo node)"
)


def connect_store(url: str, timeouts: Timeouts | None = None) -> IpfsStore:
    """The store at `url`. A folder is created if missing; a node is not contacted before the first call.

    `timeouts` is for nodes. Raises `StoreUrlInvalid`; `IpfsUnavailable` if the folder cannot be used.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        # Without the cause, whose words may quote a password.
        raise StoreUrlInvalid(f"{shown_url(url)} is not an address; {_ALLOWED}") from None
    if parts.scheme == "file":
        return EmbeddedStore(_folder(url, parts))
    if parts.scheme in ("http", "https"):
        return KuboStore(_multiaddr(url, parts, port), timeouts)
    raise StoreUrlInvalid(f"{shown_url(url)} is not the address of a store; {_ALLOWED}")


def _folder(url: str, parts: SplitResult) -> Path:
    path = unquote(parts.path)
    if parts.netloc or parts.query or parts.fragment or "\0" in path or not path.startswith("/") or path == "/":
        raise StoreUrlInvalid(f"{url[:200]!a} does not name a folder of this machine; {_ALLOWED}")
    return Path(path)


def _multiaddr(url: str, parts: SplitResult, port: int | None) -> str:
    # Credentials in an address end up in logs, so they are not taken from there.
    host = parts.hostname
    extra = parts.path not in ("", "/") or parts.query or parts.fragment
    if not host or not port or extra or "@" in parts.netloc:
        raise StoreUrlInvalid(f"{shown_url(url)} is not scheme, host and port and nothing else; {_ALLOWED}")
    try:
        kind = f"ip{ipaddress.ip_address(host).version}"
    except ValueError:
        kind = "dns"
    return f"/{kind}/{host}/tcp/{port}/{parts.scheme}"
