"""What every test folder shares: a fresh database on each kind of store, and patience."""

import asyncio
import functools
import os
import secrets
import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import psycopg
import pytest
from cryptography.hazmat.primitives import serialization
from hypothesis import HealthCheck, settings
from psycopg import sql
from sqlalchemy.engine import make_url

from bluezone.server.migrations import upgrade
from bluezone.storage.database import Database
from tests.postgres import PostgresServer

# A busy machine is slow, not wrong: no test judges how long something takes.
settings.register_profile("bluezone", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("bluezone")
# Hundreds of tests open the same installation, and each time OpenSSL would prove its keys prime.
serialization.load_pem_private_key = functools.lru_cache(100)(serialization.load_pem_private_key)


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
def postgres_template(postgres_url: str) -> Iterator[str]:
    """Name of a PostgreSQL database with all tables, to copy."""
    name = f"bz_template_{secrets.token_hex(4)}"
    _administer(postgres_url, "CREATE DATABASE {}", name)
    _make_tables(_at(postgres_url, name))
    yield name
    _administer(postgres_url, "DROP DATABASE {} WITH (FORCE)", name)


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Address of an empty database with all tables, once for each kind of store."""
    if request.param == "sqlite":
        path = tmp_path / "service.db"
        shutil.copy(request.getfixturevalue("sqlite_template"), path)
        yield f"sqlite:///{path}"
        return
    server: str = request.getfixturevalue("postgres_url")
    template: str = request.getfixturevalue("postgres_template")
    name = f"bz_test_{secrets.token_hex(4)}"
    _administer(server, "CREATE DATABASE {} TEMPLATE {}", name, template)
    yield _at(server, name)
    _administer(server, "DROP DATABASE {} WITH (FORCE)", name)


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


def _at(server: str, name: str) -> str:
    return make_url(server).set(database=name).render_as_string(hide_password=False)


def _administer(server: str, statement: str, *names: str) -> None:
    address = make_url(server).set(drivername="postgresql")
    text = address.render_as_string(hide_password=False)
    with psycopg.connect(text, autocommit=True) as connection:
        connection.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))
