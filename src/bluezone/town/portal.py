"""The town in the health authority's portal: who signs in there, and what arrives by itself.

Accounts that stand ready exist in a demonstration alone: no other start makes any. The names are
those of the town; birthdays are made up.
"""

import datetime as dt
from pathlib import Path
from typing import Final

from bluezone.server.people.passwords import hash_password
from bluezone.server.people.rules import Grant, StaffRole
from bluezone.server.people.service import add_account
from bluezone.server.places.units import unit_named
from bluezone.storage.database import Database
from bluezone.town.people import Person
from bluezone.web.catalogue import _

# (name, role, code of the unit, what it is for)
ACCOUNTS: Final = (
    ("lan.y-te", StaffRole.HEALTH_WORKER, "001", _("health worker of the town")),
    ("hung.tinh", StaffRole.HEALTH_WORKER, "01", _("tracer of the province")),
    ("thu.xet-nghiem", StaffRole.LABORATORY, "001", _("laboratory")),
    ("minh.kiem-toan", StaffRole.AUDITOR, "01", _("auditor of the province")),
    ("hoa.quan-tri", StaffRole.ADMIN, "01", _("administrator of accounts")),
)
WORKER: Final = ACCOUNTS[0][0]
LABORATORY: Final = ACCOUNTS[2][0]


async def make_accounts(home: Path, password: str, now: float) -> None:
    """Make ACCOUNTS, all with one password, in the installation of `home`."""
    database = Database(f"sqlite:///{(home / 'service.db').absolute()}")
    password_hash = await hash_password(password)
    try:
        async with database.transaction() as session:
            for name, role, unit, _purpose in ACCOUNTS:
                await add_account(
                    session,
                    name=name,
                    password_hash=password_hash,
                    grant=Grant(role, unit_named(unit).path),
                    now=int(now),
                )
    finally:
        await database.dispose()


def sample_result(person: Person, today: dt.date) -> dict[str, object]:
    """A positive sample of today as the laboratory's program sends it."""
    return {
        "sample": f"TT-{today:%Y%m%d}-{person.number:04d}",
        "person": {
            "name": person.name,
            "commune": person.commune,
            "phone": person.phone_number,
            "birth": str(today.year - person.age),
        },
        "sampled_on": today.isoformat(),
        "method": "pcr",
        "result": "positive",
    }
