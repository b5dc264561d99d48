"""What all pages share: head, style, way back, and the headers that keep anything else out."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

from starlette.responses import Response

from cohort_backend.pages.markup import Html, el, joined, raw

STYLE = """
:root { color-scheme: light dark; --paper: #fbfaf8; --card: #ffffff; --rule: #d9d4cb; --ink: #1d2125; --muted: #56616b;
  --link: #0a58a3; --good: #006b4b; --bad: #a83600; --wait: #7a5600; --score: #0072b2; --pay: #b36b00;
  --free: #009e73; --held: #cc79a7; --claimable: #56b4e9; --claimed: #0072b2; --fees: #e69f00; --burned: #d55e00;
  --refunded: #8c8c8c; }
@media (prefers-color-scheme: dark) { :root { --paper: #14171a; --card: #1c2024; --rule: #3a4148; --ink: #e8e6e3;
  --muted: #a3adb6; --link: #7cc0f5; --good: #4fd1a5; --bad: #f2915c; --wait: #e6b043; --score: #56b4e9;
  --pay: #e69f00; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink);
  font: 16px/1.55 ui-sans-serif, system-ui, "Segoe UI", Roboto, Arial, sans-serif; }
main, header, footer { max-width: 1000px; margin: 0 auto; padding: 0 18px; }
header { padding-top: 18px; } footer { padding-bottom: 48px; margin-top: 40px; color: var(--muted); }
h1 { font-size: 1.7rem; line-height: 1.2; margin: .6em 0 .2em; overflow-wrap: anywhere; }
h2 { font-size: 1.2rem; margin: 1.8em 0 .4em; } h3 { font-size: 1rem; margin: 0 0 .2em; }
p { max-width: 74ch; } a { color: var(--link); } .muted { color: var(--muted); }
a:focus-visible, summary:focus-visible, .scroll:focus-visible { outline: 3px solid var(--link); outline-offset: 2px; }
.card { background: var(--card); border: 1px solid var(--rule); border-radius: 10px; padding: 12px 16px;
  margin: 12px 0; overflow-x: auto; }
.scroll { overflow-x: auto; } table { border-collapse: collapse; width: 100%; font-size: .93rem; }
th, td { text-align: left; padding: 6px 14px 6px 0; border-bottom: 1px solid var(--rule); vertical-align: top; }
thead th { color: var(--muted); font-weight: 600; } tbody th { font-weight: 500; white-space: nowrap; }
.n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
code { font-family: ui-monospace, Menlo, Consolas, monospace; font-size: .88em; overflow-wrap: anywhere; }
.scroll code { overflow-wrap: normal; white-space: nowrap; }
.good { color: var(--good); } .bad { color: var(--bad); } .wait { color: var(--wait); }
.good, .bad, .wait { font-weight: 650; }
.hidden { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }
svg { display: block; width: 100%; min-width: 560px; height: auto; max-height: 340px; }
svg text { fill: var(--ink); font-size: 12px; }
svg .quiet { fill: var(--muted); } svg .end { text-anchor: end; } svg .middle { text-anchor: middle; }
svg.gauge { width: 140px; min-width: 140px; height: 16px; } summary { cursor: pointer; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 2px 18px; } dt { color: var(--muted); }
dd { margin: 0; overflow-wrap: anywhere; }
@media (max-width: 560px) { dl { grid-template-columns: 1fr; } dd { margin-bottom: 6px; } }
"""

_DIGEST = base64.b64encode(sha256(STYLE.encode()).digest()).decode()
_POLICY = (
    "default-src 'none'",
    f"style-src 'sha256-{_DIGEST}'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
)
HEADERS = {
    "content-security-policy": "; ".join(_POLICY),
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-cache",
}
"""Nothing is loaded, run or framed: whatever an owner writes into a title, the browser shows it and no more."""


def respond(title: str, crumbs: Sequence[tuple[str, str]], body: Sequence[Any], status: int = 200) -> Response:
    """A whole page. crumbs: (address, words) of the pages above this one."""
    way = [joined([el("a", words, href=address), " / "]) for address, words in crumbs]
    document = el(
        "html",
        el(
            "head",
            el("meta", charset="utf-8"),
            el("meta", name="viewport", content="width=device-width, initial-scale=1"),
            el("title", f"{title} - Cohort" if crumbs else title),
            el("style", raw(STYLE)),
        ),
        el(
            "body",
            el("header", el("nav", way, el("span", title, aria_current="page"), aria_label="Where you are")),
            el("main", *body),
            el("footer", _footer()),
        ),
        lang="en",
    )
    return Response("<!doctype html>\n" + document, status, headers=HEADERS, media_type="text/html; charset=utf-8")


def _footer() -> Html:
    return el(
        "p",
        "This page stays as it is until you reload it; it can also ",
        el("a", "reload every 10 seconds", href="?refresh=10"),
        ". ",
        "This service is a convenience and no authority: ",
        el("code", "cohort audit"),
        " checks everything here from the chain and IPFS alone. The same in JSON: ",
        el("a", "/openapi.json", href="/openapi.json"),
        " lists the addresses.",
    )


def when(seconds: int) -> Html:
    """A moment from unix seconds, in UTC. What no calendar has is shown as the number it is."""
    try:
        moment = datetime.fromtimestamp(seconds, UTC)
    except (OverflowError, OSError, ValueError):
        return el("span", f"{seconds} (unix seconds)")
    return el("time", moment.strftime("%Y-%m-%d %H:%M:%S UTC"), datetime=moment.strftime("%Y-%m-%dT%H:%M:%SZ"))


def facts(pairs: Sequence[tuple[str, Any]]) -> Html:
    """Names and values; pairs without a value are left out."""
    shown = [(name, value) for name, value in pairs if value not in (None, "")]
    return el("dl", [[el("dt", name), el("dd", value)] for name, value in shown])
