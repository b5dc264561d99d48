"""Python against Solidity on many random cases.

python -m tests.differential --cases 100000          of every rule, a quarter of an hour of one processor
python -m tests.differential --only judgements --cases 20000 --seed 3     a batch of rounds under the default policy
python -m tests.differential --write-vectors         the files in tests/vectors

With --log FILE every rule that agreed is added to the file as it ends; COHORT_COMMIT names what was tested.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path

from tests.differential.cases import KINDS
from tests.differential.harness import run
from tests.differential.vectors import write_vectors


class Log:
    """What was said, on the screen and, if a file is named, at its end."""

    def __init__(self, path: Path | None, seed: int):
        self._path = path
        self._what = f"seed {seed}, commit {os.environ.get('COHORT_COMMIT', 'not named')}"

    def __call__(self, line: str) -> None:
        print(line, flush=True)
        if self._path is not None:
            with self._path.open("a", encoding="utf-8") as file:
                file.write(f"{line} ({self._what})\n")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.differential", description=__doc__)
    parser.add_argument("--cases", type=int, default=2_000, help="random cases of every rule (default: 2000)")
    parser.add_argument("--seed", type=int, default=0, help="another seed gives other cases (default: 0)")
    parser.add_argument(
        "--only", action="append", choices=[kind.function for kind in KINDS], default=[], help="this rule; repeatable"
    )
    parser.add_argument("--log", type=Path, help="a line for every rule that agreed is added to this file")
    parser.add_argument("--write-vectors", action="store_true", help="write tests/vectors and stop")
    options = parser.parse_args()
    if options.write_vectors:
        for path in write_vectors():
            print(f"wrote {path}")
        return
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as home:
        run(options.cases, options.seed, Path(home), Log(options.log, options.seed), options.only)
    print(f"no disagreement, in {time.monotonic() - started:.0f} s")


if __name__ == "__main__":
    main()
