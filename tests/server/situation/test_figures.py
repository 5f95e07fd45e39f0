"""Figures about people to whom more than one thing happened."""

import datetime as dt

import pytest
from sqlalchemy import insert

from bluezone.server.cases.tables import Case
from bluezone.server.contacts.tables import Exposure
from bluezone.server.context import Services
from bluezone.server.people.scope import Scope
from bluezone.server.register import service as register
from bluezone.server.register.rules import Details
from bluezone.server.register.service import Register
from bluezone.server.selection import Selection
from bluezone.server.situation import service
from bluezone.server.situation.graph import day_number
from bluezone.server.work.tables import Task
from tests.server.conftest import BA_DINH, NGOC_HA, NOON
from tests.server.contacts.graph import case_values, exposure_values

DAY = 86_400
KNOWN_AT = NOON - 16 * DAY  # 4 January
LAST = dt.date(2021, 1, 20)
pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def selection(unit: str = "vn", since: dt.date = dt.date(2021, 1, 1)) -> Selection:
    return Selection(None, Scope((unit,)), since, LAST)


async def people(services: Services, *units: str) -> list[int]:
    opened = Register.open(services.settings.secrets_folder)
    async with services.database.transaction() as session:
        rows = await register.add_many(
            session,
            opened,
            [(Details(name=f"Người Số {at}"), unit) for at, unit in enumerate(units)],
            now=NOON,
        )
        return [row.id for row in rows]


def talk(person: int, at: int, kind: str) -> dict[str, object]:
    return {
        "kind": kind, "person_id": person, "unit": BA_DINH, "state": "done", "due_at": at,
        "made_by": f"{kind}/{person}/{at}", "created_at": at, "closed_at": at,
        "outcome": "reached", "revision": 0, "tries": 0,
    }  # fmt: skip


async def test_a_talk_before_or_long_after_the_exposure_is_about_another(
    services: Services,
) -> None:
    ill, met, other = await people(services, BA_DINH, BA_DINH, BA_DINH)
    async with services.database.transaction() as session:
        await session.execute(
            insert(Exposure),
            [
                exposure_values(ill, met, "2021-01-03", created_at=KNOWN_AT),
                exposure_values(ill, other, "2021-01-03", created_at=KNOWN_AT),
            ],
        )
        await session.execute(
            insert(Task),
            [
                talk(met, KNOWN_AT - 9 * DAY, "call"),
                talk(met, KNOWN_AT + 60 * DAY, "quarantine-check"),
                talk(other, KNOWN_AT + 3600, "call"),
                talk(other, KNOWN_AT + 13 * DAY, "quarantine-check"),
            ],
        )
    async with services.database.read() as session:
        found = await service.coverage(session, selection(), dt.date(2021, 4, 1))
        delays = {one.name: one for one in await service.delays(session, selection())}
    assert (found.contacts, found.reached, found.finished, found.followed) == (2, 1, 2, 1)
    called = delays["contact-call"]
    assert (called.values, called.missing, called.backwards) == ((1.0,), 1, 0)


async def test_a_case_who_moved_away_and_met_nobody_stands_at_its_day(services: Services) -> None:
    (moved,) = await people(services, NGOC_HA)
    async with services.database.transaction() as session:
        await session.execute(
            insert(Case), [case_values(1, moved, "2021-01-10", None) | {"unit": BA_DINH}]
        )
    async with services.database.read() as session:
        chains = await service.chains(session, selection(BA_DINH))
    (node,) = chains.forest.nodes.values()
    assert node.day == day_number("2021-01-10")


async def test_who_was_ill_twice_stands_where_they_fell_ill_last(services: Services) -> None:
    (twice,) = await people(services, BA_DINH)
    async with services.database.transaction() as session:
        await session.execute(
            insert(Case),
            [
                case_values(1, twice, "2021-01-15", None),
                case_values(2, twice, "2021-01-03", None),
            ],
        )
    async with services.database.read() as session:
        chains = await service.chains(session, selection())
    assert chains.forest.nodes[twice].day == day_number("2021-01-15")


async def test_of_more_cases_than_are_read_the_latest_are_drawn(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    early, late = await people(services, BA_DINH, BA_DINH)
    async with services.database.transaction() as session:
        await session.execute(
            insert(Case),
            [
                case_values(1, late, "2021-01-12", None),
                case_values(2, early, "2021-01-10", None),
            ],
        )
    monkeypatch.setattr(service, "MOST_CASES", 1)
    async with services.database.read() as session:
        chains = await service.chains(session, selection())
    assert (chains.are_cut, list(chains.forest.nodes)) == (True, [late])


async def test_a_suspicion_that_came_to_nothing_is_no_illness(services: Services) -> None:
    ill, met = await people(services, BA_DINH, BA_DINH)
    async with services.database.transaction() as session:
        await session.execute(
            insert(Exposure), [exposure_values(ill, met, "2021-01-10", created_at=KNOWN_AT)]
        )
        nothing = {"status": "discarded"}
        await session.execute(
            insert(Case),
            [
                case_values(1, met, "2021-01-05", None) | nothing,
                case_values(2, met, "2021-01-13", None),
                case_values(3, met, "2021-01-18", None) | nothing,
            ],
        )
    async with services.database.read() as session:
        (rate,) = await service.attack_rates(session, selection())
        curve = await service.curve(session, selection(), by_onset=True)
    assert (rate.ill, rate.exposed) == (1, 1)
    assert curve.without_onset == 1
