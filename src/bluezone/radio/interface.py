"""What the phone asks of a radio; every back end offers just this."""

from dataclasses import dataclass
from enum import Enum
from typing import Protocol

import msgspec


class RadioState(Enum):
    """Whether the radio can be used, and if not, whose move it is."""

    ON = "on"
    OFF = "off"  # the person switched Bluetooth off
    NO_PERMISSION = "no-permission"  # the operating system refuses us
    UNAVAILABLE = "unavailable"  # no controller, or it does not answer


class RadioError(Exception):
    """The radio could not do what was asked; `state` says what to tell the person."""

    def __init__(self, message: str, state: RadioState = RadioState.UNAVAILABLE) -> None:
        super().__init__(message)
        self.state = state


class Sighting(msgspec.Struct, frozen=True):
    """One advertiser as heard in one scan window.

    `address` is the 6-byte advertiser address as received (most significant byte first),
    `payload` the 20-byte beacon, `time` the Unix time of the first packet, `rssi` the
    level of each packet received in dBm, `tx_power` the advertised power in dBm if the
    advertisement carries one (ours carry it inside the encrypted metadata instead).
    Address and payload identify a phone for ten minutes, so a sighting never prints them.
    """

    address: bytes
    payload: bytes
    time: float
    rssi: tuple[int, ...]
    tx_power: int | None = None

    def __repr__(self) -> str:
        return f"Sighting(time={self.time}, rssi={self.rssi}, tx_power={self.tx_power})"


@dataclass(frozen=True, slots=True)
class Capabilities:
    """Which controller a radio uses and what it can do, for the page that says so."""

    kind: str  # what stands between: "BlueZ", "HCI", "CoreBluetooth", "WinRT", "virtual air"
    controller: str  # which one, as its owner knows it: "hci0", "usb:0"
    broadcasts: bool  # the beacon is on the air for everybody
    offers_gatt: bool = False  # the beacon can be read by whoever connects
    reads_gatt: bool = False  # connects to those who can only offer it
    # The address changes with every beacon, and the beacon with every address. Where it does
    # not, two beacons of one phone can be linked.
    turns_together: bool = True

    @property
    def only_listens(self) -> bool:
        """Hears others and is not heard."""
        return not (self.broadcasts or self.offers_gatt)


class Radio(Protocol):
    """Puts beacons on the air and hears them."""

    @property
    def state(self) -> RadioState: ...

    @property
    def capabilities(self) -> Capabilities: ...

    @property
    def tx_power(self) -> int:
        """Power this device radiates, in dBm; the phone puts it into the beacon's metadata."""
        ...

    async def advertise(self, payload: bytes) -> None:
        """Broadcast `payload` under a fresh random address, replacing what was broadcast.

        Address and payload turn together: the back end stops advertising (and scanning),
        sets the new address, then starts with the new payload. Where `capabilities` say that
        the radio only listens, nothing happens. Raises RadioError.
        """
        ...

    async def stop(self) -> None:
        """Stop broadcasting."""
        ...

    async def scan(self, seconds: float) -> list[Sighting]:
        """Listen for `seconds` and return who was heard. Raises RadioError."""
        ...

    async def close(self) -> None:
        """Release the controller."""
        ...
