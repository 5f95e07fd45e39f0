"""Which news is fit to be published: decisions without database or network."""

import secrets
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import msgspec

from bluezone.protocol.announcements import Announcement
from bluezone.protocol.intervals import vietnam_day
from bluezone.server.errors import Refused
from bluezone.web.catalogue import _

MAX_TITLE: Final = 200
MAX_BODY: Final = 4_000
MAX_ITEMS: Final = 200  # a phone refuses an edition with more


class NewsState(StrEnum):
    """Where a piece of news stands."""

    DRAFT = "draft"
    PUBLISHED = "published"
    WITHDRAWN = "withdrawn"


@dataclass(frozen=True, slots=True)
class Text:
    """What was written."""

    title_vi: str
    title_en: str
    body_vi: str
    body_en: str
    important: bool


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    title: dict[str, str]
    body: dict[str, str]
    important: bool = False


def read_text(content: bytes) -> Text:
    """The text in a JSON file: `title` and `body` by language, `important`. Raises ValueError."""
    try:
        file = msgspec.json.decode(content, type=_File)
        return Text(
            title_vi=file.title["vi"],
            title_en=file.title["en"],
            body_vi=file.body["vi"],
            body_en=file.body["en"],
            important=file.important,
        )
    except (msgspec.DecodeError, UnicodeDecodeError, KeyError) as error:
        raise ValueError(
            'the file must be {"title": {"vi": ..., "en": ...}, "body": {"vi": ..., "en": ...},'
            f' "important": false}}; {error}'
        ) from None


def check_text(text: Text) -> Text:
    """The text as it is kept. Raises Refused (400) for what phones would not accept."""
    titles = [_plain(title) for title in (text.title_vi, text.title_en)]
    bodies = [_plain(body) for body in (text.body_vi, text.body_en)]
    if not all(titles) or not all(bodies):
        raise Refused(
            400,
            "news-incomplete",
            _("Please write a title and a text in both languages: phones show either."),
        )
    if any(len(title) > MAX_TITLE or "\n" in title for title in titles):
        raise Refused(
            400,
            "news-title",
            _("A title is one line of {characters} characters at most."),
            characters=MAX_TITLE,
        )
    if any(len(body) > MAX_BODY for body in bodies):
        raise Refused(
            400,
            "news-body",
            _("A text has {characters} characters at most."),
            characters=MAX_BODY,
        )
    return Text(titles[0], titles[1], bodies[0], bodies[1], text.important)


def new_id(now: float) -> str:
    """A name for a piece of news: the Vietnamese day, and something nobody else chose."""
    return f"{vietnam_day(now).isoformat()}-{secrets.token_hex(4)}"


def announcement(identity: str, text: Text, published_at: int) -> Announcement:
    """What phones are given."""
    return Announcement(
        id=identity,
        published_at=published_at,
        title={"vi": text.title_vi, "en": text.title_en},
        body={"vi": text.body_vi, "en": text.body_en},
        important=text.important,
    )


def _plain(text: str) -> str:
    """Without what no reader sees: NUL and the like, carriage returns, space around it."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n")
    lines = lines.replace("\u00a0", " ").replace("\t", " ")  # as word processors write
    return "".join(one for one in lines if one == "\n" or one.isprintable()).strip()
