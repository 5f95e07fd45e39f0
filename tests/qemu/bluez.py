"""What tests/radio/test_bluez.py claims of the stand-in, asked of the real bluetoothd."""

import asyncio
import os
from collections.abc import Callable

from dbus_fast import Variant

from bluezone.clock import WallClock
from bluezone.radio.bluez import BluezRadio
from bluezone.radio.interface import RadioState, Sighting
from tests.qemu.controllers import OFFERED

_CLOCK = WallClock()


def _say(what: str, sightings: list[Sighting]) -> None:
    heard = [(s.payload.hex()[:8], s.address.hex(":"), len(s.rssi), *s.rssi[:1]) for s in sightings]
    print(f"{what}: {heard}", flush=True)


async def _until(condition: Callable[[], bool], what: str) -> None:
    for _ in range(600):
        if condition():
            print(what, flush=True)
            return
        await _CLOCK.sleep(0.1)
    raise AssertionError(f"not within a minute: {what}")


async def _bluetoothd() -> asyncio.subprocess.Process:
    # -E: the intervals of an advertisement are experimental in BlueZ 5.66.
    return await asyncio.create_subprocess_exec("/usr/libexec/bluetooth/bluetoothd", "-n", "-E")


async def _power(radio: BluezRadio, adapter: str, on: bool) -> None:
    await radio._daemon.call(
        "org.bluez",
        f"/org/bluez/{adapter}",
        "org.freedesktop.DBus.Properties",
        "Set",
        "ssv",
        ["org.bluez.Adapter1", "Powered", Variant("b", on)],
    )


async def _open(adapter: str) -> BluezRadio:
    for _ in range(60):
        try:
            return await BluezRadio.open(_CLOCK, adapter)
        except Exception as fault:
            reason = fault
        await _CLOCK.sleep(1.0)
    raise reason


async def main() -> None:
    daemon = await _bluetoothd()
    first, second = await _open("hci0"), await _open("hci1")
    for name, radio in (("hci0", first), ("hci1", second)):
        if radio.state is not RadioState.ON:
            await _power(radio, name, True)
        await _until(lambda radio=radio: radio.state is RadioState.ON, f"{name} is on")
    await _until(lambda: first.capabilities.broadcasts, "hci0 can advertise")
    print(first.capabilities, first.tx_power, flush=True)

    pairs: list[tuple[bytes, bytes]] = []
    for _ in range(4):
        payload = os.urandom(20)
        await first.advertise(payload)
        sightings = await second.scan(4.0)
        _say("hci1 heard", sightings)
        assert payload in [s.payload for s in sightings]
        pairs += [(s.address, s.payload) for s in sightings if s.payload != OFFERED]
    assert len(pairs) == len({a for a, _ in pairs}) == len({p for _, p in pairs}) == 4
    assert all(address[0] >> 6 == 0 for address, _ in pairs)  # non-resolvable

    await second.advertise(b"2" * 20)
    here, there = await asyncio.gather(first.scan(6.0), second.scan(6.0))
    _say("hci0 heard", here)
    _say("hci1 heard", there)
    assert b"2" * 20 in [s.payload for s in here]
    assert pairs[-1][1] in [s.payload for s in there]
    read = [s.payload for s in await second.scan(4.0)]
    print("read by GATT:", OFFERED in read, flush=True)

    await second.advertise(b"3" * 20)
    await _power(first, "hci1", False)
    await _until(lambda: second.state is RadioState.OFF, "hci1 is off")
    await _CLOCK.sleep(1.0)
    await _power(first, "hci1", True)
    await _until(lambda: second.state is RadioState.ON, "hci1 is on again")
    await _CLOCK.sleep(2.0)
    here = await first.scan(4.0)
    _say("after power off and on, hci0 heard", here)
    assert b"3" * 20 in [s.payload for s in here]

    daemon.kill()
    await _until(lambda: first.state is RadioState.UNAVAILABLE, "bluetoothd is gone")
    daemon = await _bluetoothd()
    await _until(lambda: first.state is RadioState.ON, "bluetoothd is back")
    await _CLOCK.sleep(3.0)
    here = await first.scan(4.0)
    _say("after bluetoothd was killed, hci0 heard", here)
    assert b"3" * 20 in [s.payload for s in here]
    await first.close()
    await second.close()
    daemon.terminate()
    await daemon.wait()
    print("everything held", flush=True)


if __name__ == "__main__":
    asyncio.run(asyncio.wait_for(main(), 400))
