"""The only place that reads the system clock: everything else is handed a `Clock`.

A town lives through a week in two minutes on the very code that runs on wall time, so
no module may ask the operating system what time it is (ruff's banned-api keeps it so).
"""

import asyncio
import time
from typing import Protocol


class Clock(Protocol):
    """Unix time in seconds (UTC) and a way to wait for it to pass."""

    def now(self) -> float:
        """Seconds since 1970-01-01T00:00:00Z."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Return once `now()` has advanced by `seconds` (at once when zero or less)."""
        ...


class WallClock:
    """The operating system's time."""

    def now(self) -> float:
        return time.time()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(max(0.0, seconds))


class LoopClock:
    """Time of the running event loop, counted from an epoch.

    On a loop whose own time is virtual (see `bluezone.town`), everything that sleeps on
    this clock, and every timer of the libraries beneath, moves together.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, epoch: float) -> None:
        self._loop = loop
        self._origin = epoch - loop.time()

    def now(self) -> float:
        return self._origin + self._loop.time()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(max(0.0, seconds))


class ManualClock:
    """A clock that stands still until it is moved; sleeping moves it. For tests and tools."""

    def __init__(self, now: float) -> None:
        self._now = now

    def now(self) -> float:
        return self._now

    def advance(self, seconds: float) -> None:
        self._now += seconds

    def set(self, now: float) -> None:
        self._now = now

    async def sleep(self, seconds: float) -> None:
        self._now += max(0.0, seconds)
        await asyncio.sleep(0)
