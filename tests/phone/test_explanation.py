"""A warning says day, part of the day, minutes, closeness and what to do, but no exact time."""

import datetime as dt
import re

import pytest

from bluezone.phone.explanation import Closeness, PartOfDay, explain
from bluezone.protocol.exposure import ExposureWindow, Infectiousness, ScanInstance
from bluezone.protocol.keys import ReportType
from tests.phone.conftest import EPOCH

DAY = dt.date(2021, 1, 20)


def _window(start: float, minutes: int, attenuation: float, encounter: int = 0) -> ExposureWindow:
    scans = tuple(
        ScanInstance(attenuation, attenuation, 240, int(start) + 240 * scan)
        for scan in range(minutes // 4)
    )
    return ExposureWindow(
        18647, ReportType.CONFIRMED_TEST, Infectiousness.HIGH, scans, encounter=encounter
    )


def test_the_warning_in_both_languages() -> None:
    warning = explain(
        DAY, [_window(EPOCH, 24, 50), _window(EPOCH + 6 * 3600, 12, 60, 1)], EPOCH + 86400
    )
    assert (warning.minutes, warning.encounters) == (36, 2)
    assert warning.closeness is Closeness.VERY_CLOSE
    assert warning.parts == (PartOfDay.MORNING, PartOfDay.AFTERNOON)
    vietnamese, english = warning.text("vi"), warning.text("en")
    for part in ("20/01/2021", "buổi sáng, buổi chiều", "36 phút", "trong khoảng 2 mét"):
        assert part in vietnamese
    for part in ("20/01/2021", "in the morning, in the afternoon", "36 minutes", "2 metres"):
        assert part in english
    assert not re.search(r"\d:\d\d|\d giờ", vietnamese + english), "no exact time"
    assert "1900 9095" in warning.advice("vi")


@pytest.mark.parametrize(
    ("hour", "part"),
    [(0, "NIGHT"), (5, "MORNING"), (11, "NOON"), (13, "AFTERNOON"), (18, "EVENING"), (22, "NIGHT")],
)
def test_parts_of_the_day_follow_the_vietnamese_clock(hour: int, part: str) -> None:
    midnight = EPOCH - 8 * 3600
    assert PartOfDay.of(midnight + 3600 * hour) is PartOfDay[part]


@pytest.mark.parametrize(
    ("attenuation", "closeness"),
    [(54.9, Closeness.VERY_CLOSE), (55, Closeness.CLOSE), (63, Closeness.NEARBY)],
)
def test_closeness_is_where_most_of_the_time_was(attenuation: float, closeness: Closeness) -> None:
    windows = [_window(EPOCH, 24, attenuation), _window(EPOCH + 3600, 8, 40)]
    assert explain(DAY, windows, EPOCH).closeness is closeness


def test_nothing_cannot_be_explained() -> None:
    with pytest.raises(ValueError, match="no exposure window"):
        explain(DAY, [], EPOCH)
