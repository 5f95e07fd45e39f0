"""Which codes, uploads and releases are acceptable: decisions without database or network.

docs/protocol.md, "Upload".
"""

import datetime as dt
import hmac
import re
import secrets
from typing import Final

from bluezone.protocol.deployment import (
    APP_PORT,
    CODE_DIGITS,
    EMBARGO_SECONDS,
    RETENTION_DAYS,
    ROLLING_PERIOD,
    UPLOAD_KEY_SLOTS,
)
from bluezone.protocol.intervals import day_start_interval, interval_number, vietnam_day
from bluezone.protocol.keys import (
    KEY_BYTES,
    DiagnosisKey,
    ReportType,
    TemporaryExposureKey,
)
from bluezone.protocol.upload import KeyUpload, UploadedKey
from bluezone.server.errors import Refused
from bluezone.web.catalogue import _

# An upload may cross midnight between permission and arrival, so a day more than a phone keeps.
MAX_AGE_DAYS: Final = RETENTION_DAYS + 1
# Published files state the onset within a fortnight; the extra day is the one above.
MAX_DAYS_FROM_ONSET: Final = RETENTION_DAYS + 1
CLOCK_ERROR_SECONDS: Final = 300  # a phone's clock may be ahead of ours by this much
# A phone that lost our answer asks again; a health worker looks back at the shift.
CODE_KEPT_SECONDS: Final = 24 * 3600  # after it expired
# A case may hand over the diary once the report is through, or after a night's sleep.
CODE_NAMES_UNIT_SECONDS: Final = 24 * 3600  # after its issue

_BETWEEN_DIGITS: Final = re.compile(r"[\s.\u2013-]")  # as people write codes down

# What a health worker may state, by the name it has on forms and in the JSON interface.
REPORT_TYPES: Final = {
    "confirmed-test": ReportType.CONFIRMED_TEST,
    "clinical-diagnosis": ReportType.CONFIRMED_CLINICAL_DIAGNOSIS,
}


# --- codes -----------------------------------------------------------------------------
def new_code() -> str:
    """CODE_DIGITS random decimal digits: 40 bits, good for one hour and few tries."""
    return f"{secrets.randbelow(10**CODE_DIGITS):0{CODE_DIGITS}d}"


def shown_code(code: str) -> str:
    """The code as people read it aloud: 4-4-4."""
    return "-".join(code[at : at + 4] for at in range(0, len(code), 4))


def code_link(code: str) -> str:
    """Opens the patient's app, on the patient's own machine, with the code filled in.

    The code stands behind `#`, which no browser sends to anybody.
    """
    return f"http://127.0.0.1:{APP_PORT}/report.html#code={code}"


def typed_code(text: str) -> str:
    """The digits of a code as somebody typed it. Raises Refused if it cannot be one."""
    digits = _BETWEEN_DIGITS.sub("", text)
    if len(digits) != CODE_DIGITS or not (digits.isascii() and digits.isdigit()):
        raise Refused(
            400,
            "code-malformed",
            _("A code has {digits} digits. Please check what you typed."),
            digits=CODE_DIGITS,
        )
    return digits


def code_mac(code: str, pepper: bytes) -> bytes:
    """What is stored of a code: 32 bytes, worthless without the pepper.

    Rows are found by this value, so how long a search takes says nothing about the code.
    """
    return hmac.digest(pepper, code.encode(), "sha256")


def report_type_named(name: str) -> ReportType:
    """The report type a form names. Raises Refused."""
    try:
        return REPORT_TYPES[name]
    except KeyError:
        raise Refused(
            400,
            "report-type-unknown",
            _("Please choose the kind of diagnosis from the list."),
        ) from None


def check_onset(text: str | None, now: float) -> str | None:
    """The ISO day on which symptoms began (Vietnamese calendar), or None. Raises Refused."""
    if not text:
        return None
    try:
        day = dt.date.fromisoformat(text)
    except ValueError:
        raise Refused(
            400,
            "onset-malformed",
            _("The day on which symptoms began is not a date (year-month-day)."),
        ) from None
    today = vietnam_day(now)
    if not today - dt.timedelta(days=RETENTION_DAYS) <= day <= today:
        raise Refused(
            400,
            "onset-out-of-range",
            _("The day on which symptoms began must lie within the last {days} days."),
            days=RETENTION_DAYS,
        )
    return day.isoformat()


# --- uploads ---------------------------------------------------------------------------
def check_upload(upload: KeyUpload, now: float) -> list[DiagnosisKey]:
    """The real keys of an upload at server time `now`, oldest first. Raises Refused (422).

    All keys of an upload come from one phone: 1 to 30 keys of 16 bytes, one after the
    other without overlap, each within one UTC day from its start or from where a
    truncated key of the same upload ended, none over MAX_AGE_DAYS old, none in the future,
    all counting from one day of onset.
    """
    if len(upload.keys) != UPLOAD_KEY_SLOTS:
        raise _bad_keys("keys-count", _("The app did not send {slots} keys."))
    try:
        report_type = ReportType(upload.report_type)
    except ValueError:
        raise _bad_keys("keys-report-type", _("The app named an unknown report type.")) from None
    real = sorted(
        (slot for slot in upload.keys if slot.rolling_period != 0),
        key=lambda slot: slot.rolling_start,
    )
    if not real:
        raise _bad_keys("keys-none", _("The app sent no key."))
    if len({slot.key for slot in real}) != len(real):
        raise _bad_keys("keys-repeated", _("The app sent a key twice."))
    _check_times(real, now)
    _check_onsets(real)
    return [
        DiagnosisKey(
            TemporaryExposureKey(slot.key, slot.rolling_start, slot.rolling_period),
            report_type,
            slot.days_since_onset,
        )
        for slot in real
    ]


def _check_times(real: list[UploadedKey], now: float) -> None:
    oldest = oldest_interval(now)
    # The phone cuts today's key at the end of the running interval.
    end_of_present = interval_number(now + CLOCK_ERROR_SECONDS) + 1
    previous_end = 0
    for slot in real:
        start, end = slot.rolling_start, slot.rolling_start + slot.rolling_period
        if len(slot.key) != KEY_BYTES or not 1 <= slot.rolling_period <= ROLLING_PERIOD:
            raise _bad_keys("keys-malformed", _("A key of the app is malformed."))
        if start < oldest:
            raise _bad_keys("keys-too-old", _("A key of the app is older than {days} days."))
        if end > end_of_present:
            raise _bad_keys(
                "keys-in-future",
                _("A key of the app lies in the future. Please set the phone's clock."),
            )
        if start < previous_end:
            raise _bad_keys("keys-overlap", _("Two keys of the app overlap."))
        day_start = day_start_interval(start)
        if start not in (day_start, previous_end) or end > day_start + ROLLING_PERIOD:
            raise _bad_keys("keys-misaligned", _("A key of the app does not fit its day."))
        previous_end = end


def _check_onsets(real: list[UploadedKey]) -> None:
    onsets = {
        None
        if slot.days_since_onset is None
        else slot.rolling_start // ROLLING_PERIOD - slot.days_since_onset
        for slot in real
    }
    in_range = all(abs(slot.days_since_onset or 0) <= MAX_DAYS_FROM_ONSET for slot in real)
    if len(onsets) != 1 or not in_range:
        raise _bad_keys("keys-onset", _("The days since symptoms began do not fit together."))


def _bad_keys(error: str, message: str) -> Refused:
    # The keys are the app's doing, never the person's.
    return Refused(422, error, message, slots=UPLOAD_KEY_SLOTS, days=MAX_AGE_DAYS)


# --- release and retention -------------------------------------------------------------
def release_time(key: TemporaryExposureKey, now: float, period: int) -> int:
    """When a key that arrives at `now` may be published: Unix time on the export grid.

    Not before its identifiers can no longer be replayed, and never in a file whose hour
    is already over.
    """
    earliest = max(key.end_time + EMBARGO_SECONDS, now)
    return int(-(-earliest // period) * period)


def oldest_interval(now: float) -> int:
    """Keys that start before this interval are refused, and those we have are deleted.

    One rule for both: a key that was deleted could otherwise be uploaded, and published,
    once more.
    """
    return day_start_interval(interval_number(now)) - MAX_AGE_DAYS * ROLLING_PERIOD


def padding_wanted(due: int, minimum: int, rng: secrets.SystemRandom) -> int:
    """How many synthetic keys a file of `due` keys needs.

    Up to `minimum`, plus a random part, so that neither the size of a file nor its distance
    from the minimum says how many people reported.
    """
    return max(0, minimum - due) + rng.randrange(minimum // 10 + 1)
