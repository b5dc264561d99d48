"""Canonical JSON: one byte string per value, so that hashes and CIDs agree everywhere.

Follows RFC 8785 (JCS) for the values we allow: objects with string keys, arrays, strings, booleans, null, integers
within +-(2^53 - 1) and finite floats. Larger integers must travel as decimal strings.
"""

from __future__ import annotations

import json
import math
from typing import Any

from eth_utils import keccak

from cohort_protocol.errors import InvalidInput

MAX_SAFE_INTEGER = 2**53 - 1
MAX_DEPTH = 32


def canonical_json(value: Any) -> bytes:
    """UTF-8 bytes with sorted keys and no white space. Raises `InvalidInput` on values outside the allowed set."""
    _check(value, 0)
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def parse_json(data: bytes, max_bytes: int) -> Any:
    """Parses bounded JSON from an untrusted source; duplicate keys, NaN and unsafe integers are refused.

    Raises `InvalidInput`.
    """
    if len(data) > max_bytes:
        raise InvalidInput(f"JSON of {len(data)} bytes, at most {max_bytes} are allowed")
    try:
        value = json.loads(data.decode(), object_pairs_hook=_unique, parse_constant=_refuse_constant)
    except (UnicodeDecodeError, RecursionError) as error:
        raise InvalidInput(f"not JSON: {error}") from error
    except ValueError as error:
        raise InvalidInput(f"not JSON: {error}") from error
    _check(value, 0)
    return value


def canonical_hash(value: Any) -> bytes:
    """keccak256 of the canonical JSON."""
    return keccak(canonical_json(value))


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise InvalidInput("JSON object with a repeated key")
    return result


def _refuse_constant(name: str) -> None:
    raise InvalidInput(f"{name} is not JSON")


def _check(value: Any, depth: int) -> None:
    if depth > MAX_DEPTH:
        raise InvalidInput(f"JSON nested deeper than {MAX_DEPTH}")
    if value is None or isinstance(value, bool):
        return
    if isinstance(value, str):
        _check_text(value)
    elif isinstance(value, int):
        if abs(value) > MAX_SAFE_INTEGER:
            raise InvalidInput(f"integer {value} outside +-(2^53 - 1): write it as a decimal string")
    elif isinstance(value, float):
        if not math.isfinite(value):
            raise InvalidInput(f"{value} is not JSON")
    elif isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str):
                raise InvalidInput(f"JSON key {key!r} is not a string")
            _check_text(key)
            _check(item, depth + 1)
    elif isinstance(value, list | tuple):
        for item in value:
            _check(item, depth + 1)
    else:
        raise InvalidInput(f"{type(value).__name__} is not JSON")


def _check_text(text: str) -> None:
    """JSON can name half of a surrogate pair (`\\ud800`), which no UTF-8 has a form for."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise InvalidInput(f"{text[:40]!a} is not Unicode text: {error.reason}") from error
