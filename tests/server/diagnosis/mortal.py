"""A program for test_death.py: export processes that SIGKILL themselves, each one step later.

`python -m tests.server.diagnosis.mortal HOME DATABASE_URL NOW` prints how many died.
"""

import asyncio
import itertools
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

from bluezone.clock import ManualClock
from bluezone.protocol.intervals import interval_number
from bluezone.protocol.keys import DiagnosisKey, TemporaryExposureKey
from bluezone.server.app import open_services
from bluezone.server.config import Settings
from bluezone.server.context import Services
from bluezone.server.diagnosis.intake import Intake, key_rows, new_chain
from bluezone.server.diagnosis.publication import export_keys
from bluezone.storage.lease import Lease
from tests.server.diagnosis.fuse import Fuse, with_fuse


def main(home: str, database: str, now: int) -> None:
    settings = Settings(home=Path(home), database=database, export_minimum_keys=50)
    clock = ManualClock(now)
    # Opened once, connected to the database by each child for itself.
    services = asyncio.run(open_services(settings, clock))
    for steps in itertools.count(1):
        assert _in_child(services, _report) == 0
        clock.advance(3600)
        status = _in_child(services, lambda parts, at=steps: _export(_mortal(parts, at)))
        if not os.WIFSIGNALED(status):
            break
        assert os.WTERMSIG(status) == signal.SIGKILL
        clock.advance(300)  # the dead process's lease has run out
        assert _in_child(services, _export) == 0
        clock.advance(-300)
    print(steps - 1)


def _mortal(services: Services, steps: int) -> Services:
    return with_fuse(services, Fuse(steps, lambda: os.kill(os.getpid(), signal.SIGKILL)))


async def _report(services: Services) -> None:
    yesterday = interval_number(services.now) // 144 - 1
    keys = [
        DiagnosisKey(TemporaryExposureKey(os.urandom(16), (yesterday - age) * 144))
        for age in range(3)
    ]
    await Intake(services.database).store(key_rows(keys, services.now, 3600, new_chain()))


async def _export(services: Services) -> None:
    lease = Lease(services.database, services.clock, "job:export")
    assert await lease.acquire()
    await export_keys(services, lease)
    await lease.release()


def _in_child(services: Services, work: Callable[[Services], Awaitable[None]]) -> int:
    """Run `work` in a process of its own; returns its wait status."""

    async def run() -> None:
        await work(services)
        await services.database.dispose()

    child = os.fork()
    if child == 0:
        try:
            asyncio.run(run())
        except BaseException as error:
            print(repr(error), file=sys.stderr)
            os._exit(1)
        os._exit(0)
    return os.waitpid(child, 0)[1]


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
