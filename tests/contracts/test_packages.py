"""The npm lock: exact, complete for every platform, and without the address of a registry."""

from __future__ import annotations

import json
import re
from pathlib import Path

CONTRACTS = Path(__file__).resolve().parents[2] / "contracts"


def test_versions_are_exact_and_those_of_the_lock() -> None:
    wanted = json.loads((CONTRACTS / "package.json").read_text())["dependencies"]
    locked = json.loads((CONTRACTS / "package-lock.json").read_text())["packages"]
    for name, version in wanted.items():
        assert re.fullmatch(r"\d+\.\d+\.\d+", version), f"{name} is not pinned to one version"
        assert locked[f"node_modules/{name}"]["version"] == version


def test_every_platform_has_an_entry() -> None:
    """`npm ci` refuses a lock that lacks the optional binaries of another platform."""
    locked = json.loads((CONTRACTS / "package-lock.json").read_text())["packages"]
    optional = {
        name: version for entry in locked.values() for name, version in entry.get("optionalDependencies", {}).items()
    }
    assert len(optional) == 10
    for name, version in optional.items():
        entry = locked[f"node_modules/{name}"]
        assert entry["version"] == version
        assert entry["optional"] is True
        assert entry["os"]
        assert entry["cpu"]


def test_what_this_platform_installs_is_verified() -> None:
    """Every package that is not the binary of one platform has a digest."""
    locked = json.loads((CONTRACTS / "package-lock.json").read_text())["packages"]
    for name, entry in locked.items():
        if name and not entry.get("optional"):
            assert entry["integrity"].startswith("sha512-"), name


def test_no_registry_address() -> None:
    text = (CONTRACTS / "package-lock.json").read_text()
    assert '"resolved"' not in text
    assert "://" not in re.sub(r'"url": "[^"]*"', "", text)
    assert "omit-lockfile-registry-resolved=true" in (CONTRACTS / ".npmrc").read_text()
