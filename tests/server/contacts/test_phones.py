"""What phones found: a report confirmed, a diary attached, how many contacts only they found."""

import html

import httpx
import msgspec
import pytest
from sqlalchemy import select

from bluezone.protocol.confirmation import Encounter, Flag, Label
from bluezone.protocol.confirmation import Nearness as Close
from bluezone.protocol.handover import ExposureDay, handover_id
from bluezone.server.contacts.phones import attach_diary, diaries_of, person_of_report
from bluezone.server.contacts.rules import Confirmation, Nearness, PhoneEvidence
from bluezone.server.contacts.service import add_phone_evidence
from bluezone.server.contacts.tables import Exposure
from bluezone.server.context import Services
from bluezone.server.evidence.rules import FLAGS, WHAT_IT_MEANS, WHAT_MISSING_MEANS
from bluezone.server.evidence.service import _VERDICT
from bluezone.server.evidence.tables import EvidenceClaim, EvidenceVerdict
from bluezone.server.people.rules import Grant, Staff, StaffRole
from bluezone.server.sealing import Sealer
from bluezone.server.tracing import service as tracing
from bluezone.web.catalogue import translate
from tests.server.conftest import BA_DINH, NGOC_HA, SignInAs
from tests.server.contacts.conftest import WorkerNamed, World
from tests.server.contacts.test_pages import MET
from tests.server.tracing.conftest import IssueCode, ask, details, diary, issue, send

__all__ = ["issue"]
SECRET = bytes(range(16))
STAFF = Staff(1, "lan", (Grant(StaffRole.HEALTH_WORKER, BA_DINH),))
STAFF_THERE = STAFF.acting_as(frozenset(StaffRole))
REPORT = details(
    SECRET,
    days=(
        ExposureDay("2021-01-18", ("evening",), 40, "CERTAIN"),
        ExposureDay("2099-01-01", ("noon",), 25, "LIKELY"),  # no day that can be
    ),
)
ID = REPORT.handover.hex()


async def decide(client: httpx.AsyncClient, who: dict[str, str], **body: object) -> httpx.Response:
    content = msgspec.json.encode({"template": "", "words": "Xin chờ.", **body})
    return await client.post(f"/v1/staff/inbox/{ID}", headers=who, content=content)


async def exposures(services: Services) -> list[Exposure]:
    async with services.database.read() as session:
        return list(await session.scalars(select(Exposure).order_by(Exposure.id)))


@pytest.mark.usefixtures("stations")
async def test_a_confirmed_report_is_a_contact_by_the_phones_word(
    client: httpx.AsyncClient,
    worker: WorkerNamed,
    bearer: SignInAs,
    world: World,
    services: Services,
) -> None:
    lan = await worker("lan")
    who = await bearer("lan")
    await send(client, REPORT)
    case = await world.case("Phạm Văn Ba")
    page = html.unescape((await lan.get(f"/staff/inbox/{ID}")).text)
    assert f"ca bệnh {case.reference}, có thể lây từ 10/01/2021" in page
    assert translate(WHAT_IT_MEANS) in page
    assert (await decide(client, who, state="confirmed", seen=0)).status_code == 204
    (row,) = await exposures(services)
    assert (row.source_id, row.day, row.minutes, row.band) == (None, "2021-01-18", 40, "evening")
    assert (row.confirmation, row.nearness) == ("claim-only", "two-metres")
    assert (await world.ranks())["Trần Thị Lan"].rank == 1
    page = html.unescape((await lan.get(f"/staff/people/{row.exposed_id}")).text)
    for words in ("chỉ một lời khai", "chưa rõ đã gặp ai", translate(WHAT_MISSING_MEANS),
                  "Người tiếp xúc này chỉ do điện thoại tìm ra"):  # fmt: skip
        assert words in page
    # Confirmed once more, now with the case that a worker found out.
    again = await decide(client, who, state="confirmed", seen=1, case=case.id)
    assert again.status_code == 204
    (row,) = await exposures(services)
    assert row.source_id == case.person_id
    await world.close(case)
    assert "Trần Thị Lan" not in await world.ranks()
    # Cleared: the word is taken back, and stays in the history.
    assert (await decide(client, who, state="cleared", seen=2)).status_code == 204
    (row,) = await exposures(services)
    assert (row.removed_at, row.removed_by) == (services.now, "lan")


@pytest.mark.usefixtures("stations")
async def test_a_withdrawn_report_makes_nobody_a_contact_any_more(
    client: httpx.AsyncClient, worker: WorkerNamed, bearer: SignInAs, world: World,
    services: Services,
) -> None:  # fmt: skip
    await worker("lan")
    who = await bearer("lan")
    await send(client, REPORT)
    await decide(client, who, state="confirmed", seen=0)
    assert (await ask(client, SECRET, "withdraw")).status_code == 200
    assert await world.ranks() == {}
    (row,) = await exposures(services)
    assert row.removed_at == services.now


@pytest.mark.usefixtures("stations")
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_a_report_without_name_or_day_and_a_person_known_already(
    client: httpx.AsyncClient, worker: WorkerNamed, bearer: SignInAs, world: World,
    services: Services,
) -> None:  # fmt: skip
    lan = await worker("lan")
    who = await bearer("lan")
    known = await world.person("Trần Thị Lan", phone="+84901234567")
    await send(client, msgspec.structs.replace(REPORT, days=()))
    assert "cùng số điện thoại" in html.unescape((await lan.get(f"/staff/inbox/{ID}")).text)
    refused = await decide(client, who, state="confirmed", seen=0, person=known)
    assert (refused.status_code, refused.json()["error"]) == (422, "contact-day")
    await decide(client, who, state="confirmed", seen=0, person=known, day="2021-01-17")
    (row,) = await exposures(services)
    assert (row.exposed_id, row.day, row.nearness) == (known, "2021-01-17", "unknown")
    assert await world.ranks() == {}  # how near is not known: no rank follows


@pytest.mark.usefixtures("stations")
async def test_a_diary_is_attached_to_its_case_by_hand(
    client: httpx.AsyncClient, worker: WorkerNamed, world: World, services: Services,
    issue: IssueCode,
) -> None:  # fmt: skip
    lan, hoa = await worker("lan"), await worker("hoa", NGOC_HA)
    case = await world.case("Phạm Văn Ba")
    handed = diary(SECRET, await issue())
    await send(client, handed)
    own = f"/staff/inbox/{handed.handover.hex()}"
    assert (await hoa.post(f"{own}/case", "/staff/places", case=case.id)).status_code == 404
    assert (await lan.post(f"{own}/case", own, case=999)).status_code == 404
    assert (await lan.post(f"{own}/case", own, case=case.id)).status_code == 303
    async with services.database.read() as session:
        (row,) = await diaries_of(session, [case.id])
    page = (await lan.get(f"/staff/cases/{case.id}/contacts")).text
    assert row.reference in page


def encounter(day: str, label: Label, **changes: object) -> Encounter:
    given = Encounter(
        label=label, day=day, parts=("evening",), minutes=20, claimant_scans=4, case_scans=4,
        claimant_attenuation=55.0, case_attenuation=60.0, nearness=Close(16.0, 0.8, "likely"),
        flags=(),
    )  # fmt: skip
    return msgspec.structs.replace(given, **changes)


@pytest.mark.usefixtures("stations")
async def test_a_claim_checked_against_a_diary_says_whom_they_met(
    client: httpx.AsyncClient, worker: WorkerNamed, bearer: SignInAs, world: World,
    services: Services,
) -> None:  # fmt: skip
    """Two diaries fit: one is known to be a case's, the other nobody's yet."""
    lan = await worker("lan")
    who = await bearer("lan")
    case = await world.case("Phạm Văn Ba")
    await send(client, REPORT)
    mine, other = bytes([1]) * 32, bytes([2]) * 32
    found = {
        mine: [
            encounter("2021-01-18", Label.ONE_SIDE, flags=(Flag.FEW_SCANS,)),
            encounter("2021-01-18", Label.BOTH_SIDES, parts=("night",)),
        ],
        other: [encounter("2021-01-17", Label.ONE_SIDE)],
    }
    sealer = Sealer(services.settings.secrets_folder, "evidence")
    async with services.database.transaction() as session:
        for one in found:
            await tracing.receive(
                session, tracing.inbox_sealer(services.settings.secrets_folder),
                diary(one[:16], ""), b"", unit=BA_DINH, code_mac=None, now=services.now,
            )  # fmt: skip
        session.add(EvidenceClaim(handover=REPORT.handover, received_at=0, checked_at=1))
        await session.flush()
        ids = [handover_id(one[:16]) for one in found]
        for identity, met in zip(ids, found.values(), strict=True):
            sealed = sealer.seal(msgspec.msgpack.encode(met), _VERDICT, REPORT.handover)
            session.add(EvidenceVerdict(handover=REPORT.handover, diary=identity, sealed=sealed))
        await attach_diary(
            session, services, STAFF_THERE, handover=ids[0], reference="AAAA-BBBB",
            case_id=case.id,
        )  # fmt: skip
    page = html.unescape((await lan.get(f"/staff/inbox/{ID}")).text)
    for words in (f"ca bệnh {case.reference}</a>", "nhật ký chưa gắn với ca bệnh nào",
                  "18/01/2021, buổi tối, ban đêm: 40 phút"):  # fmt: skip
        assert words in page
    assert (await decide(client, who, state="confirmed", seen=0)).status_code == 204
    by_day = {row.day: row for row in await exposures(services)}
    both, one_side = by_day["2021-01-18"], by_day["2021-01-17"]
    assert (both.source_id, both.confirmation, both.minutes) == (case.person_id, "both-sides", 40)
    assert (both.band, both.flags, both.certainty) == ("evening,night", "few-scans", "likely")
    assert (one_side.source_id, one_side.confirmation) == (None, "one-side")
    page = html.unescape((await lan.get(f"/staff/people/{both.exposed_id}")).text)
    for words in ("hai phía xác nhận", "một phía", translate(FLAGS[Flag.FEW_SCANS]),
                  *map(translate, (WHAT_IT_MEANS, WHAT_MISSING_MEANS))):  # fmt: skip
        assert words in page


async def test_the_figure_counts_whom_only_phones_found(
    client: httpx.AsyncClient, worker: WorkerNamed, bearer: SignInAs, world: World,
    services: Services,
) -> None:  # fmt: skip
    lan = await worker("lan")
    case = await world.case("Phạm Văn Ba")
    near = [await world.person(f"Người {letter}") for letter in ("Một", "Hai", "Ba")]
    far = await world.person("Người Xa", NGOC_HA)
    evidence = PhoneEvidence(
        Confirmation.BOTH_SIDES, "2021-01-15", ("noon",), 30, Nearness.TWO_METRES, "likely",
        ("few-scans",),
    )  # fmt: skip
    async with services.database.transaction() as session:
        for number, person in enumerate([*near, far]):
            await add_phone_evidence(
                session, services, STAFF, exposed_id=person,
                handover=bytes([number]) * 32, evidence=[(case.person_id, evidence)],
            )  # fmt: skip
        assert await person_of_report(session, bytes(32)) == near[0]

    async def figures(path: str = "", name: str = "lan") -> dict[str, int]:
        answer = await client.get(f"/v1/staff/contacts/figures{path}", headers=await bearer(name))
        assert answer.status_code == 200, answer.text
        found = answer.json()
        return {key: found[key] for key in ("f1", "only_phones", "phones_too")}

    assert await figures() == {"f1": 3, "only_phones": 3, "phones_too": 0}
    path = f"/staff/cases/{case.id}/contacts/new"
    told = {**MET, "name": "Người Một", "person": near[0]}
    assert (await lan.post(path, path, **told)).status_code == 303
    assert await figures() == {"f1": 3, "only_phones": 2, "phones_too": 1}
    assert await figures("?until=2021-01-19") == {"f1": 0, "only_phones": 0, "phones_too": 0}
    page = html.unescape((await lan.get("/staff/contacts?known_by=only-phone")).text)
    assert "Người Hai" in page
    assert "Người Một" not in page
    assert "Người Xa" not in page
    await worker("an", "vn.01.001")
    assert await figures(name="an") == {"f1": 4, "only_phones": 3, "phones_too": 1}
    assert (await lan.get("/staff/contacts?unit=00008")).status_code == 404
    await world.close(case)
    assert await figures() == {"f1": 0, "only_phones": 0, "phones_too": 0}
