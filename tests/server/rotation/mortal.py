"""A program for test_rotation.py: rotations that SIGKILL themselves, each at another step.

`python -m tests.server.rotation.mortal HOME DATABASE_URL NOW AT_ONCE STEP...` prints, after each
death, how many rows of each key had been done.
"""

import asyncio
import os
import signal
import sys
from pathlib import Path

from sqlalchemy import select

from bluezone.clock import ManualClock
from bluezone.server.app import open_services
from bluezone.server.config import Settings
from bluezone.server.context import Services
from bluezone.server.rotation import service
from bluezone.server.rotation.tables import KeyRotation
from bluezone.storage.lease import Lease
from tests.server.diagnosis.fuse import Fuse, with_fuse


def main(home: str, database: str, now: int, at_once: int, steps: list[int]) -> None:
    service._AT_ONCE = at_once
    clock = ManualClock(now)
    # Opened once, connected to the database by each child for itself.
    services = asyncio.run(open_services(Settings(home=Path(home), database=database), clock))
    for step in steps:
        child = os.fork()
        if child == 0:
            asyncio.run(_carry_on(services, step))
            os._exit(0)
        assert os.waitpid(child, 0)[1] == signal.SIGKILL
        clock.advance(300)  # the dead process's lease has run out
    child = os.fork()
    if child == 0:
        asyncio.run(_print(services))
        os._exit(0)
    os.waitpid(child, 0)


async def _carry_on(services: Services, step: int) -> None:
    lease = Lease(services.database, services.clock, "job:key-rotation")
    assert await lease.acquire()
    fuse = Fuse(step, lambda: os.kill(os.getpid(), signal.SIGKILL))
    await service.carry_on(with_fuse(services, fuse), lease)


async def _print(services: Services) -> None:
    async with services.database.read() as session:
        for row in await session.scalars(select(KeyRotation).order_by(KeyRotation.name)):
            print(row.name, row.done, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:3], *map(int, sys.argv[3:5]), list(map(int, sys.argv[5:])))
