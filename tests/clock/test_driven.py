"""A clock in a shared file: who is awaited, who is not, and what is no clock."""

import asyncio
import math
import subprocess
import sys
from pathlib import Path

import pytest

from bluezone.clock.driven import ClockFile, ClockFileError, DrivenClock

NOON = 1_611_119_000.0


async def _until(condition: object) -> None:
    for _ in range(500):
        assert callable(condition)
        if condition():
            return
        await asyncio.sleep(0.005)
    raise AssertionError("still not so")


async def test_sleepers_that_are_not_awaited_hold_nobody(tmp_path: Path) -> None:
    driver = ClockFile.create(tmp_path / "clock", NOON)
    clock = DrivenClock(ClockFile(tmp_path / "clock"), holds_driver=False)
    woken: list[float] = []

    async def sleeper(seconds: float) -> None:
        await clock.sleep(seconds)
        woken.append(clock.now() - NOON)

    tasks = [asyncio.create_task(sleeper(seconds)) for seconds in (4, 240, 0, -1)]
    await _until(lambda: woken == [0, 0])
    driver.now = NOON + 3.75
    await asyncio.sleep(0.05)
    assert woken == [0, 0]
    driver.now = NOON + 4.25
    await _until(lambda: woken == [0, 0, 4.25])
    assert driver.horizon == math.inf
    driver.now = NOON + 240
    await asyncio.wait_for(asyncio.gather(*tasks), 5)
    assert woken[3] == 240
    clock.release()
    driver.close()


async def test_the_awaited_sleeper_survives_a_driver_that_begins_anew(tmp_path: Path) -> None:
    driver = ClockFile.create(tmp_path / "clock", NOON)
    clock = DrivenClock(ClockFile(tmp_path / "clock"))
    clock.release()  # it has not slept: it has nothing to give back
    task = asyncio.create_task(clock.sleep(900))
    await _until(lambda: driver.horizon == NOON + 900)
    driver.horizon = math.inf
    await _until(lambda: driver.horizon == NOON + 900)
    driver.now = NOON + 900
    await asyncio.wait_for(task, 5)
    assert driver.horizon == NOON + 900  # its work is not done before it sleeps again
    clock.release()
    assert driver.horizon == math.inf
    driver.close()


@pytest.mark.parametrize("content", [b"", b"12:00", bytes(15), bytes(17), b"\xff" * 16])
def test_what_is_no_clock_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "clock"
    path.write_bytes(content)
    with pytest.raises(ClockFileError, match=str(path)):
        ClockFile(path)
    assert path.read_bytes() == content


def test_a_missing_clock_says_what_to_start(tmp_path: Path) -> None:
    with pytest.raises(ClockFileError, match="start what drives it first"):
        ClockFile(tmp_path / "clock")


_HASTY_DRIVER = """
import sys
from pathlib import Path
from bluezone.clock.driven import ClockFile
file = ClockFile(Path(sys.argv[1]))
print("driving", flush=True)
while True:
    file.now += 1.0
"""


def test_a_reader_never_sees_a_half_written_time(tmp_path: Path) -> None:
    evening = 1_611_144_000.0
    file = ClockFile.create(tmp_path / "clock", evening)
    driver = subprocess.Popen(
        [sys.executable, "-c", _HASTY_DRIVER, str(tmp_path / "clock")], stdout=subprocess.PIPE
    )
    try:
        assert driver.stdout is not None
        assert driver.stdout.readline() == b"driving\n"
        last = evening
        for _ in range(1_000_000):
            now = file.now
            assert now >= last, "time went back"
            last = now
        assert last > evening, "the driver stood still"
    finally:
        driver.kill()
        driver.communicate()
        file.close()
