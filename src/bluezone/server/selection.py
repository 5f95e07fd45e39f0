"""What a picture or a list is asked about: a part of one's units, and a time. Never more."""

import datetime as dt
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlencode

from bluezone.protocol.intervals import VIETNAM, vietnam_day
from bluezone.server.errors import Refused
from bluezone.server.people.rules import Staff
from bluezone.server.people.scope import Scope, is_within
from bluezone.server.places import units
from bluezone.server.places.units import Unit
from bluezone.web.catalogue import _

USUAL_DAYS: Final = 28
MOST_DAYS: Final = 366


@dataclass(frozen=True, slots=True)
class Selection:
    """The units in question (`scope`: at most those of whoever asks), and the first and last day.

    `unit`: the path that was asked for; none: all of one's own.
    """

    unit: str | None
    scope: Scope
    since: dt.date
    until: dt.date

    @property
    def first(self) -> str:
        """The first day as an ISO day."""
        return self.since.isoformat()

    @property
    def last(self) -> str:
        return self.until.isoformat()

    @property
    def times(self) -> tuple[int, int]:
        """The period as Unix seconds: from the first, to before the second."""
        begin = dt.datetime.combine(self.since, dt.time(), VIETNAM)
        end = dt.datetime.combine(self.until + dt.timedelta(days=1), dt.time(), VIETNAM)
        return int(begin.timestamp()), int(end.timestamp())

    def query(self, **more: object) -> str:
        """The same selection as the query of an address, with `more` beside it."""
        values: dict[str, object] = {"unit": self.unit and self.unit.rpartition(".")[2]}
        values |= {"since": self.first, "until": self.last, **more}
        return urlencode({key: value for key, value in values.items() if value})


def selected(
    staff: Staff, now: int, *, unit: str = "", since: str = "", until: str = ""
) -> Selection:
    """What the fields of a form ask for; empty ones mean all of one's units, the last four weeks.

    Raises Refused: 404 for a unit that is not within the staff member's scope, 422 for a period
    that is none.
    """
    today = vietnam_day(now)
    last = _day(until) if until.strip() else today
    first = _day(since) if since.strip() else last - dt.timedelta(days=USUAL_DAYS - 1)
    if first > last:
        raise Refused(422, "period", _("The first day is after the last day. Please check both."))
    if (last - first).days >= MOST_DAYS:
        raise Refused(
            422, "period", _("Please choose at most {days} days at once."), days=MOST_DAYS
        )
    path = _path(unit.strip(), staff.scope) if unit.strip() else None
    return Selection(path, narrowed(staff.scope, path), first, last)


def narrowed(scope: Scope, path: str | None) -> Scope:
    """The part of a scope that lies in a unit."""
    if path is None:
        return scope
    if scope.covers(path):
        return Scope((path,))
    return Scope(tuple(one for one in scope.units if is_within(one, path)))


def offered(scope: Scope, path: str | None) -> list[Unit]:
    """The units that a form offers: one's own, the way to the one chosen, and those below it."""
    found: dict[str, Unit] = {}
    for top in scope.units:
        here = units.unit(top)
        if here is not None:
            found[top] = here
    if path is not None:
        for one in units.ancestors(path):
            if narrowed(scope, one.path).units:
                found[one.path] = one
    below = [path] if path is not None else list(scope.units)
    for top in below:
        for child in units.children(top):
            if narrowed(scope, child.path).units:
                found[child.path] = child
    return sorted(found.values(), key=lambda one: one.path)


def _path(code: str, scope: Scope) -> str:
    found = units.path_of(code) or (code if units.unit(code) else None)
    if found is None or not narrowed(scope, found).units:
        raise Refused(404, "unit-unknown", _("There is no such unit among yours."))
    return found


def _day(text: str) -> dt.date:
    try:
        day = dt.date.fromisoformat(text.strip())
        if not 2000 <= day.year <= 2200:  # days before and after it are counted, too
            raise ValueError
        return day
    except ValueError:
        raise Refused(422, "period", _("A day looks like 2021-02-28: year, month, day.")) from None
