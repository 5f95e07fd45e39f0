"""Was an encounter recorded on both sides, before either could have known the other's keys?

docs/protocol.md, "Confirmation". What a case handed over for tracing is set against what a
warned person opened of their own days. The answer is a label, never a measure of guilt: two
phones hold matching records, or one does, or somebody says so.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import groupby
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from bluezone.protocol.beacon import RPI_BYTES, decode_metadata, encode_metadata
from bluezone.protocol.day_parts import PartOfDay
from bluezone.protocol.deployment import INTERVAL_SECONDS
from bluezone.protocol.exposure import MAX_SECONDS_PER_SCAN
from bluezone.protocol.intervals import utc_day_number, vietnam_day
from bluezone.protocol.keys import (
    TemporaryExposureKey,
    associated_encrypted_metadata_key,
    crypt_metadata,
    rolling_proximity_identifiers,
)
from bluezone.protocol.sightings import ScanRecords
from bluezone.protocol.unprintable import Unprintable

# Each direction: two scans at least, so far apart. One is a passer-by, or a replayed packet.
LEAST_SCANS: Final = 2
LEAST_APART_SECONDS: Final = 180
# An identifier may be heard so long outside its interval: a phone turns late, a clock is off.
INTERVAL_TOLERANCE_SECONDS: Final = 120
# By how much two clocks may differ. A phone on a network is right within seconds; one that was
# set by hand is taken as it is, and said.
LARGEST_CLOCK_OFFSET_SECONDS: Final = 600
# Of each direction's scans in one meeting, this part has to fit the offset.
LEAST_EXPLAINED: Final = 0.75
# What one phone heard has to be within this of what the other heard.
DIRECTIONS_APART_SECONDS: Final = 600
# One meeting ends when neither has heard the other for so long.
_PARTED_SECONDS: Final = 1800
_LONG_SECONDS: Final = 3600  # on both sides of a midnight: then it is told of both days
# Two phones seldom hear each other so differently; two amplifiers between them may.
SUSPICIOUS_DIFFERENCE_DB: Final = 20.0


class Label(StrEnum):
    """What stands behind an encounter."""

    BOTH_SIDES = "both-sides"
    ONE_SIDE = "one-side"
    CLAIM_ONLY = "claim-only"


class Flag(StrEnum):
    """What a person has to know before they rely on a label."""

    ATTENUATION_DIFFERS = "attenuation-differs"  # the directions, by more than 20 dB
    CLOCK_OFFSET = "clock-offset"  # the clocks differ by more than two minutes
    CLOCKS_DISAGREE = "clocks-disagree"  # the times of a direction do not fit its identifiers
    DIRECTIONS_APART = "directions-apart"  # each phone heard the other, not within ten minutes
    FEW_SCANS = "few-scans"  # a direction has not two scans three minutes apart
    METADATA_DIFFERS = "metadata-differs"  # not the metadata that the sender committed to
    POWER_UNKNOWN = "power-unknown"  # the case did not say its power: no exact comparison
    NOT_COMMITTED = "not-committed"  # claimed records that nothing was received of before
    COMMITTED_LATE = "committed-late"  # ... only when the case's key could be public already
    RELEASE_UNKNOWN = "release-unknown"  # the case's key is not published, or no longer kept
    RECEIVED_LATE = "received-late"  # the case's diary came after the claim
    DIARY_LATE = "diary-late"  # the case's diary came when the keys in it were public
    NO_DIARY = "no-diary"  # the case handed over no diary
    KEY_PUBLISHED = "key-published"  # the claimant's key is public: anybody may claim with it
    ALREADY_CLAIMED = "already-claimed"  # the claimant's day served another claim


@dataclass(frozen=True, slots=True)
class CaseKey:
    """A key of the case and the Unix time at which it was, or will be, first public."""

    tek: TemporaryExposureKey
    first_released: int | None


@dataclass(frozen=True, slots=True)
class CaseSide:
    """What a case handed over. `received_at` is None where there is no diary.

    `powers` (dBm) are those that the case's beacons said; empty where they are not known.
    """

    keys: tuple[CaseKey, ...]
    powers: tuple[int, ...]
    records: ScanRecords = field(repr=False)
    received_at: int | None


@dataclass(frozen=True, slots=True)
class ClaimantKey:
    """A key of the claimant and the powers (dBm) that its beacons said."""

    tek: TemporaryExposureKey
    powers: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class ClaimantSide:
    """What a warned person opened, received at `received_at`.

    `committed` has shape (N,) beside the N `records`: the Unix time by which the service
    certainly had the commitment, 0 where it never came. `refused` are UTC days (since
    1970-01-01) whose key or commitment may not be used, and why.
    """

    keys: tuple[ClaimantKey, ...]
    records: ScanRecords = field(repr=False)
    committed: NDArray[np.int64] = field(repr=False)
    refused: dict[int, Flag]
    received_at: int


@dataclass(frozen=True, slots=True)
class Heard:
    """One direction of an encounter; arrays have shape (N,).

    `time` in seconds by the claimant's clock, `attenuation` in dB, `seconds` that each scan
    stands for, `packets` that it heard.
    """

    time: NDArray[np.float64]
    attenuation: NDArray[np.float64]
    seconds: NDArray[np.float64]
    packets: NDArray[np.float64]


class Nearness(msgspec.Struct, frozen=True):
    """The judge's opinion: minutes within two metres, and how probably they were 15 or more."""

    close_minutes: float
    probability: float  # of an exposure
    certainty: str  # its class, by name


# What the claimant heard of the case, what the case heard of the claimant.
Judge = Callable[[Heard, Heard], Nearness]


class Encounter(Unprintable, frozen=True, kw_only=True):
    """One meeting, as the records support it. Times no finer than a part of the day."""

    label: Label
    day: str  # ISO, Vietnamese calendar, on which it began
    parts: tuple[str, ...]  # PartOfDay values
    minutes: int  # during which either heard the other
    claimant_scans: int  # in which the claimant heard the case, as far as they count
    case_scans: int  # in which the case heard the claimant, as far as they count
    claimant_attenuation: float | None  # dB, median; None where nothing counts
    case_attenuation: float | None
    nearness: Nearness
    flags: tuple[Flag, ...]


def confirm(case: CaseSide, claimant: ClaimantSide, judge: Judge) -> list[Encounter]:
    """Every meeting of these two that either side's records show, in order of time.

    Nothing that is missing speaks against anybody.
    """
    claimed = _claimed(case, claimant)
    told = _told(case, claimant)
    both = [*claimed, *told]
    if not both:
        return []
    return [
        _decide(
            [one for one in meeting if one.by_claimant],
            [one for one in meeting if not one.by_claimant],
            judge,
            known=_flags_of(case),
        )
        for meeting in _meetings(both)
    ]


def _flags_of(case: CaseSide) -> set[Flag]:
    if case.received_at is None:
        return {Flag.NO_DIARY}
    # Whoever has a key before it is public has the phone that made it.
    released = [key.first_released for key in case.keys if key.first_released is not None]
    return {Flag.DIARY_LATE} if released and min(released) <= case.received_at else set()


# --- which records match, and which of them count ------------------------------------------
@dataclass(frozen=True, slots=True)
class _Scan:
    """A record of the other phone. `fault` says why it does not count; it may be None."""

    by_claimant: bool
    time: int  # by the clock of who heard
    interval: int  # of the identifier, by the clock of who sent
    seconds: int
    packets: int
    attenuation: float
    fault: Flag | None
    power_known: bool = True


def _claimed(case: CaseSide, claimant: ClaimantSide) -> list[_Scan]:
    """What the claimant heard of the case."""
    found: list[_Scan] = []
    keys = [one.tek for one in case.keys]
    seen: dict[bytes, int] = {}
    for row, key, interval in _matches(keys, claimant.records):
        record = claimant.records[row]
        packed = record.tobytes()
        if packed in seen:
            continue
        seen[packed] = row
        fault = _fault_of_claimed(
            utc_day_number(int(record["time"])),
            int(claimant.committed[row]),
            case.keys[key].first_released,
            claimant,
        )
        found += _scan(record, keys[key], interval, case.powers, fault, by_claimant=True)
    return found


def _fault_of_claimed(
    day: int, committed: int, released: int | None, claimant: ClaimantSide
) -> Flag | None:
    if day in claimant.refused:
        return claimant.refused[day]
    if not committed:
        return Flag.NOT_COMMITTED
    if released is None:
        return Flag.RELEASE_UNKNOWN
    return Flag.COMMITTED_LATE if committed > released else None


def _told(case: CaseSide, claimant: ClaimantSide) -> list[_Scan]:
    """What the case heard of the claimant."""
    found: list[_Scan] = []
    keys = [one.tek for one in claimant.keys]
    seen: set[bytes] = set()
    late = case.received_at is None or case.received_at >= claimant.received_at
    for row, key, interval in _matches(keys, case.records):
        record = case.records[row]
        if record.tobytes() in seen:
            continue
        seen.add(record.tobytes())
        day = utc_day_number(interval * INTERVAL_SECONDS)
        fault = claimant.refused.get(day) or (Flag.RECEIVED_LATE if late else None)
        found += _scan(
            record, keys[key], interval, claimant.keys[key].powers, fault, by_claimant=False
        )
    return found


def _matches(
    keys: Sequence[TemporaryExposureKey], records: ScanRecords
) -> list[tuple[int, int, int]]:
    """(row, key, interval) of each record whose identifier one of `keys` broadcast.

    A handful of keys against one diary: a table of their identifiers is all it takes.
    """
    known: dict[bytes, tuple[int, int]] = {}
    for number, tek in enumerate(keys):
        identifiers = rolling_proximity_identifiers(tek)
        for at in range(tek.rolling_period):
            rpi = identifiers[at * RPI_BYTES : (at + 1) * RPI_BYTES]
            known[rpi] = number, tek.rolling_start + at
    rows = np.flatnonzero(records["trusted_clock"]).tolist()
    found = []
    for row, rpi in zip(rows, records["rpi"][rows].tolist(), strict=True):
        if match := known.get(rpi):
            found.append((row, *match))
    return found


def _scan(
    record: np.void,
    tek: TemporaryExposureKey,
    interval: int,
    powers: Sequence[int],
    fault: Flag | None,
    *,
    by_claimant: bool,
) -> list[_Scan]:
    """The record as a scan, or nothing if its metadata cannot be read as ours."""
    rpi, aem = record["rpi"].tobytes(), record["aem"].tobytes()
    aem_key = associated_encrypted_metadata_key(tek.key)
    power = decode_metadata(crypt_metadata(aem_key, rpi, aem))
    if power is None:
        return []
    exact = any(crypt_metadata(aem_key, rpi, encode_metadata(one)) == aem for one in powers)
    if powers and not exact:
        fault = fault or Flag.METADATA_DIFFERS
    return [
        _Scan(
            by_claimant=by_claimant,
            time=int(record["time"]),
            interval=interval,
            seconds=min(int(record["since_last_scan"]), MAX_SECONDS_PER_SCAN),
            packets=max(int(record["packets"]), 1),
            attenuation=power - int(record["rssi_mean"]) / 100,
            fault=fault,
            power_known=bool(powers),
        )
    ]


def _meetings(scans: Iterable[_Scan]) -> list[list[_Scan]]:
    """Scans of either side that lie near each other in time, whatever the clocks are off."""
    meetings: list[list[_Scan]] = []
    last = 0
    for scan in sorted(scans, key=lambda one: one.time):
        if not meetings or scan.time - last > _PARTED_SECONDS:
            meetings.append([])
        meetings[-1].append(scan)
        last = scan.time
    return [part for meeting in meetings for part in _by_day(meeting)]


def _by_day(meeting: list[_Scan]) -> list[list[_Scan]]:
    """A night under one roof is told of each of its days; a meeting about midnight is one."""
    parts: list[list[_Scan]] = []
    for _day, scans in groupby(meeting, key=lambda one: vietnam_day(one.time)):
        part = list(scans)
        if parts and min(map(_length, (parts[-1], part))) < _LONG_SECONDS:
            parts[-1] += part
        else:
            parts.append(part)
    return parts


def _length(scans: Sequence[_Scan]) -> int:
    return scans[-1].time - scans[0].time


# --- one meeting ---------------------------------------------------------------------------
def _decide(
    claimed: list[_Scan], told: list[_Scan], judge: Judge, *, known: set[Flag]
) -> Encounter:
    flags = {one.fault for one in (*claimed, *told) if one.fault} | known
    counted = [one for one in claimed if one.fault is None]
    counted_told = [one for one in told if one.fault is None]
    if not all(one.power_known for one in (*counted, *counted_told)):
        flags.add(Flag.POWER_UNKNOWN)

    offset = _offset(counted, counted_told)
    ours, theirs = _near_each_other(
        _explained(counted, offset), _explained(counted_told, offset), offset
    )
    confirmed = _enough(ours) and _enough(theirs) and Flag.POWER_UNKNOWN not in flags
    if confirmed:
        label = Label.BOTH_SIDES
        if abs(offset) > INTERVAL_TOLERANCE_SECONDS:
            flags.add(Flag.CLOCK_OFFSET)
    else:
        # One side has nothing to explain an offset by, so each clock has to be right.
        offset = 0
        ours, theirs = (
            one if _enough(one) else []
            for one in (_explained(counted, 0), _explained(counted_told, 0))
        )
        for before, after in ((counted, ours), (counted_told, theirs)):
            if before and not after:
                flags.add(Flag.CLOCKS_DISAGREE if _enough(before) else Flag.FEW_SCANS)
        if ours and theirs and Flag.POWER_UNKNOWN not in flags:
            flags.add(Flag.DIRECTIONS_APART)
        label = Label.ONE_SIDE if ours or theirs else Label.CLAIM_ONLY
    first, second = _attenuation(ours), _attenuation(theirs)
    if first is not None and second is not None and abs(first - second) > SUSPICIOUS_DIFFERENCE_DB:
        flags.add(Flag.ATTENUATION_DIFFERS)
    # Where nothing counts, what is claimed is shown as what it is.
    shown = (ours, theirs) if ours or theirs else (claimed, told)
    times = [_time(one, offset) for side in shown for one in side]
    return Encounter(
        label=label,
        day=vietnam_day(min(times)).isoformat(),
        parts=_parts(times),
        minutes=_minutes(shown, offset),
        claimant_scans=len(ours),
        case_scans=len(theirs),
        claimant_attenuation=first,
        case_attenuation=second,
        nearness=judge(_heard(shown[0], offset), _heard(shown[1], offset)),
        flags=tuple(flag for flag in Flag if flag in flags),
    )


def _offsets(scan: _Scan) -> tuple[int, int]:
    """By how much the claimant's clock may be ahead of the case's, going by this scan."""
    start = scan.interval * INTERVAL_SECONDS
    least = start - INTERVAL_TOLERANCE_SECONDS
    most = start + INTERVAL_SECONDS + INTERVAL_TOLERANCE_SECONDS
    if scan.by_claimant:
        return scan.time - most, scan.time - least
    return least - scan.time, most - scan.time


def _explained(scans: Sequence[_Scan], offset: int) -> list[_Scan]:
    """The scans whose identifier was on the air then; none unless that holds for most of them.

    Of beacons that are held back for minutes, some fall into their interval all the same.
    """
    fitting = [one for one in scans if _offsets(one)[0] <= offset <= _offsets(one)[1]]
    return fitting if len(fitting) >= LEAST_EXPLAINED * len(scans) else []


def _offset(ours: Sequence[_Scan], theirs: Sequence[_Scan]) -> int:
    """The one clock offset (seconds) that explains most of both directions; the least of such.

    By the direction that it explains less of: packets that somebody sends again reach one phone,
    and must not move it.
    """
    if not ours or not theirs:
        return 0
    bounds = np.array([_offsets(one) for one in (*ours, *theirs)], np.int64)
    candidates = np.unique(np.append(bounds, 0))
    candidates = candidates[np.abs(candidates) <= LARGEST_CLOCK_OFFSET_SECONDS]
    fits = (bounds[:, 0] <= candidates[:, None]) & (candidates[:, None] <= bounds[:, 1])
    explained = np.minimum(fits[:, : len(ours)].sum(axis=1), fits[:, len(ours) :].sum(axis=1))
    return int(candidates[np.lexsort((np.abs(candidates), -explained))[0]])


def _time(scan: _Scan, offset: int) -> int:
    """By the claimant's clock."""
    return scan.time if scan.by_claimant else scan.time + offset


def _near_each_other(
    ours: list[_Scan], theirs: list[_Scan], offset: int
) -> tuple[list[_Scan], list[_Scan]]:
    """Of each direction, what lies within ten minutes of the other."""

    def beside(scans: list[_Scan], others: list[_Scan]) -> list[_Scan]:
        times = np.sort([_time(one, offset) for one in others])
        at = [_time(one, offset) for one in scans]
        first = np.searchsorted(times, np.subtract(at, DIRECTIONS_APART_SECONDS), "left")
        last = np.searchsorted(times, np.add(at, DIRECTIONS_APART_SECONDS), "right")
        return [one for one, some in zip(scans, last > first, strict=True) if some]

    if not ours or not theirs:
        return [], []
    return beside(ours, theirs), beside(theirs, ours)


def _enough(scans: Sequence[_Scan]) -> bool:
    times = [one.time for one in scans]
    return len(set(times)) >= LEAST_SCANS and max(times) - min(times) >= LEAST_APART_SECONDS


def _attenuation(scans: Sequence[_Scan]) -> float | None:
    return round(float(np.median([one.attenuation for one in scans])), 1) if scans else None


def _parts(times: Iterable[int]) -> tuple[str, ...]:
    found = {PartOfDay.of(time) for time in times}
    return tuple(part.value for part in PartOfDay if part in found)


def _minutes(sides: tuple[list[_Scan], list[_Scan]], offset: int) -> int:
    """How long either heard the other: the union of what the scans stand for."""
    seconds, end = 0, 0
    for scan in sorted((*sides[0], *sides[1]), key=lambda one: _time(one, offset) - one.seconds):
        stop = _time(scan, offset)
        seconds += max(0, stop - max(stop - scan.seconds, end))
        end = max(end, stop)
    return round(seconds / 60)


def _heard(scans: Sequence[_Scan], offset: int) -> Heard:
    def column(values: Iterable[float]) -> NDArray[np.float64]:
        return np.array(list(values), np.float64)

    return Heard(
        time=column(_time(one, offset) for one in scans),
        attenuation=column(one.attenuation for one in scans),
        seconds=column(one.seconds for one in scans),
        packets=column(one.packets for one in scans),
    )
