"""What every test folder shares: a fresh database on each kind of store, and patience."""

import asyncio
import functools
import os
import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from argon2 import PasswordHasher
from cryptography.hazmat.primitives import serialization
from hypothesis import HealthCheck, settings

from bluezone.server import tables
from bluezone.server.migrations import upgrade
from bluezone.server.people import passwords
from bluezone.storage.database import Database
from tests.postgres import PostgresDatabases, PostgresServer

# A busy machine is slow, not wrong: no test judges how long something takes.
settings.register_profile("bluezone", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("bluezone")
# Hundreds of tests open the same installation, and each time OpenSSL would prove its keys prime.
serialization.load_pem_private_key = functools.lru_cache(100)(serialization.load_pem_private_key)
# What makes a password's hash slow on purpose is tested once (people/test_sign_in.py).
SHIPPED_HASHER = passwords._HASHER
passwords._HASHER = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)

# Two workers share the files, and the last of them should be a short one: these take the longest.
LONGEST = (
    "tests/browser/test_app_pages.py",
    "tests/browser/test_app.py",
    "tests/server/test_isolation.py",
    "tests/test_two_phones.py",
    "tests/town/test_town.py",
    "tests/server/test_portal_browser.py",
    "tests/server/contacts/test_ranks.py",
    "tests/commands/test_demo.py",
    "tests/server/situation/test_browser.py",
    "tests/browser/test_town.py",
    "tests/browser/test_app_flows.py",
    "tests/server/diagnosis/test_death.py",
    "tests/server/test_staff_pages_browser.py",
    "tests/server/rotation/test_rotation.py",
    "tests/server/people/test_accounts_browser.py",
    "tests/server/contacts/test_browser.py",
    "tests/server/holdings/test_retention.py",
    "tests/server/cases/test_pages_browser.py",
    "tests/server/cases/test_import.py",
    "tests/server/register/test_files.py",
    "tests/test_house.py",
)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """The longest files come first, where workers share them."""
    if hasattr(config, "workerinput"):
        turns = {name: turn for turn, name in enumerate(LONGEST)}
        items.sort(key=lambda item: turns.get(item.nodeid.partition("::")[0], len(turns)))


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """Address of a PostgreSQL server: `$DATABASE_URL`, or one started for this run."""
    given = os.environ.get("DATABASE_URL")
    if given:
        yield given
        return
    server = PostgresServer()
    yield server.url()
    server.remove()


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite file with all tables, to copy."""
    path = tmp_path_factory.mktemp("template") / "service.db"
    _make_tables(f"sqlite:///{path}")
    return path


@pytest.fixture(scope="session")
def postgres_databases(postgres_url: str) -> Iterator[PostgresDatabases]:
    """Where a test gets a PostgreSQL database with all tables."""
    in_order = [table.name for table in reversed(tables.metadata.sorted_tables)]
    databases = PostgresDatabases(postgres_url, in_order, _make_tables)
    yield databases
    databases.remove()


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Address of an empty database with all tables, once for each kind of store."""
    if request.param == "sqlite":
        path = tmp_path / "service.db"
        shutil.copy(request.getfixturevalue("sqlite_template"), path)
        yield f"sqlite:///{path}"
        return
    databases: PostgresDatabases = request.getfixturevalue("postgres_databases")
    yield from databases.lend()


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """An open `Database` on `database_url`."""
    opened = Database(database_url)
    yield opened
    await opened.dispose()


def _make_tables(url: str) -> None:
    async def make() -> None:
        database = Database(url)
        await upgrade(database)
        await database.dispose()

    asyncio.run(make())
