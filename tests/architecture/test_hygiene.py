"""Rules about the text of the code itself."""

from __future__ import annotations

import ast
import re

from tests.architecture.sources import ROOT, SOURCE_ROOTS, all_python_files, imported_modules, within

PICKLING_MODULES = ("pickle", "cPickle", "_pickle", "dill", "cloudpickle", "joblib", "shelve", "marshal")
EMPTY_NAMES = re.compile(r"(^|/)(utils?|helpers?|common|misc|manager)(\.py)?(/|$)")
TOP_LEVEL = {
    ".ci", ".gitignore", ".gitattributes", "Makefile", "README.md", "LICENSE", "anvil", "backend", "benchmarks",
    "contracts", "deploy", "docs", "protocol", "pyproject.toml", "requirements.lock", "tests", "trainer", "worker",
}  # fmt: skip
MAX_LINES = 700


def _calls(tree: ast.AST) -> list[ast.Call]:
    return [node for node in ast.walk(tree) if isinstance(node, ast.Call)]


def test_nothing_unpickles() -> None:
    """Bytes from a network must never become code: no pickle, no torch.load, no npz with objects, no eval."""
    found = []
    for file in all_python_files():
        name = file.relative_to(ROOT)
        found += [f"{name}:{line} {m}" for line, m in imported_modules(file) if within(m, PICKLING_MODULES)]
        for call in _calls(ast.parse(file.read_text())):
            text = ast.unparse(call.func)
            arguments = {keyword.arg: ast.unparse(keyword.value) for keyword in call.keywords}
            if text in ("torch.load", "eval", "exec", "yaml.load", "pd.read_pickle"):
                found.append(f"{name}:{call.lineno} calls {text}")
            if text in ("np.load", "numpy.load") and arguments.get("allow_pickle") != "False":
                found.append(f"{name}:{call.lineno} calls {text} without allow_pickle=False")
    assert not found, "\n".join(found)


def test_celery_speaks_json_only() -> None:
    text = "".join(file.read_text() for file in all_python_files())
    assert re.search(r"accept_content\s*[=:\"']+\s*:?\s*\[\s*[\"'](application/)?json[\"']\s*\]", text)


def test_names_say_what_is_inside() -> None:
    found = [str(f.relative_to(ROOT)) for f in all_python_files() if EMPTY_NAMES.search(str(f.relative_to(ROOT)))]
    assert not found, found


def test_files_can_be_read_in_one_sitting() -> None:
    found = [
        f"{file.relative_to(ROOT)}: {lines} lines"
        for file in all_python_files()
        if (lines := file.read_text().count("\n")) > MAX_LINES
    ]
    assert not found, found


def test_the_top_level_is_the_one_agreed() -> None:
    import subprocess

    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    found = {line.split("/")[0] for line in listed.splitlines()}
    assert found <= TOP_LEVEL, f"not part of the agreed layout: {sorted(found - TOP_LEVEL)}"
    for package, root in SOURCE_ROOTS.items():
        inside = {path.name for path in root.iterdir() if (path / "__init__.py").exists()}
        assert inside == {package}, f"{root.name}/ must hold exactly one package, {package}: found {inside}"
