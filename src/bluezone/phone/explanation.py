"""The warning in people's words: Vietnamese day, part of the day, minutes, closeness, what to do.

The exact time is known and not told: with it, many people could name the other one.
"""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final

from bluezone.protocol.day_parts import PartOfDay
from bluezone.protocol.exposure import ExposureWindow
from bluezone.proximity import ExposureClass
from bluezone.web.catalogue import DEFAULT_LANGUAGE, _, translate

_PART_WORDS: Final = {
    PartOfDay.NIGHT: _("at night"),
    PartOfDay.MORNING: _("in the morning"),
    PartOfDay.NOON: _("around noon"),
    PartOfDay.AFTERNOON: _("in the afternoon"),
    PartOfDay.EVENING: _("in the evening"),
}


# Not close, and warned all the same: several phones together made the minutes, or the
# configuration counts by fixed thresholds.
_CERTAINTY_WORDS: Final = {
    ExposureClass.NOT_CLOSE: _("how near, the signal does not tell surely"),
    ExposureClass.PROBABLE: _("probably within 2 metres for 15 minutes or more"),
    ExposureClass.LIKELY: _("very likely within 2 metres for 15 minutes or more"),
    ExposureClass.CERTAIN: _("almost certainly within 2 metres for 15 minutes or more"),
}


class WhoKnows(Enum):
    """Who else has been told of a warning: nobody, until its owner tells."""

    NOBODY = _("Nobody else has been told; whether you call is your decision.")
    AUTHORITY = _(
        "You chose to send your details to the health authority; this phone has told nobody else."
        " You can still call them yourself."
    )
    WITHDRAWN = _(
        "You sent your details to the health authority and have withdrawn them; this phone has told"
        " nobody else. Whether you call is your decision."
    )


_DAY_MINUTES: Final = 24 * 60  # a window that began before midnight may end after it

# The Ministry of Health's COVID-19 line since 2020.
HOTLINE: Final = "1900 9095"


@dataclass(frozen=True, slots=True)
class ExposureWarning:
    """One Vietnamese day on which the owner was in close contact with confirmed cases.

    `key_days` are the days (since 1970-01-01, UTC) of the reported keys, `minutes` the whole
    time together (two cases at once count once), `encounters` how many keys it came from,
    `noticed_at` the Unix time of the first check that showed it, `certainty` how sure it is that
    they were close for 15 minutes.
    """

    day: dt.date
    key_days: tuple[int, ...]
    parts: tuple[PartOfDay, ...]
    minutes: int
    encounters: int
    noticed_at: int
    certainty: ExposureClass = ExposureClass.PROBABLE

    def text(self, language: str = DEFAULT_LANGUAGE) -> str:
        """What happened, in one paragraph."""
        when = ", ".join(part_words(part, language) for part in self.parts)
        return translate(
            _(
                "On {day} ({when}) this phone was near the phone of a person who has since been"
                " confirmed with COVID-19, for about {minutes} minutes in all: {certainty}. The"
                " distance is estimated from the Bluetooth signal and may be wrong, for example"
                " through a wall."
            ),
            language,
            day=self.day.strftime("%d/%m/%Y"),
            when=when,
            minutes=self.minutes,
            certainty=self.certainty_words(language),
        )

    def certainty_words(self, language: str = DEFAULT_LANGUAGE) -> str:
        """How sure it is."""
        return translate(_CERTAINTY_WORDS[self.certainty], language)

    def advice(
        self, language: str = DEFAULT_LANGUAGE, who_knows: WhoKnows = WhoKnows.NOBODY
    ) -> str:
        """What to do now, and who knows; Handovers tells who does."""
        what_to_do = translate(
            _(
                "What to do: stay at home and away from others, and call your commune health"
                " station or the Ministry of Health on {hotline}. They decide about a test and"
                " quarantine."
            ),
            language,
            hotline=HOTLINE,
        )
        return f"{what_to_do} {translate(who_knows.value, language)}"


def part_words(part: PartOfDay, language: str = DEFAULT_LANGUAGE) -> str:
    """A part of the day in words."""
    return translate(_PART_WORDS[part], language)


def explain(
    day: dt.date,
    windows: Sequence[ExposureWindow],
    noticed_at: float,
    certainty: ExposureClass,
) -> ExposureWarning:
    """The warning for the windows of one Vietnamese day. ValueError if there is none."""
    if not windows:
        raise ValueError(f"{day} has no exposure window to explain")
    parts: set[PartOfDay] = set()
    for window in windows:
        for scan in window.scan_instances:
            if scan.time is not None:
                parts.add(PartOfDay.of(scan.time))
    return ExposureWarning(
        day=day,
        key_days=tuple(sorted({window.day for window in windows})),
        parts=tuple(part for part in PartOfDay if part in parts),
        minutes=_minutes(windows),
        encounters=len({window.encounter for window in windows}),
        noticed_at=round(noticed_at),
        certainty=certainty,
    )


def _minutes(windows: Sequence[ExposureWindow]) -> int:
    """How long anybody of them was near: the union of the scans' times, a day at most."""
    seconds, end = 0.0, float("-inf")
    spans: list[tuple[int, int]] = []
    for window in windows:
        for scan in window.scan_instances:
            if scan.time is None:  # of another system: nothing says whether it was at once
                seconds += scan.seconds_since_last_scan
            else:
                spans.append((scan.time - scan.seconds_since_last_scan, scan.time))
    for begin, stop in sorted(spans):
        seconds += max(0.0, stop - max(begin, end))
        end = max(end, stop)
    return min(_DAY_MINUTES, round(seconds / 60))
