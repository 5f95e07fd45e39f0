"""Virtual time jumps, stands still and keeps pace exactly when it should."""

import asyncio
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from bluezone.clock import LoopClock, WallClock
from bluezone.clock.driven import ClockFile
from bluezone.town.time import ANSWER_SECONDS, InFlight, Pace, StalledError, VirtualTimeLoop

EPOCH = 1_610_900_000.0


def run(loop, coroutine):
    try:
        return loop.run_until_complete(coroutine)
    finally:
        loop.close()


def test_a_week_of_timers_passes_in_order_and_at_once():
    loop = VirtualTimeLoop()
    clock = LoopClock(loop, EPOCH)
    seen: list[tuple[float, str]] = []

    async def wake(name: str, every: float, times: int) -> None:
        for _ in range(times):
            await clock.sleep(every)
            seen.append((clock.now() - EPOCH, name))

    async def town() -> None:
        await asyncio.gather(wake("hour", 3600, 24 * 7), wake("day", 86400, 7))

    began = WallClock().now()
    run(loop, town())
    assert WallClock().now() - began < 60  # it waited for nothing: a week would be 604,800
    assert seen == sorted(seen, key=lambda item: item[0])
    assert seen[-1][0] == pytest.approx(7 * 86400)
    assert len(seen) == 24 * 7 + 7


class Slow(httpx.AsyncBaseTransport):
    """Answers after a real delay that virtual time must not see."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        loop = asyncio.get_running_loop()
        done = asyncio.Event()
        timer = threading.Timer(0.05, loop.call_soon_threadsafe, [done.set])
        timer.start()
        await done.wait()

        class Body(httpx.AsyncByteStream):
            async def __aiter__(self) -> AsyncIterator[bytes]:
                yield b"late"

        return httpx.Response(200, stream=Body())


def test_an_answer_arrives_when_it_should_however_slow_the_service_is():
    loop = VirtualTimeLoop()
    ticks: list[float] = []

    async def ask() -> tuple[float, bytes]:
        async def ticking() -> None:
            while True:
                await LoopClock(loop, EPOCH).sleep(0.25)
                ticks.append(loop.time())

        ticker = asyncio.create_task(ticking())
        async with httpx.AsyncClient(transport=InFlight(loop, Slow())) as client:
            answer = await client.get("http://service/")
        ticker.cancel()
        return loop.time(), answer.content

    assert run(loop, ask()) == (ANSWER_SECONDS, b"late")
    assert loop.requests_in_flight == 0
    assert 0.25 in ticks  # others went on meanwhile
    assert max(ticks) <= ANSWER_SECONDS  # but not past the answer


def test_what_was_asked_before_a_job_is_answered_before_it(tmp_path: Path):
    file = ClockFile.create(tmp_path / "clock", EPOCH)
    file.horizon = EPOCH + 1
    loop = VirtualTimeLoop()
    loop.drive(file, EPOCH)
    times: list[float] = []

    class Watching(Slow):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            response = await super().handle_async_request(request)
            times.append(loop.time())
            file.horizon = EPOCH + 100  # the job of time 1 is done
            return response

    async def ask() -> float:
        async with httpx.AsyncClient(transport=InFlight(loop, Watching())) as client:
            await client.get("http://service/")
        return loop.time()

    assert run(loop, ask()) == ANSWER_SECONDS
    assert times == [0.0]


def test_a_failed_request_lets_time_go_on():
    class Refusing(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            raise httpx.ConnectError("nobody there")

    loop = VirtualTimeLoop()

    async def ask() -> float:
        async with httpx.AsyncClient(transport=InFlight(loop, Refusing())) as client:
            with pytest.raises(httpx.ConnectError):
                await client.get("http://service/")
        await LoopClock(loop, EPOCH).sleep(10)
        return loop.time()

    assert run(loop, ask()) == 10.0


def test_time_waits_at_the_horizon_until_the_service_has_caught_up(tmp_path: Path):
    file = ClockFile.create(tmp_path / "clock", EPOCH)
    file.horizon = EPOCH + 100
    loop = VirtualTimeLoop()
    loop.drive(file, EPOCH)
    reached: list[float] = []

    def service() -> None:
        while file.now < EPOCH + 100:
            pass
        reached.append(file.now - EPOCH)
        file.horizon = EPOCH + 1000

    worker = threading.Thread(target=service)
    worker.start()
    run(loop, LoopClock(loop, EPOCH).sleep(500))
    worker.join()
    assert reached == [100.0]  # it stood exactly at the horizon, not past it
    assert file.now - EPOCH == 500.0


def test_a_service_that_never_catches_up_is_named(tmp_path: Path, monkeypatch):
    monkeypatch.setattr("bluezone.town.time._PATIENCE", 0.05)
    file = ClockFile.create(tmp_path / "clock", EPOCH)
    file.horizon = EPOCH + 1
    loop = VirtualTimeLoop()
    loop.drive(file, EPOCH)
    with pytest.raises(StalledError, match="work due"):
        run(loop, LoopClock(loop, EPOCH).sleep(10))


def test_pace_limits_how_fast_time_passes():
    loop = VirtualTimeLoop(Pace(speed=1000))
    began = WallClock().now()
    run(loop, LoopClock(loop, EPOCH).sleep(200))
    assert WallClock().now() - began >= 0.19


def test_a_paused_town_goes_on_when_told():
    pace = Pace()
    pace.paused = True
    loop = VirtualTimeLoop(pace)
    began = WallClock().now()
    threading.Timer(0.1, lambda: setattr(pace, "paused", False)).start()
    run(loop, LoopClock(loop, EPOCH).sleep(1e6))
    assert WallClock().now() - began >= 0.1
