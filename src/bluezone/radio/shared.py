"""One virtual radio for several phone processes on this machine: HCI over loopback TCP."""

import asyncio
import ipaddress
from collections.abc import Callable, Sequence
from typing import Any, Final, cast

from bumble.core import InvalidPacketError
from bumble.transport.common import StreamPacketSink, StreamPacketSource

from bluezone.radio.air import Position
from bluezone.radio.interface import RadioError
from bluezone.radio.link import AirController, AirLink

# A phone process that does not read loses reports rather than filling this process.
_MAX_UNREAD_BYTES: Final = 256 * 1024


class _Connection(StreamPacketSource):
    """One phone process: its own controller, placed on the line, gone when it hangs up."""

    def __init__(self, radio: "SharedRadio") -> None:
        super().__init__()
        self._radio = radio
        self._seat = 0
        self._why_left = "hung up"

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._seat, position = self._radio.take_seat()
        self._controller = AirController(
            self._radio.link,
            position,
            host_source=self,
            host_sink=StreamPacketSink(self._transport),
        )
        self._controller.congested = self._is_congested
        self._radio.report(f"phone {self._seat + 1} joined at {position[0]:g} m")

    def data_received(self, data: bytes) -> None:
        try:
            self.parser.feed_data(data)
        except InvalidPacketError:
            self._why_left = "did not speak HCI and was cut off"
            self._transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self._controller.leave()
        self._radio.link.advertising_changed()
        self._radio.free_seat(self._seat)
        self._radio.report(f"phone {self._seat + 1} {self._why_left}")

    def _is_congested(self) -> bool:
        return self._transport.get_write_buffer_size() > _MAX_UNREAD_BYTES


class SharedRadio:
    """Every connection becomes a phone on the virtual air, in a line.

    `gaps` are the metres from one to the next; the last holds for all that follow.
    HCI has no authentication, so only loopback addresses may be listened on. `report`
    gets one sentence whenever a phone joins or leaves.
    """

    def __init__(self, link: AirLink, gaps: Sequence[float], report: Callable[[str], None]) -> None:
        self.link = link
        self.report = report
        self._gaps = tuple(gaps)
        self._seats: set[int] = set()
        self._server: asyncio.Server | None = None

    @property
    def phones(self) -> int:
        """How many are connected."""
        return len(self._seats)

    async def listen(self, host: str, port: int) -> int:
        """Start; the port in use (0 asks for a free one). RadioError says why not."""
        if not _is_loopback(host):
            raise RadioError(
                f"{host} is not this machine: whoever reaches this port controls the radio, "
                "so it listens on 127.0.0.1 or ::1 only"
            )
        loop = asyncio.get_running_loop()
        try:
            self._server = await loop.create_server(lambda: _Connection(self), host, port)
        except (OSError, OverflowError) as fault:
            raise RadioError(f"cannot listen on {host}:{port}: {fault}") from fault
        address: Any = self._server.sockets[0].getsockname()
        return int(address[1])

    async def close(self) -> None:
        """Stop listening and hang up."""
        if self._server is not None:
            self._server.close()
        for controller in list(self.link.controllers):
            controller.host.close()

    def take_seat(self) -> tuple[int, Position]:
        """The nearest free place on the line."""
        seat = next(n for n in range(len(self._seats) + 1) if n not in self._seats)
        self._seats.add(seat)
        beyond = max(0, seat - len(self._gaps)) * self._gaps[-1]
        return seat, (sum(self._gaps[:seat]) + beyond, 0.0)

    def free_seat(self, seat: int) -> None:
        """Somebody else may stand there now."""
        self._seats.discard(seat)


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
