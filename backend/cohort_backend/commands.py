"""`cohort serve` and `cohort db`: entry points of the group `cohort.commands`."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import structlog
import typer
from cohort_protocol.errors import InvalidInput
from pydantic import ValidationError

from cohort_backend.database import Database
from cohort_backend.errors import CannotListen
from cohort_backend.settings import ApiSettings, StorageSettings

GRACE_SECONDS = 5
"""How long requests may take to end when the process is asked to stop."""

_log = structlog.get_logger(__name__)


class SettingsInvalid(InvalidInput):
    """A setting is missing or malformed. The message names the variables, never their values."""

    code = "settings-invalid"


db = typer.Typer(help="The service's database.", no_args_is_help=True)

DatabaseUrl = Annotated[
    str | None, typer.Option(help="sqlite:////absolute/file.db or postgresql://...; else COHORT_DATABASE_URL.")
]


def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on; else COHORT_HOST, else 127.0.0.1.")] = None,
    port: Annotated[int | None, typer.Option(help="Port; 0 takes a free one. Else COHORT_PORT, else 8000.")] = None,
    port_file: Annotated[Path | None, typer.Option(help="Write the port here once the API listens.")] = None,
    database_url: DatabaseUrl = None,
    chain_url: Annotated[str | None, typer.Option(help="Node of the chain; else COHORT_CHAIN_URL.")] = None,
    ipfs_url: Annotated[str | None, typer.Option(help="IPFS store; else COHORT_IPFS_URL.")] = None,
) -> None:
    """Run the API. It holds no key; settings come from the environment (COHORT_...), see deploy/settings.md.

    In a browser it shows projects, rounds, verdicts and pay; /openapi.json describes the rest.

    Example:

    COHORT_CHAIN_ID=31337 COHORT_MARKET=0x... COHORT_VERIFIER=0x... COHORT_POLICY=0x... cohort serve
    --chain-url http://127.0.0.1:8545 --port 8000
    """
    given = {
        "host": host,
        "port": port,
        "database_url": database_url,
        "chain_url": chain_url,
        "ipfs_url": ipfs_url,
    }
    settings = _settings(ApiSettings, given)
    asyncio.run(_serve(settings, port_file))


@db.command()
def upgrade(database_url: DatabaseUrl = None) -> None:
    """Bring the schema up to date. `cohort serve` and `cohort worker` do it too when they start.

    Example:

    cohort db upgrade --database-url sqlite:////srv/cohort/market.db
    """
    from cohort_backend import migrations

    with _database(database_url) as database:
        migrations.upgrade(database)
    print("the schema is up to date")


@db.command()
def rebuild(database_url: DatabaseUrl = None) -> None:
    """Empty the projection and apply the stored events of the chain again. Work under way is kept.

    Example:

    cohort db rebuild --database-url postgresql+psycopg://cohort@db/cohort
    """
    from cohort_backend import migrations
    from cohort_backend.chain.projection import rebuild as rebuild_projection

    with _database(database_url) as database:
        migrations.upgrade(database)
        with database.write() as session:
            projects = rebuild_projection(session)
    print(f"rebuilt: {len(projects)} projects")


@contextmanager
def _database(url: str | None) -> Iterator[Database]:
    settings = _settings(StorageSettings, {"database_url": url})
    database = Database.open(settings.database_url.get_secret_value())
    try:
        yield database
    finally:
        database.close()


def _settings(kind: type[Any], given: dict[str, Any]) -> Any:
    """Settings from the environment, where the command line does not say otherwise. Raises `SettingsInvalid`."""
    try:
        return kind(**{name: value for name, value in given.items() if value is not None})
    except ValidationError as error:
        problems = [f"COHORT_{str(one['loc'][0]).upper()}: {one['msg']}" for one in error.errors(include_input=False)]
        raise SettingsInvalid("; ".join(problems) + ". See deploy/settings.md") from error


async def _serve(settings: ApiSettings, port_file: Path | None) -> None:
    import uvicorn

    from cohort_backend.app import create_app
    from cohort_backend.connections import OrderlyConnection

    app = create_app(settings)

    class Server(uvicorn.Server):
        """Lets long-polls go when it is asked to stop, so that stopping takes no longer than a request."""

        async def startup(self, sockets: Any = None) -> None:
            self.loop = asyncio.get_running_loop()
            await super().startup(sockets)
            if self.should_exit:
                return
            port = self.servers[0].sockets[0].getsockname()[1]
            if port_file is not None:
                _write_whole(port_file, str(port))
            _log.info("serving", host=settings.host, port=port, market=settings.market, chain_id=settings.chain_id)

        def handle_exit(self, sig: int, frame: Any) -> None:
            self.loop.call_soon_threadsafe(app.state.parts.watch.close)
            super().handle_exit(sig, frame)

    config = uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        http=OrderlyConnection,
        ws="none",  # there are no WebSockets here
        log_config=None,  # the command line has set up logging
        access_log=False,  # ours says less about people and more about time
        server_header=False,
        timeout_keep_alive=75,  # longer than any long-poll, so that clients keep their connections
        timeout_graceful_shutdown=GRACE_SECONDS,
    )
    listening = _listening(settings.host, settings.port)
    try:
        await Server(config).serve(sockets=[listening])
    finally:
        listening.close()


def _listening(host: str, port: int) -> socket.socket:
    """A socket bound to the address; asyncio listens on it. Raises `CannotListen`."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, kind, protocol, _, address = found[0]
        bound = socket.socket(family, kind, protocol)
    except OSError as error:
        raise CannotListen(f"{host} is no address to listen on: {error}") from error
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(address)
    except OSError as error:
        bound.close()
        raise CannotListen(
            f"cannot listen on {host}, port {port}: {error.strerror or error}. Give another --port (0 takes a free "
            "one), or stop what has it"
        ) from error
    return bound


def _write_whole(path: Path, text: str) -> None:
    """Atomically: whoever waits for the file never reads half of it."""
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    fresh.write_text(text)
    fresh.replace(path)
