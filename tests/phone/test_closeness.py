"""The estimator as judge of the risk model: it sees all windows of a key together."""

import pytest

from bluezone.phone.closeness import Closeness
from bluezone.protocol.exposure import ExposureWindow, Infectiousness, ScanInstance
from bluezone.protocol.keys import ReportType
from bluezone.proximity import ExposureClass, Handset
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
    assert min(near) > 0.8 > max(middle) > max(far)
    assert min(*near, *middle, *far) >= 0


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


def test_what_is_known_of_this_phone_moves_the_answer() -> None:
    """A model that hears badly was nearer than its levels say."""
    deaf = Closeness(Handset(model="SM-A908B")).judge([window([60] * 6)])
    keen = Closeness(Handset(model="SM-A515F")).judge([window([60] * 6)])
    assert sum(deaf[0]) > sum(keen[0])


def test_a_night_next_door_does_not_add_up_to_close_contact() -> None:
    """Small chances of many hours are no quarter of an hour that is likelier than not."""
    night = [window([70] * 7, START + 1680 * part) for part in range(17)]  # eight hours
    counted = sum(sum(weights) for weights in Closeness().judge(night)) * 240 / 60
    assert counted < 15
    assert Closeness().exposure_class(night) is ExposureClass.NOT_CLOSE


def test_a_days_minutes_are_those_exceeded_as_likely_as_not() -> None:
    windows = [window([level] * 7, START + 1680 * part) for part, level in enumerate((52, 60))]
    counted = sum(sum(weights) for weights in Closeness().judge(windows)) * 240 / 60
    assert 0 < counted < 56
    surely = Closeness().judge([window([42] * 7)])
    assert sum(surely[0]) * 240 / 60 == pytest.approx(28), "all of the time, and no more"
