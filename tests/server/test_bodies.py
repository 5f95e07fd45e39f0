"""Hostile bodies over a real socket: too large, too slow, not what was asked for."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bluezone.clock import ManualClock
from bluezone.server.app import open_services
from bluezone.server.config import Settings
from tests.server.conftest import serving
from tests.streams import connected

MEGABYTE = 1024 * 1024


@pytest.fixture
async def address(home: Path, clock: ManualClock) -> AsyncIterator[tuple[str, int]]:
    services = await open_services(Settings(home=home, body_seconds=0.4), clock)
    async with serving(services) as address:
        yield address
    await services.database.dispose()


async def _exchange(address: tuple[str, int], *parts: bytes) -> tuple[int, dict[str, object]]:
    """Send the parts, then read the answer to the end of the connection."""
    async with connected(*address) as (reader, writer):
        for part in parts:
            writer.write(part)
            await writer.drain()
        answer = await reader.read()
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]), json.loads(body)


def _head(*lines: str) -> bytes:
    start = ("POST /v1/staff/session HTTP/1.1", "Host: x", "Connection: close")
    return "\r\n".join((*start, *lines, "", "")).encode()


async def test_ten_megabytes_are_refused_and_the_client_learns_why(
    address: tuple[str, int],
) -> None:
    body = [b"x" * MEGABYTE] * 10
    status, refusal = await _exchange(address, _head(f"Content-Length: {10 * MEGABYTE}"), *body)
    assert status == 413
    assert refusal["error"] == "body-too-large"
    assert "65536" in refusal["message"]["vi"]  # type: ignore[index]


async def test_they_are_refused_before_they_are_sent(address: tuple[str, int]) -> None:
    async with connected(*address) as (reader, writer), asyncio.timeout(5):
        writer.write(_head(f"Content-Length: {10 * MEGABYTE}"))
        assert (await reader.readline()).startswith(b"HTTP/1.1 413")


async def test_a_body_without_a_length_is_stopped_at_the_limit(address: tuple[str, int]) -> None:
    chunk = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
    status, _ = await _exchange(
        address, _head("Transfer-Encoding: chunked"), *([chunk] * 20), b"0\r\n\r\n"
    )
    assert status == 413


async def test_a_slow_body_is_given_up(address: tuple[str, int]) -> None:
    status, refusal = await _exchange(address, _head("Content-Length: 4096"), b"{")
    assert (status, refusal["error"]) == (408, "body-too-slow")


async def test_a_client_that_goes_away_is_no_error(address: tuple[str, int]) -> None:
    async with connected(*address) as (_, writer):
        writer.write(_head("Content-Length: 4096") + b"{")
        await writer.drain()
    status, _ = await _exchange(address, b"GET /health/live HTTP/1.0\r\n\r\n")
    assert status == 200


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (b"", "not-json"),
        (b"not json", "not-json"),
        (b'{"name": "lan", ', "not-json"),
        (b"\xff\xfe", "not-json"),
        (b"[" * 60_000, "wrong-form"),
        (b"null", "wrong-form"),
        (b'{"secret-looking-field": 1}', "wrong-form"),
        (b'{"name": "lan", "password": 1}', "wrong-form"),
    ],
)
async def test_what_was_not_asked_for_is_refused_without_an_echo(
    address: tuple[str, int], body: bytes, error: str
) -> None:
    status, refusal = await _exchange(address, _head(f"Content-Length: {len(body)}"), body)
    assert status == 400
    message = refusal["message"]
    assert isinstance(message, dict)
    assert set(message) == {"vi", "en"}
    assert message["vi"] != message["en"]
    assert "secret-looking" not in json.dumps(refusal)
    assert refusal["error"] == error


@pytest.mark.parametrize(
    ("request_line", "status", "error"),
    [
        ("GET /nowhere", 404, "not-found"),
        ("GET /v1/exports/nothing.zip", 404, "not-found"),
        ("GET /v1/exports/..%2f..%2fsecrets", 404, "not-found"),
        ("GET /static/..%2f..%2fcatalogue.py", 404, "not-found"),
        ("DELETE /v1/index.json", 405, "wrong-method"),
    ],
)
async def test_other_addresses_and_methods(
    address: tuple[str, int], request_line: str, status: int, error: str
) -> None:
    found, refusal = await _exchange(address, f"{request_line} HTTP/1.0\r\n\r\n".encode())
    assert (found, refusal["error"]) == (status, error)


async def test_large_bodies_wait_their_turn_and_small_ones_never_do(
    address: tuple[str, int],
) -> None:
    """Diaries come in over slow networks; what they hold meanwhile is bounded."""
    head = _head("Content-Length: 5000000").replace(b"/v1/staff/session", b"/v1/handovers/diary")
    async with connected(*address) as (_, one), connected(*address) as (_, other):
        for slow in (one, other):
            slow.write(head + b"{")
            await slow.drain()
        for _ in range(100):
            status, refusal = await _exchange(address, head, b"{")
            if status == 503:
                break
        assert (status, refusal["error"]) == (503, "busy")
        status, _ = await _exchange(address, _head("Content-Length: 2"), b"{}")
        assert status == 400
    # Who hung up has given the place back.
    small = _head("Content-Length: 2").replace(b"/v1/staff/session", b"/v1/handovers/diary")
    for _ in range(100):
        status, _ = await _exchange(address, small, b"{}")
        if status != 503:
            break
        await asyncio.sleep(0.05)
    assert status == 400
