"""Tasks follow ranks at once: an exposure makes a call, the end of the case takes it away."""

from bluezone.server.contacts import service as contacts
from bluezone.server.contacts.rules import KnownBy, Nearness, Setting
from bluezone.server.contacts.service import NewExposure
from bluezone.server.context import Services
from bluezone.server.people.scope import Scope
from bluezone.server.work import lists
from tests.server.contacts.conftest import World
from tests.server.work.conftest import TODAY, Worker


async def standing(world: World, person: int, unit: str) -> list[tuple[str, str]]:
    async with world.services.database.read() as session:
        rows = await lists.of_person(session, Scope((unit,)), person)
    return [(one.kind, one.state) for one in rows]


async def test_an_exposure_makes_a_call_and_the_end_of_the_case_takes_it_away(
    services: Services, worker: Worker
) -> None:
    lan, world = await worker(), World(services)
    case = await world.case("Trần Thị Lan")
    met = await world.person("Nguyễn Văn Ba")
    assert await standing(world, case.person_id, lan.unit) == [("interview", "open")]
    exposure = NewExposure(
        source_id=case.person_id,
        exposed_id=met,
        known_by=KnownBy.INTERVIEW,
        day=TODAY,
        nearness=Nearness.TWO_METRES,
        setting=Setting.HOUSEHOLD,
    )
    async with services.database.transaction() as session:
        (added,) = await contacts.add_exposures(session, services, lan, [exposure])
    assert added.exposed_id == met
    assert await standing(world, met, lan.unit) == [("call", "open")]
    await world.close(case)
    assert await standing(world, met, lan.unit) == [("call", "cancelled")]
    assert await standing(world, case.person_id, lan.unit) == [("interview", "cancelled")]
