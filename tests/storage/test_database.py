"""The store keeps its promises on SQLite and on PostgreSQL alike."""

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.exc import DBAPIError, IntegrityError

from bluezone.server.jobs import JobRun
from bluezone.storage.database import (
    Database,
    DatabaseUrlError,
    StorageUnavailable,
    ValueImpossible,
    upsert,
)


async def _count(database: Database) -> int:
    async with database.read() as session:
        return await session.scalar(select(func.count()).select_from(JobRun)) or 0


async def test_a_transaction_commits_on_leaving(database: Database) -> None:
    async with database.transaction() as session:
        session.add(JobRun(name="export", started_at=2**40))
    async with database.read() as session:
        assert await session.scalar(select(JobRun.started_at)) == 2**40


async def test_an_exception_rolls_everything_back(database: Database) -> None:
    async def fail() -> None:
        async with database.transaction() as session:
            session.add(JobRun(name="export", started_at=1))
            await session.flush()
            raise RuntimeError

    with pytest.raises(RuntimeError):
        await fail()
    assert await _count(database) == 0


async def test_a_read_cannot_write(database: Database) -> None:
    if database.is_sqlite:
        pytest.skip("SQLite's BEGIN does not know read-only")
    insert = text("INSERT INTO job_runs (name, started_at) VALUES ('export', 1)")
    with pytest.raises(DBAPIError, match="read-only"):
        async with database.read() as session:
            await session.execute(insert)


async def test_a_read_sees_one_snapshot(database: Database) -> None:
    async with database.read() as session:
        before = await session.scalar(select(func.count()).select_from(JobRun))
        async with database.transaction() as writer:
            writer.add(JobRun(name="export", started_at=1))
        after = await session.scalar(select(func.count()).select_from(JobRun))
    assert (before, after) == (0, 0)
    assert await _count(database) == 1


async def test_writers_at_the_same_time_all_get_their_turn(database: Database) -> None:
    async def add(number: int) -> None:
        async with database.transaction() as session:
            session.add(JobRun(name=f"job {number}", started_at=number))

    await asyncio.gather(*(add(number) for number in range(40)))
    assert await _count(database) == 40


async def test_two_processes_increment_without_losing_one(
    database: Database, database_url: str
) -> None:
    other = Database(database_url)

    async def increment(one: Database) -> None:
        async with one.transaction() as session:
            statement = upsert(session, JobRun).values(name="n", started_at=1)
            await session.execute(
                statement.on_conflict_do_update(
                    index_elements=[JobRun.name], set_={"started_at": JobRun.started_at + 1}
                )
            )

    await asyncio.gather(*(increment(one) for one in (database, other) for _ in range(20)))
    async with database.read() as session:
        assert await session.scalar(select(JobRun.started_at)) == 40
    await other.dispose()


async def test_a_foreign_key_is_checked(database: Database) -> None:
    """On PostgreSQL somebody may have deleted it just now: trying again tells."""
    with pytest.raises(IntegrityError if database.is_sqlite else StorageUnavailable):
        async with database.transaction() as session:
            await session.execute(
                text(
                    "INSERT INTO staff_sessions (token_hash, account_id, expires_at)"
                    " VALUES ('x', 77, 1)"
                )
            )


async def test_a_database_that_is_not_there_is_unavailable(tmp_path: Path) -> None:
    for url in (
        f"postgresql://postgres@/nobody?host={tmp_path}",
        f"sqlite:///{tmp_path}/no/such/folder.db",
    ):
        database = Database(url)
        with pytest.raises(StorageUnavailable):
            async with database.read() as session:
                await session.execute(text("SELECT 1"))
        await database.dispose()


async def test_a_file_that_is_no_database_is_unavailable_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "service.db"
    path.write_bytes(b"something else entirely " * 100)
    database = Database(f"sqlite:///{path}")
    with pytest.raises(StorageUnavailable, match="SQLITE_NOTADB"):
        async with database.read() as session:
            await session.execute(text("SELECT 1"))
    await database.dispose()
    assert path.read_bytes().startswith(b"something else")


@pytest.mark.parametrize("url", ["", "nonsense", "mysql://host/name", "sqlite://", "sqlite:///"])
def test_other_addresses_are_refused(url: str) -> None:
    with pytest.raises(DatabaseUrlError, match=r"SQLite URL needs a file|looks like"):
        Database(url)


async def test_another_connection_leaves_the_locks_of_the_first(tmp_path: Path) -> None:
    """A process that closes a file of a live SQLite database would lose all its locks on it."""
    path = tmp_path / "service.db"
    leave_wal = (
        f"import sqlite3; db = sqlite3.connect({str(path)!r}, timeout=0); "
        "db.execute('PRAGMA journal_mode=DELETE')"
    )
    database = Database(f"sqlite:///{path}")
    async with database.read() as first, database.read() as second:
        for session in (first, second):
            await session.execute(text("SELECT count(*) FROM sqlite_master"))
        other = await asyncio.to_thread(
            subprocess.run,
            [sys.executable, "-c", leave_wal],
            capture_output=True,
            text=True,
            check=False,
        )
    await database.dispose()
    assert "database is locked" in other.stderr


async def test_an_error_names_no_value(database: Database) -> None:
    with pytest.raises(DBAPIError) as caught:
        async with database.transaction() as session:
            await session.execute(
                text("INSERT INTO job_runs (name, started_at) VALUES (:name, NULL)"),
                {"name": "very-secret-value"},
            )
    assert "very-secret-value" not in str(caught.value).split("DETAIL")[0]


@pytest.mark.parametrize("number", [2**63, -(2**63) - 1, 10**30])
async def test_a_number_that_no_column_takes_is_told_from_a_fault(
    database: Database, number: int
) -> None:
    """An address with twenty digits is a mistake of whoever typed it, and none of ours."""
    with pytest.raises(ValueImpossible):
        async with database.transaction() as session:
            await session.scalar(select(JobRun.name).where(JobRun.started_at == number))


async def test_who_writes_what_somebody_else_has_just_written_may_try_again(
    database: Database,
) -> None:
    """Two requests that look before they write: for the slower one it is no fault of ours."""

    async def write() -> None:
        async with database.transaction() as session:
            if await session.get(JobRun, "same") is None:
                await asyncio.sleep(0.2)
                session.add(JobRun(name="same", started_at=1))

    answers = await asyncio.gather(write(), write(), return_exceptions=True)
    assert {type(one) for one in answers} <= {type(None), StorageUnavailable}
    assert await _count(database) == 1
