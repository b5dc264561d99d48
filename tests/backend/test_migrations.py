"""The migrations make the schema that the models describe, on both databases."""

from __future__ import annotations

import multiprocessing
from typing import Any

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from cohort_backend import models
from cohort_backend.database import Base, Database
from cohort_backend.migrations import pending, upgrade
from sqlalchemy import Engine, inspect, text

INDEXES = {
    "sqlite": "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL",
    "postgresql": "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public' "
    "AND tablename <> 'alembic_version'",
}


def test_models_and_migrations_agree(empty_url: str) -> None:
    database = Database.open(empty_url)
    assert pending(database)
    upgrade(database)
    assert not pending(database)
    with database.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, Base.metadata) == []
    database.close()


def test_the_migrated_schema_is_the_created_one_to_the_letter(empty_url: str) -> None:
    """Autogenerate overlooks the conditions of partial indexes and checks: compare the databases' own words."""
    database = Database.open(empty_url)
    upgrade(database)
    migrated = _described(database.engine)
    with database.engine.begin() as connection:
        for table in reversed(Base.metadata.sorted_tables):
            connection.execute(text(f"DROP TABLE {table.name}"))
    Base.metadata.create_all(database.engine)
    assert _described(database.engine) == migrated
    database.close()


def test_every_model_is_listed_as_projection_record_or_work_state() -> None:
    listed = models.PROJECTION + models.CHAIN_RECORD + models.WORK_STATE
    assert {model.__tablename__ for model in listed} == set(Base.metadata.tables)
    assert len(listed) == len(set(listed))


def test_processes_that_start_together_migrate_once(empty_url: str) -> None:
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=_upgrade, args=(empty_url,)) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0, 0]


def _upgrade(url: str) -> None:
    upgrade(Database.open(url))


def _described(engine: Engine) -> dict[str, Any]:
    inspector = inspect(engine)
    tables = set(inspector.get_table_names()) - {"alembic_version"}
    described: dict[str, Any] = {}
    for table in tables:
        described[table] = {
            "columns": {
                c["name"]: (str(c["type"]), c["nullable"], str(c["default"])) for c in inspector.get_columns(table)
            },
            "key": inspector.get_pk_constraint(table),
            "foreign": sorted(map(str, inspector.get_foreign_keys(table))),
            "unique": sorted(map(str, inspector.get_unique_constraints(table))),
            "checks": sorted(map(str, inspector.get_check_constraints(table))),
        }
    with engine.connect() as connection:
        statement = INDEXES[engine.dialect.name]
        described["indexes"] = {name: " ".join(sql.split()) for name, sql in connection.execute(text(statement))}
    return described
