"""Everybody sees their own subtree and nothing else: role x place x every page, API and export.

A new route needs a line in ENTRIES. What a path's `{name}` stands for is in PATHS.
"""

import io
import re
import zipfile
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field, replace
from enum import Enum, auto
from typing import Any

import httpx
import pytest
import structlog
from fastapi.routing import APIRoute
from starlette.requests import Request

from bluezone.clock import ManualClock
from bluezone.server import forms
from bluezone.server.app import ROUTERS, create_app, open_services
from bluezone.server.authorisation import needs_the_nation, roles_of
from bluezone.server.config import Settings
from bluezone.server.context import Services
from bluezone.server.people.rules import StaffRole
from bluezone.server.people.scope import is_within
from bluezone.server.places.units import NATION
from tests.server.conftest import BA_DINH
from tests.server.isolation import (
    PLACES,
    Unchanged,
    Unlimited,
    Visitor,
    World,
    make_visitors,
    make_world,
)

# What a path's {name} is filled with: a record of isolation.make_world.
PATHS = {
    "account_id": "account",
    "case_id": "case",
    "exposure_id": "exposure",
    "handover": "handover",
    "invitation_id": "invitation",
    "item": "news",
    "merge_id": "merge",
    "one_id": "twin",
    "other_id": "twin2",
    "person": "person",
    "person_id": "person",
    "place_id": "place",
    "report_id": "report",
    "schedule_id": "schedule",
    "search_id": "search",
    "task": "task",
    "team": "team",
    "visit_id": "visit",
}


class Reach(Enum):
    """Who gets an answer, of those whose role the endpoint takes."""

    RECORD = auto()  # whoever has BA_DINH in their subtree; for others it does not exist
    LIST = auto()  # everybody; BA_DINH's records are in it for whoever has BA_DINH
    OWN = auto()  # everybody; nothing of BA_DINH is in it
    OTHERS = auto()  # nobody of the matrix: it belongs to one account


@dataclass(frozen=True)
class Entry:
    """How to ask a route, and who may get what. Texts may hold `{record}`: its id."""

    reach: Reach
    shows: str = ""  # the record whose text is in a right answer
    query: dict[str, str] = field(default_factory=dict)
    form: dict[str, str] | None = None
    json: Any = None
    at: dict[str, str] = field(default_factory=dict)  # instead of PATHS
    ok: tuple[int, ...] = (200, 204, 303)
    beyond: tuple[int, ...] = (404,)  # to whoever the record is not for


def record(shows: str = "", **how: Any) -> Entry:
    return Entry(Reach.RECORD, shows, **how)


def listed(shows: str, **how: Any) -> Entry:
    return Entry(Reach.LIST, shows, **how)


def own(**how: Any) -> Entry:
    return Entry(Reach.OWN, **how)


def others(**how: Any) -> Entry:
    return Entry(Reach.OTHERS, **how)


CASES_FILE, RESULTS_FILE = {"name": "cases-file"}, {"name": "results-file"}
CONTACTS_FILE = {"name": "contacts-file"}
HERE = {"unit": "00004"}  # asks for BA_DINH by name
GRANT = {"role": "laboratory", "unit": "00004"}
GIVEN = {"role": "health-worker", "unit": "00004"}
INVITED = {"name": "zz.moi.nua", "role": "laboratory", "unit": "00004"}
CALLED = {"outcome": "no-answer", "form": "0123456789abcdef0123456789abcdef"}
DECIDED = {"state": "confirmed", "words": "x"}
EXPORT = {"reason": "x", "since": "2021-01-01", "until": "2021-01-20", **HERE}
SEARCH = {"by": "person", "text": "Dấu Vết", "purpose": "tracing"}

ENTRIES: dict[str, Entry] = {
    # people: one's own account
    "GET /staff": own(),
    "GET /staff/account": own(),
    "GET /staff/account/second-factor": own(),
    "GET /staff/sign-in/code": own(ok=(303,)),  # only before the session is open
    "POST /staff/account/password": own(form={"fresh": "x"}, ok=(422,)),
    "POST /staff/account/second-factor": own(form={}, ok=(422,)),
    "POST /staff/account/sessions": own(form={}),
    "POST /staff/sign-in/code": own(form={}, ok=(303,)),
    "POST /staff/sign-out": own(form={}),
    # people: accounts
    "GET /staff/accounts": listed("invitation", query={"state": "unused"}),
    "GET /staff/accounts/invite": own(),
    "GET /staff/accounts/{account_id}": record("account"),
    "GET /v1/staff/account-invitations": listed("invitation"),
    "GET /v1/staff/accounts": listed("account", query={"state": "unused"}),
    "GET /v1/staff/accounts/{account_id}": record("account"),
    "POST /staff/accounts/invitations/{invitation_id}/withdraw": record(form={}),
    "POST /staff/accounts/invite": record(form=INVITED, beyond=(403,)),
    "POST /staff/accounts/{account_id}/end": record(form={"sure": "yes"}),
    "POST /staff/accounts/{account_id}/end-sessions": record(form={}),
    "POST /staff/accounts/{account_id}/grants": record(form=GRANT),
    "POST /staff/accounts/{account_id}/grants/take": record(form=GIVEN),
    "POST /staff/accounts/{account_id}/renew": record("account", form={}),
    "POST /v1/staff/account-invitations": record(json=INVITED, beyond=(403,)),
    "POST /v1/staff/account-invitations/{invitation_id}/withdraw": record(),
    "POST /v1/staff/accounts/{account_id}/end": record(),
    "POST /v1/staff/accounts/{account_id}/end-sessions": record(),
    "POST /v1/staff/accounts/{account_id}/grants": record(json=GRANT),
    "POST /v1/staff/accounts/{account_id}/grants/take": record(json=GIVEN),
    "POST /v1/staff/accounts/{account_id}/renew": record("account"),
    # cases
    "GET /staff/cases": listed("case"),
    "GET /staff/cases/import": own(),
    "GET /staff/cases/import/{name}": others(at=CASES_FILE),
    "GET /staff/cases/import/{name}/problems.csv": others(at=CASES_FILE),
    "GET /staff/cases/new": own(),
    "GET /staff/cases/{case_id:int}": record("case"),
    "GET /staff/cases/{case_id:int}/change": record("case"),
    "GET /staff/cases/{case_id:int}/close": record("case"),
    "GET /staff/results": own(),
    "GET /staff/results/file": own(),
    "GET /staff/results/file/{name}": others(at=RESULTS_FILE),
    "GET /staff/results/file/{name}/problems.csv": others(at=RESULTS_FILE),
    "POST /staff/cases/import": own(form={}, ok=(400, 422)),
    "POST /staff/cases/import/{name}": others(form={}, at=CASES_FILE),
    "POST /staff/cases/import/{name}/columns": others(form={}, at=CASES_FILE),
    "POST /staff/cases/new": own(form={}, ok=(422,)),
    "POST /staff/cases/{case_id:int}/change": record(form={"seen": "0", "onset": "x"}, ok=(422,)),
    "POST /staff/cases/{case_id:int}/close": record(form={"seen": "0"}, ok=(422,)),
    "POST /staff/cases/{case_id:int}/code": record(form={"way": "screen"}),
    "POST /staff/cases/{case_id:int}/looked": record(form={"seen": "0"}, ok=(303, 409, 422)),
    "POST /staff/cases/{case_id:int}/reopen": record(form={"seen": "0"}, ok=(409, 422)),
    "POST /staff/results/file": own(form={}, ok=(400, 422)),
    "POST /staff/results/file/{name}": others(form={}, at=RESULTS_FILE),
    "POST /staff/results/file/{name}/columns": others(form={}, at=RESULTS_FILE),
    "POST /v1/staff/results": own(json=[], ok=(422,)),
    # register: records that are one person's
    "GET /staff/duplicates": listed("twin"),
    "GET /staff/duplicates/{one_id:int}/{other_id:int}": record("twin"),
    "POST /staff/duplicates/merges/{merge_id:int}/undo": record(form={}),
    "POST /staff/duplicates/{one_id:int}/{other_id:int}": record(form={"decision": "apart"}),
    # diagnosis: codes go to one's own unit
    "GET /staff/codes": own(),
    "POST /staff/codes": own(form={"report_type": "confirmed-test"}),
    "POST /v1/staff/codes": own(json={"report_type": "confirmed-test"}),
    # tracing: the inbox
    "GET /staff/inbox": listed("handover"),
    "GET /staff/inbox/{handover}": record("handover"),
    "GET /staff/inbox/{handover}/diary": record("diary", at={"handover": "diary"}),
    "GET /v1/staff/inbox": listed("diary"),
    "GET /v1/staff/inbox/{handover}": record("handover"),
    "GET /v1/staff/inbox/{handover}/diary": record("diary", at={"handover": "diary"}),
    "POST /staff/inbox/{handover}": record(form={**DECIDED, "seen": "0"}),
    "POST /v1/staff/inbox/{handover}": record(json={**DECIDED, "seen": 0}),
    "POST /staff/inbox/{handover}/case": record(form={"case": "{case}"}, at={"handover": "diary"}),
    # contacts
    "GET /staff/contacts/import": own(),
    "GET /staff/contacts/import/{name}": others(at=CONTACTS_FILE),
    "GET /staff/contacts/import/{name}/problems.csv": others(at=CONTACTS_FILE),
    "POST /staff/contacts/import": own(form={}, ok=(400, 422)),
    "POST /staff/contacts/import/{name}": others(form={}, at=CONTACTS_FILE),
    "POST /staff/contacts/import/{name}/columns": others(form={}, at=CONTACTS_FILE),
    "GET /staff/cases/{case_id}/contacts": record("contact"),
    "GET /staff/cases/{case_id}/contacts/new": record("case"),
    "GET /staff/contacts": listed("contact"),
    "GET /staff/people/{person_id}": record("person"),
    "GET /staff/people/{person_id}/edit": record("person"),
    "GET /staff/places": listed("place"),
    "GET /staff/places/{place_id}": record("place"),
    "GET /v1/staff/contacts/figures": record(query=HERE),
    "POST /staff/cases/{case_id}/contacts/new": record(form={"name": "x"}, ok=(422,)),
    "POST /staff/exposures/{exposure_id}/remove": record(form={"reason": "x y z", "seen": "0"}),
    "POST /staff/exposures/{exposure_id}/restore": record(form={"seen": "0"}, ok=(303, 409)),
    "POST /staff/people/{person_id}/edit": record(form={"name": ""}, ok=(422,)),
    "POST /staff/people/{person_id}/rank": record(form={"rank": "none", "reason": "x y z"}),
    "POST /staff/people/{person_id}/visits": record(form={"day": "x"}, ok=(422,)),
    "POST /staff/places": record(form={"place": "x", "kind": "market", **HERE}, beyond=(422,)),
    "POST /staff/places/{place_id}/contacts": record(form={"source": "{person}"}, ok=(422,)),
    "POST /staff/visits/{visit_id}/remove": record(form={}),
    # work
    "GET /staff/teams": listed("team"),
    "GET /staff/tasks": listed("account", query={"view": "unit"}),
    "GET /staff/tasks/new": record("person", query={"person": "{person}"}),
    "GET /staff/tasks/{task}": record("contact"),
    "GET /v1/staff/tasks": listed("account", query={"view": "unit"}),
    "GET /v1/staff/tasks/{task}": record("contact"),
    "POST /staff/teams": record(form={"name": "Đội mới", **HERE}, beyond=(422,)),
    "POST /staff/teams/{team}": record(form={"act": "automatic"}),
    "POST /staff/tasks/assign": record(form={"tasks": "{task}.0", "to": "me"}, ok=(303, 422)),
    "POST /staff/tasks/new": record(form={"person": "{person}", "kind": "x"}, ok=(422,)),
    "POST /staff/tasks/{task}": record(form={**CALLED, "seen": "0"}),
    "POST /staff/tasks/{task}/cancel": record(form={"seen": "0", "reason": "x y z"}),
    "POST /staff/tasks/{task}/hand-over": record(
        form={"seen": "0", "unit": "00008", "reason": "x y z"}
    ),
    "POST /staff/tasks/{task}/take": record(form={"seen": "0"}),
    "POST /v1/staff/tasks/assign": record(
        json={"tasks": [{"task": "{task:d}", "seen": 0}], "to": "zz.dau-vet"}
    ),
    "POST /v1/staff/tasks/{task}/cancel": record(json={"seen": 0, "reason": "x y z"}),
    "POST /v1/staff/tasks/{task}/entries": record(json={**CALLED, "seen": 0}),
    "POST /v1/staff/tasks/{task}/hand-over": record(
        json={"seen": 0, "unit": "00008", "reason": "x y z"}
    ),
    "POST /v1/staff/tasks/{task}/take": record(json={"seen": 0}),
    # situation
    "GET /staff/situation": record(query=HERE),
    "GET /staff/situation/chains": record(query=HERE),
    "GET /staff/situation/coverage": record(query=HERE),
    "GET /staff/situation/delays": record(query=HERE),
    "GET /staff/situation/map": record(query=HERE),
    "GET /staff/situation/{picture}/file.{form}": record(
        query=HERE, at={"picture": "curve-onset", "form": "csv"}
    ),
    "POST /staff/situation/chains": listed("person", form={"purpose": "tracing"}),
    # linelists
    "GET /staff/exports": own(),
    "GET /staff/exports/reports/{report_id}": others(),
    "GET /staff/search": own(),
    "POST /staff/exports": record("case", form={**EXPORT, "kind": "cases", "form": "csv"}),
    "POST /staff/exports/schedules/{schedule_id}/end": others(form={}),
    "POST /staff/search": listed("person", form=SEARCH),
    "POST /staff/search/saved/{search_id}": others(form={"purpose": "tracing"}),
    # Says nothing, and deletes one's own alone.
    "POST /staff/search/saved/{search_id}/delete": others(form={}, beyond=(303,)),
    "POST /v1/staff/exports": record("case", json={**EXPORT, "list": "cases"}),
    # audit
    "GET /staff/audit": listed("audit"),
    "GET /staff/audit/alerts": listed("account"),
    "GET /staff/audit/export": listed("audit"),
    "GET /v1/staff/audit": listed("audit"),
    "GET /v1/staff/audit/alerts": listed("account"),
    "POST /staff/audit/alerts": record(
        form={
            "rule": "night",
            "account": "{account}",
            "day": "2021-01-19",
            "answer": "explained",
            "word": "x",
        }
    ),
    "POST /staff/people/{person}/citizen-code": record(form={}),
    "POST /v1/staff/people/{person}/citizen-code": record(),
    # messaging, news: of the nation
    "GET /staff/news": own(),
    "GET /staff/news/{item}": own(),
    "GET /staff/outbox": own(),
    "GET /v1/staff/outbox": own(),
    "POST /staff/news": own(form={}, ok=(400, 422)),
    "POST /staff/news/{item}": own(form={}, ok=(400, 422)),
    "POST /staff/news/{item}/publish": own(form={}, ok=(400,)),
    "POST /staff/news/{item}/withdraw": own(form={}, ok=(400,)),
}
ROUTES: dict[str, APIRoute] = {
    f"{method} {route.path}": route
    for router in ROUTERS
    for route in router.routes
    if isinstance(route, APIRoute) and roles_of(route.endpoint) is not None
    for method in sorted(route.methods - {"HEAD"})
}


def test_every_route_of_staff_is_in_the_matrix() -> None:
    missing = sorted(set(ROUTES) - set(ENTRIES))
    assert not missing, (
        "these routes have no line in ENTRIES of tests/server/test_isolation.py, which says whose"
        f" records they show: {', '.join(missing)}"
    )
    gone = sorted(set(ENTRIES) - set(ROUTES))
    assert not gone, f"ENTRIES of tests/server/test_isolation.py has what is gone: {gone}"


@pytest.fixture
async def unchanged(settings: Settings, clock: ManualClock) -> AsyncIterator[Services]:
    """Parts whose transactions leave nothing behind, and that refuse nobody for their number."""
    opened = await open_services(settings, clock)
    yield opened
    await opened.database.dispose()


def expected(name: str, entry: Entry, visitor: Visitor) -> tuple[tuple[int, ...], bool]:
    """The statuses that are right, and whether the entry's record is shown."""
    route = ROUTES[name]
    roles = roles_of(route.endpoint)
    if visitor.role is None:
        return ((303,) if route.path.startswith("/staff") else (401,)), False
    assert roles is not None
    if visitor.role not in roles:
        return (403,), False
    if needs_the_nation(route.endpoint) and visitor.unit != NATION:
        return (403,), False
    sees = is_within(BA_DINH, visitor.unit)
    match entry.reach:
        case Reach.RECORD:
            return (entry.ok, True) if sees else (entry.beyond, False)
        case Reach.LIST:
            return entry.ok, sees
        case Reach.OWN:
            return entry.ok, False
        case Reach.OTHERS:
            return entry.beyond, False


def asks(name: str, visitor: Visitor) -> bool:
    """A wrong role asks from where it would see most: it is refused before its place matters."""
    roles = roles_of(ROUTES[name].endpoint)
    return (
        visitor.role is None
        or (roles is not None and visitor.role in roles)
        or visitor.unit in (BA_DINH, NATION)
    )


def filled(value: Any, world: World) -> Any:
    """`{record}` in texts by its id; `{record:d}` alone as a number."""
    if isinstance(value, dict):
        return {key: filled(one, world) for key, one in value.items()}
    if isinstance(value, list):
        return [filled(one, world) for one in value]
    if isinstance(value, str) and value.endswith(":d}"):
        return int(world.ids[value[1:-3]])
    return value.format(**world.ids) if isinstance(value, str) else value


def asked(name: str, entry: Entry, visitor: Visitor, world: World) -> httpx.Request:
    """The request of a visitor."""
    method, path = re.sub(r":\w+}", "}", name).split(" ")
    places = {key: world.ids[record] for key, record in PATHS.items()}
    places |= {key: world.ids.get(value, value) for key, value in entry.at.items()}
    request: dict[str, Any] = {
        "method": method,
        "url": f"http://127.0.0.1{path.format(**places)}",
        "params": filled(entry.query, world),
    }
    if path.startswith("/staff"):
        cookie = f"bluezone_session={visitor.token}"
        request["headers"] = {"Cookie": cookie}
        if entry.form is not None:
            page = Request({"type": "http", "headers": [(b"cookie", cookie.encode())]})
            token, _visitor = forms.issue(page)
            request["data"] = {"form_token": token, **filled(entry.form, world)}
    else:
        request["headers"] = {"Authorization": f"Bearer {visitor.token}"}
        if entry.json is not None:
            request["json"] = filled(entry.json, world)
    return httpx.Request(**request)


def text_of(answer: httpx.Response) -> str:
    """All that an answer says, the parts of an archive too."""
    if answer.content.startswith(b"PK"):
        with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
            return "".join(archive.read(one).decode(errors="replace") for one in archive.namelist())
    return "\n".join((answer.text, *answer.headers.values()))


def _say_nothing(_logger: Any, _method: str, _event: Any) -> Any:
    raise structlog.DropEvent


def faults(
    entry: Entry, statuses: tuple[int, ...], shown: bool, answer: httpx.Response, world: World
) -> Iterator[str]:
    if answer.status_code not in statuses:
        yield f"answered {answer.status_code}, not {' or '.join(map(str, statuses))}"
    text = text_of(answer)
    if shown and entry.shows and world.texts[entry.shows] not in text:
        yield f"did not show the {entry.shows}"
    if not shown:
        betrayed = [name for name, one in world.texts.items() if one in text]
        # The news are the nation's, and no unit's.
        betrayed = [name for name in betrayed if name != "news"]
        if betrayed:
            yield f"showed the {', '.join(betrayed)}"


@pytest.mark.timeout(900)  # half a minute, where nothing else runs
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_everybody_sees_their_own_subtree_alone(
    unchanged: Services, clock: ManualClock, capsys: pytest.CaptureFixture[str]
) -> None:
    structlog.configure(processors=[_say_nothing])
    world = await make_world(unchanged)
    visitors = await make_visitors(unchanged)
    services = replace(
        unchanged, database=Unchanged(unchanged.settings.database_url), limits=Unlimited(clock)
    )
    # Without a client, which would keep cookies: there are thousands of requests.
    transport = httpx.ASGITransport(create_app(services))
    wrong: list[str] = []
    asked_for = 0
    for name, entry in ENTRIES.items():
        for visitor in (one for one in visitors if asks(name, one)):
            answer = await transport.handle_async_request(asked(name, entry, visitor, world))
            await answer.aread()
            statuses, shown = expected(name, entry, visitor)
            wrong += [
                f"{name}: {visitor} {fault}"
                for fault in faults(entry, statuses, shown, answer, world)
            ]
            asked_for += 1
    await services.database.dispose()
    with capsys.disabled():
        print(
            f"\nisolation: {len(ENTRIES)} pages, interfaces and exports, {len(StaffRole)} roles at"
            f" {len(PLACES)} places (a wrong role at 2), and a stranger: {asked_for} combinations,"
            f" {len(wrong)} wrong"
        )
    assert not wrong, "\n".join(wrong)
