"""Applies every mutation of sites.py to the contracts and says which of them no test notices.

    python contracts/mutation/run.py --write          all of them, and the table in RESULTS.md
    python contracts/mutation/run.py --list           numbers, places and changes
    python contracts/mutation/run.py --numbers 3,17   some of them
    python contracts/mutation/run.py --plain 17       one, as a plain change of the source instead of a switch

Needs what `npm ci` in contracts/ installs, and nothing else. The checkout is not touched: everything runs in a copy.
"""

from __future__ import annotations

import argparse
import datetime
import os
import re
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue

import sites

HERE = Path(__file__).resolve().parent
CONTRACTS = HERE.parent
GUARD = "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol"
# Gas is other with switches in the code; invariants are the second attempt on what the unit tests let live.
LEFT_OUT = "test/{gas,invariants}/*"
INVARIANTS = "test/invariants/*"
SLOW = ["test_Settle_When200RoundsHaveRunAndAThousandTrainersHaveLeft"]  # looks at gas, for nine seconds
SEQUENCES = "40"
TIMEOUT_S = 600
# Why a mutation that no test notices changes nothing that anyone could notice. By place: path, kind and text of the
# change.
EQUIVALENT = HERE / "equivalent.txt"


@dataclass(frozen=True)
class Verdict:
    mutation: sites.Mutation
    killed_by: str | None  # test that failed; None: survived


def copy_tree(target: Path) -> None:
    """The contracts and the vectors they share with Python, with the installed packages by reference."""
    root = target / "contracts"
    for name in ("src", "test", "compiler"):
        shutil.copytree(CONTRACTS / name, root / name)
    for name in ("foundry.toml", "package.json"):
        shutil.copy(CONTRACTS / name, root / name)
    (root / "node_modules").symlink_to((CONTRACTS / "node_modules").resolve())
    (root / "cache").mkdir()
    compiler = root / "compiler"
    (compiler / "solc").rename(compiler / "npm-solc")
    (compiler / "solc").write_text(f"#!{sys.executable}\n" + (HERE / "cached_solc.py").read_text())
    (compiler / "solc").chmod(0o755)
    (compiler / "answers").mkdir()
    vectors = CONTRACTS.parent / "tests" / "vectors"
    if vectors.is_dir():
        shutil.copytree(vectors, target / "tests" / "vectors")


def write_switched(root: Path, switched: dict[str, str], locks: list[int]) -> None:
    folder = root / "src" / "mutation"
    folder.mkdir()
    modifiers = "".join(
        f"    modifier nonReentrantUnless{n}() {{\n        if (Mutant.off({n})) _enterGuard();\n        _;\n"
        f"        if (Mutant.off({n})) _setGuard(0);\n    }}\n\n"
        for n in locks
    )
    (folder / "Mutant.sol").write_text((HERE / "Mutant.sol").read_text().replace("    // LOCKS\n\n", modifiers))
    for path, text in switched.items():
        up = "/".join([".."] * (len(Path(path).parts) - 1)) or "."
        text = text.replace(f'"{GUARD}"', f'"{up}/mutation/Mutant.sol"')
        text = re.sub(
            r"(pragma solidity [^;]*;\n)", rf'\1import {{Mutant}} from "{up}/mutation/Mutant.sol";\n', text, count=1
        )
        (root / "src" / path).write_text(text)


def forge(root: Path, *arguments: str, environment: dict[str, str] | None = None) -> tuple[int, str]:
    """Exit status and output; a run beyond the time limit counts as failed."""
    command = [str(root / "compiler" / "forge"), *arguments]
    env = {**os.environ, "FOUNDRY_FUZZ_RUNS": "32", "FOUNDRY_INVARIANT_RUNS": SEQUENCES, **(environment or {})}
    env["FOUNDRY_INVARIANT_SHRINK_RUN_LIMIT"] = "1"
    env["COHORT_SOLC"] = str(root / "compiler" / "npm-solc")
    env["COHORT_SOLC_ANSWERS"] = str(root / "compiler" / "answers")
    try:
        done = subprocess.run(
            command, cwd=root, env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=TIMEOUT_S
        )
    except subprocess.TimeoutExpired:
        return 1, "[FAIL: time limit] (the run did not end)"
    return done.returncode, done.stdout


def first_failure(output: str) -> str:
    """Name of the first test that failed, with its contract."""
    name = re.search(r"^\[FAIL[^\n]*?\] (\w+)\(", output, re.M)
    place = re.search(r"^Ran \d+ tests? for (\S+):(\w+)\n(?:(?!^Ran ).*\n)*?\[FAIL", output, re.M)
    if "[FAIL" not in output:
        raise RuntimeError(f"forge failed, but no test did:\n{output[-3000:]}")
    return f"{place.group(2) if place else '?'}.{name.group(1) if name else 'setUp'}"


def attempts(mutation: sites.Mutation, invariants: bool) -> list[list[str]]:
    """Which tests to run, the likeliest to notice first."""
    near = "mutants" if mutation.kind == "lock" else mutation.path.split("/")[0]
    chosen = [["--no-match-path", LEFT_OUT]]
    if (CONTRACTS / "test" / near).is_dir():  # forge forgets what it has compiled when it is asked for no test at all
        chosen.insert(0, ["--match-path", f"test/{near}/*"])
    return [*chosen, ["--match-path", INVARIANTS]] if invariants else chosen


def judge(root: Path, mutation: sites.Mutation, broken: list[str], invariants: bool) -> Verdict:
    switch = ["--block-coinbase", f"0x{mutation.number:040x}", "--fail-fast"]
    switch += ["--no-match-test", "^(" + "|".join(SLOW + broken) + ")"]
    for tests in attempts(mutation, invariants):
        status, output = forge(root, "test", *switch, *tests)
        if status != 0:
            return Verdict(mutation, first_failure(output))
        if " 0 failed" not in output:
            raise RuntimeError(f"forge ran no test:\n{output[-3000:]}")
    return Verdict(mutation, None)


def worker_copies(root: Path, jobs: int) -> SimpleQueue[Path]:
    """A compiled copy for each worker: forge writes its cache in every run, and reads none that another is writing."""
    copies: SimpleQueue[Path] = SimpleQueue()
    for i in range(jobs):
        copy = root.parent / f"worker-{i}" / "contracts"
        shutil.copytree(root, copy, symlinks=True)
        if (root.parent / "tests").is_dir():
            shutil.copytree(root.parent / "tests", copy.parent / "tests")
        copies.put(copy)
    return copies


def judge_in(copies: SimpleQueue[Path], mutation: sites.Mutation, broken: list[str], invariants: bool) -> Verdict:
    copy = copies.get()
    try:
        return judge(copy, mutation, broken, invariants)
    finally:
        copies.put(copy)


def baseline(root: Path) -> list[str]:
    """Tests that fail with all switches off: those that look at code sizes, or are broken anyway. They prove
    nothing."""
    status, output = forge(root, "test", "--no-match-path", LEFT_OUT)
    if "Compiler run failed" in output:
        raise RuntimeError(output[-3000:])
    return sorted(set(re.findall(r"^\[FAIL[^\n]*?\] (\w+)\(", output, re.M))) if status else []


def plain(number: int, mutations: list[sites.Mutation]) -> int:
    mutation = next(m for m in mutations if m.number == number)
    with tempfile.TemporaryDirectory(prefix="cohort-mutation-") as folder:
        copy_tree(Path(folder))
        root = Path(folder) / "contracts"
        file = root / "src" / mutation.path
        text = file.read_text()
        file.write_text(text[: mutation.start] + mutation.plain + text[mutation.end :])
        status, output = forge(root, "test", "--fail-fast", "--no-match-path", LEFT_OUT)
    print(f"{mutation.path}:{mutation.line} {mutation.kind}:", "survived" if status == 0 else first_failure(output))
    return 0 if status else 1


def reasons() -> dict[str, str]:
    """Lines `path | kind | change | why` of EQUIVALENT."""
    found: dict[str, str] = {}
    for line in EQUIVALENT.read_text().splitlines() if EQUIVALENT.exists() else []:
        if line.strip() and not line.startswith("#"):
            path, kind, change, why = (part.strip() for part in line.split(" | ", 3))
            found[f"{path} | {kind} | {change}"] = why
    return found


def key(mutation: sites.Mutation, texts: dict[str, str]) -> str:
    return f"{mutation.path} | {mutation.kind} | {mutation.describe(texts[mutation.path])}"


def report(verdicts: list[Verdict], texts: dict[str, str], broken: list[str], options: str) -> tuple[str, int]:
    """The text of RESULTS.md, and how many survivors nobody has explained."""
    known = reasons()
    survived = [v for v in verdicts if v.killed_by is None]
    unexplained = [v for v in survived if key(v.mutation, texts) not in known]
    lines = [
        "# Mutations of contracts/src",
        "",
        f"{datetime.date.today().isoformat()}, `python contracts/mutation/run.py{options}`: {len(verdicts)} mutations, "
        f"{len(verdicts) - len(survived)} killed, {len(survived)} survived, {len(unexplained)} of them unexplained.",
        "",
        "`guard`: the condition of a revert or of a skip is false. `clause`: one part of it is gone. "
        "`boundary`: < and <=, > and "
        ">= exchanged. `check`: a call that only checks is gone. `lock`: a function without `nonReentrant`.",
        "",
    ]
    if broken:
        lines += [
            "Left out, because they fail with the switches compiled in: " + ", ".join(f"`{b}`" for b in broken) + ".",
            "",
        ]
    lines += ["## Survivors", ""]
    for v in survived:
        why = known.get(key(v.mutation, texts), "NOT EXPLAINED")
        lines.append(
            f"- `{v.mutation.path}:{v.mutation.line}` {v.mutation.kind} "
            f"`{v.mutation.describe(texts[v.mutation.path])}`: {why}"
        )
    lines += ["", "## All", "", "| place | kind | change | killed by |", "|---|---|---|---|"]
    for v in verdicts:
        change = v.mutation.describe(texts[v.mutation.path]).replace("|", "\\|")
        lines.append(
            f"| {v.mutation.path}:{v.mutation.line} | {v.mutation.kind} | `{change}` "
            f"| {v.killed_by or '**survived**'} |"
        )
    return "\n".join(lines) + "\n", len(unexplained)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--numbers", help="comma separated")
    parser.add_argument("--only", help="part of the path of a source file")
    parser.add_argument("--plain", type=int, metavar="NUMBER")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--no-invariants", action="store_true", help="unit tests only")
    parser.add_argument("--write", action="store_true", help="write RESULTS.md")
    arguments = parser.parse_args()

    mutations, switched = sites.find_all(CONTRACTS / "src")
    texts = {m.path: (CONTRACTS / "src" / m.path).read_text() for m in mutations}
    if arguments.plain is not None:
        return plain(arguments.plain, mutations)
    chosen = mutations
    if arguments.numbers:
        wanted = {int(n) for n in arguments.numbers.split(",")}
        chosen = [m for m in chosen if m.number in wanted]
    if arguments.only:
        chosen = [m for m in chosen if arguments.only in m.path]
    if arguments.list:
        for m in chosen:
            print(m.number, f"{m.path}:{m.line}", m.kind, m.describe(texts[m.path]))
        return 0
    with tempfile.TemporaryDirectory(prefix="cohort-mutation-") as folder:
        root = Path(folder) / "contracts"
        copy_tree(Path(folder))
        write_switched(root, switched, [m.number for m in mutations if m.kind == "lock"])
        broken = baseline(root)
        print(f"{len(chosen)} mutations; left out: {', '.join(broken) or 'no test'}", flush=True)
        verdicts = []
        copies = worker_copies(root, arguments.jobs)
        with ThreadPoolExecutor(arguments.jobs) as pool:
            for v in pool.map(lambda m: judge_in(copies, m, broken, not arguments.no_invariants), chosen):
                verdicts.append(v)
                print(
                    v.mutation.number,
                    f"{v.mutation.path}:{v.mutation.line}",
                    v.mutation.kind,
                    v.killed_by or "SURVIVED",
                    flush=True,
                )
    text, unexplained = report(verdicts, texts, broken, "".join(f" {option}" for option in sys.argv[1:]))
    if arguments.write:
        (HERE / "RESULTS.md").write_text(text)
    print(f"{sum(v.killed_by is None for v in verdicts)} survived, {unexplained} unexplained")
    return 1 if unexplained else 0


if __name__ == "__main__":
    sys.exit(main())
