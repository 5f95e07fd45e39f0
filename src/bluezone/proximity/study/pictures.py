"""Two pictures of an evaluation: ROC curves, and how probabilities come true."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from bluezone.proximity.estimator import CLOSE_METRES
from bluezone.proximity.study import metrics
from bluezone.proximity.study.evaluate import BOTH, ONE, SINGLE, Beacons, Judged
from bluezone.proximity.study.metrics import Ranking

# Told apart by dash as well as by colour, and readable on a phone.
_STYLE = {BOTH: ("#0b5fa5", "-"), ONE: ("#c25700", "--"), SINGLE: ("#5c5c5c", ":")}
_POINTS = 301  # finer than a screen shows


def draw(judged: Sequence[Judged], folder: Path, collection: str) -> list[Path]:
    """roc.svg and reliability.svg of one collection's beacons; none without truth."""
    beacons = Beacons.of([one for one in judged if one.pair.collection == collection])
    near = beacons.distance <= CLOSE_METRES
    if not np.any(near) or np.all(near):
        return []
    folder.mkdir(parents=True, exist_ok=True)
    ones = np.ones(len(near))
    roc, reliability = _square(), _square()
    for scorer, (colour, dash) in _STYLE.items():
        said = beacons.probability[scorer, CLOSE_METRES]
        ranking = Ranking(said, near)
        label = f"{scorer} (AUC {ranking.auc(ones):.3f})"
        false, true = ranking.curve()
        grid = np.linspace(0, 1, _POINTS)
        roc.axes[0].plot(grid, np.interp(grid, false, true), dash, color=colour, label=label)
        steps, came_true, _ = metrics.reliability(said, near, ones)
        error = metrics.calibration_error(said, near, ones)
        label = f"{scorer} (mean error {error:.3f})"
        reliability.axes[0].plot(steps, came_true, dash, marker="o", color=colour, label=label)
    roc.axes[0].set(xlabel="false positives: share of the far", ylabel="found: share of the near")
    reliability.axes[0].set(xlabel="probability said", ylabel="share within 2 m in truth")
    made = []
    for name, figure in (("roc", roc), ("reliability", reliability)):
        figure.axes[0].plot([0, 1], [0, 1], color="#b0b0b0", linewidth=0.8)
        figure.axes[0].legend(loc="lower right" if name == "roc" else "upper left", fontsize=8)
        path = folder / f"{name}.svg"
        with mpl.rc_context({"svg.hashsalt": "bluezone"}):  # the same picture, the same file
            figure.savefig(path, metadata={"Date": None})
        made.append(path)
    return made


def _square() -> Figure:
    figure = Figure(figsize=(5, 5), layout="constrained")
    axes = figure.add_subplot()
    axes.set(xlim=(0, 1), ylim=(0, 1), aspect="equal")
    axes.grid(color="#e4e4e4")
    return figure
