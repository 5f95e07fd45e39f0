"""News: the signed file that phones fetch, and the pages on which it is written."""

from typing import Annotated, Final

from fastapi import APIRouter, Depends, Form, Request, Response
from fastapi.responses import RedirectResponse

from bluezone.protocol.intervals import vietnam_time
from bluezone.server.authorisation import SignedIn, allows, public
from bluezone.server.context import Parts, Services
from bluezone.server.downloads import published
from bluezone.server.errors import Refused
from bluezone.server.keys import KeyUnavailable
from bluezone.server.limits import Rule
from bluezone.server.news import rules, service
from bluezone.server.news.rules import NewsState, Text
from bluezone.server.pages import page, sentence
from bluezone.server.people.rules import Staff, StaffRole
from bluezone.web.catalogue import _

# Phones of the whole country fetch each edition.
CHANGES_BY_ACCOUNT: Final = Rule("news by account", 60, 3600)

router = APIRouter()


@public
async def news(request: Request) -> Response:
    """`GET /v1/news.json`: News, signed."""
    return await published(request, service.OBJECT)


router.add_route("/v1/news.json", news)


def _written(
    title_vi: Annotated[str, Form()] = "",
    title_en: Annotated[str, Form()] = "",
    body_vi: Annotated[str, Form()] = "",
    body_en: Annotated[str, Form()] = "",
    important: Annotated[str, Form()] = "",
) -> Text:
    return Text(title_vi, title_en, body_vi, body_en, bool(important))


Written = Annotated[Text, Depends(_written)]


@router.get("/staff/news")
@allows(StaffRole.ADMIN, nationwide=True)
async def news_page(request: Request, services: Parts) -> Response:
    return await _list(request, services, Text("", "", "", "", important=False))


@router.post("/staff/news")
@allows(StaffRole.ADMIN, nationwide=True)
async def write(request: Request, services: Parts, staff: SignedIn, text: Written) -> Response:
    try:
        _count_change(services, staff)
        async with services.database.transaction() as session:
            item = await service.write(session, text, by=staff.name, now=services.now)
    except Refused as refused:
        return await _list(request, services, text, refused)
    return RedirectResponse(f"/staff/news/{item.id}", 303)


@router.get("/staff/news/{item}")
@allows(StaffRole.ADMIN, nationwide=True)
async def item_page(request: Request, services: Parts, item: str) -> Response:
    return await _item(request, services, item)


@router.post("/staff/news/{item}")
@allows(StaffRole.ADMIN, nationwide=True)
async def rewrite(
    request: Request, services: Parts, staff: SignedIn, item: str, text: Written
) -> Response:
    try:
        _count_change(services, staff)
        async with services.database.transaction() as session:
            await service.rewrite(session, item, text, by=staff.name, now=services.now)
    except Refused as refused:
        return await _item(request, services, item, refused, text)
    return RedirectResponse(f"/staff/news/{item}", 303)


@router.post("/staff/news/{item}/publish")
@allows(StaffRole.ADMIN, nationwide=True)
async def publish(
    request: Request,
    services: Parts,
    staff: SignedIn,
    item: str,
    sure: Annotated[str, Form()] = "",
    seen: Annotated[int, Form()] = -1,
) -> Response:
    try:
        _check_sure(sure)
        _count_change(services, staff)
        async with services.database.transaction() as session:
            await service.publish(
                session, services, item, by=staff.name, seen=seen, now=services.now
            )
    except KeyUnavailable as error:
        return await _item(request, services, item, _no_key(error))
    except Refused as refused:
        return await _item(request, services, item, refused)
    return RedirectResponse(f"/staff/news/{item}", 303)


@router.post("/staff/news/{item}/withdraw")
@allows(StaffRole.ADMIN, nationwide=True)
async def withdraw(
    request: Request,
    services: Parts,
    staff: SignedIn,
    item: str,
    sure: Annotated[str, Form()] = "",
) -> Response:
    try:
        _check_sure(sure)
        _count_change(services, staff)
        async with services.database.transaction() as session:
            await service.withdraw(session, services, item, now=services.now)
    except KeyUnavailable as error:
        return await _item(request, services, item, _no_key(error))
    except Refused as refused:
        return await _item(request, services, item, refused)
    return RedirectResponse("/staff/news", 303)


async def _list(
    request: Request, services: Services, text: Text, refused: Refused | None = None
) -> Response:
    async with services.database.read() as session:
        items = await service.items(session)
    return page(
        request,
        "news/list.html",
        refused.status_code if refused else 200,
        problem=sentence(request, refused) if refused else "",
        text=text,
        rules=rules,
        items=[(row, vietnam_time(row.published_at or row.written_at)) for row in items],
    )


async def _item(
    request: Request,
    services: Services,
    identity: str,
    refused: Refused | None = None,
    text: Text | None = None,
) -> Response:
    async with services.database.read() as session:
        row = await service.item(session, identity)
    return page(
        request,
        "news/item.html",
        refused.status_code if refused else 200,
        problem=sentence(request, refused) if refused else "",
        row=row,
        shown=service.text_of(row),
        text=text or service.text_of(row),
        rules=rules,
        draft=row.state == NewsState.DRAFT.value,
        out=row.state == NewsState.PUBLISHED.value,
        published=vietnam_time(row.published_at) if row.published_at else None,
        withdrawn=vietnam_time(row.withdrawn_at) if row.withdrawn_at else None,
    )


def _count_change(services: Services, staff: Staff) -> None:
    services.limits.spend(CHANGES_BY_ACCOUNT, str(staff.account_id))


def _check_sure(sure: str) -> None:
    if not sure:
        raise Refused(
            400,
            "not-sure",
            _("Please tick the box first: this reaches every phone in the country."),
        )


def _no_key(error: KeyUnavailable) -> Refused:
    # Its text is written for operators, and names the command that helps.
    return Refused(
        503,
        "no-announcements-key",
        _("Nothing was changed, for the service cannot sign news: {reason}"),
        reason=str(error),
    )
