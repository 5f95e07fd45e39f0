"""Messages for people, Vietnamese first: one gettext catalogue for the phone and the service.

A message is its English sentence with `{named}` places; `locale/vi/bluezone.po` holds the
Vietnamese. The .po file is read as it is, so there is nothing to compile.
"""

from functools import cache
from pathlib import Path
from typing import Final

from babel.messages.pofile import read_po

LANGUAGES: Final = ("vi", "en")
DEFAULT_LANGUAGE: Final = "vi"
_LOCALE = Path(__file__).parent / "locale"


@cache
def _messages(language: str) -> dict[str, str]:
    path = _LOCALE / language / "bluezone.po"
    if not path.exists():  # English is the message itself
        return {}
    with path.open("rb") as file:
        catalogue = read_po(file, locale=language)
    return {
        message.id: message.string
        for message in catalogue
        # The empty id is the file's own header, no message.
        if isinstance(message.id, str) and message.id
        if isinstance(message.string, str) and message.string
    }


def load() -> None:
    """Read the translations now: the first sentence need not wait for it."""
    for language in LANGUAGES:
        _messages(language)


def translate(message: str, language: str = DEFAULT_LANGUAGE, **values: object) -> str:
    """`message` in `language` with its `{named}` places filled in."""
    text = _messages(language).get(message, message)
    return text.format(**values) if values else text


def in_all_languages(message: str, **values: object) -> dict[str, str]:
    """`message` by language, Vietnamese first."""
    return {language: translate(message, language, **values) for language in LANGUAGES}


def words(language: str) -> dict[str, str]:
    """All messages with their text in `language`, for pages that translate by themselves."""
    return dict(_messages(language))


def _(message: str) -> str:
    """Mark a message for extraction; it is translated where it is shown."""
    return message
