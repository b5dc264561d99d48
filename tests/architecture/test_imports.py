"""The import rules of the design: who may know whom."""

from __future__ import annotations

import ast
import subprocess
import sys

import pytest

from tests.architecture.sources import (
    ROOT,
    SOURCE_ROOTS,
    all_python_files,
    imported_modules,
    python_files,
    within,
)

ALLOWED_PACKAGES = {
    "cohort_protocol": set(),
    "cohort_backend": {"cohort_protocol"},
    "cohort_trainer": {"cohort_protocol"},
    "cohort_worker": {"cohort_protocol", "cohort_backend"},
    # The local chain and the demo start the services as processes; in process they are an owner and a reader.
    "cohort_devnet": {"cohort_protocol", "cohort_trainer"},
}
WEB_AND_DATABASE = ("fastapi", "starlette", "uvicorn", "sqlalchemy", "alembic", "celery", "redis", "flask", "django")
ENVIRONMENT = {"environ", "getenv", "environb", "putenv"}


@pytest.mark.parametrize("package", sorted(SOURCE_ROOTS))
def test_packages_import_only_what_the_design_allows(package: str) -> None:
    forbidden = tuple(set(SOURCE_ROOTS) - ALLOWED_PACKAGES[package] - {package})
    found = [
        f"{file.relative_to(ROOT)}:{line} imports {module}"
        for file in python_files(package)
        for line, module in imported_modules(file)
        if within(module, forbidden)
    ]
    assert not found, "\n".join(found)


def test_the_protocol_knows_no_web_framework_database_or_queue() -> None:
    found = [
        f"{file.relative_to(ROOT)}:{line} imports {module}"
        for file in python_files("cohort_protocol")
        for line, module in imported_modules(file)
        if within(module, WEB_AND_DATABASE)
    ]
    assert not found, "\n".join(found)


def test_the_protocol_never_reads_the_environment() -> None:
    found = []
    for file in python_files("cohort_protocol"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Attribute) and node.attr in ENVIRONMENT:
                found.append(f"{file.relative_to(ROOT)}:{node.lineno} reads {ast.unparse(node)}")
            if isinstance(node, ast.ImportFrom) and node.module == "os":
                found += [f"{file.relative_to(ROOT)}:{node.lineno}" for a in node.names if a.name in ENVIRONMENT]
    assert not found, "\n".join(found)


def test_torch_is_imported_only_where_models_live() -> None:
    allowed = (
        ROOT / "protocol/cohort_protocol/learning",
        ROOT / "protocol/cohort_protocol/rehearsal",
        ROOT / "trainer/cohort_trainer",
    )
    found = [
        f"{file.relative_to(ROOT)}:{line} imports {module}"
        for file in all_python_files()
        for line, module in imported_modules(file)
        if within(module, ("torch",)) and not any(file.is_relative_to(folder) for folder in allowed)
    ]
    assert not found, "\n".join(found)


def test_the_worker_uses_models_and_repositories_of_the_backend_and_never_its_endpoints() -> None:
    found = [
        f"{file.relative_to(ROOT)}:{line} imports {module}"
        for file in python_files("cohort_worker")
        for line, module in imported_modules(file)
        if within(module, ("cohort_backend",)) and any(part in ("endpoints", "app") for part in module.split("."))
    ]
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    "module",
    ["cohort_backend.app", "cohort_worker.app", "cohort_worker.witness.commands", "cohort_trainer.cli"],
)
def test_services_start_without_torch(module: str) -> None:
    code = f"import sys, {module}; sys.exit('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, f"importing {module} pulls in torch, or fails:\n{done.stderr[-2000:]}"
