"""Invitations: counted without names, told to their holder alone, explained on a page."""

import asyncio
import os

import httpx
import msgspec
import pytest
from sqlalchemy import select

from bluezone.clock import ManualClock
from bluezone.protocol.invitation import invitation_code
from bluezone.server.context import Services
from bluezone.server.invitations.routes import INVITED, QUESTIONS
from bluezone.server.invitations.service import KEPT_DAYS
from bluezone.server.invitations.tables import Invitation
from tests.server.conftest import RunJob

SECRET = bytes(range(16))
CODE = invitation_code(SECRET)


async def come(client: httpx.AsyncClient, code: str = CODE) -> httpx.Response:
    return await client.post("/v1/invitations", json={"invitation": code})


async def count(client: httpx.AsyncClient, secret: bytes = SECRET) -> int:
    body = msgspec.json.encode({"secret": secret})
    response = await client.post("/v1/invitations/count", content=body)
    assert response.status_code == 200
    found: int = response.json()["installed"]
    return found


async def test_those_who_come_are_counted_and_the_holder_alone_learns(
    client: httpx.AsyncClient,
) -> None:
    assert await count(client) == 0
    several = await asyncio.gather(*(come(client) for _ in range(5)))
    assert {(one.status_code, one.content) for one in several} == {(204, b"")}
    assert await count(client) == 5
    assert await count(client, os.urandom(16)) == 0
    # The code itself, which many know, asks nothing.
    refused = await client.post("/v1/invitations/count", json={"secret": CODE})
    assert refused.status_code == 400


async def test_a_code_that_nobody_gave_away_is_answered_alike(client: httpx.AsyncClient) -> None:
    known, unknown = await come(client), await come(client, "AAAAAAAA")
    assert (known.status_code, dict(known.headers)) == (unknown.status_code, dict(unknown.headers))
    for code in ("aaaaaaaa", "AAAAAAA", "AAAAAAA1", "", "AAAAAAAA\n"):
        assert (await come(client, code)).status_code == 400


async def test_a_row_says_how_many_and_nothing_of_whom_or_the_hour(
    client: httpx.AsyncClient, services: Services
) -> None:
    await come(client)
    async with services.database.read() as session:
        [row] = await session.scalars(select(Invitation))
    assert [column.name for column in Invitation.__table__.columns] == [
        "code",
        "installed",
        "changed_day",
    ]
    assert row.changed_day == (services.now + 7 * 3600) // 86400


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_an_address_counts_and_asks_only_so_often(
    client: httpx.AsyncClient, services: Services
) -> None:
    for _ in range(INVITED.by_client.burst):
        services.limits.count(INVITED.by_client, "127.0.0.1")
    assert (await come(client)).status_code == 429
    assert await count(client) == 0
    for _ in range(QUESTIONS.burst):
        services.limits.count(QUESTIONS, "127.0.0.1")
    refused = await client.post("/v1/invitations/count", json={"secret": "x"})
    assert refused.status_code == 429


async def test_half_a_year_after_the_last_one_it_is_gone(
    client: httpx.AsyncClient, clock: ManualClock, run_job: RunJob
) -> None:
    await come(client)
    clock.advance((KEPT_DAYS - 1) * 86400)
    await run_job("invitations-retention")
    assert await count(client) == 1
    await come(client)  # a change: it stays for another half year
    clock.advance(86400)
    await run_job("invitations-retention")
    assert await count(client) == 2
    clock.advance((KEPT_DAYS - 1) * 86400)
    await run_job("invitations-retention")
    assert await count(client) == 0


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_a_link_opens_a_page_that_says_what_it_is(client: httpx.AsyncClient) -> None:
    page = await client.get(f"/moi/{CODE.lower()}")
    assert page.status_code == 200
    assert f"{CODE[:4]}-{CODE[4:]}" in page.text
    assert '<html lang="vi">' in page.text
    assert "set-cookie" not in page.headers
    english = await client.get(f"/moi/{CODE}?language=en")
    assert "no app in the stores" in english.text
    for wrong in ("x", '"><script>alert(1)</script>', "{{7*7}}"):
        refused = await client.get(f"/moi/{wrong}")
        assert refused.status_code == 404
        assert "<script>" not in refused.text
        assert "49" not in refused.text
        assert 'id="code"' not in refused.text
