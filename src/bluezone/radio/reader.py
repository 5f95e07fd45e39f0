"""Reads the beacons of peers in the background, one at a time, while a radio goes on."""

import asyncio
from collections.abc import Awaitable, Callable

from bluezone.clock import Clock
from bluezone.radio.interface import RadioError
from bluezone.radio.peers import MAX_READS_PER_MINUTE, READ_SECONDS, Peers

Read = Callable[[], Awaitable[bytes]]


class NoBeaconError(Exception):
    """The peer answered, but not with a beacon."""


class RefusedError(RadioError):
    """The controller answered a command with an error."""


class Reader:
    """Starts a read as soon as somebody offers one and it is time (see `Peers`)."""

    def __init__(self, clock: Clock) -> None:
        self._peers = Peers(clock)
        self._task: asyncio.Task[None] | None = None
        self._only_in_silence = False  # the controller can't scan and connect at once
        self._waiting: dict[bytes, Read] = {}

    @property
    def reading(self) -> bool:
        """Whether a peer is being read now."""
        return self._task is not None and not self._task.done()

    def beacon_of(self, address: bytes, heard_at: float) -> bytes | None:
        """What was read at `address`, as long as it is the beacon that was heard then."""
        return self._peers.beacon_of(address, heard_at)

    def offered(self, address: bytes, read: Read, *, listening: bool) -> None:
        """Somebody offers a beacon; `listening` while a scan is running."""
        if self.reading or not self._peers.may_read(address):
            return
        if listening and self._only_in_silence:
            if len(self._waiting) < MAX_READS_PER_MINUTE:
                self._waiting[address] = read
            return
        self._waiting.pop(address, None)
        self._task = asyncio.create_task(self._read(address, read))

    def silence(self) -> None:
        """No scan is running any more: read somebody whom it could not."""
        for address, read in list(self._waiting.items()):
            self.offered(address, read, listening=False)

    async def stop(self) -> None:
        """Let go of the peer: its connection must not hold up anything of ours."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})
            self._task = None

    async def _read(self, address: bytes, read: Read) -> None:
        self._peers.begin(address)
        try:
            async with asyncio.timeout(READ_SECONDS):
                payload = await read()
        except RefusedError:
            self._only_in_silence = True
        except (NoBeaconError, RadioError, TimeoutError):
            self._peers.failed(address)
        else:
            self._peers.learned(address, payload)
