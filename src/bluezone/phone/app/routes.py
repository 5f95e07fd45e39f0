"""The interface as HTTP: one table of questions, one place that reads and answers them."""

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from bluezone.phone.app import contacts, exposures, mydata, reading, reporting, status
from bluezone.phone.app.access import Doorkeeper
from bluezone.phone.app.core import App, Refused
from bluezone.phone.app.interface import (
    ChangeSettings,
    Delete,
    Details,
    Fault,
    HandoverName,
    NewsRead,
    Number,
    NumberCode,
    Question,
    ReportWish,
    Start,
)
from bluezone.phone.report import ReportError
from bluezone.phone.service import ServiceError
from bluezone.phone.store import StoreError
from bluezone.web.catalogue import _, in_all_languages

PAGES: Final = Path(__file__).parent / "pages"
_MAX_BODY_BYTES: Final = 64 * 1024
_JSON: Final = "application/json"
_Answering = Callable[..., Awaitable[Any]]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One question: what it is asked with, and who answers."""

    answer: _Answering
    question: type[Question] | None = None


# Paths below /api/v1/; `{}` stands for one part, handed to the answer.
ENDPOINTS: Final[Mapping[tuple[str, str], Endpoint]] = {
    ("GET", "state"): Endpoint(status.state),
    ("POST", "start"): Endpoint(status.start, Start),
    ("GET", "settings"): Endpoint(status.settings),
    ("POST", "settings"): Endpoint(status.change_settings, ChangeSettings),
    ("POST", "number"): Endpoint(status.number, Number),
    ("POST", "number/confirm"): Endpoint(status.confirm_number, NumberCode),
    ("DELETE", "number"): Endpoint(status.forget_number),
    ("GET", "places"): Endpoint(status.all_provinces),
    ("GET", "places/{}"): Endpoint(status.all_communes),
    ("GET", "carriers"): Endpoint(status.carriers),
    ("POST", "check"): Endpoint(status.check),
    ("GET", "around"): Endpoint(contacts.around),
    ("GET", "history"): Endpoint(contacts.history),
    ("DELETE", "history"): Endpoint(contacts.forget_history),
    ("DELETE", "history/{}"): Endpoint(contacts.forget_day),
    ("GET", "exposures"): Endpoint(exposures.exposures),
    ("POST", "exposures/read"): Endpoint(exposures.mark_read),
    ("POST", "details/preview"): Endpoint(exposures.preview_details, Details),
    ("POST", "details"): Endpoint(exposures.send_details, Details),
    ("POST", "handovers/refresh"): Endpoint(exposures.refresh),
    ("POST", "handovers/withdraw"): Endpoint(exposures.withdraw, HandoverName),
    ("POST", "report/preview"): Endpoint(reporting.preview_report, ReportWish),
    ("POST", "report"): Endpoint(reporting.send_report, ReportWish),
    ("GET", "report"): Endpoint(reporting.progress),
    ("GET", "news"): Endpoint(reading.news),
    ("POST", "news/read"): Endpoint(reading.read_news, NewsRead),
    ("GET", "notices"): Endpoint(reading.notices),
    ("POST", "notices/read"): Endpoint(reading.read_notices),
    ("GET", "invitation"): Endpoint(reading.invitation),
    ("GET", "ledger"): Endpoint(reading.ledger),
    ("GET", "about"): Endpoint(reading.about),
    ("GET", "words/{}"): Endpoint(reading.all_words),
    ("GET", "export"): Endpoint(mydata.export),
    ("POST", "delete"): Endpoint(mydata.delete, Delete),
    ("POST", "stop"): Endpoint(mydata.stop),
    ("POST", "resume"): Endpoint(mydata.resume),
}
_PATTERNS: Final = [
    (method, re.compile(path.replace("{}", "([^/]+)")), endpoint)
    for (method, path), endpoint in ENDPOINTS.items()
]


def create_pages(app: App) -> Starlette:
    """The pages and their interface as an ASGI application."""

    async def interface(request: Request) -> Response:
        try:
            return _answered(await _ask(app, request))
        except (StoreError, ServiceError, ReportError) as error:
            return _refused(Refused.of(error))
        except Refused as refused:
            return _refused(refused)

    async def elsewhere(request: Request, error: Any) -> Response:
        """No such path or no such method: below /api/ that is said as everything else."""
        if not request.url.path.startswith("/api/"):
            return PlainTextResponse(error.detail, error.status_code)
        return _refused(_not_here() if error.status_code == 405 else _unknown())

    return Starlette(
        exception_handlers={HTTPException: elsewhere},
        routes=[
            Route("/api/v1/{path:path}", interface, methods=["GET", "POST", "DELETE"]),
            Mount("/", StaticFiles(directory=PAGES, html=True)),
        ],
        middleware=[
            # A diary that was put aside has taken its keys along: always those of now.
            Middleware(Doorkeeper, keys=lambda: app.phone.page_keys, locked=PAGES / "locked.html")
        ],
    )


async def _ask(app: App, request: Request) -> Any:
    path = request.path_params["path"]
    known = False
    for method, pattern, endpoint in _PATTERNS:
        if found := pattern.fullmatch(path):
            known = True
            if method == request.method:
                return await endpoint.answer(
                    app, *found.groups(), *await _question(request, endpoint.question)
                )
    if known:
        raise _not_here()
    raise _unknown()


def _not_here() -> Refused:
    return Refused.saying(405, "method", _("This cannot be done here."))


def _unknown() -> Refused:
    return Refused.saying(404, "unknown", _("The phone does not know this question."))


async def _question(request: Request, kind: type[Question] | None) -> list[Question]:
    if request.method == "GET":
        return []
    body = b""
    async for piece in request.stream():
        body += piece
        if len(body) > _MAX_BODY_BYTES:
            raise Refused.saying(413, "too-long", _("This is too much at once."))
    if kind is None:
        return []
    try:
        return [msgspec.json.decode(body, type=kind)]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        message = in_all_languages(
            _("The phone did not understand the page ({detail}). Load the page again."),
            detail=str(error),
        )
        raise Refused(400, "malformed", message) from error


def _answered(answer: Any) -> Response:
    return Response(msgspec.json.encode(answer), media_type=_JSON)


def _refused(refused: Refused) -> Response:
    fault = Fault(refused.error, refused.message, refused.field)
    return Response(msgspec.json.encode(fault), refused.status, media_type=_JSON)
