"""Your turn: the exact commands that go on from a finished run."""

from __future__ import annotations

import shlex
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from cohort_devnet.demo.settings import TOKEN, DemoSettings
from cohort_devnet.demo.wording import shown_path


@dataclass(frozen=True)
class OpenMarket:
    """Where a market that was left running is."""

    api_url: str
    chain_url: str
    ipfs_url: str
    chain_id: int
    market: str
    verifier: str
    block: int
    project: int
    """A project that waits for one more trainer."""
    proven_verifier: str | None = None
    srs: Path | None = None
    """Of proven projects."""


def next_steps(settings: DemoSettings, kept: OpenMarket | None) -> list[tuple[str, str]]:
    """(what it does, command) in order. Commands can be pasted as they are, from the folder that this run was started
    in."""
    cohort = _command()
    report = shlex.quote(shown_path(settings.report))
    steps = [
        (
            "Check everything again as an outsider, from the kept chain and files alone:",
            f"{cohort} audit 1 --run {report} --report {report}/audit.html",
        ),
        (
            "Re-add all money from the kept chain, without our service:",
            f"{cohort} devnet balances --state {report}/chain-state.json",
        ),
        (
            "Run again with another attack (a file of your own works too: my_attack.py:train):",
            f"{cohort} demo --seed {settings.seed} --attacks replay_step --cheaters 2",
        ),
    ]
    if settings.private:
        keys = f"{report}/run/keys"
        steps.insert(
            1,
            (
                "Check it as one of its readers, who can open the sealed updates and computes every round again:",
                f"{cohort} audit 1 --run {report} --keystore {keys}/witness-1.json --password-file {keys}/password",
            ),
        )
    if kept is None:
        again = (
            f"{cohort} demo --keep{' --private' if settings.private else ''} --seed {settings.seed} --report {report}"
        )
        return [*steps, ("Leave a market running, and join it as one more trainer with a CSV of your own:", again)]
    return [*steps, *_join_steps(settings, kept, report, cohort)]


def _join_steps(settings: DemoSettings, kept: OpenMarket, report: str, cohort: str) -> list[tuple[str, str]]:
    home = f"{report}/me"
    make = " ".join(
        [
            f"{cohort} trainer init --home {home} --api {kept.api_url} --chain {kept.chain_url}",
            f"--ipfs {shlex.quote(kept.ipfs_url)} --chain-id {kept.chain_id}",
            f"--market {kept.market} --verifier {kept.verifier} --start-block {kept.block}",
            *(
                [f"--proven-verifier {kept.proven_verifier} --srs {shlex.quote(shown_path(kept.srs))}"]
                if kept.proven_verifier is not None and kept.srs is not None
                else []
            ),
        ]
    )
    return [
        (
            f"Look at projects, rounds and verdicts in a browser ({kept.api_url}), or in JSON "
            f"({kept.api_url}/openapi.json lists the addresses):",
            f"curl {kept.api_url}/v1/projects/1",
        ),
        (
            f"Join project {kept.project}, which waits for one more trainer. First a home with a key of your own "
            "(it prints your address):",
            make,
        ),
        (
            "Play money for that address:",
            f"{cohort} devnet fund ADDRESS --url {kept.chain_url} --home {report} --seed {settings.seed} "
            f"--tokens {-(-settings.stake // TOKEN)}",
        ),
        (
            f"Join and train with your own data: a CSV with the header label,x0,...,x63, labels 0 to 9 and pixels 0 to "
            f"16 ({report}/example-data.csv is one that no other trainer has). The rounds start as soon as you have "
            "joined:",
            f"{cohort} trainer join {kept.project} --home {home} --data {report}/example-data.csv\n"
            f"{cohort} trainer run {kept.project} --home {home} --data {report}/example-data.csv --claim",
        ),
    ]


def _command() -> str:
    """`cohort`, or the path of the script in this environment if another one, or none, is on PATH."""
    script = Path(sys.executable).with_name("cohort")
    found = shutil.which("cohort")
    if found is not None and Path(found).resolve() == script.resolve():
        return "cohort"
    return shlex.quote(shown_path(script))
