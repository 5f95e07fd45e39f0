"""What somebody finds who takes the disk: modes of files, and bytes that should be gone."""

import os
import stat
from pathlib import Path

from sqlalchemy import select

from bluezone.phone.sealing import Sealer
from bluezone.phone.store import Store
from bluezone.server.app import all_jobs
from bluezone.server.diagnosis.pepper import code_pepper
from bluezone.server.diagnosis.tables import Code
from bluezone.server.jobs import Scheduler
from bluezone.storage.database import Database
from tests.phone.conftest import World
from tests.server.diagnosis.installation import Service

DAY = 24 * 3600


def everything_in(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


def stored_in(folder: Path) -> bytes:
    """The database, its log and its index of the log, byte for byte."""
    return b"".join(path.read_bytes() for path in folder.glob("service.db*"))


def others_can_read(folder: Path) -> list[str]:
    return [
        path.name
        for path in folder.rglob("*")
        if path.is_file() and stat.S_IMODE(path.stat().st_mode) & 0o077
    ]


async def work_off(service: Service) -> None:
    """One round of the service's jobs."""
    await Scheduler(service.services, all_jobs(service.services.settings)).run_due()


async def test_service_retention_leaves_no_byte_of_a_key_or_code(service: Service) -> None:
    database = Path(service.services.database.url.database or "").parent
    keys = service.keys()
    await service.report(keys)
    async with service.services.database.read() as session:
        [code] = await session.scalars(select(Code.mac))
    gone = [code, *(one.tek.key for one in keys)]
    assert [one for one in gone if one not in stored_in(database)] == []
    service.clock.advance(40 * DAY)
    await work_off(service)
    assert [one for one in gone if one in stored_in(database)] == []


async def test_which_keys_came_together_is_nowhere_after_the_export(service: Service) -> None:
    database = Path(service.services.database.url.database or "").parent
    await service.report(service.keys())
    chains = {row.chain for row in (await service.stored()).values()}
    (chain,) = (one.to_bytes(8, "big") for one in chains if one is not None)
    assert chain in stored_in(database)
    service.clock.advance(3600)
    await work_off(service)
    assert chain not in stored_in(database)


def test_databases_are_for_their_owner_alone(tmp_path: Path, world: World) -> None:
    """Even in a folder that somebody made before, open to all, under a careless umask."""
    before = os.umask(0o022)
    try:
        home = tmp_path / "made-before"
        home.mkdir(mode=0o755)
        phone = world.phone(home=home)
        world.run(phone.check())
        assert others_can_read(home) == []
        world.run(phone.close())
    finally:
        os.umask(before)


async def test_the_service_database_is_for_its_owner_alone(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        database = Database(f"sqlite:///{tmp_path / 'service.db'}")
        async with database.transaction() as session:
            await session.connection()
        assert others_can_read(tmp_path) == []
        await database.dispose()
        code_pepper(tmp_path)
        assert others_can_read(tmp_path) == []
    finally:
        os.umask(before)


def test_phone_retention_leaves_no_byte_of_a_page(tmp_path: Path, world: World) -> None:
    home = tmp_path / "phone"
    phone = world.phone(home=home)
    sealed = os.urandom(200)
    store = Store(home / "diary.sqlite", Sealer((home / "diary.key").read_bytes()))
    today = int(world.clock.now() // DAY)
    for day in range(20):
        store.execute("INSERT INTO scan (day, sealed) VALUES (?, ?)", (today - day, sealed))
    store.execute("UPDATE scan SET sealed = ? WHERE day > ?", (os.urandom(200), today - 15))
    store.close()
    assert sealed in everything_in(home)
    assert phone.retain() > 0
    assert sealed not in everything_in(home)
    world.run(phone.close())


def test_forget_takes_a_key_that_a_killed_phone_left_in_a_draft(
    tmp_path: Path, world: World
) -> None:
    home = tmp_path / "phone"
    phone = world.phone(home=home)
    key = (home / "diary.key").read_bytes()
    os.link(home / "diary.key", home / ".diary.key.4711")  # killed between link and unlink
    world.run(phone.close())
    phone._home.forget()
    assert key not in everything_in(home)
