"""The inbox from the staff's side: one's own unit, decisions with history, every look kept."""

import asyncio
import re

import httpx
import pytest
from sqlalchemy import select

from bluezone.clock import ManualClock
from bluezone.protocol.handover import HandoverState
from bluezone.server.audit.service import LOOKS_BY_ACCOUNT
from bluezone.server.audit.tables import AuditEntry
from bluezone.server.context import Services
from bluezone.server.forms import SESSION_COOKIE
from bluezone.server.messaging import rules as messaging
from bluezone.server.messaging.service import receipt_key
from bluezone.server.people.rules import StaffRole
from bluezone.server.places.units import NATION
from bluezone.server.tracing.inbox import DECISIONS_BY_ACCOUNT
from bluezone.server.tracing.rules import KEPT_SECONDS
from tests.server.conftest import LIEN_CHIEU, NOON, AddStaff, RunJob, SignInAs
from tests.server.tracing.conftest import IssueCode, answer, ask, details, diary, send

SECRET = bytes(range(16))

pytestmark = pytest.mark.usefixtures("stations")
Headers = dict[str, str]


@pytest.fixture
async def lan(add_staff: AddStaff, bearer: SignInAs) -> Headers:
    """A health worker of BA_DINH."""
    await add_staff("lan")
    return await bearer("lan")


@pytest.fixture
async def hoa(add_staff: AddStaff, bearer: SignInAs) -> Headers:
    """A health worker of another unit."""
    await add_staff("hoa", unit=LIEN_CHIEU)
    return await bearer("hoa")


async def looks(services: Services) -> list[tuple[str, str, bool]]:
    async with services.database.read() as session:
        rows = await session.scalars(select(AuditEntry).order_by(AuditEntry.sequence))
        return [
            (row.account_name, row.action, row.subject.startswith("handover:"))
            for row in rows
            if row.account_id
        ]


async def listed(client: httpx.AsyncClient, headers: Headers, **query: str) -> list[str]:
    response = await client.get("/v1/staff/inbox", headers=headers, params=query)
    assert response.status_code == 200, response.text
    return [one["reference"] for one in response.json()["items"]]


def address(secret: bytes) -> str:
    return f"/v1/staff/inbox/{details(secret).handover.hex()}"


async def test_a_unit_sees_its_own_items_and_nobody_elses(
    client: httpx.AsyncClient,
    services: Services,
    issue: IssueCode,
    lan: Headers,
    hoa: Headers,
    add_staff: AddStaff,
    bearer: SignInAs,
) -> None:
    mine = answer(await send(client, details(SECRET))).reference
    unassigned = answer(await send(client, details(bytes(16), commune=""))).reference
    handed = answer(await send(client, diary(b"the diary's one.", await issue()))).reference
    await add_staff("bo", unit=NATION)
    await add_staff("root", StaffRole.ADMIN)
    assert sorted(await listed(client, lan)) == sorted([mine, handed])
    assert await listed(client, lan, reference=mine.lower()) == [mine]
    assert await listed(client, hoa) == []
    assert await listed(client, hoa, reference=mine) == []
    assert sorted(await listed(client, await bearer("bo"))) == sorted([mine, unassigned, handed])
    body = {"state": "cleared", "template": "no-contact", "seen": 0}
    for stranger, status in ((hoa, 404), (await bearer("root"), 403), ({}, 401)):
        for path in (address(SECRET), f"{address(b'the diary' + b'x')}/diary"):
            assert (await client.get(path, headers=stranger)).status_code == status
        refused = await client.post(address(SECRET), json=body, headers=stranger)
        assert refused.status_code == status
    assert answer(await ask(client, SECRET)).state is HandoverState.RECEIVED
    assert await looks(services) == []


async def test_a_look_is_written_down_with_who_and_when(
    client: httpx.AsyncClient, services: Services, issue: IssueCode, lan: Headers
) -> None:
    await send(client, details(SECRET))
    await send(client, diary(bytes(16), await issue()))
    await listed(client, lan)
    assert await looks(services) == []  # a list says nothing of whom
    opened = (await client.get(address(SECRET), headers=lan)).json()
    assert opened["details"]["name"] == "Trần Thị Lan"
    assert opened["details"]["commune_name"] == "Phường Ba Đình, Thành phố Hà Nội"
    assert opened["details"]["number_verified_at"] is None
    assert opened["details"]["days"][0]["minutes"] == 25
    assert opened["diary"] is None
    handed = (await client.get(address(bytes(16)), headers=lan)).json()
    assert handed["diary"] == {
        "about": "self",
        "keys": 1,
        "days": [{"day": "2021-01-19", "records": 25}, {"day": "2021-01-20", "records": 25}],
    }
    assert "records" not in handed
    file = await client.get(f"{address(bytes(16))}/diary", headers=lan)
    assert file.headers["content-disposition"].startswith('attachment; filename="diary-')
    assert len(file.json()["keys"]) == 1
    assert file.json()["code"] == ""
    assert await looks(services) == [
        ("lan", "look", True),
        ("lan", "look", True),
        ("lan", "export", True),
    ]
    assert (await client.get(f"{address(SECRET)}/diary", headers=lan)).status_code == 404


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_an_account_cannot_copy_the_inbox(
    client: httpx.AsyncClient, services: Services, lan: Headers
) -> None:
    await send(client, details(SECRET))
    body = {"state": "cleared", "words": "x", "seen": 0}
    for rule in (LOOKS_BY_ACCOUNT, DECISIONS_BY_ACCOUNT):
        for _ in range(rule.burst):
            services.limits.count(rule, "1")
    for path in (address(SECRET), f"{address(SECRET)}/diary"):
        refused = await client.get(path, headers=lan)
        assert refused.status_code == 429
        assert "Lan" not in refused.text
    assert (await client.post(address(SECRET), json=body, headers=lan)).status_code == 429
    assert await looks(services) == []


async def test_a_number_is_verified_by_its_receipt_alone(
    client: httpx.AsyncClient, services: Services, lan: Headers
) -> None:
    key = receipt_key(services.settings.secrets_folder)
    number, at = "+84901234567", NOON - 60
    right = messaging.receipt(number, at, key)
    for secret, changes, verified in (
        (b"1" * 16, {"number_receipt": right, "number_verified_at": at}, at),
        (b"2" * 16, {"number_receipt": right, "number_verified_at": at + 1}, None),
        (b"3" * 16, {"number_receipt": right[:31], "number_verified_at": at}, None),
        (
            b"4" * 16,
            {
                "number_receipt": right,
                "number_verified_at": at,
                "phone_number": "+84901234568",
            },
            None,
        ),
    ):
        await send(client, details(secret, **changes))
        opened = (await client.get(address(secret), headers=lan)).json()
        assert opened["details"]["number_verified_at"] == verified


async def test_a_decision_reaches_the_person_and_can_be_changed(
    client: httpx.AsyncClient,
    services: Services,
    lan: Headers,
    clock: ManualClock,
    add_staff: AddStaff,
    bearer: SignInAs,
) -> None:
    await add_staff("minh")
    minh = await bearer("minh")
    await send(client, details(SECRET))
    clock.advance(100)
    body = {"state": "confirmed", "template": "stay-home", "words": "Gọi 115.", "seen": 0}
    assert (await client.post(address(SECRET), json=body, headers=lan)).status_code == 204
    told = answer(await ask(client, SECRET))
    assert (told.state, told.updated_at) == (HandoverState.CONFIRMED, NOON + 100)
    assert told.message["en"].startswith("You were in contact")
    assert told.message["vi"].startswith("Bạn đã tiếp xúc")
    assert told.message["vi"].endswith("\n\nGọi 115.")
    assert await listed(client, lan) == []
    assert len(await listed(client, lan, state="confirmed")) == 1

    late = await client.post(address(SECRET), json=body, headers=minh)
    assert (late.status_code, late.json()["error"]) == (409, "handover-changed")
    clock.advance(100)
    body = {"state": "cleared", "words": "Nhầm người.", "seen": 1}
    assert (await client.post(address(SECRET), json=body, headers=minh)).status_code == 204
    told = answer(await ask(client, SECRET))
    assert told.state is HandoverState.CLEARED
    assert told.message == {"vi": "Nhầm người.", "en": "Nhầm người."}
    history = (await client.get(address(SECRET), headers=lan)).json()["history"]
    assert [(one["account"], one["state"], one["at"]) for one in history] == [
        ("minh", "cleared", NOON + 200),
        ("lan", "confirmed", NOON + 100),
    ]


async def test_a_case_is_not_told_that_it_was_a_contact(
    client: httpx.AsyncClient, lan: Headers, issue: IssueCode
) -> None:
    await send(client, diary(SECRET, await issue()))
    body = {"state": "confirmed", "template": "stay-home", "seen": 0}
    wrong = await client.post(address(SECRET), json=body, headers=lan)
    assert wrong.json()["error"] == "template-unknown"
    right = {**body, "template": "diary-used"}
    assert (await client.post(address(SECRET), json=right, headers=lan)).status_code == 204
    assert answer(await ask(client, SECRET)).message["en"].startswith("Thank you.")


async def test_of_two_who_decide_at_once_one_is_told(
    client: httpx.AsyncClient, lan: Headers
) -> None:
    await send(client, details(SECRET))
    body = {"state": "confirmed", "template": "stay-home", "seen": 0}
    several = await asyncio.gather(
        *(client.post(address(SECRET), json=body, headers=lan) for _ in range(3))
    )
    assert sorted(one.status_code for one in several) == [204, 409, 409]


async def test_withdrawn_it_shows_nothing_and_cannot_be_decided(
    client: httpx.AsyncClient, lan: Headers
) -> None:
    await send(client, details(SECRET))
    body = {"state": "confirmed", "words": "Chị Lan cần xét nghiệm.", "seen": 0}
    await client.post(address(SECRET), json=body, headers=lan)
    taken_back = answer(await ask(client, SECRET, "withdraw"))
    assert taken_back.message == {}
    opened = await client.get(address(SECRET), headers=lan)
    assert "Lan" not in opened.text.replace('"lan"', "")
    assert opened.json()["details"] is None
    [decision] = opened.json()["history"]
    assert (decision["account"], decision["message"]) == ("lan", {})
    late = await client.post(address(SECRET), json={**body, "seen": 2}, headers=lan)
    assert late.json()["error"] == "handover-changed"


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ({"state": "received", "words": "x", "seen": 0}, "decision-unknown"),
        ({"state": "withdrawn", "words": "x", "seen": 0}, "decision-unknown"),
        ({"state": "confirmed", "seen": 0}, "message-missing"),
        ({"state": "confirmed", "template": "no-contact", "seen": 0}, "template-unknown"),
        ({"state": "cleared", "words": "x" * 501, "seen": 0}, "words-too-long"),
        ({"state": "cleared", "words": "x", "seen": 7}, "handover-changed"),
        ({"state": "nonsense", "words": "x", "seen": 0}, "wrong-form"),
    ],
)
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_what_is_no_decision_is_refused(
    client: httpx.AsyncClient, lan: Headers, body: dict[str, object], error: str
) -> None:
    await send(client, details(SECRET))
    response = await client.post(address(SECRET), json=body, headers=lan)
    assert response.json()["error"] == error
    assert answer(await ask(client, SECRET)).state is HandoverState.RECEIVED


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_addresses_that_name_no_item(client: httpx.AsyncClient, lan: Headers) -> None:
    for name in ("x", "00", "00" * 32, "%00", "..%2f"):
        response = await client.get(f"/v1/staff/inbox/{name}", headers=lan)
        assert response.status_code == 404, name
    assert await listed(client, lan, reference="a\0b") == []
    assert (await client.get("/v1/staff/inbox?state=x", headers=lan)).status_code == 400


async def test_a_decision_is_said_on_the_page_in_words_of_the_item_alone(
    client: httpx.AsyncClient, services: Services, lan: Headers, hoa: Headers
) -> None:
    sent = answer(await send(client, details(SECRET)))
    name = details(SECRET).handover.hex()

    async def said(decided: str, headers: Headers) -> str:
        query = {"decided": decided, "language": "en", "state": "cleared"}
        token = headers["Authorization"].removeprefix("Bearer ")
        browser = {"Cookie": f"{SESSION_COOKIE}={token}"}
        response = await client.get("/staff/inbox", headers=browser, params=query)
        assert response.status_code == 200
        found = re.search(r'role="status">(.*?)</p>', response.text, re.DOTALL)
        return found[1].strip() if found else ""

    assert await said(name, lan) == ""  # not decided
    body = {"state": "confirmed", "words": "x", "seen": 0}
    assert (await client.post(address(SECRET), json=body, headers=lan)).is_success
    assert (await said(name, lan)).startswith(f"Done: hand-over {sent.reference} is confirmed.")
    assert await said(name, hoa) == ""
    for forged in ("You are dismissed", "00" * 32, "x", "\0"):
        assert await said(forged, lan) == ""
    assert await looks(services) == []  # nothing of what was handed over is shown
    await ask(client, SECRET, "withdraw")
    assert await said(name, lan) == ""


async def test_the_audit_outlives_what_was_looked_at(
    client: httpx.AsyncClient,
    services: Services,
    lan: Headers,
    clock: ManualClock,
    run_job: RunJob,
) -> None:
    await send(client, details(SECRET))
    await client.get(address(SECRET), headers=lan)
    clock.advance(KEPT_SECONDS)
    await run_job("tracing-retention")
    assert (await client.get(address(SECRET), headers=lan)).status_code == 404
    await run_job("audit")
    assert len(await looks(services)) == 1
