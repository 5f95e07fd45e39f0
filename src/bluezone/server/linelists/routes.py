"""Line lists: the page where one is put together, scheduled reports, and the same for programs."""

from collections.abc import AsyncIterator
from typing import Annotated, Any, Final

import msgspec
from fastapi import APIRouter, Form, Request, Response
from fastapi.responses import RedirectResponse, StreamingResponse

from bluezone.protocol.intervals import vietnam_time
from bluezone.server.audit import service as audit
from bluezone.server.audit.rules import Action, Purpose
from bluezone.server.authorisation import SignedIn, allows
from bluezone.server.bodies import read_json
from bluezone.server.context import Parts, Services
from bluezone.server.errors import Refused
from bluezone.server.limits import Rule
from bluezone.server.linelists import exports, reports, rules
from bluezone.server.linelists.rules import COLUMNS, Every, List, Plan, Wanted
from bluezone.server.linelists.rules import Form as Written
from bluezone.server.pages import language_of, page, sentence
from bluezone.server.people.rules import Staff, StaffRole
from bluezone.server.selection import Selection, offered, selected

EXPORTS_BY_ACCOUNT: Final = Rule("exports", 60, 3600)

router = APIRouter()


@router.get("/staff/exports")
@allows(StaffRole.HEALTH_WORKER)
async def exports_page(
    request: Request, services: Parts, staff: SignedIn, kind: str = List.CASES.value
) -> Response:
    chosen = next((one for one in List if one.value == kind), List.CASES)
    return await _page(request, services, staff, Wanted(list=chosen))


@router.post("/staff/exports")
@allows(StaffRole.HEALTH_WORKER)
async def export(
    request: Request,
    services: Parts,
    staff: SignedIn,
    kind: Annotated[str, Form()] = "",
    form: Annotated[str, Form()] = "",
    unit: Annotated[str, Form(max_length=32)] = "",
    since: Annotated[str, Form(max_length=10)] = "",
    until: Annotated[str, Form(max_length=10)] = "",
    reason: Annotated[str, Form(max_length=300)] = "",
    personal: Annotated[str, Form()] = "",
    every: Annotated[str, Form()] = "",
    column: Annotated[list[str] | None, Form(max_length=60)] = None,
) -> Response:
    """A file, or with `every` a report that comes again and again."""
    wanted = Wanted(
        list=next((one for one in List if one.value == kind), List.CASES),
        form=next((one for one in Written if one.value == form), Written.CSV),
        columns=tuple(column or ()),
        personal=bool(personal),
        unit=unit,
        since=since,
        until=until,
        reason=reason,
    )
    often = next((one for one in Every if one.value == every), None)
    try:
        if often is not None:
            selection = selected(staff, services.now, unit=unit)
            async with services.database.transaction() as session:
                await reports.schedule(session, services, staff, wanted, often, selection.unit)
            return RedirectResponse("/staff/exports#reports", 303)
        return await _send(services, staff, wanted, language_of(request))
    except Refused as refused:
        if refused.status_code == 404:
            raise
        return await _page(request, services, staff, wanted, refused)


@router.post("/v1/staff/exports")
@allows(StaffRole.HEALTH_WORKER)
async def export_for_program(request: Request, services: Parts, staff: SignedIn) -> Response:
    """The same for a program: heads are the keys of columns, words are those of the tables."""
    return await _send(services, staff, await read_json(request, Wanted), None)


async def _send(services: Services, staff: Staff, wanted: Wanted, language: str | None) -> Response:
    services.limits.spend(EXPORTS_BY_ACCOUNT, str(staff.account_id))
    plan = rules.plan(wanted)
    selection = selected(
        staff, services.now, unit=wanted.unit, since=wanted.since, until=wanted.until
    )
    await exports.check_size(services, plan, selection)
    async with services.database.transaction() as session:
        await audit.record(
            session,
            services,
            staff,
            Action.EXPORT,
            purpose=Purpose.REPORT,
            detail=_detail(plan, selection),
        )
    name = f"{plan.list.value}-{selection.first}-{selection.last}.{rules.ENDINGS[plan.form]}"
    return _stream(exports.content(services, plan, selection, language), plan.form, name)


def _detail(plan: Plan, selection: Selection) -> str:
    personal = [column.key for column in plan.columns if column.is_personal]
    parts = [
        f"{plan.list.value} as {plan.form.value}",
        ",".join(selection.scope.units),
        f"{selection.first}..{selection.last}",
    ]
    if plan.is_personal:
        parts.append(f"personal: {','.join(personal) or 'all'}; reason: {plan.reason}")
    return " ".join(parts)


def _stream(content: AsyncIterator[bytes], form: Written, name: str) -> Response:
    headers = {
        "Content-Disposition": f'attachment; filename="{name}"',
        "Cache-Control": "no-store",
    }
    return StreamingResponse(content, headers=headers, media_type=rules.MEDIA[form])


# --- scheduled reports -----------------------------------------------------------------
@router.get("/staff/exports/reports/{report_id}")
@allows(StaffRole.HEALTH_WORKER)
async def report_file(services: Parts, staff: SignedIn, report_id: int) -> Response:
    async with services.database.transaction() as session:
        row = await reports.hand_out(session, services, staff, report_id)
    form = Written(row.form)
    name = f"{row.name}-{row.first_day}-{row.last_day}.{rules.ENDINGS[form]}"
    return _stream(reports.content(services, row.id), form, name)


@router.post("/staff/exports/schedules/{schedule_id}/end")
@allows(StaffRole.HEALTH_WORKER)
async def end_schedule(services: Parts, staff: SignedIn, schedule_id: int) -> Response:
    async with services.database.transaction() as session:
        await reports.end_schedule(session, services, staff, schedule_id)
    return RedirectResponse("/staff/exports#reports", 303)


async def _page(
    request: Request,
    services: Services,
    staff: Staff,
    wanted: Wanted,
    refused: Refused | None = None,
) -> Response:
    usual = selected(staff, services.now)
    async with services.database.read() as session:
        schedules = await reports.schedules(session, staff)
        made = await reports.reports(session, staff)
    columns = COLUMNS[wanted.list]
    values: dict[str, Any] = {
        "wanted": wanted,
        "since": wanted.since or usual.first,
        "until": wanted.until or usual.last,
        "chosen": set(wanted.columns)
        or {column.key for column in columns if not column.is_personal},
        "columns": columns,
        "lists": rules.LIST_WORDS,
        "forms": {
            form: name
            for form, name in rules.FORM_WORDS.items()
            if form not in rules.FIXED or wanted.list in rules.FIXED[form]
        },
        "every": rules.EVERY_WORDS,
        "units": offered(staff.scope, None),
        "schedules": [(row, reports.unit_of(row), Every(row.every)) for row in schedules],
        "reports": [(row, vietnam_time(row.made_at)) for row in made],
        "kept_days": rules.KEPT_DAYS,
        "list_of": lambda name: rules.LIST_WORDS[List(name)],
        "form_of": lambda name: rules.FORM_WORDS[Written(name)],
        "asked_of": lambda row: _asked(row.asked),
        "problem": sentence(request, refused) if refused else "",
        "field": refused.error if refused else "",
    }
    status = refused.status_code if refused else 200
    return page(request, "linelists/exports.html", status, **values)


def _asked(text: str) -> Wanted:
    return msgspec.json.decode(text, type=Wanted)
