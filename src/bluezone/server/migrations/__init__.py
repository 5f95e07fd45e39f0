"""Changes of the database's tables, in order; brought up to date when the service starts."""

from pathlib import Path
from typing import Any, Final

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, text

from bluezone.server import tables
from bluezone.storage.database import Database

_HERE: Final = Path(__file__).parent
_LOCK: Final = 0x424C5545  # any number, the same in all processes


async def upgrade(database: Database) -> None:
    """Bring the tables to the newest revision; processes that start together take turns.

    Raises StorageUnavailable.
    """
    async with database.transaction() as session:
        if not database.is_sqlite:  # there BEGIN IMMEDIATE is the turn
            # Whoever waits here waits for all the changes of the one before.
            await session.execute(text("SET LOCAL lock_timeout = '5min'"))
            await session.execute(text("SET LOCAL statement_timeout = '5min'"))
            await session.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
        connection = await session.connection()
        await connection.run_sync(lambda connection: command.upgrade(config(connection), "head"))


def config(connection: Connection | None = None) -> Config:
    """Alembic's settings, for `upgrade` and for making a new revision."""
    settings = Config()
    settings.set_main_option("script_location", str(_HERE))
    settings.set_main_option("file_template", "%%(rev)s_%%(slug)s")
    settings.attributes["connection"] = connection
    return settings


def options() -> dict[str, Any]:
    """How tables and database are compared, here and in the test that finds them equal."""
    return {
        "target_metadata": tables.metadata,
        "render_as_batch": True,  # SQLite changes a table by copying it
        "compare_server_default": True,
    }


def differences(connection: Connection) -> list[Any]:
    """What the tables in the code have that the database has not, and the other way round."""
    context = MigrationContext.configure(connection, opts=options())
    return list(compare_metadata(context, tables.metadata))
