"""Uploads and exports while the database restarts, and while the disk is full."""

import asyncio
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from bluezone.server.diagnosis.publication import export_keys
from bluezone.storage.database import StorageUnavailable
from bluezone.storage.objects import ObjectStoreFull
from tests.postgres import PostgresServer
from tests.server.conftest import mount
from tests.server.diagnosis.installation import Service, running


@pytest.fixture(scope="module")
def durable() -> Iterator[PostgresServer]:
    """What it has committed survives its crash (though not that of the machine)."""
    server = PostgresServer("-c fsync=off")
    yield server
    server.remove()


@pytest.mark.postgres
async def test_postgresql_restarted_under_uploads(
    tmp_path: Path, role_home: Path, password_hash: str, durable: PostgresServer
) -> None:
    """Each phone asks again with the same code and the same body until it is answered 200."""
    statuses: Counter[int] = Counter()

    async def phone(service: Service, code: str, start: float) -> set[bytes]:
        report = service.prepare(service.keys(days=3))
        await asyncio.sleep(start)
        while (status := (await service.ask(report, code)).status_code) != 200:
            statuses[status] += 1
            await asyncio.sleep(0.02)
        upload = service.upload(report)
        while (status := (await service.send(upload)).status_code) != 200:
            statuses[status] += 1
            await asyncio.sleep(0.02)
        return {one.tek.key for one in report.keys}

    async with running(tmp_path, role_home, durable.url(), password_hash) as service:
        codes = iter([await service.code() for _ in range(48)])
        sent: set[bytes] = set()
        for mode in ("fast", "immediate"):
            async with asyncio.timeout(60):
                phones = [
                    asyncio.create_task(phone(service, next(codes), number * 0.02))
                    for number in range(24)
                ]
                await asyncio.wait(phones, return_when=asyncio.FIRST_COMPLETED)
                await asyncio.to_thread(durable.stop, mode)
                await asyncio.to_thread(durable.start)
                sent = sent.union(*await asyncio.gather(*phones))
            assert set(await service.stored()) == sent, "what was answered 200 is there, whole"
    assert set(statuses) == {503}, "the restart was felt, and as nothing worse"


async def test_a_full_disk_loses_no_upload_and_no_export(
    small_disk: Path, role_home: Path, password_hash: str
) -> None:
    mount(small_disk, "remount,size=8m")
    database = f"sqlite:///{small_disk}/service.db"
    async with running(small_disk, role_home, database, password_hash) as service:
        early = await service.report(service.keys(days=2))
        late = service.prepare(service.keys(days=2))
        await service.ask(late, await service.code())
        await service.run(export_keys)
        index = await service.services.objects.get("index.json")
        service.clock.advance(3600)
        lease = service.lease("job:test")
        assert await lease.acquire()
        await service.services.database.forget_deleted()

        _fill(small_disk / "filler")
        refused = await service.send(service.upload(late))
        assert (refused.status_code, refused.json()["error"]) == (503, "unavailable")
        with pytest.raises((StorageUnavailable, ObjectStoreFull)):
            await export_keys(service.services, lease)
        assert await service.services.objects.get("index.json") == index
        assert set(await service.stored()) == {one.tek.key for one in early.keys}

        (small_disk / "filler").unlink()
        await lease.release()
        assert (await service.send(service.upload(late))).status_code == 200
        await service.run(export_keys)
        service.clock.advance(3600)
        await service.run(export_keys)
        counted = Counter(one.tek.key for file in await service.published() for one in file)
        assert set(counted.values()) == {1}
        assert {one.tek.key for one in early.keys[:-1] + late.keys[:-1]} <= set(counted)


def _fill(path: Path) -> None:
    """Write until nothing more fits."""
    with path.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(4096))
