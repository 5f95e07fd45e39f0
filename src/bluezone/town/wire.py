"""HTTP/1.1 between two processes of one machine, as little of it as the town's phones need.

The phones speak to the service through `httpx`, as anywhere; below it, a general connection
pool costs a town more time than all its radio. This one knows a single server, no TLS, no
proxy and no encoding of bodies, and refuses what it does not know.
"""

import asyncio
from typing import Final

import httpx

_END_OF_HEAD: Final = b"\r\n\r\n"
_MOST_BYTES: Final = 64 * 1024 * 1024


class Wire(httpx.AsyncBaseTransport):
    """Keeps its connections to one server open, and takes the latest that is free."""

    def __init__(self) -> None:
        self._free: list[_Connection] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        message = await _encode(request)
        while self._free:
            connection = self._free.pop()
            if connection.is_open:
                try:
                    return await self._exchange(connection, request, message)
                except httpx.ReadError:
                    if request.method != "GET":
                        raise
                    break  # closed while it was idle, before the server read any of this
        try:
            _, connection = await asyncio.get_running_loop().create_connection(
                _Connection, request.url.host, request.url.port or 80
            )
        except OSError as error:
            raise httpx.ConnectError(str(error), request=request) from error
        return await self._exchange(connection, request, message)

    async def _exchange(
        self, connection: "_Connection", request: httpx.Request, message: bytes
    ) -> httpx.Response:
        try:
            status, headers, body = await connection.exchange(message)
        except ConnectionError as error:
            raise httpx.ReadError(str(error), request=request) from error
        except ValueError as error:
            connection.close()
            raise httpx.RemoteProtocolError(str(error), request=request) from error
        except BaseException:  # given up half-way: what comes later answers nobody
            connection.close()
            raise
        if b"close" in (value.lower() for name, value in headers if name.lower() == b"connection"):
            connection.close()
        else:
            self._free.append(connection)
        return httpx.Response(status, headers=headers, stream=httpx.ByteStream(body))

    async def aclose(self) -> None:
        while self._free:
            self._free.pop().close()


_Answer = tuple[int, list[tuple[bytes, bytes]], bytes]


class _Connection(asyncio.Protocol):
    """One request at a time."""

    def __init__(self) -> None:
        self.is_open = False
        self._received = b""
        self._answer: asyncio.Future[_Answer] | None = None

    async def exchange(self, message: bytes) -> _Answer:
        """Status, headers and body. Raises ConnectionError, ValueError."""
        self._received = b""
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(message)
        return await self._answer

    def close(self) -> None:
        self.is_open = False
        self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - of a TCP connection
        self._transport = transport
        self.is_open = True

    def data_received(self, data: bytes) -> None:
        self._received += data
        if self._answer is None or self._answer.done():
            self.close()  # nobody asked
            return
        try:
            answer = _decode(self._received)
        except ValueError as error:
            self._answer.set_exception(error)
        else:
            if answer is not None:
                self._answer.set_result(answer)

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_open = False
        if self._answer is not None and not self._answer.done():
            # Within an answer it is no longer a connection that was idle for too long.
            ended = ValueError if self._received else ConnectionError
            self._answer.set_exception(ended("the connection ended before the answer did"))


async def _encode(request: httpx.Request) -> bytes:
    assert isinstance(request.stream, httpx.AsyncByteStream)  # noqa: S101 - of an async client
    body = b"".join([chunk async for chunk in request.stream])
    lines = [b"%s %s HTTP/1.1" % (request.method.encode(), request.url.raw_path)]
    lines += [b"%s: %s" % header for header in request.headers.raw]
    return b"\r\n".join(lines) + _END_OF_HEAD + body


def _decode(received: bytes) -> _Answer | None:
    """A whole answer, or None while more of it has to come. Raises ValueError."""
    if len(received) > _MOST_BYTES:
        raise ValueError("an answer without end")
    head, found, body = received.partition(_END_OF_HEAD)
    if not found:
        return None
    first, *lines = head.split(b"\r\n")
    version, _, rest = first.partition(b" ")
    if version != b"HTTP/1.1":
        raise ValueError("not an answer in HTTP/1.1")
    status = int(rest[:3])
    headers = []
    length = 0
    for line in lines:
        name, _, value = line.partition(b":")
        headers.append((name, value.strip()))
        if name.lower() == b"content-length":
            length = int(value)
        elif name.lower() == b"transfer-encoding":
            raise ValueError("an answer in pieces, which this reader does not know")
    if status == httpx.codes.NOT_MODIFIED:
        length = 0
    if len(body) > length:
        raise ValueError("more than was announced")
    return (status, headers, body) if len(body) == length else None
