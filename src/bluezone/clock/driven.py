"""A clock that another process drives through a small shared file. Demonstrations only.

The file holds two big-endian doubles: `now`, written by the driver, and `horizon`,
written by the driven process: the driver does not let time pass the horizon until the
driven process has done what was due then. So an accelerated town cannot run ahead of
the service's hourly jobs, and delays measured in it are not artefacts of acceleration.
"""

import asyncio
import math
import mmap
import struct
from pathlib import Path

_LAYOUT = struct.Struct(">dd")
_POLL_SECONDS = 0.002


class ClockFile:
    """The shared sixteen bytes; the driver makes the file, the driven process opens it."""

    def __init__(self, path: Path) -> None:
        with path.open("r+b") as file:
            self._map = mmap.mmap(file.fileno(), _LAYOUT.size)

    @classmethod
    def create(cls, path: Path, now: float) -> "ClockFile":
        path.write_bytes(_LAYOUT.pack(now, math.inf))
        return cls(path)

    @property
    def now(self) -> float:
        return float(struct.unpack_from(">d", self._map, 0)[0])

    @now.setter
    def now(self, value: float) -> None:
        struct.pack_into(">d", self._map, 0, value)

    @property
    def horizon(self) -> float:
        return float(struct.unpack_from(">d", self._map, 8)[0])

    @horizon.setter
    def horizon(self, value: float) -> None:
        struct.pack_into(">d", self._map, 8, value)

    def close(self) -> None:
        self._map.close()


class DrivenClock:
    """The driven side. One task sleeps on it (the job scheduler), which sets the horizon."""

    def __init__(self, file: ClockFile) -> None:
        self._file = file

    def now(self) -> float:
        return self._file.now

    async def sleep(self, seconds: float) -> None:
        due = self._file.now + max(0.0, seconds)
        self._file.horizon = due
        while self._file.now < due:  # noqa: ASYNC110 - another process moves the time
            await asyncio.sleep(_POLL_SECONDS)
