"""Serves the pages on the loopback address, in the phone's own event loop."""

import asyncio
import contextlib
import logging
import socket
from collections.abc import AsyncIterator, Iterator
from typing import Final

import uvicorn
from starlette.applications import Starlette

from bluezone.web.connections import PromptConnection

# A browser opens six; whoever opens more may not keep the phone from its own connections.
_MOST_CONNECTIONS: Final = 64

# What strangers send is none of the owner's terminal's business.
logging.getLogger("uvicorn").addHandler(logging.NullHandler())


class _Connection(PromptConnection):
    """One of a few; more are closed at the door."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if len(self.connections) > _MOST_CONNECTIONS:
            transport.abort()


class _Server(uvicorn.Server):
    """Leaves signals to whoever runs the phone."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@contextlib.asynccontextmanager
async def served(pages: Starlette, listener: socket.socket) -> AsyncIterator[str]:
    """Serve until the end of the block; gives the address."""
    config = uvicorn.Config(
        pages, log_config=None, access_log=False, lifespan="off", ws="none", http=_Connection
    )
    server = _Server(config)
    running = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        server.force_exit = True
        await running
        listener.close()
