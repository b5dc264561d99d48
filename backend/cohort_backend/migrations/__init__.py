"""Alembic migrations, run by the programs themselves at start: no separate step to forget."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from cohort_backend.database import Database, mapped_errors
from cohort_backend.locks import exclusive

CONNECTION = "cohort_connection"


def upgrade(database: Database) -> None:
    """Brings the schema to this version. Processes that start together take turns; the second finds nothing to do."""
    if not pending(database):
        return
    with exclusive(database, "migrations"), mapped_errors(), database.writer.begin() as connection:
        config = _config()
        config.attributes[CONNECTION] = connection
        command.upgrade(config, "head")


def pending(database: Database) -> bool:
    """Whether the schema is older than this version."""
    head = ScriptDirectory.from_config(_config()).get_current_head()
    with mapped_errors(), database.engine.connect() as connection:
        return MigrationContext.configure(connection).get_current_revision() != head


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    return config
