"""Write a new revision from what the tables in the code have and the migrations have not.

`python -m bluezone.server.migrations "what the change is for"`
"""

import asyncio
import sys
import tempfile
from pathlib import Path

from alembic import command

from bluezone.server.migrations import config, upgrade
from bluezone.storage.database import Database


async def main(message: str) -> None:
    number = f"{len(list(Path(__file__).with_name('versions').glob('*.py'))) + 1:04}"
    with tempfile.TemporaryDirectory() as folder:
        database = Database(f"sqlite:///{folder}/empty.db")
        await upgrade(database)
        async with database.engine.begin() as connection:
            await connection.run_sync(
                lambda connection: command.revision(
                    config(connection), message, autogenerate=True, rev_id=number
                )
            )
        await database.dispose()


asyncio.run(main(" ".join(sys.argv[1:])))
