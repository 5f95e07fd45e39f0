"""Migrations lead to exactly the tables of the code, on both stores."""

import asyncio

from alembic import command
from sqlalchemy import text

from bluezone.server import migrations, tables
from bluezone.storage.database import Database


async def test_migrations_and_tables_agree(database: Database) -> None:
    async with database.engine.connect() as connection:
        assert await connection.run_sync(migrations.differences) == []


async def test_a_missing_column_would_be_seen(database: Database) -> None:
    async with database.engine.begin() as connection:
        await connection.execute(text("ALTER TABLE staff_accounts DROP COLUMN created_at"))
        found = await connection.run_sync(migrations.differences)
    assert [change[0] for change in found] == ["add_column"]


async def test_processes_that_start_together_take_turns(
    database: Database, database_url: str
) -> None:
    async with database.transaction() as session:
        for table in reversed(tables.metadata.sorted_tables):
            await session.execute(text(f"DROP TABLE {table.name}"))
        await session.execute(text("DROP TABLE alembic_version"))
    others = [Database(database_url) for _ in range(3)]
    await asyncio.gather(*(migrations.upgrade(one) for one in others))
    async with others[0].engine.connect() as connection:
        assert await connection.run_sync(migrations.differences) == []
    for one in others:
        await one.dispose()


async def test_who_administered_the_nation_still_does(database: Database) -> None:
    """Accounts of before the grants: SQLite drops a column by making the table anew, and takes
    along what refers to it."""
    async with database.transaction() as session:
        for table in reversed(tables.metadata.sorted_tables):
            await session.execute(text(f"DROP TABLE {table.name}"))
        await session.execute(text("DROP TABLE alembic_version"))
        connection = await session.connection()
        await connection.run_sync(lambda one: command.upgrade(migrations.config(one), "0003"))
        await session.execute(
            text(
                "INSERT INTO staff_accounts (id, name, password_hash, role, unit, created_at)"
                " VALUES (1, 'quan', 'x', 'admin', '00004', 0), (2, 'lan', 'x', 'health-worker',"
                " '00004', 0), (3, 'minh', 'x', 'health-worker', 'quoc-gia', 0)"
            )
        )
    await migrations.upgrade(database)
    async with database.read() as session:
        accounts = await session.execute(text("SELECT name FROM staff_accounts ORDER BY id"))
        grants = await session.execute(
            text("SELECT account_id, role, unit FROM staff_grants ORDER BY account_id")
        )
        assert [tuple(row) for row in accounts] == [("quan",), ("lan",), ("minh",)]
        assert [tuple(row) for row in grants] == [
            (1, "admin", "vn"),
            (3, "health-worker", "vn"),
        ]
