"""The audit for those who check others: pages for people, the same as JSON for programs."""

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Final
from urllib.parse import urlencode

import msgspec
from fastapi import APIRouter, Form, Request, Response
from fastapi.responses import RedirectResponse
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from bluezone.protocol.intervals import VIETNAM, vietnam_time
from bluezone.server.audit import alerts, looking, rules, service
from bluezone.server.audit.looking import Answer
from bluezone.server.audit.rules import Action, Purpose
from bluezone.server.audit.service import Wanted
from bluezone.server.audit.tables import AuditCheck, AuditEntry
from bluezone.server.audit.verification import ANCHOR_OBJECT
from bluezone.server.authorisation import SignedIn, allows, public
from bluezone.server.bodies import json_answer
from bluezone.server.context import Parts, Services
from bluezone.server.downloads import published
from bluezone.server.errors import Refused
from bluezone.server.pages import page, sentence
from bluezone.server.people.rules import Staff, StaffRole
from bluezone.server.people.scope import Scope
from bluezone.server.places.units import NATION, full_name
from bluezone.server.rulebook import service as rulebook
from bluezone.server.spreadsheets import MARK, csv_line
from bluezone.web.catalogue import _

SHOWN: Final = 100
EXPORTED_AT_MOST: Final = 50_000
_FIELDS: Final = ("account", "action", "purpose", "subject", "since", "until")

router = APIRouter()


@public
async def anchor(request: Request) -> Response:
    """`GET /v1/audit.json`: the newest signed ends of all chains, for whoever keeps them."""
    return await published(request, ANCHOR_OBJECT)


router.add_route("/v1/audit.json", anchor)


# --- entries ---------------------------------------------------------------------------
class ShownEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One entry of the audit; names no citizen."""

    chain: str
    sequence: int
    at: int
    account_id: int
    account: str
    unit: str
    action: str
    subject: str
    purpose: str
    detail: str
    digest: str  # hex


class EntriesAnswer(msgspec.Struct, frozen=True):
    """At most 100 entries, newest first; `before` asks for those that follow."""

    entries: list[ShownEntry]
    before: str


@router.get("/v1/staff/audit")
@allows(StaffRole.AUDITOR)
async def entries(request: Request, services: Parts, staff: SignedIn) -> Response:
    query = request.query_params
    rows = await _entries(services, staff.scope, _wanted(query), query.get("before", ""))
    return json_answer(EntriesAnswer([_shown(row) for row in rows], _following(rows)))


@router.get("/staff/audit")
@allows(StaffRole.AUDITOR)
async def audit_page(request: Request, services: Parts, staff: SignedIn) -> Response:
    query = request.query_params
    problem, rows = "", list[AuditEntry]()
    try:
        rows = await _entries(services, staff.scope, _wanted(query), query.get("before", ""))
    except Refused as refused:
        problem = sentence(request, refused)
    async with services.database.read() as session:
        checks = await _checks(session, staff.scope)
        waiting = await alerts.waiting(session, staff.scope)
    asked = {name: query.get(name, "") for name in _FIELDS}
    kept = {name: value for name, value in asked.items() if value}
    return page(
        request,
        "audit/audit.html",
        422 if problem else 200,
        problem=problem,
        rows=[(row, vietnam_time(row.at)) for row in rows],
        asked=asked,
        export=urlencode(kept),
        older=urlencode({**kept, "before": _following(rows)}) if _following(rows) else "",
        actions=[one.value for one in Action],
        purposes=[one.value for one in Purpose],
        broken=[one for one in checks if one.fault],
        checked_entries=sum(one.entries for one in checks),
        checked_at=vietnam_time(min(one.at for one in checks)) if checks else None,
        waiting=waiting,
        shown=SHOWN,
    )


@router.get("/staff/audit/export")
@allows(StaffRole.AUDITOR)
async def export(request: Request, services: Parts, staff: SignedIn) -> Response:
    wanted = _wanted(request.query_params)
    async with services.database.transaction() as session:
        if await service.count(session, staff.scope, wanted) > EXPORTED_AT_MOST:
            raise Refused(
                422,
                "export-too-large",
                _("These are more than {most} entries. Please choose a shorter period."),
                most=EXPORTED_AT_MOST,
            )
        rows = await service.entries(session, staff.scope, wanted, limit=EXPORTED_AT_MOST)
        await service.record(
            session,
            services,
            staff,
            Action.EXPORT,
            subject="audit",
            purpose=Purpose.AUDIT,
            detail=f"rows={len(rows)}",
        )
    name = f"audit-{vietnam_time(services.now):%Y%m%d-%H%M}.csv"
    return Response(
        _csv(rows),
        headers={
            "Cache-Control": "no-store",
            "Content-Disposition": f'attachment; filename="{name}"',
        },
        media_type="text/csv; charset=utf-8",
    )


_HEAD: Final = (
    "time",
    "account_id",
    "account",
    "unit",
    "unit_name",
    "action",
    "subject",
    "purpose",
    "detail",
    "chain",
    "sequence",
    "sha256",
)


def _csv(rows: Iterable[AuditEntry]) -> bytes:
    lines = [csv_line(_HEAD)]
    for row in rows:
        cells = (
            vietnam_time(row.at).isoformat(),
            row.account_id,
            row.account_name,
            row.unit,
            full_name(row.unit),
            row.action,
            row.subject,
            row.purpose,
            row.detail,
            row.chain,
            row.sequence,
            row.digest.hex(),
        )
        lines.append(csv_line(cells))
    return MARK + "".join(lines).encode()


async def _entries(
    services: Services, scope: Scope, wanted: Wanted, before: str
) -> list[AuditEntry]:
    async with services.database.read() as session:
        found = await service.entries(session, scope, wanted, before=_place(before), limit=SHOWN)
    return list(found)


def _wanted(query: Mapping[str, str]) -> Wanted:
    """What a form or a program asks for. Raises Refused (422) for a day that is none."""
    texts = {name: query.get(name, "").strip()[:100] for name in _FIELDS}
    if any("\0" in text for text in texts.values()):  # PostgreSQL has no such text
        raise _no_day()
    since, until = _day(texts["since"]), _day(texts["until"])
    return Wanted(
        account=texts["account"].lower(),
        action=texts["action"],
        purpose=texts["purpose"],
        subject=texts["subject"],
        since=_start(since) if since else None,
        until=_start(until + dt.timedelta(days=1)) if until else None,
    )


def _day(text: str) -> dt.date | None:
    try:
        day = dt.date.fromisoformat(text) if text else None
    except ValueError:
        raise _no_day() from None
    if day is not None and not 2000 <= day.year <= 2200:
        raise _no_day()
    return day


def _no_day() -> Refused:
    return Refused(422, "day-malformed", _("Please give days as year-month-day."))


def _start(day: dt.date) -> int:
    return int(dt.datetime.combine(day, dt.time(), VIETNAM).timestamp())


async def _checks(session: AsyncSession, scope: Scope) -> Sequence[AuditCheck]:
    """What the last verification found of the chains that hold entries of this scope."""
    chains = {rules.chain_of(unit) for unit in scope.units}
    query = select(AuditCheck).order_by(AuditCheck.chain)
    if NATION not in chains:
        query = query.where(AuditCheck.chain.in_(chains))
    return (await session.scalars(query)).all()


def _place(before: str) -> tuple[int, str, int] | None:
    """The place that `_following` wrote; nonsense is no place."""
    at, _dash, rest = before.partition("-")
    chain, _dash, sequence = rest.partition("-")
    if not (at.isdecimal() and sequence.isdecimal() and chain.isalnum() and len(before) < 60):
        return None
    return int(at), chain, int(sequence)


def _following(rows: Sequence[AuditEntry]) -> str:
    if len(rows) < SHOWN:
        return ""
    return f"{rows[-1].at}-{rows[-1].chain}-{rows[-1].sequence}"


def _shown(row: AuditEntry) -> ShownEntry:
    return ShownEntry(
        chain=row.chain,
        sequence=row.sequence,
        at=row.at,
        account_id=row.account_id,
        account=row.account_name,
        unit=row.unit,
        action=row.action,
        subject=row.subject,
        purpose=row.purpose,
        detail=row.detail,
        digest=row.digest.hex(),
    )


# --- alerts ----------------------------------------------------------------------------
class ShownAlert(msgspec.Struct, frozen=True, kw_only=True):
    """One alert about unusual looking."""

    rule: str
    account_id: int
    account: str
    unit: str
    day: str
    count: int
    first_at: int
    last_at: int
    acknowledged_at: int | None
    acknowledged_by: str | None
    answer: str | None


class AlertsAnswer(msgspec.Struct, frozen=True):
    """The latest alerts, newest first."""

    alerts: list[ShownAlert]


@router.get("/v1/staff/audit/alerts")
@allows(StaffRole.AUDITOR, StaffRole.ADMIN)
async def alerts_answer(services: Parts, staff: SignedIn) -> Response:
    folder = services.settings.secrets_folder
    async with services.database.read() as session:
        found = await alerts.alerts(session, folder, staff.scope, open_only=False)
    return json_answer(
        AlertsAnswer(
            [
                ShownAlert(
                    rule=one.row.rule,
                    account_id=one.row.account_id,
                    account=one.row.account_name,
                    unit=one.row.unit,
                    day=one.row.day,
                    count=one.row.count,
                    first_at=one.row.first_at,
                    last_at=one.row.last_at,
                    acknowledged_at=one.row.acknowledged_at,
                    acknowledged_by=one.row.acknowledged_by,
                    answer=one.row.answer,
                )
                for one in found
            ]
        )
    )


@router.get("/staff/audit/alerts")
@allows(StaffRole.AUDITOR, StaffRole.ADMIN)
async def alerts_page(
    request: Request, services: Parts, staff: SignedIn, all: str = ""
) -> Response:
    return await _alerts_page(request, services, staff, open_only=not all)


@router.post("/staff/audit/alerts")
@allows(StaffRole.AUDITOR, StaffRole.ADMIN)
async def acknowledge(
    request: Request,
    services: Parts,
    staff: SignedIn,
    rule: Annotated[str, Form()] = "",
    account: Annotated[int, Form()] = 0,
    day: Annotated[str, Form()] = "",
    answer: Annotated[str, Form()] = "",
    word: Annotated[str, Form()] = "",
) -> Response:
    try:
        async with services.database.transaction() as session:
            await alerts.acknowledge(
                session,
                services,
                staff,
                rule=rule,
                account_id=account,
                day=day,
                answer=answer,
                word=word,
            )
    except Refused as refused:
        if refused.status_code == 404:
            raise
        return await _alerts_page(
            request,
            services,
            staff,
            open_only=True,
            refused=refused,
            about=(rule, account, day),
            word=word[: alerts.MAX_WORD],
            answer=answer,
        )
    return RedirectResponse("/staff/audit/alerts?all=1", 303)


async def _alerts_page(
    request: Request,
    services: Services,
    staff: Staff,
    *,
    open_only: bool,
    refused: Refused | None = None,
    about: tuple[str, int, str] = ("", 0, ""),
    word: str = "",
    answer: str = "",
) -> Response:
    folder = services.settings.secrets_folder
    async with services.database.read() as session:
        found = await alerts.alerts(session, folder, staff.scope, open_only=open_only)
        _version, numbers = await rulebook.in_force(
            session,
            looking.RULES_KIND,
            looking.SHIPPED,
            vietnam_time(services.now).date().isoformat(),
        )
    return page(
        request,
        "audit/alerts.html",
        refused.status_code if refused else 200,
        problem=sentence(request, refused) if refused else "",
        problem_field=refused.error if refused else "",
        about=about,
        word=word,
        answer=answer,
        answers=[one.value for one in Answer],
        found=[
            (one, vietnam_time(one.row.first_at), vietnam_time(one.row.last_at)) for one in found
        ],
        open_only=open_only,
        numbers=numbers,
        max_word=alerts.MAX_WORD,
        shown=alerts.SHOWN,
    )
