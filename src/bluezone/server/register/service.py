"""The verbs of the register: add, open, change, find. None commits.

What shows a person's details to somebody writes to the audit first: that is `look`.
"""

import asyncio
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import msgspec
from sqlalchemy import delete, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from bluezone.server.audit import service as audit
from bluezone.server.audit.rules import Action, Purpose
from bluezone.server.context import Services
from bluezone.server.errors import Refused
from bluezone.server.keys import KeyUnavailable
from bluezone.server.people.rules import Staff
from bluezone.server.people.scope import EVERYWHERE, Scope
from bluezone.server.register import rules
from bluezone.server.register.rules import Details, Likeness, PairState, Token
from bluezone.server.register.tables import Person, PersonPair, PersonToken
from bluezone.server.sealing import Sealer
from bluezone.server.secret_files import old_key, secret_file
from bluezone.storage.database import upsert
from bluezone.web.catalogue import _

FOUND_AT_MOST: Final = 50
_AT_ONCE: Final = 500  # values of one statement: SQLite takes 32,766
_PLACE: Final = b"person"
_DECODER: Final = msgspec.msgpack.Decoder(Details)
_Stored = tuple[int, str, bytes]  # id, path of the unit, sealed details


def _place(person_id: int) -> tuple[bytes, bytes]:
    return _PLACE, str(person_id).encode()


@dataclass(frozen=True, slots=True)
class Register:
    """The keys of the register: one seals details, one hashes what they are found by."""

    sealer: Sealer
    token_key: bytes = field(repr=False)
    former_token_key: bytes | None = field(repr=False, default=None)  # during a rotation

    @classmethod
    def open(cls, secrets_folder: Path) -> "Register":
        """Raises KeyUnavailable."""
        path = secrets_folder / "register-token-key"
        former = old_key(path)
        return cls(
            Sealer(secrets_folder, "register"),
            secret_file(path),
            secret_file(former) if former.exists() else None,
        )

    def details(self, person: Person) -> Details:
        """Open a record. Only for `look`, and for work that shows nobody anything (imports)."""
        return self.open_sealed(person.id, person.sealed)

    def open_sealed(self, person_id: int, sealed: bytes) -> Details:
        return _DECODER.decode(self.sealer.open(sealed, *_place(person_id)))

    def sealed(self, person_id: int, details: Details) -> bytes:
        """Details as they are kept in the row of this id, where alone they open."""
        return self.sealer.seal(msgspec.msgpack.encode(details), *_place(person_id))

    def macs(self, kind: Token, text: str) -> list[bytes]:
        """What a text is found by: under the present key, and during a rotation the one before."""
        keys = filter(None, (self.token_key, self.former_token_key))
        return [rules.token_mac(kind, text, key) for key in keys]


@dataclass(frozen=True, slots=True)
class Candidate:
    """A stored person who may be the one in question."""

    person_id: int
    unit: str
    likeness: Likeness


async def add(
    session: AsyncSession, register: Register, details: Details, *, unit: str, now: int
) -> Person:
    """A new record of checked details (`rules.check_details`), in the unit of that path."""
    (person,) = await add_many(session, register, [(details, unit)], now=now)
    return person


async def add_many(
    session: AsyncSession,
    register: Register,
    people: Sequence[tuple[Details, str]],
    *,
    now: int,
    alike: Sequence[Sequence[Candidate]] | None = None,
) -> list[Person]:
    """New records, in the order given.

    Whom they may double is kept for the page of duplicates; `alike` is what `candidates` found,
    where the caller has asked already.
    """
    if alike is None:
        alike = await candidates(session, register, people)
    rows = [
        Person(
            unit=unit,
            sealed=b"",
            created_at=now,
            updated_at=now,
            revision=0,
            household=None,
            merged_into=None,
        )
        for _details, unit in people
    ]
    session.add_all(rows)
    await session.flush()  # gives the numbers that details are sealed for
    for row, (details, _unit) in zip(rows, people, strict=True):
        row.sealed = register.sealed(row.id, details)
    await session.flush()
    await _write_tokens(
        session,
        register,
        [(row.id, details, unit) for row, (details, unit) in zip(rows, people, strict=True)],
    )
    await _write_pairs(session, zip((row.id for row in rows), alike, strict=True), now)
    return rows


async def get(session: AsyncSession, scope: Scope, person_id: int) -> Person:
    """The record behind an id, the kept one of a merge. Raises Refused (404), also beyond scope."""
    person = await session.get(Person, person_id)
    while person is not None and person.merged_into is not None:
        person = await session.get(Person, person.merged_into)
    if person is None or not scope.covers(person.unit):
        raise Refused(404, "person-unknown", _("There is no such person in your units."))
    return person


async def look(
    session: AsyncSession,
    services: Services,
    staff: Staff,
    person_id: int,
    purpose: Purpose,
) -> tuple[Person, Details]:
    """Open a record to show it: written to the audit first. Raises Refused (404, 429)."""
    person = await get(session, staff.scope, person_id)
    await audit.record(
        session, services, staff, Action.LOOK, subject=f"person:{person.id}", purpose=purpose
    )
    return person, Register.open(services.settings.secrets_folder).details(person)


async def people(session: AsyncSession, ids: Iterable[int]) -> dict[int, Person]:
    """The records of these ids, for work that shows nobody anything."""
    wanted = sorted(set(ids))
    found: dict[int, Person] = {}
    for start in range(0, len(wanted), _AT_ONCE):
        rows = await session.scalars(
            select(Person).where(Person.id.in_(wanted[start : start + _AT_ONCE]))
        )
        found.update({person.id: person for person in rows})
    return found


async def unmerged_units_of(session: AsyncSession, person_ids: Iterable[int]) -> dict[int, str]:
    """The paths of the units of these people, without records that were merged into another."""
    rows = await session.execute(
        select(Person.id, Person.unit).where(
            Person.id.in_(list(person_ids)), Person.merged_into.is_(None)
        )
    )
    return {row.id: row.unit for row in rows}


async def details_unscoped(
    session: AsyncSession, register: Register, person_ids: Iterable[int]
) -> dict[int, Details]:
    """The details of several people, whoever answers for them; who shows them writes that down."""
    rows = await session.scalars(select(Person).where(Person.id.in_(set(person_ids))))
    return {one.id: register.details(one) for one in rows}


async def household_of(session: AsyncSession, person: Person) -> list[Person]:
    """The others of a person's household, whoever answers for it first."""
    head = person.household or person.id
    rows = await session.scalars(
        select(Person)
        .where(
            or_(Person.household == head, Person.id == head),
            Person.id != person.id,
            Person.merged_into.is_(None),
        )
        .order_by(Person.household.is_not(None), Person.id)
        .limit(FOUND_AT_MOST)
    )
    return list(rows)


async def change(
    session: AsyncSession,
    register: Register,
    person: Person,
    details: Details,
    *,
    unit: str,
    seen: int,
    now: int,
) -> None:
    """Put other details in the place of those of revision `seen`. Raises Refused (409)."""
    changed = await session.scalar(
        update(Person)
        .where(Person.id == person.id, Person.revision == seen)
        .values(
            unit=unit,
            sealed=register.sealed(person.id, details),
            revision=Person.revision + 1,
            updated_at=now,
        )
        .returning(Person.id)
    )
    if changed is None:
        raise Refused(
            409,
            "person-changed",
            _("Somebody else has changed this record since you opened it. Please look again."),
        )
    await session.refresh(person)
    await session.execute(delete(PersonToken).where(PersonToken.person_id == person.id))
    await _write_tokens(session, register, [(person.id, details, unit)])
    await session.execute(
        delete(PersonPair).where(
            or_(PersonPair.one_id == person.id, PersonPair.other_id == person.id),
            PersonPair.state == PairState.OPEN.value,
        )
    )
    (alike,) = await candidates(session, register, [(details, unit)])
    others = [one for one in alike if one.person_id != person.id]
    await _write_pairs(session, [(person.id, others)], now)


async def find(session: AsyncSession, register: Register, scope: Scope, text: str) -> list[Person]:
    """People within scope by name (with or without accents), telephone or identity number.

    At most FOUND_AT_MOST, the latest change first. Empty for what is none of these.
    """
    wanted = rules.sought(text)
    if not wanted:
        return []
    conditions = [
        Person.id.in_(  # begins with the tokens, on either store
            select(PersonToken.person_id).where(PersonToken.mac.in_(register.macs(kind, word)))
        )
        for kind, word in wanted
    ]
    rows = await session.scalars(
        select(Person)
        .where(*conditions, scope.of(Person.unit), Person.merged_into.is_(None))
        .order_by(Person.updated_at.desc(), Person.id.desc())
        .limit(FOUND_AT_MOST)
    )
    return list(rows)


async def candidates(
    session: AsyncSession,
    register: Register,
    people: Sequence[tuple[Details, str]],
    scope: Scope = EVERYWHERE,
) -> list[list[Candidate]]:
    """For each of `people` (details, path of the unit) the stored ones alike, likeliest first.

    Two records are compared if they share the telephone, the identity number, or the full name
    with the year of birth or the commune: nothing less can make them alike. Opening and comparing
    is done in a thread; a batch of a few hundred people at a time keeps the memory small.
    """
    macs = await asyncio.to_thread(_compared_macs, register, people)
    by_mac = await _people_by_mac(session, {mac for row in macs for mac in row}, scope)
    return await asyncio.to_thread(_compared, register, people, macs, by_mac)


def _compared_macs(register: Register, people: Sequence[tuple[Details, str]]) -> list[list[bytes]]:
    return [
        [
            mac
            for kind, text in rules.token_texts(details, unit)
            if kind in rules.COMPARED
            for mac in register.macs(kind, text)
        ]
        for details, unit in people
    ]


def _compared(
    register: Register,
    people: Sequence[tuple[Details, str]],
    macs: Sequence[Sequence[bytes]],
    by_mac: Mapping[bytes, Sequence[_Stored]],
) -> list[list[Candidate]]:
    opened: dict[int, Details] = {}
    found: list[list[Candidate]] = []
    for (details, unit), own in zip(people, macs, strict=True):
        alike: dict[int, Candidate] = {}
        for person_id, stored_unit, sealed in (
            stored for mac in own for stored in by_mac.get(mac, ())
        ):
            if person_id in alike:
                continue
            if person_id not in opened:
                opened[person_id] = register.open_sealed(person_id, sealed)
            how = rules.likeness(details, opened[person_id], same_commune=unit == stored_unit)
            if how.score >= rules.ALIKE:
                alike[person_id] = Candidate(person_id, stored_unit, how)
        found.append(sorted(alike.values(), key=lambda one: -one.likeness.score))
    return found


async def _people_by_mac(
    session: AsyncSession, macs: Iterable[bytes], scope: Scope
) -> dict[bytes, list[_Stored]]:
    """In two steps: together, a store may begin with the people and end with the tokens."""
    wanted = list(macs)
    holders: list[tuple[bytes, int]] = []
    shared: Counter[bytes] = Counter()
    for start in range(0, len(wanted), _AT_ONCE):
        rows = await session.execute(
            select(PersonToken.mac, PersonToken.person_id)
            .where(PersonToken.mac.in_(wanted[start : start + _AT_ONCE]))
            .order_by(PersonToken.mac, PersonToken.person_id)
        )
        for mac, person_id in rows:
            shared[mac] += 1
            if shared[mac] <= rules.SHARED_AT_MOST:
                holders.append((mac, person_id))
    ids = sorted({person_id for _mac, person_id in holders})
    stored: dict[int, _Stored] = {}
    for start in range(0, len(ids), _AT_ONCE):
        people = await session.execute(
            select(Person.id, Person.unit, Person.sealed).where(
                Person.id.in_(ids[start : start + _AT_ONCE]), Person.merged_into.is_(None)
            )
        )
        stored.update(
            {
                person_id: (person_id, unit, sealed)
                for person_id, unit, sealed in people
                if scope.covers(unit)
            }
        )
    found: dict[bytes, list[_Stored]] = {}
    for mac, person_id in holders:
        if person_id in stored:
            found.setdefault(mac, []).append(stored[person_id])
    return found


async def _write_tokens(
    session: AsyncSession, register: Register, people: Sequence[tuple[int, Details, str]]
) -> None:
    values = [
        {"mac": mac, "person_id": person_id, "kind": int(kind)}
        for person_id, details, unit in people
        for kind, mac in rules.tokens(details, unit, register.token_key)
    ]
    if values:
        await session.execute(insert(PersonToken), values)


async def _write_pairs(
    session: AsyncSession, found: Iterable[tuple[int, Sequence[Candidate]]], now: int
) -> None:
    values = [
        {
            "one_id": min(person_id, one.person_id),
            "other_id": max(person_id, one.person_id),
            "score": one.likeness.score,
            "state": PairState.OPEN.value,
            "at": now,
            "account_name": None,
        }
        for person_id, alike in found
        for one in alike
    ]
    for start in range(0, len(values), _AT_ONCE):
        await session.execute(
            upsert(session, PersonPair)
            .values(values[start : start + _AT_ONCE])
            .on_conflict_do_nothing()  # decided before: nobody is asked again
        )


async def called(
    session: AsyncSession, register: Register, people: Sequence[int], account_name: str
) -> set[int]:
    """Those of `people` (ids) whose full name is in the name of an account ("tran.thi.lan").

    Nobody's details are opened for it. A single word names nobody.
    """
    words = rules.name_words(account_name.partition("@")[0].replace(".", " ").replace("_", " "))
    if len(words) < 2:
        return set()
    rows = await session.scalars(
        select(PersonToken.person_id).where(
            PersonToken.person_id.in_(people),
            PersonToken.mac.in_(register.macs(Token.FULL_NAME, " ".join(words))),
        )
    )
    return set(rows)


# --- rotation --------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class Renewed:
    """What one batch of `renew_tokens` did; `last` is its last id, None after the last batch."""

    changed: int
    unreadable: int
    last: int | None


async def renew_tokens(
    session: AsyncSession, register: Register, *, after: int, limit: int
) -> Renewed:
    """Compute what people are found by under the present key, for the next `limit` ids."""
    people = (
        await session.scalars(
            select(Person)
            .where(Person.id > after)
            .order_by(Person.id)
            .limit(limit)
            .with_for_update()  # who changes a record meanwhile writes its tokens after us
        )
    ).all()
    ids = [person.id for person in people]
    kept: dict[int, set[bytes]] = {number: set() for number in ids}
    for person_id, mac in await session.execute(
        select(PersonToken.person_id, PersonToken.mac).where(PersonToken.person_id.in_(ids))
    ):
        kept[person_id].add(mac)
    stale: list[tuple[int, Details, str]] = []
    unreadable = 0
    for person in people:
        try:
            details = register.details(person)
        except KeyUnavailable:
            unreadable += 1
            continue
        present = rules.tokens(details, person.unit, register.token_key)
        if kept[person.id] != {mac for _kind, mac in present}:
            stale.append((person.id, details, person.unit))
    await session.execute(
        delete(PersonToken).where(PersonToken.person_id.in_([one for one, *_rest in stale]))
    )
    await _write_tokens(session, register, stale)
    return Renewed(len(stale), unreadable, ids[-1] if len(ids) == limit else None)
