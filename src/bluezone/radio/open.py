"""Opens a radio by its name: `auto`, `bluez:hci0`, `bleak`, or any HCI controller."""

import sys
from contextlib import suppress
from typing import Final

from bluezone.clock import Clock, WallClock
from bluezone.protocol.intervals import interval_number
from bluezone.radio.absent import AbsentRadio
from bluezone.radio.interface import Capabilities, Radio, RadioError, RadioState, Sighting

AUTO: Final = "auto"  # what this computer has: BlueZ on Linux, a listener elsewhere
_BLUEZ: Final = "bluez"
_BLEAK: Final = "bleak"
_REOPEN_SECONDS: Final = 5.0
_HANG_UP_SECONDS: Final = 0.5


async def open_radio(spec: str, clock: Clock) -> Radio:
    """The radio called `spec`. Raises RadioError, which says what to do.

    `bluez` or `bluez:hci1`: this computer's own, on Linux. `bleak`: this computer's own,
    listening only. Everything else is an HCI transport (`usb:0`, `tcp-client:HOST:PORT`).
    """
    # Each stack takes a second to load, and one is used.
    kind, _, which = spec.partition(":")
    if spec == AUTO:
        kind = _BLUEZ if sys.platform == "linux" else _BLEAK
    if kind == _BLUEZ:
        if sys.platform != "linux":
            raise RadioError(f"{spec}: BlueZ is part of Linux; here it is --radio {_BLEAK}")
        from bluezone.radio.bluez import BluezRadio

        return await BluezRadio.open(clock, which)
    if kind == _BLEAK:
        from bluezone.radio.scan_only import ScanOnlyRadio

        return ScanOnlyRadio(clock)
    from bluezone.radio.hci import HciRadio

    return await HciRadio.open(spec, clock)


class KeptOpenRadio:
    """A radio that is opened again after it was unplugged or its process was restarted."""

    def __init__(self, spec: str, radio: Radio, clock: Clock) -> None:
        self._spec = spec
        self._radio = radio
        self._clock = clock
        self._wall = WallClock()  # without its radio a rehearsal's time stands still
        self._wanted: tuple[bytes, int] | None = None  # with the interval it belongs to

    @classmethod
    async def open(cls, spec: str, clock: Clock) -> "KeptOpenRadio":
        """Raises RadioError if there is no such radio; `auto` waits for one to appear."""
        radio: Radio
        try:
            radio = await open_radio(spec, clock)
        except RadioError as fault:
            if spec != AUTO:
                raise
            radio = AbsentRadio(str(fault), fault.state)
        return cls(spec, radio, clock)

    async def keep(self) -> None:
        """Look after the radio until cancelled."""
        while True:
            await self._wall.sleep(_REOPEN_SECONDS)
            if isinstance(self._radio, AbsentRadio) or self.state is RadioState.UNAVAILABLE:
                await self._reopen()

    async def _reopen(self) -> None:
        with suppress(RadioError):
            await self._radio.close()
        # A shared radio gives the place to the next who comes: it has to see first who went, or
        # this phone would come back somewhere else.
        await self._wall.sleep(_HANG_UP_SECONDS)
        try:
            self._radio = await open_radio(self._spec, self._clock)
            # Nobody above need have noticed: what was on the air goes there again, as long as
            # its identifier is current.
            if self._wanted is not None:
                payload, interval = self._wanted
                if interval == interval_number(self._clock.now()):
                    await self._radio.advertise(payload)
        except RadioError as fault:
            if self._radio.state is not RadioState.ON:
                self._radio = AbsentRadio(str(fault), fault.state)

    @property
    def state(self) -> RadioState:
        return self._radio.state

    @property
    def capabilities(self) -> Capabilities:
        return self._radio.capabilities

    @property
    def tx_power(self) -> int:
        return self._radio.tx_power

    async def advertise(self, payload: bytes) -> None:
        self._wanted = None
        await self._radio.advertise(payload)
        self._wanted = payload, interval_number(self._clock.now())

    async def stop(self) -> None:
        self._wanted = None
        await self._radio.stop()

    async def scan(self, seconds: float) -> list[Sighting]:
        return await self._radio.scan(seconds)

    async def close(self) -> None:
        await self._radio.close()
