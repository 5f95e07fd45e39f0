"""What operators' machines see, and nobody else."""

from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from bluezone.clock import ManualClock
from bluezone.server.app import create_app, open_services
from bluezone.server.config import Settings
from bluezone.server.context import Services
from bluezone.server.keys import VALID_DAYS


def _client(services: Services, address: str) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(create_app(services), client=(address, 5000))
    return httpx.AsyncClient(transport=transport, base_url="http://service.example")


async def test_alive_and_ready(client: httpx.AsyncClient) -> None:
    assert (await client.get("/health/live")).json() == {"status": "live"}
    assert (await client.get("/health/ready")).json() == {"status": "ready"}


async def test_not_ready_without_valid_keys(client: httpx.AsyncClient, clock: ManualClock) -> None:
    clock.advance((VALID_DAYS + 1) * 86400)
    answer = await client.get("/health/ready")
    assert (answer.status_code, answer.json()["error"]) == (503, "unavailable")


async def test_not_ready_without_a_database(home: Path, clock: ManualClock) -> None:
    settings = Settings(home=home, database=f"postgresql://postgres@/x?host={home}")
    services = await open_services(settings, clock)
    async with _client(services, "127.0.0.1") as client:
        answer = await client.get("/health/ready")
        assert answer.status_code == 503
        assert answer.headers["retry-after"] == "30"
        assert (await client.get("/health/live")).status_code == 200
    await services.database.dispose()


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
async def test_metrics_for_this_machine(services: Services, address: str) -> None:
    async with _client(services, address) as client:
        await client.get("/v1/exports/some-name.zip")
        text = (await client.get("/metrics")).text
    assert 'bluezone_requests_total{route="/v1/exports/{name}",status="404"} 1.0' in text
    assert "some-name" not in text


async def test_metrics_for_nobody_else(services: Services) -> None:
    async with _client(services, "203.0.113.7") as client:
        assert (await client.get("/metrics")).status_code == 403


async def test_metrics_by_token(services: Services) -> None:
    services = replace(services, settings=replace(services.settings, metrics_token="sesame"))
    async with _client(services, "203.0.113.7") as client:
        for token, status in (("sesame", 200), ("sesam", 403), ("", 403)):
            headers = {"Authorization": f"Bearer {token}"}
            assert (await client.get("/metrics", headers=headers)).status_code == status
    async with _client(services, "127.0.0.1") as client:
        assert (await client.get("/metrics")).status_code == 403


async def test_every_answer_has_the_security_headers(client: httpx.AsyncClient) -> None:
    for path in ("/health/live", "/nowhere", "/staff", "/staff/sign-in", "/static/bluezone.css"):
        headers = (await client.get(path)).headers
        assert headers["content-security-policy"].startswith("default-src 'none'"), path
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
        assert headers["referrer-policy"] == "no-referrer"
