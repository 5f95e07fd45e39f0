"""Hand-overs from the phone's side: kept once, answered alike, taken back, gone in time."""

import asyncio
import os
from pathlib import Path

import httpx
import msgspec
import pytest
from sqlalchemy import func, select

from bluezone.clock import ManualClock
from bluezone.protocol.handover import MAX_DIARY_RECORDS, HandoverState, reference
from bluezone.server.context import Services
from bluezone.server.diagnosis.guessing import WRONG_CODES_BY_ADDRESS
from bluezone.server.places.units import NATION
from bluezone.server.tracing.routes import BODY_LIMITS, DETAILS, DIARIES, QUESTIONS
from bluezone.server.tracing.rules import KEPT_SECONDS
from bluezone.server.tracing.tables import Handover, HandoverContent
from tests.server.conftest import BA_DINH, NGOC_HA, RunJob
from tests.server.tracing.conftest import IssueCode, answer, ask, details, diary, send

SECRET = bytes(range(16))


async def rows(services: Services) -> list[Handover]:
    async with services.database.read() as session:
        return list(await session.scalars(select(Handover)))


async def contents(services: Services) -> int:
    async with services.database.read() as session:
        return await session.scalar(select(func.count()).select_from(HandoverContent)) or 0


async def test_details_arrive_once_however_often_they_are_sent(
    client: httpx.AsyncClient, services: Services, clock: ManualClock
) -> None:
    message = details(SECRET)
    first = answer(await send(client, message))
    assert first.state is HandoverState.RECEIVED
    assert first.reference == reference(message.handover)
    clock.advance(600)
    assert answer(await send(client, message)) == first
    several = await asyncio.gather(*(send(client, message) for _ in range(4)))
    assert [answer(one) for one in several] == [first] * 4
    assert await contents(services) == 1


async def test_another_message_under_the_same_id_is_refused(
    client: httpx.AsyncClient, issue: IssueCode
) -> None:
    await send(client, details(SECRET))
    other = await send(client, details(SECRET, name="Somebody else"))
    assert (other.status_code, other.json()["error"]) == (409, "handover-differs")
    other = await send(client, diary(SECRET, await issue()))
    assert other.status_code == 409
    assert answer(await ask(client, SECRET)).state is HandoverState.RECEIVED


async def test_only_the_secret_asks_and_withdraws(
    client: httpx.AsyncClient, services: Services
) -> None:
    await send(client, details(SECRET))
    for verb in ("status", "withdraw"):
        stranger = await ask(client, os.urandom(16), verb)
        assert (stranger.status_code, stranger.json()["error"]) == (404, "handover-unknown")
        assert "30" in stranger.json()["message"]["vi"]
    assert answer(await ask(client, SECRET)).state is HandoverState.RECEIVED
    assert await contents(services) == 1


async def test_withdrawn_is_deleted_at_once_and_stays_withdrawn(
    client: httpx.AsyncClient, services: Services, clock: ManualClock
) -> None:
    await send(client, details(SECRET))
    clock.advance(60)
    taken_back = answer(await ask(client, SECRET, "withdraw"))
    assert (taken_back.state, taken_back.message) == (HandoverState.WITHDRAWN, {})
    assert await contents(services) == 0
    [row] = await rows(services)
    assert (row.digest, row.code_mac) == (None, None)
    # Again, or a message that was still on its way: nothing comes back.
    assert answer(await ask(client, SECRET, "withdraw")) == taken_back
    assert answer(await send(client, details(SECRET))) == taken_back
    assert answer(await send(client, details(SECRET, name="Another"))) == taken_back
    assert await contents(services) == 0


async def test_details_go_to_the_unit_of_their_commune_else_to_the_nation(
    client: httpx.AsyncClient, services: Services, stations: None
) -> None:
    for number, commune in enumerate(("00004", "00008", "99999", "")):
        await send(client, details(bytes([number]) * 16, commune=commune))
    assert sorted(row.unit for row in await rows(services)) == sorted(
        [BA_DINH, NGOC_HA, NATION, NATION]
    )


async def test_a_diary_needs_a_code_and_goes_to_its_unit(
    client: httpx.AsyncClient, services: Services, issue: IssueCode, clock: ManualClock
) -> None:
    code = await issue()
    message = diary(SECRET, f"{code[:4]}-{code[4:8]}-{code[8:]}")
    first = answer(await send(client, message))
    [row] = await rows(services)
    assert (row.kind, row.unit) == ("diary", BA_DINH)
    clock.advance(25 * 3600)  # the code is too old by now, and the answer was lost
    assert answer(await send(client, message)) == first
    late = await send(client, diary(bytes(16), code))
    assert (late.status_code, late.json()["error"]) == (403, "code-unknown")


async def test_a_code_is_good_for_a_day(
    client: httpx.AsyncClient, issue: IssueCode, clock: ManualClock
) -> None:
    code = await issue()
    clock.advance(24 * 3600 - 1)
    assert (await send(client, diary(SECRET, code))).status_code == 200


async def test_one_diary_for_each_code(
    client: httpx.AsyncClient, services: Services, issue: IssueCode
) -> None:
    code = await issue()
    several = await asyncio.gather(
        *(send(client, diary(bytes([number]) * 16, code)) for number in range(4))
    )
    assert sorted(one.status_code for one in several) == [200, 409, 409, 409]
    refused = next(one for one in several if one.status_code == 409)
    assert refused.json()["error"] == "code-has-diary"
    assert await contents(services) == 1


async def test_guessing_codes_spends_the_same_budget_as_for_permissions(
    client: httpx.AsyncClient, services: Services, issue: IssueCode
) -> None:
    code = await issue()
    for number in range(WRONG_CODES_BY_ADDRESS.burst):
        refused = await send(client, diary(SECRET, f"{number:012d}"))
        assert (refused.status_code, refused.json()["error"]) == (403, "code-unknown")
    assert (await send(client, diary(SECRET, code))).status_code == 429
    assert services.limits.full(WRONG_CODES_BY_ADDRESS, "127.0.0.1")
    assert await rows(services) == []


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"records": bytes(33)}, "diary-records"),
        ({"records": bytes(32 * (MAX_DIARY_RECORDS + 1))}, "diary-too-long"),
        ({"keys": [{"key": b"x", "rolling_start": 0, "rolling_period": 144}]}, "diary-keys"),
        ({"keys": [{"key": bytes(16), "rolling_start": 0, "rolling_period": 0}]}, "diary-keys"),
        ({"code": "12345"}, "code-malformed"),
    ],
)
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_what_is_no_diary_is_refused(
    client: httpx.AsyncClient, issue: IssueCode, changes: dict[str, object], error: str
) -> None:
    message = msgspec.to_builtins(diary(SECRET, await issue()), builtin_types=(bytes,))
    body = msgspec.json.encode({**message, **changes})
    response = await client.post("/v1/handovers/diary", content=body)
    assert response.json()["error"] == error
    assert response.status_code in (400, 422)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_the_largest_diary_arrives_and_no_larger_body_does(
    client: httpx.AsyncClient, issue: IssueCode
) -> None:
    assert (await send(client, diary(SECRET, await issue(), MAX_DIARY_RECORDS))).status_code == 200
    for path, limit in BODY_LIMITS.items():
        large = b'{"x": "' + b"x" * limit.max_bytes + b'"}'
        response = await client.post(path, content=large)
        assert (response.status_code, response.json()["error"]) == (413, "body-too-large")


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_an_address_can_send_and_ask_only_so_much(
    client: httpx.AsyncClient, services: Services
) -> None:
    for budget, path in ((DETAILS, "details"), (DIARIES, "diary")):
        for _ in range(budget.by_client.burst):
            services.limits.count(budget.by_client, "127.0.0.1")
        response = await client.post(f"/v1/handovers/{path}", content=b"{}")
        assert response.status_code == 429
        assert response.headers["retry-after"].isdigit()
    for _ in range(QUESTIONS.burst):
        services.limits.count(QUESTIONS, "127.0.0.1")
    for verb in ("status", "withdraw"):
        assert (await ask(client, SECRET, verb)).status_code == 429


async def test_thirty_days_later_nothing_is_left(
    client: httpx.AsyncClient,
    services: Services,
    issue: IssueCode,
    clock: ManualClock,
    run_job: RunJob,
) -> None:
    await send(client, details(SECRET))
    await send(client, diary(bytes(16), await issue()))
    await send(client, details(b"withdrawn, so it"))
    await ask(client, b"withdrawn, so it", "withdraw")
    clock.advance(KEPT_SECONDS - 1)
    await send(client, details(b"a new one today."))
    await run_job("tracing-retention")
    assert len(await rows(services)) == 4
    clock.advance(1)
    await run_job("tracing-retention")
    assert len(await rows(services)) == await contents(services) == 1
    assert (await ask(client, SECRET)).status_code == 404


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_the_disk_names_nobody_and_forgets_what_is_withdrawn(
    client: httpx.AsyncClient, services: Services, issue: IssueCode
) -> None:
    folder = Path(services.database.url.database or "").parent

    def stored() -> bytes:
        return b"".join(path.read_bytes() for path in folder.glob("service.db*"))

    message, code = details(SECRET), await issue()
    handed = diary(bytes(16), code)
    await send(client, message)
    await send(client, handed)
    async with services.database.read() as session:
        sealed = list(await session.scalars(select(HandoverContent.sealed)))
    assert all(one in stored() for one in sealed)
    for text in (message.name.encode(), b"901234567", message.note.encode()[:12], code.encode()):
        assert text not in stored()
    assert handed.keys[0].key not in stored()
    assert handed.records[:16] not in stored()
    await ask(client, SECRET, "withdraw")
    await ask(client, bytes(16), "withdraw")
    assert not any(one[-32:] in stored() for one in sealed)


async def test_what_staff_would_call_must_be_a_number(client: httpx.AsyncClient) -> None:
    """Their page makes a link of it."""
    for number in ("javascript:alert(1)", "**21*0901234567#", "0901234567", "\u202e4321"):
        answer_ = await send(client, details(b"n" * 16, phone_number=number))
        assert answer_.status_code == 422, number
    assert (await send(client, details(b"n" * 16, phone_number=""))).status_code == 200
