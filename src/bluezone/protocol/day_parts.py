"""Parts of a Vietnamese day: as finely as a warning or a verdict says when something was."""

from enum import Enum
from typing import Final

from bluezone.protocol.intervals import vietnam_time


class PartOfDay(Enum):
    """Parts of a Vietnamese day, in their order."""

    NIGHT = "night"
    MORNING = "morning"
    NOON = "noon"
    AFTERNOON = "afternoon"
    EVENING = "evening"

    @classmethod
    def of(cls, unix_time: float) -> "PartOfDay":
        """By the Vietnamese hour."""
        hour = vietnam_time(unix_time).hour
        return next(part for end, part in _PARTS_BY_END_HOUR if hour < end)


_PARTS_BY_END_HOUR: Final = (
    (5, PartOfDay.NIGHT),
    (11, PartOfDay.MORNING),
    (13, PartOfDay.NOON),
    (18, PartOfDay.AFTERNOON),
    (22, PartOfDay.EVENING),
    (24, PartOfDay.NIGHT),
)
