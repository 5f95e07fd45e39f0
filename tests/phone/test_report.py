"""A report goes out whole or not at all, survives a kill, and looks like every decoy."""

import asyncio
import random

import httpx
import msgspec
import pytest

from bluezone.phone.chaff import MEAN_SECONDS, Chaff
from bluezone.phone.phone import Phone
from bluezone.phone.report import (
    RESUME_AFTER_SECONDS,
    ReportError,
    ReportFault,
    typed_code,
)
from bluezone.phone.service import ServiceError, ServiceFault
from bluezone.protocol.deployment import UPLOAD_BODY_BYTES
from bluezone.protocol.intervals import interval_number
from bluezone.protocol.keys import ReportType
from bluezone.protocol.upload import KeyUpload
from tests.phone.conftest import EPOCH, World

CODE = "123456789012"


@pytest.fixture
def phone(world: World) -> Phone:
    world.national.codes[CODE] = "2021-01-18"
    return world.phone()


def _posts(world: World) -> list[httpx.Request]:
    return [request for request in world.national.requests if request.method == "POST"]


def test_todays_key_ends_with_this_interval_and_a_new_one_follows(
    world: World, phone: Phone
) -> None:
    before = phone._identity.current(EPOCH)
    receipt = world.run(phone.report(CODE, consent=True))
    assert (receipt.keys, receipt.report_type) == (1, ReportType.CONFIRMED_TEST)
    (upload,) = world.national.uploads
    (sent,) = [slot for slot in upload.keys if slot.rolling_period]
    interval = interval_number(EPOCH)
    assert sent.key == before.key
    assert sent.rolling_start + sent.rolling_period == interval + 1
    assert sent.days_since_onset == 2
    after = phone._identity.current(EPOCH + 600)
    assert after.key != before.key
    assert after.rolling_start == interval + 1
    assert after.rolling_end % 144 == 0
    assert phone._identity.current(EPOCH) == phone._identity.keys(EPOCH)[0]
    assert phone.status().reported_at == receipt.sent_at


@pytest.mark.parametrize(
    ("code", "reason"), [("000000000000", "code-unknown"), (CODE, "code-used")]
)
def test_a_refused_code_says_why_and_leaves_no_trace(
    world: World, phone: Phone, code: str, reason: str
) -> None:
    world.national.taken[CODE] = b"somebody else's"
    before = phone._identity.current(EPOCH)
    with pytest.raises(ServiceError) as refusal:
        world.run(phone.report(code, consent=True))
    assert refusal.value.reason == reason
    assert refusal.value.text("vi").startswith("Mã")
    assert world.national.uploads == []
    assert phone._identity.current(EPOCH) == before, "the day's key goes on as it was"
    assert phone.status().reported_at is None


def test_a_refused_second_report_does_not_revive_a_published_key(
    world: World, phone: Phone
) -> None:
    world.run(phone.report(CODE, consent=True))
    published = phone._identity.keys(EPOCH)
    with pytest.raises(ServiceError):
        world.run(phone.report("000000000000", consent=True))
    assert interval_number(world.clock.now()) == interval_number(EPOCH), "still on the air"
    assert phone._identity.keys(EPOCH) == published


def test_keys_that_were_sent_count_as_public_whatever_the_service_says(
    world: World, phone: Phone
) -> None:
    honest = world.national.answer

    def lying(request: httpx.Request) -> httpx.Response:
        honest(request)
        if request.url.path == "/v1/keys":
            return httpx.Response(422, json={"error": "keys-overlap", "message": {"en": "No."}})
        return honest(request)

    world.national.answer = lying
    with pytest.raises(ServiceError) as refusal:
        world.run(phone.report(CODE, consent=True))
    assert refusal.value.reason == "keys-overlap"
    (sent,) = [slot for slot in world.national.uploads[0].keys if slot.rolling_period]
    assert phone._identity.current(EPOCH + 600).key != sent.key, "a published key is on the air"
    assert phone.status().reported_at is None


def test_without_consent_nothing_is_sent(world: World, phone: Phone) -> None:
    with pytest.raises(ReportError) as error:
        world.run(phone.report(CODE, consent=False))
    assert error.value.fault is ReportFault.NO_CONSENT
    assert world.national.requests == []


@pytest.mark.parametrize("text", ["", "12", "12345678901x", "1" * 13, "١٢٣٤٥٦٧٨٩٠١٢"])
def test_what_cannot_be_a_code_is_not_sent(text: str) -> None:
    with pytest.raises(ReportError) as error:
        typed_code(text)
    assert "12" in error.value.text("en")


def test_a_code_may_be_typed_as_it_is_shown() -> None:
    assert typed_code(" 1234-5678 9012") == CODE


def _bodies(world: World, path: str) -> list[bytes]:
    return [request.content for request in _posts(world) if request.url.path == path]


@pytest.mark.parametrize("leg", ["/v1/permission", "/v1/keys"])
def test_a_phone_that_dies_before_the_answer_sends_the_same_again(
    world: World, phone: Phone, leg: str
) -> None:
    answer = world.national.answer

    def lose(request: httpx.Request) -> httpx.Response:
        found = answer(request)  # the service has done it; the phone never hears of it
        if request.url.path == leg:
            raise asyncio.CancelledError
        return found

    world.national.answer = lose
    with pytest.raises(asyncio.CancelledError):
        world.run(phone.report(CODE, consent=True))
    world.national.answer = answer

    async def later() -> None:
        again = world.phone(home=world.folder / "phone1")
        running = asyncio.create_task(again.run())
        await world.clock.sleep(3 * 3600)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        assert again.status().reported_at is not None

    world.run(later())
    first, second = _bodies(world, leg)
    assert first == second
    assert len({upload.permission_signature for upload in world.national.uploads}) == 1


def test_a_lost_network_is_picked_up_by_the_same_command(world: World, phone: Phone) -> None:
    world.run(phone.check())
    world.national.down = True
    with pytest.raises(ServiceError) as error:
        world.run(phone.report(CODE, consent=True))
    assert error.value.fault is ServiceFault.UNREACHABLE
    world.national.down = False
    assert world.run(phone.report(CODE, consent=True)).keys == 1
    first, second = _bodies(world, "/v1/permission")
    assert first == second


def test_a_report_that_somebody_works_on_is_not_taken_over(world: World, phone: Phone) -> None:
    world.run(phone.check())
    trust = phone._checker.documents.trust
    assert trust is not None
    world.national.down = True
    with pytest.raises(ServiceError):
        world.run(phone.report(CODE, consent=True))
    world.national.down = False
    assert world.run(phone._reporter.resume(trust)) is None
    assert len(_posts(world)) == 1
    world.run(world.clock.sleep(RESUME_AFTER_SECONDS))
    assert world.run(phone._reporter.resume(trust)) is not None


def test_a_permission_key_the_service_no_longer_knows_is_asked_for(
    world: World, phone: Phone
) -> None:
    world.run(phone.check())
    world.national.answer = lambda request: httpx.Response(
        403, json={"error": "permission-key-unknown", "message": {"en": "No such key."}}
    )
    with pytest.raises(ServiceError):
        world.run(phone.report(CODE, consent=True))
    del world.national.answer
    world.national.requests.clear()
    world.run(phone.check())
    assert world.national.requests[0].url.path == "/v1/trust.json"


def test_a_second_report_brings_the_whole_day_along(world: World, phone: Phone) -> None:
    world.run(phone.report(CODE, consent=True))
    world.national.codes["222222222222"] = None
    world.run(world.clock.sleep(3600))
    assert world.run(phone.report("222222222222", consent=True)).keys == 2
    slots = [slot for slot in world.national.uploads[1].keys if slot.rolling_period]
    assert slots[0].rolling_start % 144 == 0
    assert slots[0].rolling_start + slots[0].rolling_period == slots[1].rolling_start


def test_a_decoy_cannot_be_told_from_a_report_on_the_wire(world: World, phone: Phone) -> None:
    world.run(phone.check())
    world.national.requests.clear()
    world.run(phone.report(CODE, consent=True))
    report = _posts(world)
    assert len(report) == len(world.national.requests), "a report asks for nothing besides"
    world.national.requests.clear()
    chaff = Chaff(phone.ledger, world.clock, random.Random(1))
    assert phone._checker.documents.trust is not None
    world.run(chaff.send(phone._checker.documents.trust))
    decoy = world.national.requests
    for real, false in zip(report, decoy, strict=True):
        assert (real.method, real.url) == (false.method, false.url)
        assert real.headers == false.headers
        assert len(real.content) == len(false.content) == UPLOAD_BODY_BYTES
        real_fields, false_fields = (msgspec.json.decode(r.content) for r in (real, false))
        assert real_fields.keys() == false_fields.keys()
    assert world.national.uploads[-1].chaff
    assert not world.national.uploads[-2].chaff


def test_decoys_come_at_the_moments_of_a_poisson_process(world: World, phone: Phone) -> None:
    chaff = Chaff(phone.ledger, world.clock, random.Random(3))
    waits = sorted(chaff.next_wait() for _ in range(4000))
    assert sum(waits) / len(waits) == pytest.approx(MEAN_SECONDS, rel=0.06)
    assert waits[2000] == pytest.approx(MEAN_SECONDS * 0.693, rel=0.06)


def test_a_running_phone_sends_decoys_and_they_are_marked_inside_only(world: World) -> None:
    phone = world.phone()

    async def story() -> None:
        running = asyncio.create_task(phone.run())
        await world.clock.sleep(40 * 86400)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    world.national.publish_index = lambda: None  # type: ignore[method-assign]
    world.run(story())
    assert 2 <= len(world.national.uploads) <= 20
    assert all(isinstance(u, KeyUpload) and u.chaff for u in world.national.uploads)
