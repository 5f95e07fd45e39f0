"""A page as an answer: the frame with who is signed in, the form token and the language."""

from pathlib import Path
from typing import Any, Final

from fastapi import Request
from fastapi.responses import HTMLResponse

from bluezone.server import forms
from bluezone.server.errors import Refused
from bluezone.web.catalogue import translate
from bluezone.web.pages import LANGUAGE_COOKIE, Pages, chosen_language

# A duty's templates are named after its folder: `people/sign_in.html`.
_PAGES: Final = Pages(
    {folder.parent.name: folder for folder in Path(__file__).parent.glob("*/templates")}
)
_YEAR_SECONDS: Final = 365 * 24 * 3600


def page(request: Request, template: str, status: int = 200, **values: Any) -> HTMLResponse:
    """Render a duty's template.

    It gets `language`, `staff` (who is signed in, or None) and `form_token` (a hidden field
    of every form) beside `values`.
    """
    wish = request.query_params.get("language")
    language = chosen_language(wish, request.cookies.get(LANGUAGE_COOKIE))
    form_token, visitor = forms.issue(request)
    html = _PAGES.render(
        template,
        language,
        staff=getattr(request.state, "staff", None),
        form_token=form_token,
        **values,
    )
    response = HTMLResponse(html, status, {"Cache-Control": "no-store", "Vary": "Cookie"})
    if visitor:
        forms.remember_visitor(request, response, visitor)
    if wish == language:
        forms.set_cookie(request, response, LANGUAGE_COOKIE, language, _YEAR_SECONDS)
    return response


def refusal_page(request: Request, refused: Refused) -> HTMLResponse:
    """A refusal for a person at a browser."""
    wish = request.query_params.get("language")
    language = chosen_language(wish, request.cookies.get(LANGUAGE_COOKIE))
    message = translate(refused.message, language, **refused.values)
    response = page(request, "web/refused.html", refused.status_code, message=message)
    response.headers.update(refused.headers or {})
    return response
