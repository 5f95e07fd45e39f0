"""The verbs of scheduled reports: ask for one, make what is due, hand it out. None commits but
`make_due`, which is the job."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

import msgspec
import structlog
from sqlalchemy import ColumnElement, delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from bluezone.protocol.intervals import DAY_SECONDS, vietnam_day
from bluezone.server.audit import service as audit
from bluezone.server.audit.rules import Action, Purpose
from bluezone.server.context import Services
from bluezone.server.errors import Refused
from bluezone.server.linelists import exports, rules
from bluezone.server.linelists.rules import Every, Plan, Wanted
from bluezone.server.linelists.tables import Report, ReportPart, ReportSchedule, SavedSearch
from bluezone.server.people import service as people
from bluezone.server.people.rules import Staff, StaffRole
from bluezone.server.people.scope import Scope
from bluezone.server.places import units
from bluezone.server.sealing import Sealer
from bluezone.server.selection import Selection, narrowed
from bluezone.storage.lease import Lease
from bluezone.web.catalogue import _

SCHEDULES_AT_MOST: Final = 20
PART_BYTES: Final = 1 << 20
_UNFINISHED: Final = -1  # the size of a report that is being made
_REASON: Final = b"report-reason"
_CONTENT: Final = b"report"

_log = structlog.get_logger()


async def schedule(
    session: AsyncSession,
    services: Services,
    staff: Staff,
    wanted: Wanted,
    every: Every,
    path: str | None,
) -> ReportSchedule:
    """Have a list made regularly, of the unit of `path` (none: all of one's own).

    Raises Refused (422, 409).
    """
    plan = rules.plan(wanted)
    count = await session.scalar(
        select(func.count())
        .select_from(ReportSchedule)
        .where(ReportSchedule.account_id == staff.account_id)
    )
    if (count or 0) >= SCHEDULES_AT_MOST:
        raise Refused(409, "report-count", _("You have many scheduled reports. End some first."))
    row = ReportSchedule(
        account_id=staff.account_id,
        name=f"{plan.list.value}-{every.value}",
        every=every.value,
        asked=msgspec.json.encode(
            msgspec.structs.replace(wanted, reason="", unit="", since="", until="")
        ).decode(),
        unit=path,
        reason=_sealer(services.settings.secrets_folder).seal(
            plan.reason.encode(), _REASON, str(staff.account_id).encode()
        ),
        created_at=services.now,
    )
    session.add(row)
    await session.flush()
    await audit.record(
        session,
        services,
        staff,
        Action.ADD,
        subject=f"report-schedule:{row.id}",
        purpose=Purpose.REPORT,
        detail=f"{_said(plan)} every {every.value} of {path or ','.join(staff.scope.units)}"
        + (f"; reason: {plan.reason}" if plan.is_personal else ""),
    )
    return row


async def schedules(session: AsyncSession, staff: Staff) -> list[ReportSchedule]:
    """One's own schedules, the latest first."""
    rows = await session.scalars(
        select(ReportSchedule)
        .where(ReportSchedule.account_id == staff.account_id)
        .order_by(ReportSchedule.id.desc())
    )
    return list(rows)


async def end_schedule(
    session: AsyncSession, services: Services, staff: Staff, schedule_id: int
) -> None:
    """Make no more of these, and delete those that were made. Raises Refused (404)."""
    row = await session.get(ReportSchedule, schedule_id)
    if row is None or row.account_id != staff.account_id:
        raise Refused(404, "report-unknown", _("There is no such report of yours."))
    await _delete(session, Report.schedule_id == row.id)
    await session.delete(row)
    await audit.record(
        session, services, staff, Action.DELETE, subject=f"report-schedule:{schedule_id}",
        purpose=Purpose.REPORT,
    )  # fmt: skip


async def reports(session: AsyncSession, staff: Staff) -> list[Report]:
    """One's own reports that one may still open, the latest first."""
    rows = await session.scalars(
        select(Report)
        .where(Report.account_id == staff.account_id, Report.size >= 0)
        .order_by(Report.id.desc())
    )
    return [row for row in rows if _is_granted(row, staff)]


async def hand_out(
    session: AsyncSession, services: Services, staff: Staff, report_id: int
) -> Report:
    """One's own report, if every unit in it is still granted; written to the audit.

    Raises Refused (404).
    """
    row = await session.get(Report, report_id)
    if (
        row is None
        or row.account_id != staff.account_id
        or not _is_granted(row, staff)
        or row.size < 0
    ):
        raise Refused(404, "report-unknown", _("There is no such report of yours."))
    await audit.record(
        session,
        services,
        staff,
        Action.EXPORT,
        subject=f"report:{row.id}",
        purpose=Purpose.REPORT,
        detail=f"{row.name}.{row.form}{' personal' if row.is_personal else ''} {row.units}"
        f" {row.first_day}..{row.last_day}",
    )
    return row


async def content(services: Services, report_id: int) -> AsyncIterator[bytes]:
    """What a report holds, a part at a time."""
    sealer = _sealer(services.settings.secrets_folder)
    part = 0
    while True:
        async with services.database.read() as session:
            row = await session.get(ReportPart, (report_id, part))
        if row is None:
            return
        yield sealer.open(row.sealed, _CONTENT, *_place(report_id, part))
        part += 1


def _is_granted(row: Report, staff: Staff) -> bool:
    return all(staff.scope.covers(path) for path in row.units.split(","))


async def forget_account(session: AsyncSession, account_id: int) -> None:
    """Somebody leaves for good: their searches hold names, their reports whole lists."""
    await _delete(session, Report.account_id == account_id)
    await session.execute(delete(ReportSchedule).where(ReportSchedule.account_id == account_id))
    await session.execute(delete(SavedSearch).where(SavedSearch.account_id == account_id))


# --- the job ---------------------------------------------------------------------------
async def make_due(services: Services, lease: Lease) -> None:
    """Make each report that is due and not there yet."""
    async with services.database.read() as session:
        ids = list(await session.scalars(select(ReportSchedule.id).order_by(ReportSchedule.id)))
    for schedule_id in ids:
        try:
            await _make(services, lease, schedule_id)
        except Refused as refused:
            # Of this one nothing can be made; the others are not to suffer.
            _log.error("a report was not made", schedule=schedule_id, reason=refused.error)


async def _make(services: Services, lease: Lease, schedule_id: int) -> None:
    today = vietnam_day(services.now)
    sealer = _sealer(services.settings.secrets_folder)
    async with services.database.read() as session:
        row = await session.get(ReportSchedule, schedule_id)
        if row is None:
            return
        since, until = rules.last_period(Every(row.every), today)
        there = await session.scalar(
            select(Report).where(
                Report.schedule_id == row.id, Report.first_day == since.isoformat()
            )
        )
        grants = await people.grants_of(session, row.account_id)
    if there is not None and there.size >= 0:
        return
    granted = Scope.over(one.unit for one in grants if one.role is StaffRole.HEALTH_WORKER)
    scope = narrowed(granted, row.unit)
    if not scope.units:  # the grant is gone: nothing is made for whoever could not open it
        return
    wanted = msgspec.json.decode(row.asked, type=Wanted)
    reason = sealer.open(row.reason, _REASON, str(row.account_id).encode()).decode()
    plan = rules.plan(msgspec.structs.replace(wanted, reason=reason))
    selection = Selection(row.unit, scope, since, until)
    async with services.database.transaction() as session:
        await lease.confirm(session)
        if there is not None:  # a process died over it
            await _delete(session, Report.id == there.id)
        report = Report(
            schedule_id=row.id,
            account_id=row.account_id,
            name=plan.list.value,
            first_day=since.isoformat(),
            last_day=until.isoformat(),
            units=",".join(scope.units),
            form=plan.form.value,
            is_personal=plan.is_personal,
            size=_UNFINISHED,
            made_at=services.now,
        )
        session.add(report)
    # Part by part: no other writer waits for a whole list.
    part = size = 0
    async for some in _in_parts(exports.content(services, plan, selection, "vi")):
        sealed = sealer.seal(some, _CONTENT, *_place(report.id, part))
        async with services.database.transaction() as session:
            await lease.confirm(session)
            session.add(ReportPart(report_id=report.id, part=part, sealed=sealed))
        part, size = part + 1, size + len(some)
    async with services.database.transaction() as session:
        await lease.confirm(session)
        await session.execute(update(Report).where(Report.id == report.id).values(size=size))


async def forget_old(session: AsyncSession, now: int) -> None:
    """Retention: reports after 30 days."""
    await _delete(session, Report.made_at < now - rules.KEPT_DAYS * DAY_SECONDS)


async def _delete(session: AsyncSession, which: ColumnElement[bool]) -> None:
    made = select(Report.id).where(which)
    await session.execute(delete(ReportPart).where(ReportPart.report_id.in_(made)))
    await session.execute(delete(Report).where(which))


async def _in_parts(stream: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    kept = bytearray()
    async for some in stream:
        kept += some
        while len(kept) >= PART_BYTES:
            yield bytes(kept[:PART_BYTES])
            del kept[:PART_BYTES]
    if kept:
        yield bytes(kept)


def unit_of(row: ReportSchedule) -> str:
    """What the unit of a schedule is called; empty: all of one's own."""
    return units.full_name(row.unit) if row.unit else ""


def _said(plan: Plan) -> str:
    return f"{plan.list.value} as {plan.form.value}{' personal' if plan.is_personal else ''}"


def _place(report_id: int, part: int) -> tuple[bytes, bytes]:
    return str(report_id).encode(), str(part).encode()


def _sealer(secrets_folder: Path) -> Sealer:
    return Sealer(secrets_folder, "reports")
