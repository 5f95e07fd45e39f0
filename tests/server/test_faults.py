"""Faults of the machine below: a database restarted under load, a disk that is full."""

import asyncio
import os
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest
from sqlalchemy import text

from bluezone.clock import ManualClock
from bluezone.server.app import create_app, open_services
from bluezone.server.config import Settings
from bluezone.server.context import Services
from bluezone.server.migrations import upgrade
from bluezone.storage.database import StorageUnavailable
from bluezone.storage.objects import FolderObjects, ObjectStoreFull
from tests.postgres import PostgresServer
from tests.server.conftest import mount


@pytest.fixture(scope="module")
def restartable() -> Iterator[PostgresServer]:
    server = PostgresServer()
    yield server
    server.remove()


@pytest.fixture
async def on_postgres(
    home: Path, clock: ManualClock, restartable: PostgresServer
) -> AsyncIterator[Services]:
    settings = Settings(home=home, database=restartable.url())
    services = await open_services(settings, clock)
    await upgrade(services.database)
    yield services
    await services.database.dispose()


@pytest.mark.postgres
async def test_postgresql_restarted_under_load(
    on_postgres: Services, restartable: PostgresServer
) -> None:
    """Requests meanwhile are refused, not lost and not hung; afterwards all is as before."""
    transport = httpx.ASGITransport(create_app(on_postgres))
    statuses: Counter[int] = Counter()
    stop = asyncio.Event()

    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:

        async def phone() -> None:
            while not stop.is_set():
                async with asyncio.timeout(20):
                    answer = await client.get("/health/ready")
                statuses[answer.status_code] += 1
                if answer.status_code == 503:
                    assert set(answer.json()["message"]) == {"vi", "en"}
                await asyncio.sleep(0.01)

        load = [asyncio.create_task(phone()) for _ in range(16)]
        for mode in ("fast", "immediate"):
            await asyncio.sleep(0.2)
            await asyncio.to_thread(restartable.stop, mode)
            await asyncio.sleep(0.2)
            await asyncio.to_thread(restartable.start)
        await asyncio.sleep(0.2)
        stop.set()
        await asyncio.gather(*load)
        assert set(statuses) == {200, 503}
        for _ in range(20):
            assert (await client.get("/health/ready")).status_code == 200


@pytest.fixture
async def on_small_disk(
    home: Path, clock: ManualClock, small_disk: Path
) -> AsyncIterator[Services]:
    settings = Settings(home=home, database=f"sqlite:///{small_disk}/service.db")
    services = await open_services(settings, clock)
    await upgrade(services.database)
    yield services
    await services.database.dispose()


async def test_a_full_disk_is_said_and_nothing_is_half_written(
    on_small_disk: Services, small_disk: Path
) -> None:
    database = on_small_disk.database
    async with database.transaction() as session:
        await session.execute(text("CREATE TABLE pairs (half TEXT, filler BLOB)"))
    written = 0

    async def write_until_full(size: int) -> None:
        nonlocal written
        while True:
            async with database.transaction() as session:
                for half in ("left", "right"):
                    await session.execute(
                        text("INSERT INTO pairs VALUES (:half, zeroblob(:size))"),
                        {"half": half, "size": size},
                    )
            written += 1

    for size in (50_000, 1):  # the second leaves no room for even one page
        with pytest.raises(StorageUnavailable, match=r"SQLITE_FULL|SQLITE_IOERR"):
            await write_until_full(size)
    assert written > 1
    async with database.read() as session:
        rows = await session.execute(text("SELECT half, count(*) FROM pairs GROUP BY half"))
        assert {half: count for half, count in rows} == {"left": written, "right": written}
        assert await session.scalar(text("PRAGMA integrity_check")) == "ok"

    transport = httpx.ASGITransport(create_app(on_small_disk))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        answer = await client.post("/v1/staff/session", json={"name": "lan", "password": "x"})
        assert answer.status_code == 503
        assert answer.json()["error"] == "unavailable"
        mount(small_disk, "remount,size=8m")
        answer = await client.post("/v1/staff/session", json={"name": "lan", "password": "x"})
        assert answer.status_code == 401


async def test_a_full_disk_keeps_the_old_object(small_disk: Path) -> None:
    store = FolderObjects(small_disk)
    await store.put("index.json", b"old")
    with pytest.raises(ObjectStoreFull, match="No space left"):
        await store.put("index.json", os.urandom(2 * 1024 * 1024))
    assert await store.get("index.json") == b"old"
    assert os.listdir(small_disk) == ["index.json"]
