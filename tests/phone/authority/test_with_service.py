"""What a person and the authority exchange, by the real service: from the phone and back to it."""

import dataclasses
import datetime as dt
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import msgspec
import numpy as np
import pytest
from sqlalchemy import select

from bluezone.phone.authority.announcements import AnnouncementError
from bluezone.phone.authority.handovers import Handover, details_of
from bluezone.phone.explanation import ExposureWarning, WhoKnows
from bluezone.phone.phone import Phone
from bluezone.phone.service import ServiceError, ServiceFault
from bluezone.phone.told import Kind
from bluezone.protocol.configuration import DEFAULT_CONFIGURATION
from bluezone.protocol.day_parts import PartOfDay
from bluezone.protocol.handover import (
    About,
    ContactDetails,
    HandedDiary,
    HandoverState,
    handover_id,
)
from bluezone.protocol.intervals import vietnam_day
from bluezone.protocol.sightings import SCAN_RECORD
from bluezone.server.configuration import publish_configuration
from bluezone.server.diagnosis.publication import export_keys
from bluezone.server.messaging import service as messaging
from bluezone.server.news import service as news
from bluezone.server.news.rules import Text
from bluezone.server.people.scope import Scope
from bluezone.server.places import service as places
from bluezone.server.places.rules import StationRow
from bluezone.server.tracing import service as tracing
from bluezone.server.tracing.tables import HandoverContent
from tests.phone.street import Street, national, password_hash, roles  # noqa: F401 - fixtures
from tests.server.diagnosis import installation

COMMUNE = "00004"
UNIT = "vn.01.001.00004"


@pytest.fixture
async def street(national: installation.Service, tmp_path: Path) -> AsyncIterator[Street]:  # noqa: F811
    services = national.services
    await publish_configuration(
        services.objects, services.keys, services.now, DEFAULT_CONFIGURATION
    )
    await national.run(export_keys)
    async with services.database.transaction() as session:
        rows = [StationRow(COMMUNE, "Trạm Y tế Ba Đình", "024 3 123 4567", "1 Phố Một", "")]
        await places.replace_stations(session, services, rows)
    street = Street(national, tmp_path)
    yield street
    for phone in street.phones:
        await phone.close()


@pytest.fixture
def phone(street: Street) -> Phone:
    return street.phone("an", 0.0)


def _details(**changes: object) -> ContactDetails:
    given = details_of(
        name="Lê Thị Hoa", phone_number="", receipt=None, commune=COMMUNE, about=About.SELF,
        warnings=[], note="", language="vi",
    )  # fmt: skip
    return msgspec.structs.replace(given, **changes)


async def _decide(street: Street, sent: Handover, state: HandoverState) -> None:
    """As the health worker of the commune's unit on the inbox page."""
    token = await street.national.sign_in()
    staff = {"Authorization": f"Bearer {token}"}
    client = street.national.client
    (item,) = (
        await client.get(f"/v1/staff/inbox?reference={sent.reference}", headers=staff)
    ).json()["items"]
    answer = await client.post(
        f"/v1/staff/inbox/{item['handover']}",
        headers=staff,
        json={
            "state": state.value,
            "seen": item["revision"],
            "words": "Ở nhà, gọi trạm y tế.",
            "day": vietnam_day(street.clock.now()).isoformat(),
        },
    )
    assert answer.is_success, answer.text


async def test_details_reach_the_inbox_and_the_answer_the_phone(
    street: Street, phone: Phone
) -> None:
    sent = await phone.handovers.send_details(_details())
    assert sent.state is HandoverState.RECEIVED
    heard: list[Handover] = []
    await phone.handovers.refresh(heard.append)
    assert heard == []
    await _decide(street, sent, HandoverState.CONFIRMED)
    await phone.handovers.refresh(heard.append)
    (changed,) = heard
    assert changed.state is HandoverState.CONFIRMED
    assert "Ở nhà" in changed.message["vi"]


async def test_what_is_withdrawn_is_gone_there(street: Street, phone: Phone) -> None:
    sent = await phone.handovers.send_details(_details())
    await phone.handovers.withdraw(sent.reference)
    (kept,) = phone.handovers.all()
    assert kept.state is HandoverState.WITHDRAWN
    async with street.national.services.database.read() as session:
        assert (await session.scalars(select(HandoverContent))).all() == []
    with pytest.raises(LookupError):
        await phone.handovers.withdraw("AAAA-AAAA")


async def test_who_knows_follows_what_was_sent(street: Street, phone: Phone) -> None:
    before = round(street.clock.now()) - 60
    old = ExposureWarning(dt.date(2021, 1, 20), (18647,), (PartOfDay.NOON,), 20, 1, before)
    assert phone.handovers.who_knows(old) is WhoKnows.NOBODY
    sent = await phone.handovers.send_details(_details())
    assert phone.handovers.who_knows(old) is WhoKnows.AUTHORITY
    later = dataclasses.replace(old, noticed_at=before + 3600)
    assert phone.handovers.who_knows(later) is WhoKnows.NOBODY
    await phone.handovers.withdraw(sent.reference)
    assert phone.handovers.who_knows(old) is WhoKnows.WITHDRAWN


async def test_an_answer_lost_on_its_way_makes_no_second_item(street: Street, phone: Phone) -> None:
    street.losing = "/v1/handovers/details"
    with pytest.raises(ServiceError):
        await phone.handovers.send_details(_details())
    (waiting,) = phone.handovers.all()
    assert waiting.unsent
    street.losing = ""
    await phone.handovers.resume()
    (sent,) = phone.handovers.all()
    assert not sent.unsent
    async with street.national.services.database.read() as session:
        assert len((await session.scalars(select(HandoverContent))).all()) == 1
    assert sent.state is HandoverState.RECEIVED


async def _at_the_service(street: Street) -> int:
    async with street.national.services.database.read() as session:
        return len((await session.scalars(select(HandoverContent))).all())


async def test_what_waits_can_be_withdrawn_though_its_answer_was_lost(
    street: Street, phone: Phone
) -> None:
    street.losing = "/v1/handovers/details"
    with pytest.raises(ServiceError):
        await phone.handovers.send_details(_details())
    (waiting,) = phone.handovers.all()
    assert await _at_the_service(street) == 1
    await phone.handovers.withdraw(waiting.reference)
    assert phone.handovers.all() == []
    assert await _at_the_service(street) == 0


async def test_what_waits_and_is_replaced_is_withdrawn_there(street: Street, phone: Phone) -> None:
    street.losing = "/v1/handovers/details"
    for note in ("one", "two"):
        with pytest.raises(ServiceError):
            await phone.handovers.send_details(_details(note=note))
    assert len(phone.handovers.all()) == 1
    assert await _at_the_service(street) == 2
    street.losing = ""
    await phone.handovers.resume()
    assert await _at_the_service(street) == 1
    asked = len(street.requests)
    await phone.handovers.resume()
    assert len(street.requests) == asked, "it is done"


async def test_what_waited_for_a_day_is_never_sent(street: Street, phone: Phone) -> None:
    street.losing = "/v1/handovers/details"
    with pytest.raises(ServiceError):
        await phone.handovers.send_details(_details())
    street.losing = "/v1/handovers/withdraw"
    street.clock.advance(86400)
    await phone.handovers.resume()
    assert phone.handovers.all() == []
    ((_number, told),) = phone.messages.all()
    assert (told.kind, told.shown) == (Kind.HEALTH_STAFF, False)
    with pytest.raises(ServiceError):
        await phone.handovers.resume()
    street.losing = ""
    await phone.handovers.resume()
    assert await _at_the_service(street) == 0


async def test_a_refusal_on_a_later_try_is_told(street: Street, phone: Phone) -> None:
    street.losing = "/v1/handovers/details"
    with pytest.raises(ServiceError):
        await phone.handovers.send_details(_details())
    street.losing = ""
    street.refusing["/v1/handovers/details"] = (403, "not-wanted")
    with pytest.raises(ServiceError):
        await phone.handovers.resume()
    assert phone.handovers.all() == []
    assert [told.kind for _number, told in phone.messages.all()] == [Kind.HEALTH_STAFF]


async def test_only_the_service_itself_says_that_nothing_is_there(
    street: Street, phone: Phone
) -> None:
    sent = await phone.handovers.send_details(_details())
    for path in ("status", "withdraw"):
        street.refusing[f"/v1/handovers/{path}"] = (404, "")
    with pytest.raises(ServiceError):
        await phone.handovers.refresh()
    with pytest.raises(ServiceError):
        await phone.handovers.withdraw(sent.reference)
    assert phone.handovers.all() == [sent]
    street.refusing["/v1/handovers/status"] = (404, "handover-unknown")
    await phone.handovers.refresh()
    assert phone.handovers.all() == []


async def test_a_change_is_heard_though_the_next_question_fails(
    street: Street, phone: Phone
) -> None:
    await phone.handovers.send_details(_details(note="one"))
    second = await phone.handovers.send_details(_details(note="two"))
    await _decide(street, second, HandoverState.CLEARED)  # the newest is asked for first
    heard: list[Handover] = []

    def then_fail(changed: Handover) -> None:
        heard.append(changed)
        street.refusing["/v1/handovers/status"] = (503, "")

    with pytest.raises(ServiceError):
        await phone.handovers.refresh(then_fail)
    assert [one.state for one in heard] == [HandoverState.CLEARED]


async def test_a_decision_is_asked_for_daily(street: Street, phone: Phone) -> None:
    sent = await phone.handovers.send_details(_details())
    await _decide(street, sent, HandoverState.CONFIRMED)

    async def asked() -> int:
        before = len(street.requests)
        await phone.handovers.refresh(due_only=True)
        return len(street.requests) - before

    assert [await asked(), await asked()] == [1, 0]
    street.clock.advance(23 * 3600)
    assert await asked() == 0
    street.clock.advance(14 * 3600)
    assert await asked() == 1


async def test_a_case_hands_over_the_diary_under_its_code(street: Street, phone: Phone) -> None:
    other = street.phone("binh", 1.0)
    await street.ride_together(60, phone, other)
    code = await street.national.code(symptom_onset="2021-01-19")
    await phone.report(code, consent=True)
    sent = await phone.hand_over_diary(code, About.SELF)
    assert sent.kind == "diary"
    services = street.national.services
    sealer = tracing.inbox_sealer(services.settings.secrets_folder)
    async with services.database.read() as session:
        item = await tracing.open_item(session, sealer, Scope((UNIT,)), handover_id(sent.secret))
    assert isinstance(item.content, HandedDiary)
    records = np.frombuffer(item.content.records, SCAN_RECORD)
    assert len(records) == phone.diary_records() > 0
    assert len(item.content.keys) == 1
    with pytest.raises(ServiceError) as again:  # one diary for each code
        await other.hand_over_diary(code, About.SELF)
    assert again.value.fault is ServiceFault.REFUSED


async def test_a_number_is_proved_and_only_the_phone_knows_it(street: Street, phone: Phone) -> None:
    number, expires_at = await phone.telephone.ask("090 123 4567", "vi")
    assert (number, expires_at > street.clock.now()) == ("+84901234567", True)
    with pytest.raises(ServiceError):
        await phone.telephone.confirm("000000")
    services = street.national.services
    sealer = messaging.outbox_sealer(services.settings.secrets_folder)
    async with services.database.read() as session:
        (message,) = await messaging.outbox(session, sealer)
    code = next(word for word in message.message.text.split() if word.strip(".").isdigit())
    receipt = await phone.telephone.confirm(code.strip("."))
    assert messaging.is_verified(
        services.settings.secrets_folder, number, receipt.verified_at, receipt.receipt
    )
    phone.telephone.forget()
    assert phone.telephone.receipt() is None


async def test_the_station_of_the_commune_is_known(street: Street, phone: Phone) -> None:
    trust = await phone.trust()
    await phone.announcements.refresh_stations("01", trust)
    station = phone.announcements.station(COMMUNE)
    assert station is not None
    assert station.phone == "024 3 123 4567"
    assert not phone.announcements.stations_due("01")
    assert phone.announcements.stations_due("79"), "the province was changed"
    street.clock.advance(8 * 86400)
    assert phone.announcements.stations_due("01")
    await phone.announcements.refresh_stations("01", trust)  # unchanged: an ETag
    assert not phone.announcements.stations_due("01")
    assert phone.announcements.station("00008") is None


async def test_news_come_signed_and_are_read_once(street: Street, phone: Phone) -> None:
    trust = await phone.trust()
    assert await phone.announcements.refresh_news(trust) == []
    services = street.national.services
    text = Text("Tiêm chủng", "Vaccination", "Từ thứ Hai.", "From Monday.", True)
    async with services.database.transaction() as session:
        item = await news.write(session, text, by="admin", now=services.now)
        await news.publish(
            session, services, item.id, by="admin", seen=item.written_at, now=services.now
        )
    assert await phone.announcements.refresh_news(trust) == [item.id]
    assert await phone.announcements.refresh_news(trust) == []
    phone.announcements.mark_read([item.id, "another"])
    assert phone.announcements.read() == {item.id}


async def test_news_that_nobody_signed_are_thrown_away(street: Street, phone: Phone) -> None:
    trust = await phone.trust()
    forged = b'{"key_id":"x","payload":"e30=","signature":"e30="}'
    street.instead["/v1/news.json"] = forged
    with pytest.raises(AnnouncementError):
        await phone.announcements.refresh_news(trust)
    assert phone.announcements.news() == (None, None)


async def test_who_invites_is_told_how_many(street: Street, phone: Phone) -> None:
    other = street.phone("binh", 1.0)
    assert await phone.invitations.count() == 0
    other.invitations.remember(phone.invitations.code())
    await other.invitations.tell()
    await other.invitations.tell()  # once only
    assert await phone.invitations.count() == 0, "asked at most daily"
    street.clock.advance(86400)
    assert await phone.invitations.count() == phone.invitations.known_count() == 1
    assert phone.invitations.link().endswith(f"/moi/{phone.invitations.code()}")
    page = await street.national.client.get(f"/moi/{phone.invitations.code()}")
    assert page.status_code == 200
    assert phone.invitations.code() in page.text.replace("-", "")


async def test_all_of_it_stands_in_the_ledger(street: Street, phone: Phone) -> None:
    sent: list[httpx.Request] = street.requests
    await phone.handovers.send_details(_details())
    await phone.invitations.count()
    await phone.telephone.ask("0901234567", "vi")
    entries = [(one.path, one.sent) for one in reversed(phone.ledger.entries())]
    assert entries == [(request.url.path, len(request.content)) for request in sent]


async def test_a_hand_over_is_forgotten_here_when_it_is_there(street: Street, phone: Phone) -> None:
    await phone.handovers.send_details(_details())
    street.clock.advance(29 * 86400)
    phone.retain()
    assert len(phone.handovers.all()) == 1
    street.clock.advance(2 * 86400)
    phone.retain()
    assert phone.handovers.all() == []
