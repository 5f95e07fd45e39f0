"""Scheduled reports on both stores: made once, sealed, theirs alone, gone with grant and time."""

import re
from collections.abc import Awaitable, Callable

from sqlalchemy import delete, func, select, update

from bluezone.clock import ManualClock
from bluezone.server.audit.tables import AuditEntry
from bluezone.server.context import Services
from bluezone.server.linelists.tables import Report, ReportPart, ReportSchedule
from bluezone.server.people.tables import StaffGrant
from tests.server.conftest import BA_DINH, NOON, RunJob
from tests.server.situation.conftest import Reader
from tests.server.situation.outbreak import Outbreak

SignIn = Callable[..., Awaitable[Reader]]
REASON = "báo cáo giao ban tuần"
JOB = "make-scheduled-reports"


async def count(services: Services, table: type) -> int:
    async with services.database.read() as session:
        return await session.scalar(select(func.count()).select_from(table)) or 0


async def link(reader: Reader) -> list[str]:
    page = await reader.get("/staff/exports")
    return re.findall(r'href="(/staff/exports/reports/\d+)"', page.text)


async def test_a_report_is_made_once_and_opens_for_whoever_asked(
    services: Services, outbreak: Outbreak, reader: SignIn, run_job: RunJob, clock: ManualClock
) -> None:
    lan = await reader("lan", unit=BA_DINH)
    hoa = await reader("hoa", unit=BA_DINH)
    await lan.get("/staff/exports")
    await lan.post("/staff/exports", 422, kind="cases", every="week", column="name")
    await lan.post(
        "/staff/exports", 303, kind="contacts", every="week", column=["person", "name"],
        reason=REASON,
    )  # fmt: skip
    for _ in range(2):
        await run_job(JOB)
    assert await count(services, Report) == 1
    (address,) = await link(lan)
    text = (await lan.get(address)).text
    names = {outbreak.name_of[one] for one in outbreak.people if outbreak.unit_of[one] == BA_DINH}
    assert {line.partition(",")[2] for line in text.splitlines()[1:]} <= names
    async with services.database.read() as session:
        part = (await session.scalars(select(ReportPart.sealed))).first()
        entries = list(await session.scalars(select(AuditEntry)))
    assert part is not None
    assert not any(name.encode() in part for name in names)
    assert [entry.action for entry in entries] == ["add", "export"]
    assert "personal" in entries[1].detail
    assert REASON in entries[0].detail  # an auditor sees why
    # A colleague with the same grants has none of it.
    assert await link(hoa) == []
    await hoa.get(address, 404)
    # The following week another one is made.
    clock.set(NOON + 7 * 86400)
    await run_job(JOB)
    assert await count(services, Report) == 2


async def test_who_lost_the_grant_gets_none_of_it(
    services: Services, outbreak: Outbreak, reader: SignIn, run_job: RunJob, clock: ManualClock
) -> None:
    lan = await reader("lan", unit=BA_DINH)
    await lan.get("/staff/exports")
    await lan.post("/staff/exports", 303, kind="cases", every="day")
    await run_job(JOB)
    (address,) = await link(lan)
    await lan.get(address)
    async with services.database.transaction() as session:
        await session.execute(update(StaffGrant).values(unit="vn.79"))
    assert await link(lan) == []
    await lan.get(address, 404)
    async with services.database.transaction() as session:
        await session.execute(delete(StaffGrant))
    clock.set(NOON + 86400)
    await run_job(JOB)
    assert await count(services, Report) == 1


async def test_reports_end_with_their_schedule_and_after_thirty_days(
    services: Services, outbreak: Outbreak, reader: SignIn, run_job: RunJob, clock: ManualClock
) -> None:
    lan = await reader("lan", unit="vn")
    await lan.get("/staff/exports")
    await lan.post("/staff/exports", 303, kind="cases", every="week")
    await run_job(JOB)
    clock.set(NOON + 31 * 86400)
    await run_job(JOB)
    await run_job("linelists-retention")
    assert await count(services, Report) == 1  # the new one
    async with services.database.read() as session:
        schedule = await session.scalar(select(ReportSchedule.id))
    clock.set(NOON)
    await lan.post(f"/staff/exports/schedules/{schedule}/end", 303)
    assert await count(services, Report) == await count(services, ReportPart) == 0


async def test_a_report_that_a_dead_process_left_is_made_anew(
    services: Services, outbreak: Outbreak, reader: SignIn, run_job: RunJob
) -> None:
    lan = await reader("lan", unit="vn")
    await lan.get("/staff/exports")
    await lan.post("/staff/exports", 303, kind="results", every="week")
    await run_job(JOB)
    (address,) = await link(lan)
    whole = (await lan.get(address)).text
    async with services.database.transaction() as session:
        await session.execute(update(Report).values(size=-1))
        await session.execute(delete(ReportPart))
    assert await link(lan) == []
    await lan.get(address, 404)
    await run_job(JOB)
    (address,) = await link(lan)
    assert (await lan.get(address)).text == whole
