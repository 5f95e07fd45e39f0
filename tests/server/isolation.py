"""A world with one record of everything in the commune Ba Đình, and who tries to see it.

A record's `text` is found nowhere but in it: an answer that holds it has shown it.
"""

import datetime as dt
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from bluezone.protocol.handover import reference
from bluezone.protocol.keys import ReportType
from bluezone.server.audit import service as audit
from bluezone.server.audit.looking import Unusual
from bluezone.server.audit.rules import Action, Purpose
from bluezone.server.audit.tables import LookAlert
from bluezone.server.cases import changing
from bluezone.server.cases.importing import CASES, RESULTS
from bluezone.server.cases.rules import CaseSource, CaseStatus, Course, Method, Result
from bluezone.server.cases.tables import LabResult
from bluezone.server.contacts import service as contacts
from bluezone.server.contacts import visits
from bluezone.server.contacts.importing import CONTACTS
from bluezone.server.contacts.rules import KnownBy, Nearness, PlaceKind, Setting
from bluezone.server.contacts.service import NewExposure
from bluezone.server.context import Services
from bluezone.server.diagnosis.pepper import code_pepper
from bluezone.server.diagnosis.rules import code_mac
from bluezone.server.diagnosis.service import issue_code
from bluezone.server.limits import EVERYBODY, Limits, Rule
from bluezone.server.linelists import searching
from bluezone.server.linelists.rules import By, Search
from bluezone.server.linelists.tables import Report, ReportSchedule, SavedSearch
from bluezone.server.news import service as news
from bluezone.server.news.rules import Text
from bluezone.server.people import invitations
from bluezone.server.people.rules import OPERATOR, Grant, Staff, StaffRole
from bluezone.server.people.service import add_account, open_session
from bluezone.server.places.units import NATION
from bluezone.server.register import importing, merging
from bluezone.server.register import service as register
from bluezone.server.register.rules import Details, PairState
from bluezone.server.register.tables import PersonPair
from bluezone.server.tracing import service as inbox
from bluezone.server.work import service as work
from bluezone.server.work import teams
from bluezone.server.work.rules import TaskKind
from bluezone.storage.database import Database
from tests.server.conftest import BA_DINH, NGOC_HA
from tests.server.tracing.conftest import details, diary

PLACES = {
    "the commune itself": BA_DINH,
    "the area above it": "vn.01.001",
    "the province above it": "vn.01",
    "the nation": NATION,
    "the neighbouring commune": NGOC_HA,
    "the neighbouring area": "vn.01.002",
    "another province": "vn.48",
}


@dataclass(frozen=True)
class Visitor:
    """Who asks: a role at a place, or (no role) nobody that the service knows."""

    where: str
    role: StaffRole | None = None
    unit: str = ""
    token: str = field(default="", repr=False)

    def __str__(self) -> str:
        return f"{self.role} of {self.where}" if self.role else "a stranger"


class Unlimited(Limits):
    """Thousands of requests of a minute are the test's, not an attack."""

    def full(self, rule: Rule, subject: str = EVERYBODY) -> bool:
        return False

    def require(self, rule: Rule, subject: str = EVERYBODY) -> None: ...


class Unchanged(Database):
    """Does everything, and then as if nothing had been: every visitor finds the same world."""

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncSession]:  # type: ignore[override]
        with suppress(_UndoneError):
            async with super().transaction() as session:
                yield session
                await session.flush()
                session.expunge_all()  # what the page still reads of them stays as it is
                raise _UndoneError


class _UndoneError(Exception): ...


@dataclass
class World:
    """What addresses call the records (`ids`), and the texts that betray them."""

    ids: dict[str, str]
    texts: dict[str, str]


async def make_visitors(services: Services) -> list[Visitor]:
    """Every role at every place, signed in; and a stranger."""
    found = [Visitor("nowhere")]
    async with services.database.transaction() as session:
        for role in StaffRole:
            for number, (where, unit) in enumerate(PLACES.items()):
                account = await add_account(
                    session,
                    name=f"visitor-{role}-{number}",
                    password_hash="x",
                    grant=Grant(role, unit),
                    now=services.now,
                )
                token, _until = await open_session(session, account, services.now, 86400)
                found.append(Visitor(where, role, unit, token))
    return found


async def make_world(services: Services) -> World:
    """One record of everything, all in BA_DINH."""
    now, folder = services.now, services.settings.secrets_folder
    texts = {
        "account": "zz.dau-vet",
        "invitation": "zz.duoc-moi",
        "person": "Đặng Thị Dấu Vết",
        "contact": "Vũ Văn Tiếp Xúc",
        "case": "BN-DAU-VET",
        "place": "Chợ Dấu Vết",
        "team": "Đội Dấu Vết",
        "audit": "dau-vet-kiem-tra",
        "news": "Tin dấu vết",
        "sample": "MAU-DAU-VET",
        "twin": "Ngô Văn Trùng",
        "search": "Tìm dấu vết",
    }
    ids: dict[str, str] = {}
    keys = register.Register.open(folder)
    async with services.database.transaction() as session:
        account = await add_account(
            session,
            name=texts["account"],
            password_hash="x",
            grant=Grant(StaffRole.HEALTH_WORKER, BA_DINH),
            now=now,
        )
        lan = Staff(account.id, account.name, (Grant(StaffRole.HEALTH_WORKER, BA_DINH),)).acting_as(
            frozenset({StaffRole.HEALTH_WORKER})
        )
        invitation, _secret = await invitations.invite(
            session,
            services,
            OPERATOR,
            texts["invitation"],
            Grant(StaffRole.HEALTH_WORKER, BA_DINH),
        )
        person = await register.add(
            session,
            keys,
            Details(name=texts["person"], phone="+84901234567"),
            unit=BA_DINH,
            now=now,
        )
        exposed = await register.add(
            session, keys, Details(name=texts["contact"]), unit=BA_DINH, now=now
        )
        case = await changing.open_case(
            session,
            services,
            lan,
            person,
            Course(
                status=CaseStatus.CONFIRMED,
                reported_on=dt.date(2021, 1, 12),
                onset=dt.date(2021, 1, 11),
            ),
            source=CaseSource.INTAKE,
        )
        case.reference = texts["case"]
        twin, twin2, double = await register.add_many(
            session,
            keys,
            [(Details(name=texts["twin"], phone="+84907654321"), BA_DINH)] * 3,
            now=now,
        )
        merge = await merging.merge(
            session,
            services,
            lan,
            kept_id=twin.id,
            merged_id=double.id,
            kept_seen=twin.revision,
            merged_seen=double.revision,
        )
        await session.merge(
            PersonPair(
                one_id=twin.id,
                other_id=twin2.id,
                score=9.0,
                state=PairState.OPEN.value,
                at=now,
                account_name=None,
            )
        )
        session.add(
            LabResult(
                laboratory=account.name,
                sample=texts["sample"],
                version=1,
                unit=BA_DINH,
                person_id=person.id,
                case_id=case.id,
                sampled_on="2021-01-12",
                method=Method.PCR.value,
                result=Result.POSITIVE.value,
                reported_at=now,
            )
        )
        for number, shape in enumerate((CASES, RESULTS, CONTACTS)):
            found = importing.Report(
                rows=0, good=0, known=0, alike=0, elsewhere=0, problems=[], head=[], columns={},
                unused=[],
            )  # fmt: skip
            await importing.keep(session, services, lan, shape, bytes([number] * 16), b"", found)
        (exposure,) = await contacts.add_exposures(
            session,
            services,
            lan,
            [
                NewExposure(
                    source_id=person.id,
                    exposed_id=exposed.id,
                    known_by=KnownBy.INTERVIEW,
                    day="2021-01-15",
                    nearness=Nearness.TWO_METRES,
                    setting=Setting.OTHER,
                )
            ],
        )
        place = await visits.add_place(
            session, unit=BA_DINH, name=texts["place"], kind=next(iter(PlaceKind)), now=now
        )
        visit = await visits.add_visit(
            session,
            services,
            lan,
            person_id=person.id,
            place=place,
            start_at=now - 7200,
            end_at=now - 3600,
        )
        task = await work.add(
            session,
            services,
            lan,
            kind=TaskKind.CALL,
            person_id=exposed.id,
            due_at=now + 3600,
            note="",
        )
        team = await teams.make(
            session, lan, unit=BA_DINH, name=texts["team"], automatic=False, now=now
        )
        item = await news.write(
            session,
            Text(title_vi=texts["news"], body_vi="x", title_en="x", body_en="x", important=False),
            by="operator",
            now=now,
        )
        await searching.save(
            session, services, lan, texts["search"], Search(by=By.PERSON, text="x")
        )
        await session.flush()
        search = await session.scalar(select(SavedSearch))
        assert search is not None
        schedule, report = await _report(session, lan, now)
        session.add(
            LookAlert(
                rule=Unusual.NIGHT.value,
                account_id=account.id,
                day="2021-01-19",
                account_name=account.name,
                unit=BA_DINH,
                count=3,
                first_at=now,
                last_at=now,
                rule_version=0,
            )
        )
        await audit.record(
            session,
            services,
            lan,
            Action.LOOK,
            subject=f"person:{person.id}",
            purpose=Purpose.TASK,
            detail=texts["audit"],
        )
    for name, row in {
        "account": account,
        "invitation": invitation,
        "person": person,
        "contact": exposed,
        "case": case,
        "exposure": exposure,
        "place": place,
        "visit": visit,
        "task": task,
        "team": team,
        "news": item,
        "search": search,
        "schedule": schedule,
        "report": report,
        "twin": twin,
        "twin2": twin2,
        "merge": merge,
    }.items():
        ids[name] = str(row.id)
    for number, name in enumerate(("cases-file", "results-file", "contacts-file")):
        ids[name] = bytes([number] * 16).hex()
    ids["handover"], ids["diary"] = await _handovers(services)
    for name in ("handover", "diary"):
        texts[name] = reference(bytes.fromhex(ids[name]))
    return World(ids, texts)


async def _report(session: AsyncSession, lan: Staff, now: int) -> tuple[ReportSchedule, Report]:
    schedule = ReportSchedule(
        account_id=lan.account_id,
        name="x",
        every="day",
        asked="{}",
        unit=BA_DINH,
        reason=b"",
        created_at=now,
    )
    session.add(schedule)
    await session.flush()
    report = Report(
        schedule_id=schedule.id,
        account_id=lan.account_id,
        name="x",
        first_day="2021-01-19",
        last_day="2021-01-19",
        units=BA_DINH,
        form="csv",
        is_personal=False,
        size=0,
        made_at=now,
    )
    session.add(report)
    await session.flush()
    return schedule, report


async def _handovers(services: Services) -> tuple[str, str]:
    """Details and a diary in the inbox of BA_DINH, by their ids in hex."""
    folder = services.settings.secrets_folder
    pepper = code_pepper(folder)
    async with services.database.transaction() as session:
        issued = await issue_code(
            session,
            pepper,
            services.now,
            worker=1,
            unit=BA_DINH,
            report_type=ReportType.CONFIRMED_TEST,
            symptom_onset=None,
            per_worker=9,
            per_unit=9,
        )
        sent = (details(bytes(16)), diary(bytes(range(16)), issued.code))
        for content in sent:
            await inbox.receive(
                session,
                inbox.inbox_sealer(folder),
                content,
                inbox.message_digest(folder, content),
                unit=BA_DINH,
                code_mac=code_mac(issued.code, pepper) if content is sent[1] else None,
                now=services.now,
            )
    return sent[0].handover.hex(), sent[1].handover.hex()
