"""The product's own Python files, and what each of them imports."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SOURCE_ROOTS = {
    "cohort_protocol": ROOT / "protocol",
    "cohort_backend": ROOT / "backend",
    "cohort_worker": ROOT / "worker",
    "cohort_trainer": ROOT / "trainer",
    "cohort_devnet": ROOT / "anvil",
}


def python_files(package: str) -> list[Path]:
    files = sorted((SOURCE_ROOTS[package] / package).rglob("*.py"))
    assert files, f"{package} has no Python files: the checks below would check nothing"
    return files


def all_python_files() -> list[Path]:
    return [file for package in SOURCE_ROOTS for file in python_files(package)]


def imported_modules(file: Path) -> Iterator[tuple[int, str]]:
    """(line, absolute dotted name) of every import in a file, inside functions too; `from a import b` gives `a.b`."""
    for node in ast.walk(ast.parse(file.read_text(), filename=str(file))):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}:{node.lineno}: relative import; write the whole name"
            for alias in node.names:
                yield node.lineno, f"{node.module}.{alias.name}"


def within(module: str, prefixes: tuple[str, ...]) -> bool:
    return any(module == prefix or module.startswith(prefix + ".") for prefix in prefixes)
