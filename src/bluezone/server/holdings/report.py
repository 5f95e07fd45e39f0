"""Whether what should be gone is gone: looks into all tables for itself.

It shares the numbers of the rules with the jobs that delete, and no code: a mistake there must not
hide itself here. So it is the one module that, like `tables`, knows every table.
"""

import asyncio
import datetime as dt
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from sqlalchemy import (
    CTE,
    ColumnElement,
    and_,
    case,
    exists,
    func,
    literal,
    not_,
    or_,
    select,
    text,
)
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.sql import FromClause

from bluezone.protocol.intervals import vietnam_day
from bluezone.server.audit.alerts import KEPT_SECONDS as ALERT_KEPT_SECONDS
from bluezone.server.audit.rules import KEPT_SECONDS as AUDIT_KEPT_SECONDS
from bluezone.server.context import Services
from bluezone.server.diagnosis.retention import FILE_KEPT_SECONDS
from bluezone.server.diagnosis.rules import CODE_KEPT_SECONDS, oldest_interval
from bluezone.server.evidence.rules import COMMITMENT_KEPT_SECONDS, USED_KEPT_DAYS
from bluezone.server.holdings.retention import rules_now
from bluezone.server.holdings.rules import (
    ABANDONED_DAYS,
    DAY_SECONDS,
    FOLLOW_UP_DAYS,
    Category,
    RetentionRules,
)
from bluezone.server.invitations.service import KEPT_DAYS as INVITATION_KEPT_DAYS
from bluezone.server.linelists.rules import KEPT_DAYS as REPORT_KEPT_DAYS
from bluezone.server.linelists.searching import SAVED_DAYS
from bluezone.server.messaging.rules import MESSAGE_KEPT_SECONDS
from bluezone.server.people.rules import FAILURES_KEPT_SECONDS
from bluezone.server.register.importing import KEPT_SECONDS as IMPORT_KEPT_SECONDS
from bluezone.server.tables import metadata
from bluezone.server.tracing.rules import KEPT_SECONDS as HANDOVER_KEPT_SECONDS
from bluezone.storage.database import Database

# Jobs run hourly or daily, and a machine may have been down for a night.
SLACK_SECONDS: Final = 2 * DAY_SECONDS


@dataclass(frozen=True, slots=True)
class Timed:
    """A table whose rows go some seconds after the time in a column."""

    table: str
    column: str
    kept: int
    unit: int = 1  # seconds in one of the column's


TIMED: Final = (
    Timed("audit_entries", "at", AUDIT_KEPT_SECONDS),
    Timed("look_alerts", "last_at", ALERT_KEPT_SECONDS),
    Timed("handovers", "received_at", HANDOVER_KEPT_SECONDS),
    Timed("outbox_messages", "created_at", MESSAGE_KEPT_SECONDS),
    Timed("number_codes", "expires_at", 0),
    Timed("citizen_codes", "expires_at", 0),
    Timed("diagnosis_codes", "expires_at", CODE_KEPT_SECONDS),
    Timed("export_files", "released_at", FILE_KEPT_SECONDS),
    Timed("staff_sessions", "expires_at", 0),
    Timed("sign_in_failures", "locked_until", FAILURES_KEPT_SECONDS),
    Timed("staff_invitations", "expires_at", 0),
    Timed("import_files", "created_at", IMPORT_KEPT_SECONDS),
    Timed("reports", "made_at", REPORT_KEPT_DAYS * DAY_SECONDS),
    Timed("saved_searches", "created_at", SAVED_DAYS * DAY_SECONDS),
    Timed("evidence_commitments", "hour", COMMITMENT_KEPT_SECONDS),
    Timed("evidence_used", "day", USED_KEPT_DAYS * DAY_SECONDS, DAY_SECONDS),
    Timed("invitations", "changed_day", INVITATION_KEPT_DAYS * DAY_SECONDS, DAY_SECONDS),
)
# Tables whose rows belong to a row of another table, and go with it.
GO_WITH: Final = {
    "evidence_claims": "handovers",
    "evidence_diary_keys": "handovers",
    "evidence_verdicts": "handovers",
    "handover_contents": "handovers",
    "handover_decisions": "handovers",
    "person_pairs": "persons",
    "person_tokens": "persons",
    "cases": "persons",
    "case_diaries": "cases",
    "case_events": "cases",
    "lab_results": "persons",
    "merges": "persons",
    "exposures": "persons",
    "visits": "persons",
    "rank_seeds": "persons",
    "ranks": "persons",
    "report_parts": "reports",
    "staff_recovery_codes": "staff_accounts",
    "staff_second_factors": "staff_accounts",
    "rank_overrides": "persons",
    "tasks": "persons",
    "task_events": "tasks",
    "task_handovers": "tasks",
}
# Tables that hold nothing of citizens, and why they may stay.
STAY: Final = {
    "announcement_editions": "a number for each kind",
    "audit_checks": "what the last verification found",
    "audit_heads": "one row for each chain",
    "audit_starts": "one row for each chain",
    "export_batches": "hours of publication",
    "export_index": "one number",
    "health_stations": "public",
    "job_runs": "one row for each job",
    "key_rotations": "one row for each key",
    "leases": "one row for each job",
    "looking_state": "one row",
    "news_items": "public",
    "places_visited": "places, and nobody who was there",
    "rank_state": "one row",
    "report_schedules": "goes with the account",
    "rule_versions": "rules, for as long as somebody asks what was decided by them",
    "staff_accounts": "staff, for as long as the audit names them",
    "staff_grants": "goes with the account",
    "team_members": "goes with the account",
    "teams": "names of teams",
}


@dataclass(frozen=True, slots=True)
class Finding:
    """What was looked for in one place, and how many rows should be gone."""

    what: str
    rows: int
    too_old: int
    words: str

    @property
    def sentence(self) -> str:
        state = f"{self.too_old} TOO OLD" if self.too_old else "none too old"
        return f"{self.what}: {self.rows} rows, {state} ({self.words})"


async def look_for_old(services: Services) -> list[Finding]:
    """Look into every table, the keys that wait for publication, and the database's own log."""
    now = services.now
    found: list[Finding] = []
    async with services.database.read() as session:
        retention = await rules_now(session, now)
        for category in Category:
            found.append(await _people(session, category, retention, now))
        for one in TIMED:
            found.append(await _timed(session, one, now))
        keys = metadata.tables["diagnosis_keys"]
        old = keys.c.rolling_start < oldest_interval(now - SLACK_SECONDS)
        found.append(
            Finding(
                "diagnosis_keys",
                await _count(session, keys),
                await _count(session, keys, old),
                "from when they are refused as too old",
            )
        )
        for table, parent in GO_WITH.items():
            found.append(await _without_parent(session, table, parent))
    found.append(await _log_of(services.database))
    return found


async def _timed(session: AsyncSession, one: Timed, now: int) -> Finding:
    table = metadata.tables[one.table]
    limit = (now - one.kept - SLACK_SECONDS) // one.unit
    return Finding(
        one.table,
        await _count(session, table),
        await _count(session, table, table.c[one.column] < limit),
        f"{one.kept / DAY_SECONDS:g} days after {one.column}",
    )


async def _count(session: AsyncSession, table: FromClause, *conditions: ColumnElement[bool]) -> int:
    query = select(func.count()).select_from(table).where(*conditions)
    return await session.scalar(query) or 0


async def _without_parent(session: AsyncSession, name: str, parent: str) -> Finding:
    """Rows that should have gone with another; a database that checks its keys has none."""
    table = metadata.tables[name]
    alone = []
    for key in table.foreign_keys:
        if key.column.table.name == parent:
            other = key.column.table.alias()
            alone.append(
                and_(
                    key.parent.is_not(None),
                    not_(exists().where(other.c[key.column.name] == key.parent)),
                )
            )
    return Finding(
        name,
        await _count(session, table),
        await _count(session, table, or_(*alone)),
        f"goes with its row of {parent}",
    )


async def _people(
    session: AsyncSession, category: Category, retention: RetentionRules, now: int
) -> Finding:
    days = retention.days(category)
    limit = now - days * DAY_SECONDS - SLACK_SECONDS
    persons = metadata.tables["persons"]
    here = _categories() == literal(category.value)
    kept = persons.c.merged_into.is_(None)
    return Finding(
        f"persons ({category})",
        await _count(session, persons, kept, here),
        await _count(
            session, persons, kept, here, persons.c.created_at < limit, not_(_any_since(limit))
        ),
        f"{days} days after all was over",
    )


@cache
def _members() -> CTE:
    """Every merged record with all records above it, up to the kept one."""
    persons = metadata.tables["persons"]
    base = (
        select(persons.c.id.label("id"), persons.c.merged_into.label("root"))
        .where(persons.c.merged_into.is_not(None))
        .cte("members", recursive=True)
    )
    above = persons.alias()
    return base.union(
        select(base.c.id, above.c.merged_into)
        .join(above, above.c.id == base.c.root)
        .where(above.c.merged_into.is_not(None))
    )


def _of_person(column: ColumnElement[int]) -> ColumnElement[bool]:
    """Whether a column names the row of `persons` in question, or one merged into it."""
    persons, members = metadata.tables["persons"], _members()
    merged = select(members.c.id).where(members.c.root == persons.c.id).correlate(persons)
    return or_(column == persons.c.id, column.in_(merged))


def _categories() -> ColumnElement[str]:
    """The category of a row of `persons`, from the tables themselves."""
    cases, exposures = metadata.tables["cases"], metadata.tables["exposures"]
    ranks, overrides = metadata.tables["ranks"], metadata.tables["rank_overrides"]
    others = cases.alias()
    return case(
        (exists().where(_of_person(cases.c.person_id)), literal(Category.CASE.value)),
        (
            or_(
                exists().where(
                    _of_person(exposures.c.exposed_id),
                    or_(
                        exposures.c.source_id.is_(None),
                        exists().where(others.c.person_id == exposures.c.source_id),
                    ),
                ),
                exists().where(
                    _of_person(ranks.c.person_id),
                    ranks.c.rank <= 1,
                    ranks.c.last_exposed_on.is_not(None),
                ),
                exists().where(_of_person(overrides.c.person_id), overrides.c.rank <= 1),
            ),
            literal(Category.CONTACT.value),
        ),
        (
            exists().where(_of_person(exposures.c.exposed_id)),
            literal(Category.FAR_CONTACT.value),
        ),
        else_=literal(Category.OTHER.value),
    )


def _any_since(limit: int) -> ColumnElement[bool]:
    """Whether anything of a person ended at or after a time."""
    tables = metadata.tables
    cases, results, tasks = tables["cases"], tables["lab_results"], tables["tasks"]
    exposures, visits = tables["exposures"], tables["visits"]
    ranks, overrides = tables["ranks"], tables["rank_overrides"]
    # Whatever part of a day is left: a day more.
    day = (vietnam_day(limit) - dt.timedelta(days=FOLLOW_UP_DAYS + 1)).isoformat()
    merged = tables["persons"].alias()
    return or_(
        exists().where(_of_person(merged.c.id), merged.c.created_at >= limit),
        exists().where(
            _of_person(cases.c.person_id),
            func.coalesce(cases.c.closed_at, cases.c.updated_at + ABANDONED_DAYS * DAY_SECONDS)
            >= limit,
        ),
        exists().where(_of_person(results.c.person_id), results.c.reported_at >= limit),
        exists().where(
            _of_person(tasks.c.person_id),
            func.coalesce(tasks.c.closed_at, tasks.c.due_at) >= limit,
        ),
        exists().where(
            or_(_of_person(exposures.c.exposed_id), _of_person(exposures.c.source_id)),
            exposures.c.day >= day,
        ),
        exists().where(_of_person(visits.c.person_id), visits.c.end_at >= limit),
        exists().where(_of_person(ranks.c.person_id), ranks.c.last_exposed_on >= day),
        exists().where(_of_person(overrides.c.person_id), overrides.c.at >= limit),
    )


async def _log_of(database: Database) -> Finding:
    """What SQLite still holds of deleted rows: nothing, with an empty log and wiped pages."""
    if not database.is_sqlite:
        return Finding(
            "PostgreSQL's dead rows and log", 0, 0, "not looked at: vacuum and archive say when"
        )
    await database.forget_deleted()
    log = Path(f"{database.url.database}-wal")
    left = await asyncio.to_thread(lambda: log.stat().st_size if log.exists() else 0)
    async with database.read() as session:
        wipes = await session.scalar(text("PRAGMA secure_delete"))
    words = "empty" if not left else f"{left} bytes of another process that is writing now"
    return Finding("SQLite's log", 0, 0 if wipes else 1, f"{words}; deleted pages are overwritten")
