"""The periodic work of cases: infectious periods follow a new version of their rule."""

from typing import Final

from bluezone.server.cases import changing, rules
from bluezone.server.context import Services
from bluezone.server.jobs import Job
from bluezone.server.people.rules import Grant, Staff, StaffRole
from bluezone.server.people.scope import EVERYWHERE
from bluezone.server.places.units import NATION
from bluezone.server.rulebook import service as rulebook
from bluezone.storage.lease import Lease

_SERVICE: Final = Staff(0, "bluezone", (Grant(StaffRole.ADMIN, NATION),), EVERYWHERE)


async def follow_the_rule(services: Services, lease: Lease) -> None:
    """Count anew what an older version of the rule decided and a newer one should have.

    In small transactions: a new rule may concern every open case of the country.
    """
    async with services.database.read() as session:
        days = [
            day
            for day, version in await changing.days_of_open_cases(session)
            if version
            != (
                await rulebook.in_force(
                    session,
                    rules.INFECTIOUS_KIND,
                    rules.SHIPPED_INFECTIOUS,
                    day,
                )
            )[0]
        ]
    for day in sorted(set(days)):
        changed = 1
        while changed:
            async with services.database.transaction() as session:
                await lease.confirm(session)
                changed = await changing.recompute_periods(session, services, _SERVICE, day)


jobs = [Job("cases-infectious-periods", 3600, follow_the_rule)]
