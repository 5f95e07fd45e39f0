"""Migrations lead to exactly the tables of the code, on both stores."""

import asyncio

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
