"""From Solidity to artifacts: one compiler version, two ways to get it, one cache.

The sources under `contracts/src` are compiled through py-solc-x in standard JSON, with a native solc where py-solc-x
has one or can fetch it quickly, else with npm's solc of the same version behind `contracts/compiler/solc`. Both give
the same bytes. Version, settings and OpenZeppelin come from `contracts/package-lock.json` and
`contracts/foundry.toml`, so that forge and this driver cannot drift apart.

Artifacts are written to `contracts/artifacts/<Name>.json` and used again as long as the hash over sources, settings and
versions is the same. solcx is imported only when something has to be compiled.

    python -m cohort_devnet.compiler             compile what changed
    python -m cohort_devnet.compiler --write-abi also write the ABI files that cohort_protocol ships
"""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import re
import shutil
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from cohort_protocol.errors import CohortError, InvalidInput, Unavailable

_PARTS = {
    "MarketResolution": "src/MarketResolution.sol:MarketResolution",
    "MarketSettlement": "src/MarketSettlement.sol:MarketSettlement",
    "MarketProjects": "src/MarketProjects.sol:MarketProjects",
    "MarketAccounts": "src/MarketAccounts.sol:MarketAccounts",
}
"""What runs at the market's address but is deployed beside it."""

CONTRACTS: Mapping[str, tuple[str, ...]] = {
    "CohortMarket": ("src/CohortMarket.sol:CohortMarket", *_PARTS.values()),
    "MarketLens": ("src/lens/MarketLens.sol:MarketLens",),
    "AttestedVerifier": ("src/verification/AttestedVerifier.sol:AttestedVerifier",),
    "ProvenVerifier": ("src/verification/proven/ProvenVerifier.sol:ProvenVerifier",),
    "DefaultPolicy": ("src/policies/DefaultPolicy.sol:DefaultPolicy",),
    "SuppliedScores": ("src/verification/SuppliedScores.sol:SuppliedScores",),
    "TestToken": ("src/devnet/TestToken.sol:TestToken",),
    **{name: (part,) for name, part in _PARTS.items()},
}
"""Artifact -> the contract whose code it holds, then those whose code the same address runs. Their ABIs are joined."""

SHIPPED = tuple(name for name in CONTRACTS if name not in _PARTS)
"""Contracts that somebody calls, so that `cohort_protocol` needs their ABI."""

ABI_FOLDER = Path("protocol/cohort_protocol/chain/abi")
"""Where the protocol package keeps its copy of the ABIs, relative to the repository."""

NATIVE_INSTALL_SECONDS = 20
"""How long fetching a native compiler may take before npm's is used. Without a network it fails at once."""

LOCK_SECONDS = 180
"""How long to wait for another process that is compiling."""

Progress = Callable[[str], None]

_FORMAT = 3  # of the artifact files; part of the hash
_RUNTIME = ("evm.deployedBytecode.object", "evm.deployedBytecode.immutableReferences")
_IMPORT = re.compile(r"""^\s*import\s[^"';]*["']([^"']+)["']\s*;""", re.MULTILINE)


class CompilerError(CohortError):
    """Compiling the contracts did not work. Nothing was written."""

    code = "compiler-error"


class SourcesMissing(InvalidInput, CompilerError):
    """The folder given holds no contracts, or not all of them."""

    code = "sources-missing"


class DependenciesMissing(Unavailable, CompilerError):
    """npm packages that the contracts need are not installed."""

    code = "dependencies-missing"


class CompilerUnavailable(Unavailable, CompilerError):
    """Neither a native solc nor npm's can be run."""

    code = "compiler-unavailable"


class CompilationFailed(CompilerError):
    """solc found errors in the sources; the message quotes them."""

    code = "compilation-failed"


class CompilationBusy(Unavailable, CompilerError):
    """Another process has been compiling for too long."""

    code = "compilation-busy"


@dataclass(frozen=True)
class Artifact:
    """One compiled contract."""

    name: str
    abi: list[dict[str, Any]]
    bytecode: str
    """Creation code, 0x-prefixed hex, without the constructor's arguments. No libraries to link."""
    deployedBytecode: str
    """Runtime code, 0x-prefixed hex, with zeros in place of immutables."""
    constructor: list[dict[str, Any]]
    """The constructor's parameters, as in an ABI."""
    immutables: list[list[list[int]]]
    """For each immutable in the order of declaration, [start, length] in bytes of every place in the runtime code that
    the constructor fills in with it."""
    sourceHash: str
    """sha256 over sources, settings and versions, hex."""
    compiler: str
    """For example 0.8.30+commit.73712a01."""


@dataclass(frozen=True)
class _Plan:
    """Everything that decides the output."""

    contracts: Path
    wanted: Mapping[str, tuple[str, ...]]
    version: str
    """Of solc."""
    library: str
    """Of OpenZeppelin's contracts."""
    settings: dict[str, Any]
    sources: dict[str, str]
    """Our sources by path relative to `contracts`."""
    digest: str


@dataclass(frozen=True)
class Selection:
    """What to compile, and where its artifacts go."""

    contracts: Mapping[str, tuple[str, ...]]
    """Artifact -> contracts, as in `CONTRACTS`."""
    sources: tuple[str, ...] = ("src",)
    """Files and folders below `contracts/`; of a folder all files are compiled."""
    folder: str = "artifacts"
    """Below `contracts/`."""


def ensure_artifacts(
    root: Path, progress: Progress | None = None, selection: Selection | None = None
) -> dict[str, Artifact]:
    """The artifacts of all contracts, by name; compiles only if something changed since the last time.

    `root` is the repository (the folder that holds `contracts/`). `progress` gets one line per slow step. `selection`:
    other contracts than those that are deployed (tests have some). Safe to call from several processes at once: one
    compiles, the others wait for it.

    Raises `SourcesMissing`, `DependenciesMissing`, `CompilerUnavailable`, `CompilationFailed` or `CompilationBusy`.
    """
    report = progress or (lambda line: None)
    wanted = selection or Selection(CONTRACTS)
    plan = _plan(root / "contracts", wanted)
    folder = plan.contracts / wanted.folder
    found = _load(folder, plan)
    if found is not None:
        return found
    folder.mkdir(parents=True, exist_ok=True)
    with _locked(folder / ".lock"):
        found = _load(folder, plan)  # another process may have compiled meanwhile
        if found is not None:
            return found
        artifacts = _compile(plan, report)
        for artifact in artifacts.values():
            _write(folder / f"{artifact.name}.json", json.dumps(asdict(artifact), indent=1))
        return artifacts


def abi_text(artifact: Artifact) -> str:
    """The committed form of an ABI: pretty JSON, one trailing newline."""
    return json.dumps(artifact.abi, indent=2) + "\n"


def _plan(contracts: Path, selection: Selection) -> _Plan:
    try:
        foundry = tomllib.loads((contracts / "foundry.toml").read_text())["profile"]["default"]
        lock = json.loads((contracts / "package-lock.json").read_text())["packages"]
        version = lock["node_modules/solc"]["version"]
        library = lock["node_modules/@openzeppelin/contracts"]["version"]
    except (OSError, KeyError, ValueError) as error:
        raise SourcesMissing(
            f"{contracts} is not the contracts folder of Cohort ({error!r}): pass the folder that holds it"
        ) from error
    settings = {
        "evmVersion": foundry["evm_version"],
        "optimizer": {"enabled": foundry["optimizer"], "runs": foundry["optimizer_runs"]},
        "viaIR": foundry["via_ir"],
        "outputSelection": {"*": {"*": ["abi", "evm.bytecode.object", *_RUNTIME]}},
    }
    sources = {
        path.relative_to(contracts).as_posix(): path.read_text()
        for source in selection.sources
        for path in ([contracts / source] if source.endswith(".sol") else sorted((contracts / source).rglob("*.sol")))
    }
    for parts in selection.contracts.values():
        for part in parts:
            if part.split(":")[0] not in sources:
                raise SourcesMissing(f"{contracts / part.split(':')[0]} is missing: restore it from the repository")
    everything = [_FORMAT, version, library, settings, sources, dict(selection.contracts)]
    digest = sha256(json.dumps(everything, sort_keys=True).encode()).hexdigest()
    return _Plan(contracts, selection.contracts, version, library, settings, sources, digest)


def _load(folder: Path, plan: _Plan) -> dict[str, Artifact] | None:
    """The artifacts on disk, or None unless all are there, whole and of this plan."""
    artifacts = {}
    for name in plan.wanted:
        try:
            artifact = Artifact(**json.loads((folder / f"{name}.json").read_text()))
        except (OSError, ValueError, TypeError):
            return None  # missing, cut off or of another format: compile again
        if artifact.sourceHash != plan.digest or artifact.name != name:
            return None
        artifacts[name] = artifact
    return artifacts


def _compile(plan: _Plan, report: Progress) -> dict[str, Artifact]:
    sources = _with_imports(plan)
    binary = _native_compiler(plan.version, report) or _npm_compiler(plan.contracts)
    report(f"compiling {len(plan.sources)} Solidity files with {binary}")
    started = time.monotonic()
    output, compiler = _run(binary, plan, sources)
    artifacts = {name: _artifact(name, parts, output, plan, compiler) for name, parts in plan.wanted.items()}
    report(f"compiled {', '.join(artifacts)} with solc {compiler} in {time.monotonic() - started:.1f} s")
    return artifacts


def _run(binary: Path, plan: _Plan, sources: Mapping[str, str]) -> tuple[dict[str, Any], str]:
    """solc's output for `sources`, and its full version."""
    import solcx
    from solcx.exceptions import SolcError
    from solcx.wrapper import get_version_str_from_solc_binary

    request = {
        "language": "Solidity",
        "sources": {path: {"content": text} for path, text in sources.items()},
        "settings": plan.settings,
    }
    try:
        compiler = get_version_str_from_solc_binary(binary)
        if compiler.split("+")[0] != plan.version:
            raise CompilerUnavailable(
                f"{binary} is solc {compiler}, the contracts are pinned to {plan.version}: run `npm ci` in contracts/"
            )
        return solcx.compile_standard(request, solc_binary=binary), compiler
    except SolcError as error:
        if error.error_dict:
            raise CompilationFailed(f"solc {plan.version} refused the contracts:\n{error.message}") from error
        raise CompilerUnavailable(f"{binary} did not answer as solc does: {error}") from error
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        raise CompilerUnavailable(f"{binary} cannot be run: {error}. Run `npm ci` in contracts/ again") from error


def _artifact(name: str, parts: tuple[str, ...], output: dict[str, Any], plan: _Plan, compiler: str) -> Artifact:
    compiled = []
    for part in parts:
        path, contract = part.split(":")
        compiled.append(output["contracts"][path][contract])
    code = compiled[0]["evm"]
    places = code["deployedBytecode"].get("immutableReferences", {})  # by the id of its declaration in the syntax tree
    return Artifact(
        name=name,
        abi=_joined([item for part in compiled for item in part["abi"]]),
        bytecode="0x" + code["bytecode"]["object"],
        deployedBytecode="0x" + code["deployedBytecode"]["object"],
        constructor=next((item["inputs"] for item in compiled[0]["abi"] if item["type"] == "constructor"), []),
        immutables=[
            sorted([one["start"], one["length"]] for one in places[declared]) for declared in sorted(places, key=int)
        ],
        sourceHash=plan.digest,
        compiler=compiler,
    )


def _joined(items: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Without the constructor, the fallback and repetitions; sorted, so that a moved function is no change."""
    named = [item for item in items if "name" in item]
    unique = {json.dumps(item, sort_keys=True): item for item in named}
    return sorted(unique.values(), key=lambda item: (item["type"], item["name"], json.dumps(item["inputs"])))


def _with_imports(plan: _Plan) -> dict[str, str]:
    """Our sources and every package file that they import, by the name solc knows them under."""
    _check_library(plan)
    sources = dict(plan.sources)
    pending = list(sources)
    while pending:
        name = pending.pop()
        for target in _IMPORT.findall(sources[name]):
            found = os.path.normpath(os.path.join(os.path.dirname(name), target)) if target[0] == "." else target
            if found in sources:
                continue
            path = plan.contracts / "node_modules" / found
            try:
                sources[found] = path.read_text()
            except OSError as error:
                raise DependenciesMissing(
                    f"{found}, imported by {name}, is not installed ({path}): run `npm ci` in contracts/"
                ) from error
            pending.append(found)
    return sources


def _check_library(plan: _Plan) -> None:
    path = plan.contracts / "node_modules/@openzeppelin/contracts/package.json"
    try:
        found = json.loads(path.read_text())["version"]
    except (OSError, ValueError, KeyError) as error:
        raise DependenciesMissing(
            f"OpenZeppelin's contracts are not installed ({path}): run `npm ci` in contracts/"
        ) from error
    if found != plan.library:
        raise DependenciesMissing(
            f"OpenZeppelin {found} is installed, the contracts are pinned to {plan.library}: run `npm ci` in contracts/"
        )


def _native_compiler(version: str, report: Progress) -> Path | None:
    """A native solc that py-solc-x has, or can fetch within `NATIVE_INSTALL_SECONDS`; None otherwise."""
    import solcx
    from solcx.exceptions import SolcNotInstalled
    from solcx.install import get_executable

    if version not in {str(installed) for installed in solcx.get_installed_solc_versions()}:
        report(f"looking for a native solc {version} (at most {NATIVE_INSTALL_SECONDS} s)")
        # In a process of its own: the download has no time limit that we could set.
        fetch = [sys.executable, "-c", "import sys, solcx; solcx.install_solc(sys.argv[1])", version]
        try:
            done = subprocess.run(fetch, capture_output=True, timeout=NATIVE_INSTALL_SECONDS, check=False)
        except (OSError, subprocess.TimeoutExpired):
            return None
        if done.returncode != 0:
            return None
    try:
        return Path(get_executable(version)).resolve()
    except SolcNotInstalled:
        return None


def _npm_compiler(contracts: Path) -> Path:
    if shutil.which("node") is None:
        raise CompilerUnavailable("node is not on the PATH and there is no native solc: install Node 20 or newer")
    if not (contracts / "node_modules" / "solc" / "package.json").is_file():
        raise DependenciesMissing(f"npm's solc is not installed in {contracts}: run `npm ci` in contracts/")
    # py-solc-x wants an absolute path.
    return (contracts / "compiler" / "solc").resolve()


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    deadline = time.monotonic() + LOCK_SECONDS
    with path.open("w") as lock:
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError as error:
                if time.monotonic() > deadline:
                    raise CompilationBusy(
                        f"another process has held {path} for {LOCK_SECONDS} s: end it and start again"
                    ) from error
                time.sleep(0.05)
        yield  # closing the file releases the lock


def _write(path: Path, text: str) -> None:
    """All of it or nothing, whenever the process is killed."""
    fresh = path.with_name(path.name + ".new")
    fresh.write_text(text + "\n")
    os.replace(fresh, path)


def main(arguments: list[str] | None = None) -> int:
    """`python -m cohort_devnet.compiler`. Returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m cohort_devnet.compiler", description="Compile the contracts.")
    parser.add_argument("--root", type=Path, default=Path.cwd(), help="the repository (default: this folder)")
    parser.add_argument("--write-abi", action="store_true", help=f"write the ABIs to {ABI_FOLDER} too")
    parser.add_argument("--quiet", action="store_true", help="print errors only")
    options = parser.parse_args(arguments)
    say: Progress = (lambda line: None) if options.quiet else (lambda line: print(line, flush=True))
    try:
        artifacts = ensure_artifacts(options.root, say)
    except CompilerError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    for artifact in artifacts.values():
        say(f"{artifact.name}: {(len(artifact.deployedBytecode) - 2) // 2:,} bytes of code, solc {artifact.compiler}")
        if options.write_abi and artifact.name in SHIPPED:
            _write(options.root / ABI_FOLDER / f"{artifact.name}.json", abi_text(artifact).rstrip("\n"))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
