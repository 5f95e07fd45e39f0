"""What may be handed over, and what staff may make of it (docs/protocol.md, "Hand-over")."""

from collections import Counter
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import numpy as np

from bluezone.protocol.deployment import ROLLING_PERIOD
from bluezone.protocol.handover import (
    KEPT_DAYS,
    MAX_DIARY_RECORDS,
    ContactDetails,
    HandedDiary,
    HandoverState,
)
from bluezone.protocol.intervals import day_date, vietnam_day_number
from bluezone.protocol.keys import KEY_BYTES
from bluezone.protocol.phone_number import normal
from bluezone.protocol.sightings import SCAN_RECORD, ScanRecords
from bluezone.server.errors import Refused
from bluezone.web.catalogue import LANGUAGES, _, in_all_languages

KEPT_SECONDS: Final = KEPT_DAYS * 24 * 3600
MAX_WORDS: Final = 500


class Kind(StrEnum):
    """What was handed over."""

    DETAILS = "details"
    DIARY = "diary"


# --- what phones send ------------------------------------------------------------------
def check_details(details: ContactDetails) -> None:
    """Raises Refused (422) unless what staff would call is a telephone number, or nothing.

    A page makes a link of it: `**21*…#` dialled from there would forward a worker's calls.
    """
    number = details.phone_number
    try:
        fits = not number or normal(number) == number
    except ValueError:
        fits = False
    if not fits:
        raise Refused(
            422,
            "number-malformed",
            _("This is not a mobile telephone number. Please check what you typed."),
        )


def check_diary(diary: HandedDiary) -> ScanRecords:
    """The records of a diary. Raises Refused (422) for what is none."""
    keys_fit = all(
        len(one.key) == KEY_BYTES
        and 1 <= one.rolling_period <= ROLLING_PERIOD
        and 0 <= one.rolling_start < 2**32
        for one in diary.keys
    )
    if not keys_fit:
        raise Refused(422, "diary-keys", _("A key of the app is malformed."))
    if len(diary.records) % SCAN_RECORD.itemsize:
        raise Refused(422, "diary-records", _("The app sent a diary that is cut off."))
    records = np.frombuffer(diary.records, SCAN_RECORD)
    if len(records) > MAX_DIARY_RECORDS:
        raise Refused(
            422,
            "diary-too-long",
            _("The app sent more than {records} records."),
            records=MAX_DIARY_RECORDS,
        )
    return records


@dataclass(frozen=True, slots=True)
class DiaryDay:
    """How much of a diary fell on one Vietnamese day."""

    day: str  # ISO
    records: int


def diary_days(records: ScanRecords) -> list[DiaryDay]:
    """How many records each Vietnamese day has."""
    numbers = Counter(map(vietnam_day_number, records["time"].tolist()))
    return [DiaryDay(day_date(day).isoformat(), numbers[day]) for day in sorted(numbers)]


# --- what staff decide -----------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class Template:
    """A message ready to send with one decision about one kind of hand-over."""

    name: str
    kind: Kind
    state: HandoverState
    text: str


TEMPLATES: Final = (
    Template(
        "stay-home",
        Kind.DETAILS,
        HandoverState.CONFIRMED,
        _(
            "You were in contact with a person whose infection is confirmed. Please stay at home,"
            " keep away from others and wait for our call."
        ),
    ),
    Template(
        "come-for-test",
        Kind.DETAILS,
        HandoverState.CONFIRMED,
        _(
            "You were in contact with a person whose infection is confirmed. Please call your"
            " health station to arrange a test, and wear a mask on the way."
        ),
    ),
    Template(
        "no-contact",
        Kind.DETAILS,
        HandoverState.CLEARED,
        _(
            "We have looked into it: it was no contact that matters. You need not stay at home."
            " Should you feel ill, call your health station."
        ),
    ),
    Template(
        "seen-already",
        Kind.DETAILS,
        HandoverState.CLEARED,
        _("We have spoken with you about this already; there is nothing more to do."),
    ),
    Template(
        "diary-used",
        Kind.DIARY,
        HandoverState.CONFIRMED,
        _("Thank you. Your diary helps us to find and warn those who were near you."),
    ),
    Template(
        "diary-not-needed",
        Kind.DIARY,
        HandoverState.CLEARED,
        _("Thank you. We do not need your diary any more; you can withdraw it, and it is deleted."),
    ),
)


def templates_for(kind: Kind, state: HandoverState) -> list[Template]:
    """The messages that go with a decision."""
    return [one for one in TEMPLATES if one.kind is kind and one.state is state]


def decision_message(kind: Kind, state: HandoverState, template: str, words: str) -> dict[str, str]:
    """What the person is told, by language. Raises Refused (400).

    Own words stand below the template, in whatever language they were written in.
    """
    if state not in (HandoverState.CONFIRMED, HandoverState.CLEARED):
        raise Refused(400, "decision-unknown", _("A decision is either confirmed or cleared."))
    words = words.replace("\r\n", "\n").strip()
    if len(words) > MAX_WORDS or "\0" in words:
        raise Refused(
            400,
            "words-too-long",
            _("Your own words may have {characters} characters at most."),
            characters=MAX_WORDS,
        )
    chosen = next((one for one in templates_for(kind, state) if one.name == template), None)
    if template and chosen is None:
        raise Refused(400, "template-unknown", _("Please choose a message from the list."))
    if chosen is None and not words:
        raise Refused(
            400, "message-missing", _("Please choose a message or write one: the person reads it.")
        )
    texts = in_all_languages(chosen.text) if chosen else dict.fromkeys(LANGUAGES, "")
    return {
        language: "\n\n".join(part for part in (text, words) if part)
        for language, text in texts.items()
    }


# --- how a warning is shown ------------------------------------------------------------
_PARTS: Final = {
    "night": _("at night"),
    "morning": _("in the morning"),
    "noon": _("around noon"),
    "afternoon": _("in the afternoon"),
    "evening": _("in the evening"),
}
_CERTAINTIES: Final = {
    "not_close": _("how near, the signal does not tell surely"),
    "probable": _("probably within 2 metres for 15 minutes or more"),
    "likely": _("very likely within 2 metres for 15 minutes or more"),
    "certain": _("almost certainly within 2 metres for 15 minutes or more"),
}


def part_word(part: str) -> str:
    """A part of the day as the phone names it, as a message; another word stays as it is."""
    return _PARTS.get(part, part)


def certainty_word(certainty: str) -> str:
    """A certainty by its name or number, as a message; another word stays as it is."""
    if certainty in ("0", "1", "2", "3"):
        return list(_CERTAINTIES.values())[int(certainty)]
    return _CERTAINTIES.get(certainty.lower(), certainty)
