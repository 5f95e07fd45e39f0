"""The verdict: who was warned, set against what the simulation knows to be true."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from bluezone.town.truth import CLOSE_METRES, CLOSE_SECONDS, NEAR_METRES
from bluezone.web.catalogue import _, translate


@dataclass(frozen=True, slots=True)
class Contact:
    """One person set against the cases.

    `minutes_close`, `minutes_near` and `minutes_together`: the most in one Vietnamese day (within
    2 m, within 4 m, in the same space). Times in Unix seconds, None where it never happened;
    `released_at` is when the keys behind the first warning were published.
    """

    number: int
    name: str
    minutes_close: float
    minutes_near: float
    minutes_together: float
    confirmed_at: float
    released_at: float | None = None
    warned_at: float | None = None

    @property
    def close(self) -> bool:
        return self.minutes_close * 60 >= CLOSE_SECONDS

    @property
    def met(self) -> bool:
        return self.minutes_together > 0


@dataclass(frozen=True, slots=True)
class Delays:
    """How long something took for each of `count` people, in minutes."""

    count: int
    median: float | None
    shortest: float | None
    longest: float | None

    @classmethod
    def of(cls, minutes: Sequence[float]) -> "Delays":
        if not minutes:
            return cls(0, None, None, None)
        return cls(
            len(minutes),
            round(statistics.median(minutes), 1),
            round(min(minutes), 1),
            round(max(minutes), 1),
        )

    def as_json(self) -> dict[str, float | None]:
        return {
            "count": self.count,
            "median": self.median,
            "shortest": self.shortest,
            "longest": self.longest,
        }


@dataclass(frozen=True, slots=True)
class Verdict:
    """Everybody but the cases is in `contacts`, whether met or not."""

    people: int
    days: int
    seed: int
    cases: tuple[str, ...]
    contacts: tuple[Contact, ...]
    scans: int
    packets: int
    packets_heard: int
    requests: int
    wall_seconds: float

    @property
    def warned_close(self) -> list[Contact]:
        return [one for one in self.contacts if one.close and one.warned_at is not None]

    @property
    def missed(self) -> list[Contact]:
        return [one for one in self.contacts if one.close and one.warned_at is None]

    @property
    def false_alarms(self) -> list[Contact]:
        return [one for one in self.contacts if not one.close and one.warned_at is not None]

    @property
    def from_confirmation(self) -> Delays:
        return Delays.of(
            [(one.warned_at - one.confirmed_at) / 60 for one in self.warned_close if one.warned_at]
        )

    @property
    def from_release(self) -> Delays:
        return Delays.of(
            [
                (one.warned_at - one.released_at) / 60
                for one in self.warned_close
                if one.warned_at and one.released_at
            ]
        )

    def as_json(self) -> dict[str, object]:
        """The last line of `--json`; docs/town.md says what each member means."""
        return {
            "people": self.people,
            "days": self.days,
            "seed": self.seed,
            "cases": list(self.cases),
            "close_contacts": sum(one.close for one in self.contacts),
            "warned_close": len(self.warned_close),
            "missed": len(self.missed),
            "false_alarms": len(self.false_alarms),
            "false_alarms_never_met": sum(not one.met for one in self.false_alarms),
            "not_contacts": sum(not one.close for one in self.contacts),
            "minutes_to_warning_median": self.from_confirmation.median,
            "minutes_from_confirmation": self.from_confirmation.as_json(),
            "minutes_from_release": self.from_release.as_json(),
            "missed_people": [one.name for one in self.missed],
            "false_alarm_people": [one.name for one in self.false_alarms],
            "scans": self.scans,
            "packets_in_range": self.packets,
            "packets_heard": self.packets_heard,
            "requests": self.requests,
            "wall_seconds": round(self.wall_seconds, 1),
        }

    def text(self, language: str) -> str:
        """The table for the terminal."""

        def say(message: str, **values: object) -> str:
            return translate(message, language, **values)

        lines = [
            say(
                _("Verdict: {people} people, {days} days, seed {seed}"),
                people=self.people,
                days=self.days,
                seed=self.seed,
            ),
            say(_("Tested positive: {names}"), names=", ".join(self.cases) or "–"),
            "",
            *_table(
                [
                    ("", say(_("warned")), say(_("not warned"))),
                    (
                        say(_("close contact in truth (within 2 m for 15 min in a day)")),
                        str(len(self.warned_close)),
                        say(_("{n} missed"), n=len(self.missed)),
                    ),
                    (
                        say(_("not a close contact")),
                        say(_("{n} wrongly"), n=len(self.false_alarms)),
                        str(sum(not one.close and one.warned_at is None for one in self.contacts)),
                    ),
                ]
            ),
            "",
        ]
        for name, delays in (
            (_("From confirmation to warning"), self.from_confirmation),
            (_("From release of the keys to warning"), self.from_release),
        ):
            if delays.count:
                lines.append(
                    f"{say(name)}: "
                    + say(
                        _("median {median} min, {shortest} to {longest} min ({count} people)"),
                        median=delays.median,
                        shortest=delays.shortest,
                        longest=delays.longest,
                        count=delays.count,
                    )
                )
        for heading, group in (
            (_("Missed:"), self.missed),
            (_("Warned wrongly:"), self.false_alarms),
        ):
            if group:
                lines += ["", say(heading)]
            for one in group:
                lines.append(
                    "  "
                    + say(
                        _(
                            "{name}: {close} min within {close_metres} m, {near} min within"
                            " {near_metres} m, {together} min in the same place"
                        ),
                        name=one.name,
                        close=round(one.minutes_close),
                        close_metres=round(CLOSE_METRES),
                        near=round(one.minutes_near),
                        near_metres=round(NEAR_METRES),
                        together=round(one.minutes_together),
                    )
                )
        return "\n".join(lines)


def _table(rows: Sequence[tuple[str, str, str]]) -> list[str]:
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    return [
        "  "
        + row[0].ljust(widths[0])
        + "  "
        + "  ".join(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))
        for row in rows
    ]
