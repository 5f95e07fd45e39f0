"""The auditor's pages: one's own subtree, filters, CSV, alerts that somebody else answers."""

import re

import httpx
import pytest
from sqlalchemy import select, update

from bluezone.clock import ManualClock
from bluezone.server.audit import service
from bluezone.server.audit.alerts import KEPT_SECONDS
from bluezone.server.audit.rules import Action, Purpose
from bluezone.server.audit.tables import AuditEntry, LookAlert
from bluezone.server.context import Services
from bluezone.server.forms import SESSION_COOKIE
from bluezone.server.people.rules import Grant, Staff, StaffRole
from bluezone.server.people.scope import Scope
from bluezone.server.register import service as register
from bluezone.server.register.rules import Details
from bluezone.server.register.service import Register
from tests.server.conftest import BA_DINH, LIEN_CHIEU, NGOC_HA, NOON, AddStaff, RunJob, SignInAs

Headers = dict[str, str]
LAN = Staff(101, "lan", (Grant(StaffRole.HEALTH_WORKER, BA_DINH),), Scope((BA_DINH,)))
NAMESAKE = Staff(102, "tran.thi.lan", (Grant(StaffRole.HEALTH_WORKER, NGOC_HA),))
FAR = Staff(103, "=hoa", (Grant(StaffRole.HEALTH_WORKER, LIEN_CHIEU),))
_TOKEN = re.compile(r'name="form_token" value="(\w+)"')


async def write(
    services: Services,
    staff: Staff,
    subject: str,
    action: Action = Action.LOOK,
    purpose: Purpose = Purpose.CASE,
) -> None:
    async with services.database.transaction() as session:
        await service.record(session, services, staff, action, subject=subject, purpose=purpose)


@pytest.fixture
async def auditors(add_staff: AddStaff, bearer: SignInAs) -> dict[str, Headers]:
    """Auditors of a province, a commune of it, and the nation."""
    found = {}
    for name, unit in (("hanoi", "vn.01"), ("xa", NGOC_HA), ("nuoc", "vn")):
        await add_staff(name, StaffRole.AUDITOR, unit)
        found[name] = await bearer(name)
    return found


async def seen(client: httpx.AsyncClient, headers: Headers, **query: str) -> list[str]:
    answer = await client.get("/v1/staff/audit", headers=headers, params=query)
    assert answer.status_code == 200, answer.text
    return [f"{one['account']} {one['subject']}" for one in answer.json()["entries"]]


async def test_an_auditor_sees_the_own_subtree_by_account_action_subject_and_day(
    client: httpx.AsyncClient,
    services: Services,
    clock: ManualClock,
    auditors: dict[str, Headers],
) -> None:
    await write(services, LAN, "person:1")
    clock.advance(86_400)
    await write(services, NAMESAKE, "person:1")
    await write(services, LAN, "case:2", Action.CHANGE, Purpose.TASK)
    await write(services, FAR, "person:3")
    hanoi = auditors["hanoi"]
    assert await seen(client, hanoi) == ["lan case:2", "tran.thi.lan person:1", "lan person:1"]
    assert await seen(client, auditors["xa"]) == ["tran.thi.lan person:1"]
    assert len(await seen(client, auditors["nuoc"])) == 4
    assert await seen(client, hanoi, account="LAN") == ["lan case:2", "lan person:1"]
    assert await seen(client, hanoi, account="102") == ["tran.thi.lan person:1"]
    assert await seen(client, hanoi, account="103") == []
    assert await seen(client, hanoi, action="change") == ["lan case:2"]
    assert await seen(client, hanoi, purpose="task") == ["lan case:2"]
    assert len(await seen(client, hanoi, subject="person:1")) == 2
    assert await seen(client, hanoi, until="2021-01-20") == ["lan person:1"]
    assert len(await seen(client, hanoi, since="2021-01-21")) == 2
    for wrong in ({"since": "x"}, {"until": "20210101x"}, {"subject": "a\0b"}):
        answer = await client.get("/v1/staff/audit", headers=hanoi, params=wrong)
        assert answer.status_code == 422
    assert await seen(client, hanoi, before="nonsense", account="9" * 40) == []


async def test_long_lists_go_on_without_a_gap(
    client: httpx.AsyncClient, services: Services, auditors: dict[str, Headers]
) -> None:
    async with services.database.transaction() as session:
        for number in range(130):
            staff = LAN if number % 2 else FAR
            await service.record(
                session, services, staff, Action.ADD, subject=f"p:{number}", purpose=Purpose.CASE
            )
    found: list[str] = []
    before = ""
    while True:
        answer = await client.get(
            "/v1/staff/audit", headers=auditors["nuoc"], params={"before": before}
        )
        found += [one["subject"] for one in answer.json()["entries"]]
        before = answer.json()["before"]
        if not before:
            break
    assert sorted(found) == sorted(f"p:{number}" for number in range(130))


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_the_page_shows_state_entries_and_a_table_that_runs_nothing(
    client: httpx.AsyncClient,
    services: Services,
    auditors: dict[str, Headers],
    run_job: RunJob,
) -> None:
    await write(services, FAR, "person:3")
    await write(services, LAN, "person:1")
    browser = _browser(auditors["nuoc"])
    page = await client.get("/staff/audit", headers=browser)
    assert "Not verified yet" in page.text
    await run_job("audit")
    page = await client.get("/staff/audit?account=101", headers=browser)
    assert "2 entries, every chain unbroken" in page.text
    assert "person:1" in page.text
    assert "person:3" not in page.text
    table = await client.get("/staff/audit/export?subject=person:3", headers=browser)
    assert table.headers["content-type"] == "text/csv; charset=utf-8"
    assert table.headers["cache-control"] == "no-store"
    head, line, last = table.content.decode("utf-8-sig").split("\r\n")
    assert head.startswith("time,account_id,account,")
    assert ",103,'=hoa,vn.48" in line
    assert last == ""
    assert await seen(client, auditors["nuoc"], action="export") == ["nuoc audit"]
    async with services.database.transaction() as session:
        await session.execute(update(AuditEntry).where(AuditEntry.chain == "48").values(detail="x"))
    await run_job("audit")
    page = await client.get("/staff/audit", headers=browser)
    assert "Chain 48 does not hold: see entry 1" in page.text
    page = await client.get("/staff/audit", headers=_browser(auditors["xa"]))
    assert "does not hold" not in page.text
    bad = await client.get("/staff/audit?since=x", headers=browser)
    assert bad.status_code == 422
    assert "Please give days" in bad.text


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_anybody_may_keep_the_anchor(
    client: httpx.AsyncClient, services: Services, run_job: RunJob
) -> None:
    assert (await client.get("/v1/audit.json")).status_code == 404
    await write(services, LAN, "person:1")
    await run_job("audit")
    anchor = await client.get("/v1/audit.json")
    assert anchor.status_code == 200
    assert "lan" not in anchor.text


# --- alerts ----------------------------------------------------------------------------
async def alerts(client: httpx.AsyncClient, headers: Headers) -> list[tuple[str, str, int]]:
    answer = await client.get("/v1/staff/audit/alerts", headers=headers)
    assert answer.status_code == 200, answer.text
    return sorted((one["rule"], one["account"], one["count"]) for one in answer.json()["alerts"])


async def test_unusual_looking_is_told_to_the_auditor_and_the_units_administrator(
    client: httpx.AsyncClient,
    services: Services,
    clock: ManualClock,
    add_staff: AddStaff,
    bearer: SignInAs,
    auditors: dict[str, Headers],
    run_job: RunJob,
) -> None:
    keys = Register.open(services.settings.secrets_folder)
    async with services.database.transaction() as session:
        people = await register.add_many(
            session,
            keys,
            [(Details(name="Trần Thị Lan"), BA_DINH), *[(Details(name="An"), BA_DINH)] * 6],
            now=NOON,
        )
    for one in people[:6]:  # without a case or a task of the unit
        await write(services, LAN, f"person:{one.id}")
    await write(services, NAMESAKE, f"person:{people[0].id}")
    async with services.database.transaction() as session:
        for _ in range(9):
            await service.record_search(
                session, services, FAR, Purpose.HOTLINE, by="person", found=0
            )
    await run_job("unusual-looking")
    expected = [
        ("empty-searches", "=hoa", 9),
        ("same-name", "tran.thi.lan", 1),
        ("without-reason", "lan", 6),
    ]
    assert await alerts(client, auditors["nuoc"]) == expected
    assert await alerts(client, auditors["hanoi"]) == expected[1:]
    await add_staff("quan", StaffRole.ADMIN, BA_DINH)
    quan = await bearer("quan")
    assert await alerts(client, quan) == expected[2:]
    # The same again changes nothing; more of it counts on.
    clock.advance(900)
    await write(services, LAN, f"person:{people[6].id}")
    await run_job("unusual-looking")
    await run_job("unusual-looking")
    assert await alerts(client, quan) == [("without-reason", "lan", 7)]
    clock.advance(KEPT_SECONDS + 1000)
    await run_job("alerts-retention")
    async with services.database.read() as session:
        assert (await session.scalars(select(LookAlert))).all() == []


def _browser(headers: Headers) -> Headers:
    token = headers["Authorization"].removeprefix("Bearer ")
    return {"Cookie": f"{SESSION_COOKIE}={token}; bluezone_language=en"}


async def test_an_alert_is_answered_with_a_word_by_somebody_else(
    client: httpx.AsyncClient,
    services: Services,
    add_staff: AddStaff,
    bearer: SignInAs,
    auditors: dict[str, Headers],
    run_job: RunJob,
) -> None:
    for number in range(1, 7):
        await write(services, LAN, f"person:{number}")
    await run_job("unusual-looking")
    browser = _browser(auditors["hanoi"])
    page = await client.get("/staff/audit/alerts", headers=browser)
    assert "lan opened 6 people for whom the unit has no case and no task" in page.text
    token = _TOKEN.search(page.text)
    assert token
    form = {
        "form_token": token[1],
        "rule": "without-reason",
        "account": "101",
        "day": "2021-01-20",
        "answer": "explained",
        "word": " ",
    }
    empty = await client.post("/staff/audit/alerts", headers=browser, data=form)
    assert empty.status_code == 422
    assert "Please write a word on it" in empty.text
    form["word"] = "Chị Lan gọi thay cho phường bên."
    done = await client.post("/staff/audit/alerts", headers=browser, data=form)
    assert done.status_code == 303
    shown = await client.get("/staff/audit/alerts?all=1", headers=browser)
    assert "hanoi: there was a good reason" in shown.text
    assert form["word"] in shown.text
    assert "lan opened" not in (await client.get("/staff/audit/alerts", headers=browser)).text
    again = await client.post("/staff/audit/alerts", headers=browser, data=form)
    assert again.status_code == 409
    assert await seen(client, auditors["hanoi"], action="change") == [
        "hanoi alert:without-reason:101:2021-01-20"
    ]
    # Beyond one's units, and about oneself.
    stranger = _browser(auditors["xa"])
    page = await client.get("/staff/audit/alerts", headers=stranger)
    token = _TOKEN.search(page.text)
    assert token
    refused = await client.post(
        "/staff/audit/alerts", headers=stranger, data={**form, "form_token": token[1]}
    )
    assert refused.status_code == 404
