"""Judges the estimator on pairs whose true distance is known, beside the published rules.

Two baselines run on the same packets: single beacons ranked by attenuation, and the published
rules as they stand (55 dB for a beacon; 55/63 dB with weights 1 and 1/2, and 15 minutes, for
an exposure).
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Final

import numpy as np
from scipy.special import ndtr

from bluezone.proximity.estimator import (
    CLOSE_METRES,
    EXPOSURE_MINUTES,
    Estimate,
    ExposureClass,
    estimate,
)
from bluezone.proximity.levels import Bools, Floats, Ints
from bluezone.proximity.parameters import Parameters
from bluezone.proximity.study import metrics
from bluezone.proximity.study.metrics import Ranking
from bluezone.proximity.study.pairs import Pair

CLOSER_METRES: Final = 1.5
RECALL_AT: Final = {CLOSER_METRES: 0.573, CLOSE_METRES: 0.516}  # SwissCovid's table, 55 dB
FALSE_POSITIVE_RATE: Final = 0.13
_RULE_DB: Final = 55.0
_WIDER_RULE_DB: Final = 63.0
_RESAMPLES: Final = 200
_COVERAGE: Final = 0.8

BOTH, ONE, SINGLE, RULE = "both diaries", "one diary", "single beacons", "55/63 dB rule"


@dataclass(frozen=True, slots=True)
class Judged:
    """One pair with what was estimated: by both diaries, and by each one alone."""

    pair: Pair
    both: Estimate
    beacon_probability: dict[tuple[str, float], Floats]  # (scorer, metres) -> shape (N,)

    @property
    def rule_minutes(self) -> float:
        """What the published rule counts: the mean of the two phones' weighted minutes.

        Each phone counts the time since its own last scan, whenever the other one scans.
        """
        minutes = []
        for own in (True, False):
            alone = self.pair.one_way(own)
            if alone is not None:
                levels = alone.levels
                weight = np.where(
                    levels.attenuation < _RULE_DB,
                    1.0,
                    np.where(levels.attenuation < _WIDER_RULE_DB, 0.5, 0.0),
                )
                minutes.append(float(levels.seconds[levels.moment] @ weight) / 60)
        return sum(minutes) / len(minutes)


def judge(pair: Pair, parameters: Parameters) -> Judged:
    """Estimate a pair in every way that is compared. `pair` has at least one packet."""
    both = estimate(pair.levels, pair.own, pair.peer, parameters)
    closer = estimate(pair.levels, pair.own, pair.peer, parameters, metres=CLOSER_METRES)
    probability = {
        (BOTH, CLOSE_METRES): both.close[pair.beacon_moment],
        (BOTH, CLOSER_METRES): closer.close[pair.beacon_moment],
    }
    for metres in (CLOSE_METRES, CLOSER_METRES):
        probability[ONE, metres] = np.empty(len(pair.beacon_own))
        for own in (True, False):
            way = pair.one_way(own)
            if way is not None:
                alone = estimate(way.levels, way.own, way.peer, parameters, metres=metres)
                probability[ONE, metres][pair.beacon_own == own] = alone.close[way.beacon_moment]
        probability[SINGLE, metres] = _single(pair.beacon_attenuation, parameters, metres)
    return Judged(pair, both, probability)


def _single(attenuation: Floats, p: Parameters, metres: float) -> Floats:
    """What one beacon tells without its context: ranks as the attenuation does."""
    distance = p.distance_between**2 + p.distance_within**2
    other = p.pair_db**2 + p.direction_db**2 + p.sends_sd_db**2 + p.receives_sd_db**2
    other += p.shadow_db**2 + p.minute_db**2 + p.packet_db**2
    gain = p.slope_db * distance / (p.slope_db**2 * distance + other)
    mean = p.typical_distance + gain * (attenuation - p.attenuation_db)
    z = (math.log10(metres) - mean) / math.sqrt(distance * (1 - gain * p.slope_db))
    return np.asarray(ndtr(z), np.float64)


# --- beacons -------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class Beacons:
    """All beacons with truth, of many pairs; arrays have shape (N,)."""

    distance: Floats
    attenuation: Floats
    cluster: Ints
    probability: dict[tuple[str, float], Floats]

    @classmethod
    def of(cls, judged: Sequence[Judged]) -> "Beacons":
        known = [np.isfinite(one.pair.beacon_distance) for one in judged]

        def joined(arrays: Iterable[Floats]) -> Floats:
            parts = [array[rows] for array, rows in zip(arrays, known, strict=True)]
            return np.concatenate(parts) if parts else np.zeros(0)

        keys = [(scorer, m) for scorer in (BOTH, ONE, SINGLE) for m in RECALL_AT]
        return cls(
            joined(one.pair.beacon_distance for one in judged),
            joined(one.pair.beacon_attenuation for one in judged),
            np.repeat(np.arange(len(judged)), [int(np.sum(rows)) for rows in known]),
            {key: joined(one.beacon_probability[key] for one in judged) for key in keys},
        )

    def report(self, resamples: int) -> dict[str, Any]:
        """Each metric by scorer: value, and 95 % intervals of it and of its lead."""
        ones = np.ones(len(self.distance))
        drawn = metrics.resampled(self.cluster, resamples) if resamples else []
        rows: dict[str, Any] = {}
        for metres, recall in RECALL_AT.items():
            near = self.distance <= metres
            if not np.any(near) or np.all(near):
                continue
            rankings = {s: Ranking(self.probability[s, metres], near) for s in (BOTH, ONE)}
            rankings[SINGLE] = Ranking(-self.attenuation, near)
            at = f"{metres:g} m"
            for name, measure in (
                (f"AUC {at}", Ranking.auc),
                (f"precision at recall {recall} ({at})", lambda r, w, x=recall: r.precision(w, x)),
                (f"least nDCF {at}", Ranking.least_ndcf),
            ):
                rows[name] = _compared(
                    {s: (lambda w, r=r, f=measure: f(r, w)) for s, r in rankings.items()},
                    ones,
                    drawn,
                    SINGLE,
                )
            rows[f"nDCF as it stands {at}"] = {
                scorer: {"value": metrics.ndcf(said, near, ones)}
                for scorer, said in (
                    (BOTH, self.probability[BOTH, metres] >= 0.5),
                    (ONE, self.probability[ONE, metres] >= 0.5),
                    (RULE, self.attenuation < _RULE_DB),
                )
            }
        return rows

    def calibration(self) -> dict[str, Any]:
        """Brier score, calibration error and AUC at 2 m by scorer; the rule says 0 or 1."""
        near = self.distance <= CLOSE_METRES
        ones = np.ones(len(near))
        said = {s: self.probability[s, CLOSE_METRES] for s in (BOTH, ONE, SINGLE)}
        said[RULE] = (self.attenuation < _RULE_DB).astype(np.float64)
        return {
            "beacons": len(near),
            "within 2 m": float(np.mean(near)) if len(near) else None,
            "by": {
                scorer: {
                    "AUC": Ranking(p, near).auc(ones) if len(near) else float("nan"),
                    "Brier": metrics.brier(p, near, ones),
                    "ECE": metrics.calibration_error(p, near, ones),
                }
                for scorer, p in said.items()
            },
        }


def _compared(
    scorers: dict[str, Any], ones: Floats, drawn: Sequence[Floats], baseline: str
) -> dict[str, Any]:
    """Values, their intervals, and the interval of the lead over the baseline, pair by pair."""
    draws = {name: np.array([value(w) for w in drawn]) for name, value in scorers.items()}
    rows: dict[str, Any] = {}
    for name, value in scorers.items():
        rows[name] = {"value": value(ones)}
        if drawn:
            rows[name]["interval"] = np.nanquantile(draws[name], (0.025, 0.975)).tolist()
            if name != baseline:
                lead = draws[name] - draws[baseline]
                rows[name]["lead"] = np.nanquantile(lead, (0.025, 0.975)).tolist()
    return rows


# --- exposures -----------------------------------------------------------------------------
def exposures(judged: Sequence[Judged], resamples: int) -> dict[str, Any] | None:
    """Pairs of which it is known whether they were 15 minutes within 2 m; None without any."""
    known = [(one, m) for one in judged if (m := one.pair.close_minutes) is not None]
    if not known:
        return None
    true = np.array([minutes for _, minutes in known])
    exposed: Bools = true >= EXPOSURE_MINUTES
    low, high = np.array([one.both.interval for one, _ in known]).T
    estimated = np.array([one.both.close_minutes for one, _ in known])
    report: dict[str, Any] = {
        "pairs": len(known),
        "exposed": int(np.sum(exposed)),
        "mean absolute error of minutes": float(np.mean(np.abs(estimated - true))),
        # Truth is counted in minutes: half of one is no miss.
        "interval holds the truth": float(np.mean((low - 0.5 <= true) & (true <= high + 0.5))),
        "interval should": _COVERAGE,
    }
    if not np.any(exposed) or np.all(exposed):
        return report
    rule = np.array([one.rule_minutes for one, _ in known])
    said = np.array([one.both.exposure > ExposureClass.NOT_CLOSE for one, _ in known])
    ranking = {
        BOTH: Ranking(np.array([one.both.exposure_probability for one, _ in known])
                      + 1e-6 * estimated, exposed),
        RULE: Ranking(rule, exposed),
    }  # fmt: skip
    ones = np.ones(len(known))
    drawn = metrics.resampled(np.arange(len(known)), resamples)
    report[f"recall at false-positive rate {FALSE_POSITIVE_RATE}"] = _compared(
        {s: (lambda w, r=r: r.recall(w, FALSE_POSITIVE_RATE)) for s, r in ranking.items()},
        ones,
        drawn,
        RULE,
    )
    report["as it stands"] = {
        scorer: {
            "recall": float(np.mean(yes[exposed])),
            "false-positive rate": float(np.mean(yes[~exposed])),
        }
        for scorer, yes in ((BOTH, said), (RULE, rule >= EXPOSURE_MINUTES))
    }
    return report


def predictions(judged: Sequence[Judged]) -> dict[str, Any]:
    """What is said of pairs whose truth is not known."""
    classes = [one.both.exposure for one in judged]
    return {
        "pairs": len(judged),
        "expected close minutes (median)": float(
            np.median([one.both.close_minutes for one in judged])
        ),
        "pairs by exposure class": {
            kind.name.lower(): classes.count(kind) for kind in ExposureClass
        },
    }


# --- all -----------------------------------------------------------------------------------
def report(judged: Sequence[Judged], resamples: int = _RESAMPLES) -> dict[str, Any]:
    """By collection: beacons and exposures, each scenario, and what has no truth.

    Phones on marks are a handful of sessions: they get no intervals.
    """
    result: dict[str, Any] = {}
    ordered = sorted(judged, key=lambda one: (one.pair.collection, one.pair.scenario))
    for collection, group in groupby(ordered, key=lambda one: one.pair.collection):
        rows = list(group)
        free = rows[0].pair.free
        true = [one for one in rows if np.any(np.isfinite(one.pair.beacon_distance))]
        blind = [one for one in rows if not np.any(np.isfinite(one.pair.beacon_distance))]
        part: dict[str, Any] = {"pairs": len(rows)}
        if true:
            beacons = Beacons.of(true)
            part["all"] = beacons.calibration()
            part["metrics"] = beacons.report(resamples if free else 0)
            if free:
                part["exposures"] = exposures(true, resamples)
            part["scenarios"] = {
                scenario: Beacons.of(list(ones)).calibration()
                for scenario, ones in groupby(true, key=lambda one: one.pair.scenario)
            }
        if blind:
            part["without truth"] = {
                scenario: predictions(list(ones))
                for scenario, ones in groupby(blind, key=lambda one: one.pair.scenario)
            }
        result[collection] = part
    return result
