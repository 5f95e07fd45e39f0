"""The phone speaks up: exposures at any hour, the rest by day and once."""

import datetime as dt
from typing import Any

import pytest

from bluezone.phone.app.alerts import Alerts
from bluezone.phone.authority.announcements import AnnouncementError
from bluezone.phone.explanation import ExposureWarning
from bluezone.phone.told import Kind
from bluezone.protocol.day_parts import PartOfDay
from bluezone.radio.direct import DirectRadio
from bluezone.radio.interface import RadioState
from tests.phone.app.conftest import Asking, MakeWorld, make_asking
from tests.phone.conftest import EPOCH

_NOON, _NIGHT = EPOCH + 4 * 3600, EPOCH + 15 * 3600  # 12:00 and 23:00 in Vietnam


class Owner:
    """Hears what the phone says."""

    def __init__(self, asking: Asking) -> None:
        self.asking = asking
        self.heard: list[tuple[str, bool]] = []
        self.alerts = Alerts(asking.app, self._notify)
        asking.phone.begin()

    async def _notify(self, text: dict[str, str], urgent: bool) -> None:
        self.heard.append((text["en"], urgent))

    def wait(self, hours: float) -> None:
        """Look every ten minutes for so long."""
        for _ in range(round(hours * 6)):
            self.asking.world.run(self.alerts.look())
            self.asking.world.run(self.asking.world.clock.sleep(600))

    @property
    def radio(self) -> DirectRadio:
        radio = self.asking.phone._radio
        assert isinstance(radio, DirectRadio)
        return radio


@pytest.fixture
def owner_at(make_world: MakeWorld) -> Any:
    return lambda time: Owner(make_asking(make_world(time)))


def test_bluetooth_off_for_an_hour_is_said_once(owner_at: Any) -> None:
    owner = owner_at(_NOON)
    owner.radio.state = RadioState.OFF
    owner.wait(0.9)
    assert owner.heard == []
    owner.wait(4)
    assert [text.split()[0] for text, _ in owner.heard] == ["Bluetooth"]
    owner.radio.state = RadioState.ON
    owner.wait(0.5)
    owner.radio.state = RadioState.OFF
    owner.wait(2)
    assert len(owner.heard) == 2


def test_the_night_is_quiet_but_for_an_exposure(owner_at: Any) -> None:
    owner = owner_at(_NIGHT)
    owner.radio.state = RadioState.OFF
    owner.wait(3)
    assert owner.heard == []
    warning = ExposureWarning(
        dt.date(2021, 1, 19), (18646,), (PartOfDay.MORNING,), 32, 2, round(_NIGHT)
    )
    owner.asking.world.run(owner.alerts.warned(warning))
    assert [urgent for _, urgent in owner.heard] == [True]
    owner.wait(6)  # past 06:00
    assert [text.split()[0] for text, _ in owner.heard][1:] == ["Bluetooth"]
    kinds = [told.kind for _, told in owner.asking.phone.messages.all()]
    assert kinds == [Kind.EXPOSURE, Kind.BLUETOOTH]


def test_what_is_mended_before_the_morning_is_not_said(owner_at: Any) -> None:
    owner = owner_at(_NIGHT)
    owner.radio.state = RadioState.OFF
    owner.wait(3)
    owner.radio.state = RadioState.ON
    owner.wait(6)
    assert owner.heard == []


def test_a_day_without_a_check_is_said(owner_at: Any) -> None:
    owner = owner_at(_NOON)
    owner.asking.world.national.down = True
    owner.wait(23.5)
    assert owner.heard == []
    owner.wait(3)
    (said,) = owner.heard
    assert said[0].startswith("For a day")


def test_who_wants_no_desktop_notices_still_finds_the_messages(owner_at: Any) -> None:
    owner = owner_at(_NOON)
    owner.asking.phone.choose(desktop_notices=False)
    owner.radio.state = RadioState.OFF
    owner.wait(2)
    assert owner.heard == []
    assert len(owner.asking.phone.messages.all()) == 1


def test_a_stopped_phone_says_nothing(owner_at: Any) -> None:
    owner = owner_at(_NOON)
    owner.asking.world.run(owner.asking.phone.delete_everything(stop=True))
    owner.radio.state = RadioState.OFF
    owner.wait(30)
    assert owner.heard == []


def test_what_waits_for_the_morning_outlives_a_restart(owner_at: Any) -> None:
    owner = owner_at(_NIGHT)
    owner.radio.state = RadioState.OFF
    owner.wait(6.5)
    owner.alerts = Alerts(owner.asking.app, owner._notify)
    owner.wait(0.8)  # past 06:00, and too short to notice it anew
    assert [text.split()[0] for text, _ in owner.heard] == ["Bluetooth"]


def test_nothing_outlives_that_everything_is_deleted(owner_at: Any) -> None:
    owner = owner_at(_NIGHT)
    owner.radio.state = RadioState.OFF
    owner.wait(3)
    owner.asking.world.run(owner.asking.phone.delete_everything())
    owner.wait(8)
    owner.asking.phone.begin()
    owner.wait(0.5)
    assert owner.heard == []
    owner.wait(2)
    assert len(owner.heard) == 1, "told anew"


def test_refused_news_keep_nothing_else_waiting(owner_at: Any) -> None:
    owner = owner_at(_NOON)
    owner.asking.phone.invitations.remember("ABCDEFGH")
    phone = owner.asking.phone

    async def refused(_trust: Any) -> list[str]:
        raise AnnouncementError("forged")

    phone.announcements.refresh_news = refused
    owner.wait(0.2)
    paths = [request.url.path for request in owner.asking.world.national.requests]
    assert "/v1/invitations" in paths


def test_a_clock_that_is_set_back_stops_no_questions(owner_at: Any) -> None:
    owner = owner_at(_NOON)
    owner.wait(0.2)
    requests = owner.asking.world.national.requests
    before = sum(request.url.path == "/v1/news.json" for request in requests)
    owner.alerts._news_at += 30 * 86400  # as seen from a clock that is a month behind
    owner.wait(0.2)
    assert sum(request.url.path == "/v1/news.json" for request in requests) == before + 1


def test_the_stations_of_another_province_are_fetched_at_once(owner_at: Any) -> None:
    owner = owner_at(_NOON)
    for commune in ("00004", "25747"):
        owner.asking.phone.choose(commune=commune)
        owner.wait(0.2)
    paths = [request.url.path for request in owner.asking.world.national.requests]
    stations = [path for path in paths if path.startswith("/v1/stations/")]
    assert stations == ["/v1/stations/01.json", "/v1/stations/79.json"]
