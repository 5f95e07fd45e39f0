"""Virtual time: an event loop that jumps to the next timer instead of waiting for it.

Everything that sleeps on the loop moves together: phones, radios, the people's steps and
the timers of libraries. An answer of the service arrives exactly ANSWER_SECONDS after its
request, however long the service really took: until then the town goes on beside it, then
time stands still. Nor does time pass while the service has work due. So a delay measured
here is never an artefact of the acceleration, and a seed repeats.

Several loops, each in a process of its own, live through one time together: one leads, the
others follow it from stretch to stretch.
"""

import asyncio
import math
import selectors
from collections.abc import Callable
from typing import Final

import httpx

from bluezone.clock import LoopClock, WallClock
from bluezone.clock.driven import ClockFile

# Virtual seconds: what a phone on a mobile network waits for an answer.
ANSWER_SECONDS: Final = 4.0

_SHORTEST_WAIT = 0.0005  # real seconds: how often the service's horizon is looked at
_LONGEST_WAIT = 0.05  # real seconds: how soon a change of speed is felt
# Turns of the loop between two looks at its sockets while there is other work: an answer that
# is read later arrives no later in virtual time, and each look asks the operating system.
_TURNS_BETWEEN_LOOKS = 16
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
        self.requests_made = 0
        self._answers_due: dict[int, float] = {}  # by request, oldest first: loop time
        self._file: ClockFile | None = None
        self._epoch = 0.0
        self._check: Callable[[], None] = lambda: None
        self._reach: Callable[[float], float] = lambda now: math.inf
        self._run_to: Callable[[float], None] = lambda target: None
        self._next_stretch: Callable[[], float] | None = None
        self._until = math.inf  # the end of the present stretch

    def time(self) -> float:
        return self._virtual

    def drive(
        self, file: ClockFile, epoch: float, check: Callable[[], None] = lambda: None
    ) -> None:
        """From now on keep `file` at `epoch` + `time()` and respect its horizon.

        While time has to wait, `check` is called: it raises if the service has gone.
        """
        self._file, self._epoch, self._check = file, epoch, check

    @property
    def requests_in_flight(self) -> int:
        """Requests that the service has not answered yet."""
        return len(self._answers_due)

    def asked(self) -> int:
        """A request leaves now; the number to give to `answered`."""
        self.requests_made += 1
        self._answers_due[self.requests_made] = self._virtual + ANSWER_SECONDS
        return self.requests_made

    def answered(self, request: int) -> float:
        """The service has answered; returns the loop time at which the answer arrives."""
        return self._answers_due.pop(request)

    def lead(self, reach: Callable[[float], float], run_to: Callable[[float], None]) -> None:
        """Time passes in stretches: from one moment up to `reach` of it at most.

        `run_to` lets the followers live up to the stretch's end, before the service does.
        """
        self._reach, self._run_to = reach, run_to

    def follow(self, next_stretch: Callable[[], float]) -> None:
        """From now on live in stretches: at the end of each, once every request is answered,
        `next_stretch` is called, and returns the loop time at which the next one ends."""
        self._next_stretch, self._until = next_stretch, self._virtual

    def _begin_stretch(self) -> bool:
        """Whether there was a stretch to begin."""
        if self._next_stretch is None:
            return False
        self._until = self._next_stretch()
        return True

    def _limit(self, target: float) -> float:
        """The latest loop time up to `target` that the service and a leader are ready for."""
        target = min(target, self._until, self._reach(self._virtual))
        if self._answers_due:
            target = min(target, next(iter(self._answers_due.values())))
        if self._file is None:
            return target
        horizon = max(self._virtual, self._file.horizon - self._epoch)
        if self._answers_due and target >= horizon:
            # What was asked before the service's next job is answered before it.
            return self._virtual
        return min(target, horizon)

    def _advance(self, target: float) -> None:
        self._virtual = target
        self._run_to(target)
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
        self._turns = 0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        loop = self._loop
        if timeout is None and not loop.requests_in_flight and loop._next_stretch is None:
            return super().select(None)
        ready: list[tuple[selectors.SelectorKey, int]] = []
        self._turns += 1
        if self._turns >= _TURNS_BETWEEN_LOOKS:
            self._turns = 0
            ready = super().select(0)
        if ready or (timeout is not None and timeout <= 0):
            return ready
        target = loop._limit(loop.time() + (math.inf if timeout is None else timeout))
        if target <= loop.time():
            if loop.requests_in_flight:
                self._be_patient("a request")
                return super().select(_LONGEST_WAIT)
            if loop._begin_stretch():
                self._stalled_since = None
                return ready
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
        self._loop._check()
        if now - self._stalled_since > _PATIENCE:
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
    """A transport whose answers arrive after ANSWER_SECONDS of virtual time."""

    def __init__(self, loop: VirtualTimeLoop, inner: httpx.AsyncBaseTransport) -> None:
        self._loop = loop
        self._inner = inner

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        number = self._loop.asked()
        try:
            response = await self._inner.handle_async_request(request)
            try:
                assert isinstance(response.stream, httpx.AsyncByteStream)  # noqa: S101 - as asked
                body = b"".join([chunk async for chunk in response.stream])
            finally:
                await response.aclose()
        finally:
            arrives = self._loop.answered(number)
        await LoopClock(self._loop, 0.0).sleep(arrives - self._loop.time())
        return httpx.Response(
            response.status_code,
            headers=response.headers,
            stream=httpx.ByteStream(body),
            extensions=response.extensions,
        )

    async def aclose(self) -> None:
        await self._inner.aclose()
