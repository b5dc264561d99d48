"""Exit codes of `cohort`: stable numbers, so that scripts and supervisors can act on them.

An error's number comes from the first class in its inheritance order whose `code` stands in the table; errors of
packages that this one never imports (chain, IPFS, service) are found the same way.
"""

from __future__ import annotations

import json
from typing import NamedTuple


class ExitCode(NamedTuple):
    number: int
    name: str
    codes: tuple[str, ...]
    """`CohortError.code` values that end a command with this number."""
    help: str
    """What the person who sees it can do."""


OK = ExitCode(0, "ok", (), "Done.")
FAULT = ExitCode(1, "fault", ("cohort-error",), "An unforeseen error. Please report it with the log.")
USAGE = ExitCode(2, "usage", (), "The command line is wrong. Add --help.")
INTERRUPTED = ExitCode(130, "interrupted", (), "Ended by Ctrl-C. Run the same command again to go on.")

TABLE: tuple[ExitCode, ...] = (
    OK,
    FAULT,
    USAGE,
    ExitCode(3, "declined", ("declined",), "You answered no; nothing was sent. --yes answers for you."),
    ExitCode(10, "invalid-input", ("invalid-input",), "A file or argument is malformed: the message names it."),
    ExitCode(11, "not-found", ("not-found",), "No such project, round or trainer here. Check the number."),
    ExitCode(12, "conflict", ("conflict",), "Something else is on record already; nothing was changed."),
    ExitCode(
        13,
        "wrong-phase",
        ("wrong-phase", "stake-still-locked", "project-over"),
        "Too early or too late: the message says when or why. Look at `status`.",
    ),
    ExitCode(14, "refused", ("service-refused",), "The service says no; its reason is in the message."),
    ExitCode(
        15,
        "not-admitted",
        ("too-unreliable", "not-on-access-list", "not-an-aggregator"),
        "The project does not take this account: it asks for more reliability, or has a list.",
    ),
    ExitCode(
        16,
        "delegate",
        ("not-a-delegate", "delegate-forbidden"),
        "A delegate commits and reveals for a trainer who has named it (`set-delegate`), and nothing else.",
    ),
    ExitCode(
        20,
        "unavailable",
        ("unavailable",),
        "API, chain node or IPFS does not answer. Nothing is lost: check its URL (config.toml) and run again.",
    ),
    ExitCode(
        21,
        "chain",
        ("chain-error",),
        "The chain refused a transaction, or another chain answers. The message has the contract's words.",
    ),
    ExitCode(
        22,
        "money",
        ("balance-too-low", "insufficient-funds", "stake-missing"),
        "Send the account what the message says is missing; a stake that was slashed comes back with `restake`.",
    ),
    ExitCode(
        23,
        "wrong-market",
        ("wrong-market", "wrong-chain", "no-contract"),
        "URL, chain id and market address do not belong together. Check config.toml against a source you trust.",
    ),
    ExitCode(
        24,
        "port",
        ("cannot-listen",),
        "Another process has the port, or the address is not this machine's: give another --port (0 takes a free one).",
    ),
    ExitCode(
        30, "home", ("home-missing", "home-exists", "home-invalid"), "Wrong --home, or run `cohort trainer init` first."
    ),
    ExitCode(31, "home-busy", ("home-busy",), "This home runs already: stop that process, or use another home."),
    ExitCode(
        32,
        "password",
        ("password-missing", "password-wrong", "home-locked"),
        "Give the password by prompt, --password-file or the variable that --help names.",
    ),
    ExitCode(
        40,
        "unsafe",
        ("project-unsafe", "draft-tampered", "claim-unproven"),
        "What a service or an owner presented does not match the chain. Nothing was signed; do not retry blindly.",
    ),
    ExitCode(41, "data", ("data-does-not-fit", "dataset-invalid"), "Mend the data file: the message names the line."),
    ExitCode(
        42,
        "training",
        ("training-failed", "train-function-invalid"),
        "The training function failed; the message has its words. Nothing was committed for that round.",
    ),
    ExitCode(
        43,
        "record",
        ("record-broken",),
        "The record of a round is damaged. Restore the home folder, or skip the round.",
    ),
    ExitCode(
        44,
        "srs",
        ("srs-missing", "srs-other", "srs-invalid", "srs-too-small", "srs-insecure", "curve-library-missing"),
        "A proven project needs its SRS file and the curve library: the message says which command gets them.",
    ),
    ExitCode(50, "not-installed", ("command-not-installed",), "Install the extra that the message names."),
    ExitCode(60, "audit-false", ("audit-false",), "The audit found something that is not true; the message names it."),
    ExitCode(
        61,
        "audit-unknown",
        ("audit-unknown",),
        "Nothing that the audit could check is false, but something could not be read: try another node or store.",
    ),
    INTERRUPTED,
)

_BY_CODE = {code: entry for entry in TABLE for code in entry.codes}


_BRANCHES = ("chain-error", "cohort-error")
"""Roots of a branch: used only if no other class of an error is in the table. A chain that does not answer is
"unavailable" before it is "chain"."""


def exit_code_of(error: BaseException) -> ExitCode:
    """The entry of the most specific class of `error` that has one; `FAULT` for everything unforeseen."""
    codes = [kind.__dict__.get("code") for kind in type(error).__mro__]
    known = [code for code in codes if isinstance(code, str) and code in _BY_CODE]
    known.sort(key=lambda code: code in _BRANCHES)  # stable: only the branches move to the end
    return _BY_CODE[known[0]] if known else FAULT


def table_json() -> str:
    """The table for scripts: {"exit_codes": [{"number", "name", "codes", "help"}]}."""
    return json.dumps({"exit_codes": [entry._asdict() for entry in TABLE]})


def table_text() -> str:
    """The table for people: number, name, what to do."""
    width = max(len(entry.name) for entry in TABLE)
    return "\n".join(f"{entry.number:>4}  {entry.name:<{width}}  {entry.help}" for entry in TABLE)
