"""Sockets for pages that only this computer may see."""

import socket


def listen(port: int) -> socket.socket:
    """A socket of the loopback address (port 0: any free one). Raises OSError if it is taken."""
    listener = socket.create_server(("127.0.0.1", port))
    # Connections inherit it. asyncio sets it only on sockets that name their protocol, which
    # these do not, and without it every answer waits 40 ms for the browser's ACK.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener
