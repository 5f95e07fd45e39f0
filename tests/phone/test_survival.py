"""A phone is killed at random moments and its disk fills up: nothing written is lost."""

import asyncio
import contextlib
import os
import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from bluezone.phone.diary import Diary
from bluezone.phone.notices import Notice
from bluezone.phone.sealing import Sealer, diary_key
from bluezone.phone.store import Store
from bluezone.phone.tracer import SCAN_SECONDS
from tests.phone.conftest import EPOCH, World

# A whole phone beside another one, in virtual time: scans, beacons, checks and folding follow
# each other within milliseconds. It writes down the time of each scan that it says is kept.
_VICTIM = """
import asyncio, os, sys
from pathlib import Path
from bluezone.town.time import VirtualTimeLoop
from tests.phone.conftest import World

home, epoch = Path(sys.argv[1]), float(sys.argv[2])
loop = VirtualTimeLoop()
world = World(loop, home.parent / f"others-{epoch}", epoch)

def kept(count):
    if count:
        os.write(1, f"{victim.status().last_scan.time}\\n".encode())

victim = world.phone(0.0, home=home, on_scan=kept)
async def live():
    await asyncio.gather(victim.run(), world.phone(1.0).run())
loop.run_until_complete(live())
"""


def test_a_phone_killed_at_any_moment_keeps_every_scan_it_finished(tmp_path: Path) -> None:
    rng = random.Random(7)
    home = tmp_path / "victim"
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    said: list[float] = []
    for round_number in range(5):
        epoch = max(said, default=EPOCH) + 3600
        child = subprocess.Popen(
            [sys.executable, "-c", _VICTIM, str(home), str(epoch)],
            stdout=subprocess.PIPE,
            env=environment,
        )
        assert child.stdout is not None
        first = b"".join(child.stdout.readline() for _ in range(rng.randint(20, 40)))
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(rng.uniform(0.0, 0.05))
        child.send_signal(signal.SIGKILL)
        lines = (first + child.stdout.read()).split(b"\n")[:-1]
        child.stdout.close()
        child.wait()
        assert lines, f"round {round_number}: the phone never got to scan"
        said += [float(line) for line in lines]

        key = diary_key(home, None)
        assert not key.made_now
        store = Store(home / "diary.sqlite", Sealer(key.key))
        diary = Diary(store)
        times = np.sort(diary.records(0, 10**6)["time"].astype(float))
        store.close()
        assert diary.damaged_pages == 0
        at = np.searchsorted(times, np.floor(said))
        assert (at < len(times)).all(), "a scan that was said to be kept is gone"
        assert (times[at] <= np.array(said) + SCAN_SECONDS).all()
        unsaid = len({int(time) // 100 for time in times}) - len({int(t) // 100 for t in said})
        assert unsaid <= round_number + 1, "at most the scan in the making is unannounced"
    assert not list(home.glob("*.damaged-*"))
    assert len(said) >= 100


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("needs the right to mount a small tmpfs")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_is_said_and_the_diary_goes_on_when_there_is_room(
    world: World, small_disk: Path
) -> None:
    phone, other = world.phone(0.0, home=small_disk / "phone"), world.phone(1.0)
    ballast = small_disk / "ballast"

    def records() -> int:
        return len(phone._diary.records(0, 10**6))

    async def story() -> None:
        running = [asyncio.create_task(one.run()) for one in (phone, other)]
        await world.clock.sleep(3600)
        before = records()
        assert before
        with contextlib.suppress(OSError), ballast.open("wb", buffering=0) as file:
            while True:
                file.write(bytes(4096))
        await world.clock.sleep(2 * 3600)
        assert Notice.DISK_FULL in phone.status().notices
        full = records()
        scans = phone.status().scans
        await world.clock.sleep(3600)
        assert phone.status().scans > scans, "it goes on listening"
        assert records() == full
        ballast.unlink()
        await world.clock.sleep(3600)
        assert Notice.DISK_FULL not in phone.status().notices
        assert records() > full >= before
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        await phone.close()

    world.run(story())
