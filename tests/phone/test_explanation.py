"""A warning says day, part of the day, minutes and how sure it is; what to do; no exact time."""

import datetime as dt
import re

import pytest

from bluezone.phone.explanation import explain
from bluezone.protocol.day_parts import PartOfDay
from bluezone.protocol.exposure import ExposureWindow, Infectiousness, ScanInstance
from bluezone.protocol.keys import ReportType
from bluezone.proximity import ExposureClass
from tests.phone.conftest import EPOCH

DAY = dt.date(2021, 1, 20)


def _window(start: float, minutes: int, encounter: int = 0) -> ExposureWindow:
    scans = tuple(
        ScanInstance(50, 46, 240, int(start) + 240 * scan) for scan in range(minutes // 4)
    )
    return ExposureWindow(
        18647, ReportType.CONFIRMED_TEST, Infectiousness.HIGH, scans, encounter=encounter
    )


def test_the_warning_in_both_languages() -> None:
    warning = explain(
        DAY,
        [_window(EPOCH, 24), _window(EPOCH + 6 * 3600, 12, 1)],
        EPOCH + 86400,
        ExposureClass.LIKELY,
    )
    assert (warning.minutes, warning.encounters) == (36, 2)
    assert warning.parts == (PartOfDay.MORNING, PartOfDay.AFTERNOON)
    vietnamese, english = warning.text("vi"), warning.text("en")
    for part in (
        "20/01/2021",
        "buổi sáng, buổi chiều",
        "36 phút",
        "rất có khả năng",
    ):
        assert part in vietnamese
    for part in (
        "20/01/2021",
        "in the morning, in the afternoon",
        "36 minutes",
        "very likely",
    ):
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
    ("certainty", "words"),
    [
        (ExposureClass.NOT_CLOSE, "tín hiệu không cho biết chắc"),
        (ExposureClass.PROBABLE, "có lẽ đã ở cách không quá 2 mét, từ 15 phút"),
        (ExposureClass.LIKELY, "rất có khả năng"),
        (ExposureClass.CERTAIN, "gần như chắc chắn"),
    ],
)
def test_the_words_say_how_sure_the_estimate_is(certainty: ExposureClass, words: str) -> None:
    warning = explain(DAY, [_window(EPOCH, 60)], EPOCH, certainty)
    assert words in warning.text("vi")
    assert not re.search(r"\d[,.]\d", warning.text("en")), "no false precision"


def test_nothing_cannot_be_explained() -> None:
    with pytest.raises(ValueError, match="no exposure window"):
        explain(DAY, [], EPOCH, ExposureClass.LIKELY)


def test_minutes_near_two_cases_at_once_count_once() -> None:
    midnight = EPOCH - 8 * 3600
    both = [_window(midnight + 3600 * hour, 60, case) for hour in range(13) for case in (0, 1)]
    assert explain(DAY, both, EPOCH, ExposureClass.CERTAIN).minutes == 13 * 60
    day = [_window(midnight + 3600 * hour, 60) for hour in range(24)]
    late = _window(midnight + 86400 - 60, 28, 1)
    assert explain(DAY, [*day, late], EPOCH, ExposureClass.CERTAIN).minutes == 1440
