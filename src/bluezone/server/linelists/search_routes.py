"""The search page. What is typed goes in a form's body, never into an address."""

from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Form, Request, Response
from fastapi.responses import RedirectResponse

from bluezone.protocol.intervals import vietnam_time
from bluezone.server.audit.rules import Purpose
from bluezone.server.authorisation import SignedIn, allows
from bluezone.server.context import Parts, Services
from bluezone.server.errors import Refused
from bluezone.server.limits import Rule
from bluezone.server.linelists import searching
from bluezone.server.linelists.rules import By, Search
from bluezone.server.linelists.searching import Results
from bluezone.server.pages import page, sentence
from bluezone.server.people.rules import Staff, StaffRole
from bluezone.server.situation.words import STATUS_WORDS
from bluezone.web.catalogue import _

SEARCHES_BY_ACCOUNT: Final = Rule("searches", 300, 3600)
PURPOSES: Final = {
    Purpose.TRACING: _("finding and following contacts"),
    Purpose.CASE: _("looking after a case"),
    Purpose.TASK: _("a task of the worklist"),
    Purpose.HOTLINE: _("the person called"),
    Purpose.QUALITY: _("duplicates and corrections"),
}

router = APIRouter()


def _typed(
    by: Annotated[str, Form()] = By.PERSON.value,
    text: Annotated[str, Form(max_length=120)] = "",
    since: Annotated[str, Form(max_length=16)] = "",
    until: Annotated[str, Form(max_length=16)] = "",
) -> Search:
    chosen = next((one for one in By if one.value == by), By.PERSON)
    return Search(by=chosen, text=text, since=since, until=until)


Typed = Annotated[Search, Depends(_typed)]


@router.get("/staff/search")
@allows(StaffRole.HEALTH_WORKER, StaffRole.HOTLINE)
async def search_page(request: Request, services: Parts, staff: SignedIn) -> Response:
    return await _page(request, services, staff, Search(by=By.PERSON))


@router.post("/staff/search")
@allows(StaffRole.HEALTH_WORKER, StaffRole.HOTLINE)
async def search(
    request: Request,
    services: Parts,
    staff: SignedIn,
    typed: Typed,
    purpose: Annotated[str, Form()] = "",
    save_as: Annotated[str, Form(max_length=200)] = "",
) -> Response:
    if save_as.strip():
        try:
            async with services.database.transaction() as session:
                await searching.save(session, services, staff, save_as, typed)
        except Refused as refused:
            return await _page(
                request, services, staff, typed, refused=refused, save_as=save_as, purpose=purpose
            )
    return await _found(request, services, staff, typed, purpose)


@router.post("/staff/search/saved/{search_id}")
@allows(StaffRole.HEALTH_WORKER, StaffRole.HOTLINE)
async def search_again(
    request: Request,
    services: Parts,
    staff: SignedIn,
    search_id: int,
    purpose: Annotated[str, Form()] = "",
) -> Response:
    async with services.database.read() as session:
        asked = await searching.opened(session, services, staff, search_id)
    return await _found(request, services, staff, asked, purpose)


@router.post("/staff/search/saved/{search_id}/delete")
@allows(StaffRole.HEALTH_WORKER, StaffRole.HOTLINE)
async def forget_search(services: Parts, staff: SignedIn, search_id: int) -> Response:
    async with services.database.transaction() as session:
        await searching.forget(session, staff, search_id)
    return RedirectResponse("/staff/search", 303)


async def _found(
    request: Request, services: Services, staff: Staff, asked: Search, purpose: str
) -> Response:
    why = next((one for one in PURPOSES if one.value == purpose), None)
    try:
        services.limits.spend(SEARCHES_BY_ACCOUNT, str(staff.account_id))
        if why is None:
            raise Refused(422, "search-purpose", _("Please choose what you are searching for."))
        async with services.database.transaction() as session:
            results = await searching.search(session, services, staff, asked, why)
    except Refused as refused:
        return await _page(request, services, staff, asked, refused=refused, purpose=purpose)
    return await _page(request, services, staff, asked, results, purpose=purpose)


async def _page(
    request: Request,
    services: Services,
    staff: Staff,
    typed: Search,
    results: Results | None = None,
    *,
    refused: Refused | None = None,
    save_as: str = "",
    purpose: str = "",
) -> Response:
    async with services.database.read() as session:
        saved = await searching.saved(session, staff)
    values: dict[str, Any] = {
        "typed": typed,
        "results": results,
        "saved": saved,
        "save_as": save_as,
        "purpose": purpose,
        "purposes": PURPOSES,
        "problem": sentence(request, refused) if refused else "",
        "field": refused.error if refused else "",
        "status_words": STATUS_WORDS,
        "time_of": vietnam_time,
        "max_name": searching.MAX_NAME,
    }
    return page(request, "linelists/search.html", refused.status_code if refused else 200, **values)
