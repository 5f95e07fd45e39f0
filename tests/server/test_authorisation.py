"""Who may call what: every route is walked, and nothing is open by omission."""

import re

import httpx
import pytest
from fastapi import APIRouter
from fastapi.routing import APIRoute

from bluezone.clock import ManualClock
from bluezone.server.app import ROUTERS
from bluezone.server.authorisation import allows, check_routes, public, roles_of
from bluezone.server.context import Services
from bluezone.server.people.rules import StaffRole
from tests.server.conftest import PASSWORD, AddStaff

# The whole list of what a stranger can reach. Think before adding to it.
PUBLIC = {
    "GET /",  # leads to the staff pages
    "GET /health/live",
    "GET /health/ready",
    "GET /moi/{code}",
    "GET /toi",
    "GET /v1/audit.json",
    "GET /v1/news.json",
    "GET /metrics",  # checks its own reader (test_health.py)
    "GET /staff/join",
    "GET /staff/offline",  # the same page for everybody
    "GET /staff/sign-in",
    "GET /staff/taskser.js",
    "GET /v1/configuration.json",
    "GET /v1/exports/{name}",
    "GET /v1/index.json",
    "GET /v1/stations/{province}.json",
    "GET /v1/trust.json",
    "POST /staff/join",
    "POST /staff/sign-in",
    "POST /v1/commitments",
    "POST /toi",
    "POST /v1/handovers/details",
    "POST /v1/handovers/diary",
    "POST /v1/handovers/status",
    "POST /v1/handovers/withdraw",
    "POST /v1/invitations",
    "POST /v1/invitations/count",
    "POST /v1/keys",
    "POST /v1/permission",
    "POST /v1/phone-numbers",
    "POST /v1/phone-numbers/confirm",
    "POST /v1/staff/session",
}
ROUTES = [
    (method, route)
    for router in ROUTERS
    for route in router.routes
    for method in sorted(route.methods - {"HEAD"})
]


def _name(method: str, route: APIRoute) -> str:
    return f"{method} {route.path}"


def test_exactly_these_are_public() -> None:
    found = {_name(method, route) for method, route in ROUTES if roles_of(route.endpoint) is None}
    assert found == PUBLIC


@pytest.mark.parametrize(
    ("method", "route"),
    [(method, route) for method, route in ROUTES if _name(method, route) not in PUBLIC],
    ids=lambda part: getattr(part, "path", part),
)
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_an_outsider_gets_nothing_else(
    client: httpx.AsyncClient, method: str, route: APIRoute
) -> None:
    for headers in ({}, {"Authorization": "Bearer x"}, {"Cookie": "bluezone_session=x"}):
        # A path's number has to be one, or there is nothing at that address.
        path = re.sub(r"\{\w+:int\}", "1", route.path)
        answer = await client.request(method, path, headers=headers)
        if route.path.startswith("/staff"):
            assert (answer.status_code, answer.headers["location"]) == (303, "/staff/sign-in")
        else:
            assert answer.status_code == 401
            assert answer.json()["error"] == "not-signed-in"


async def test_another_role_is_refused(client: httpx.AsyncClient, add_staff: AddStaff) -> None:
    await add_staff("admin", StaffRole.ADMIN)
    answer = await client.post("/v1/staff/session", json={"name": "admin", "password": PASSWORD})
    bearer = {"Authorization": f"Bearer {answer.json()['token']}"}
    for method, route in ROUTES:
        roles = roles_of(route.endpoint)
        if roles is not None and StaffRole.ADMIN not in roles and route.path.startswith("/v1/"):
            answer = await client.request(method, route.path, headers=bearer)
            assert answer.status_code == 403, route.path


async def test_a_session_ends(
    client: httpx.AsyncClient, services: Services, clock: ManualClock, add_staff: AddStaff
) -> None:
    await add_staff("lan", StaffRole.HEALTH_WORKER)
    answer = await client.post("/v1/staff/session", json={"name": "lan", "password": PASSWORD})
    token, expires_at = answer.json()["token"], answer.json()["expires_at"]
    assert expires_at == services.now + services.settings.session_seconds
    client.cookies.set("bluezone_session", token)
    assert (await client.get("/staff")).status_code == 200
    clock.set(expires_at)
    assert (await client.get("/staff")).status_code == 303


async def test_a_bearer_token_opens_no_page_and_a_cookie_no_interface(
    client: httpx.AsyncClient, add_staff: AddStaff
) -> None:
    await add_staff("lan", StaffRole.HEALTH_WORKER)
    answer = await client.post("/v1/staff/session", json={"name": "lan", "password": PASSWORD})
    token = answer.json()["token"]
    page = await client.get("/staff", headers={"Authorization": f"Bearer {token}"})
    assert page.status_code == 303
    answer = await client.post(
        "/v1/staff/codes", headers={"Cookie": f"bluezone_session={token}"}, json={}
    )
    assert answer.status_code == 401


def test_a_route_that_says_nothing_stops_the_start() -> None:
    router = APIRouter()

    @router.get("/forgotten")
    async def forgotten() -> None: ...

    with pytest.raises(TypeError, match="/forgotten says neither"):
        check_routes([router])


def test_a_plain_route_must_be_public() -> None:
    router = APIRouter()

    @allows(StaffRole.ADMIN)
    async def inner() -> None: ...

    @public
    async def outer() -> None: ...

    router.add_route("/outer", outer)
    check_routes([router])
    router.add_route("/inner", inner)
    with pytest.raises(TypeError, match="/inner is a plain route"):
        check_routes([router])
