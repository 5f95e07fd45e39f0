"""A private bus in place of the system's, with or without a bluetoothd on it."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
from bleak.backends.bluezdbus import manager

from tests.private_bus import PrivateBus
from tests.radio.bluetoothd import Bluetoothd


@pytest.fixture
def bus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[PrivateBus]:
    with PrivateBus(tmp_path) as private:
        monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", private.address)
        yield private


@pytest.fixture
async def bluetoothd(bus: PrivateBus) -> AsyncIterator[Bluetoothd]:
    daemon = await Bluetoothd(bus.address).start()
    yield daemon
    await daemon.stop(crash=True)
    # bleak keeps one connection for each event loop, for good.
    kept = manager._global_instances.pop(asyncio.get_running_loop(), None)
    if kept is not None and kept._bus is not None:
        kept._bus.disconnect()
        await asyncio.sleep(0)


async def until(condition: Callable[[], bool]) -> None:
    """Wait, but not for ever."""
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 - what changes is in another program
            await asyncio.sleep(0.01)
