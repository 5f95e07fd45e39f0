"""Logs: JSON on the service's clock, no secret, no address, no text of an exception."""

import io
import json
import logging
from collections.abc import Callable, Iterator

import httpx
import pytest
import structlog

from bluezone.clock import ManualClock
from bluezone.server import downloads
from bluezone.server.app import create_app
from bluezone.server.context import Services
from bluezone.server.logging import configure_logging
from tests.server.conftest import NOON

Lines = Callable[[], list[dict[str, object]]]


@pytest.fixture
def lines() -> Iterator[Lines]:
    root = logging.getLogger()
    before = root.handlers[:], root.level
    written = io.StringIO()
    configure_logging(ManualClock(NOON), written)
    logging.getLogger("httpx").setLevel(logging.WARNING)  # the test's own client
    yield lambda: [json.loads(line) for line in written.getvalue().splitlines()]
    root.handlers, root.level = before


def test_time_is_the_services_and_local(lines: Lines) -> None:
    structlog.get_logger().info("hello", unit="HN-01")
    assert lines() == [
        {
            "event": "hello",
            "level": "info",
            "time": "2021-01-20T19:00:00.000+07:00",
            "unit": "HN-01",
        }
    ]


def test_secrets_are_hidden_whatever_happens(lines: Lines) -> None:
    structlog.get_logger().warning(
        "oops", password="p4ss", form_token="t0k", code="123456789012", tek=b"k3y", key_id="export"
    )
    logged = json.dumps(lines())
    for secret in ("p4ss", "t0k", "123456789012", "k3y"):
        assert secret not in logged
    assert '"key_id": "export"' in logged


def test_an_exception_is_a_class_and_places(lines: Lines) -> None:
    def inner() -> None:
        raise ValueError("value-4711")

    try:
        try:
            inner()
        except ValueError as error:
            raise RuntimeError("value-4712") from error
    except RuntimeError:
        logging.getLogger("some.library").exception("failed")
    logged = json.dumps(lines())
    assert "builtins.ValueError" in logged
    assert "builtins.RuntimeError" in logged
    assert " inner" in logged
    assert "value-471" not in logged


async def test_a_request_leaves_its_route_and_no_more(services: Services, lines: Lines) -> None:
    transport = httpx.ASGITransport(create_app(services), client=("203.0.113.77", 5000))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        await client.get("/v1/exports/name-4711.zip?query-4712")
        await client.post("/v1/staff/session", json={"name": "n4me", "password": "p4ss"})
        await client.get("/path-4713")
    logged = lines()
    assert [(line["route"], line["status"], line["client"]) for line in logged] == [
        ("/v1/exports/{name}", 404, "203.0.113.0/24"),
        ("/v1/staff/session", 401, "203.0.113.0/24"),
        ("(unknown)", 404, "203.0.113.0/24"),
    ]
    for secret in ("471", "n4me", "p4ss", "203.0.113.77"):
        assert secret not in json.dumps(logged)


async def test_a_mistake_of_ours_is_logged_and_not_shown(
    services: Services, lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: object) -> None:
        raise RuntimeError("value-4711")

    monkeypatch.setattr(downloads, "published", broken)
    transport = httpx.ASGITransport(create_app(services))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        answer = await client.get("/v1/index.json")
    assert (answer.status_code, answer.json()["error"]) == (500, "internal-error")
    assert answer.headers["x-frame-options"] == "DENY"
    failure, request = lines()
    assert failure["event"] == "request failed"
    assert "builtins.RuntimeError" in failure["exception"]  # type: ignore[operator]
    assert request["status"] == 500
    assert "4711" not in json.dumps([failure, request]) + answer.text
