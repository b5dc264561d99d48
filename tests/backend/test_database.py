"""Transactions, exact integers, and errors of the database: the same on both kinds."""

from __future__ import annotations

import ast
import threading
import time
from pathlib import Path

import pytest
from cohort_backend import models
from cohort_backend.chain.models import ChainReceipt
from cohort_backend.database import Database, DatabaseUnavailable, DatabaseUrlInvalid, ExactInteger, insert_new
from cohort_backend.locks import exclusive
from cohort_backend.projects.models import ProjectVersion, SpecDocument
from cohort_backend.projects.repository import bump_version, version
from cohort_protocol.errors import InvalidInput
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Column, MetaData, Table, select, text
from sqlalchemy.exc import StatementError

from tests.architecture.sources import SOURCE_ROOTS

AMOUNTS = Table("amounts", MetaData(), Column("amount", ExactInteger), prefixes=["TEMPORARY"])


class TestExactIntegers:
    @settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
    @given(st.one_of(st.integers(0, 2**256 - 1), st.sampled_from([0, 2**53, 2**53 + 1, 2**63, 2**64, 2**256 - 1])))
    def test_every_amount_comes_back_as_it_was(self, database: Database, value: int) -> None:
        with database.write() as session:
            connection = session.connection()
            AMOUNTS.create(connection)
            connection.execute(AMOUNTS.insert(), {"amount": value})
            found = connection.scalar(select(AMOUNTS.c.amount))
            AMOUNTS.drop(connection)
        assert found == value
        assert type(found) is int

    @pytest.mark.parametrize("value", [-1, 2**256, 1.0, "1", True])
    def test_anything_else_is_refused(self, database: Database, value: object) -> None:
        with pytest.raises((InvalidInput, StatementError), match="not a whole number"), database.write() as session:
            session.execute(AMOUNTS.insert(), {"amount": value})


class TestTransactions:
    def test_a_block_that_raises_changes_nothing(self, database: Database) -> None:
        with pytest.raises(RuntimeError), database.write() as session:  # noqa: PT012
            insert_new(session, SpecDocument, digest=b"\1" * 32, content=b"{}")
            raise RuntimeError
        with database.read() as session:
            assert session.get(SpecDocument, b"\1" * 32) is None

    def test_a_read_never_commits(self, database: Database) -> None:
        with database.read() as session:
            session.add(SpecDocument(digest=b"\1" * 32, content=b"{}"))
            session.flush()
        with database.read() as session:
            assert session.get(SpecDocument, b"\1" * 32) is None

    def test_an_insert_that_is_there_leaves_the_transaction_alive(self, database: Database) -> None:
        with database.write() as session:
            assert insert_new(session, SpecDocument, digest=b"\1" * 32, content=b"first")
            assert not insert_new(session, SpecDocument, digest=b"\1" * 32, content=b"second")
            assert insert_new(session, SpecDocument, digest=b"\2" * 32, content=b"third")
        with database.read() as session:
            assert session.get_one(SpecDocument, b"\1" * 32).content == b"first"

    def test_writers_queue_and_no_change_is_lost(self, database: Database) -> None:
        """Read, wait, write: without the lock at the start this loses updates or fails half-way."""

        def bump() -> None:
            for _ in range(10):
                with database.write() as session:
                    version(session, 1)  # SQLite would let two in here, and refuse the second when it writes
                    time.sleep(0.001)
                    bump_version(session, 1)

        threads = [threading.Thread(target=bump) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        with database.read() as session:
            assert version(session, 1) == 60

    def test_readers_see_one_moment_while_somebody_writes(self, tmp_path: Path) -> None:
        database = Database.open(f"sqlite:///{tmp_path}/market.db")
        models.Base.metadata.create_all(database.engine)
        with database.write() as session:
            bump_version(session, 1)
        with database.read() as reading:
            before = version(reading, 1)
            with database.write() as session:
                bump_version(session, 1)
            assert version(reading, 1) == before
        database.close()

    def test_rows_stay_readable_after_the_block(self, database: Database) -> None:
        with database.write() as session:
            row = ChainReceipt(transaction_hash=b"\1" * 32, block_number=4, gas_used=21_000)
            session.add(row)
        assert row.gas_used == 21_000


class TestErrors:
    @pytest.mark.parametrize(
        "url", ["mysql://host/name", "sqlite://", "sqlite:///:memory:", "not a url", "", "postgres"]
    )
    def test_urls_that_cannot_be_used(self, url: str) -> None:
        with pytest.raises(DatabaseUrlInvalid, match="sqlite"):
            Database.open(url)

    def test_a_password_is_not_shown(self) -> None:
        with pytest.raises(DatabaseUrlInvalid) as refused:
            Database.open("mysql://me:hunter2@host/name")
        assert "hunter2" not in str(refused.value)

    def test_a_server_that_is_not_there(self) -> None:
        database = Database.open("postgresql://nobody:hunter2@127.0.0.1:1/none")
        with pytest.raises(DatabaseUnavailable) as refused, database.read() as session:
            version(session, 1)
        assert "hunter2" not in str(refused.value)

    def test_a_schema_that_is_not_there(self, empty_url: str) -> None:
        database = Database.open(empty_url)
        with pytest.raises(Exception, match="project_versions"), database.read() as session:
            session.get(ProjectVersion, 1)
        database.close()


def test_a_lock_excludes_threads_and_engines(database: Database) -> None:
    again = Database.open(database.engine.url.render_as_string(hide_password=False))
    inside: list[str] = []

    def hold(name: str, which: Database) -> None:
        with exclusive(which, "the same"):
            inside.append(f"{name} in")
            time.sleep(0.1)
            inside.append(f"{name} out")

    threads = [threading.Thread(target=hold, args=(str(i), one)) for i, one in enumerate((database, database, again))]
    for thread in threads:
        thread.start()
    with exclusive(database, "another"):
        pass
    for thread in threads:
        thread.join(30)
    again.close()
    assert [line.split()[0] for line in inside[::2]] == [line.split()[0] for line in inside[1::2]]
    assert [line.split()[1] for line in inside] == ["in", "out"] * 3


def test_every_column_says_what_it_means() -> None:
    """A string under every mapped column: meaning and unit."""
    columns = 0
    for file in (SOURCE_ROOTS["cohort_backend"] / "cohort_backend").rglob("models.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if not isinstance(node, ast.ClassDef):
                continue
            for index, statement in enumerate(node.body):
                if isinstance(statement, ast.AnnAssign) and "mapped_column" in ast.unparse(statement):
                    columns += 1
                    below = node.body[index + 1] if index + 1 < len(node.body) else None
                    assert isinstance(below, ast.Expr), (
                        f"{file.parent.name}.{node.name}.{ast.unparse(statement.target)}"
                    )
                    assert isinstance(below.value, ast.Constant), ast.unparse(statement)
    assert columns == sum(len(table.columns) for table in models.Base.metadata.tables.values())


def test_the_file_of_a_database_is_its_owners_alone(tmp_path: Path) -> None:
    database = Database.open(f"sqlite:///{tmp_path}/below/market.db")
    with database.write() as session:
        session.execute(text("CREATE TABLE t (x INTEGER)"))
        found = {path.name: path.stat().st_mode & 0o777 for path in (tmp_path / "below").iterdir()}
    database.close()
    assert "market.db-wal" in found
    assert set(found.values()) == {0o600}


@pytest.mark.parametrize("where", ["a" * 300, "file/below"])
def test_a_file_that_cannot_be_a_database_is_named(tmp_path: Path, where: str) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(DatabaseUrlInvalid, match="cannot be opened"):
        Database.open(f"sqlite:///{tmp_path}/{where}")
