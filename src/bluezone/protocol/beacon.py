"""The beacon: 20 bytes of service data in a legacy advertisement (docs/protocol.md, "Beacon")."""

import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field

from bluezone.protocol.deployment import GATT_SERVICE_UUID, SERVICE_UUID_16

RPI_BYTES = 16
AEM_BYTES = 4
PAYLOAD_BYTES = RPI_BYTES + AEM_BYTES
MAX_LEGACY_ADVERTISEMENT_BYTES = 31

_UUID = SERVICE_UUID_16.to_bytes(2, "little")
_AD_FLAGS = 0x01  # Bluetooth Assigned Numbers, section 2.3
_AD_COMPLETE_UUIDS_16 = 0x03
_AD_SOME_UUIDS_128 = 0x06
_AD_COMPLETE_UUIDS_128 = 0x07
_AD_SERVICE_DATA_16 = 0x16
_PREFIX = (
    bytes([3, _AD_COMPLETE_UUIDS_16])
    + _UUID
    + bytes([3 + PAYLOAD_BYTES, _AD_SERVICE_DATA_16])
    + _UUID
)
_UUID_128 = uuid.UUID(GATT_SERVICE_UUID).bytes[::-1]
_GENERAL_LE_ONLY = 0x06  # whoever connects has to be able to discover it
_OFFER = bytes([2, _AD_FLAGS, _GENERAL_LE_ONLY, 17, _AD_COMPLETE_UUIDS_128]) + _UUID_128
_METADATA_VERSION = 0x40  # major 1, minor 0


@dataclass(frozen=True, slots=True)
class Beacon:
    """What a phone broadcasts for ten minutes: RPI (16 bytes) and AEM (4 bytes)."""

    rpi: bytes = field(repr=False)
    aem: bytes = field(repr=False)

    @property
    def payload(self) -> bytes:
        """The 20 bytes that go on the air."""
        return self.rpi + self.aem

    @classmethod
    def from_payload(cls, payload: bytes) -> "Beacon":
        """Split 20 bytes; ValueError for any other length."""
        if len(payload) != PAYLOAD_BYTES:
            raise ValueError(f"a beacon has {PAYLOAD_BYTES} bytes, not {len(payload)}")
        return cls(payload[:RPI_BYTES], payload[RPI_BYTES:])


def encode_advertisement(payload: bytes) -> bytes:
    """Advertising data (AD structures) that carry a 20-byte payload: 28 of 31 bytes."""
    if len(payload) != PAYLOAD_BYTES:
        raise ValueError(f"a beacon has {PAYLOAD_BYTES} bytes, not {len(payload)}")
    return _PREFIX + payload


def decode_advertisement(data: bytes) -> bytes | None:
    """The 20-byte payload in advertising data, or None if it is not one of our beacons.

    Never raises: the air carries whatever strangers send. Truncated structures end the
    search, as the Core Specification (Vol 3, Part C, 11) asks of early termination.
    """
    if data.startswith(_PREFIX) and len(data) == len(_PREFIX) + PAYLOAD_BYTES:
        return data[len(_PREFIX) :]
    for kind, body in _structures(data):
        if (
            kind == _AD_SERVICE_DATA_16
            and len(body) == len(_UUID) + PAYLOAD_BYTES
            and body.startswith(_UUID)
        ):
            return body[len(_UUID) :]
    return None


def encode_offer() -> bytes:
    """Advertising data that say: connect to me and read my beacon (21 of 31 bytes)."""
    return _OFFER


def is_offer(data: bytes) -> bool:
    """Whether advertising data name the GATT service under which a beacon can be read."""
    return any(
        kind in (_AD_SOME_UUIDS_128, _AD_COMPLETE_UUIDS_128)
        and _UUID_128 in (body[i : i + 16] for i in range(0, len(body), 16))
        for kind, body in _structures(data)
    )


def _structures(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Kind and body of each whole AD structure."""
    position = 0
    while position + 1 < len(data):
        end = position + 1 + data[position]
        if end == position + 1 or end > len(data):
            return
        yield data[position + 1], data[position + 2 : end]
        position = end


def encode_metadata(tx_power: int) -> bytes:
    """Metadata before encryption: version 1.0, power in dBm (-127..127), two reserved bytes."""
    if not -127 <= tx_power <= 127:
        raise ValueError(f"transmit power {tx_power} dBm is outside -127..127")
    return bytes([_METADATA_VERSION]) + tx_power.to_bytes(1, "big", signed=True) + bytes(2)


def decode_metadata(metadata: bytes) -> int | None:
    """Transmit power in dBm, or None if the major version is not ours."""
    if len(metadata) != AEM_BYTES or metadata[0] >> 6 != _METADATA_VERSION >> 6:
        return None
    return int.from_bytes(metadata[1:2], "big", signed=True)
