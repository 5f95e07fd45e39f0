"""Who is around now, and who was."""

import datetime as dt

from bluezone.phone.app.core import App, Refused
from bluezone.phone.app.interface import Around, History, HistoryContact, HistoryDay, Neighbour
from bluezone.phone.history import HistoryDay as Day
from bluezone.protocol.intervals import day_date, day_number
from bluezone.web.catalogue import _


async def around(app: App) -> Around:
    """`GET around`."""
    own, neighbours = app.phone.look_around()
    return Around(
        own=own,
        radio=app.phone.status().radio.value,
        listening=app.phone.looking,
        people=[Neighbour(one.mask, one.near, one.level, round(one.age, 1)) for one in neighbours],
    )


async def history(app: App) -> History:
    """`GET history`."""
    return History([_day(day) for day in app.phone.history.days(app.clock.now())])


async def forget_history(app: App) -> History:
    """`DELETE history`."""
    app.phone.history.forget_all()
    return await history(app)


async def forget_day(app: App, day: str) -> History:
    """`DELETE history/{day}`."""
    try:
        number = day_number(dt.date.fromisoformat(day))
    except ValueError:
        raise Refused.saying(404, "no-such-day", _("There is no such day.")) from None
    app.phone.history.forget(number)
    return await history(app)


def _day(day: Day) -> HistoryDay:
    return HistoryDay(
        day=day_date(day.day).isoformat(),
        people=len(day.contacts),
        people_least=day.least,
        people_most=day.most,
        minutes=round(day.seconds / 60),
        near_minutes=round(day.near_seconds / 60),
        contacts=[
            HistoryContact(one.start, one.end, max(1, round(one.seconds / 60)), one.closeness)
            for one in day.contacts
        ],
    )
