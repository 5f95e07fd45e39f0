"""Fits the estimator's numbers to recordings with known distances (docs/proximity.md, "Fit").

In three steps: what models add (ridge regression), what carriage adds (paired means), then the
dozen spreads and times, so that what the estimator says of being within 2 m is as likely as
can be (each scenario counts alike). The last step is gradient descent from where a reader of
the literature would start.
"""

import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import count
from typing import Any, Final

import numpy as np
from scipy.optimize import minimize
from scipy.special import log_ndtr

from bluezone.proximity.estimator import (
    CLOSE_METRES,
    distance_covariance,
    reading_covariance,
)
from bluezone.proximity.handset import Carriage, expected_offset
from bluezone.proximity.levels import Floats
from bluezone.proximity.parameters import ModelOffsets, Parameters
from bluezone.proximity.study.pairs import Pair, attenuations, diary_medians, pairs_of
from bluezone.proximity.study.recordings import Recording, RecordingError

# Where to start: 2 m apart, free space less reflections, offsets as antennas and bodies make.
_START: Final = Parameters(
    typical_distance=0.33,
    distance_between=0.2,
    distance_within=0.15,
    distance_seconds=250.0,
    attenuation_db=59.0,
    slope_db=15.0,
    pair_db=2.5,
    direction_db=1.8,
    shadow_db=3.4,
    shadow_seconds=90.0,
    minute_db=2.0,
    packet_db=2.7,
    diary_attenuation_db=56.5,
)
_SPREADS: Final = (
    "slope_db",
    "distance_between",
    "distance_within",
    "distance_seconds",
    "pair_db",
    "direction_db",
    "shadow_db",
    "shadow_seconds",
)
_PLACES: Final = ("typical_distance", "attenuation_db")
# Keeps a number that the recordings say little of near its start (of its logarithm).
_PULL: Final = 0.02
_ITERATIONS: Final = 12
# Phones of people who touch; a recorded distance of 0 has no logarithm.
_LEAST_METRES: Final = 0.1
# Minutes of readings that a model must have before its offset is half believed.
_MODEL_MINUTES: Final = 500.0


def fit(
    recordings: Sequence[Recording],
    progress: Callable[[str], None] = lambda _: None,
    *,
    fitted_at: str = "",
) -> Parameters:
    """Parameters from recordings of people who moved freely, and of carriages if there are any.

    RecordingError if there is no free recording in which both near and far are known.
    """
    free = [recording for recording in recordings if recording.free]
    start = replace(_START, diary_attenuation_db=_typical_diary(free))
    pairs = [pair for recording in free for pair in pairs_of(recording)]
    pairs = [pair for pair in pairs if np.any(np.isfinite(pair.distance))]
    known = [pair.beacon_distance[np.isfinite(pair.beacon_distance)] for pair in pairs]
    near = [rows <= CLOSE_METRES for rows in known]
    if not any(map(np.any, near)) or all(map(np.all, near)):
        raise RecordingError(
            "to fit, recordings of people who move freely (a table `results`) are needed, with"
            " true distances below and above 2 m"
        )
    progress(f"{len(pairs)} pairs of {len(free)} recordings")
    parameters = _with_models(start, pairs)
    parameters = replace(parameters, carriage_db=_carriages(recordings))
    fitted = _with_spreads(parameters, pairs, progress)
    return replace(
        fitted,
        fitted_on=tuple(sorted({f"{pair.collection}/{pair.scenario}" for pair in pairs})),
        fitted_at=fitted_at,
    )


def _typical_diary(recordings: Sequence[Recording]) -> float:
    medians = [
        median
        for recording in recordings
        for median in diary_medians(recording, attenuations(recording)).values()
    ]
    return round(float(np.median(medians)), 2) if medians else _START.diary_attenuation_db


# --- models --------------------------------------------------------------------------------
def _with_models(p: Parameters, pairs: Sequence[Pair]) -> Parameters:
    """Ridge regression of attenuation on log distance and the two models."""
    names = sorted({p.model for pair in pairs for p in (pair.own, pair.peer) if p.model})
    column = {name: 2 + number for number, name in enumerate(names)}
    width = 2 + 2 * len(names)
    normal, right = np.zeros((width, width)), np.zeros(width)
    for pair in pairs:
        levels, known = pair.levels, np.isfinite(pair.distance[pair.levels.moment])
        for own in (True, False):
            rows = known & (levels.own == own)
            receiver, sender = (pair.own, pair.peer) if own else (pair.peer, pair.own)
            design = np.zeros((int(np.sum(rows)), width))
            design[:, 0] = 1.0
            metres = np.maximum(pair.distance[levels.moment[rows]], _LEAST_METRES)
            design[:, 1] = np.log10(metres)
            if receiver.model:
                design[:, column[receiver.model]] = 1.0
            if sender.model:
                design[:, column[sender.model] + len(names)] = 1.0
            normal += design.T @ design
            right += design.T @ levels.attenuation[rows]
    normal[np.arange(2, width), np.arange(2, width)] += _MODEL_MINUTES
    normal[np.arange(2), np.arange(2)] += 1e-6
    weights = np.linalg.solve(normal, right)
    receives, sends = weights[2 : 2 + len(names)], weights[2 + len(names) :]
    return replace(
        p,
        attenuation_db=float(weights[0] + weights[1] * p.typical_distance),
        models={
            name: ModelOffsets(round(float(s), 2), round(float(r), 2))
            for name, s, r in zip(names, sends, receives, strict=True)
        },
        sends_sd_db=round(float(np.std(sends)), 2) if names else 0.0,
        receives_sd_db=round(float(np.std(receives)), 2) if names else 0.0,
    )


# --- carriage ------------------------------------------------------------------------------
def _carriages(recordings: Sequence[Recording]) -> dict[str, float]:
    """How much weaker than the mean carriage each is, where the same receiver heard several.

    Only from pairs at one fixed distance: on marks, carriage and distance are not confounded.
    """
    excess: dict[str, list[float]] = defaultdict(list)
    for recording in recordings:
        distances = recording.distance[np.isfinite(recording.distance)]
        if recording.free or not len(distances) or np.ptp(distances) > 0:
            continue
        levels = attenuations(recording)
        of_carriage: dict[str, list[float]] = defaultdict(list)
        for number, phone in enumerate(recording.phones):
            heard = levels[recording.sender == number]
            if phone.carriage is not None and len(heard):
                of_carriage[phone.carriage].append(float(np.mean(heard)))
        if len(of_carriage) < len(Carriage):
            continue
        means = {carriage: float(np.mean(values)) for carriage, values in of_carriage.items()}
        middle = float(np.mean(list(means.values())))
        for carriage, mean in means.items():
            excess[carriage].append(mean - middle)
    return {str(carriage): round(float(np.mean(values)), 2) for carriage, values in excess.items()}


# --- spreads -------------------------------------------------------------------------------
class _Evidence:
    """One pair, prepared: what does not change while the numbers are fitted."""

    def __init__(self, pair: Pair, parameters: Parameters) -> None:
        self.levels = pair.levels
        heard = expected_offset(pair.own, pair.peer, parameters)
        spoken = expected_offset(pair.peer, pair.own, parameters)
        self.offset = np.where(pair.levels.own, heard[0], spoken[0])
        self.unsure = np.where(pair.levels.own, heard[1], spoken[1])
        known = np.isfinite(pair.beacon_distance)
        moments = len(pair.levels.moment_time)
        self.weight = np.bincount(pair.beacon_moment[known], minlength=moments).astype(float)
        near = known & (pair.beacon_distance <= CLOSE_METRES)
        self.near = np.bincount(pair.beacon_moment[near], minlength=moments).astype(float)

    def surprise(self, p: Parameters) -> float:
        """Minus the log likelihood of what is known to be near and far."""
        levels = self.levels
        seen_at = levels.moment_time[levels.moment]
        across = p.slope_db * distance_covariance(seen_at, levels.moment_time, p)
        readings = reading_covariance(seen_at, levels.own, levels.packets, self.unsure, p)
        gain = np.linalg.solve(readings, across)
        mean = p.typical_distance + (levels.attenuation - self.offset - p.attenuation_db) @ gain
        variance = p.distance_between**2 + p.distance_within**2 - np.sum(across * gain, axis=0)
        z: Floats = (math.log10(CLOSE_METRES) - mean) / np.sqrt(np.maximum(variance, 1e-12))
        return -float(self.near @ log_ndtr(z) + (self.weight - self.near) @ log_ndtr(-z))


def _with_spreads(
    p: Parameters, pairs: Sequence[Pair], progress: Callable[[str], None]
) -> Parameters:
    # Every second pair: neighbours in the list share a phone and tell much the same.
    chosen = pairs[::2] if len(pairs) > 100 else pairs
    evidence = [_Evidence(pair, p) for pair in chosen]
    total: dict[str, float] = defaultdict(float)
    for pair, one in zip(chosen, evidence, strict=True):
        total[pair.session] += float(np.sum(one.weight))
    share = [1 / max(total[pair.session], 1.0) for pair in chosen]
    start = np.log([getattr(p, name) for name in _SPREADS])

    def put(theta: Floats) -> Parameters:
        numbers = [*np.exp(theta[: len(_SPREADS)]).tolist(), *theta[len(_SPREADS) :].tolist()]
        return _renumbered(p, numbers)

    def loss(theta: Floats) -> float:
        trial = put(theta)
        pull = _PULL * float(np.sum((theta[: len(_SPREADS)] - start) ** 2))
        return pull + sum(w * e.surprise(trial) for w, e in zip(share, evidence, strict=True))

    steps = count(1)

    def told(_: object) -> None:
        progress(f"fitting: step {next(steps)} of at most {_ITERATIONS}")

    theta0 = np.concatenate((start, [getattr(p, name) for name in _PLACES]))
    found = minimize(
        loss, theta0, method="L-BFGS-B", callback=told, options={"maxiter": _ITERATIONS}
    )
    best = put(found.x)
    # Four digits: more would say that recordings know them better than they do.
    return _renumbered(p, [float(f"{getattr(best, n):.4g}") for n in (*_SPREADS, *_PLACES)])


def _renumbered(p: Parameters, numbers: Sequence[float]) -> Parameters:
    named: dict[str, Any] = dict(zip((*_SPREADS, *_PLACES), numbers, strict=True))
    return replace(p, **named)
