"""Slow loris: connections that say nothing, or say it one letter at a time."""

import asyncio
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
import uvicorn

from bluezone.clock import WallClock
from bluezone.server import installation
from bluezone.server.app import create_app
from bluezone.server.config import Settings
from bluezone.web import connections
from tests.commands.test_server import _running
from tests.server.diagnosis.installation import Service

LIMIT = 20


@pytest.fixture
async def address(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[tuple[str, int]]:
    monkeypatch.setattr(connections, "HEAD_SECONDS", 0.5)
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


async def answered(address: tuple[str, int]) -> int:
    async with httpx.AsyncClient(base_url=f"http://{address[0]}:{address[1]}") as client:
        return (await client.get("/health/live")).status_code


@pytest.mark.parametrize("kind", ["silent", "dripping", "after a first request"])
async def test_those_who_say_nothing_keep_nobody_out(address: tuple[str, int], kind: str) -> None:
    first = b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\nGET / HTTP/1.1\r\nX: "
    opened = []
    for _ in range(LIMIT + 5):
        reader, writer = await asyncio.open_connection(*address)
        if kind != "silent":
            writer.write(first if kind == "after a first request" else b"GET / HTTP/1.1\r\nX: ")
        opened.append((reader, writer))
    await asyncio.sleep(0.1)
    assert await answered(address) == 503, "the attack itself works"
    for _ in range(12):
        await asyncio.sleep(0.1)
        if kind != "silent":
            for _, writer in opened:
                writer.write(b"a")
    assert await answered(address) == 200
    for _, writer in opened:
        writer.close()


async def test_who_asks_promptly_is_not_disturbed(address: tuple[str, int]) -> None:
    async with httpx.AsyncClient(base_url=f"http://{address[0]}:{address[1]}") as client:
        for _ in range(3):
            assert (await client.get("/v1/trust.json")).status_code == 200
            await asyncio.sleep(0.3)


def test_the_service_as_operators_run_it_hangs_up_on_the_silent(tmp_path: Path) -> None:
    home = tmp_path / "home"
    asyncio.run(installation.create(Settings(home=home), WallClock()))
    with (
        _running(home) as client,
        socket.create_connection((client.base_url.host, client.base_url.port or 0)) as silent,
    ):
        silent.settimeout(connections.HEAD_SECONDS + 10)
        assert silent.recv(1) == b""
