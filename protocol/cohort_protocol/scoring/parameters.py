"""Parameters of policies: frozen dataclasses of bounded integers, read from a spec and hashed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any, TypeVar

from cohort_protocol.canonical import canonical_hash
from cohort_protocol.scoring.errors import PolicyParametersInvalid

Parameters = TypeVar("Parameters")


def read_parameters(kind: type[Parameters], policy: str, params: Mapping[str, Any]) -> Parameters:
    """Builds the dataclass `kind` from a spec. Every field carries metadata `range` = (low, high), inclusive.
    Raises `PolicyParametersInvalid` for an unknown name, another type than int, or a value out of range."""
    if not isinstance(params, Mapping):
        raise PolicyParametersInvalid(
            f"parameters of policy {policy!r} are a {type(params).__name__}, they must be a table of names and numbers"
        )
    known = {field.name: field for field in fields(kind)}
    for name, value in params.items():
        if name not in known:
            raise PolicyParametersInvalid(
                f"policy {policy!r} has no parameter {str(name)[:60]!r}; it has: {', '.join(sorted(known)) or 'none'}"
            )
        low, high = known[name].metadata["range"]
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise PolicyParametersInvalid(
                f"{name} of policy {policy!r} is {str(value)[:60]!r}, it must be a whole number in {low} .. {high}"
            )
    return kind(**params)


def describe(policy: str, parameters: Any) -> dict[str, Any]:
    """{"name", "params"} with every default filled in."""
    return {"name": policy, "params": asdict(parameters)}


def description_hash(description: dict[str, Any]) -> bytes:
    """The policy hash: keccak256 of the canonical JSON of a description."""
    return canonical_hash(description)
