"""Solidity structs as dataclasses: from what `codec` decodes, and to what it encodes."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Self

from cohort_protocol.commitments import cid_from_parts, cid_parts, compact_signature


def snake_case(name: str) -> str:
    """`roundBudget` -> `round_budget`."""
    return re.sub(r"(?<=[a-z0-9])([A-Z])", r"_\1", name).lower()


class AbiStruct:
    """A Solidity struct. Members are matched by name, never by position: reordering a struct to pack its storage must
    not swap two amounts here."""

    _convert: ClassVar[dict[str, Callable[[Any], Any]]] = {}
    """Fields whose ABI value is not their Python value (nested structs, enums, lists)."""

    @classmethod
    def from_abi(cls, members: Mapping[str, Any]) -> Self:
        """From the members by Solidity name, as `codec` decodes a struct."""
        values = {snake_case(name): value for name, value in members.items()}
        return cls(**{name: cls._convert.get(name, _as_is)(value) for name, value in values.items()})

    def abi_members(self) -> dict[str, Any]:
        """The members by their names in snake case, as `codec` encodes a struct."""
        return dict(self.__dict__)


def _as_is(value: Any) -> Any:
    return value


def all_of(struct: type[AbiStruct]) -> Callable[[Any], Any]:
    """The converter of a list of structs."""
    return lambda items: tuple(struct.from_abi(item) for item in items)


def cid_from_abi(members: Mapping[str, Any]) -> bytes:
    """The 36 bytes of a CID from Solidity's `Cid`."""
    return cid_from_parts(members["codec"], members["digest"])


class Signed(AbiStruct):
    """A struct whose `signature` (65 bytes) is `r` and `vs` on chain."""

    signature: bytes

    def abi_members(self) -> dict[str, Any]:
        members = dict(self.__dict__)
        r, vs = compact_signature(members.pop("signature"))
        return members | {"r": r, "vs": vs}


class Located(AbiStruct):
    """A struct whose `cid` (36 bytes) is a codec and a digest on chain."""

    _convert: ClassVar = {"cid": cid_from_abi}

    cid: bytes

    def abi_members(self) -> dict[str, Any]:
        codec, digest = cid_parts(self.cid)
        return self.__dict__ | {"cid": {"codec": codec, "digest": digest}}
