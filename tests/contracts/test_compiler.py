"""The compiler driver: what is compiled, what is cached, what happens when something is missing."""

from __future__ import annotations

import json
import operator
import os
import shutil
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from cohort_devnet import compiler
from cohort_devnet.compiler import (
    CompilationBusy,
    CompilationFailed,
    CompilerError,
    CompilerUnavailable,
    DependenciesMissing,
    SourcesMissing,
    ensure_artifacts,
)
from cohort_protocol.errors import CohortError

ROOT = Path(__file__).resolve().parents[2]

HEADER = "// SPDX-License-Identifier: Apache-2.0\npragma solidity 0.8.30;\n"
SMALL_SOURCES = {
    "CohortMarket": 'import {MarketAccounts} from "./MarketAccounts.sol";\n'
    "contract CohortMarket { MarketAccounts public immutable ACCOUNTS; error Both(); "
    "constructor(MarketAccounts accounts) { ACCOUNTS = accounts; } }",
    "MarketAccounts": "contract MarketAccounts { error Both(); function later(uint8 x) external pure returns (uint8) "
    "{ if (x == 0) revert Both(); return x; } }",
    "MarketResolution": "contract MarketResolution {}",
    "MarketSettlement": "contract MarketSettlement {}",
    "MarketProjects": "contract MarketProjects {}",
    "lens/MarketLens": "contract MarketLens {}",
    "verification/AttestedVerifier": "contract AttestedVerifier { uint256 public one = 1; }",
    "verification/proven/ProvenVerifier": "contract ProvenVerifier { uint256 public two = 2; }",
    "policies/DefaultPolicy": "contract DefaultPolicy { uint256 public three = 3; }",
    "verification/SuppliedScores": "contract SuppliedScores {}",
    "devnet/TestToken": 'import {ERC20} from\n    "@openzeppelin/contracts/token/ERC20/ERC20.sol";\n'
    'contract TestToken is ERC20 { constructor() ERC20("T", "T") {} }',
}


@pytest.fixture(scope="module")
def compiled_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The artifacts folder of the small repository (each run of the compiler takes seconds)."""
    root = tmp_path_factory.mktemp("compiled")
    _write_small(root)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compiler, "_native_compiler", lambda version, report: None)
        ensure_artifacts(root)
    return root / "contracts/artifacts"


@pytest.fixture
def built(small: Path, compiled_once: Path) -> Path:
    """The small repository, compiled."""
    shutil.copytree(compiled_once, small / "contracts/artifacts")
    return small


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository of four small contracts with the real settings, compiler and packages."""
    _write_small(tmp_path)
    monkeypatch.setattr(compiler, "_native_compiler", lambda version, report: None)
    return tmp_path


def _write_small(root: Path) -> None:
    real = ROOT / "contracts"
    folder = root / "contracts"
    for name, text in SMALL_SOURCES.items():
        path = folder / "src" / f"{name}.sol"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(HEADER + text)
    for name in ("foundry.toml", "package-lock.json"):
        shutil.copy(real / name, folder / name)
    for name in ("node_modules", "compiler"):
        (folder / name).symlink_to(real / name)


def test_joins_the_parts_of_the_market(built: Path) -> None:
    artifacts = ensure_artifacts(built)
    assert set(artifacts) == set(compiler.CONTRACTS) > set(compiler.SHIPPED)
    names = [item["name"] for item in artifacts["CohortMarket"].abi]
    assert names == ["Both", "ACCOUNTS", "later"]  # once each, sorted by kind and name


def test_keeps_what_a_deployment_needs(built: Path) -> None:
    market = ensure_artifacts(built)["CohortMarket"]
    assert [entry["name"] for entry in market.constructor] == ["accounts"]
    runtime = bytes.fromhex(market.deployedBytecode.removeprefix("0x"))
    assert market.immutables
    for start, length in (place for places in market.immutables for place in places):
        assert runtime[start : start + length] == bytes(32), "filled in by the constructor"
    token = ensure_artifacts(built)["TestToken"]
    assert (token.constructor, token.immutables) == ([], [])


def test_other_contracts_go_to_another_folder(built: Path) -> None:
    """Tests have contracts of their own; they do not touch the artifacts that are deployed."""
    deployed = ensure_artifacts(built)
    folder = built / "contracts/test/harness"
    folder.mkdir(parents=True)
    (folder / "Probe.sol").write_text(
        HEADER + 'import {AttestedVerifier} from "../../src/verification/AttestedVerifier.sol";\n'
        "contract Probe is AttestedVerifier {}"
    )
    selection = compiler.Selection({"Probe": ("test/harness/Probe.sol:Probe",)}, ("src", "test/harness"), "artifacts/x")
    lines: list[str] = []
    found = ensure_artifacts(built, lines.append, selection)
    assert (set(found), len(lines)) == ({"Probe"}, 2)
    assert ensure_artifacts(built, lines.append, selection) == found
    assert ensure_artifacts(built, lines.append) == deployed
    assert len(lines) == 2, "nothing was compiled again"


def test_code_does_not_depend_on_where_it_is_compiled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever compiles a clean copy of `contracts/` gets the very bytes that are deployed, metadata and all."""
    (tmp_path / "contracts").mkdir()
    for name in ("foundry.toml", "package-lock.json"):
        shutil.copy(ROOT / "contracts" / name, tmp_path / "contracts" / name)
    shutil.copytree(ROOT / "contracts/src", tmp_path / "contracts/src")
    for name in ("node_modules", "compiler"):
        (tmp_path / "contracts" / name).symlink_to(ROOT / "contracts" / name)
    monkeypatch.setattr(compiler, "_native_compiler", lambda version, report: None)
    here, there = ensure_artifacts(ROOT), ensure_artifacts(tmp_path)
    assert {name: one.bytecode for name, one in there.items()} == {name: one.bytecode for name, one in here.items()}
    assert "a264697066735822" in here["CohortMarket"].bytecode, "metadata is in the code (CBOR, key ipfs)"


def test_compiles_when_there_is_nothing_and_says_so(small: Path) -> None:
    lines: list[str] = []
    ensure_artifacts(small, lines.append)
    assert [line.split()[0] for line in lines] == ["compiling", "compiled"]


def test_a_second_call_reads_the_files(built: Path) -> None:
    lines: list[str] = []
    assert ensure_artifacts(built, lines.append) == ensure_artifacts(built)
    assert lines == []


def test_compiles_again_when_a_source_changes(built: Path) -> None:
    first = ensure_artifacts(built)
    path = built / "contracts/src/verification/AttestedVerifier.sol"
    path.write_text(path.read_text().replace("one = 1", "one = 2"))
    second = ensure_artifacts(built)
    assert second["AttestedVerifier"].sourceHash != first["AttestedVerifier"].sourceHash
    assert second["AttestedVerifier"].bytecode != first["AttestedVerifier"].bytecode
    assert second["TestToken"].deployedBytecode == first["TestToken"].deployedBytecode


def test_compiles_again_when_a_setting_changes(built: Path) -> None:
    first = ensure_artifacts(built)
    path = built / "contracts/foundry.toml"
    path.write_text(path.read_text().replace("optimizer = true", "optimizer = false"))
    assert ensure_artifacts(built)["CohortMarket"].bytecode != first["CohortMarket"].bytecode


def test_compiles_again_when_an_artifact_is_damaged(built: Path) -> None:
    first = ensure_artifacts(built)
    path = built / "contracts/artifacts/TestToken.json"
    path.write_text(path.read_text()[:-100])
    assert ensure_artifacts(built) == first
    assert json.loads(path.read_text())["name"] == "TestToken"


@pytest.mark.parametrize("damage", ["", "{", "[]", "{}", "7", '{"name": "TestToken"}', "\udcff"])
def test_a_damaged_artifact_is_not_used(built: Path, damage: str) -> None:
    folder = built / "contracts/artifacts"
    ensure_artifacts(built)
    plan = compiler._plan(built / "contracts", compiler.Selection(compiler.CONTRACTS))
    assert compiler._load(folder, plan) is not None
    (folder / "TestToken.json").write_bytes(damage.encode("utf-8", "surrogateescape"))
    assert compiler._load(folder, plan) is None


def test_errors_in_a_source_are_quoted_and_nothing_is_written(small: Path) -> None:
    path = small / "contracts/src/devnet/TestToken.sol"
    path.write_text(path.read_text() + "contract Broken { uint256 x = nonsense; }")
    with pytest.raises(CompilationFailed, match="nonsense"):
        ensure_artifacts(small)
    assert not list((small / "contracts/artifacts").glob("*.json"))


def test_a_folder_without_contracts(tmp_path: Path) -> None:
    with pytest.raises(SourcesMissing, match="pass the folder that holds it"):
        ensure_artifacts(tmp_path)


def test_a_missing_source(small: Path) -> None:
    (small / "contracts/src/MarketAccounts.sol").unlink()
    with pytest.raises(SourcesMissing, match=r"MarketAccounts\.sol is missing"):
        ensure_artifacts(small)


def test_packages_not_installed(small: Path) -> None:
    (small / "contracts/node_modules").unlink()
    with pytest.raises(DependenciesMissing, match="npm ci"):
        ensure_artifacts(small)


def test_an_import_that_is_not_there(small: Path) -> None:
    path = small / "contracts/src/devnet/TestToken.sol"
    path.write_text(path.read_text().replace("ERC20/ERC20.sol", "ERC20/ERC21.sol"))
    with pytest.raises(DependenciesMissing, match=r"ERC21\.sol, imported by src/devnet/TestToken\.sol"):
        ensure_artifacts(small)


def test_other_versions_than_the_lock_names(small: Path) -> None:
    path = small / "contracts/package-lock.json"
    original = path.read_text()
    lock = json.loads(original)
    lock["packages"]["node_modules/@openzeppelin/contracts"]["version"] = "4.0.0"
    path.write_text(json.dumps(lock))
    with pytest.raises(DependenciesMissing, match=r"pinned to 4\.0\.0"):
        ensure_artifacts(small)
    lock = json.loads(original)
    lock["packages"]["node_modules/solc"]["version"] = "0.8.29"
    path.write_text(json.dumps(lock))
    with pytest.raises(CompilerUnavailable, match=r"pinned to 0\.8\.29"):
        ensure_artifacts(small)


def test_no_node(small: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(CompilerUnavailable, match="install Node"):
        ensure_artifacts(small)


def test_a_compiler_that_talks_nonsense(small: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    fake = tmp_path / "solc"
    fake.write_text('#!/bin/sh\n[ "$1" = --version ] && echo "Version: 0.8.30+commit.00000000" || echo nonsense\n')
    fake.chmod(0o755)
    monkeypatch.setattr(compiler, "_native_compiler", lambda version, report: fake)
    with pytest.raises(CompilerUnavailable):
        ensure_artifacts(small)
    fake.write_text("#!/bin/sh\nexit 3\n")
    with pytest.raises(CompilerUnavailable):
        ensure_artifacts(small)


def test_processes_at_once_compile_once(tmp_path: Path) -> None:
    _write_small(tmp_path)
    program = (
        "import sys; from pathlib import Path; from cohort_devnet import compiler\n"
        "compiler._native_compiler = lambda version, report: None\n"
        "compiler.ensure_artifacts(Path(sys.argv[1]), lambda line: print(line, flush=True))"
    )

    def run() -> subprocess.CompletedProcess[str]:
        arguments = [sys.executable, "-c", program, str(tmp_path)]
        return subprocess.run(arguments, capture_output=True, text=True, timeout=120, check=False)

    with ThreadPoolExecutor(3) as pool:
        results = [future.result() for future in [pool.submit(run) for _ in range(3)]]
    assert [result.returncode for result in results] == [0, 0, 0], [result.stderr for result in results]
    assert sum(result.stdout.count("compiled CohortMarket") for result in results) == 1


def test_waits_only_so_long_for_another_process(small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiler, "LOCK_SECONDS", 0.2)
    folder = small / "contracts/artifacts"
    folder.mkdir()
    with compiler._locked(folder / ".lock"), pytest.raises(CompilationBusy):
        ensure_artifacts(small)
    with compiler._locked(folder / ".lock"):
        pass  # free again


def test_a_network_that_never_answers_does_not_hang(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Looking for a native compiler ends after its time limit."""
    monkeypatch.setenv("SOLCX_BINARY_PATH", str(tmp_path))
    monkeypatch.setattr(compiler, "NATIVE_INSTALL_SECONDS", 2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        for name in ("https_proxy", "HTTPS_PROXY", "http_proxy", "HTTP_PROXY"):
            monkeypatch.setenv(name, address)
        monkeypatch.delenv("no_proxy", raising=False)
        monkeypatch.delenv("NO_PROXY", raising=False)
        started = time.monotonic()
        assert compiler._native_compiler("0.8.30", lambda line: None) is None
        assert time.monotonic() - started < 30
        silent.settimeout(5)
        silent.accept()[0].close()  # it did ask


def test_a_second_run_is_fast_and_imports_no_compiler() -> None:
    ensure_artifacts(ROOT)
    program = (
        "import sys, time; from pathlib import Path; from cohort_devnet.compiler import ensure_artifacts\n"
        "started = time.monotonic(); ensure_artifacts(Path(sys.argv[1])); took = time.monotonic() - started\n"
        "assert 'solcx' not in sys.modules; print(took)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(ROOT)], capture_output=True, text=True, timeout=60, check=True
    )
    assert float(done.stdout) < 0.5


def test_every_error_is_ours() -> None:
    for kind in (SourcesMissing, DependenciesMissing, CompilerUnavailable, CompilationFailed, CompilationBusy):
        assert issubclass(kind, CompilerError)
        assert issubclass(kind, CohortError)


def test_command_line(built: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (built / compiler.ABI_FOLDER).mkdir(parents=True)
    assert compiler.main(["--root", str(built), "--write-abi"]) == 0
    assert "bytes of code" in capsys.readouterr().out
    written = (built / compiler.ABI_FOLDER / "CohortMarket.json").read_text()
    assert written == compiler.abi_text(ensure_artifacts(built)["CohortMarket"])
    assert compiler.main(["--root", str(built / "nowhere"), "--quiet"]) == 1
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err.startswith("error: ")


class TestWrapper:
    """npm's solc behind the command line of the native one."""

    SOLC = ROOT / "contracts" / "compiler" / "solc"

    def test_version(self) -> None:
        done = subprocess.run([self.SOLC, "--version"], capture_output=True, text=True, timeout=60, check=True)
        assert done.stdout.splitlines()[1].startswith("Version: 0.8.30+commit.73712a01")

    def test_large_input_and_output_through_pipes(self) -> None:
        body = "".join(f"function f{i}() external pure returns (uint256) {{ return {i}; }}\n" for i in range(500))
        comment = "// " + "x" * 100 + "\n"
        request = {
            "language": "Solidity",
            "sources": {"a.sol": {"content": HEADER + comment * 20_000 + f"contract A {{ {body} }}"}},
            "settings": {"outputSelection": {"*": {"*": ["abi", "evm.assembly"]}}},
        }
        text = json.dumps(request)
        assert len(text) > 2_000_000
        # A slow reader and writer: both pipes run full.
        with subprocess.Popen([self.SOLC, "--standard-json"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as solc:
            assert solc.stdin is not None
            assert solc.stdout is not None
            os.set_blocking(solc.stdin.fileno(), True)
            solc.stdin.write(text.encode())
            solc.stdin.close()
            time.sleep(1)
            answer = solc.stdout.read()
        assert len(answer) > 200_000
        output = json.loads(answer)  # nothing in front of the JSON, nothing cut off
        assert len(output["contracts"]["a.sol"]["A"]["abi"]) == 500

    @pytest.mark.parametrize("broken", [False, True])
    def test_many_files_shared_among_processes_give_what_one_gives(self, broken: bool) -> None:
        base = HEADER + "abstract contract Base { function f() external pure { uint256 unused; } }\n"
        sources = {"base.sol": base}
        for number in range(45):
            made = 'import "./0.sol";' if number else ""
            creation = "function g() external { new C0(); }" if number else ""
            text = f'import "./base.sol"; {made} contract C{number} is Base {{ {creation} }}\n'
            sources[f"{number}.sol"] = HEADER + text
        if broken:
            sources["17.sol"] += "contract {"
        outputs = ["abi", "evm.bytecode.object", "evm.deployedBytecode.sourceMap", "metadata"]
        request = {
            "language": "Solidity",
            "sources": {name: {"content": text} for name, text in sources.items()},
            "settings": {"outputSelection": {"*": {"": ["ast"], "*": outputs[:1]}, "8.sol": {"C8": outputs}}},
        }
        for number in range(9, 45):
            request["settings"]["outputSelection"][f"{number}.sol"] = {"*": outputs}
        shared, whole = (
            json.loads(
                subprocess.run(
                    [self.SOLC, "--standard-json", *options],
                    input=json.dumps(request).encode(),
                    stdout=subprocess.PIPE,
                    timeout=120,
                    check=True,
                ).stdout
            )
            for options in ([], ["--one-process"])
        )
        assert shared.get("contracts", {}) == whole.get("contracts", {})
        assert shared.get("sources", {}) == whole.get("sources", {})
        key = operator.itemgetter("formattedMessage")
        assert sorted(shared["errors"], key=key) == sorted(whole["errors"], key=key)
        assert ("C44" in whole.get("contracts", {}).get("44.sol", {})) is not broken

    def test_other_options_are_refused(self) -> None:
        done = subprocess.run([self.SOLC, "--bin"], capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 1
        assert "only --version and --standard-json" in done.stderr
