"""The wire: one server, kept connections, and nothing taken for an answer that is none."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

import httpx
import pytest

from bluezone.town.wire import Wire

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
OK = b'HTTP/1.1 200 OK\r\nETag: "1"\r\ncontent-length: 5\r\n\r\nhello'


@asynccontextmanager
async def _client(serve: Serve) -> AsyncIterator[httpx.AsyncClient]:
    served: list[asyncio.Task[None]] = []

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        served.append(task)
        try:
            await serve(reader, writer)
        finally:
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with (
        server,
        httpx.AsyncClient(
            transport=Wire(), base_url=f"http://127.0.0.1:{port}", timeout=5
        ) as client,
    ):
        yield client
    for one in served:
        one.cancel()
    await asyncio.gather(*served, return_exceptions=True)


async def _request(reader: asyncio.StreamReader) -> bytes:
    return await reader.readuntil(b"\r\n\r\n")


def _answers(*answers: bytes) -> tuple[Serve, list[bytes]]:
    """A server that gives these answers in turn, one connection after the other for `b""`."""
    heads: list[bytes] = []
    left = list(answers)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while left:
            heads.append(await _request(reader))
            answer = left.pop(0)
            if not answer:
                return
            writer.write(answer)
            await writer.drain()

    return serve, heads


async def test_what_is_asked_and_what_is_answered_arrive_whole() -> None:
    serve, heads = _answers(OK)
    async with _client(serve) as client:
        answer = await client.get("/v1/a b?c=d", headers={"If-None-Match": '"0"'})
    assert heads[0].startswith(b"GET /v1/a%20b?c=d HTTP/1.1\r\nHost: 127.0.0.1:")
    assert b'\r\nIf-None-Match: "0"\r\n' in heads[0]
    assert (answer.status_code, answer.content, answer.headers["etag"]) == (200, b"hello", '"1"')


async def test_an_answer_may_come_byte_by_byte() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await _request(reader)
        for byte in OK:
            writer.write(bytes([byte]))
            await writer.drain()

    async with _client(serve) as client:
        assert (await client.get("/")).content == b"hello"


async def test_a_body_is_sent_and_an_unchanged_file_has_none() -> None:
    bodies: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await _request(reader)
        bodies.append(await reader.readexactly(3))
        writer.write(b"HTTP/1.1 304 Not Modified\r\ncontent-length: 99\r\n\r\n")
        await writer.drain()

    async with _client(serve) as client:
        answer = await client.post("/", content=b"abc")
    assert (bodies, answer.status_code, answer.content) == ([b"abc"], 304, b"")


async def test_connections_are_kept_and_those_closed_while_idle_are_replaced() -> None:
    connections = 0
    serve, heads = _answers(OK, OK, b"", OK)

    async def counting(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        await serve(reader, writer)

    async with _client(counting) as client:
        for _ in range(3):
            assert (await client.get("/")).content == b"hello"
    assert (connections, len(heads)) == (2, 4)


async def test_nothing_but_a_download_is_sent_twice() -> None:
    serve, heads = _answers(OK, b"", OK)
    async with _client(serve) as client:
        await client.get("/")
        with pytest.raises(httpx.ReadError):
            await client.post("/", content=b"")
    assert len(heads) == 2


async def test_a_connection_that_is_to_be_closed_is_not_used_again() -> None:
    serve, heads = _answers(OK.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"), OK)
    async with _client(serve) as client:
        await client.get("/")
        assert (await client.get("/")).content == b"hello"
    assert len(heads) == 2


@pytest.mark.parametrize(
    "answer",
    [
        b"SSH-2.0\r\n\r\n",
        b"HTTP/1.1 ??? \r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nlonger",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nshort",
    ],
)
async def test_what_is_no_answer_is_refused(answer: bytes) -> None:
    serve, _ = _answers(answer)
    async with _client(serve) as client:
        with pytest.raises(httpx.RemoteProtocolError):
            await client.get("/")


async def test_where_nobody_listens_is_an_error_of_the_connection() -> None:
    async with httpx.AsyncClient(transport=Wire()) as client:
        with pytest.raises(httpx.ConnectError):
            await client.get("http://127.0.0.1:1/")


async def test_who_gives_up_does_not_leave_an_answer_for_the_next() -> None:
    asked, hold = asyncio.Event(), asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if b"/slow" in await _request(reader):
            asked.set()
            await hold.wait()
        writer.write(OK)

    async with _client(serve) as client:
        slow = asyncio.create_task(client.get("/slow"))
        await asked.wait()
        slow.cancel()
        with pytest.raises(asyncio.CancelledError):
            await slow
        hold.set()
        assert (await client.get("/")).content == b"hello"
