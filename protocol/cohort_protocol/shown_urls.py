"""URLs in messages. Names before an "@", paths and queries hold passwords and tokens of hosted nodes."""

from __future__ import annotations

import re

_HOST = re.compile(r"(?:\[[0-9A-Fa-f:.]*\]|[^/?#\\:\[\]]{0,80})(?::[0-9]{1,5}(?![^/?#\\]))?")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]{0,20}")


def shown_url(url: object) -> str:
    """Scheme and host of a URL, quoted and escaped, at most 100 characters; less where a secret may be among them."""
    if not isinstance(url, str):
        return f"a {type(url).__name__}"
    scheme, mark, rest = url.partition("://")
    if not mark or not _SCHEME.fullmatch(scheme):
        return f"a text of {len(url)} characters"
    if "@" in rest:
        return f"'{scheme}://...'"
    found = _HOST.match(rest)
    host = found[0] if found is not None else ""
    return ascii(f"{scheme}://{host}{'...' if len(host) < len(rest) else ''}")
