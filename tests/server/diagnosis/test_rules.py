"""Which codes, uploads and releases are acceptable."""

import datetime as dt
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bluezone.protocol.deployment import EMBARGO_SECONDS, ROLLING_PERIOD, UPLOAD_KEY_SLOTS
from bluezone.protocol.intervals import interval_number, vietnam_day
from bluezone.protocol.keys import TemporaryExposureKey
from bluezone.protocol.upload import KeyUpload, UploadedKey
from bluezone.server.diagnosis import rules
from bluezone.server.errors import Refused

NOW = 1_611_144_000 + 12 * 60  # 2021-01-20T12:12:00Z
TODAY = interval_number(NOW) // ROLLING_PERIOD
PRESENT = interval_number(NOW) - TODAY * ROLLING_PERIOD  # intervals of today before this one

times = st.integers(1_600_000_000, 2_000_000_000)


def slot(
    day: int, start: int = 0, period: int = ROLLING_PERIOD, onset: int | None = None
) -> UploadedKey:
    return UploadedKey(
        key=os.urandom(16),
        rolling_start=day * ROLLING_PERIOD + start,
        rolling_period=period,
        days_since_onset=onset,
    )


def upload(*real: UploadedKey, slots: int = UPLOAD_KEY_SLOTS, report_type: int = 1) -> KeyUpload:
    unused = [
        UploadedKey(key=os.urandom(16), rolling_start=7, rolling_period=0)
        for _ in range(slots - len(real))
    ]
    return KeyUpload(
        keys=[*unused, *real],
        report_type=report_type,
        permission_key_id="",
        permission_prefix=b"",
        permission_signature=b"",
    )


def refused(message: KeyUpload, now: float = NOW) -> str:
    with pytest.raises(Refused) as caught:
        rules.check_upload(message, now)
    assert caught.value.status_code == 422
    assert set(caught.value.refusal().message) == {"vi", "en"}
    return caught.value.error


@given(
    now=times,
    days=st.sets(st.integers(0, rules.MAX_AGE_DAYS), min_size=1),
    cuts=st.dictionaries(st.integers(0, 20), st.integers(1, ROLLING_PERIOD - 1)),
    onset_age=st.none() | st.integers(0, 14),
)
def test_whatever_a_phone_can_have_is_accepted(
    now: int, days: set[int], cuts: dict[int, int], onset_age: int | None
) -> None:
    """Any days, some with their key cut by an earlier report and a second key after it."""
    present = interval_number(now)
    today = present // ROLLING_PERIOD
    real: list[UploadedKey] = []
    for age in sorted(days, reverse=True)[: UPLOAD_KEY_SLOTS // 2]:
        day = today - age
        length = present + 1 - day * ROLLING_PERIOD if age == 0 else ROLLING_PERIOD
        since = None if onset_age is None else onset_age - age
        cut = cuts.get(age, 0)
        if 0 < cut < length:
            real += [slot(day, 0, cut, since), slot(day, cut, length - cut, since)]
        else:
            real.append(slot(day, 0, length, since))
    accepted = rules.check_upload(upload(*real), now)
    assert [one.tek.key for one in accepted] == [one.key for one in real]


def test_thirty_slots_not_thirty_one() -> None:
    assert refused(upload(slot(TODAY - 1), slots=31)) == "keys-count"
    assert refused(upload(slot(TODAY - 1), slots=29)) == "keys-count"


def test_an_upload_without_keys() -> None:
    assert refused(upload()) == "keys-none"


def test_the_same_key_twice() -> None:
    one = slot(TODAY - 1)
    other = UploadedKey(key=one.key, rolling_start=one.rolling_start - 144, rolling_period=144)
    assert refused(upload(one, other)) == "keys-repeated"


@pytest.mark.parametrize("length", [0, 15, 17, 32])
def test_a_key_of_another_length(length: int) -> None:
    one = UploadedKey(key=bytes(length), rolling_start=(TODAY - 1) * 144, rolling_period=144)
    assert refused(upload(one)) == "keys-malformed"


@pytest.mark.parametrize("period", [-1, 145, 2**40])
def test_a_key_of_an_impossible_period(period: int) -> None:
    assert refused(upload(slot(TODAY - 3, 0, period))) == "keys-malformed"


def test_overlapping_keys() -> None:
    assert refused(upload(slot(TODAY - 2), slot(TODAY - 2))) == "keys-overlap"
    assert refused(upload(slot(TODAY - 2, 0, 100), slot(TODAY - 2, 99, 45))) == "keys-overlap"


def test_too_old_keys_are_refused_from_the_hour_at_which_ours_are_deleted() -> None:
    oldest = TODAY - rules.MAX_AGE_DAYS
    rules.check_upload(upload(slot(oldest)), NOW)
    assert refused(upload(slot(oldest - 1), slot(TODAY - 1))) == "keys-too-old"
    assert refused(upload(slot(0, -5))) == "keys-too-old"


def test_keys_of_the_future() -> None:
    assert refused(upload(slot(TODAY))) == "keys-in-future"
    assert refused(upload(slot(TODAY + 1))) == "keys-in-future"
    assert refused(upload(slot(TODAY, 0, PRESENT + 2))) == "keys-in-future"
    rules.check_upload(upload(slot(TODAY, 0, PRESENT + 1)), NOW)


def test_a_phone_whose_clock_is_a_little_ahead_may_report() -> None:
    just_before = NOW - NOW % 600 + 599
    ahead = slot(TODAY, 0, interval_number(just_before) + 2 - TODAY * ROLLING_PERIOD)
    rules.check_upload(upload(ahead), just_before)
    assert refused(upload(ahead), just_before - 599) == "keys-in-future"


def test_a_key_must_begin_with_its_day_or_where_another_ended() -> None:
    assert refused(upload(slot(TODAY - 2, 10, 100))) == "keys-misaligned"
    assert refused(upload(slot(TODAY - 2, 0, 50), slot(TODAY - 2, 51, 93))) == "keys-misaligned"
    assert refused(upload(slot(TODAY - 2, 0, 50), slot(TODAY - 2, 50, 144))) == "keys-misaligned"


def test_one_phone_has_one_onset() -> None:
    rules.check_upload(upload(slot(TODAY - 2, onset=1), slot(TODAY - 1, onset=2)), NOW)
    assert refused(upload(slot(TODAY - 2, onset=1), slot(TODAY - 1, onset=1))) == "keys-onset"
    assert refused(upload(slot(TODAY - 2, onset=1), slot(TODAY - 1))) == "keys-onset"
    assert refused(upload(slot(TODAY - 2, onset=16))) == "keys-onset"


@pytest.mark.parametrize("report_type", [-1, 6, 255])
def test_an_unknown_report_type(report_type: int) -> None:
    assert refused(upload(slot(TODAY - 1), report_type=report_type)) == "keys-report-type"


@given(
    now=times,
    start=st.integers(0, 3_400_000),
    period=st.integers(1, 144),
    grid=st.sampled_from([600, 3600, 7200]),
)
def test_no_key_is_released_while_it_can_be_replayed(
    now: int, start: int, period: int, grid: int
) -> None:
    key = TemporaryExposureKey(bytes(16), start, period)
    at = rules.release_time(key, now, grid)
    earliest = max(now, key.end_time + EMBARGO_SECONDS)
    assert earliest <= at < earliest + grid
    assert at % grid == 0


@given(now=times, later=st.integers(0, 30 * 86400), age=st.integers(0, 40))
def test_a_deleted_key_cannot_come_back(now: int, later: int, age: int) -> None:
    start = (interval_number(now) // ROLLING_PERIOD - age) * ROLLING_PERIOD
    if start < rules.oldest_interval(now):  # deleted at `now`
        message = upload(slot(start // ROLLING_PERIOD))
        assert refused(message, now + later) == "keys-too-old"


def test_codes_look_random_and_are_read_aloud_in_fours() -> None:
    codes = {rules.new_code() for _ in range(200)}
    assert len(codes) == 200
    assert all(len(code) == 12 and code.isdigit() for code in codes)
    assert rules.shown_code("012345678901") == "0123-4567-8901"


@given(st.text(alphabet="0123456789", min_size=12, max_size=12))
def test_a_code_is_understood_as_shown_and_as_typed(code: str) -> None:
    assert rules.typed_code(rules.shown_code(code)) == code
    assert rules.typed_code(f" {code[:4]} {code[4:8]}\u00a0{code[8:]} ") == code


@pytest.mark.parametrize("text", ["", "1234", "1" * 13, "12345678901a", "١" * 12, "²" * 12])
def test_what_is_no_code(text: str) -> None:
    with pytest.raises(Refused) as caught:
        rules.typed_code(text)
    assert caught.value.error == "code-malformed"


def test_the_stored_form_of_a_code_needs_the_pepper() -> None:
    assert rules.code_mac("1" * 12, b"a" * 32) != rules.code_mac("1" * 12, b"b" * 32)


def test_onset_is_a_vietnamese_day_of_the_last_fortnight() -> None:
    late_evening = 1_611_100_000 - 1_611_100_000 % 86400 + 18 * 3600  # 01:00 next day in Vietnam
    today = vietnam_day(late_evening)
    assert rules.check_onset(today.isoformat(), late_evening) == today.isoformat()
    assert rules.check_onset("", late_evening) is None
    for day, error in [
        ((today + dt.timedelta(1)).isoformat(), "onset-out-of-range"),
        ((today - dt.timedelta(15)).isoformat(), "onset-out-of-range"),
        ("20/01/2021", "onset-malformed"),
    ]:
        with pytest.raises(Refused) as caught:
            rules.check_onset(day, late_evening)
        assert caught.value.error == error


@given(due=st.integers(0, 3000), minimum=st.integers(0, 2000))
def test_padding_fills_up_and_blurs(due: int, minimum: int) -> None:
    wanted = rules.padding_wanted(due, minimum, rules.secrets.SystemRandom())
    assert max(0, minimum - due) <= wanted <= max(0, minimum - due) + minimum // 10
