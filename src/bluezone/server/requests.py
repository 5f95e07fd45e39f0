"""What is around every request: the log line, the count, security headers, the last catch."""

from collections.abc import Callable, Mapping
from typing import Any, Final

import structlog
from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bluezone.server.errors import Refused, as_refused
from bluezone.server.limits import client_subject
from bluezone.server.metrics import Metrics

_log = structlog.get_logger()

SECURITY_HEADERS: Final = {
    # Pages load their style sheet from here and nothing from anywhere else; no scripts, but for
    # those of the staff (below).
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; img-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Strict-Transport-Security": "max-age=31536000; includeSubDomains",
}
_STAFF_HEADERS: Final = SECURITY_HEADERS | {
    "Content-Security-Policy": SECURITY_HEADERS["Content-Security-Policy"]
    + "; script-src 'self'; connect-src 'self'; worker-src 'self'"
}


class Requests:
    """Logs route, status and a coarse client; never the path as sent, a query or a body.

    `routes` maps endpoints to their path templates, the only form of a path that is
    recorded: a real path may hold what somebody typed.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        routes: Mapping[Any, str],
        metrics: Metrics,
        answer: Callable[[Request, Refused], Response],
    ) -> None:
        self._app = app
        self._answer = answer
        self._routes = routes
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status = 0
        is_staff = f"{scope['path']}/".startswith("/staff/")
        security_headers = _STAFF_HEADERS if is_staff else SECURITY_HEADERS

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                for name, value in security_headers.items():
                    headers[name] = value
            await send(message)

        try:
            await self._app(scope, receive, watched)
        except Exception as error:
            log_failure(scope, error)
            if status:  # too late for another answer: let the server break the connection off
                raise
            answer = self._answer(Request(scope), as_refused(error))
            await answer(scope, receive, watched)
        finally:
            self._record(scope, status)

    def _record(self, scope: Scope, status: int) -> None:
        route = self._route(scope)
        self._metrics.requests.labels(route, status).inc()
        _log.info(
            "request",
            method=scope["method"],
            route=route,
            status=status,
            client=_coarse(scope.get("client")),
        )

    def _route(self, scope: Scope) -> str:
        return self._routes.get(scope.get("endpoint"), "(unknown)")


def log_failure(scope: Scope, error: Exception) -> None:
    """A failure that is ours to repair."""
    endpoint = getattr(scope.get("endpoint"), "__qualname__", "(unknown)")
    if as_refused(error).status_code == 503:  # its text names a cause, and is written for logs
        _log.error("request refused", endpoint=endpoint, reason=str(error))
    else:
        _log.error("request failed", endpoint=endpoint, exc_info=error)


def _coarse(client: tuple[str, int] | None) -> str:
    """The client's network: enough to see a flood, not a household."""
    subject = client_subject(client[0] if client else None)
    if subject.count(".") == 3:
        return subject.rsplit(".", 1)[0] + ".0/24"
    return ":".join(subject.split(":")[:3]) + "::/48" if ":" in subject else subject
