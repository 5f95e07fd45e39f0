"""Matching against an exhaustive search, and the edges of its tolerance."""

from dataclasses import dataclass

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

from bluezone.protocol.deployment import REPLAY_TOLERANCE_SECONDS
from bluezone.protocol.key_table import KeyTable
from bluezone.protocol.keys import (
    DiagnosisKey,
    TemporaryExposureKey,
    rolling_proximity_identifiers,
)
from bluezone.protocol.matching import find_matches
from bluezone.protocol.sightings import SCAN_RECORD, ScanRecords

_START = 2_642_976  # 00:00 UTC
_TEK = TemporaryExposureKey(bytes(range(16)), _START, 144)


@dataclass(frozen=True)
class _Heard:
    rpi: bytes
    time: int
    trusted: bool = True


def _records(heard: list[_Heard]) -> ScanRecords:
    records = np.zeros(len(heard), SCAN_RECORD)
    records["time"] = [row.time for row in heard]
    records["trusted_clock"] = [row.trusted for row in heard]
    if heard:
        records["rpi"] = np.frombuffer(b"".join(row.rpi for row in heard), "V16")
    return records


def _table(*teks: TemporaryExposureKey) -> KeyTable:
    return KeyTable.of(DiagnosisKey(tek) for tek in teks)


def _identifier(tek: TemporaryExposureKey, offset: int) -> bytes:
    return rolling_proximity_identifiers(tek)[16 * offset : 16 * offset + 16]


def _pairs(keys: KeyTable, heard: list[_Heard]) -> list[tuple[int, int]]:
    matches = find_matches(keys, _records(heard))
    return list(zip(matches.key_row.tolist(), matches.record_row.tolist(), strict=True))


def _exhaustive(teks: list[TemporaryExposureKey], heard: list[_Heard]) -> list[tuple[int, int]]:
    return [
        (key_row, record_row)
        for key_row, tek in enumerate(teks)
        for record_row, record in enumerate(heard)
        if record.trusted
        and any(
            _identifier(tek, offset) == record.rpi
            and -REPLAY_TOLERANCE_SECONDS
            <= record.time - (tek.rolling_start + offset) * 600
            < 600 + REPLAY_TOLERANCE_SECONDS
            for offset in range(tek.rolling_period)
        )
    ]


_teks = st.lists(
    st.builds(
        TemporaryExposureKey,
        st.sampled_from([bytes([n] * 16) for n in range(4)]),  # the same key may come twice
        st.integers(_START - 150, _START + 150),
        st.integers(1, 144),
    ),
    min_size=1,
    max_size=4,
)


@st.composite
def _scenes(draw: st.DrawFn) -> tuple[list[TemporaryExposureKey], list[_Heard]]:
    teks = draw(_teks)
    heard = []
    for _ in range(draw(st.integers(0, 12))):
        tek = draw(st.sampled_from(teks))
        offset = draw(st.sampled_from([0, tek.rolling_period - 1, tek.rolling_period // 2]))
        rpi = draw(st.sampled_from([_identifier(tek, offset), bytes(16)]))
        start = (tek.rolling_start + offset) * 600
        edge = draw(st.sampled_from([-7200, 0, 600, 600 + 7200]))
        heard.append(_Heard(rpi, start + edge + draw(st.integers(-1, 1)), draw(st.booleans())))
    return teks, heard


@given(_scenes())
def test_it_finds_what_an_exhaustive_search_finds(
    scene: tuple[list[TemporaryExposureKey], list[_Heard]],
) -> None:
    teks, heard = scene
    assert _pairs(_table(*teks), heard) == _exhaustive(teks, heard)


@pytest.mark.parametrize("offset", [0, 143])
@pytest.mark.parametrize(
    ("seconds", "matches"),
    [(-7201, False), (-7200, True), (0, True), (599, True), (7799, True), (7800, False)],
)
def test_an_identifier_counts_two_hours_around_its_interval(
    offset: int, seconds: int, matches: bool
) -> None:
    heard = [_Heard(_identifier(_TEK, offset), (_START + offset) * 600 + seconds)]
    assert bool(_pairs(_table(_TEK), heard)) is matches


def test_an_identifier_after_a_truncated_key_is_not_its() -> None:
    truncated = TemporaryExposureKey(_TEK.key, _START, 60)
    heard = [_Heard(_identifier(_TEK, offset), (_START + offset) * 600) for offset in (59, 60)]
    assert _pairs(_table(truncated), heard) == [(0, 0)]


def test_a_record_under_an_untrusted_clock_never_matches() -> None:
    heard = [_Heard(_identifier(_TEK, 5), (_START + 5) * 600, trusted=False)]
    assert _pairs(_table(_TEK), heard) == []


@pytest.mark.parametrize("byte", range(16))
def test_all_sixteen_bytes_must_be_equal(byte: int) -> None:
    almost = bytearray(_identifier(_TEK, 5))
    almost[byte] ^= 1
    assert _pairs(_table(_TEK), [_Heard(bytes(almost), (_START + 5) * 600)]) == []


def test_an_encounter_across_the_turn_of_the_day_matches_both_keys() -> None:
    # 00:00 UTC, when keys turn, is 07:00 in Vietnam.
    tomorrow = TemporaryExposureKey(bytes(16), _START + 144, 144)
    midnight = (_START + 144) * 600
    heard = [
        _Heard(_identifier(_TEK, 143), midnight - 200),
        _Heard(_identifier(tomorrow, 0), midnight + 100),
    ]
    assert _pairs(_table(tomorrow, _TEK), heard) == [(0, 1), (1, 0)]


def test_a_whole_diary_of_many_keys() -> None:
    rng = np.random.default_rng(11)
    teks = [
        TemporaryExposureKey(rng.bytes(16), _START + 144 * int(rng.integers(0, 14)), 144)
        for _ in range(13_000)  # enough for the compiled kernel
    ]
    planted = [0, 1023, 1024, 6500, 12_999]
    heard = [
        _Heard(rng.bytes(16), (_START + int(rng.integers(0, 14 * 144))) * 600) for _ in range(5000)
    ]
    for place, row in enumerate(planted):
        offset = (0, 143)[place % 2]
        time = (teks[row].rolling_start + offset) * 600
        heard[1000 * place] = _Heard(_identifier(teks[row], offset), time)
    expected = [(row, 1000 * place) for place, row in enumerate(planted)]
    assert _pairs(_table(*teks), heard) == expected


def test_nothing_matches_nothing() -> None:
    heard = [_Heard(_identifier(_TEK, 0), _START * 600)]
    assert _pairs(_table(), heard) == []
    assert _pairs(_table(_TEK), []) == []
    assert len(find_matches(_table(), np.zeros(0, SCAN_RECORD))) == 0


def test_times_at_the_end_of_the_clock_do_no_harm() -> None:
    late = TemporaryExposureKey(bytes(16), 2**32 - 10, 144)
    heard = [_Heard(_identifier(_TEK, 0), 2**32 - 1), _Heard(_identifier(_TEK, 0), 0)]
    assert _pairs(_table(late, _TEK), heard) == []
