"""What the app does: begins with consent, shows who is around, warns, keeps a ledger, stops."""

import asyncio
import datetime as dt
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import msgspec
import pytest

from bluezone.phone.app import contacts, reporting, status
from bluezone.phone.app.interface import ReportWish
from bluezone.phone.explanation import ExposureWarning
from bluezone.phone.phone import Phone
from bluezone.phone.store import StoreError
from bluezone.phone.told import Kind, Told
from bluezone.protocol.day_parts import PartOfDay
from tests.phone.app.conftest import Asking, make_asking
from tests.phone.conftest import EPOCH, World


@asynccontextmanager
async def _running(*phones: Phone) -> AsyncIterator[None]:
    tasks = [asyncio.create_task(phone.run()) for phone in phones]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        for task in tasks:
            with suppress(asyncio.CancelledError):
                await task


def _while_running(asking: Asking, *others: Phone) -> Callable[[Callable[[], Awaitable[Any]]], Any]:
    def run(work: Callable[[], Awaitable[Any]]) -> Any:
        async def within() -> Any:
            async with _running(asking.phone, *others):
                return await work()

        return asking.world.run(within())

    return run


def test_nothing_begins_before_consent(asking: Asking) -> None:
    other = asking.world.phone(1.0)

    async def wait() -> tuple[int, int]:
        await asking.world.clock.sleep(1800)
        before = other.status().last_scan
        asking.phone.begin()
        await asking.world.clock.sleep(1800)
        after = other.status().last_scan
        assert before is not None
        assert after is not None
        return before.heard, after.heard

    assert _while_running(asking, other)(wait) == (0, 1)


def test_who_stops_is_silent_and_has_nothing_left(asking: Asking) -> None:
    other = asking.world.phone(1.0)
    asking.phone.begin()

    async def wait() -> None:
        await asking.world.clock.sleep(3600)
        assert asking.phone.diary_records() > 0
        await asking.phone.delete_everything(stop=True)
        await asking.world.clock.sleep(1800)
        scan = other.status().last_scan
        assert scan is not None
        assert scan.heard == 0
        assert asking.phone.status().running is False

    _while_running(asking, other)(wait)
    assert asking.phone.diary_records() == 0
    assert asking.phone.everything().own_keys == []
    state = asking.ask("GET", "state")
    assert (state["started"], state["stopped"]) == (False, True)
    assert asking.ask("POST", "resume")["stopped"] is False
    assert asking.ask("POST", "start", {"consent": True})["started"] is True


def test_scanning_around_sees_who_is_there_and_ends_by_itself(asking: Asking) -> None:
    near, far = asking.world.phone(0.5), asking.world.phone(14.0)
    asking.phone.begin()

    async def look() -> Any:
        await asking.world.clock.sleep(60)
        await contacts.around(asking.app)
        await asking.world.clock.sleep(20)
        seen = await contacts.around(asking.app)
        await near.close()
        return seen

    seen = _while_running(asking, near, far)(look)
    assert [one.near for one in seen.people] == [True, False]
    assert all(one.mask.endswith("•••") and len(one.mask) == 6 for one in seen.people)
    assert seen.own.endswith("•••")
    assert seen.listening


def test_the_history_counts_one_companion_once(asking: Asking) -> None:
    other = asking.world.phone(1.0)
    asking.phone.begin()

    async def hour() -> None:
        await asking.world.clock.sleep(3600)

    _while_running(asking, other)(hour)
    today = asking.ask("GET", "history")["days"][0]
    assert today["people"] == today["people_least"] == 1
    assert today["people_most"] >= 6
    assert 45 <= today["minutes"] <= 62
    state = asking.ask("GET", "state")
    assert state["today"]["people"] == 1
    assert asking.ask("DELETE", "history")["days"][0]["people"] == 0


def test_every_exchange_is_in_the_ledger(asking: Asking) -> None:
    asking.ask("POST", "start", {"consent": True})
    asking.world.run(asking.phone.check())
    ledger = asking.ask("GET", "ledger")
    requests = [request.url.path for request in asking.world.national.requests]
    assert [one["address"] for one in reversed(ledger["entries"])] == requests
    assert sum(one["times"] for one in ledger["sums"]) == len(requests)
    sent = sum(len(request.content) for request in asking.world.national.requests)
    assert sum(one["sent"] for one in ledger["sums"]) == sent
    asking.world.national.down = True
    asking.world.run(asking.phone.check())
    assert asking.ask("GET", "ledger")["entries"][0]["ok"] is False
    assert "mạng" in asking.ask("GET", "state")["check"]["error"]["vi"]


def test_a_check_is_overdue_after_a_day_without_success(asking: Asking) -> None:
    asking.ask("POST", "start", {"consent": True})
    asking.world.national.down = True
    asking.world.run(asking.world.clock.sleep(23 * 3600))
    assert not status.overdue(asking.app)
    asking.world.run(asking.world.clock.sleep(2 * 3600))
    assert status.overdue(asking.app)
    asking.world.national.down = False
    asking.ask("POST", "check")
    assert not status.overdue(asking.app)


def test_a_check_is_overdue_on_a_computer_that_is_started_anew_each_day(asking: Asking) -> None:
    asking.ask("POST", "start", {"consent": True})
    asking.world.national.down = True
    asking.world.run(asking.world.clock.sleep(30 * 3600))
    asking.app.began_at = asking.world.clock.now()  # as after a restart
    assert not status.overdue(asking.app), "it has just begun"
    asking.world.run(asking.world.clock.sleep(900))
    assert status.overdue(asking.app)


def test_a_success_in_the_future_proves_nothing(asking: Asking) -> None:
    asking.ask("POST", "start", {"consent": True})
    asking.ask("POST", "check")
    now = asking.world.clock.now()
    asking.phone._checker.documents.state = msgspec.structs.replace(
        asking.phone._checker.documents.state, succeeded_at=now + 40 * 86400
    )
    asking.world.run(asking.world.clock.sleep(25 * 3600))
    assert status.overdue(asking.app)


@pytest.mark.parametrize(("stopped", "error"), [(False, "not-begun"), (True, "stopped")])
def test_who_has_not_begun_or_has_stopped_asks_the_service_nothing(
    asking: Asking, stopped: bool, error: str
) -> None:
    if stopped:
        asking.ask("POST", "stop")
    assert asking.ask("GET", "news")["items"] == []
    assert asking.ask("GET", "invitation")["installed"] is None
    for path, question in (
        ("check", None),
        ("details", {"name": "Hoa", "consent": True}),
        ("handovers/refresh", None),
    ):
        assert asking.ask("POST", path, question, 409)["error"] == error
    if stopped:
        question = {"phone_number": "090 123 4567"}
        assert asking.ask("POST", "number", question, 409)["error"] == error
    assert asking.world.national.requests == []


def test_what_is_on_its_way_is_in_the_ledger(asking: Asking) -> None:
    asking.phone.begin()

    async def give_up() -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(1):
                await asking.phone.ledger.send("/v1/invitations", b"{}")

    async def never(_path: str, _body: bytes) -> bytes:
        await asyncio.Event().wait()
        return b""

    asking.phone._service.send = never  # type: ignore[method-assign]
    asking.world.run(give_up())
    (entry,) = asking.ask("GET", "ledger")["entries"]
    assert (entry["ok"], entry["sent"]) == (False, 2)


def test_what_waits_is_shown_and_can_be_withdrawn(asking: Asking) -> None:
    asking.ask("POST", "start", {"consent": True})
    asking.world.national.down = True
    asking.ask("POST", "details", {"name": "Hoa", "consent": True}, 502)
    (waiting,) = asking.ask("GET", "exposures")["handovers"]
    assert waiting["state"] == "waiting"
    reference = {"reference": waiting["reference"]}
    assert asking.ask("POST", "handovers/withdraw", reference)["handovers"] == []


def test_the_advice_says_who_has_been_told(asking: Asking) -> None:
    asking.ask("POST", "start", {"consent": True})
    asking.phone._checker.exposures.warn(
        ExposureWarning(dt.date(2021, 1, 19), (18646,), (PartOfDay.NOON,), 20, 1, 0)
    )
    assert "Nobody else has been told" in asking.ask("GET", "exposures")["advice"]["en"]
    asking.world.national.down = True  # it is on its way, and may have arrived
    asking.ask("POST", "details", {"name": "Hoa", "consent": True}, 502)
    advice = asking.ask("GET", "exposures")["advice"]
    assert "Nobody else has been told" not in advice["en"]
    assert "You chose to send your details" in advice["en"]
    assert "1900 9095" in advice["vi"]
    assert "Bạn đã chọn gửi thông tin" in advice["vi"]


def test_details_that_say_nothing_are_not_sent(asking: Asking) -> None:
    asking.ask("POST", "start", {"consent": True})
    for empty in ({}, {"name": " ", "note": "\n", "days": False}):  # no warning: no days either
        for path in ("details/preview", "details"):
            fault = asking.ask("POST", path, {**empty, "consent": True}, 400)
            assert fault["error"] == "details-empty"
            assert "Chưa có gì để gửi" in fault["message"]["vi"]
    assert asking.ask("GET", "exposures")["handovers"] == []
    assert asking.world.national.requests == []
    asking.ask("POST", "details/preview", {"phone_number": "090 123 4567", "days": False})


def test_a_preview_never_passes_what_the_service_refuses(asking: Asking) -> None:
    asking.ask("POST", "start", {"consent": True})
    for day in range(1, 17):
        asking.phone._checker.exposures.warn(
            ExposureWarning(dt.date(2021, 1, day), (18628,), (PartOfDay.NOON,), 20, 1, 0)
        )
    fault = asking.ask("POST", "details/preview", {}, 400)
    assert fault["error"] == "details-malformed"


def test_the_preview_is_exactly_what_would_be_sent(asking: Asking) -> None:
    asking.ask("POST", "start", {"consent": True})
    wish = {"name": " Lê Thị Hoa ", "phone_number": "090 123 4567", "about": "child", "note": "sốt"}
    preview = asking.ask("POST", "details/preview", wish)
    for part in ("Lê Thị Hoa", "+84901234567", "child", "sốt"):
        assert part in preview["raw"]
    assert "Con tôi" in [line["value"]["vi"] for line in preview["lines"]]
    assert asking.world.national.requests == []


def test_nightly_proofs_wait_for_consent_and_end_with_it(asking: Asking) -> None:
    asking.ask("POST", "start", {"consent": True})
    assert asking.ask("GET", "settings")["commitments"] is False
    assert asking.ask("POST", "settings", {"commitments": True})["commitments"] is True
    since = asking.phone.settings.commitments_since
    assert since is not None
    asking.ask("POST", "settings", {"commitments": True, "language": "en"})
    assert asking.phone.settings.commitments_since == since
    asking.world.run(asking.phone.commitments.send_due())
    assert len(asking.phone.everything().commitments) == 1
    assert asking.ask("POST", "settings", {"commitments": False})["commitments"] is False
    assert asking.phone.everything().commitments == []


def test_proof_is_asked_for_apart_and_said_to_be_missing(asking: Asking) -> None:
    """No warning, no proof; and without the wish the message has no word of it."""
    asking.ask("POST", "start", {"consent": True})
    preview = asking.ask("POST", "details/preview", {"name": "Hoa", "proof": True})
    assert "no longer holds" in preview["lines"][-1]["value"]["en"]
    assert json.loads(preview["raw"])["claim"] is None
    plain = asking.ask("POST", "details/preview", {"name": "Hoa"})
    assert all("Proof" not in line["label"]["en"] for line in plain["lines"])
    asking.ask("POST", "details/preview", {"proof": True}, 400)


def test_settings_are_kept_over_a_restart(world: World) -> None:
    first = make_asking(world)
    first.open()
    first.ask("POST", "settings", {"language": "en", "battery": "saving", "commune": "00004"})
    world.run(first.phone.close())
    again = make_asking(world, home=world.folder / "phone1")
    again.open()
    kept = again.ask("GET", "settings")
    assert (kept["language"], kept["battery"], kept["province"]) == ("en", "saving", "01")


def test_everything_can_be_taken_along(asking: Asking) -> None:
    other = asking.world.phone(1.0)
    asking.phone.begin()

    async def hour() -> None:
        await asking.world.clock.sleep(1200)

    _while_running(asking, other)(hour)
    kept = asking.ask("GET", "export")
    assert len(kept["heard"]) >= 3
    assert len(kept["own_keys"]) == 1
    assert kept["exchanges"]


def test_a_diary_found_damaged_locks_nobody_out(asking: Asking) -> None:
    """Its owner has agreed and is looking at a page: the phone goes on, with a new diary."""
    other = asking.world.phone(1.0)
    asking.ask("POST", "start", {"consent": True})

    async def damage() -> int:
        await asking.world.clock.sleep(1800)
        asking.phone._store.execute("UPDATE tek SET sealed = x'00'")
        await asking.world.clock.sleep(3600)
        scan = asking.phone.status().last_scan
        assert scan is not None
        return scan.heard

    assert _while_running(asking, other)(damage) == 1
    state = asking.ask("GET", "state")
    assert state["started"] is True
    assert "diary-set-aside" in [problem["id"] for problem in state["problems"]]


def test_what_was_on_its_way_does_not_outlive_a_deletion(asking: Asking) -> None:
    asking.ask("POST", "start", {"consent": True})

    async def delete_meanwhile() -> None:
        check = asyncio.create_task(asking.phone.check())
        await asyncio.sleep(0)
        await asking.phone.delete_everything(stop=True)
        with suppress(StoreError):
            await check

    asking.world.run(delete_meanwhile())
    kept = asking.phone._store.execute
    for table in ("key_file", "exchange", "exposure_window", "tek", "scan"):
        assert kept(f"SELECT count(*) FROM {table}") == [(0,)], table  # noqa: S608


def test_deleted_warnings_are_gone_from_the_messages_too(asking: Asking) -> None:
    asking.ask("POST", "start", {"consent": True})
    asking.phone.messages.add(Told(Kind.EXPOSURE, EPOCH, {"vi": "gần", "en": "near"}))
    asking.phone.messages.add(Told(Kind.BLUETOOTH, EPOCH, {"vi": "tắt", "en": "off"}))
    asking.ask("POST", "delete", {"what": "warnings", "confirm": True})
    assert [one["kind"] for one in asking.ask("GET", "notices")["items"]] == ["bluetooth"]


def _reported(asking: Asking, **wish: Any) -> Any:
    """Send a report from the pages and wait for its end."""

    async def send() -> Any:
        question = ReportWish(code="1" * 12, consent=True, **wish)
        await reporting.send_report(asking.app, question)
        while asking.app.reporting.sending:
            await asking.world.clock.sleep(1)
        return await reporting.progress(asking.app)

    return asking.world.run(send())


def test_a_report_that_went_out_later_is_said_to_be_out(asking: Asking) -> None:
    asking.ask("POST", "start", {"consent": True})
    asking.world.national.codes["1" * 12] = None
    asking.world.run(asking.phone.check())
    asking.phone._identity.current(EPOCH)
    asking.world.national.down = True
    assert _reported(asking).state == "failed"
    asking.world.national.down = False
    asking.world.run(asking.world.clock.sleep(600))
    asking.world.run(asking.phone._check_once())
    late = asking.ask("GET", "report")
    assert (late["state"], late["keys"]) == ("done", 1)
    assert asking.ask("GET", "state")["report"]["reported_at"] is not None


def test_a_diary_that_failed_does_not_unsay_the_report(asking: Asking) -> None:
    """The keys are public: nobody may be told that nothing was sent."""
    asking.ask("POST", "start", {"consent": True})
    asking.world.national.codes["1" * 12] = None
    asking.world.run(asking.phone.check())
    asking.phone._identity.current(EPOCH)
    done = _reported(asking, diary=True)  # this service takes no diaries
    assert done.state == "done"
    assert done.fault is not None
    assert asking.phone._reporter.owed() is None


def test_what_was_corrected_before_it_was_sent_is_what_is_sent(asking: Asking) -> None:
    asking.ask("POST", "start", {"consent": True})
    asking.world.national.codes["1" * 12] = "2021-01-15"
    asking.world.run(asking.phone.check())
    asking.phone._identity.current(EPOCH)
    asking.world.national.down = True
    assert _reported(asking, onset="2021-01-10").state == "failed"
    asking.world.national.down = False
    assert _reported(asking, onset="none").state == "done"
    (upload,) = asking.world.national.uploads
    assert upload.keys[0].days_since_onset is None


def test_a_report_is_forgotten_with_its_keys(asking: Asking) -> None:
    asking.ask("POST", "start", {"consent": True})
    asking.world.national.codes["1" * 12] = None
    asking.world.run(asking.phone.check())
    asking.phone._identity.current(EPOCH)
    _reported(asking)
    asking.world.run(asking.world.clock.sleep(16 * 86400))
    asking.phone.retain()
    assert asking.ask("GET", "state")["report"]["reported_at"] is None
