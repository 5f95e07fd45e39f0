"""The verbs of holdings: give a code, take it, say what is held. None commits."""

import hmac
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from bluezone.protocol.intervals import vietnam_day
from bluezone.server.audit import service as audit
from bluezone.server.audit.rules import Action, Purpose
from bluezone.server.cases import holdings as cases
from bluezone.server.contacts import holdings as contacts
from bluezone.server.context import Services
from bluezone.server.diagnosis.rules import new_code
from bluezone.server.errors import Refused
from bluezone.server.holdings import retention, rules
from bluezone.server.holdings.rules import Held, Keeping
from bluezone.server.holdings.tables import CitizenCode
from bluezone.server.people.rules import Staff
from bluezone.server.people.scope import EVERYWHERE
from bluezone.server.register import holdings as register_holdings
from bluezone.server.register import service as register
from bluezone.server.register.service import Register
from bluezone.server.secret_files import secret_file
from bluezone.server.work import holdings as work
from bluezone.web.catalogue import _

_HOUR: Final = 3600
_NOBODY: Final = bytes(32)  # compared with where no code was found


def pepper(secrets_folder: Path) -> bytes:
    """Makes the stored codes worthless without it. Raises KeyUnavailable."""
    return secret_file(secrets_folder / "citizen-pepper")


@dataclass(frozen=True, slots=True)
class IssuedCode:
    """A code, readable this once."""

    code: str = field(repr=False)
    expires_at: int


async def issue_code(
    session: AsyncSession, services: Services, staff: Staff, person_id: int
) -> IssuedCode:
    """A fresh code for the person of a record, in place of the last one.

    Raises Refused: 404 not theirs, 422 no telephone in the record, 429 too many.
    """
    now, secrets = services.now, services.settings.secrets_folder
    person = await register.get(session, staff.scope, person_id)
    number = Register.open(secrets).details(person).phone
    if not number:
        raise Refused(
            422,
            "citizen-no-phone",
            _("The record has no telephone number, and the code needs one. Please add it first."),
        )
    await _check_limits(session, staff, person.id, now)
    await session.execute(
        update(CitizenCode)
        .where(CitizenCode.person_id == person.id, CitizenCode.expires_at > now)
        .values(expires_at=now)
    )
    code = new_code()
    key = pepper(secrets)
    while await session.get(CitizenCode, rules.code_mac(code, key)):
        code = new_code()
    expires_at = now + rules.CODE_SECONDS
    session.add(
        CitizenCode(
            code_mac=rules.code_mac(code, key),
            number_mac=rules.number_mac(number, code, key),
            person_id=person.id,
            issued_by=staff.account_id,
            issued_at=now,
            expires_at=expires_at,
            tries=0,
        )
    )
    await audit.record(
        session,
        services,
        staff,
        Action.ADD,
        subject=f"person:{person.id}",
        purpose=Purpose.CITIZEN,
        detail="citizen code",
    )
    return IssuedCode(code, expires_at)


async def _check_limits(session: AsyncSession, staff: Staff, person_id: int, now: int) -> None:
    count = select(func.count()).select_from(CitizenCode)
    by_worker = await session.scalar(
        count.where(CitizenCode.issued_by == staff.account_id, CitizenCode.issued_at > now - _HOUR)
    )
    by_person = await session.scalar(
        count.where(
            CitizenCode.person_id == person_id, CitizenCode.issued_at > now - rules.DAY_SECONDS
        )
    )
    if (by_worker or 0) >= rules.CODES_BY_WORKER or (by_person or 0) >= rules.CODES_BY_PERSON:
        raise Refused(
            429,
            "too-many-codes",
            _("Too many codes were issued within an hour. Please wait, or ask your unit."),
            headers={"Retry-After": str(_HOUR)},
        )


async def use_code(
    session: AsyncSession, secrets_folder: Path, code: str, number: str, now: int
) -> int | None:
    """Whose record it opens, and use the code up. A wrong try must be committed, too.

    Code and number are found and compared by their keyed hashes: how long that takes says nothing.
    """
    key = pepper(secrets_folder)
    code_mac, given = rules.code_mac(code, key), rules.number_mac(number, code, key)
    # Counted before it is looked at, so that a hundred guesses at once are a hundred tries.
    number_mac = await session.scalar(
        update(CitizenCode)
        .where(
            CitizenCode.code_mac == code_mac,
            CitizenCode.expires_at > now,
            CitizenCode.tries < rules.CODE_TRIES,
        )
        .values(tries=CitizenCode.tries + 1)
        .returning(CitizenCode.number_mac)
    )
    if not hmac.compare_digest(number_mac or _NOBODY, given) or number_mac is None:
        return None
    person: int | None = await session.scalar(
        update(CitizenCode)
        .where(CitizenCode.code_mac == code_mac, CitizenCode.expires_at > now)
        .values(expires_at=now)
        .returning(CitizenCode.person_id)
    )
    return person


@dataclass(frozen=True, slots=True)
class Looked:
    """How often somebody of a unit looked on one day, and what for. No names."""

    day: str  # ISO, Vietnamese calendar
    unit: str
    purpose: str
    times: int


@dataclass(frozen=True, slots=True)
class Holdings:
    """What is held about one person; nothing in it concerns anybody else."""

    unit: str
    held: tuple[Held, ...]
    keeping: Keeping
    looks: tuple[Looked, ...]


async def holdings(session: AsyncSession, services: Services, person_id: int) -> Holdings:
    """Everything that is held about a person, written to the audit as their own look.

    Raises Refused (404) if the record is gone.
    """
    person = await register.get(session, EVERYWHERE, person_id)
    group = await register_holdings.group(session, person.id)
    people = group.people
    keys = Register.open(services.settings.secrets_folder)
    held = [
        *await register_holdings.held(session, keys, people),
        *await cases.held(session, people),
        *await contacts.held(session, people),
        *await work.held(session, people),
    ]
    numbers = await retention.rules_now(session, services.now)
    found = await retention.keepings(session, [group], numbers)
    subjects = [
        *(f"person:{one}" for one in people),
        *await cases.subjects(session, people),
        *await work.subjects(session, people),
    ]
    looks = await _looks(session, subjects)
    await audit.record(
        session,
        services,
        audit.SERVICE,
        Action.LOOK,
        subject=f"person:{person.id}",
        purpose=Purpose.CITIZEN,
        detail="by the person",
    )
    return Holdings(person.unit, tuple(held), found[person.id], looks)


async def _looks(session: AsyncSession, subjects: Sequence[str]) -> tuple[Looked, ...]:
    times: Counter[tuple[str, str, str]] = Counter()
    for subject in subjects:
        for one in await audit.looks_at(session, subject):
            if one.account_id != audit.SERVICE.account_id:
                times[vietnam_day(one.at).isoformat(), one.unit, one.purpose] += 1
    rows = [Looked(*key, times=count) for key, count in times.items()]
    return tuple(sorted(rows, key=lambda one: (one.day, one.unit, one.purpose), reverse=True))
