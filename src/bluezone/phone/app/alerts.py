"""What the phone tells its owner without being asked: at once, or when the night is over.

An exposure is told at any hour. Bluetooth that has been off for an hour, and a day without a
successful look for exposures, wait for the morning, and are told once until they are mended.
"""

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
_STATIONS_SECONDS: Final = 7 * 24 * 3600.0
_RETRY_SECONDS: Final = 1800.0
_QUIET_HOURS: Final = frozenset({22, 23, 0, 1, 2, 3, 4, 5})  # Vietnamese local time

Notify = Callable[[Text, bool], Awaitable[None]]  # text, urgent

_STAFF_SAID: Final = {
    HandoverState.CONFIRMED: _("Health staff have confirmed your contact. Read what to do now."),
    HandoverState.CLEARED: _("Health staff have looked at your contact: you need do nothing more."),
}


class Alerts:
    """Looks every minute; `notify` shows a message outside the pages."""

    def __init__(self, app: App, notify: Notify) -> None:
        self._app = app
        self._notify = notify
        self._radio_off_since: float | None = None
        self._told: set[Kind] = set()  # what was told and is not mended yet
        self._waiting: list[Told] = []  # for the morning
        self._news_at = 0.0
        self._stations_at = 0.0

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
        if not self._app.phone.active:
            return
        now = self._app.clock.now()
        await self._look_at_radio(now)
        await self._look_at_check(now)
        await self._look_at_authority(now)
        if not _quiet(now):
            for told in self._waiting:
                await self._tell(told)
            self._waiting.clear()

    async def warned(self, warning: ExposureWarning) -> None:
        """An exposure was found: told at any hour. Raises StoreError."""
        text = {language: warning.text(language) for language in LANGUAGES}
        await self._tell(Told(Kind.EXPOSURE, self._app.clock.now(), text), urgent=True)

    async def _look_at_radio(self, now: float) -> None:
        if self._app.phone.status().radio is RadioState.ON:
            self._radio_off_since = None
            self._mended(Kind.BLUETOOTH)
            return
        if self._radio_off_since is None:
            self._radio_off_since = now
        if now - self._radio_off_since >= RADIO_OFF_SECONDS:
            await self._once(
                Kind.BLUETOOTH,
                _(
                    "Bluetooth has been off for an hour: this phone notices nobody. Switch it on"
                    " again."
                ),
            )

    async def _look_at_check(self, now: float) -> None:
        if not status.overdue(self._app):
            self._mended(Kind.CHECK)
            return
        await self._once(
            Kind.CHECK,
            _(
                "For a day this phone has not been able to look for exposures. Check the internet"
                " connection, then open Bluezone and look again."
            ),
        )

    async def _look_at_authority(self, now: float) -> None:
        phone = self._app.phone
        if now >= self._news_at:
            self._news_at = now + _RETRY_SECONDS
            with suppress(ServiceError, ReportError, AnnouncementError):
                new = await phone.announcements.refresh_news(await phone.trust())
                await phone.invitations.tell()
                heard: list[Handover] = []
                try:
                    await phone.handovers.refresh(heard.append, due_only=True)
                finally:
                    for changed in heard:
                        await self._staff_said(changed)
                self._news_at = now + NEWS_SECONDS
                await self._important_news(new)
        place = commune(phone.settings.commune or "")
        if place is not None and now >= self._stations_at:
            self._stations_at = now + _RETRY_SECONDS
            with suppress(ServiceError, ReportError, AnnouncementError):
                await phone.announcements.refresh_stations(place.province, await phone.trust())
                self._stations_at = now + _STATIONS_SECONDS

    async def _important_news(self, ids: list[str]) -> None:
        news, _checked_at = self._app.phone.announcements.news()
        for item in news.items if news else ():
            if item.id in ids and item.important:
                await self._by_day(Told(Kind.NEWS, self._app.clock.now(), item.title))

    async def _staff_said(self, changed: Handover) -> None:
        message = _STAFF_SAID.get(changed.state)
        # Of a diary it says whether tracers used it: nothing that its owner has to do.
        if message is not None and changed.kind == "details":
            told = Told(Kind.HEALTH_STAFF, self._app.clock.now(), in_all_languages(message))
            await self._by_day(told)

    async def _once(self, kind: Kind, message: str) -> None:
        if kind not in self._told:
            self._told.add(kind)
            await self._by_day(Told(kind, self._app.clock.now(), in_all_languages(message)))

    def _mended(self, kind: Kind) -> None:
        self._told.discard(kind)
        self._waiting = [told for told in self._waiting if told.kind is not kind]

    async def _by_day(self, told: Told) -> None:
        if _quiet(told.time):
            self._waiting.append(told)
        else:
            await self._tell(told)

    async def _tell(self, told: Told, *, urgent: bool = False) -> None:
        self._app.phone.messages.add(told)
        if self._app.phone.settings.desktop_notices:
            await self._notify(told.text, urgent)


def _quiet(now: float) -> bool:
    return vietnam_time(now).hour in _QUIET_HOURS
