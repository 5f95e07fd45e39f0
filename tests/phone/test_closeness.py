"""The estimator as judge: it sees a key's windows together, and learns from the phone's diary."""

from pathlib import Path

import pytest

from bluezone.phone.closeness import Closeness, learned_from
from bluezone.phone.diary import Diary, pack_page
from bluezone.phone.sealing import Sealer
from bluezone.phone.store import Store
from bluezone.protocol.exposure import ExposureWindow, Infectiousness, ScanInstance
from bluezone.protocol.keys import ReportType
from bluezone.proximity import UNKNOWN, ExposureClass, Handset
from bluezone.radio.interface import Sighting
from tests.phone.conftest import EPOCH

START = int(EPOCH)


def window(
    attenuations: list[float], start: int | None = START, encounter: int | None = 0
) -> ExposureWindow:
    scans = tuple(
        ScanInstance(level, level - 4, 240, None if start is None else start + 240 * number)
        for number, level in enumerate(attenuations)
    )
    return ExposureWindow(
        18647, ReportType.CONFIRMED_TEST, Infectiousness.HIGH, scans, encounter=encounter
    )


def test_each_scan_gets_a_probability_that_falls_with_attenuation() -> None:
    near, middle, far = Closeness().judge(
        [window([level] * 6, encounter=key) for key, level in enumerate((45, 58, 75))]
    )
    assert len(near) == 6
    assert min(near) > 0.8 > max(middle)
    assert min(middle) > 0.2 > max(far)
    assert all(0 <= weight <= 1 for weight in (*near, *middle, *far))


def test_windows_of_one_key_explain_each_other_and_those_of_others_do_not() -> None:
    doubtful = window([58] * 6)
    later_near = window([48] * 6, START + 1500)
    alone = Closeness().judge([doubtful])[0]
    with_same_key = Closeness().judge([doubtful, later_near])[0]
    other_key = Closeness().judge(
        [doubtful, ExposureWindow(18647, ReportType.CONFIRMED_TEST, Infectiousness.HIGH,
                                  later_near.scan_instances, encounter=1)]
    )[0]  # fmt: skip
    assert sum(with_same_key) > sum(alone)
    assert other_key == alone


def test_the_order_of_windows_and_scans_changes_nothing() -> None:
    first, second = window([50, 60, 55]), window([70, 52], START + 1800)
    judged = Closeness().judge([first, second])
    assert Closeness().judge([second, first]) == judged[::-1]


def test_windows_without_times_are_judged_each_for_itself() -> None:
    weights = Closeness().judge([window([50] * 3, None, None), window([70] * 3, None, None)])
    assert min(weights[0]) > max(weights[1])
    assert Closeness().judge([window([50] * 3, None, None)])[0] == weights[0]


@pytest.mark.parametrize("level", [float("nan"), 1e9, -500.0])
def test_a_reading_that_cannot_be_counts_for_nothing(level: float) -> None:
    (weights,) = Closeness().judge([window([50, level, 50])])
    assert weights[1] == 0
    assert weights[0] > 0.5


def test_a_window_without_scans_and_no_window_at_all() -> None:
    assert Closeness().judge([window([])]) == [[]]
    assert Closeness().judge([]) == []
    assert Closeness().exposure_class([]) is ExposureClass.NOT_CLOSE


def test_an_hour_nearby_is_certain_and_a_quarter_in_doubt_is_not() -> None:
    assert Closeness().exposure_class([window([42] * 15)]) is ExposureClass.CERTAIN
    assert Closeness().exposure_class([window([62] * 5)]) is ExposureClass.NOT_CLOSE


@pytest.fixture
def diary(tmp_path: Path) -> Diary:
    return Diary(Store(tmp_path / "diary.sqlite", Sealer(bytes(32))))


def hear(diary: Diary, others: int, level: int) -> None:
    for scan in range(10):
        time = START + 240 * scan
        heard = [
            Sighting(bytes(6), bytes([other, scan // 3]) + bytes(18), time, (level,))
            for other in range(others)
        ]
        diary.add(time, pack_page(heard, 240, trusted_clock=True))


def test_a_phone_that_hears_a_crowd_weakly_takes_that_into_account(diary: Diary) -> None:
    hear(diary, 8, -90)
    own = learned_from(diary, lambda: -20)(START, START + 2400)
    assert own == Handset(diary_attenuation=70.0)
    deaf = Closeness(lambda *_: own)
    assert sum(deaf.judge([window([62] * 6)])[0]) > sum(Closeness().judge([window([62] * 6)])[0])


def test_its_own_model_is_known_with_and_without_a_crowd(diary: Diary) -> None:
    own_during = learned_from(diary, lambda: -20, "SM-A405FN")
    assert own_during(START, START + 2400) == Handset("SM-A405FN")
    hear(diary, 8, -90)
    assert own_during(START, START + 2400) == Handset("SM-A405FN", diary_attenuation=70.0)


def test_two_others_are_no_crowd_to_learn_from(diary: Diary) -> None:
    hear(diary, 2, -90)
    assert learned_from(diary, lambda: -20)(START, START + 2400) == UNKNOWN


def test_only_what_was_heard_in_that_time_counts(diary: Diary) -> None:
    hear(diary, 8, -90)
    assert learned_from(diary, lambda: -20)(START + 90_000, START + 92_400) == UNKNOWN


def test_a_night_next_door_does_not_add_up_to_close_contact() -> None:
    """Small chances of many hours are no quarter of an hour that is likelier than not."""
    night = [window([70] * 7, START + 1680 * part) for part in range(17)]  # eight hours
    counted = sum(sum(weights) for weights in Closeness().judge(night)) * 240 / 60
    assert counted < 15
    assert Closeness().exposure_class(night) is ExposureClass.NOT_CLOSE
