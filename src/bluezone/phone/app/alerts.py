"""What the phone tells its owner without being asked: at once, or when the night is over.

An exposure is told at any hour. Bluetooth that has been off for an hour, and a day without a
successful look for exposures, wait for the morning, and are told once until they are mended.
Every message is kept before it is shown: what waits outlives a restart.
"""

import random
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final

from bluezone.phone.app import status
from bluezone.phone.app.core import App
from bluezone.phone.app.interface import Text
from bluezone.phone.app.reading import NEWS_SECONDS
from bluezone.phone.authority.announcements import AnnouncementError
from bluezone.phone.authority.handovers import Handover
from bluezone.phone.explanation import ExposureWarning
from bluezone.phone.report import ReportError
from bluezone.phone.service import ServiceError
from bluezone.phone.store import StoreError
from bluezone.phone.told import Kind, Told
from bluezone.protocol.handover import HandoverState
from bluezone.protocol.intervals import vietnam_time
from bluezone.radio.interface import RadioState
from bluezone.web.catalogue import LANGUAGES, _, in_all_languages
from bluezone.web.places import commune

LOOK_SECONDS: Final = 60.0
RADIO_OFF_SECONDS: Final = 3600.0
_SPREAD: Final = 0.1  # of the time between two questions: no phone is known by its rhythm
_RETRY_SECONDS: Final = 1800.0
_QUIET_HOURS: Final = frozenset({22, 23, 0, 1, 2, 3, 4, 5})  # Vietnamese local time

Notify = Callable[[Text, bool], Awaitable[None]]  # text, urgent

_STAFF_SAID: Final = {
    HandoverState.CONFIRMED: _("Health staff have confirmed your contact. Read what to do now."),
    HandoverState.CLEARED: _("Health staff have looked at your contact: you need do nothing more."),
}


class Alerts:
    """Looks every minute; `notify` shows a message outside the pages."""

    def __init__(self, app: App, notify: Notify, rng: random.Random | None = None) -> None:
        self._app = app
        self._notify = notify
        self._rng = rng or random.Random()
        self._begin()

    def _begin(self) -> None:
        # For one consent only: nothing of it outlives "delete everything".
        self._consented_at = self._app.phone.settings.consented_at
        self._radio_off_since: float | None = None
        self._told: set[Kind] = set()  # what was told and is not mended yet
        self._news_at = 0.0
        self._stations_tried: tuple[str, float] | None = None  # province, when

    async def run(self) -> None:
        """Look until cancelled."""
        with suppress(StoreError):
            # Worked out before its owner asks: a busy fortnight takes a quarter of a second.
            self._app.phone.history.days(self._app.clock.now())
        while True:
            with suppress(StoreError):  # said by the phone itself
                await self.look()
            await self._app.clock.sleep(LOOK_SECONDS)

    async def look(self) -> None:
        """Once. Raises StoreError."""
        if self._consented_at != self._app.phone.settings.consented_at:
            self._begin()
        if not self._app.phone.active:
            return
        now = self._app.clock.now()
        self._look_at_radio(now)
        self._look_at_check()
        await self._show()  # the questions to the authority may take a minute
        await self._look_at_authority(now)
        await self._show()

    async def warned(self, warning: ExposureWarning) -> None:
        """An exposure was found: told at any hour. Raises StoreError."""
        self._keep(Kind.EXPOSURE, {language: warning.text(language) for language in LANGUAGES})
        await self._show()

    def _look_at_radio(self, now: float) -> None:
        if self._app.phone.status().radio is RadioState.ON:
            self._radio_off_since = None
            self._mended(Kind.BLUETOOTH)
            return
        if self._radio_off_since is None or self._radio_off_since > now:  # the clock was set back
            self._radio_off_since = now
        if now - self._radio_off_since >= RADIO_OFF_SECONDS:
            self._once(
                Kind.BLUETOOTH,
                _(
                    "Bluetooth has been off for an hour: this phone notices nobody. Switch it on"
                    " again."
                ),
            )

    def _look_at_check(self) -> None:
        if not status.overdue(self._app):
            self._mended(Kind.CHECK)
            return
        self._once(
            Kind.CHECK,
            _(
                "For a day this phone has not been able to look for exposures. Check the internet"
                " connection, then open Bluezone and look again."
            ),
        )

    async def _look_at_authority(self, now: float) -> None:
        if not _waits(self._news_at - now, NEWS_SECONDS * (1 + _SPREAD)):
            self._news_at = now + _RETRY_SECONDS
            # Each by itself: what fails here keeps nothing else from its owner.
            done = [await self._look_at_news(), await self._look_at_handovers()]
            if all(done):
                spread = self._rng.uniform(1 - _SPREAD, 1 + _SPREAD)
                self._news_at = now + NEWS_SECONDS * spread
        place = commune(self._app.phone.settings.commune or "")
        if place is not None:
            await self._look_at_stations(place.province, now)

    async def _look_at_news(self) -> bool:
        phone = self._app.phone
        try:
            new = await phone.announcements.refresh_news(await phone.trust())
        except (ServiceError, ReportError, AnnouncementError):
            return False
        self._important_news(new)
        return True

    async def _look_at_handovers(self) -> bool:
        phone, done = self._app.phone, True
        try:
            await phone.invitations.tell()
        except ServiceError:
            done = False
        try:
            await phone.handovers.refresh(self._staff_said, due_only=True)
        except ServiceError:
            done = False
        return done

    async def _look_at_stations(self, province: str, now: float) -> None:
        phone = self._app.phone
        if not phone.announcements.stations_due(province):
            return
        tried, at = self._stations_tried or ("", 0.0)
        if tried == province and 0 <= now - at < _RETRY_SECONDS:
            return
        self._stations_tried = (province, now)
        with suppress(ServiceError, ReportError, AnnouncementError):
            await phone.announcements.refresh_stations(province, await phone.trust())

    def _important_news(self, ids: list[str]) -> None:
        news, _checked_at = self._app.phone.announcements.news()
        for item in news.items if news else ():
            if item.id in ids and item.important:
                self._keep(Kind.NEWS, item.title)

    def _staff_said(self, changed: Handover) -> None:
        message = _STAFF_SAID.get(changed.state)
        # Of a diary it says whether tracers used it: nothing that its owner has to do.
        if message is not None and changed.kind == "details":
            self._keep(Kind.HEALTH_STAFF, in_all_languages(message))

    def _once(self, kind: Kind, message: str) -> None:
        if kind in self._told:
            return
        waiting = any(told.kind is kind for _number, told in self._app.phone.messages.unshown())
        if not waiting:  # else it was kept before a restart
            self._keep(kind, in_all_languages(message))
        self._told.add(kind)

    def _mended(self, kind: Kind) -> None:
        self._told.discard(kind)
        self._app.phone.messages.take_back(kind)

    def _keep(self, kind: Kind, text: Text) -> None:
        told = Told(kind, self._app.clock.now(), text, shown=False)
        self._app.phone.messages.add(told)

    async def _show(self) -> None:
        """Show what is still to be shown, at night only an exposure."""
        while waiting := self._due():
            number, told = waiting
            # First: a message that was shown twice frightens more than one that was not shown.
            self._app.phone.messages.mark_shown(number, told)
            if self._app.phone.settings.desktop_notices and not told.read:
                await self._notify(told.text, told.kind is Kind.EXPOSURE)

    def _due(self) -> tuple[int, Told] | None:
        night = _quiet(self._app.clock.now())
        for number, told in self._app.phone.messages.unshown():
            if told.kind is Kind.EXPOSURE or not night:
                return number, told
        return None


def _waits(left: float, longest: float) -> bool:
    """Whether `left` seconds are still to go; more than `longest`: the clock was set back."""
    return 0 < left <= longest


def _quiet(now: float) -> bool:
    return vietnam_time(now).hour in _QUIET_HOURS
