"""The phone speaks up: exposures at any hour, the rest by day and once."""

import datetime as dt
from typing import Any

import pytest

from bluezone.phone.app.alerts import Alerts
from bluezone.phone.explanation import ExposureWarning, PartOfDay
from bluezone.phone.told import Kind
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
    assert kinds == [Kind.BLUETOOTH, Kind.EXPOSURE]


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
