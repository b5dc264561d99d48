"""Applies every mutation of sites.py to the contracts and says which of them no test notices.

    python contracts/mutation/run.py --write          all of them, and the table in RESULTS.md: a quarter of an hour
    python contracts/mutation/run.py --list           numbers, places and changes
    python contracts/mutation/run.py --numbers 3,17   some of them
    python contracts/mutation/run.py --plain 17       one, as a plain change of the source instead of a switch
    python contracts/mutation/run.py --sample 400 --seed 7   others: a sample of all that operators.py can change

Needs what `npm ci` in contracts/ installs, and nothing else. The sources are not touched: everything runs in a copy.

All mutations are compiled at once, and every verdict comes from tests that ran with the mutation. What takes time is
looking for the test that notices. So the test that RESULTS.md names is tried first, then those of the mutation's
folder, then all that are quick, then the slow ones, then invariants: a wrong guess costs a second, never a verdict.
Verdicts and the compiler's answers are kept under contracts/cache/mutation for the same sources and tests: a run that
was interrupted goes on.
"""

from __future__ import annotations

import argparse
import datetime
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue

import operators
import sites

HERE = Path(__file__).resolve().parent
CONTRACTS = HERE.parent
GUARD = "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol"
# Gas is other with switches in the code; invariants are the last attempt on what the unit tests let live.
LEFT_OUT = "test/{gas,invariants}/*"
INVARIANTS = "test/invariants/*"
# Tests of seconds each: tried when the others have passed.
DEAR = "differential/*,attacks/{Proofs,Growth}.t.sol"
QUICK, LAST = f"test/{{{{gas,invariants}}/*,{DEAR}}}", f"test/{{{DEAR}}}"
SEQUENCES = "40"
TIMEOUT_S = 1800
# Why a mutation that no test notices changes nothing that anyone could notice. By place: path, kind and text of the
# change.
EQUIVALENT = HERE / "equivalent.txt"
RESULTS, SAMPLE = HERE / "RESULTS.md", HERE / "SAMPLE.md"
# Which checks stop which attack of the page, and the tests that it names.
DEFENCES = HERE / "defences.txt"
ATTACKS = CONTRACTS.parent / "docs" / "protocol" / "attacks.md"
KEPT = CONTRACTS / "cache" / "mutation"
KINDS = (
    "`guard`: the condition of a revert or of a skip is false. `clause`: one part of it is gone. `boundary`: < and <=, "
    "> and >= exchanged. `check`: a call that only checks is gone. `lock`: a function without `nonReentrant`."
)


@dataclass(frozen=True)
class Verdict:
    mutation: sites.Mutation
    killed_by: str | None  # test that failed; None: survived


@dataclass(frozen=True)
class Defence:
    """A check that stops an attack, and whether the tests that are named for the attack notice when it is gone."""

    attack: str
    mutation: sites.Mutation
    killed_by: str | None


@dataclass(frozen=True)
class Suite:
    """What judging needs beside a mutation."""

    tests: frozenset[str]  # Contract.test of each
    broken: tuple[str, ...]  # tests that prove nothing, see baseline
    killers: dict[str, str]  # by key of the mutation: the test that RESULTS.md names
    reasons: dict[str, str]  # by key: why no test can notice
    invariants: bool


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
        if locks:
            text = text.replace(f'"{GUARD}"', f'"{up}/mutation/Mutant.sol"')
        text = re.sub(
            r"(pragma solidity [^;]*;\n)", rf'\1import {{Mutant}} from "{up}/mutation/Mutant.sol";\n', text, count=1
        )
        (root / "src" / path).write_text(text)


def forge(root: Path, *arguments: str, limit: int | None = TIMEOUT_S) -> tuple[int, str]:
    """Exit status and output; a run beyond the time limit, seconds, counts as failed."""
    command = [str(root / "compiler" / "forge"), *arguments]
    env = {**os.environ, "FOUNDRY_FUZZ_RUNS": "32", "FOUNDRY_INVARIANT_RUNS": SEQUENCES}
    env["FOUNDRY_INVARIANT_SHRINK_RUN_LIMIT"] = "1"
    env["COHORT_SOLC"] = str(root / "compiler" / "npm-solc")
    env["COHORT_SOLC_ANSWERS"] = str(root / "compiler" / "answers")
    try:
        done = subprocess.run(
            command, cwd=root, env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=limit
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


def attempts(mutation: sites.Mutation, killer: str | None, suite: Suite, explained: bool) -> list[list[str]]:
    """Which tests to run, the likeliest to notice first. Invariants: the last attempt on what nobody has explained."""
    chosen = []
    if killer is not None:
        contract, _, test = killer.partition(".")
        if killer in suite.tests:
            chosen.append(["--match-contract", f"^{contract}$", "--match-test", f"^{test}\\b"])
        elif test == "setUp" and any(one.startswith(f"{contract}.") for one in suite.tests):
            chosen.append(["--match-contract", f"^{contract}$"])
    near = "mutants" if mutation.kind == "lock" else mutation.path.split("/")[0]
    if (CONTRACTS / "test" / near).is_dir():  # forge forgets what it has compiled when it is asked for no test at all
        chosen.append(["--match-path", f"test/{near}/*"])
    rest = [["--no-match-path", QUICK], ["--match-path", LAST]]
    chosen += rest if near not in ("policies", "verification") else reversed(rest)
    return [*chosen, ["--match-path", INVARIANTS]] if suite.invariants and not explained else chosen


def judge(root: Path, mutation: sites.Mutation, place: str, suite: Suite) -> Verdict:
    """place: the mutation's key."""
    switch = ["--block-coinbase", f"0x{mutation.number:040x}", "--fail-fast"]
    if suite.broken:
        switch += ["--no-match-test", "^(" + "|".join(suite.broken) + r")\b"]
    killer = suite.killers.get(place) or suite.killers.get(place.split(" | ", 1)[1])
    for tests in attempts(mutation, killer, suite, place in suite.reasons):
        status, output = forge(root, "test", *switch, *tests)
        if status != 0:
            return Verdict(mutation, first_failure(output))
        if " 0 failed" not in output:
            raise RuntimeError(f"forge ran no test:\n{output[-3000:]}")
    return Verdict(mutation, None)


def kept_folder(root: Path) -> Path:
    """Where verdicts and compiled code of exactly these sources and tests are kept. Those of others are deleted."""
    digest = hashlib.sha256()
    for file in sorted(one for one in root.parent.rglob("*") if one.is_file() and "node_modules" not in one.parts):
        digest.update(repr(file.relative_to(root.parent).as_posix()).encode() + file.read_bytes())
    kept = KEPT / digest.hexdigest()[:16]
    for other in KEPT.iterdir() if KEPT.is_dir() else []:
        if other != kept:
            shutil.rmtree(other)
    (kept / "answers").mkdir(parents=True, exist_ok=True)
    (root / "compiler" / "answers").symlink_to(kept / "answers")
    return kept


def known_verdicts(kept: Path, mutations: list[sites.Mutation]) -> dict[int, Verdict]:
    by_number = {m.number: m for m in mutations}
    file = kept / "verdicts.jsonl"
    lines = file.read_text().splitlines() if file.exists() else []
    found = [json.loads(line) for line in lines]
    return {number: Verdict(by_number[number], killer) for number, killer in found}


def killers_of_results() -> dict[str, str]:
    """The test that the results name, by key of the mutation, and by its kind and change alone: code moves."""
    found: dict[str, str] = {}
    for line in [line for file in (SAMPLE, RESULTS) if file.exists() for line in file.read_text().splitlines()]:
        cells = [cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        if len(cells) == 4 and re.fullmatch(r"\w+\.\w+", cells[3]):
            change = f"{cells[1]} | {cells[2].strip('`')}"
            found[f"{cells[0].rsplit(':', 1)[0]} | {change}"] = cells[3]
            found.setdefault(change, cells[3])
    return found


def tests_of_attacks() -> dict[str, list[str]]:
    """`Contract.test` of every attack of docs/protocol/attacks.md."""
    found = {}
    for line in ATTACKS.read_text().splitlines():
        cells = [cell.strip() for cell in line.split("|")[1:-1]]
        if len(cells) == 3:
            found[cells[0]] = re.findall(r"`(\w+\.\w+)`", cells[2])
    return found


def judge_defence(root: Path, attack: str, mutation: sites.Mutation, tests: Sequence[str]) -> Defence:
    """Runs the tests named for the attack, and no others."""
    contracts, names = (sorted({one.split(".")[i] for one in tests}) for i in (0, 1))
    chosen = ["--match-contract", f"^({'|'.join(contracts)})$", "--match-test", f"^({'|'.join(names)})\\b"]
    switch = ["--block-coinbase", f"0x{mutation.number:040x}", "--fail-fast"]
    status, output = forge(root, "test", *switch, *chosen)
    if status == 0 and " 0 failed" not in output:
        raise RuntimeError(f"forge ran no test of {attack}:\n{output[-3000:]}")
    return Defence(attack, mutation, first_failure(output) if status else None)


def judge_defences(root: Path, mutations: list[sites.Mutation], texts: dict[str, str]) -> list[Defence]:
    by_key = {key(m, texts): m for m in mutations}
    named = tests_of_attacks()
    found = []
    for line in DEFENCES.read_text().splitlines():
        if not line.startswith("#"):
            attack, place = line.split(" | ", 1)
            found.append(judge_defence(root, attack, by_key[place], named[attack]))
            print(f"{attack}:", found[-1].killed_by or "NOT NOTICED", flush=True)
    return found


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


def baseline(root: Path, kept: Path) -> tuple[frozenset[str], tuple[str, ...]]:
    """All tests, and those that fail with all switches off: those that look at code sizes, or are broken anyway. They
    prove nothing."""
    # Everything in one question to the compiler, the same one when a run goes on; later ones find it compiled.
    status, output = forge(root, "test", "--list", "--json", limit=None)  # compiles
    if status != 0:
        raise RuntimeError(output[-3000:])
    listed = json.loads(output.strip().splitlines()[-1])
    tests = [f"{name}.{test}" for of in listed.values() for name, every in of.items() for test in every]
    file = kept / "broken.json"
    if not file.exists():
        status, output = forge(root, "test", "--no-match-path", LEFT_OUT, limit=None)
        broken = sorted(set(re.findall(r"^\[FAIL[^\n]*?\] (\w+)\(", output, re.M))) if status else []
        file.write_text(json.dumps(broken))
    return frozenset(tests), tuple(json.loads(file.read_text()))


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


def report(
    verdicts: list[Verdict],
    defences: list[Defence],
    texts: dict[str, str],
    broken: Sequence[str],
    options: str,
) -> tuple[str, int]:
    """The text of RESULTS.md, and how many survivors nobody has explained."""
    known = reasons()
    survived = [v for v in verdicts if v.killed_by is None]
    unexplained = [v for v in survived if key(v.mutation, texts) not in known]
    lines = [
        "# Mutations of contracts/src",
        "",
        f"{datetime.date.today().isoformat()}, commit {commit()}, `python contracts/mutation/run.py{options}`: "
        f"{len(verdicts)} mutations, "
        f"{len(verdicts) - len(survived)} killed, {len(survived)} survived, {len(unexplained)} of them unexplained.",
        "",
        operators.__doc__[operators.__doc__.index("| kind") :].rstrip() if "--sample" in options else KINDS,
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
    if defences:
        lines += ["", "## Attacks", ""]
        lines += [
            "What stops an attack of docs/protocol/attacks.md is gone, and only the tests that the page names are run.",
        ]
        lines += ["", "| attack | place | change | noticed by |", "|---|---|---|---|"]
    for d in defences:
        change = d.mutation.describe(texts[d.mutation.path]).replace("|", "\\|")
        place = f"{d.mutation.path}:{d.mutation.line}"
        lines.append(f"| {d.attack} | {place} | `{change}` | {d.killed_by or '**nobody**'} |")
    lines += ["", "## All", "", "| place | kind | change | killed by |", "|---|---|---|---|"]
    for v in verdicts:
        change = v.mutation.describe(texts[v.mutation.path]).replace("|", "\\|")
        lines.append(
            f"| {v.mutation.path}:{v.mutation.line} | {v.mutation.kind} | `{change}` "
            f"| {v.killed_by or '**survived**'} |"
        )
    return "\n".join(lines) + "\n", len(unexplained)


def commit() -> str:
    """What is judged, as git names it; `+` if anything is not as in that commit."""
    asked = ["git", "describe", "--always", "--dirty=+", "--abbrev=7"]
    done = subprocess.run(asked, cwd=CONTRACTS, text=True, capture_output=True)
    return done.stdout.strip() or "unknown"


def fitted(size: int, seed: int) -> tuple[list[sites.Mutation], dict[str, str]]:
    """A sample without those that do not compile behind a switch."""
    chosen = dict(enumerate(operators.drawn(operators.candidates(CONTRACTS), size, seed), 1))
    with tempfile.TemporaryDirectory(prefix="cohort-mutation-") as folder:
        copy_tree(Path(folder))
        root = Path(folder) / "contracts"
        (root / "compiler" / "answers").mkdir()
        while True:
            mutations, switched = operators.switched_sources(CONTRACTS, chosen)
            shutil.rmtree(root / "src")
            shutil.copytree(CONTRACTS / "src", root / "src")
            write_switched(root, switched, [])
            status, output = forge(root, "build", "src", limit=None)
            if status == 0:
                return mutations, switched
            left_out = operators.misfits(output, root / "src")
            if not left_out:
                raise RuntimeError(output[-3000:])
            print(f"{len(left_out)} left out: they do not compile behind a switch", flush=True)
            chosen = {number: one for number, one in chosen.items() if number not in left_out}


def judge_all(
    mutations: list[sites.Mutation],
    switched: dict[str, str],
    chosen: list[sites.Mutation],
    texts: dict[str, str],
    jobs: int,
    invariants: bool,
    attacks: bool,
) -> tuple[list[Verdict], list[Defence], tuple[str, ...]]:
    """The verdicts on the chosen ones, in order; on the defences, if asked for; and the tests that were left out."""
    with tempfile.TemporaryDirectory(prefix="cohort-mutation-") as folder:
        root = Path(folder) / "contracts"
        copy_tree(Path(folder))
        write_switched(root, switched, [m.number for m in mutations if m.kind == "lock"])
        kept = kept_folder(root)
        tests, broken = baseline(root, kept)
        verdicts = known_verdicts(kept, mutations)
        print(f"{len(chosen)} mutations; left out: {', '.join(broken) or 'no test'}; {len(verdicts)} known", flush=True)
        suite = Suite(tests, broken, killers_of_results(), reasons(), invariants)
        copies = worker_copies(root, jobs)

        def judge_next(mutation: sites.Mutation) -> Verdict:
            if mutation.number in verdicts:
                return verdicts[mutation.number]
            copy = copies.get()
            try:
                return judge(copy, mutation, key(mutation, texts), suite)
            finally:
                copies.put(copy)

        with ThreadPoolExecutor(jobs) as pool, (kept / "verdicts.jsonl").open("a") as log:
            for v in pool.map(judge_next, chosen):
                m = v.mutation
                if m.number not in verdicts:
                    log.write(json.dumps([m.number, v.killed_by]) + "\n")
                    log.flush()
                    verdicts[m.number] = v
                print(m.number, f"{m.path}:{m.line}", m.kind, v.killed_by or "SURVIVED", flush=True)
        defences = judge_defences(copies.get(), mutations, texts) if attacks else []
    return [verdicts[m.number] for m in chosen], defences, broken


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--numbers", help="comma separated")
    parser.add_argument("--only", help="part of the path of a source file")
    parser.add_argument(
        "--attacks", action="store_true", help="only defences against attacks, by the tests named for them"
    )
    parser.add_argument("--plain", type=int, metavar="NUMBER")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--no-invariants", action="store_true", help="unit tests only")
    parser.add_argument("--write", action="store_true", help="write RESULTS.md, or SAMPLE.md")
    parser.add_argument("--sample", type=int, metavar="SIZE", help="that many mutations by operators.py")
    parser.add_argument("--seed", type=int, default=7)
    arguments = parser.parse_args()

    if arguments.sample is None:
        mutations, switched = sites.find_all(CONTRACTS / "src")
    else:
        mutations, switched = fitted(arguments.sample, arguments.seed)
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
    if arguments.attacks:
        chosen = []
    attacks = arguments.attacks or (len(chosen) == len(mutations) and arguments.sample is None)
    verdicts, defences, broken = judge_all(
        mutations, switched, chosen, texts, arguments.jobs, not arguments.no_invariants, attacks
    )
    options = "".join(f" {option}" for option in sys.argv[1:])
    text, unexplained = report(verdicts, defences, texts, broken, options)
    if arguments.write:
        (RESULTS if arguments.sample is None else SAMPLE).write_text(text)
    unnoticed = sum(d.killed_by is None for d in defences)
    print(f"{sum(v.killed_by is None for v in verdicts)} survived, {unexplained} unexplained")
    print(f"{len(defences)} defences, {unnoticed} whose absence the named tests do not notice")
    return 1 if unexplained or unnoticed else 0


if __name__ == "__main__":
    sys.exit(main())
