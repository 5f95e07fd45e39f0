"""A page as an answer: the frame with who is signed in, the form token and the language."""

from pathlib import Path
from typing import Any, Final

from fastapi import Request
from fastapi.responses import HTMLResponse

from bluezone.server import drafts, forms
from bluezone.server.errors import Refused
from bluezone.server.places.units import full_name
from bluezone.web.catalogue import translate
from bluezone.web.pages import LANGUAGE_COOKIE, Pages, chosen_language

# A duty's templates are named after its folder: `people/sign_in.html`.
_PAGES: Final = Pages(
    {folder.parent.name: folder for folder in Path(__file__).parent.glob("*/templates")}
)
_YEAR_SECONDS: Final = 365 * 24 * 3600


def load_frame() -> None:
    """Compile the templates that are part of every page of staff."""
    for template in ("web/frame.html", "people/staff.html"):
        _PAGES.load(template)


def page(request: Request, template: str, status: int = 200, **values: Any) -> HTMLResponse:
    """Render a duty's template.

    It gets `language`, `staff` (who is signed in, or None), `form_token` (a hidden field of
    every form), `draft_key` (drafts.py) and `unit_name` (what a unit's path is called) beside
    `values`.
    """
    wish, language = request.query_params.get("language"), language_of(request)
    form_token, visitor = forms.issue(request)
    staff = getattr(request.state, "staff", None)
    draft_key, browser = drafts.issue(request, staff) if staff else ("", "")
    html = _PAGES.render(
        template,
        language,
        staff=staff,
        draft_key=draft_key,
        unit_name=full_name,
        form_token=form_token,
        **values,
    )
    response = HTMLResponse(html, status, {"Cache-Control": "no-store", "Vary": "Cookie"})
    if staff:
        drafts.remember(request, response, staff, browser)
    if visitor:
        forms.remember_visitor(request, response, visitor)
    if wish == language:
        forms.set_cookie(request, response, LANGUAGE_COOKIE, language, _YEAR_SECONDS)
    return response


def public_page(request: Request, template: str, status: int = 200, **values: Any) -> HTMLResponse:
    """Render a template for somebody without an account: no cookie but that of the language."""
    language = language_of(request)
    html = _PAGES.render(template, language, **values)
    response = HTMLResponse(html, status, {"Cache-Control": "no-store", "Vary": "Cookie"})
    if request.query_params.get("language") == language:
        forms.set_cookie(request, response, LANGUAGE_COOKIE, language, _YEAR_SECONDS)
    return response


def language_of(request: Request) -> str:
    """The reader's language."""
    wish = request.query_params.get("language")
    return chosen_language(wish, request.cookies.get(LANGUAGE_COOKIE))


def sentence(request: Request, refused: Refused) -> str:
    """What a refusal says, in the reader's language."""
    return translate(refused.message, language_of(request), **refused.values)


def refusal_page(request: Request, refused: Refused) -> HTMLResponse:
    """A refusal for a person at a browser."""
    message = sentence(request, refused)
    response = page(request, "web/refused.html", refused.status_code, message=message)
    response.headers.update(refused.headers or {})
    return response
