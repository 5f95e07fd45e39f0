"""A list of 10,000 contacts checked and imported against 100,000 stored people.

The pages' own verbs (`register.importing`): read the CSV, check each row, compare it with the
store, then take all rows in one transaction, with ranks derived and pairs that look alike kept. A
fifth of the rows are people who are stored already, written otherwise: without accents, without the
0 of the telephone. Names are drawn as common as they are in Vietnam (a third are Nguyễn), for it is
common names that make a duplicate check slow. The bar is 60 seconds for both steps together.
"""

import asyncio
import csv
import io
import random
import tempfile
import time
from pathlib import Path
from typing import Final

from bluezone.clock import WallClock
from bluezone.protocol.intervals import vietnam_day
from bluezone.server import installation
from bluezone.server.app import open_services
from bluezone.server.cases import changing
from bluezone.server.cases.rules import CaseSource, CaseStatus, Course
from bluezone.server.config import Settings
from bluezone.server.contacts.importing import CONTACTS
from bluezone.server.context import Services
from bluezone.server.migrations import upgrade
from bluezone.server.people.rules import Grant, Staff, StaffRole
from bluezone.server.people.scope import Scope
from bluezone.server.places import units
from bluezone.server.register import importing
from bluezone.server.register import service as register
from bluezone.server.register.rules import Details, Sex, plain
from bluezone.server.register.service import Register
from bluezone.server.register.tables import Person
from tests.postgres import PostgresServer

_STORED: Final = 100_000
_ROWS: Final = 10_000
_KNOWN: Final = 5  # one row in so many is of somebody stored
_INDEX_CASES: Final = 50
_BATCH: Final = 1000
_COMMON: Final = (("Nguyễn", 31), ("Trần", 11), ("Lê", 10), ("Phạm", 7), ("Hoàng", 5))
_RARER: Final = ("Phan", "Vũ", "Đặng", "Bùi", "Đỗ", "Hồ", "Ngô", "Dương", "Lý")
_FAMILY: Final = [name for name, often in _COMMON for _ in range(often)] + list(_RARER) * 3
_MIDDLE: Final = ("Văn", "Văn", "Thị", "Thị", "Đức", "Ngọc", "Minh", "Thu", "Quang", "Thanh")
_GIVEN: Final = (
    *("An", "Anh", "Bình", "Cường", "Dung", "Dũng", "Đào", "Đức", "Giang", "Hà", "Hải", "Hằng"),
    *("Hạnh", "Hiền", "Hoa", "Hòa", "Hoàng", "Hùng", "Hương", "Huy", "Khánh", "Lan", "Linh"),
    *("Long", "Mai", "Minh", "Nam", "Nga", "Ngọc", "Nhung", "Phúc", "Phương", "Quân", "Quang"),
    *("Sơn", "Tâm", "Thảo", "Thắng", "Thủy", "Trang", "Trung", "Tú", "Tuấn", "Tùng", "Vân", "Yến"),
)
_PROVINCE: Final = "vn.01"


def measure() -> list[dict[str, object]]:
    """One row for each store."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        asyncio.run(installation.create(Settings(home=home), WallClock()))
        rows = [asyncio.run(_import("SQLite", home, f"sqlite:///{folder}/service.db"))]
        server = PostgresServer(options="")
        try:
            rows.append(asyncio.run(_import("PostgreSQL", home, server.url())))
        finally:
            server.remove()
    return rows


async def _import(store: str, home: Path, database: str) -> dict[str, object]:
    services = await open_services(Settings(home=home, database=database), WallClock())
    await upgrade(services.database)
    rng = random.Random(1)
    communes = [
        commune.path for area in units.children(_PROVINCE) for commune in units.children(area.path)
    ]
    staff = Staff(1, "tracer", (Grant(StaffRole.HEALTH_WORKER, _PROVINCE),), Scope((_PROVINCE,)))
    stored = [(_somebody(rng), rng.choice(communes)) for _ in range(_STORED)]
    references = await _fill(services, staff, stored)
    content = _file(rng, stored, communes, references, services)
    started = time.perf_counter()
    async with services.database.read() as session:
        report = await importing.check(session, services, staff, CONTACTS, content)
    checked = time.perf_counter()
    async with services.database.transaction() as session:
        done = await importing.take(session, services, staff, CONTACTS, content)
    ended = time.perf_counter()
    await services.database.dispose()
    if report.problems or sum(done.values()) < _ROWS or report.known < _ROWS // _KNOWN // 2:
        raise RuntimeError(f"the import did something else: {report.problems[:3]} {done}")
    return {
        "store": store,
        "rows": report.rows,
        "stored": _STORED,
        "known": report.known,
        "check s": checked - started,
        "import s": ended - checked,
        "together s": ended - started,
    }


async def _fill(services: Services, staff: Staff, people: list[tuple[Details, str]]) -> list[str]:
    """Store the people, and index cases of the first of them. Returns the cases' references."""
    own = Register.open(services.settings.secrets_folder)
    index: list[Person] = []
    for start in range(0, len(people), _BATCH):
        async with services.database.transaction() as session:
            batch = people[start : start + _BATCH]
            none: list[list[register.Candidate]] = [[] for _person in batch]
            made = await register.add_many(session, own, batch, now=services.now, alike=none)
            index += made[: _INDEX_CASES - len(index)]
    course = Course(status=CaseStatus.CONFIRMED, reported_on=vietnam_day(services.now))
    async with services.database.transaction() as session:
        cases = await changing.open_many(
            session, services, staff, [(one, course) for one in index], source=CaseSource.INTAKE
        )
    return [case.reference for case in cases]


def _somebody(rng: random.Random) -> Details:
    name = f"{rng.choice(_FAMILY)} {rng.choice(_MIDDLE)} {rng.choice(_GIVEN)}"
    return Details(
        name=name,
        phone=f"+849{rng.randrange(10**8):08}" if rng.random() < 0.9 else "",
        birth=str(rng.randrange(1935, 2015)),
        sex=Sex.FEMALE if " Thị " in name else Sex.MALE,
    )


def _file(
    rng: random.Random,
    stored: list[tuple[Details, str]],
    communes: list[str],
    references: list[str],
    services: Services,
) -> bytes:
    day = vietnam_day(services.now).strftime("%d/%m/%Y")
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(["Họ tên", "SĐT", "Năm sinh", "Xã", "Mã ca bệnh", "Ngày tiếp xúc"])
    for number in range(_ROWS):
        if number % _KNOWN == 0:
            details, unit = stored[_INDEX_CASES + number]
            name, phone = plain(details.name).title(), details.phone.removeprefix("+84")
        else:
            details, unit = _somebody(rng), rng.choice(communes)
            name, phone = details.name, details.phone.replace("+84", "0")
        where = unit.rpartition(".")[2]
        writer.writerow([name, phone, details.birth, where, rng.choice(references), day])
    return text.getvalue().encode()
