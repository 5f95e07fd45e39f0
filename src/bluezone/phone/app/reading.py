"""What there is to read: news, messages, invitation, ledger, and what this app is."""

import base64
import hashlib
import io
from collections import Counter
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import Final

import segno

from bluezone.phone.app.core import App, Refused
from bluezone.phone.app.interface import (
    About,
    Capability,
    Invitation,
    Ledger,
    LedgerEntry,
    LedgerSum,
    News,
    NewsItem,
    NewsRead,
    NoticeItem,
    Notices,
    Text,
)
from bluezone.phone.authority.announcements import AnnouncementError
from bluezone.phone.ledger import Purpose
from bluezone.phone.notices import Notice
from bluezone.phone.report import ReportError
from bluezone.phone.sealing import KeyPlace
from bluezone.phone.service import ServiceError
from bluezone.protocol.trust import encode_public_key
from bluezone.web.catalogue import LANGUAGES, _, in_all_languages, words

NEWS_SECONDS: Final = 3 * 3600.0
_FRESH_SECONDS: Final = 600.0
_SOURCE: Final = Path(__file__).parents[2]  # what runs is the source itself


async def news(app: App) -> News:
    """`GET news`. Asks the service if it has not been asked for ten minutes.

    A phone that has not begun or has stopped answers what it knows, and asks nobody.
    """
    error: Text | None = None
    _news, checked_at = app.phone.announcements.news()
    fresh = checked_at is not None and 0 <= app.clock.now() - checked_at < _FRESH_SECONDS
    if app.phone.active and not fresh:
        try:
            await app.phone.announcements.refresh_news(await app.phone.trust())
        except (ServiceError, ReportError, AnnouncementError) as fault:
            error = {language: fault.text(language) for language in LANGUAGES}
    return _shown(app, error)


async def read_news(app: App, wish: NewsRead) -> News:
    """`POST news/read`."""
    app.phone.announcements.mark_read(wish.ids)
    return _shown(app, None)


def _shown(app: App, error: Text | None) -> News:
    kept, checked_at = app.phone.announcements.news()
    read = app.phone.announcements.read()
    return News(
        items=[
            NewsItem(
                id=item.id,
                published_at=float(item.published_at),
                title=item.title,
                body=item.body,
                important=item.important,
                read=item.id in read,
            )
            for item in (kept.items if kept else ())
        ],
        checked_at=checked_at,
        error=error,
    )


async def notices(app: App) -> Notices:
    """`GET notices`."""
    return Notices(
        [
            NoticeItem(str(number), told.kind.value, told.time, told.text, told.read)
            for number, told in app.phone.messages.all()
        ]
    )


async def read_notices(app: App) -> Notices:
    """`POST notices/read`."""
    app.phone.messages.mark_read()
    return await notices(app)


async def invitation(app: App) -> Invitation:
    """`GET invitation`."""
    code, link = app.phone.invitations.code(), app.phone.invitations.link()
    installed = app.phone.invitations.known_count()
    if app.phone.active:
        with suppress(ServiceError):  # the code works without the count
            installed = await app.phone.invitations.count()
    picture = io.BytesIO()
    segno.make(link, error="m").save(picture, kind="svg", scale=6, border=2, xmldecl=False)
    return Invitation(
        code=code,
        link=link,
        qr="data:image/svg+xml;base64," + base64.b64encode(picture.getvalue()).decode(),
        text=in_all_languages(
            _(
                "I use Bluezone: my phone notices by itself who was near, and warns me after a"
                " confirmed case. No name, no place. Install it too: {link}"
            ),
            link=link,
        ),
        installed=installed,
    )


async def ledger(app: App) -> Ledger:
    """`GET ledger`."""
    entries = app.phone.ledger.entries()
    times = Counter(one.purpose for one in entries)
    return Ledger(
        entries=[
            LedgerEntry(
                time=one.time,
                what=in_all_languages(Purpose[one.purpose].value),
                address=one.path,
                sent=one.sent,
                received=one.received,
                ok=one.ok,
            )
            for one in entries
        ],
        sums=[
            LedgerSum(
                what=in_all_languages(purpose.value),
                times=times[purpose.name],
                sent=sum(one.sent for one in entries if one.purpose == purpose.name),
                received=sum(one.received for one in entries if one.purpose == purpose.name),
            )
            for purpose in Purpose
            if times[purpose.name]
        ],
    )


async def about(app: App) -> About:
    """`GET about`."""
    can = app.capabilities()
    in_file = app.phone.status().key_place is KeyPlace.FILE
    place = Notice.KEY_IN_FILE if in_file else Notice.KEY_IN_KEYRING
    said = [
        (_("Others can hear this phone."), can.broadcasts),
        (_("Phones that cannot broadcast can read its identifier."), can.offers_gatt),
        (_("It hears phones that cannot broadcast."), can.reads_gatt),
        (_("Its Bluetooth address changes together with its identifier."), can.turns_together),
    ]
    return About(
        version=version("bluezone"),
        source=str(_SOURCE),
        licence="Apache-2.0",
        service=app.service,
        pins=[
            hashlib.sha256(encode_public_key(key)).hexdigest() for key in app.pins.roots.values()
        ],
        controller=f"{can.kind} {can.controller}".strip(),
        capabilities=[Capability(in_all_languages(text), able) for text, able in said],
        key_place=in_all_languages(place.value),
        home=str(app.home),
    )


async def all_words(_app: App, language: str) -> dict[str, str]:
    """`GET words/{language}`."""
    if language not in LANGUAGES:
        raise Refused.saying(404, "language-unknown", _("There is no such language."))
    return words(language)
