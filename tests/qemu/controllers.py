"""Two controllers for the kernel (hci0, hci1) and a phone that offers its beacon, on one air."""

import asyncio

from bumble.transport import open_transport

from bluezone.clock import WallClock
from bluezone.radio.air import Air
from bluezone.radio.hci import HciRadio
from bluezone.radio.link import AirController, AirLink

OFFERED = b"offered-for-reading!"


async def main() -> None:
    """Until the machine is switched off."""
    clock = WallClock()
    link = AirLink(Air(clock))
    for place in range(2):
        transport = await open_transport("vhci")
        AirController(
            link, (float(place), 0.0), host_source=transport.source, host_sink=transport.sink
        )
    peer = await HciRadio.attach(AirController(link, (0.5, 1.0)), clock, offer_gatt=True)
    await peer.advertise(OFFERED)
    await asyncio.get_running_loop().create_future()


if __name__ == "__main__":
    asyncio.run(main())
