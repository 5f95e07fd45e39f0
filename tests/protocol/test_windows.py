"""Exposure windows: what they may span, what they count, and what they leave out."""

import dataclasses
from random import Random

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

from bluezone.protocol.beacon import encode_metadata
from bluezone.protocol.exposure import (
    MAX_SECONDS_PER_SCAN,
    MAX_WINDOW_SECONDS,
    ExposureWindow,
    Infectiousness,
)
from bluezone.protocol.intervals import vietnam_time
from bluezone.protocol.key_table import KeyTable
from bluezone.protocol.keys import (
    DiagnosisKey,
    ReportType,
    TemporaryExposureKey,
    associated_encrypted_metadata_key,
    crypt_metadata,
    rolling_proximity_identifiers,
)
from bluezone.protocol.matching import find_matches
from bluezone.protocol.sightings import SCAN_RECORD, ScanRecords
from bluezone.protocol.windows import exposure_windows

_START = 2_642_976
_MIDNIGHT = _START * 600
_TEK = TemporaryExposureKey(bytes(range(16)), _START, 144)
_TOMORROW = TemporaryExposureKey(bytes(16), _START + 144, 144)


@dataclasses.dataclass(frozen=True)
class _Heard:
    time: int
    seconds: int = 240
    tek: TemporaryExposureKey = _TEK
    rssi: tuple[int, ...] = (-70, -66)
    metadata: bytes = encode_metadata(-8)

    def record(self) -> np.void:
        offset = self.time // 600 - self.tek.rolling_start
        rpi = rolling_proximity_identifiers(self.tek)[16 * offset : 16 * offset + 16]
        aem = crypt_metadata(associated_encrypted_metadata_key(self.tek.key), rpi, self.metadata)
        mean = round(100 * sum(self.rssi) / len(self.rssi))
        row = (rpi, aem, self.time, self.seconds, mean, max(self.rssi), len(self.rssi), True, b"")
        return np.array(row, SCAN_RECORD)[()]


def _records(heard: list[_Heard]) -> ScanRecords:
    return np.array([row.record() for row in heard], SCAN_RECORD)


def _windows(heard: list[_Heard], *keys: DiagnosisKey, first: int = 0) -> list[ExposureWindow]:
    table = KeyTable.of(keys or [DiagnosisKey(_TEK, days_since_onset=2)])
    records = _records(heard)

    def infectiousness(days: int | None) -> Infectiousness:
        return Infectiousness.HIGH if days == 2 else Infectiousness.STANDARD

    matches = find_matches(table, records)
    return exposure_windows(table, records, matches, infectiousness, first_encounter=first)


_diaries = st.lists(
    st.builds(
        _Heard,
        # Times coincide or nearly so, and records of one scan disagree on how long it stood.
        time=st.integers(_MIDNIGHT, _MIDNIGHT + 4 * 3600) | st.integers(_MIDNIGHT, _MIDNIGHT + 9),
        seconds=st.integers(0, 65_535) | st.integers(0, 9),
        rssi=st.lists(st.integers(-105, -30), min_size=1, max_size=4).map(tuple),
    ),
    max_size=25,
)


@given(_diaries)
def test_windows_keep_their_limits_and_lose_no_scan(heard: list[_Heard]) -> None:
    windows = _windows(heard)
    scans = [scan for window in windows for scan in window.scan_instances]
    times = [scan.time or 0 for scan in scans]
    assert times == sorted(set(times))
    assert set(times) <= {row.time for row in heard}
    assert bool(times) is bool(heard)
    if heard:
        assert min(times) == min(row.time for row in heard)
    for window in windows:
        inside = [scan.time or 0 for scan in window.scan_instances]
        assert inside
        assert inside[-1] - inside[0] < MAX_WINDOW_SECONDS
        assert window.seconds <= MAX_WINDOW_SECONDS
        assert window.encounter == 0
    assert all(0 <= scan.seconds_since_last_scan <= MAX_SECONDS_PER_SCAN for scan in scans)
    assert all(scan.min_attenuation <= scan.typical_attenuation for scan in scans)


def test_overlapping_scans_never_stand_for_more_than_thirty_minutes() -> None:
    heard = [_Heard(_MIDNIGHT + 200 * i, seconds=300) for i in range(9)]  # in 27 minutes
    assert [window.seconds for window in _windows(heard)] == [1800, 900]


@given(_diaries, st.randoms())
def test_neither_order_nor_repetition_changes_a_window(heard: list[_Heard], random: Random) -> None:
    shuffled = heard + heard[: len(heard) // 2]
    random.shuffle(shuffled)
    assert _windows(shuffled) == _windows(heard)


def test_attenuation_is_the_sent_power_less_the_received_level() -> None:
    (window,) = _windows([_Heard(_MIDNIGHT + 60, rssi=(-70, -66, -71))])
    (scan,) = window.scan_instances
    assert scan.typical_attenuation == pytest.approx(-8 + 69)
    assert scan.min_attenuation == -8 + 66
    assert (scan.seconds_since_last_scan, scan.time) == (240, _MIDNIGHT + 60)
    assert window.day == _START // 144
    assert (window.report_type, window.infectiousness) == (
        ReportType.CONFIRMED_TEST,
        Infectiousness.HIGH,
    )


def test_half_an_hour_of_scans_is_one_window_and_the_next_scan_begins_another() -> None:
    windows = _windows([_Heard(_MIDNIGHT + 300 * i, seconds=300) for i in range(7)])
    assert [len(window.scan_instances) for window in windows] == [6, 1]


@pytest.mark.parametrize(("later", "count"), [(MAX_WINDOW_SECONDS - 1, 1), (MAX_WINDOW_SECONDS, 2)])
def test_a_window_spans_less_than_half_an_hour(later: int, count: int) -> None:
    heard = [_Heard(_MIDNIGHT, seconds=60), _Heard(_MIDNIGHT + later, seconds=60)]
    assert len(_windows(heard)) == count


def test_an_encounter_across_the_turn_of_the_day_is_two_encounters() -> None:
    # Two keys meet at 07:00 in Vietnam; nothing says that they are one phone's.
    midnight = _MIDNIGHT + 144 * 600
    assert vietnam_time(midnight).hour == 7
    before = [_Heard(midnight - 240 * i) for i in (3, 2, 1)]
    after = [_Heard(midnight + 240 * i, tek=_TOMORROW) for i in (0, 1)]
    windows = _windows(before + after, DiagnosisKey(_TEK), DiagnosisKey(_TOMORROW))
    assert [len(window.scan_instances) for window in windows] == [3, 2]
    assert [window.day for window in windows] == [_START // 144, _START // 144 + 1]
    assert [window.encounter for window in windows] == [0, 1]
    assert sum(window.seconds for window in windows) == 5 * 240


def test_two_identifiers_of_one_scan_are_one_instance() -> None:
    turn = _MIDNIGHT + 600
    (window,) = _windows([_Heard(turn - 1, rssi=(-60,)), _Heard(turn + 2, rssi=(-70, -70, -70))])
    (scan,) = window.scan_instances
    assert scan.typical_attenuation == pytest.approx(-8 + 67.5)
    assert scan.min_attenuation == -8 + 60
    assert scan.seconds_since_last_scan == 240


def test_a_late_first_packet_does_not_join_two_scans() -> None:
    # Scans four minutes apart; the first packet came four seconds into the first of them.
    (window,) = _windows([_Heard(_MIDNIGHT + 4), _Heard(_MIDNIGHT + 240)])
    assert window.seconds == 2 * 240


def test_scans_five_seconds_apart_are_scans_of_their_own() -> None:
    (window,) = _windows([_Heard(_MIDNIGHT + 5 * i, seconds=5) for i in range(12)])
    assert window.seconds == 60


def test_metadata_of_a_foreign_version_is_dropped() -> None:
    foreign = b"\x80" + encode_metadata(-8)[1:]
    heard = [_Heard(_MIDNIGHT, metadata=foreign), _Heard(_MIDNIGHT + 240)]
    (window,) = _windows(heard)
    assert [scan.time for scan in window.scan_instances] == [_MIDNIGHT + 240]
    assert _windows(heard[:1]) == []


def test_a_minor_version_we_do_not_know_is_read() -> None:
    assert len(_windows([_Heard(_MIDNIGHT, metadata=b"\x70" + encode_metadata(-8)[1:])])) == 1


def test_a_revision_replaces_the_report_it_revises() -> None:
    revoked = DiagnosisKey(_TEK, ReportType.REVOKED)
    (window,) = _windows([_Heard(_MIDNIGHT)], DiagnosisKey(_TEK, days_since_onset=2), revoked)
    assert window.report_type is ReportType.REVOKED
    assert window.infectiousness is Infectiousness.STANDARD


def test_encounters_are_numbered_on() -> None:
    heard = [_Heard(_MIDNIGHT), _Heard(_MIDNIGHT + 144 * 600, tek=_TOMORROW)]
    windows = _windows(heard, DiagnosisKey(_TEK), DiagnosisKey(_TOMORROW), first=7)
    assert [window.encounter for window in windows] == [7, 8]
