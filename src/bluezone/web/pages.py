"""Pages: Jinja2 templates in one frame, in the reader's language."""

import datetime as dt
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, FileSystemLoader, PrefixLoader, StrictUndefined, pass_context
from jinja2.runtime import Context

from bluezone.web.catalogue import DEFAULT_LANGUAGE, LANGUAGES, translate

HERE: Final = Path(__file__).parent
STATIC: Final = HERE / "static"
LANGUAGE_COOKIE: Final = "bluezone_language"


class Pages:
    """Templates by folder name: `web/frame.html` is the frame, others come from `folders`.

    Inside a template `_("English sentence with {place}", place=...)` is the reader's language, and
    `day_word` is there.
    """

    def __init__(self, folders: Mapping[str, Path]) -> None:
        loaders = {
            name: FileSystemLoader(folder)
            for name, folder in {"web": HERE / "templates", **folders}.items()
        }
        self._environment = Environment(
            loader=PrefixLoader(loaders),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._environment.globals.update({"_": _translate, "day_word": day_word})

    def load(self, template: str) -> None:
        """Compile a template, so that its first page need not wait for it."""
        self._environment.get_template(template)

    def render(self, template: str, language: str, **values: Any) -> str:
        """The page as HTML. Raises jinja2.TemplateError for a wrong template or a missing value."""
        return self._environment.get_template(template).render(language=language, **values)


def chosen_language(query: str | None, cookie: str | None) -> str:
    """The language asked for in the address, else remembered, else Vietnamese."""
    for wish in (query, cookie):
        if wish in LANGUAGES:
            return wish
    return DEFAULT_LANGUAGE


def day_word(day: str | None) -> str:
    """An ISO day as people write it, 17/01/2021; what is none stays as it is."""
    try:
        return dt.date.fromisoformat(day or "").strftime("%d/%m/%Y")
    except ValueError:
        return day or ""


@pass_context
def _translate(context: Context, message: str, /, **values: object) -> str:
    return translate(message, context["language"], **values)
