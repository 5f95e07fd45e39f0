"""Milliseconds a worklist or call sheet takes, with 1,000,000 people and 200,000 open tasks.

PostgreSQL with fsync on, filled by statements of its own (real sealed details for everybody who has
an open task, repeated for the others, whom no page opens), then the pages through the real
application in this process: signing in, scope, the query, opening fifty people, the audit entry,
the HTML. A million closed tasks lie beside the open ones, and half of all is in one province, as in
an outbreak. The limit is 300 ms for any page.
"""

import asyncio
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import httpx
import structlog
from sqlalchemy import text

from bluezone.clock import WallClock
from bluezone.server import installation
from bluezone.server.app import create_app, open_services
from bluezone.server.config import Settings
from bluezone.server.context import Services
from bluezone.server.migrations import upgrade
from bluezone.server.people.rules import Grant, StaffRole
from bluezone.server.people.service import add_account, open_session
from bluezone.server.places.units import children
from bluezone.server.register.rules import Details
from bluezone.server.register.service import Register
from tests.postgres import PostgresServer

_PEOPLE: Final = 1_000_000
_OPEN: Final = 200_000
_CLOSED: Final = 1_000_000
_ROUNDS: Final = 40
_LIMIT_MS: Final = 300
_OUTBREAK: Final = "vn.01"
_STAFF: Final = (("nation", "vn"), ("province", _OUTBREAK), ("commune", "vn.01.001.00004"))


def measure() -> list[dict[str, object]]:
    """One row for each page."""
    structlog.configure(processors=[], logger_factory=structlog.ReturnLoggerFactory())
    server = PostgresServer(options="-c shared_buffers=512MB")
    try:
        with tempfile.TemporaryDirectory() as folder:
            return asyncio.run(_measure(Path(folder) / "home", server.url()))
    finally:
        server.remove()


async def _measure(home: Path, url: str) -> list[dict[str, object]]:
    settings, clock = Settings(home=home, database=url), WallClock()
    await installation.create(settings, clock)
    services = await open_services(settings, clock)
    await upgrade(services.database)
    tokens = await _accounts(services)
    await _fill(services)
    rows = [
        await _page(services, tokens[who], what, path) for what, who, path in await _pages(services)
    ]
    await services.database.dispose()
    return rows


async def _accounts(services: Services) -> dict[str, str]:
    tokens = {}
    for name, unit in _STAFF:
        async with services.database.transaction() as session:
            account = await add_account(
                session,
                name=name,
                password_hash="",
                grant=Grant(StaffRole.HEALTH_WORKER, unit),
                now=services.now,
            )
            tokens[name], _expires = await open_session(session, account, services.now, 86400)
    return tokens


async def _fill(services: Services) -> None:
    """Everything by statements of the database: through the service it would take an hour."""
    provinces = [one.path for one in children("vn")]
    communes = [one for province in provinces for one in _communes(province)]
    here = _communes(_OUTBREAK)
    register = Register.open(services.settings.secrets_folder)
    blobs = [
        register.sealed(
            n, Details(name=f"Nguyễn Văn {n}", phone=f"+84901{n:06}", address="1 Ngọc Hà")
        )
        for n in range(1, _OPEN + 1)
    ]
    values: dict[str, Any] = {
        "everywhere": communes,
        "here": here,
        "blobs": blobs,
        "people": _PEOPLE,
        "open": _OPEN,
        "closed": _CLOSED,
        "now": services.now,
    }
    async with services.database.engine.begin() as connection:
        await connection.execute(text("SET LOCAL statement_timeout = 0"))
        for statement in _STATEMENTS:
            whole = statement.replace("UNIT_OF_N", _UNIT).replace("KIND_OF_N", _KIND)
            used = {name: one for name, one in values.items() if f":{name}" in whole}
            await connection.execute(text(whole), used)
    async with services.database.engine.connect() as connection:
        plain = await connection.execution_options(isolation_level="AUTOCOMMIT")
        await plain.execute(text("SET statement_timeout = 0"))
        await plain.execute(text("VACUUM ANALYZE"))


def _communes(province: str) -> list[str]:
    return [one.path for area in children(province) for one in children(area.path)]


# Unit of the n-th person: every other one in the outbreak's province.
_UNIT: Final = """
    CASE WHEN n % 2 = 0
        THEN (CAST(:here AS text[]))[1 + (n / 2) % cardinality(CAST(:here AS text[]))]
        ELSE (CAST(:everywhere AS text[]))[1 + (n / 2) % cardinality(CAST(:everywhere AS text[]))]
    END"""
_KIND: Final = "(ARRAY['call','test','visit','quarantine-check','interview'])[1 + n % 5]"
_STATEMENTS: Final[Sequence[str]] = (
    """
    INSERT INTO persons (id, unit, sealed, created_at, updated_at, revision)
    SELECT n, UNIT_OF_N, blobs.sealed, :now, :now, 0
    FROM generate_series(1, CAST(:people AS bigint)) AS n
        JOIN unnest(CAST(:blobs AS bytea[])) WITH ORDINALITY AS blobs (sealed, number)
            ON number = 1 + (n - 1) % CAST(:open AS bigint)""",
    """
    INSERT INTO ranks (person_id, unit, rank, shown, last_exposed_on, listed_on, arrivals,
        known_by, at)
    SELECT id, unit, 1, 1, to_char(now(), 'YYYY-MM-DD'), to_char(now(), 'YYYY-MM-DD'), '', 0, :now
    FROM persons WHERE id <= :open""",
    """
    INSERT INTO teams (id, unit, name, automatic, created_at)
    VALUES (1, 'vn.01', 'Tổ 1', false, :now)""",
    # The one in a thousand that the nation's tracer has, ten in a thousand the commune's own.
    """
    INSERT INTO tasks (id, kind, person_id, unit, team_id, assignee_id, assignee_name, state,
        due_at, created_at, tries, revision, made_by)
    SELECT n, KIND_OF_N, p.id, p.unit, CASE WHEN n % 50 = 0 THEN 1 END,
        CASE WHEN n % 1000 = 1 THEN a.nation
             WHEN p.unit = 'vn.01.001.00004' AND n % 4 = 0 THEN a.commune END,
        CASE WHEN n % 1000 = 1 THEN 'nation'
             WHEN p.unit = 'vn.01.001.00004' AND n % 4 = 0 THEN 'commune' END,
        'open', :now + (n * 7919) % 345600 - 86400, :now, 0, 0, concat_ws(chr(58), 'call', n, 'x')
    FROM generate_series(1, CAST(:open AS bigint)) AS n JOIN persons p ON p.id = n,
        (SELECT min(id) FILTER (WHERE name = 'nation') AS nation,
                min(id) FILTER (WHERE name = 'commune') AS commune FROM staff_accounts) a""",
    """
    INSERT INTO tasks (id, kind, person_id, unit, state, due_at, created_at, closed_at, outcome,
        tries, revision)
    SELECT :open + n, KIND_OF_N, p.id, p.unit, 'done', :now - n, :now - n, :now - n, 'reached', 0, 1
    FROM generate_series(1, CAST(:closed AS bigint)) AS n
        JOIN persons p ON p.id = 1 + (n * 31) % 1000000""",
    """
    INSERT INTO task_events (task_id, at, kind, account_id, account_name, facts)
    SELECT id, created_at, 'made', 0, '', '{}' FROM tasks""",
    "SELECT setval(pg_get_serial_sequence('tasks', 'id'), max(id)) FROM tasks",
    "SELECT setval(pg_get_serial_sequence('persons', 'id'), max(id)) FROM persons",
    "SELECT setval(pg_get_serial_sequence('teams', 'id'), max(id)) FROM teams",
)


async def _pages(services: Services) -> list[tuple[str, str, str]]:
    """What, who, and the address; the deep page is the one that keyset paging is for."""
    async with services.database.read() as session:
        deep = await session.execute(
            text(
                "SELECT due_at, id FROM tasks WHERE state = 'open'"
                " ORDER BY due_at, id OFFSET 150000 LIMIT 1"
            )
        )
        due_at, task = deep.one()
        mine = await session.scalar(
            text("SELECT min(id) FROM tasks WHERE state = 'open' AND unit = 'vn.01.001.00004'")
        )
    unit = "/staff/tasks?view=unit"
    return [
        ("my list, commune", "commune", "/staff/tasks"),
        ("my list, nation", "nation", "/staff/tasks"),
        ("my list, one kind, overdue", "nation", "/staff/tasks?kind=test&due=overdue"),
        ("unit, commune", "commune", unit),
        ("unit, province", "province", unit),
        ("unit, province, nobody's", "province", f"{unit}&free=yes"),
        ("unit, nation", "nation", unit),
        ("unit, nation, one kind, later", "nation", f"{unit}&kind=visit&due=later"),
        ("unit, nation, page 3,000", "nation", f"{unit}&after={due_at}.{task}"),
        ("unit, a small one of the nation", "nation", f"{unit}&unit=vn.96"),
        ("team", "province", "/staff/tasks?view=team&team=1"),
        ("call sheet", "commune", f"/staff/tasks/{mine}"),
        ("teams", "nation", "/staff/teams"),
    ]


async def _page(services: Services, token: str, what: str, path: str) -> dict[str, object]:
    times = []
    transport = httpx.ASGITransport(create_app(services))
    cookie = {"Cookie": f"bluezone_session={token}"}
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        # No process is sent anybody before it says that it is ready.
        ready = await client.get("/health/ready")
        if ready.status_code != 200:
            raise RuntimeError(f"not ready: {ready.text}")
        for _ in range(_ROUNDS):
            started = time.perf_counter()
            answer = await client.get(path, headers=cookie)
            times.append(1000 * (time.perf_counter() - started))
            if answer.status_code != 200:
                raise RuntimeError(f"{what}: {answer.status_code}")
    return {
        "page": what,
        "tasks": answer.text.count('<span class="when">'),
        "median ms": statistics.median(times),
        "p95 ms": sorted(times)[round(0.95 * _ROUNDS) - 1],
        "worst ms": max(times),
        "limit ms": _LIMIT_MS,
    }
