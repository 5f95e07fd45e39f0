"""The whole service: the one file that knows every duty."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import cache
from typing import Final

from fastapi import APIRouter, Depends, FastAPI, Request, Response
from fastapi.responses import RedirectResponse
from sqlalchemy.orm import configure_mappers
from starlette.middleware import Middleware
from starlette.routing import BaseRoute
from starlette.staticfiles import StaticFiles

from bluezone.clock import Clock
from bluezone.protocol.trust import read_certificates
from bluezone.server import configuration, downloads, health
from bluezone.server.audit import jobs as audit_jobs
from bluezone.server.audit import routes as audit
from bluezone.server.authorisation import NEXT_PAGE, authorise, check_routes, is_page
from bluezone.server.bodies import BodyLimit, BodyLimits
from bluezone.server.cases import import_pages as cases_imports
from bluezone.server.cases import jobs as cases_jobs
from bluezone.server.cases import laboratory_routes as laboratory
from bluezone.server.cases import routes as cases
from bluezone.server.config import Settings
from bluezone.server.contacts import import_pages as contacts_imports
from bluezone.server.contacts import jobs as contacts_jobs
from bluezone.server.contacts import person_routes, place_routes
from bluezone.server.contacts import routes as contacts
from bluezone.server.context import Services
from bluezone.server.diagnosis import jobs as diagnosis_jobs
from bluezone.server.diagnosis import routes as diagnosis
from bluezone.server.errors import EXPECTED_ERRORS, Refused, as_refused, refusal_response
from bluezone.server.evidence import jobs as evidence_jobs
from bluezone.server.evidence import routes as evidence
from bluezone.server.holdings import jobs as holdings_jobs
from bluezone.server.holdings import routes as holdings
from bluezone.server.invitations import routes as invitations
from bluezone.server.jobs import Job, Scheduler
from bluezone.server.keys import TRUST_OBJECT, KeyUnavailable, RoleKeys, load_pins
from bluezone.server.limits import Limits
from bluezone.server.linelists import jobs as linelists_jobs
from bluezone.server.linelists import routes as linelists
from bluezone.server.linelists import search_routes
from bluezone.server.messaging import routes as messaging
from bluezone.server.messaging.sending import LocalOutbox
from bluezone.server.metrics import Metrics
from bluezone.server.news import jobs as news_jobs
from bluezone.server.news import routes as news
from bluezone.server.pages import load_frame, refusal_page
from bluezone.server.people import accounts as people_accounts
from bluezone.server.people import joining, own_account
from bluezone.server.people import routes as people
from bluezone.server.places import jobs as places_jobs
from bluezone.server.places import routes as places
from bluezone.server.places import units
from bluezone.server.register import routes as register
from bluezone.server.requests import Requests, log_failure
from bluezone.server.rotation import jobs as rotation_jobs
from bluezone.server.situation import routes as situation
from bluezone.server.tracing import inbox
from bluezone.server.tracing import jobs as tracing_jobs
from bluezone.server.tracing import routes as tracing
from bluezone.server.work import interface as work_interface
from bluezone.server.work import jobs as work_jobs
from bluezone.server.work import routes as work
from bluezone.server.work import team_routes as work_teams
from bluezone.storage.database import Database
from bluezone.storage.objects import FolderObjects, ObjectMissing
from bluezone.web import catalogue
from bluezone.web.pages import STATIC

ROUTERS: Final[tuple[APIRouter, ...]] = (
    downloads.router,  # first: nearly every request is for these, and routes are tried in turn
    people.router,
    own_account.router,
    joining.router,
    people_accounts.router,
    diagnosis.router,
    tracing.router,
    inbox.router,
    evidence.router,
    contacts.router,
    person_routes.router,
    place_routes.router,
    messaging.router,
    places.router,
    news.router,
    invitations.router,
    contacts_imports.router,
    cases_imports.router,  # before the cases: "import" is no number
    cases.router,
    laboratory.router,
    register.router,
    work.router,
    work_teams.router,
    work_interface.router,
    situation.router,
    search_routes.router,
    linelists.router,
    audit.router,
    holdings.router,
    health.router,
)


BODY_LIMITS: Final[dict[str, BodyLimit]] = {
    **tracing.BODY_LIMITS,
    **cases_imports.BODY_LIMITS,
    **contacts_imports.BODY_LIMITS,
    **laboratory.BODY_LIMITS,
    **evidence.BODY_LIMITS,
}


def all_jobs(settings: Settings) -> list[Job]:
    """The periodic work of every duty."""
    return [
        *diagnosis_jobs.jobs(settings),
        *tracing_jobs.jobs,
        *evidence_jobs.jobs,
        *contacts_jobs.jobs,
        *messaging.jobs,
        *places_jobs.jobs,
        *news_jobs.jobs,
        *invitations.jobs,
        *people.jobs,
        *register.jobs,
        *cases_jobs.jobs,
        *audit_jobs.jobs,
        *rotation_jobs.jobs,
        *holdings_jobs.jobs,
        *configuration.jobs,
        *work_jobs.jobs,
        *linelists_jobs.jobs,
    ]


async def open_services(settings: Settings, clock: Clock) -> Services:
    """Put the parts together. Raises KeyUnavailable, TrustError, DatabaseUrlError."""
    objects = FolderObjects(settings.objects_folder)
    pins = load_pins(settings.home)
    try:
        trust = read_certificates(await objects.get(TRUST_OBJECT), pins)
    except ObjectMissing:
        raise KeyUnavailable(
            f"{settings.objects_folder / TRUST_OBJECT} is missing: run `bluezone server init`"
        ) from None
    return Services(
        settings=settings,
        clock=clock,
        database=Database(settings.database_url),
        objects=objects,
        keys=RoleKeys.open(settings.secrets_folder, trust),
        limits=Limits(clock),
        metrics=Metrics(),
        sender=LocalOutbox(),
    )


def _make_ready() -> None:
    """Do once what whoever comes first would have to wait for, half a second."""
    units.unit(units.NATION)  # reads all of them
    catalogue.load()
    configure_mappers()
    load_frame()


def create_app(services: Services, scheduler: Scheduler | None = None) -> FastAPI:
    """The ASGI application. With a scheduler it does the periodic work while it is up."""
    check_routes(ROUTERS)
    _make_ready()
    endpoints = {
        route.endpoint: route.path
        for router in ROUTERS
        for route in router.routes
        if hasattr(route, "endpoint") and hasattr(route, "path")
    }

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        work = asyncio.create_task(scheduler.run()) if scheduler else None
        yield
        if work:
            work.cancel()
            with suppress(asyncio.CancelledError):
                await work
        await services.database.dispose()

    app = FastAPI(
        title="Bluezone",
        openapi_url=None,
        # Starlette builds that redirect from the Host header; a cache would keep a forged one.
        redirect_slashes=False,
        lifespan=lifespan,
        routes=_routes(),
        middleware=[
            Middleware(Requests, routes=endpoints, metrics=services.metrics, answer=_answer),
            Middleware(
                BodyLimits,
                general=BodyLimit(services.settings.max_body_bytes, services.settings.body_seconds),
                routes=BODY_LIMITS,
                answer=_answer,
            ),
        ],
        exception_handlers=dict.fromkeys(EXPECTED_ERRORS, _refuse),
    )
    app.state.services = services
    app.mount("/static", StaticFiles(directory=STATIC), name="static")
    return app


@cache
def _routes() -> list[BaseRoute]:
    """Every route, behind `authorise`. FastAPI puts them together at their first request, which
    takes a while: once for all applications of a process."""
    router = APIRouter(dependencies=[Depends(authorise)])
    for one in ROUTERS:
        router.include_router(one)
    return router.routes


async def _refuse(request: Request, error: Exception) -> Response:
    refused = as_refused(error)
    if refused.status_code >= 500:
        log_failure(request.scope, error)
    return _answer(request, refused)


def _answer(request: Request, refused: Refused) -> Response:
    """A refusal in the form its reader expects."""
    if not is_page(request):
        return refusal_response(refused)
    if refused.error in NEXT_PAGE:
        return RedirectResponse(NEXT_PAGE[refused.error], 303)
    return refusal_page(request, refused)
