"""A plausible outbreak in the tables: seeded, as large as asked, with what real ones have.

Chains with generations over several communes; people exposed twice, by two sources, in a circle;
cases without a known source, without symptoms, without a day of onset, dead, discarded; contacts
that only a phone knows; results, calls and checks with plausible delays.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any, Final

from sqlalchemy import insert

from bluezone.protocol.intervals import vietnam_day
from bluezone.server.cases.tables import Case, LabResult
from bluezone.server.contacts.tables import Exposure, PlaceVisited, Rank, Visit
from bluezone.server.context import Services
from bluezone.server.register.rules import Details, Sex, plain
from bluezone.server.register.service import Register, add_many
from bluezone.server.work.tables import Task
from bluezone.storage.database import Base
from tests.server.conftest import BA_DINH, LIEN_CHIEU, NGOC_HA

COMMUNES: Final = (BA_DINH, NGOC_HA, LIEN_CHIEU)
SETTINGS: Final = ("household", "work", "social", "school", "transport", "health-care", "other")
_WEIGHTS: Final = (34, 22, 20, 8, 7, 4, 5)
_RISK: Final = {"household": 0.30, "work": 0.10, "social": 0.12, "health-care": 0.05}
_FAMILY: Final = "Nguyễn Trần Lê Phạm Hoàng Huỳnh Phan Vũ Võ Đặng Bùi Đỗ Hồ Ngô Dương".split()  # noqa: SIM905
_MIDDLE: Final = "Văn Thị Hữu Đức Minh Ngọc Thanh Quốc Kim Xuân Thu Anh".split()  # noqa: SIM905
_GIVEN: Final = (  # noqa: SIM905
    "An Bình Châu Dũng Đào Giang Hà Hải Hạnh Hiền Hoa Hùng Hương Khánh Lan Linh Long Mai Nam Nga"
    " Ngân Phúc Phương Quân Quỳnh Sơn Tâm Thảo Thắng Thủy Trang Trung Tú Tuấn Uyên Việt Yến"
).split()
_PLACES: Final = (
    "Chợ Ngọc Hà", "Bệnh viện 198", "Trường Phan Đình Phùng", "Xe buýt 09", "Quán phở Thìn",
    "Nhà máy may 10", "Chùa Một Cột", "Siêu thị Lotte",
)  # fmt: skip
_ALPHABET: Final = "2345679ACDEFHJKLMNPQRTUVWXYZ"
DAY: Final = 86_400
_AT_ONCE: Final = 2000


@dataclass
class Outbreak:
    """What was built: ids of people by what they are. `chain`: (source, infected)."""

    people: list[int] = field(default_factory=list)
    unit_of: dict[int, str] = field(default_factory=dict)
    name_of: dict[int, str] = field(default_factory=dict)
    cases: list[int] = field(default_factory=list)
    contacts: list[int] = field(default_factory=list)
    chain: list[tuple[int, int]] = field(default_factory=list)
    reference_of: dict[int, str] = field(default_factory=dict)  # without the discarded
    places: list[str] = field(default_factory=list)


@dataclass
class _Plan:
    unit: str
    day: date  # of onset
    source: int | None = None
    is_case: bool = True
    met: list[tuple[int, date, str, str]] = field(default_factory=list)  # source, day, setting, by


async def build(
    services: Services,
    *,
    seed: int = 1,
    cases: int = 40,
    contacts_per_case: float = 4.0,
    communes: Sequence[str] = COMMUNES,
    days: int = 42,
    clusters: int = 3,
) -> Outbreak:
    """Write an outbreak that ends today (the services' clock). The same seed makes the same one."""
    rng = random.Random(seed)
    today = vietnam_day(services.now)
    plans = _plan(rng, cases, contacts_per_case, communes, today, days, clusters)
    built = Outbreak()
    people = [(_details(rng), plan.unit) for plan in plans]
    register = Register.open(services.settings.secrets_folder)
    for start in range(0, len(people), _AT_ONCE):
        async with services.database.transaction() as session:
            some = people[start : start + _AT_ONCE]
            added = await add_many(session, register, some, now=services.now)
            for row, (details, unit) in zip(added, some, strict=True):
                built.people.append(row.id)
                built.unit_of[row.id], built.name_of[row.id] = unit, details.name
    rows = _rows(rng, services.now, plans, built, today)
    async with services.database.transaction() as session:
        for table, values in rows.items():
            for start in range(0, len(values), _AT_ONCE):
                await session.execute(insert(table), values[start : start + _AT_ONCE])
    return built


def _plan(
    rng: random.Random,
    cases: int,
    contacts_per_case: float,
    communes: Sequence[str],
    today: date,
    days: int,
    clusters: int,
) -> list[_Plan]:
    plans: list[_Plan] = []
    begin = today - timedelta(days=days)
    for _ in range(min(clusters, cases)):
        plans.append(_Plan(rng.choice(communes), begin + timedelta(days=rng.randrange(days // 3))))
    at = 0
    while len(plans) < cases:
        source = at % len(plans)
        at += 1
        one = plans[source]
        for _ in range(rng.choice((0, 1, 1, 2, 2, 3, 5))):
            if len(plans) >= cases:
                break
            onset = one.day + timedelta(days=rng.choice((2, 3, 4, 5, 6, 8)))
            if onset > today:
                continue
            unit = one.unit if rng.random() < 0.8 else rng.choice(communes)
            setting = rng.choices(SETTINGS, _WEIGHTS)[0]
            infected = _Plan(unit, onset, source)
            met_on = max(one.day - timedelta(days=1), onset - timedelta(days=rng.randint(2, 6)))
            infected.met.append((source, met_on, setting, _known_by(rng)))
            plans.append(infected)
        if at > 20 * cases:  # too little time for so many: the rest comes from nowhere
            day = begin + timedelta(days=rng.randrange(days))
            plans.append(_Plan(rng.choice(communes), day))
    for number, infected in enumerate(plans[clusters:], clusters):
        if infected.source is not None and rng.random() < 0.12:  # a second possible source
            other = rng.randrange(cases)
            if plans[other] is not infected:
                day = infected.day - timedelta(days=rng.randint(1, 7))
                infected.met.append((other, day, "social", "interview"))
        if infected.source is not None and rng.random() < 0.06:  # each says they met the other
            back = plans[infected.source]
            back.met.append((number, infected.met[0][1], "household", "interview"))
    for source in range(cases):
        one = plans[source]
        for _ in range(_poisson(rng, contacts_per_case)):
            unit = one.unit if rng.random() < 0.85 else rng.choice(communes)
            contact = _Plan(unit, one.day, is_case=False)
            day = min(today, one.day + timedelta(days=rng.randint(-2, 5)))
            setting = rng.choices(SETTINGS, _WEIGHTS)[0]
            contact.met.append((source, day, setting, _known_by(rng)))
            if rng.random() < 0.1:
                contact.met.append((source, day, "work", "phone"))
            plans.append(contact)
            if rng.random() < 0.05:  # a contact of the contact
                farther = _Plan(unit, one.day, is_case=False)
                day = min(today, day + timedelta(days=1))
                farther.met.append((len(plans) - 1, day, "household", "interview"))
                plans.append(farther)
    return plans


def _known_by(rng: random.Random) -> str:
    return rng.choices(("interview", "place", "phone"), (70, 18, 12))[0]


def _poisson(rng: random.Random, mean: float) -> int:
    count, left = 0, rng.expovariate(1.0) if mean else 1.0
    while left < mean:
        count, left = count + 1, left + rng.expovariate(1.0)
    return count


def _details(rng: random.Random) -> Details:
    sex = rng.choice((Sex.FEMALE, Sex.MALE))
    middle = "Thị" if sex is Sex.FEMALE and rng.random() < 0.5 else rng.choice(_MIDDLE)
    return Details(
        name=f"{rng.choice(_FAMILY)} {middle} {rng.choice(_GIVEN)}",
        phone=f"+849{rng.randrange(10**8):08}",
        identity=f"{rng.randrange(10**12):012}",
        birth=f"{rng.randint(1935, 2015)}-{rng.randint(1, 12):02}-{rng.randint(1, 28):02}",
        sex=sex,
        address=f"{rng.randint(1, 300)} {rng.choice(('Đội Cấn', 'Ngọc Hà', 'Kim Mã'))}",
    )


def _rows(
    rng: random.Random, now: int, plans: Sequence[_Plan], built: Outbreak, today: date
) -> dict[type[Base], list[dict[str, Any]]]:
    rows: dict[type[Base], list[dict[str, Any]]] = {
        PlaceVisited: [], Visit: [], Case: [], LabResult: [], Exposure: [], Rank: [], Task: [],
    }  # fmt: skip
    by = {"account_id": 1, "account_name": "lan"}
    for number, name in enumerate(_PLACES, 1):
        rows[PlaceVisited].append(
            {
                "id": number, "unit": plans[0].unit, "name": name, "search_name": plain(name),
                "kind": "market", "address": "", "latitude": None, "longitude": None,
                "created_at": now,
            }
        )  # fmt: skip
        built.places.append(name)
    for number, plan in enumerate(plans):
        person = built.people[number]
        if plan.is_case:
            _case(rng, rows, built, person, plan, today)
        else:
            built.contacts.append(person)
        first_known = now
        for source, day, setting, known_by in plan.met:
            known_at = _time(max(day, plan.day) + timedelta(days=rng.choice((0, 1, 1, 2, 3))), rng)
            known_at = min(known_at, now)
            first_known = min(first_known, known_at)
            place = None
            if known_by == "place":
                place = rng.randint(1, len(_PLACES))
                start = _time(day, rng)
                for who in (built.people[source], person):
                    rows[Visit].append(
                        {
                            "place_id": place, "person_id": who, "start_at": start,
                            "end_at": start + rng.randint(1, 4) * 1800, "created_at": known_at,
                            "removed_at": None, **by,
                        }
                    )  # fmt: skip
            rows[Exposure].append(
                dict(
                    source_id=None if known_by == "phone" and rng.random() < 0.2
                    else built.people[source], exposed_id=person, known_by=known_by,
                    day=day.isoformat(), start_at=None, minutes=rng.randint(5, 240),
                    nearness=rng.choice(("touch", "two-metres", "same-room")),
                    confirmation="both-sides" if known_by == "phone" else None, flags="",
                    setting=setting, place_id=place, note=None, created_at=known_at, revision=0,
                    removed_at=None, relation="", band="", certainty="", handover=None,
                    removed_by=None, removed_why=None, **by,
                )
            )  # fmt: skip
        if plan.source is not None:
            built.chain.append((built.people[plan.source], person))
        if plan.met:
            _work(rng, rows, person, plan, first_known, now)
        _rank(rows, plans, number, person, plan, now)
    return rows


def _case(
    rng: random.Random,
    rows: dict[type[Base], list[dict[str, Any]]],
    built: Outbreak,
    person: int,
    plan: _Plan,
    today: date,
) -> None:
    built.cases.append(person)
    sampled = min(today, plan.day + timedelta(days=rng.choice((0, 1, 1, 2, 2, 3, 5))))
    reported = min(today, sampled + timedelta(days=rng.choice((0, 1, 1, 2))))
    confirmed_at = _time(reported, rng)
    silent = rng.random() < 0.15
    status, outcome = "confirmed", None
    if rng.random() < 0.1:
        status = rng.choice(("suspected", "probable"))
    elif (today - plan.day).days > 16:
        status, outcome = "closed", "died" if rng.random() < 0.06 else "recovered"
    if rng.random() < 0.03:
        status, outcome = "discarded", None
    onset = None if silent or rng.random() < 0.08 else plan.day.isoformat()
    reference = "".join(rng.choice(_ALPHABET) for _ in range(8))
    reference = f"{reference[:4]}-{reference[4:]}"
    if status != "discarded":
        built.reference_of[person] = reference
    over = plan.day + timedelta(days=14)
    number = len(built.cases)
    sure = status in ("confirmed", "closed")
    rows[Case].append(
        dict(
            id=number, reference=reference, person_id=person, unit=plan.unit, status=status,
            onset=onset, has_symptoms=False if silent else True if onset else None,
            reported_on=reported.isoformat(), sampled_on=sampled.isoformat(),
            confirmed_at=confirmed_at if sure else None,
            code_issued_at=confirmed_at + rng.randint(1, 30) * 3600
            if sure and rng.random() < 0.7 else None,
            closed_at=_time(over, rng) if status == "closed" else None, outcome=outcome,
            outcome_on=over.isoformat() if outcome else None,
            infectious_from=(plan.day - timedelta(days=2)).isoformat(),
            infectious_until=(plan.day + timedelta(days=10)).isoformat(), rule_version=0,
            source="laboratory", created_at=confirmed_at, updated_at=confirmed_at, revision=0,
            merged_into=None, to_decide=False,
        )
    )  # fmt: skip
    if status != "suspected":
        found = "negative" if status == "discarded" else "positive"
        # A tenth was corrected: the first version stays, and no longer counts.
        versions = ("inconclusive", found) if rng.random() < 0.1 else (found,)
        for version, result in enumerate(versions, 1):
            rows[LabResult].append(
                dict(
                    laboratory="cdc", sample=f"S{number:07}", unit=plan.unit, person_id=person,
                    case_id=number, sampled_on=sampled.isoformat(), method="pcr", result=result,
                    reported_at=confirmed_at, version=version, verdict="attached",
                    superseded=version < len(versions),
                )
            )  # fmt: skip


def _work(
    rng: random.Random,
    rows: dict[type[Base], list[dict[str, Any]]],
    person: int,
    plan: _Plan,
    known_at: int,
    now: int,
) -> None:
    if plan.is_case:
        return

    def task(kind: str, created_at: int, closed_at: int | None, outcome: str) -> None:
        done = closed_at is not None and closed_at <= now
        rows[Task].append(
            dict(
                kind=kind, person_id=person, unit=plan.unit, team_id=None, assignee_id=1,
                assignee_name="lan", state="done" if done else "open",
                due_at=created_at + DAY, made_by=f"{kind}/{person}/{len(rows[Task])}",
                created_at=created_at, closed_at=closed_at if done else None,
                outcome=outcome if done else None, revision=0, tries=0,
            )
        )  # fmt: skip

    called_at = known_at + int(rng.expovariate(1 / (14 * 3600)))
    task("call", known_at, called_at, "reached" if rng.random() < 0.85 else "no-answer")
    if rng.random() < 0.7:
        day = plan.met[0][1] + timedelta(days=rng.randint(1, 6))
        sampled_at = _time(day, rng)
        if sampled_at <= now:
            task("test", known_at, sampled_at, "sampled")
            rows[LabResult].append(
                dict(
                    laboratory="cdc", sample=f"C{person:07}", unit=plan.unit, person_id=person,
                    case_id=None, sampled_on=day.isoformat(), method="pcr", result="negative",
                    reported_at=min(now, sampled_at + DAY), version=1,
                    verdict="noted", superseded=False,
                )
            )  # fmt: skip
    for after in (7, 14):
        if rng.random() < 0.75:
            at = _time(plan.met[0][1] + timedelta(days=after), rng)
            if at <= now:
                task("quarantine-check", at - DAY // 2, at, "reached")


def _rank(
    rows: dict[type[Base], list[dict[str, Any]]],
    plans: Sequence[_Plan],
    number: int,
    person: int,
    plan: _Plan,
    now: int,
) -> None:
    if plan.is_case:
        return
    rank = 1 if plans[plan.met[0][0]].is_case else 2
    bits = sum({"interview": 1, "place": 2, "phone": 4}[by] for by in {met[3] for met in plan.met})
    last = max(day for _s, day, _w, _b in plan.met).isoformat()
    rows[Rank].append(
        dict(
            person_id=person, unit=plan.unit, rank=rank, shown=rank, exposure_id=None,
            last_exposed_on=last, listed_on=last,
            arrivals="", known_by=bits, found_at=now, at=now,
        )
    )  # fmt: skip


def _time(day: date, rng: random.Random) -> int:
    """Some time of the working day, Unix seconds."""
    return (day - date(1970, 1, 1)).days * DAY + rng.randint(1, 10) * 3600
