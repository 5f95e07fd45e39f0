"""The pairs of a recording: what the estimator is given, and the truth it is held against."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from bluezone.proximity.handset import Handset
from bluezone.proximity.levels import Bools, Floats, Ints, Levels, possible
from bluezone.proximity.parameters import Parameters
from bluezone.proximity.study.recordings import Recording

# Levels become attenuations in the unit of the published thresholds: phones set to -21 dBm
# sent as SwissCovid's table has them, attenuation = -24 - (rssi + 5).
_PUBLISHED_SHIFT_DB: Final = 8.5
_USUAL_POWER_DBM: Final = -20.5
# Crowds differ by some dB in how far apart people are. When whole files differ by more, it
# is another capture app with another scale, and is moved; no truth is needed to see it.
_ANOTHER_SCALE_DB: Final = 6.0
_DIARY_PEERS: Final = 4
# A pair whose distance is unknown for longer than this has no truth in between.
_TRUTH_GAP_SECONDS: Final = 120.0


@dataclass(frozen=True, slots=True)
class Pair:
    """Two phones in one session, `own` and `peer`, and every packet between them.

    `beacon_*` have shape (N,), one entry a packet: attenuation (dB, as published), true
    distance (m, NaN: unknown), whether the own phone received it, and the moment of `levels`
    it belongs to. `distance` has shape (M,): the mean true distance (m) of each moment.
    """

    collection: str
    scenario: str
    session: str
    name: str
    free: bool
    own: Handset
    peer: Handset
    levels: Levels
    beacon_attenuation: Floats
    beacon_distance: Floats
    beacon_own: Bools
    beacon_moment: Ints
    distance: Floats

    @property
    def close_minutes(self) -> float | None:
        """True minutes within 2 m; None when the truth is not known most of the time."""
        filled = self._filled()
        known = np.isfinite(filled)
        if float(self.levels.seconds @ known) < 0.5 * float(np.sum(self.levels.seconds)):
            return None
        return float(self.levels.seconds @ (known & (filled <= 2.0))) / 60

    def _filled(self) -> Floats:
        """True distances, short gaps filled in a straight line."""
        known = np.flatnonzero(np.isfinite(self.distance))
        if not len(known):
            return self.distance
        times = self.levels.moment_time
        filled = np.interp(times, times[known], self.distance[known])
        after = np.minimum(np.searchsorted(times[known], times), len(known) - 1)
        before = np.maximum(np.searchsorted(times[known], times, side="right") - 1, 0)
        away = np.minimum(np.abs(times[known][after] - times), np.abs(times - times[known][before]))
        return np.where(away <= _TRUTH_GAP_SECONDS, filled, np.nan)

    def one_way(self, own: bool) -> "Pair | None":
        """As the phone alone knows it (`own`) or as its peer alone does; None: it knows nothing."""
        rows = self.beacon_own == own
        if not np.any(rows):
            return None
        receiver, sender = (self.own, self.peer) if own else (self.peer, self.own)
        levels = self.levels
        heard = levels.own == own
        moments, moment = np.unique(levels.moment[heard], return_inverse=True)
        times = levels.moment_time[moments]
        return replace(
            self,
            own=receiver,
            peer=replace(sender, diary_attenuation=None),
            levels=Levels(
                levels.time[heard],
                levels.attenuation[heard],
                levels.packets[heard],
                np.ones(int(np.sum(heard)), bool),
                moment,
                times,
                np.minimum(np.diff(times, prepend=times[0] - 60.0), 300.0),
            ),
            beacon_attenuation=self.beacon_attenuation[rows],
            beacon_distance=self.beacon_distance[rows],
            beacon_own=np.ones(int(np.sum(rows)), bool),
            beacon_moment=np.searchsorted(moments, self.beacon_moment[rows]),
            distance=self.distance[moments],
        )


def attenuations(recording: Recording) -> Floats:
    """Shape (N,), dB, in the unit of the published thresholds."""
    power = np.where(np.isnan(recording.tx_power), _USUAL_POWER_DBM, recording.tx_power)
    return power - _PUBLISHED_SHIFT_DB - recording.rssi


def scale_shift(recordings: Sequence[Recording], parameters: Parameters) -> float:
    """By how many dB the capture app's scale differs from that of the fit; mostly 0.

    From the medians of all phones' diaries: no distance is looked at.
    """
    medians = [
        value
        for recording in recordings
        for value in diary_medians(recording, attenuations(recording)).values()
    ]
    excess = float(np.median(medians)) - parameters.diary_attenuation_db if medians else 0.0
    return excess if abs(excess) > _ANOTHER_SCALE_DB else 0.0


def pairs_of(recording: Recording, shift: float = 0.0) -> list[Pair]:
    """All pairs of one session, `shift` dB taken off what the estimator is given.

    Packets whose attenuation cannot be are passed over, as the estimator does.
    """
    recording = recording.rows(possible(recording.time, attenuations(recording) - shift))
    published = attenuations(recording)
    diaries = diary_medians(recording, published - shift)
    phones = [
        replace(phone, diary_attenuation=diaries.get(number))
        for number, phone in enumerate(recording.phones)
    ]
    first = np.minimum(recording.receiver, recording.sender)
    second = np.maximum(recording.receiver, recording.sender)
    code = first * len(phones) + second
    order = np.argsort(code, kind="stable")
    cuts = np.flatnonzero(np.diff(code[order])) + 1
    return [
        _pair(recording, rows, published, shift, phones)
        for rows in np.split(order, cuts)
        if len(rows)
    ]


def _pair(
    recording: Recording, rows: Ints, published: Floats, shift: float, phones: list[Handset]
) -> Pair:
    a = int(min(recording.receiver[rows[0]], recording.sender[rows[0]]))
    b = int(max(recording.receiver[rows[0]], recording.sender[rows[0]]))
    own = recording.receiver[rows] == a
    levels = Levels.of_packets(recording.time[rows], published[rows] - shift, own)
    minute = np.floor(recording.time[rows] / 60.0)
    moment = np.searchsorted(np.floor(levels.moment_time / 60.0), minute)
    distance = recording.distance[rows]
    known = np.isfinite(distance)
    sums = np.bincount(moment[known], distance[known], len(levels.moment_time))
    counts = np.bincount(moment[known], minlength=len(levels.moment_time))
    with np.errstate(invalid="ignore"):
        mean = np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)
    return Pair(
        recording.collection,
        recording.scenario,
        recording.session,
        " ".join(sorted((recording.names[a], recording.names[b]))),
        recording.free,
        phones[a],
        phones[b],
        levels,
        published[rows],
        distance,
        own,
        moment,
        mean,
    )


def diary_medians(recording: Recording, levels: Floats) -> dict[int, float]:
    """The median attenuation of all that each phone heard, of those that heard several others.

    What a phone hears of one other phone says more of their distance than of the phone.
    """
    medians: dict[int, float] = {}
    for receiver in np.unique(recording.receiver).tolist():
        heard = recording.receiver == receiver
        if len(np.unique(recording.sender[heard])) >= _DIARY_PEERS:
            medians[receiver] = float(np.median(levels[heard]))
    return medians
