"""Virtual time: an event loop that jumps to the next timer instead of waiting for it.

Everything that sleeps on the loop moves together: phones, radios, the people's steps and
the timers of libraries. Time stands still while a request to the service is being answered,
and while the service still has work due, so a delay measured here is never an artefact
of the acceleration.
"""

import asyncio
import selectors
from collections.abc import AsyncIterator, Callable

import httpx

from bluezone.clock import WallClock
from bluezone.clock.driven import ClockFile

_SHORTEST_WAIT = 0.0005  # real seconds: how often the service's horizon is looked at
_LONGEST_WAIT = 0.05  # real seconds: how soon a change of speed is felt
_PATIENCE = 60.0  # real seconds the service may take over one answer or one hour's jobs


class StalledError(Exception):
    """Virtual time cannot go on, because the service does not answer. The service's fault."""


class Pace:
    """How fast virtual time may pass: `speed` virtual seconds per real second, None for no limit.

    May be changed by another thread at any moment.
    """

    def __init__(self, speed: float | None = None) -> None:
        self.speed = speed
        self.paused = False


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """An event loop whose `time()` starts at 0 and passes as fast as there is nothing to do.

    `drive` ties a `ClockFile` to it: its `now` follows `epoch` + `time()`, and time does not
    pass its `horizon`.
    """

    def __init__(self, pace: Pace | None = None) -> None:
        self._virtual = 0.0
        super().__init__(_Timekeeper(self, pace or Pace()))
        self.requests_in_flight = 0
        self.requests_made = 0
        self._file: ClockFile | None = None
        self._epoch = 0.0

    def time(self) -> float:
        return self._virtual

    def drive(self, file: ClockFile, epoch: float) -> None:
        """From now on keep `file` at `epoch` + `time()` and respect its horizon."""
        self._file, self._epoch = file, epoch

    def release(self) -> None:
        """Stop driving: the service has gone, time passes freely."""
        self._file = None

    def _limit(self, target: float) -> float:
        """The latest loop time up to `target` that the service is ready for."""
        if self._file is None:
            return target
        return min(target, max(self._virtual, self._file.horizon - self._epoch))

    def _advance(self, target: float) -> None:
        self._virtual = target
        if self._file is not None:
            self._file.now = self._epoch + target


class _Timekeeper(selectors.DefaultSelector):
    """Where the loop would wait for a timer, moves its time there instead."""

    def __init__(self, loop: VirtualTimeLoop, pace: Pace) -> None:
        super().__init__()
        self._loop = loop
        self._pace = pace
        self._wall = WallClock()
        self._anchor = (self._wall.now(), 0.0, pace.speed)  # real, virtual, speed
        self._stalled_since: float | None = None

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        loop = self._loop
        if timeout is None and not loop.requests_in_flight:
            return super().select(None)
        ready = super().select(0)
        if ready or (timeout is not None and timeout <= 0):
            return ready
        if timeout is None or loop.requests_in_flight:
            self._be_patient("a request")
            return super().select(_LONGEST_WAIT)
        target = loop._limit(loop.time() + timeout)
        if target <= loop.time():
            self._be_patient("the work due at this hour")
            return super().select(_SHORTEST_WAIT)
        self._stalled_since = None
        wait = self._real_seconds_until(target)
        if wait > 0:
            return super().select(min(wait, _LONGEST_WAIT))
        loop._advance(target)
        return ready

    def _be_patient(self, what: str) -> None:
        now = self._wall.now()
        if self._stalled_since is None:
            self._stalled_since = now
        elif now - self._stalled_since > _PATIENCE:
            raise StalledError(f"the service has not finished {what} for {_PATIENCE:.0f} s")

    def _real_seconds_until(self, target: float) -> float:
        """How long to wait before virtual time may be `target`."""
        pace = self._pace
        if pace.paused:
            self._anchor = (self._wall.now(), self._loop.time(), pace.speed)
            return _LONGEST_WAIT
        if pace.speed is None:
            return 0.0
        now = self._wall.now()
        real, virtual, speed = self._anchor
        behind = virtual + (now - real) * pace.speed - target
        # A new speed counts from now; and after a stretch of hard work time does not race
        # to catch up with the wall.
        if speed != pace.speed or behind > pace.speed * 2 * _LONGEST_WAIT:
            self._anchor = (now, self._loop.time(), pace.speed)
            behind = self._loop.time() - target
        return max(0.0, -behind / pace.speed)


class InFlight(httpx.AsyncBaseTransport):
    """A transport that holds virtual time still from a request until its answer has been read."""

    def __init__(self, loop: VirtualTimeLoop, inner: httpx.AsyncBaseTransport) -> None:
        self._loop = loop
        self._inner = inner

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self._loop.requests_in_flight += 1
        self._loop.requests_made += 1
        try:
            response = await self._inner.handle_async_request(request)
        except BaseException:
            self._loop.requests_in_flight -= 1
            raise
        assert isinstance(response.stream, httpx.AsyncByteStream)  # noqa: S101 - an async transport's
        return httpx.Response(
            response.status_code,
            headers=response.headers,
            stream=_HeldStream(response.stream, self._release),
            extensions=response.extensions,
        )

    async def aclose(self) -> None:
        await self._inner.aclose()

    def _release(self) -> None:
        self._loop.requests_in_flight -= 1


class _HeldStream(httpx.AsyncByteStream):
    """Calls `release` once, when the answer has been closed."""

    def __init__(self, inner: httpx.AsyncByteStream, release: Callable[[], None]) -> None:
        self._inner = inner
        self._release: Callable[[], None] | None = release

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for chunk in self._inner:
            yield chunk

    async def aclose(self) -> None:
        try:
            await self._inner.aclose()
        finally:
            if self._release is not None:
                self._release()
                self._release = None
