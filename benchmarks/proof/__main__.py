"""Runs the parts that are asked for, prints one table."""

from __future__ import annotations

import argparse
from pathlib import Path

import benchmarks.proof
from benchmarks.proof import gas, proving
from benchmarks.table import Row, print_table, write_json

PARTS = {"proving": proving.run, "gas": gas.run}
"""Name -> function of `quick` that measures."""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=benchmarks.proof.__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="smaller models, without goals")
    parser.add_argument("--only", choices=PARTS, help="one part alone")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the rows there")
    options = parser.parse_args()
    rows: list[Row] = []
    for name, measure in PARTS.items():
        if options.only in (None, name):
            rows += measure(options.quick)
    print_table("A proven round", rows)
    if options.json:
        write_json(options.json, rows)


if __name__ == "__main__":
    main()
