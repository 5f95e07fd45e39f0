"""Serves the pages on the loopback address, in the phone's own event loop."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Iterator

import uvicorn
from starlette.applications import Starlette


class _Server(uvicorn.Server):
    """Leaves signals to whoever runs the phone."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@contextlib.asynccontextmanager
async def served(pages: Starlette, listener: socket.socket) -> AsyncIterator[str]:
    """Serve until the end of the block; gives the address."""
    config = uvicorn.Config(
        pages, log_config=None, access_log=False, lifespan="off", ws="none", http="h11"
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
