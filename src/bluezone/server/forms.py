"""Cookies and form tokens: a form is accepted only from a page that this service served.

The token in the form is an HMAC of the cookie in the browser, so nothing is kept here.
"""

import hmac
import ipaddress
import secrets
from typing import Final

from fastapi import Request, Response

from bluezone.server.errors import Refused
from bluezone.web.catalogue import _

SESSION_COOKIE: Final = "bluezone_session"
_VISITOR_COOKIE: Final = "bluezone_visitor"  # before signing in there is no session to bind to
TOKEN_FIELD: Final = "form_token"  # noqa: S105 - a field's name


def set_cookie(request: Request, response: Response, name: str, value: str, seconds: int) -> None:
    """A cookie that scripts and foreign sites cannot use; HTTPS only, but for this machine."""
    response.set_cookie(
        name,
        value,
        max_age=seconds,
        path="/",
        httponly=True,
        samesite="strict",
        secure=not (request.url.scheme == "http" and is_loopback(request.url.hostname)),
    )


def issue(request: Request) -> tuple[str, str | None]:
    """The form token of a page, and the visitor cookie to set with it if there is none yet."""
    secret = _secret(request)
    if secret:
        return _token(secret), None
    secret = secrets.token_urlsafe(24)
    return _token(secret), secret


def remember_visitor(request: Request, response: Response, secret: str) -> None:
    """Set the cookie that `issue` asked for."""
    set_cookie(request, response, _VISITOR_COOKIE, secret, 24 * 3600)


def adopt_session(request: Request, token: str) -> None:
    """Bind the forms of this answer to a session that was opened while answering."""
    request.cookies[SESSION_COOKIE] = token


async def check(request: Request) -> None:
    """Raises Refused (403) unless the form carries the token of this browser's page."""
    form = await request.form()
    given = form.get(TOKEN_FIELD)
    secret = _secret(request)
    if (
        not isinstance(given, str)
        or secret is None
        or not hmac.compare_digest(_token(secret).encode(), given.encode())
    ):
        await form.close()  # it may hold a file
        raise Refused(
            403,
            "form-expired",
            _("This form is no longer valid. Please open the page again and retry."),
        )


def _secret(request: Request) -> str | None:
    """What a form is bound to: the session, or before signing in the visitor's cookie.

    Never the visitor's cookie beside a session: a sibling host could have planted it.
    """
    return request.cookies.get(SESSION_COOKIE) or request.cookies.get(_VISITOR_COOKIE)


def _token(secret: str) -> str:
    return hmac.digest(secret.encode(), b"BZ1-FORM", "sha256").hex()


def is_loopback(host: str | None) -> bool:
    """Whether a host name or address means this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host or "").is_loopback
    except ValueError:
        return False
