"""Slow loris: connections that say nothing, or say it one letter at a time."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
import uvicorn

from bluezone.clock import WallClock
from bluezone.server import installation
from bluezone.server.app import create_app
from bluezone.server.config import Settings
from bluezone.web import connections
from tests.commands.test_server import _running
from tests.server.diagnosis.installation import Service
from tests.streams import connected

LIMIT = 20
WHOLE = b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n"
BEGUN = b"GET / HTTP/1.1\r\nX: "


@pytest.fixture
async def later(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Puts the event loop's clock forward: what is waited for is due at once.

    No deadline can run out while a busy machine still prepares the attack.
    """
    loop, ahead = asyncio.get_running_loop(), 0.0
    usual = loop.time
    monkeypatch.setattr(loop, "time", lambda: usual() + ahead)

    def put(seconds: float) -> None:
        nonlocal ahead
        ahead += seconds

    return put


@pytest.fixture
async def address(
    service: Service,
    later: Callable[[float], None],  # set back only when the server has ended
) -> AsyncIterator[tuple[str, int]]:
    server = uvicorn.Server(
        uvicorn.Config(
            create_app(service.services),
            port=0,
            log_config=None,
            access_log=False,
            lifespan="off",
            http=connections.PromptConnection,
            ws="none",
            limit_concurrency=LIMIT,
        )
    )
    running = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110 - uvicorn tells no other way
        await asyncio.sleep(0.01)
    yield server.servers[0].sockets[0].getsockname()
    server.should_exit = True
    await running


async def status(reader: asyncio.StreamReader) -> int:
    head = await reader.readuntil(b"\r\n\r\n")
    length = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
    await reader.readexactly(int(length or b"0"))
    return int(head.split()[1])


async def answered(address: tuple[str, int]) -> int:
    async with connected(*address) as (reader, writer):
        writer.write(WHOLE)
        return await status(reader)


@pytest.mark.parametrize("kind", ["silent", "dripping", "after a first request"])
async def test_those_who_say_nothing_keep_nobody_out(
    address: tuple[str, int], later: Callable[[float], None], kind: str
) -> None:
    async with AsyncExitStack() as opened:
        writers = []
        for _ in range(LIMIT - 1):  # and whoever asks is one more
            reader, writer = await opened.enter_async_context(connected(*address))
            if kind == "after a first request":
                writer.write(WHOLE + BEGUN)
                assert await status(reader) == 200
            elif kind == "dripping":
                writer.write(BEGUN)
            writers.append(writer)
        assert await answered(address) == 503, "the attack itself works"
        for _ in range(12):
            later(connections.HEAD_SECONDS / 10)
            await asyncio.sleep(0.02)
            if kind != "silent":
                for writer in writers:
                    writer.write(b"a")
        assert await answered(address) == 200


async def test_who_asks_promptly_is_not_disturbed(
    address: tuple[str, int], later: Callable[[float], None]
) -> None:
    async with connected(*address) as (reader, writer):
        for _ in range(6):  # on the same connection, for longer than a head may take
            writer.write(b"GET /v1/trust.json HTTP/1.1\r\nHost: x\r\n\r\n")
            assert await status(reader) == 200
            later(connections.HEAD_SECONDS / 4)
            await asyncio.sleep(0.02)


def test_the_service_as_operators_run_it_hangs_up_on_the_silent(tmp_path: Path) -> None:
    home = tmp_path / "home"
    asyncio.run(installation.create(Settings(home=home), WallClock()))
    with (
        _running(home) as client,
        socket.create_connection((client.base_url.host, client.base_url.port or 0)) as silent,
    ):
        silent.settimeout(connections.HEAD_SECONDS + 10)
        assert silent.recv(1) == b""
