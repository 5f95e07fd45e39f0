"""Hostile bytes over a real socket: paths, smuggling, floods of headers, silent connections."""

import asyncio
import io
import json
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest

from bluezone.server.logging import configure_logging
from tests.server.conftest import serving
from tests.server.diagnosis.installation import Service

Address = tuple[str, int]


@pytest.fixture
async def address(service: Service) -> AsyncIterator[Address]:
    async with serving(service.services) as address:
        yield address


async def exchange(address: Address, *parts: bytes) -> bytes:
    """Send raw bytes; whatever comes back until the other side closes or falls silent."""
    reader, writer = await asyncio.open_connection(*address)
    answer = b""
    try:
        async with asyncio.timeout(3):
            for part in parts:
                writer.write(part)
                await writer.drain()
            while piece := await reader.read(65536):
                answer += piece
    except (TimeoutError, ConnectionError):
        pass
    finally:
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()
    return answer


def get(path: str, *headers: str) -> bytes:
    lines = (f"GET {path} HTTP/1.1", "Host: x", "Connection: close", *headers, "", "")
    return "\r\n".join(lines).encode("latin-1")


PATHS = [
    "/v1/exports/..%2fsecrets%2fcode-pepper",
    "/v1/exports/..%2f..%2fsecrets%2fcode-pepper",
    "/v1/exports/../../secrets/code-pepper",
    "/v1/exports/%2e%2e%2f%2e%2e%2fservice.db",
    "/v1/exports/..%5c..%5cservice.db",
    "/v1/exports/.tmp-secret",
    "/v1/exports/x.zip%00.png",
    "/v1/exports/%2fetc%2fpasswd",
    "/v1/exports//etc/passwd",
    "/v1/exports/" + "a" * 5000,
    "/static/..%2f..%2f..%2fcatalogue.py",
    "/static/../pages.py",
    "/static/%2e%2e/pages.py",
    "/static/..%2flocale%2fvi%2fbluezone.po",
    "/v1/exports/trust.json",
]


@pytest.mark.parametrize("path", PATHS, ids=range(len(PATHS)))
async def test_no_path_leads_out_of_what_is_published(
    service: Service, address: Address, path: str
) -> None:
    (service.home / "public" / ".tmp-secret").write_bytes(b"half a file")
    (service.home / "secrets" / "code-pepper").write_bytes(b"p" * 32)
    answer = await exchange(address, get(path))
    assert answer.startswith((b"HTTP/1.1 404", b"HTTP/1.1 400")), answer[:100]
    for secret in (b"pppp", b"root:", b"half a file", b"SQLite", b"msgid", b"import"):
        assert secret not in answer


SMUGGLED = get("/v1/trust.json")
SMUGGLING = [
    b"POST /v1/keys HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"POST /v1/keys HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nContent-Length: 60\r\n\r\n",
    b"POST /v1/keys HTTP/1.1\r\nHost: x\r\nContent-Length: +0\r\n\r\n",
    b"POST /v1/keys HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: xchunked\r\n\r\n",
    b"POST /v1/keys HTTP/1.1\r\nHost: x\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
]


@pytest.mark.parametrize("head", SMUGGLING, ids=range(len(SMUGGLING)))
async def test_a_request_is_not_hidden_in_another(address: Address, head: bytes) -> None:
    """Two lengths, two meanings: what a proxy takes for a body must not be read as a request."""
    answer = await exchange(address, head + SMUGGLED)
    assert answer.startswith(b"HTTP/1.1 4")
    assert b'"payload"' not in answer


async def test_headers_without_end_are_cut_off(address: Address) -> None:
    flood = [b"X-%d: %s\r\n" % (number, b"a" * 8000) for number in range(100)]
    answer = await exchange(address, b"GET /v1/trust.json HTTP/1.1\r\nHost: x\r\n", *flood)
    assert answer == b"" or answer.startswith(b"HTTP/1.1 4")


async def test_what_is_sent_cannot_write_a_line_of_the_log(
    service: Service, address: Address
) -> None:
    stream = io.StringIO()
    configure_logging(service.clock, stream)
    forged = '%0a{"event":"forged"}'
    await exchange(address, get(f"/v1/exports/{forged}", 'User-Agent: "}\\n{"event":"forged"}'))
    await exchange(address, get(f"/nowhere{forged}?code=123456789012"))
    await exchange(address, b"FORGED / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    await exchange(address, b"\x16\x03\x01forged\r\n\r\n")
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert len(lines) >= 3
    assert not [line for line in lines if line["event"] == "forged"]
    assert "123456789012" not in stream.getvalue()


async def test_one_that_names_itself_this_machine_is_not_believed(service: Service) -> None:
    """Without a proxy in front, X-Forwarded-For is only what the client wrote."""
    async with service.from_address("198.51.100.7") as outsider:
        for name in ("X-Forwarded-For", "X-Real-IP", "Forwarded", "X-Client-IP"):
            value = "for=127.0.0.1" if name == "Forwarded" else "127.0.0.1"
            answer = await outsider.get("/metrics", headers={name: value, "Host": "localhost"})
            assert answer.status_code == 403


async def test_a_websocket_is_not_opened(address: Address) -> None:
    upgrade = get(
        "/v1/keys",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
    ).replace(b"Connection: close", b"Connection: Upgrade")
    assert not (await exchange(address, upgrade)).startswith(b"HTTP/1.1 101")
