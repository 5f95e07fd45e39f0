"""The estimator: a Gaussian process over log distance and attenuation (docs/proximity.md).

The error of Bluetooth levels is mostly an offset of the pair that lasts as long as a meeting
(models, carriage, bodies); so a reading is judged together with the minutes around it and with
the whole meeting, in both directions where both are known. All of it is linear and Gaussian:
what a minute tells about another one is a covariance, and the answer is exact.
"""

import math
from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache
from statistics import NormalDist
from typing import Final

import numpy as np

from bluezone.proximity.handset import UNKNOWN, Handset, expected_offset
from bluezone.proximity.levels import Floats, Levels
from bluezone.proximity.parameters import SHIPPED, Parameters

CLOSE_METRES: Final = 2.0
EXPOSURE_MINUTES: Final = 15.0
# Two that part for half an hour and meet again may have the phone elsewhere on them.
_PARTED_SECONDS: Final = 1800.0
# A day of scans every four minutes, or six hours of minutes: more costs more than it tells.
_MOST_MOMENTS: Final = 360
_DRAWS: Final = 200
_JITTER: Final = 1e-9
_CDF: Final = NormalDist().cdf


class ExposureClass(IntEnum):
    """Was it at least 15 minutes within 2 m? By the probability of it: .5, .75, .95 and up."""

    NOT_CLOSE = 0
    PROBABLE = 1
    LIKELY = 2
    CERTAIN = 3

    @classmethod
    def of(cls, probability: float) -> "ExposureClass":
        """The class of a probability of exposure."""
        return cls(sum(probability >= least for least in (0.5, 0.75, 0.95)))


@dataclass(frozen=True, slots=True)
class Estimate:
    """What the readings of one pair tell; arrays have shape (M,), one entry a moment.

    `close` is the probability of being within the asked distance, `seconds` what each moment
    stands for. `close_minutes` is the mean of what the minutes may be, `median_minutes` what
    they exceed as likely as not: for eight hours through a wall the mean of a small chance is
    half an hour, the median nothing. `interval` holds the minutes with 80 % probability.
    `exposure_probability` is that of at least 15 minutes.
    """

    time: Floats
    seconds: Floats
    close: Floats
    close_minutes: float
    median_minutes: float
    interval: tuple[float, float]
    exposure_probability: float

    @property
    def exposure(self) -> ExposureClass:
        """The class of this pair."""
        return ExposureClass.of(self.exposure_probability)


def estimate(
    levels: Levels,
    own: Handset = UNKNOWN,
    peer: Handset = UNKNOWN,
    parameters: Parameters = SHIPPED,
    *,
    metres: float = CLOSE_METRES,
) -> Estimate:
    """How probably, and for how long, a pair was within `metres` (above 0).

    No reading at all gives an estimate of zero minutes. Cost grows with the cube of the
    readings of one meeting, which is cut after 360 moments.
    """
    heard, spoken = expected_offset(own, peer, parameters), expected_offset(peer, own, parameters)
    offset = np.where(levels.own, heard[0], spoken[0])
    unsure = np.where(levels.own, heard[1], spoken[1])
    close = np.zeros(len(levels.moment_time))
    minutes = np.zeros(_DRAWS)
    for number, (first, last) in enumerate(_meetings(levels.moment_time)):
        rows = (levels.moment >= first) & (levels.moment < last)
        mean, covariance = _posterior(
            levels.between(first, last), offset[rows], unsure[rows], parameters
        )
        border = math.log10(metres)
        spread = np.sqrt(np.diag(covariance))
        close[first:last] = [_CDF(z) for z in ((border - mean) / spread).tolist()]
        factor = np.linalg.cholesky(covariance + _JITTER * np.eye(len(mean)))
        drawn = mean[:, None] + factor @ _normals(len(mean), number)
        minutes += levels.seconds[first:last] @ (drawn <= border) / 60
    low, median, high = np.quantile(minutes, (0.1, 0.5, 0.9)).tolist()
    return Estimate(
        time=levels.moment_time,
        seconds=levels.seconds,
        close=close,
        close_minutes=float(levels.seconds @ close) / 60,
        median_minutes=median,
        interval=(low, high),
        exposure_probability=float(np.mean(minutes >= EXPOSURE_MINUTES)),
    )


def _meetings(times: Floats) -> list[tuple[int, int]]:
    """Moments that share a pair offset, as (first, last + 1)."""
    bounds: list[tuple[int, int]] = []
    first = 0
    for index in range(1, len(times) + 1):
        if (
            index == len(times)
            or times[index] - times[index - 1] > _PARTED_SECONDS
            or index - first == _MOST_MOMENTS
        ):
            bounds.append((first, index))
            first = index
    return bounds


def _posterior(
    levels: Levels, offset: Floats, unsure: Floats, p: Parameters
) -> tuple[Floats, Floats]:
    """Mean and covariance of the log10 distance at each moment."""
    seen_at = levels.moment_time[levels.moment]
    of_moments = distance_covariance(levels.moment_time, levels.moment_time, p)
    across = p.slope_db * distance_covariance(seen_at, levels.moment_time, p)
    readings = reading_covariance(seen_at, levels.own, levels.packets, unsure, p)
    gain = np.linalg.solve(readings, across)
    excess = levels.attenuation - offset - p.attenuation_db
    mean: Floats = p.typical_distance + excess @ gain
    return mean, of_moments - across.T @ gain


def distance_covariance(a: Floats, b: Floats, p: Parameters) -> Floats:
    """Of log10 distances at the times `a` and `b`: what a meeting shares, and what moves."""
    return p.distance_between**2 + p.distance_within**2 * np.exp(
        -np.abs(a[:, None] - b[None, :]) / p.distance_seconds
    )


def reading_covariance(
    time: Floats, own: "np.ndarray", packets: Floats, unsure: Floats, p: Parameters
) -> Floats:
    """Of attenuations (dB squared): distances, and every influence that is not distance."""
    lag = np.abs(time[:, None] - time[None, :])
    same_direction = own[:, None] == own[None, :]
    covariance: Floats = (
        p.slope_db**2 * distance_covariance(time, time, p)
        + p.pair_db**2
        + p.shadow_db**2 * np.exp(-lag / p.shadow_seconds)
        + same_direction * (p.direction_db**2 + unsure[:, None] * unsure[None, :])
    )
    covariance[np.diag_indices(len(time))] += p.minute_db**2 + p.packet_db**2 / np.maximum(
        packets, 1.0
    )
    return covariance


@lru_cache(maxsize=256)
def _normals(count: int, meeting: int) -> Floats:
    """Standard normal numbers, the same ones always (an estimate must repeat exactly), and
    others for each meeting of a pair: what went wrong in one says nothing of the next."""
    half = np.random.default_rng((count, meeting)).standard_normal((count, _DRAWS // 2))
    return np.concatenate((half, -half), axis=1)
