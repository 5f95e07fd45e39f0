"""Who may call what: the one place that decides, and nothing is open by omission.

Every endpoint says `@public` or `@allows(...)`; the service does not start with one that
says neither. Below `/staff` are pages, which take the session cookie and, to change
anything, a form token. Everything else takes a bearer token and no cookie, so a foreign
site can never act on it through somebody's browser.
"""

from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Annotated, Any, Final, TypeVar

from fastapi import Depends, Request
from fastapi.routing import APIRoute, APIRouter
from starlette.routing import BaseRoute, Mount

from bluezone.server import forms
from bluezone.server.context import services_of
from bluezone.server.errors import Refused
from bluezone.server.people import service
from bluezone.server.people.rules import Staff, StaffRole, Stage
from bluezone.server.places.units import NATION
from bluezone.storage.database import StorageUnavailable
from bluezone.web.catalogue import _

_Endpoint = TypeVar("_Endpoint", bound=Callable[..., Any])
_allowed: Final[dict[Callable[..., Any], frozenset[StaffRole] | None]] = {}
_nationwide: Final[set[Callable[..., Any]]] = set()
_stages: Final[dict[Callable[..., Any], frozenset[Stage]]] = {}
_ONLY_OPEN: Final = frozenset({Stage.OPEN})
# Where somebody goes on whose session is not as far as the page they ask for, or further.
NEXT_PAGE: Final = {
    "not-signed-in": "/staff/sign-in",
    "code-missing": "/staff/sign-in/code",
    "second-factor-missing": "/staff/account/second-factor",
    "signed-in": "/staff",
}


def public(endpoint: _Endpoint) -> _Endpoint:
    """Anyone may call this endpoint."""
    _allowed[endpoint] = None
    return endpoint


def allows(
    *roles: StaffRole, nationwide: bool = False, stages: Iterable[Stage] = _ONLY_OPEN
) -> Callable[[_Endpoint], _Endpoint]:
    """Only signed-in staff of these roles may call this endpoint.

    What they may see there is `staff.scope`. `nationwide`: a role granted for a part of the
    country is not enough. `stages`: of the session; only signing in itself takes another than OPEN.
    """

    def mark(endpoint: _Endpoint) -> _Endpoint:
        _allowed[endpoint] = frozenset(roles)
        _stages[endpoint] = frozenset(stages)
        if nationwide:
            _nationwide.add(endpoint)
        return endpoint

    return mark


def roles_of(endpoint: Callable[..., Any]) -> frozenset[StaffRole] | None:
    """The roles an endpoint is open to, None for everyone. Raises KeyError if it does not say."""
    return _allowed[endpoint]


def needs_the_nation(endpoint: Callable[..., Any]) -> bool:
    """Whether a role granted for a part of the country is not enough."""
    return endpoint in _nationwide


def check_routes(routers: Iterable[APIRouter]) -> None:
    """Refuse to start (TypeError) with an endpoint whose access nobody has decided."""
    for route in (route for router in routers for route in router.routes):
        endpoint = getattr(route, "endpoint", None)
        if endpoint not in _allowed:
            raise TypeError(f"{_where(route)} says neither @public nor @allows(...)")
        if _allowed[endpoint] is not None and not isinstance(route, APIRoute):
            # Only an APIRoute runs `authorise`.
            raise TypeError(f"{_where(route)} is a plain route and must be @public")


async def authorise(request: Request) -> None:
    """The dependency in front of every route. Raises Refused: 401 not signed in, 403 not yours."""
    endpoint = request.scope["endpoint"]
    roles = _allowed[endpoint]
    request.state.staff = None
    if roles is None:
        return
    staff = await _staff(request)
    if staff is None:
        raise Refused(401, "not-signed-in", _("Please sign in first."))
    _check_stage(staff.stage, _stages[endpoint])
    staff = staff.acting_as(roles)
    if not staff.scope.units or (needs_the_nation(endpoint) and not staff.scope.covers(NATION)):
        raise Refused(403, "not-allowed", _("Your account is not allowed to do this."))
    if is_page(request) and request.method not in ("GET", "HEAD"):
        await forms.check(request)
    request.state.staff = staff


def signed_in(request: Request) -> Staff:
    """The member of staff behind a request to an `@allows` endpoint."""
    staff: Staff = request.state.staff
    return staff


SignedIn = Annotated[Staff, Depends(signed_in)]


def is_page(request: Request) -> bool:
    """Whether a person at a browser asks; everybody else is a program and expects JSON."""
    return f"{request.url.path}/".startswith("/staff/")


def _check_stage(stage: Stage, taken: frozenset[Stage]) -> None:
    if stage in taken:
        return
    match stage:
        case Stage.CODE:
            raise Refused(403, "code-missing", _("Please type the code of your app first."))
        case Stage.ENROL:
            raise Refused(403, "second-factor-missing", _("Please set up the second factor first."))
        case Stage.OPEN:
            raise Refused(403, "signed-in", _("You are signed in already."))


async def _staff(request: Request) -> Staff | None:
    if is_page(request):
        token = request.cookies.get(forms.SESSION_COOKIE, "")
    else:
        scheme, _space, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            return None
    if not token:
        return None
    services = services_of(request)
    idle_seconds = services.settings.session_idle_seconds
    async with services.database.read() as session:
        found = await service.staff_of(session, token, services.now, idle_seconds)
    if found is None:
        return None
    staff, used_at = found
    if services.now - used_at >= service.USED_EVERY_SECONDS:
        # Where nothing can be written one can still read; the session just ends sooner.
        with suppress(StorageUnavailable):
            async with services.database.transaction() as session:
                await service.mark_used(session, token, services.now)
    return staff


def _where(route: BaseRoute) -> str:
    kind = "mount" if isinstance(route, Mount) else "route"
    return f"{kind} {getattr(route, 'path', route)}"
