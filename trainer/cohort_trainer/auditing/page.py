"""An audit as one HTML page that needs nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from cohort_protocol.audit.document import AuditDocument, FindingFacts, RoundFacts

from cohort_trainer.amounts import format_amount
from cohort_trainer.auditing.pictures import check_grid, money_flow, scores_and_pay
from cohort_trainer.auditing.screen import verdict

STYLE = """
:root { color-scheme: light dark; --ink: #1d2125; --muted: #5f6a74; --paper: #fbfaf8; --card: #fff; --rule: #e1ddd6;
  --true: #00704f; --false: #b23c00; --unknown: #8a6100; --shown: #0072b2; --absent: #b9b4ab;
  --claimed: #0072b2; --claimable: #56b4e9; --held: #cc79a7; --fees: #e69f00; --burned: #b23c00; --free: #009e73;
  --refunded: #8c8c8c; --score: #0072b2; --pay: #e69f00; --value: #009e73; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e8e6e3; --muted: #9aa5ae; --paper: #14171a; --card: #1c2024; --rule: #31373d; --true: #4fd1a5;
    --false: #f2915c; --unknown: #e6b043; --shown: #6cbcf0; --absent: #4a5058; --claimed: #56b4e9; }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink);
  font: 15px/1.55 ui-sans-serif, system-ui, "Segoe UI", Roboto, Arial, sans-serif; }
main { max-width: 940px; margin: 0 auto; padding: 36px 20px 80px; }
h1 { font-size: 1.8rem; line-height: 1.2; margin: 0 0 .3em; } h2 { font-size: 1.25rem; margin: 2.2em 0 .4em; }
h3 { font-size: 1.05rem; margin: 1.8em 0 .3em; }
p { max-width: 74ch; } .muted, footer { color: var(--muted); }
.end { border-left: 6px solid var(--state); background: var(--card); padding: 12px 18px; margin: 18px 0; }
.card { background: var(--card); border: 1px solid var(--rule); border-radius: 10px; padding: 14px 16px;
  margin: 12px 0; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: .92rem; }
th, td { text-align: left; padding: 6px 12px 6px 0; border-bottom: 1px solid var(--rule); vertical-align: top; }
th { color: var(--muted); font-weight: 600; } td:first-child { white-space: nowrap; }
td.n, th.n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
td.found { overflow-wrap: anywhere; min-width: 300px; }
code { font-family: ui-monospace, Menlo, Consolas, monospace; font-size: .88em; overflow-wrap: anywhere; }
.state { font-weight: 700; white-space: nowrap; }
.state.true { color: var(--true); } .state.false { color: var(--false); } .state.unknown { color: var(--unknown); }
.state.shown { color: var(--shown); } .state.absent { color: var(--muted); font-weight: 400; }
svg { display: block; width: 100%; height: auto; } svg text { fill: var(--ink); font-size: 12px; }
svg .quiet { fill: var(--muted); } svg .right { text-anchor: end; } svg .middle { text-anchor: middle; }
svg .mark { fill: var(--paper); font-weight: 700; pointer-events: none; }
"""
WORDS = {
    "true": "true: looked at and found so",
    "false": "false: looked at and found otherwise",
    "unknown": "unknown: something it needs could not be read",
    "absent": "absent: nothing of the kind in this round",
    "shown": "shown: a figure without a limit",
}


def page(found: AuditDocument) -> str:
    """The whole page: how it ended, the money, checks by round, scores against pay, every finding."""
    title = f"Audit of project {found.project.number}"
    if found.project.title:
        title += f": {found.project.title}"
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{STYLE}</style></head><body><main>'
        f"<h1>{escape(title)}</h1>{_head(found)}{_money(found)}{_checks(found)}{_pay(found)}{_findings(found)}"
        f"{_foot(found)}</main></body></html>\n"
    )


def _head(found: AuditDocument) -> str:
    read, project = found.read, found.project
    return (
        f'<p class="muted">Everything on this page was read from block {read.block} of chain {read.chain_id} (market '
        f"<code>{read.market}</code>, block hash <code>{read.block_hash}</code>) and from files of "
        f"{escape(read.store)}, each verified against its CID. No service was asked"
        f"{', but where a check says so' if any(one.check.startswith('service') for one in found.findings) else ''}. "
        f"{project.rounds} rounds were opened, {len(found.rounds)} are checked here; policy "
        f"{escape(project.policy or 'unknown')}, {escape(project.settlement or 'unknown')} rounds.</p>"
        f'<div class="end" style="--state: var(--{found.state})"><b class="state {found.state}">{found.state}</b><br>'
        f"{escape(verdict(found))}</div>"
    )


def _amount(found: AuditDocument, value: int) -> str:
    return format_amount(value, found.project.token_decimals, found.project.token_symbol)


def _money(found: AuditDocument) -> str:
    deposited = int(found.money["deposited"])
    parts = [
        (name, int(found.money[name]))
        for name in ("claimed", "claimable", "held", "fees", "burned", "free", "refunded")
    ]
    rows = [[name, escape(_amount(found, amount))] for name, amount in parts]
    rows.append(["sum", escape(_amount(found, sum(amount for _, amount in parts)))])
    return (
        f"<h2>Where the money went</h2><p>{escape(_amount(found, deposited))} were paid in. Below is what became of "
        "them, re-added from every event of the project; the check <code>ledger</code> compares it with the "
        "market's own ledger, <code>token-balance</code> with the token.</p>"
        f'<div class="card">{money_flow(deposited, parts, lambda value: _amount(found, value))}</div>'
        + _table(["part", "#amount"], rows)
    )


def _checks(found: AuditDocument) -> str:
    legend = " · ".join(f'<span class="state {name}">■</span> {escape(text)}' for name, text in WORDS.items())
    return f'<h2>Checks by round</h2><div class="card">{check_grid(found)}</div><p class="muted">{legend}</p>'


def _pay(found: AuditDocument) -> str:
    settled = [entry for entry in found.rounds if entry.outcome == "settled"]
    if not settled:
        return ""
    parts = [
        "<h2>Scores and pay</h2><p>Share of each row in the round's scores and in its pay; where a validation batch "
        "was shown, beside them its share by another rule, the logit-average Shapley value of its update on that "
        "batch. Pay follows from scores exactly (check <code>pay</code>); the third figure decides nothing.</p>"
    ]
    for entry in settled:
        note = "" if entry.spearman is None else f"; Spearman of pay and Shapley value {entry.spearman:.2f}"
        parts.append(
            f"<h3>Round {entry.number}</h3><p class='muted'>{escape(_amount(found, int(entry.paid)))} paid, "
            f"{escape(_amount(found, int(entry.burned)))} burned{note}</p>"
            f'<div class="card">{scores_and_pay(entry)}</div>{_rows(found, entry)}'
        )
    return "".join(parts)


def _rows(found: AuditDocument, entry: RoundFacts) -> str:
    rows = [
        [
            str(row.row),
            f"{row.member}",
            f"<code>{escape(row.trainer)}</code>",
            f"{int(row.score) / 2**30:.3f}",
            "accepted" if row.reason == 0 else f"rejected ({row.reason})",
            escape(_amount(found, int(row.pay))),
        ]
        for row in entry.rows
    ]
    return _table(["row", "member", "trainer", "#score", "judged", "#pay"], rows)


def _findings(found: AuditDocument) -> str:
    parts = [
        "<h2>Every finding</h2>",
        "<h3>The project</h3>",
        _list(one for one in found.findings if one.round is None),
    ]
    for entry in found.rounds:
        parts.append(f"<h3>Round {entry.number}, {entry.outcome}</h3>")
        parts.append(_list(one for one in found.findings if one.round == entry.number))
    return "".join(parts)


def _list(findings: Iterable[FindingFacts]) -> str:
    rows = []
    for one in findings:
        figures = ", ".join(f"{name} {value}" for name, value in one.figures.items() if value)
        more = f'<br><small class="muted">{escape(figures)}</small>' if figures else ""
        rows.append(
            [
                f'<span title="{escape(one.about, quote=True)}">{escape(one.check)}</span>',
                f'<span class="state {one.state}">{one.state}</span>',
                escape(one.text) + more,
            ]
        )
    return _table(["check", "", "found"], rows)


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Cells are HTML; a head that starts with # makes its column one of numbers, `found` one that wraps."""
    kinds = [' class="n"' if head.startswith("#") else ' class="found"' if head == "found" else "" for head in heads]
    top = "".join(f"<th{kind}>{escape(head.removeprefix('#'))}</th>" for head, kind in zip(heads, kinds, strict=True))
    body = "".join(
        "<tr>" + "".join(f"<td{kind}>{cell}</td>" for cell, kind in zip(row, kinds, strict=True)) + "</tr>"
        for row in rows
    )
    return f'<div class="scroll"><table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>'


def _foot(found: AuditDocument) -> str:
    return (
        "<footer><p>What an audit cannot see: whether anybody worked with real data, who stands behind an address, "
        "and, in attested rounds, more than that a quorum of the named witnesses signed what was then computed again "
        f"here.</p><p>Schema version {found.schema_version}; <code>cohort audit {found.project.number} --json</code> "
        "gives the same facts to programs.</p></footer>"
    )
