"""A clock that another process drives through a small shared file. Demonstrations only.

The file holds two doubles: `now`, written by the driver, and `horizon`, written by the
service: the driver does not let time pass the horizon until the service has done what was
due then. So an accelerated town cannot run ahead of the service's hourly jobs, and delays
measured in it are not artefacts of acceleration. Any number of other processes may live by
the file; nobody waits for them.
"""

import asyncio
import math
import mmap
import struct
from pathlib import Path

_LAYOUT = struct.Struct("@dd")  # the machine's own order: both ends are on one machine
_POLL_SECONDS = 0.002
# Who sleeps for long looks less often, for each look costs a tenth of a millisecond: at
# 1,000-fold speed a glance every 20 ms is one every 20 s. Who is awaited must not be late even
# where time passes 6,000 times as fast: a whole town would stand still meanwhile.
_FAR_POLL_SECONDS = 0.02
_FAR_SECONDS = 60.0
_FAR_SECONDS_AWAITED = 120.0


class ClockFileError(Exception):
    """The file cannot give the time; whoever named it must name another, or start its driver."""


class ClockFile:
    """The shared sixteen bytes; the driver makes the file, everybody else opens it.

    Raises ClockFileError for a file that is missing or is no clock.
    """

    def __init__(self, path: Path) -> None:
        try:
            with path.open("r+b") as file:
                self._map = mmap.mmap(file.fileno(), 0)
        except (OSError, ValueError) as fault:  # the latter: it is empty
            raise ClockFileError(
                f"{path} cannot be used as a clock ({fault}): start what drives it first"
            ) from fault
        if len(self._map) != _LAYOUT.size:
            self._map.close()
            raise ClockFileError(f"{path} is not a clock: it holds something else")
        # Stores of eight bytes at once. `struct.pack_into` would clear them first, and another
        # process would now and then read the year 1970.
        self._cells = memoryview(self._map).cast("d")
        if not math.isfinite(self.now):
            self.close()
            raise ClockFileError(f"{path} is not a clock: it holds something else")

    @classmethod
    def create(cls, path: Path, now: float) -> "ClockFile":
        path.write_bytes(_LAYOUT.pack(now, math.inf))
        return cls(path)

    @property
    def now(self) -> float:
        return self._cells[0]

    @now.setter
    def now(self, value: float) -> None:
        self._cells[0] = value

    @property
    def horizon(self) -> float:
        return self._cells[1]

    @horizon.setter
    def horizon(self, value: float) -> None:
        self._cells[1] = value

    def close(self) -> None:
        self._cells.release()
        self._map.close()


class DrivenClock:
    """The driven side.

    With `holds_driver` one task may sleep on it (the service's job scheduler), and the driver
    waits for what it does when it wakes. Without, any number of tasks may sleep.
    """

    def __init__(self, file: ClockFile, *, holds_driver: bool = True) -> None:
        self._file = file
        self._holds_driver = holds_driver
        self._has_slept = False

    def now(self) -> float:
        return self._file.now

    async def sleep(self, seconds: float) -> None:
        due = self._file.now + max(0.0, seconds)
        if self._holds_driver:
            self._has_slept = True
            self._file.horizon = due
        while (left := due - self._file.now) > 0:
            if self._holds_driver:
                self._file.horizon = due  # a driver that was started again has forgotten it
            far = _FAR_SECONDS_AWAITED if self._holds_driver else _FAR_SECONDS
            await asyncio.sleep(_FAR_POLL_SECONDS if left > far else _POLL_SECONDS)

    def release(self) -> None:
        """Let the driver go on: nobody will sleep on this clock any more."""
        if self._has_slept:
            self._file.horizon = math.inf
