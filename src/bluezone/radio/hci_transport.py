"""Opens the way to an HCI controller and says in words why it cannot be opened."""

from bumble.transport import open_transport
from bumble.transport.common import Transport

from bluezone.radio.interface import RadioError, RadioState


async def open_controller(spec: str) -> Transport:
    """The transport `spec` names. Raises RadioError."""
    try:
        return await open_transport(spec)
    except Exception as fault:  # each transport has its own zoo, Exception itself included
        refused = isinstance(fault, PermissionError) or type(fault).__name__ == "USBErrorAccess"
        if refused:
            raise RadioError(
                f"no permission to use {spec}: give your user the device, or CAP_NET_ADMIN",
                RadioState.NO_PERMISSION,
            ) from fault
        if isinstance(fault, ConnectionError):
            raise RadioError(f"no radio answers at {spec}: start `bluezone radio` first") from fault
        reason = str(fault) or "its address is incomplete"
        raise RadioError(
            f"cannot open the Bluetooth controller {spec}: {reason}. Known forms: usb:0, "
            "hci-socket:0, serial:/dev/ttyACM0, tcp-client:127.0.0.1:9100"
        ) from fault
