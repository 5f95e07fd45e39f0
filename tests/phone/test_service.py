"""The phone's side of HTTP over real sockets: slow, broken, endless and hostile answers."""

import asyncio
import re
from collections.abc import Awaitable, Callable

import httpx
import pytest

from bluezone.phone import service as service_module
from bluezone.phone.service import Service, ServiceError, ServiceFault

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def _ask(answer: bytes | Handler, *, limit: int = 1000) -> bytes | None:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        try:
            if callable(answer):
                await answer(reader, writer)
            else:
                writer.write(answer)
                await writer.drain()
        except ConnectionError:
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    service = Service(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
    try:
        return (await service.fetch("/v1/index.json", limit)).body
    finally:
        await service.close()
        server.close()
        await server.wait_closed()


def _http(body: bytes, status: str = "200 OK", length: int | None = None) -> bytes:
    return (
        f"HTTP/1.1 {status}\r\nContent-Length: {len(body) if length is None else length}\r\n"
        "Connection: close\r\n\r\n"
    ).encode() + body


async def test_a_file_arrives() -> None:
    assert await _ask(_http(b"content")) == b"content"


@pytest.mark.parametrize(
    ("answer", "fault"),
    [
        (_http(b"x" * 1001), ServiceFault.TOO_LARGE),
        (_http(b"half", length=100), ServiceFault.UNREACHABLE),
        (b"garbage\r\n\r\n", ServiceFault.UNREACHABLE),
        (b"", ServiceFault.UNREACHABLE),
        (_http(b"", "404 Not Found"), ServiceFault.MISSING),
        (_http(b"", "503 Unavailable"), ServiceFault.FAILED),
        (_http(b"", "429 Too Many Requests"), ServiceFault.FAILED),
        (_http(b"<html>", "403 Forbidden"), ServiceFault.NOT_UNDERSTOOD),
        (_http(b"", "302 Found"), ServiceFault.NOT_UNDERSTOOD),
        (_http(b"", "304 Not Modified"), ServiceFault.NOT_UNDERSTOOD),
        (
            _http(b'{"error": "code-used", "message": {"vi": "x", "en": "y"}}', "403 Forbidden"),
            ServiceFault.REFUSED,
        ),
    ],
)
async def test_a_bad_answer_becomes_a_sentence(answer: bytes, fault: ServiceFault) -> None:
    with pytest.raises(ServiceError) as error:
        await _ask(answer)
    assert error.value.fault is fault
    assert error.value.text("vi")
    assert error.value.final == (fault is ServiceFault.REFUSED)


async def test_an_endless_answer_is_cut_off_at_the_limit() -> None:
    sent = 0

    async def forever(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            writer.write(b"1000\r\n" + bytes(0x1000) + b"\r\n")
            await writer.drain()
            sent += 0x1000

    with pytest.raises(ServiceError) as error:
        await _ask(forever, limit=100_000)
    assert error.value.fault is ServiceFault.TOO_LARGE
    assert sent < 10_000_000


async def test_an_answer_that_drips_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service_module, "DEADLINE_SECONDS", 0.3)

    async def drip(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n")
        while True:
            writer.write(b".")
            await writer.drain()
            await asyncio.sleep(0.02)

    with pytest.raises(ServiceError) as error:
        await _ask(drip)
    assert error.value.fault is ServiceFault.SLOW


async def test_nobody_there() -> None:
    service = Service("http://127.0.0.1:1")
    with pytest.raises(ServiceError) as error:
        await service.fetch("/v1/index.json", 10)
    assert error.value.fault is ServiceFault.UNREACHABLE
    await service.close()


async def test_each_message_has_a_connection_of_its_own_and_no_cookies() -> None:
    seen: list[tuple[int, bytes]] = []

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = re.search(rb"content-length: (\d+)", head.lower())
        if length:
            await reader.readexactly(int(length[1]))
        seen.append((writer.get_extra_info("peername")[1], head.lower()))
        writer.write(b"HTTP/1.1 200 OK\r\nSet-Cookie: who=you\r\nContent-Length: 2\r\n\r\n{}")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    service = Service(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
    for _ in range(2):
        assert await service.send("/v1/keys", b"{}") == b"{}"
    await service.close()
    server.close()
    assert len({port for port, _ in seen}) == 2
    assert all(b"cookie" not in head and b"connection: close" in head for _, head in seen)
    assert seen[0][1] == seen[1][1]


@pytest.mark.parametrize(
    "address",
    [
        "http://bluezone.example",
        "http://10.0.0.1",
        "ftp://127.0.0.1",
        "bluezone",
        "https://",
        "ht!",
    ],
)
def test_a_report_never_travels_in_the_clear(address: str) -> None:
    with pytest.raises(ValueError, match=r"https|address"):
        Service(address)


async def test_a_message_shares_nothing_with_any_other_request() -> None:
    made: list[httpx.MockTransport] = []
    cookies: list[str | None] = []

    def answer(request: httpx.Request) -> httpx.Response:
        cookies.append(request.headers.get("Cookie"))
        return httpx.Response(200, headers={"Set-Cookie": "who=me"}, stream=httpx.ByteStream(b"{}"))

    def transport() -> httpx.MockTransport:
        made.append(httpx.MockTransport(answer))
        return made[-1]

    service = Service("https://bluezone.example", transport=transport)
    await service.fetch("/v1/index.json", 100)
    await service.send("/v1/permission", b"{}")
    await service.send("/v1/keys", b"{}")
    await service.close()
    assert len(made) == 3
    assert cookies == [None, None, None]
