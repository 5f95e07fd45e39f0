"""The pages of an import: hand in a file, see what it would do, then do it or not.

Each list has the same pages; a duty adds them for its Shape.
"""

import asyncio
import secrets
from dataclasses import dataclass
from typing import Any, Final

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse
from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import MultiPartParser

from bluezone.protocol.intervals import vietnam_time
from bluezone.server.audit import service as audit
from bluezone.server.audit.rules import Action, Purpose
from bluezone.server.authorisation import SignedIn, allows
from bluezone.server.bodies import BodyLimit
from bluezone.server.context import Parts, Services
from bluezone.server.errors import Refused
from bluezone.server.limits import Rule
from bluezone.server.pages import language_of, page, sentence
from bluezone.server.people.rules import Staff, StaffRole
from bluezone.server.places import units
from bluezone.server.register import files, importing
from bluezone.server.register.importing import KeptFile, Problem, Report, Shape
from bluezone.web.catalogue import _, translate

PROBLEMS_SHOWN: Final = 20
_NAME_BYTES: Final = 16
# What people hand in is in memory already, and must not lie open on a disk beside it.
MultiPartParser.spool_max_size = files.MAX_BYTES

# Reading and comparing fifty thousand rows takes a processor for a while.
CHECKS_BY_ACCOUNT: Final = Rule("lists checked by account", 60, 3600)
# A file comes over a slow line; four of them at a time are 128 MB.
UPLOAD: Final = BodyLimit(
    files.MAX_BYTES + 64 * 1024,
    120.0,
    at_once=4,
    at_once_by_client=2,
    too_large=_(
        "The file is larger than 32 MB. Please split it, by commune or by week; people who come in"
        " two of the files are recognised."
    ),
)


@dataclass(frozen=True, slots=True)
class ImportPages:
    """Where the pages of a list are, what they say, and who may open them."""

    shape: Shape[Any]
    address: str  # "/staff/cases/import"
    section: str  # of the navigation
    title: str  # catalogue messages
    explanation: str
    purpose: Purpose
    role: StaffRole


def add_pages(router: APIRouter, pages: ImportPages) -> None:
    """Add the five addresses of an import to a router."""
    address = pages.address

    @router.get(address)
    @allows(pages.role)
    async def hand_in_page(request: Request, staff: SignedIn) -> Response:
        return _first_page(request, staff, pages)

    @router.post(address)
    @allows(pages.role)
    async def hand_in(request: Request, services: Parts, staff: SignedIn) -> Response:
        try:
            async with request.form() as form:  # closes what it holds
                content = await _file_of(form)
            name = await _check(services, staff, pages, content)
        except Refused as refused:
            return _first_page(request, staff, pages, refused)
        return RedirectResponse(f"{address}/{name.hex()}", 303)

    @router.get(address + "/{name}")
    @allows(pages.role)
    async def checked_page(
        request: Request, services: Parts, staff: SignedIn, name: str
    ) -> Response:
        kept = await _kept(services, staff, pages, name)
        return _checked_page(request, staff, pages, kept)

    @router.post(address + "/{name}/columns")
    @allows(pages.role)
    async def choose_columns(
        request: Request, services: Parts, staff: SignedIn, name: str
    ) -> Response:
        kept = await _kept(services, staff, pages, name)
        chosen = _columns(await request.form(), pages.shape, kept.report)
        await _check(services, staff, pages, kept.content, kept.id, chosen)
        return RedirectResponse(f"{address}/{name}", 303)

    @router.post(address + "/{name}")
    @allows(pages.role)
    async def take(request: Request, services: Parts, staff: SignedIn, name: str) -> Response:
        try:
            async with services.database.transaction() as session:
                kept = await importing.take_kept(session, services, staff, pages.shape, _name(name))
                await audit.record(
                    session,
                    services,
                    staff,
                    Action.IMPORT,
                    purpose=pages.purpose,
                    detail=f"{pages.shape.kind}: {kept.report.good} of {kept.report.rows} rows",
                )
        except Refused as refused:
            if refused.status_code == 404:
                raise
            kept = await _kept(services, staff, pages, name)
            return _checked_page(request, staff, pages, kept, refused)
        await services.database.forget_deleted()
        return RedirectResponse(f"{address}/{name}", 303)

    @router.get(address + "/{name}/problems.csv")
    @allows(pages.role)
    async def problems(request: Request, services: Parts, staff: SignedIn, name: str) -> Response:
        kept = await _kept(services, staff, pages, name)
        language = language_of(request)

        def words(one: Problem) -> str:
            said = translate(one.message, language, **one.values)
            return f"{one.column}: {said}" if one.column else said

        file = await asyncio.to_thread(importing.faulty_rows, kept.content, kept.report, words)
        return Response(
            file,
            media_type="text/csv; charset=utf-8",
            headers={
                "Content-Disposition": 'attachment; filename="problems.csv"',
                "Cache-Control": "no-store",
            },
        )


async def _file_of(form: FormData) -> bytes:
    upload = form.get("file")
    content = await upload.read() if isinstance(upload, UploadFile) else b""
    if not content:
        raise files.FileError(_("Please choose a file."))
    return content


async def _check(
    services: Services,
    staff: Staff,
    pages: ImportPages,
    content: bytes,
    name: bytes = b"",
    chosen: dict[str, int] | None = None,
) -> bytes:
    """Check a file and keep it. Returns its name."""
    services.limits.spend(CHECKS_BY_ACCOUNT, str(staff.account_id))
    async with services.database.read() as session:
        report = await importing.check(session, services, staff, pages.shape, content, chosen)
    name = name or secrets.token_bytes(_NAME_BYTES)
    async with services.database.transaction() as session:
        await importing.keep(session, services, staff, pages.shape, name, content, report)
        # A list of one row tells whether somebody is known here, or elsewhere, as a search does.
        await audit.record(
            session,
            services,
            staff,
            Action.LIST,
            purpose=pages.purpose,
            detail=f"{pages.shape.kind} checked: {report.rows} rows, {report.known} known,"
            f" {report.elsewhere} elsewhere",
        )
    return name


async def _kept(services: Services, staff: Staff, pages: ImportPages, name: str) -> KeptFile:
    async with services.database.read() as session:
        return await importing.kept_file(session, services, staff, pages.shape, _name(name))


def _name(text: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError:
        raise Refused(404, "not-found", _("There is nothing at this address.")) from None


def _columns(form: FormData, shape: Shape[Any], report: Report) -> dict[str, int]:
    """What somebody chose for each column; the first of two columns for one field counts."""
    known = {one.key for one in shape.columns}
    chosen: dict[str, int] = {}
    for at in range(len(report.head)):
        key = form.get(f"column_{at}", "")
        if isinstance(key, str) and key in known:
            chosen.setdefault(key, at)
    return chosen


def _first_page(
    request: Request, staff: Staff, pages: ImportPages, refused: Refused | None = None
) -> Response:
    return page(
        request,
        "register/import.html",
        refused.status_code if refused else 200,
        pages=pages,
        problem=sentence(request, refused) if refused else "",
        limit=files.MAX_ROWS,
        # Whose own unit is a commune may leave that column out.
        commune_needed=units.level_of(staff.unit) is not units.Level.COMMUNE,
    )


def _checked_page(
    request: Request,
    staff: Staff,
    pages: ImportPages,
    kept: KeptFile,
    refused: Refused | None = None,
) -> Response:
    report, language = kept.report, language_of(request)
    return page(
        request,
        "register/import_checked.html",
        refused.status_code if refused else 200,
        pages=pages,
        problem=sentence(request, refused) if refused else "",
        name=kept.id.hex(),
        report=report,
        problems=[
            (one, translate(one.message, language, **one.values))
            for one in report.problems[:PROBLEMS_SHOWN]
        ],
        faulty=len({one.row for one in report.problems}),
        field_of={at: key for key, at in report.columns.items()},
        done=vietnam_time(kept.done_at) if kept.done_at is not None else None,
        outcome=kept.outcome,
    )
