"""The verbs of news: write, publish, withdraw. None commits."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Final

from sqlalchemy import delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from bluezone.protocol.announcements import News
from bluezone.server import announcements
from bluezone.server.context import Services
from bluezone.server.errors import Refused
from bluezone.server.news import rules
from bluezone.server.news.rules import NewsState, Text
from bluezone.server.news.tables import NewsItem
from bluezone.web.catalogue import _

OBJECT: Final = "news.json"
_EDITION: Final = "news"
_SHOWN: Final = 300


async def write(session: AsyncSession, text: Text, *, by: str, now: int) -> NewsItem:
    """Keep a new draft. Raises Refused (400)."""
    item = NewsItem(
        id=rules.new_id(now),
        **asdict(rules.check_text(text)),
        state=NewsState.DRAFT.value,
        written_by=by,
        written_at=now,
        published_by=None,
        published_at=None,
        withdrawn_at=None,
    )
    session.add(item)
    await session.flush()
    return item


async def rewrite(session: AsyncSession, identity: str, text: Text, *, by: str, now: int) -> None:
    """Change a draft. Raises Refused: 400, 404, 409 if it is no draft any more."""
    values = {**asdict(rules.check_text(text)), "written_by": by, "written_at": now}
    await item(session, identity)
    changed = await session.scalar(
        update(NewsItem)
        .where(NewsItem.id == identity, NewsItem.state == NewsState.DRAFT.value)
        .values(**values)
        .returning(NewsItem.id)
    )
    if changed is None:
        raise _not_so()


async def publish(
    session: AsyncSession, services: Services, identity: str, *, by: str, seen: int, now: int
) -> None:
    """Put the draft that was written at `seen` on every phone. Raises Refused: 404, 409."""
    await item(session, identity)
    out = select(func.count()).where(NewsItem.state == NewsState.PUBLISHED.value)
    if (await session.scalar(out) or 0) >= rules.MAX_ITEMS:
        raise Refused(
            409,
            "news-too-many",
            _("There are {items} pieces of news already. Please withdraw old ones first."),
            items=rules.MAX_ITEMS,
        )
    changed = await session.scalar(
        update(NewsItem)
        .where(
            NewsItem.id == identity,
            NewsItem.state == NewsState.DRAFT.value,
            NewsItem.written_at == seen,
        )
        .values(state=NewsState.PUBLISHED.value, published_by=by, published_at=now)
        .returning(NewsItem.id)
    )
    if changed is None:
        raise _not_so()
    await _publish(session, services)


async def withdraw(session: AsyncSession, services: Services, identity: str, *, now: int) -> None:
    """Take news off every phone, or throw a draft away. Raises Refused: 404, 409."""
    await item(session, identity)
    thrown = await session.scalar(
        delete(NewsItem)
        .where(NewsItem.id == identity, NewsItem.state == NewsState.DRAFT.value)
        .returning(NewsItem.id)
    )
    if thrown is not None:
        return
    changed = await session.scalar(
        update(NewsItem)
        .where(NewsItem.id == identity, NewsItem.state == NewsState.PUBLISHED.value)
        .values(state=NewsState.WITHDRAWN.value, withdrawn_at=now)
        .returning(NewsItem.id)
    )
    if changed is None:
        raise _not_so()
    await _publish(session, services)


async def item(session: AsyncSession, identity: str) -> NewsItem:
    """One piece of news. Raises Refused (404)."""
    found = None if "\0" in identity else await session.get(NewsItem, identity)
    if found is None:
        raise Refused(404, "not-found", _("There is nothing at this address."))
    return found


async def items(session: AsyncSession) -> Sequence[NewsItem]:
    """The last pieces of news, newest first."""
    rows = await session.scalars(
        select(NewsItem).order_by(NewsItem.written_at.desc(), NewsItem.id).limit(_SHOWN)
    )
    return rows.all()


async def renew_publication(session: AsyncSession, services: Services) -> None:
    """Publish again where a run died, or under a newer key."""
    if await announcements.has_edition(session, _EDITION):
        await _publish(session, services)


async def _publish(session: AsyncSession, services: Services) -> None:
    rows = await session.scalars(
        select(NewsItem)
        .where(NewsItem.state == NewsState.PUBLISHED.value)
        .order_by(NewsItem.published_at.desc(), NewsItem.id)
    )
    content = News(
        sequence=0,
        issued_at=0,
        items=tuple(
            rules.announcement(row.id, text_of(row), row.published_at or 0) for row in rows
        ),
    )
    await announcements.publish(session, services, _EDITION, {OBJECT: content})


def text_of(row: NewsItem) -> Text:
    """What was written."""
    return Text(row.title_vi, row.title_en, row.body_vi, row.body_en, row.important)


def _not_so() -> Refused:
    return Refused(
        409,
        "news-changed",
        _("This news has changed since you opened it. Please look again."),
    )
