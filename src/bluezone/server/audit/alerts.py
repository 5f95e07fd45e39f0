"""The verbs of unusual looking: go through what was seen, tell, hear what came of it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from sqlalchemy import ColumnElement, delete, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from bluezone.protocol.intervals import vietnam_day
from bluezone.server.audit import looking
from bluezone.server.audit import service as audit
from bluezone.server.audit.looking import Answer, Found, Look, Search
from bluezone.server.audit.rules import Action, Purpose
from bluezone.server.audit.tables import AuditEntry, LookAlert, LookingState
from bluezone.server.cases import holdings as cases
from bluezone.server.context import Services
from bluezone.server.errors import Refused
from bluezone.server.people.rules import Staff
from bluezone.server.people.scope import Scope
from bluezone.server.register import service as register
from bluezone.server.rulebook import service as rulebook
from bluezone.server.sealing import Sealer
from bluezone.server.work import holdings as work
from bluezone.storage.database import upsert
from bluezone.storage.lease import Lease
from bluezone.web.catalogue import _

SHOWN: Final = 200
KEPT_SECONDS: Final = 2 * 365 * 24 * 3600
MAX_WORD: Final = 300
_PERSON: Final = "person:"
# A transaction may write what it saw a little after the time it says.
_LATE_SECONDS: Final = 300
_LOOKS_AT_MOST: Final = 20_000  # of one account in a week: enough to tell
_AT_ONCE: Final = 500
_PLACE: Final = b"look-alert"


async def check(services: Services, lease: Lease) -> None:
    """Go through what was seen since the last time, and write alerts."""
    now = services.now
    async with services.database.read() as session:
        state = await session.get(LookingState, 1)
        since = (state.until if state else now - looking.WINDOW_SECONDS) - _LATE_SECONDS
        version, rules = await rulebook.in_force(
            session, looking.RULES_KIND, looking.SHIPPED, vietnam_day(now).isoformat()
        )
        accounts = (
            await session.scalars(
                select(AuditEntry.account_id)
                .where(AuditEntry.at > since, AuditEntry.account_id != 0, _is_looking())
                .distinct()
            )
        ).all()
    for account in accounts:
        async with services.database.transaction() as session:
            await lease.confirm(session)
            entries = await _entries(session, account, now)
            looks = await _looks(session, services, entries)
            searches = [
                Search(one.at, _found(one.detail))
                for one in entries
                if one.detail.startswith(audit.SEARCH)
            ]
            for found in looking.unusual(looks, searches, rules, since):
                await _tell(session, entries[-1], found, version)
    if not accounts:
        return
    async with services.database.transaction() as session:
        await lease.confirm(session)
        await session.execute(
            upsert(session, LookingState)
            .values(id=1, until=now)
            .on_conflict_do_update(index_elements=[LookingState.id], set_={"until": now})
        )


async def forget_old(services: Services, lease: Lease) -> None:
    """Retention: alerts two years after the last look that they tell of."""
    async with services.database.transaction() as session:
        await lease.confirm(session)
        oldest = services.now - KEPT_SECONDS
        await session.execute(delete(LookAlert).where(LookAlert.last_at < oldest))


def _is_looking() -> ColumnElement[bool]:
    return or_(
        (AuditEntry.action == Action.LIST.value) & AuditEntry.detail.startswith(audit.SEARCH),
        AuditEntry.subject.startswith(_PERSON)
        & AuditEntry.action.in_((Action.LOOK.value, Action.EXPORT.value)),
    )


async def _entries(session: AsyncSession, account: int, now: int) -> Sequence[AuditEntry]:
    rows = await session.scalars(
        select(AuditEntry)
        .where(
            AuditEntry.account_id == account,
            AuditEntry.at > now - looking.WINDOW_SECONDS,
            _is_looking(),
        )
        .order_by(AuditEntry.at.desc(), AuditEntry.sequence.desc())
        .limit(_LOOKS_AT_MOST)
    )
    return rows.all()[::-1]


async def _looks(
    session: AsyncSession, services: Services, entries: Sequence[AuditEntry]
) -> list[Look]:
    rows = [
        (one, person)
        for one in entries
        if one.action != Action.LIST and (person := _person(one.subject)) is not None
    ]
    people = sorted({person for _one, person in rows})
    if not people:
        return []
    own = Scope((entries[-1].unit,))
    known: set[int] = set()
    namesakes: set[int] = set()
    keys = register.Register.open(services.settings.secrets_folder)
    for some in (people[at : at + _AT_ONCE] for at in range(0, len(people), _AT_ONCE)):
        known |= await cases.with_cases(session, some, own)
        known |= await work.with_tasks(session, some, own)
        namesakes |= await register.called(session, keys, some, entries[-1].account_name)
    return [
        Look(one.at, person, one.purpose, person in known, person in namesakes)
        for one, person in rows
    ]


def _person(subject: str) -> int | None:
    kind, _colon, number = subject.partition(":")
    return int(number) if kind == "person" and number.isdecimal() else None


def _found(detail: str) -> int:
    number = detail.partition(audit.FOUND)[2]
    return int(number) if number.isdecimal() else 1


async def _tell(session: AsyncSession, last: AuditEntry, found: Found, version: int) -> None:
    key = (found.rule.value, last.account_id, found.day)
    known = await session.get(LookAlert, key)
    if known is None:
        session.add(
            LookAlert(
                rule=found.rule.value,
                account_id=last.account_id,
                day=found.day,
                account_name=last.account_name,
                unit=last.unit,
                count=found.count,
                first_at=found.first_at,
                last_at=found.last_at,
                rule_version=version,
            )
        )
    elif found.count > known.count:
        if known.acknowledged_at is not None and found.count >= 2 * known.count:
            known.acknowledged_at = None  # what was explained was half of it
        known.count, known.last_at = found.count, found.last_at


# --- whoever is told -------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class Alert:
    """One alert, opened."""

    row: LookAlert
    word: str = field(repr=False)


async def alerts(
    session: AsyncSession, secrets_folder: Path, scope: Scope, *, open_only: bool
) -> list[Alert]:
    """The latest alerts about accounts that work within scope."""
    query = (
        select(LookAlert)
        .where(scope.of(LookAlert.unit))
        .order_by(LookAlert.last_at.desc())
        .limit(SHOWN)
    )
    if open_only:
        query = query.where(LookAlert.acknowledged_at.is_(None))
    sealer = Sealer(secrets_folder, "notes")
    return [
        Alert(row, sealer.open(row.word, *_place(row)).decode() if row.word else "")
        for row in await session.scalars(query)
    ]


async def waiting(session: AsyncSession, scope: Scope) -> int:
    """How many alerts nobody has answered."""
    found = await session.scalar(
        select(func.count())
        .select_from(LookAlert)
        .where(scope.of(LookAlert.unit), LookAlert.acknowledged_at.is_(None))
    )
    return found or 0


async def acknowledge(
    session: AsyncSession,
    services: Services,
    staff: Staff,
    *,
    rule: str,
    account_id: int,
    day: str,
    answer: str,
    word: str,
) -> None:
    """Write down what came of asking. Raises Refused: 404, 409 answered already, 422."""
    row = await session.get(LookAlert, (rule, account_id, day))
    if row is None or not staff.scope.covers(row.unit):
        raise Refused(404, "alert-unknown", _("There is no such alert in your units."))
    if account_id == staff.account_id:
        raise Refused(422, "alert-own", _("Somebody else has to answer an alert about yourself."))
    if answer not in list(Answer):
        raise Refused(422, "answer-missing", _("Please choose what came of asking."))
    word = word.strip()
    if not word or len(word) > MAX_WORD or "\0" in word:
        raise Refused(
            422,
            "word-missing",
            _("Please write a word on it, at most {most} letters."),
            most=MAX_WORD,
        )
    sealed = Sealer(services.settings.secrets_folder, "notes").seal(word.encode(), *_place(row))
    done = await session.scalar(
        update(LookAlert)
        .where(
            LookAlert.rule == rule,
            LookAlert.account_id == account_id,
            LookAlert.day == day,
            LookAlert.acknowledged_at.is_(None),
        )
        .values(
            acknowledged_at=services.now, acknowledged_by=staff.name, answer=answer, word=sealed
        )
        .returning(LookAlert.rule)
    )
    if done is None:
        raise Refused(409, "alert-answered", _("Somebody has answered this alert already."))
    await audit.record(
        session,
        services,
        staff,
        Action.CHANGE,
        subject=f"alert:{rule}:{account_id}:{day}",
        purpose=Purpose.AUDIT,
        detail=answer,
    )


def _place(row: LookAlert) -> tuple[bytes, ...]:
    return (_PLACE, row.rule.encode(), str(row.account_id).encode(), row.day.encode())
