"""Doubles: two records of one person found, told apart, made one, and made two again."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec
from sqlalchemy import and_, func, or_, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from bluezone.server.audit import service as audit
from bluezone.server.audit.rules import Action, Purpose
from bluezone.server.cases import laboratory as cases
from bluezone.server.contacts import service as contacts
from bluezone.server.contacts.deriving import take_turn
from bluezone.server.context import Services
from bluezone.server.errors import Refused
from bluezone.server.people.rules import Staff
from bluezone.server.people.scope import Scope
from bluezone.server.register import rules
from bluezone.server.register import service as register
from bluezone.server.register.rules import Details, Likeness, PairState
from bluezone.server.register.service import Register
from bluezone.server.register.tables import Merge, Person, PersonPair
from bluezone.server.work import service as work
from bluezone.web.catalogue import _

PAIRS_SHOWN: Final = 20
MERGES_SHOWN: Final = 20
_UNDO: Final = b"merge-undo"
# What one record may take from the other where it knows nothing itself.
_FILLED: Final = (
    "phone",
    "identity",
    "birth",
    "sex",
    "address",
    "occupation",
    "workplace",
    "note",
)


class Undo(msgspec.Struct, frozen=True, kw_only=True):
    """What two records were before they became one."""

    kept: Details
    kept_unit: str
    kept_revision: int  # after the merge: later edits are seen by it
    household: list[int]  # who belonged to the merged person's household
    cases: cases.Moved
    contacts: contacts.Moved
    tasks: list[int]


@dataclass(frozen=True, slots=True)
class Pair:
    """Two records that may be of one person, opened."""

    one: Person
    one_details: Details
    other: Person
    other_details: Details
    likeness: Likeness


@dataclass(frozen=True, slots=True)
class PairPage:
    """Some pairs, the likeliest first, and what asks for the next ones ("": the end)."""

    pairs: list[Pair]
    after: str


async def pairs_in(
    session: AsyncSession, services: Services, staff: Staff, after: str = ""
) -> PairPage:
    """Pairs of which both records are within scope, PAIRS_SHOWN at a time; in the audit as a list.

    Raises Refused (400) for an `after` that is none.
    """
    one, other = aliased(Person), aliased(Person)
    conditions = [
        PersonPair.state == PairState.OPEN.value,
        staff.scope.of(one.unit),
        staff.scope.of(other.unit),
        one.merged_into.is_(None),
        other.merged_into.is_(None),
    ]
    if after:
        score, first, second = _pair_place(after)
        conditions.append(
            or_(
                PersonPair.score < score,
                and_(
                    PersonPair.score == score,
                    tuple_(PersonPair.one_id, PersonPair.other_id) > (first, second),
                ),
            )
        )
    rows = (
        await session.execute(
            select(PersonPair.score, one, other)
            .join(one, one.id == PersonPair.one_id)
            .join(other, other.id == PersonPair.other_id)
            .where(*conditions)
            .order_by(PersonPair.score.desc(), PersonPair.one_id, PersonPair.other_id)
            .limit(PAIRS_SHOWN + 1)
        )
    ).all()
    details = Register.open(services.settings.secrets_folder).details
    pairs = []
    for _score, left, right in rows[:PAIRS_SHOWN]:
        a, b = details(left), details(right)
        how = rules.likeness(a, b, same_commune=left.unit == right.unit)
        pairs.append(Pair(left, a, right, b, how))
    if pairs:
        await audit.record(
            session,
            services,
            staff,
            Action.LIST,
            purpose=Purpose.QUALITY,
            detail=f"pairs alike: {len(pairs)}",
        )
    more = ""
    if len(rows) > PAIRS_SHOWN:
        score, left, right = rows[PAIRS_SHOWN - 1]
        more = f"{score}_{left.id}_{right.id}"
    return PairPage(pairs, more)


def _pair_place(after: str) -> tuple[float, int, int]:
    try:
        score, first, second = after.split("_")
        return float(score), int(first), int(second)
    except ValueError:
        raise Refused(400, "page-unknown", _("There is nothing at this address.")) from None


async def pair_of(
    session: AsyncSession, services: Services, staff: Staff, one_id: int, other_id: int
) -> Pair:
    """Two records side by side, each look written to the audit. Raises Refused (404)."""
    left, a = await register.look(session, services, staff, one_id, Purpose.QUALITY)
    right, b = await register.look(session, services, staff, other_id, Purpose.QUALITY)
    how = rules.likeness(a, b, same_commune=left.unit == right.unit)
    return Pair(left, a, right, b, how)


async def tell_apart(
    session: AsyncSession, services: Services, staff: Staff, one_id: int, other_id: int
) -> None:
    """Two people, whatever they have in common: remembered. Raises Refused (404)."""
    for person_id in (one_id, other_id):
        await register.get(session, staff.scope, person_id)
    await _decided(session, services, staff, one_id, other_id, PairState.DIFFERENT)
    await audit.record(
        session,
        services,
        staff,
        Action.CHANGE,
        subject=f"person:{one_id}",
        purpose=Purpose.QUALITY,
        detail=f"not the same as person:{other_id}",
    )


async def _decided(
    session: AsyncSession,
    services: Services,
    staff: Staff,
    one_id: int,
    other_id: int,
    state: PairState,
) -> None:
    key = {"one_id": min(one_id, other_id), "other_id": max(one_id, other_id)}
    pair = await session.get(PersonPair, (key["one_id"], key["other_id"]))
    if pair is None:
        pair = PersonPair(**key, score=0.0)
        session.add(pair)
    pair.state, pair.at, pair.account_name = state.value, services.now, staff.name
    await session.flush()


# --- making one of two ---------------------------------------------------------------------
async def merge(
    session: AsyncSession,
    services: Services,
    staff: Staff,
    *,
    kept_id: int,
    merged_id: int,
    kept_seen: int,
    merged_seen: int,
) -> Merge:
    """Make two records one: `merged_id` leads to `kept_id` from now on, with all that it had.

    What the kept record does not know it takes from the other. `*_seen`: the revisions that were
    looked at. Raises Refused: 404, 409 changed since, 422 the same record.
    """
    await take_turn(session)
    kept = await _locked(session, staff.scope, kept_id)
    merged = await _locked(session, staff.scope, merged_id)
    if kept.id == merged.id:
        raise Refused(422, "merge-same", _("These two are one record already."))
    if (kept.revision, merged.revision) != (kept_seen, merged_seen):
        raise Refused(
            409,
            "person-changed",
            _("Somebody else has changed this record since you opened it. Please look again."),
        )
    own = Register.open(services.settings.secrets_folder)
    now, before, other = services.now, own.details(kept), own.details(merged)
    filled = {
        name: getattr(other, name)
        for name in _FILLED
        if not getattr(before, name) and getattr(other, name)
    }
    household = list(
        await session.scalars(
            update(Person)
            .where(Person.household == merged.id)
            .values(household=kept.id)
            .returning(Person.id)
        )
    )
    moved_cases = await cases.move_person(session, merged.id, kept.id, now)
    moved_contacts = await contacts.move_person(session, merged.id, kept.id, now)
    tasks = await work.move_person(session, merged.id, kept.id, now)
    # First, so that it is no candidate for what follows.
    merged.merged_into, merged.updated_at = kept.id, now
    merged.revision += 1
    await session.flush()
    await register.change(
        session,
        own,
        kept,
        msgspec.structs.replace(before, **filled),
        unit=kept.unit,
        seen=kept.revision,
        now=now,
    )
    undo = Undo(
        kept=before,
        kept_unit=kept.unit,
        kept_revision=kept.revision,
        household=household,
        cases=moved_cases,
        contacts=moved_contacts,
        tasks=tasks,
    )
    row = Merge(
        kept=kept.id,
        merged=merged.id,
        at=now,
        account_id=staff.account_id,
        account_name=staff.name,
        undo=b"",
        undone_at=None,
    )
    session.add(row)
    await session.flush()
    row.undo = own.sealer.seal(msgspec.msgpack.encode(undo), *_place(row))
    await _decided(session, services, staff, kept.id, merged.id, PairState.MERGED)
    await _tell(session, [kept.id, merged.id], now)
    await audit.record(
        session,
        services,
        staff,
        Action.MERGE,
        subject=f"person:{kept.id}",
        purpose=Purpose.QUALITY,
        detail=f"with person:{merged.id}",
    )
    return row


async def undo(session: AsyncSession, services: Services, staff: Staff, merge_id: int) -> Merge:
    """Make two records of one again, each as it was; what came since stays with the kept one.

    Raises Refused: 404; 409 undone already, or the details were edited since.
    """
    await take_turn(session)
    row = await session.scalar(select(Merge).where(Merge.id == merge_id).with_for_update())
    kept = await session.get(Person, row.kept, populate_existing=True) if row else None
    merged = await session.get(Person, row.merged, populate_existing=True) if row else None
    if row is None or kept is None or merged is None or not _covered(staff.scope, kept, merged):
        raise Refused(404, "merge-unknown", _("There is no such merge in your units."))
    if row.undone_at is not None:
        raise Refused(409, "merge-undone", _("This merge was undone already."))
    if kept.merged_into is not None:
        raise Refused(
            409,
            "merge-below",
            _("The record was merged with a further one since. Undo that merge first."),
        )
    own = Register.open(services.settings.secrets_folder)
    before = msgspec.msgpack.decode(own.sealer.open(row.undo, *_place(row)), type=Undo)
    if kept.revision != before.kept_revision:
        raise Refused(
            409,
            "merge-edited",
            _(
                "The person's details were changed after the merge, and undoing it would lose"
                " that. Make a new record of the other person instead."
            ),
        )
    now = services.now
    merged.merged_into, merged.updated_at = None, now
    merged.revision += 1
    row.undone_at = now
    await session.execute(
        update(Person)
        .where(Person.id.in_(before.household), Person.household == kept.id)
        .values(household=merged.id)
    )
    await cases.move_back(session, before.cases, merged.id, kept.id, now)
    await contacts.move_back(session, before.contacts, merged.id, kept.id, now)
    await work.move_back(session, before.tasks, merged.id, now)
    await _decided(session, services, staff, kept.id, merged.id, PairState.OPEN)
    await register.change(
        session, own, kept, before.kept, unit=before.kept_unit, seen=kept.revision, now=now
    )
    await _tell(session, [kept.id, merged.id], now)
    await audit.record(
        session,
        services,
        staff,
        Action.UNDO,
        subject=f"person:{kept.id}",
        purpose=Purpose.QUALITY,
        detail=f"merge with person:{merged.id}",
    )
    return row


async def merges_in(session: AsyncSession, scope: Scope) -> Sequence[Merge]:
    """The last merges whose kept record is within scope."""
    rows = await session.scalars(
        select(Merge)
        .join(Person, Person.id == Merge.kept)
        .where(scope.of(Person.unit))
        .order_by(Merge.id.desc())
        .limit(MERGES_SHOWN)
    )
    return rows.all()


async def count_pairs(session: AsyncSession, person_id: int) -> int:
    """How many records may double this one."""
    return (
        await session.scalar(
            select(func.count())
            .select_from(PersonPair)
            .where(
                or_(PersonPair.one_id == person_id, PersonPair.other_id == person_id),
                PersonPair.state == PairState.OPEN.value,
            )
        )
        or 0
    )


async def _locked(session: AsyncSession, scope: Scope, person_id: int) -> Person:
    person = await register.get(session, scope, person_id)
    await session.refresh(person, with_for_update=True)
    return person


def _place(row: Merge) -> tuple[bytes, bytes, bytes]:
    return _UNDO, str(row.kept).encode(), str(row.merged).encode()


def _covered(scope: Scope, *people: Person) -> bool:
    return all(scope.covers(one.unit) for one in people)


async def _tell(session: AsyncSession, person_ids: list[int], now: int) -> None:
    changed: dict[int, Any] = await contacts.rederive(session, person_ids, now)
    await work.follow_up(session, now, sorted({*person_ids, *changed}))
