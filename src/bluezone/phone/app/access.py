"""Who may ask: only the owner's browser (docs/phone-interface.md, "Who may ask").

Other users of this computer can reach the loopback address too, and so can any page that the
owner opens, under a name of its own (DNS rebinding) or by a forged request (CSRF).
"""

import base64
import hashlib
import hmac
import re
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bluezone.phone.app.core import Refused
from bluezone.phone.app.interface import Fault
from bluezone.phone.page_keys import PageKeys
from bluezone.phone.store import StoreError
from bluezone.web.catalogue import _, in_all_languages

_COOKIE_SECONDS: Final = 400 * 24 * 3600  # the longest that browsers keep one
_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src {styles}; img-src 'self' data:; "
    "connect-src 'self'; manifest-src 'self'; worker-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'"
)
_HEADERS: Final = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=()",
}
_READING: Final = frozenset({"GET", "HEAD"})
_HEADER: Final = "x-bluezone-token"
# Not a redirect: of a navigation that a file or another site began, it would go on without the
# strict cookie; this page begins one of its own. A fragment reaches no server and no log.
_OPENED: Final = """<!doctype html>
<meta charset="utf-8">
<meta http-equiv="refresh" content="0; url=/#open={token}">
<title>Bluezone</title>
"""


class Doorkeeper:
    """In front of every page and answer."""

    def __init__(self, app: ASGIApp, keys: Callable[[], PageKeys], locked: Path) -> None:
        """`locked` is the page for whoever has no cookie."""
        self._app = app
        self._keys = keys
        self._locked = locked.read_text("utf-8")
        # The page for strangers brings its own look: it may fetch nothing.
        styles = re.findall(r"<style>(.*?)</style>", self._locked, re.DOTALL)
        hashes = [base64.b64encode(hashlib.sha256(s.encode()).digest()).decode() for s in styles]
        self._locked_styles = " ".join(f"'sha256-{one}'" for one in hashes) or "'none'"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        request = Request(scope, receive)
        try:
            refusal = self._refusal(request)
        except StoreError as error:  # the keys cannot be read: nobody is let in
            refused = Refused.of(error)
            fault = Fault(refused.error, refused.message)
            refusal = _answered(fault, refused.status)
        styles = self._locked_styles if refusal and refusal.status_code == 401 else "'self'"
        headers = {"content-security-policy": _POLICY.format(styles=styles), **_HEADERS}

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                kept = [
                    pair for pair in message["headers"] if pair[0].decode().lower() not in headers
                ]
                extra = [(name.encode(), value.encode()) for name, value in headers.items()]
                message["headers"] = [*kept, *extra]
            await send(message)

        await (refusal or self._app)(scope, receive, with_headers)

    def _refusal(self, request: Request) -> Response | None:
        port = request.scope["server"][1]
        hosts = {f"127.0.0.1:{port}", f"localhost:{port}"}
        if request.headers.get("host", "") not in hosts:
            return _fault(
                421, "host", _("The phone's pages are reached by 127.0.0.1 alone, under no name.")
            )
        name = f"bluezone-{port}"
        if request.url.path == "/open" and request.method == "GET":
            if not self._keys().use(request.query_params.get("key", "")):
                return self._locked_page()
            answer = HTMLResponse(_OPENED.format(token=self._keys().token()))
            answer.set_cookie(
                name,
                self._keys().cookie(),
                max_age=_COOKIE_SECONDS,
                httponly=True,
                samesite="strict",
            )
            return answer
        asks = request.url.path.startswith("/api/")
        # A browser gives a cookie of 127.0.0.1 to every port, also to another user's server.
        # Whoever was handed it that way gets files without content, never an answer.
        allowed = _same(request.cookies.get(name, ""), self._keys().cookie())
        if asks and not _same(request.headers.get(_HEADER, ""), self._keys().token()):
            allowed = False
        if not allowed:
            if asks:
                return _fault(401, "locked", _("Open the phone's pages by its own link first."))
            return self._locked_page()
        if request.method not in _READING and _is_foreign(request, hosts):
            return _fault(403, "foreign", _("Another page tried to act in your name."))
        return None

    def _locked_page(self) -> Response:
        return HTMLResponse(self._locked, 401)


def _is_foreign(request: Request, hosts: set[str]) -> bool:
    # A browser says where a request comes from; a form of another site cannot send JSON
    # without asking first.
    origin = request.headers.get("origin", "").removeprefix("http://")
    kind = request.headers.get("content-type", "").split(";")[0].strip()
    has_body = (
        request.headers.get("content-length", "0") != "0" or "transfer-encoding" in request.headers
    )
    asks_json = request.method == "POST" or has_body
    return origin not in hosts or (asks_json and kind != "application/json")


def _same(given: str, secret: str) -> bool:
    return hmac.compare_digest(given.encode("utf-8", "surrogateescape"), secret.encode())


def _fault(status: int, error: str, message: str) -> Response:
    return _answered(Fault(error, in_all_languages(message)), status)


def _answered(fault: Fault, status: int) -> Response:
    return Response(msgspec.json.encode(fault), status, media_type="application/json")
