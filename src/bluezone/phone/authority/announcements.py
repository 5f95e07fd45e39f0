"""News and health stations of the authority, as far as they are signed."""

from typing import Final

import msgspec

from bluezone.clock import Clock
from bluezone.phone.documents import MAX_DOCUMENT_BYTES
from bluezone.phone.ledger import LedgeredService
from bluezone.phone.service import Fetched, ServiceError, ServiceFault
from bluezone.phone.store import Store
from bluezone.protocol.announcements import HealthStation, News, Stations, read_announcement
from bluezone.protocol.envelope import EnvelopeError
from bluezone.protocol.trust import Trust
from bluezone.web.catalogue import DEFAULT_LANGUAGE, _, translate

_NEWS: Final = "news"
_READ: Final = "news-read"
_STATIONS: Final = "stations"
_STATIONS_SECONDS: Final = 7 * 24 * 3600.0
_NO_NEWS: Final = News(sequence=0, issued_at=0, items=())
NOT_SIGNED: Final = _(
    "What came as news is not signed by the health authority, so it was thrown away."
)


class AnnouncementError(Exception):
    """A document was refused; what was accepted before stays."""

    def text(self, language: str = DEFAULT_LANGUAGE) -> str:
        """What to tell the owner."""
        return translate(NOT_SIGNED, language)


class _KeptNews(msgspec.Struct, frozen=True):
    news: News
    etag: str | None
    checked_at: float


class _KeptStations(msgspec.Struct, frozen=True):
    stations: Stations
    etag: str | None
    checked_at: float = 0.0


class Announcements:
    """What was accepted, and how to get what is newer."""

    def __init__(self, store: Store, service: LedgeredService, clock: Clock) -> None:
        self._store = store
        self._service = service
        self._clock = clock

    def news(self) -> tuple[News | None, float | None]:
        """The accepted news and when it was last asked for. Raises StoreError."""
        kept = self._store.load(_NEWS, _KeptNews)
        return (kept.news, kept.checked_at) if kept else (None, None)

    def read(self) -> frozenset[str]:
        """Ids of the news that the owner has read. Raises StoreError."""
        return frozenset(self._store.load(_READ, list[str]) or [])

    def mark_read(self, ids: list[str]) -> None:
        """Of those that exist. Raises StoreError."""
        news, _checked_at = self.news()
        known = {item.id for item in news.items} if news else set()
        self._store.save(_READ, sorted((self.read() | set(ids)) & known))

    async def refresh_news(self, trust: Trust) -> list[str]:
        """Fetch what is new; ids not seen before. Raises ServiceError, AnnouncementError."""
        kept = self._store.load(_NEWS, _KeptNews)
        now = self._clock.now()
        fetched = await self._fetch("/v1/news.json", kept.etag if kept else None)
        if fetched is None or fetched.body is None:
            kept = kept or _KeptNews(_NO_NEWS, None, now)
            self._store.save(_NEWS, msgspec.structs.replace(kept, checked_at=now))
            return []
        try:
            news = read_announcement(
                fetched.body,
                News,
                trust,
                now,
                last_sequence=kept.news.sequence if kept else 0,
            )
        except EnvelopeError as error:
            raise AnnouncementError(str(error)) from error
        self._store.save(_NEWS, _KeptNews(news, fetched.etag, now))
        before = {item.id for item in kept.news.items} if kept else set()
        return [item.id for item in news.items if item.id not in before]

    def station(self, commune: str | None) -> HealthStation | None:
        """The health station of a commune, if its province's list is here. Raises StoreError."""
        kept = self._store.load(_STATIONS, _KeptStations)
        if kept is None or commune is None:
            return None
        return next((one for one in kept.stations.stations if one.commune == commune), None)

    def stations_due(self, province: str) -> bool:
        """Whether the list of this province is missing or a week old. Raises StoreError."""
        kept = self._store.load(_STATIONS, _KeptStations)
        if kept is None or kept.stations.province != province:
            return True
        return not 0 <= self._clock.now() - kept.checked_at < _STATIONS_SECONDS

    async def refresh_stations(self, province: str, trust: Trust) -> None:
        """Fetch the list of one province. Raises ServiceError, AnnouncementError."""
        kept = self._store.load(_STATIONS, _KeptStations)
        if kept is not None and kept.stations.province != province:
            kept = None
        now = self._clock.now()
        fetched = await self._fetch(f"/v1/stations/{province}.json", kept.etag if kept else None)
        if fetched is None or fetched.body is None:
            if kept is None:
                nothing = Stations(sequence=0, issued_at=0, province=province, stations=())
                kept = _KeptStations(nothing, None)
            self._store.save(_STATIONS, msgspec.structs.replace(kept, checked_at=now))
            return
        try:
            stations = read_announcement(
                fetched.body,
                Stations,
                trust,
                now,
                last_sequence=kept.stations.sequence if kept else 0,
            )
        except EnvelopeError as error:
            raise AnnouncementError(str(error)) from error
        if stations.province != province:
            raise AnnouncementError("stations of another province")
        self._store.save(_STATIONS, _KeptStations(stations, fetched.etag, now))

    async def _fetch(self, path: str, etag: str | None) -> Fetched | None:
        """None where the authority has published nothing yet. Raises ServiceError."""
        try:
            return await self._service.fetch(path, MAX_DOCUMENT_BYTES, etag)
        except ServiceError as error:
            if error.fault is ServiceFault.MISSING:
                return None
            raise
