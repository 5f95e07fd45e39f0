"""How good scores are, weighted, so that a bootstrap is the same sum with other weights."""

from typing import Final

import numpy as np

from bluezone.proximity.levels import Bools, Floats, Ints

_BINS: Final = 10


class Ranking:
    """Scores (higher: closer) beside the truth, sorted once; ties count half."""

    def __init__(self, score: Floats, near: Bools) -> None:
        levels, self._group = np.unique(-score, return_inverse=True)
        self._groups = len(levels)
        self._near = near

    def _sums(self, weight: Floats) -> tuple[Floats, Floats]:
        """Weight of near and of far ones in each group of equal scores, closest first."""
        near = np.bincount(self._group, weight * self._near, self._groups)
        far = np.bincount(self._group, weight * ~self._near, self._groups)
        return near.astype(np.float64), far.astype(np.float64)

    def auc(self, weight: Floats) -> float:
        """Area under the ROC curve: the chance that a near one is ranked before a far one."""
        near, far = self._sums(weight)
        below = np.sum(far) - np.cumsum(far) + far / 2
        return _ratio(float(near @ below), float(np.sum(near) * np.sum(far)))

    def precision(self, weight: Floats, recall: float) -> float:
        """Share of near ones among the highest scores that find `recall` of the near ones."""
        near, far = (np.cumsum(side) for side in self._sums(weight))
        if not near[-1]:
            return float("nan")
        wanted = recall * near[-1]
        at = min(int(np.searchsorted(near, wanted - 1e-12)), len(near) - 1)
        # Part of the last group of equal scores: a tie is broken at random.
        part = 1.0
        before_near, before_far = (near[at - 1], far[at - 1]) if at else (0.0, 0.0)
        if near[at] > before_near:
            part = (wanted - before_near) / (near[at] - before_near)
        found = before_near + part * (near[at] - before_near)
        wrong = before_far + part * (far[at] - before_far)
        return _ratio(float(found), float(found + wrong))

    def recall(self, weight: Floats, false_positive_rate: float) -> float:
        """Share of near ones found by the lowest threshold that wrongly finds no more far ones."""
        near, far = (np.cumsum(side) for side in self._sums(weight))
        allowed = np.flatnonzero(far <= false_positive_rate * far[-1] + 1e-9)
        return _ratio(float(near[allowed[-1]]) if len(allowed) else 0.0, float(near[-1]))

    def least_ndcf(self, weight: Floats) -> float:
        """The least miss rate plus false-alarm rate of any threshold (NIST TC4TL, equal costs)."""
        near, far = (np.cumsum(side) for side in self._sums(weight))
        if not near[-1] or not far[-1]:
            return float("nan")
        return min(1.0, float(np.min(1 - near / near[-1] + far / far[-1])))

    def curve(self) -> tuple[Floats, Floats]:
        """False and true positive rates from (0, 0) to (1, 1)."""
        near, far = (np.cumsum(side) for side in self._sums(np.ones(len(self._near))))
        start = np.zeros(1)
        return np.concatenate((start, far / far[-1])), np.concatenate((start, near / near[-1]))


def ndcf(said_near: Bools, near: Bools, weight: Floats) -> float:
    """Miss rate plus false-alarm rate of decisions as they stand (NIST TC4TL, equal costs)."""
    missed = _ratio(float(weight @ (near & ~said_near)), float(weight @ near))
    return missed + _ratio(float(weight @ (~near & said_near)), float(weight @ ~near))


def brier(probability: Floats, near: Bools, weight: Floats) -> float:
    """Mean squared error of probabilities."""
    return _ratio(float(weight @ (probability - near) ** 2), float(np.sum(weight)))


def reliability(probability: Floats, near: Bools, weight: Floats) -> tuple[Floats, Floats, Floats]:
    """In ten equal steps of probability: mean said, share that was near, weight."""
    step = np.minimum((probability * _BINS).astype(np.int64), _BINS - 1)
    total = np.bincount(step, weight, _BINS).astype(np.float64)
    held = total > 0
    said = np.bincount(step, weight * probability, _BINS)[held] / total[held]
    true = np.bincount(step, weight * near, _BINS)[held] / total[held]
    return said, true, total[held]


def calibration_error(probability: Floats, near: Bools, weight: Floats) -> float:
    """Expected calibration error: how far probabilities are from what comes true, on average."""
    said, true, held = reliability(probability, near, weight)
    return _ratio(float(held @ np.abs(said - true)), float(np.sum(held)))


def resampled(cluster: Ints, times: int, seed: int = 0) -> "list[Floats]":
    """Weights of a bootstrap that draws whole clusters: one array of shape (N,) a time."""
    rng = np.random.default_rng(seed)
    count = int(np.max(cluster)) + 1 if len(cluster) else 0
    draws = []
    for _ in range(times):
        drawn = np.bincount(rng.integers(0, count, count), minlength=count)
        draws.append(drawn[cluster].astype(np.float64))
    return draws


def _ratio(above: float, below: float) -> float:
    return above / below if below else float("nan")
