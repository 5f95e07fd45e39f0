"""The verbs of places: replace the list, publish it, ask it. None commits."""

from collections.abc import Sequence
from typing import Final

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession

from bluezone.protocol.announcements import News, Stations
from bluezone.server import announcements
from bluezone.server.context import Services
from bluezone.server.places.rules import StationRow
from bluezone.server.places.tables import Station
from bluezone.server.places.units import NATION, path_of
from bluezone.storage.database import upsert
from bluezone.web.places import communes, provinces

_EDITION: Final = "stations"
_ROWS_AT_ONCE: Final = 500  # SQLite takes 32,766 values in a statement


async def replace_stations(
    session: AsyncSession, services: Services, rows: Sequence[StationRow]
) -> None:
    """Put this list in the place of the last one and publish it. Raises KeyUnavailable."""
    await session.execute(delete(Station))
    for start in range(0, len(rows), _ROWS_AT_ONCE):
        values = [
            {
                "commune": row.commune,
                "name": row.name,
                "phone": row.phone,
                "address": row.address,
                "unit": row.unit,
            }
            for row in rows[start : start + _ROWS_AT_ONCE]
        ]
        await session.execute(upsert(session, Station).values(values))
    await _publish(session, services, rows)


async def stations(session: AsyncSession) -> list[StationRow]:
    """The whole list, in the order of communes."""
    rows = await session.scalars(select(Station).order_by(Station.commune))
    return [StationRow(row.commune, row.name, row.phone, row.address, row.unit) for row in rows]


async def unit_of_commune(session: AsyncSession, commune: str) -> str:
    """The path of the unit that requests of a commune go to; of an unknown one, the nation's."""
    station = await session.get(Station, commune)
    return path_of(station.unit if station and station.unit else commune) or NATION


async def renew_publication(session: AsyncSession, services: Services) -> None:
    """Publish the list again where a run died, or under a newer key."""
    if await announcements.has_edition(session, _EDITION):
        await _publish(session, services, await stations(session))


async def _publish(session: AsyncSession, services: Services, rows: Sequence[StationRow]) -> None:
    by_commune = {row.commune: row for row in rows}
    contents: dict[str, News | Stations] = {
        # Provinces without a station too: a phone must not go on showing a number that is
        # off the list.
        f"stations/{province.code}.json": Stations(
            sequence=0,
            issued_at=0,
            province=province.code,
            stations=tuple(
                by_commune[one.code].published()
                for one in communes(province.code)
                if one.code in by_commune
            ),
        )
        for province in provinces()
    }
    await announcements.publish(session, services, _EDITION, contents)
