"""Whether the parts that the API depends on answer, and in whose words not."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Literal

from cohort_protocol.errors import CohortError
from cohort_protocol.service.messages import PartHealth
from sqlalchemy import text

from cohort_backend.migrations import pending
from cohort_backend.parts import ServiceParts

PartName = Literal["database", "chain", "ipfs"]


async def check_parts(parts: ServiceParts) -> list[PartHealth]:
    """Asks every part at once, each for at most `ready_timeout` seconds."""
    checks: dict[PartName, Callable[[ServiceParts], str]] = {"database": _database, "chain": _chain, "ipfs": _ipfs}
    asked = (_ask(name, check, parts) for name, check in checks.items())
    return list(await asyncio.gather(*asked))


async def _ask(name: PartName, check: Callable[[ServiceParts], str], parts: ServiceParts) -> PartHealth:
    try:
        async with asyncio.timeout(parts.settings.ready_timeout):
            return PartHealth(part=name, ready=True, detail=await asyncio.to_thread(check, parts))
    except TimeoutError:
        return PartHealth(part=name, ready=False, detail=f"no answer within {parts.settings.ready_timeout:g} s")
    except CohortError as error:
        return PartHealth(part=name, ready=False, detail=f"{error.code}: {error}"[:500])


def _database(parts: ServiceParts) -> str:
    query = "SELECT sqlite_version()" if parts.database.dialect == "sqlite" else "SHOW server_version"
    with parts.database.read() as session:
        version = session.execute(text(query)).scalar_one()
    if pending(parts.database):
        raise SchemaOutdated("the schema is older than this version: run `cohort db upgrade`")
    return f"{parts.database.dialect} {version}"


def _chain(parts: ServiceParts) -> str:
    parts.client.check()
    return f"{parts.client.version()}, chain {parts.client.chain_id}, block {parts.client.block_number()}"


def _ipfs(parts: ServiceParts) -> str:
    parts.store.put(b"")  # it must take what we publish; always the same content, so nothing grows
    return parts.store.name_and_version()


class SchemaOutdated(CohortError):
    """Migrations have not been run."""

    code = "schema-outdated"
