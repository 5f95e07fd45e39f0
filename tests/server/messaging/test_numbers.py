"""Proving a telephone number: a code by message, few tries, one receipt, and nothing kept."""

import asyncio
import base64
import re
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from sqlalchemy import select

from bluezone.clock import ManualClock
from bluezone.protocol.phone_number import OTP_TRIES, OTP_TTL_SECONDS
from bluezone.server.app import create_app
from bluezone.server.context import Services
from bluezone.server.messaging import rules
from bluezone.server.messaging.routes import (
    REQUESTS_BY_ADDRESS,
    REQUESTS_BY_NUMBER,
    REQUESTS_BY_NUMBER_A_DAY,
    WRONG_NUMBER_CODES,
)
from bluezone.server.messaging.rules import Message, MessageState
from bluezone.server.messaging.service import is_verified, outbox, outbox_sealer
from bluezone.server.messaging.tables import NumberCode, OutboxMessage
from tests.server.conftest import NOON, RunJob

NUMBER = "+84901234567"


async def request(
    client: httpx.AsyncClient, number: str = NUMBER, language: str = "vi"
) -> httpx.Response:
    body = {"phone_number": number, "language": language}
    return await client.post("/v1/phone-numbers", json=body)


async def confirm(client: httpx.AsyncClient, code: str, number: str = NUMBER) -> httpx.Response:
    body = {"phone_number": number, "code": code}
    return await client.post("/v1/phone-numbers/confirm", json=body)


async def messages(services: Services) -> list[Message]:
    """What lies in the outbox, newest first."""
    async with services.database.read() as session:
        kept = await outbox(session, outbox_sealer(services.settings.secrets_folder))
    return [one.message for one in kept]


async def last_code(services: Services) -> str:
    found = re.search(r"\d{6}", (await messages(services))[0].text)
    assert found
    return found.group()


def wrong(code: str) -> str:
    return f"{(int(code) + 1) % 10**6:06d}"


async def test_a_number_is_proved_once(
    client: httpx.AsyncClient, services: Services, clock: ManualClock
) -> None:
    asked = await request(client, "0901 234 567")
    assert asked.json() == {"expires_at": NOON + OTP_TTL_SECONDS}
    [message] = await messages(services)
    assert message.to == NUMBER
    code = await last_code(services)
    clock.advance(60)
    proved = await confirm(client, f"{code[:3]} {code[3:]}", "84901234567")
    receipt = proved.json()
    assert (receipt["phone_number"], receipt["verified_at"]) == (NUMBER, NOON + 60)
    assert proved.headers["cache-control"] == "no-store"
    again = await confirm(client, code)
    assert (again.status_code, again.json()["error"]) == (403, "number-code-wrong")
    async with services.database.read() as session:
        assert (await session.scalars(select(NumberCode))).all() == []


async def test_the_receipt_is_for_this_number_and_time(
    client: httpx.AsyncClient, services: Services
) -> None:
    await request(client)
    proved = (await confirm(client, await last_code(services))).json()
    made, folder = base64.b64decode(proved["receipt"]), services.settings.secrets_folder
    assert len(made) == 32
    assert is_verified(folder, NUMBER, proved["verified_at"], made)
    assert not is_verified(folder, NUMBER, proved["verified_at"] + 1, made)
    assert not is_verified(folder, "+84901234568", proved["verified_at"], made)
    assert not is_verified(folder, NUMBER, proved["verified_at"], b"")


async def test_a_code_has_few_tries_even_all_at_once(
    client: httpx.AsyncClient, services: Services
) -> None:
    await request(client)
    code = await last_code(services)
    tries = await asyncio.gather(*(confirm(client, wrong(code)) for _ in range(OTP_TRIES)))
    assert {one.status_code for one in tries} == {403}
    assert (await confirm(client, code)).status_code == 403


async def test_of_two_right_ones_at_once_one_counts(
    client: httpx.AsyncClient, services: Services
) -> None:
    await request(client)
    code = await last_code(services)
    both = await asyncio.gather(confirm(client, code), confirm(client, code))
    assert sorted(one.status_code for one in both) == [200, 403]


async def test_a_code_expires_and_a_new_one_replaces_it(
    client: httpx.AsyncClient, services: Services, clock: ManualClock
) -> None:
    await request(client)
    old = await last_code(services)
    clock.advance(OTP_TTL_SECONDS)
    late = await confirm(client, old)
    assert late.status_code == 403
    # Late, wrong and never asked for: one answer.
    assert late.json() == (await confirm(client, "000000", "+84912345678")).json()
    await request(client)
    new = await last_code(services)
    if old != new:
        assert (await confirm(client, old)).status_code == 403
    assert (await confirm(client, new)).status_code == 200


async def test_a_number_gets_few_messages_and_nobody_learns_that(
    client: httpx.AsyncClient, services: Services, clock: ManualClock
) -> None:
    for _ in range(REQUESTS_BY_NUMBER.burst + 3):
        asked = await request(client)
        assert (asked.status_code, asked.json()) == (200, {"expires_at": NOON + OTP_TTL_SECONDS})
    assert len(await messages(services)) == REQUESTS_BY_NUMBER.burst
    # The last message that went out is still good.
    assert (await confirm(client, await last_code(services))).status_code == 200
    for _ in range(8):
        clock.advance(1800)
        await request(client)
    assert len(await messages(services)) <= REQUESTS_BY_NUMBER_A_DAY.burst + 1


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_an_address_and_all_together_get_only_so_much(
    services: Services, client: httpx.AsyncClient
) -> None:
    for _ in range(REQUESTS_BY_ADDRESS.burst):
        services.limits.count(REQUESTS_BY_ADDRESS, "127.0.0.1")
    assert (await request(client)).status_code == 429
    for _ in range(WRONG_NUMBER_CODES.by_client.burst):
        services.limits.count(WRONG_NUMBER_CODES.by_client, "127.0.0.1")
    assert (await confirm(client, "000000")).status_code == 429
    few = replace(services, settings=replace(services.settings, number_codes_per_hour=1))
    transport = httpx.ASGITransport(create_app(few), client=("203.0.113.9", 1))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as other:
        assert (await request(other)).status_code == 200
        assert (await request(other, "+84912345678")).status_code == 429


@pytest.mark.parametrize("number", ["", "113", "+84123", "hello", "+840", "０９０１２３４５６７"])
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_what_is_no_number_is_said(
    client: httpx.AsyncClient, services: Services, number: str
) -> None:
    for response in (await request(client, number), await confirm(client, "000000", number)):
        assert (response.status_code, response.json()["error"]) == (400, "number-malformed")
    assert await messages(services) == []


@pytest.mark.parametrize("language", ["vi", "en", "fr"])
def test_the_message_fits_one_sms_and_is_in_the_language_asked_for(language: str) -> None:
    text = rules.number_code_message(NUMBER, "123456", language).text
    assert "123456" in text
    assert len(text) <= (160 if language == "en" else 70)
    assert ("code" in text) == (language == "en")


async def test_a_carrier_that_fails_changes_no_answer(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Broken:
        async def send(self, message: Message) -> MessageState:
            raise OSError(f"cannot reach {message.to}")

    app = create_app(replace(services, sender=Broken()))
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        assert (await request(client)).status_code == 200
    async with services.database.read() as session:
        [row] = await session.scalars(select(OutboxMessage))
    assert row.state == "waiting"


async def test_a_day_later_no_message_is_left(
    client: httpx.AsyncClient, services: Services, clock: ManualClock, run_job: RunJob
) -> None:
    await request(client)
    clock.advance(OTP_TTL_SECONDS)
    await run_job("messaging-retention")
    async with services.database.read() as session:
        assert (await session.scalars(select(NumberCode))).all() == []
    assert len(await messages(services)) == 1
    clock.advance(24 * 3600 - OTP_TTL_SECONDS)
    await run_job("messaging-retention")
    assert await messages(services) == []


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_no_number_and_no_code_is_on_the_disk(
    client: httpx.AsyncClient, services: Services
) -> None:
    await request(client)
    code = (await last_code(services)).encode()
    folder = Path(services.database.url.database or "").parent
    stored = b"".join(path.read_bytes() for path in folder.glob("service.db*"))
    assert b"number-code" in stored, "nothing was tested"
    assert b"901234567" not in stored
    assert code not in stored


async def test_no_code_goes_abroad(client: httpx.AsyncClient, services: Services) -> None:
    """There are numbers that earn by the message."""
    for number in ("+447911123456", "+88213300655", "+14155550123"):
        answer = await request(client, number)
        assert (answer.status_code, answer.json()["error"]) == (400, "number-foreign")
    assert await messages(services) == []
