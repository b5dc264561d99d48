"""Stands in for compiler/solc in the copy that run.py works in: answers what it has answered before from a folder.

forge asks the compiler something whenever it starts, and starting npm's solc takes longer than a test run. Usage as
compiler/solc, whose path and the folder come from the environment: COHORT_SOLC, COHORT_SOLC_ANSWERS.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path


def main() -> int:
    # Other options only say where files lie.
    question = b"version" if "--version" in sys.argv else sys.stdin.buffer.read()
    folder = Path(os.environ["COHORT_SOLC_ANSWERS"])
    answer = folder / hashlib.sha256(question).hexdigest()
    if not answer.exists():
        command = [os.environ["COHORT_SOLC"], *sys.argv[1:]]
        done = subprocess.run(command, input=question, stdout=subprocess.PIPE, check=True)
        part = folder / f"{os.getpid()}.part"  # two at once may ask the same
        part.write_bytes(done.stdout)
        part.rename(answer)
    sys.stdout.buffer.write(answer.read_bytes())
    return 0


if __name__ == "__main__":
    sys.exit(main())
