"""The two sides of reading a beacon over the Attribute Protocol (Core Spec, Vol 3, Part F).

The reader needs two requests, so it speaks them itself; the offering side answers whatever
discovery a phone's system begins with, so it is Bumble's server.
"""

import struct
import uuid
from collections.abc import Awaitable, Callable
from typing import Any, Final

from bumble import att, gatt
from bumble.core import UUID
from bumble.gatt_server import Server

from bluezone.protocol.beacon import PAYLOAD_BYTES
from bluezone.protocol.deployment import GATT_BEACON_UUID, GATT_SERVICE_UUID
from bluezone.radio.reader import NoBeaconError

CHANNEL: Final = att.ATT_CID
_ERROR: Final = 0x01
_EXCHANGE_MTU_REQUEST: Final = 0x02
_READ_BY_TYPE: Final = 0x08
_READ_BY_TYPE_RESPONSE: Final = 0x09
_READ: Final = 0x0A
_READ_RESPONSE: Final = 0x0B
_NOT_SUPPORTED: Final = 0x06
_PATIENCE: Final = 8  # PDUs; an honest peer begins with one or two questions of its own
_UUID: Final = uuid.UUID(GATT_BEACON_UUID).bytes[::-1]


async def read_beacon(
    send: Callable[[bytes], None], receive: Callable[[], Awaitable[bytes]]
) -> bytes:
    """The 20 bytes a peer offers. Raises NoBeaconError; the caller sets the time-out.

    Read Using Characteristic UUID (Vol 3, Part G, 4.8.2). Its answer has room for 19 bytes
    of the value when nobody has agreed on more, so the value is then read by its handle,
    which leaves room for 22: enough to tell a beacon from anything longer.
    """
    send(struct.pack("<BHH", _READ_BY_TYPE, 1, 0xFFFF) + _UUID)
    answer = await _answer(send, receive, _READ_BY_TYPE_RESPONSE)
    if len(answer) < 4:
        raise NoBeaconError("an answer without a value")
    send(bytes((_READ,)) + answer[2:4])
    value = (await _answer(send, receive, _READ_RESPONSE))[1:]
    if len(value) != PAYLOAD_BYTES:
        raise NoBeaconError(f"{len(value)} bytes instead of {PAYLOAD_BYTES}")
    return value


async def _answer(
    send: Callable[[bytes], None], receive: Callable[[], Awaitable[bytes]], wanted: int
) -> bytes:
    """The next response. What the peer asks of us meanwhile is declined, a few times."""
    for _ in range(_PATIENCE):
        pdu = await receive()
        code = pdu[0] if pdu else _ERROR
        if code == wanted:
            return pdu
        if code == _ERROR:
            raise NoBeaconError("the peer refused")
        # Requests are even and below commands (Vol 3, Part F, 3.4.8); the rest is not for us.
        if code < 0x40 and code % 2 == 0 and code >= _EXCHANGE_MTU_REQUEST:
            send(struct.pack("<BBHB", _ERROR, code, 0, _NOT_SUPPORTED))
    raise NoBeaconError("the peer says everything but what it was asked")


class _Bearer:
    """A connection as Bumble's server wants it: anybody may read, so nothing is encrypted."""

    encryption = 0
    authenticated = False

    def __init__(self, handle: int) -> None:
        self.handle = handle
        self.att_mtu = att.ATT_DEFAULT_MTU

    def on_att_mtu_update(self, mtu: int) -> None:
        self.att_mtu = mtu


class BeaconServer:
    """Offers this phone's beacon to whoever connects."""

    def __init__(self, send: Callable[[int, bytes], None]) -> None:
        """`send` takes a connection's handle and a PDU."""
        self._send = send
        self._bearers: dict[int, Any] = {}  # of _Bearer
        self.payload = b""
        device: Any = self  # all that the server asks of one is `send_l2cap_pdu`
        self._server = Server(device)
        self._server.add_service(
            gatt.Service(
                UUID(GATT_SERVICE_UUID),
                [
                    gatt.Characteristic(
                        UUID(GATT_BEACON_UUID),
                        gatt.Characteristic.Properties.READ,
                        gatt.Characteristic.READABLE,
                        gatt.CharacteristicValue(read=lambda _connection: self.payload),
                    )
                ],
            )
        )

    def send_l2cap_pdu(self, handle: int, _channel: int, pdu: Any) -> None:
        """Called by Bumble's server."""
        if handle in self._bearers:
            self._send(handle, bytes(pdu))

    def connected(self, handle: int) -> None:
        """A peer connected."""
        self._bearers[handle] = _Bearer(handle)

    def disconnected(self, handle: int) -> None:
        """A peer is gone."""
        bearer = self._bearers.pop(handle, None)
        if bearer is not None:
            self._server.on_disconnection(bearer)

    def received(self, handle: int, pdu: bytes) -> bool:
        """Answer a peer; False if it sent what nobody could understand."""
        bearer = self._bearers.get(handle)
        if bearer is None:
            return True
        try:
            self._server.on_gatt_pdu(bearer, att.ATT_PDU.from_bytes(pdu))
        except Exception:  # its readers have no error of their own
            return False
        return True
