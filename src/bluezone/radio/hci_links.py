"""Connections on an HCI controller: ours to peers whose beacon we read, and theirs to us."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Any, Final

from bumble import hci
from bumble.host import DataPacketQueue, Host

from bluezone.clock import Clock
from bluezone.radio import att
from bluezone.radio.interface import RadioError
from bluezone.radio.reader import NoBeaconError

_SCAN_INTERVAL: Final = 96  # 60 ms, in slots of 0.625 ms: listening all the time
_QUICK: Final = (6, 24)  # connection interval 7.5-30 ms, in steps of 1.25 ms
_SUPERVISION: Final = 100  # 1 s, in steps of 10 ms
_BYE: Final = hci.HCI_ErrorCode.REMOTE_USER_TERMINATED_CONNECTION_ERROR
# Nobody needs longer for two requests, and while a guest is connected no other can come.
_GUEST_SECONDS: Final = 5.0
_MAX_UNREAD: Final = 16  # PDUs; who sends more than was asked for is not listened to

# For Set Event Mask and LE Set Event Mask.
EVENTS: Final = (hci.HCI_DISCONNECTION_COMPLETE_EVENT,)
LE_EVENTS: Final = (hci.HCI_LE_CONNECTION_COMPLETE_EVENT,)


class HciLinks:
    """Turns connection events and ATT packets of one host into reads and answers."""

    def __init__(
        self,
        host: Host,
        clock: Clock,
        send: Callable[[Any], Awaitable[Any]],
        begin: Callable[[Any], Awaitable[None]],
        freed: Callable[[], None],
    ) -> None:
        """`send` and `begin` give a command and raise RadioError; the first has an answer.

        `freed` is called when a guest is gone: a controller stops advertising when one comes.
        """
        self._host = host
        self._clock = clock
        self._send = send
        self._begin = begin
        self._freed = freed
        self._attempt: asyncio.Future[int | None] | None = None
        self._answers: dict[int, asyncio.Queue[bytes | None]] = {}  # of peers, by handle
        self._guests: dict[int, asyncio.Task[None]] = {}
        self._visits: set[int] = set()  # handles of guests until the controller says they left
        self._farewells: set[asyncio.Task[None]] = set()
        self.server = att.BeaconServer(self._send_att)
        host.on("le_connection", self._on_connection)
        host.on("connection_failure", self._on_failure)
        host.on("disconnection", self._on_disconnection)
        host.on("l2cap_pdu", self._on_pdu)

    async def power_on(self) -> None:
        """Learn how many packets the controller holds (LE Read Buffer Size, 7.8.2)."""
        answer = await self._send(hci.HCI_LE_Read_Buffer_Size_Command())
        length, count = answer.le_acl_data_packet_length, answer.total_num_le_acl_data_packets
        if not (length and count):  # shared with Bluetooth Classic
            shared = await self._send(hci.HCI_Read_Buffer_Size_Command())
            length = shared.hc_acl_data_packet_length
            count = shared.hc_total_num_acl_data_packets
        self._host.le_acl_packet_queue = DataPacketQueue(length, count, self._host.send_hci_packet)

    async def read(self, address: bytes, address_type: int) -> bytes:
        """The beacon of a peer. Raises NoBeaconError or RadioError; may be cancelled any time."""
        peer = hci.Address(address[::-1], hci.AddressType(address_type))
        self._attempt = asyncio.get_running_loop().create_future()
        handle: int | None = None
        try:
            await self._begin(
                hci.HCI_LE_Create_Connection_Command(
                    le_scan_interval=_SCAN_INTERVAL,
                    le_scan_window=_SCAN_INTERVAL,
                    initiator_filter_policy=0,
                    peer_address_type=address_type,
                    peer_address=peer,
                    own_address_type=hci.OwnAddressType.RANDOM,
                    connection_interval_min=_QUICK[0],
                    connection_interval_max=_QUICK[1],
                    max_latency=0,
                    supervision_timeout=_SUPERVISION,
                    min_ce_length=0,
                    max_ce_length=0,
                )
            )
            try:
                handle = await asyncio.shield(self._attempt)
            except asyncio.CancelledError:
                handle = await self._call_off()
                raise
            if handle is None:
                raise NoBeaconError("no connection")
            return await att.read_beacon(
                lambda pdu: self._send_att(handle, pdu), self._receive(handle)
            )
        finally:
            self._attempt = None
            if handle is not None:
                await self._hang_up(handle)

    async def dismiss_guests(self) -> None:
        """Disconnect everybody: who stayed would see two beacons of one phone."""
        for handle in list(self._guests):
            await self._hang_up(handle)

    def _send_att(self, handle: int, pdu: bytes) -> None:
        self._host.send_l2cap_pdu(handle, att.CHANNEL, pdu)

    def _receive(self, handle: int) -> Callable[[], Awaitable[bytes]]:
        queue = self._answers[handle]

        async def receive() -> bytes:
            pdu = await queue.get()
            if pdu is None:
                raise NoBeaconError("the peer hung up")
            return pdu

        return receive

    async def _call_off(self) -> int | None:
        """Stop connecting; the handle if the connection came about in the last moment."""
        attempt = self._attempt
        if attempt is None:
            return None
        with contextlib.suppress(RadioError):  # refused when there is nothing left to cancel
            await self._send(hci.HCI_LE_Create_Connection_Cancel_Command())
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(1.0):  # the event follows the answer at once
                return await attempt
        return None

    async def _hang_up(self, handle: int) -> None:
        guest = self._guests.pop(handle, None)
        if guest is not None and guest is not asyncio.current_task():
            guest.cancel()
        self.server.disconnected(handle)
        if self._answers.pop(handle, None) is None and guest is None:
            return  # gone by itself
        with contextlib.suppress(RadioError):
            await self._begin(hci.HCI_Disconnect_Command(connection_handle=handle, reason=_BYE))

    def _on_connection(self, handle: int, _peer: hci.Address, *more: Any) -> None:
        role = more[2]
        if role == hci.Role.CENTRAL:
            if self._attempt is not None and not self._attempt.done():
                self._answers[handle] = asyncio.Queue(_MAX_UNREAD)
                self._attempt.set_result(handle)
            return
        self.server.connected(handle)
        self._visits.add(handle)
        self._guests[handle] = asyncio.create_task(self._see_off(handle))

    async def _see_off(self, handle: int) -> None:
        await self._clock.sleep(_GUEST_SECONDS)
        await self._hang_up(handle)

    def _on_failure(self, *_what: Any) -> None:
        if self._attempt is not None and not self._attempt.done():
            self._attempt.set_result(None)

    def _on_disconnection(self, handle: int, _reason: int) -> None:
        queue = self._answers.pop(handle, None)
        if queue is not None:
            if not queue.full():  # otherwise what it sent before is no answer either
                queue.put_nowait(None)
            return
        guest = self._guests.pop(handle, None)
        if guest is not None:
            guest.cancel()
        self.server.disconnected(handle)
        if handle in self._visits:
            self._visits.remove(handle)
            self._freed()

    def _on_pdu(self, handle: int, channel: int, pdu: bytes) -> None:
        if channel != att.CHANNEL:
            return
        queue = self._answers.get(handle)
        if queue is not None:
            if not queue.full():
                queue.put_nowait(pdu)
        elif not self.server.received(handle, pdu):
            farewell = asyncio.create_task(self._hang_up(handle))
            self._farewells.add(farewell)
            farewell.add_done_callback(self._farewells.discard)
