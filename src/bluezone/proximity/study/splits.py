"""What is fitted on and what it is judged by, kept apart by scenario, session or pair."""

from collections.abc import Callable, Iterator, Sequence
from typing import Final

import numpy as np

from bluezone.proximity.study.recordings import Recording, RecordingError

_FOLDS_OF_PAIRS: Final = 5
SPLITS: Final = ("scenario", "session", "pair")
_REFUSED: Final = (
    "a random split of packets or minutes is refused: the error of Bluetooth levels is an offset of"
    " the pair that lasts a whole session, so rows of one session in both halves tell the truth"
    f" to the fit, and every figure would be too good. Split by {', '.join(SPLITS)}."
)

Fold = tuple[list[Recording], list[Recording]]


def check(split: str) -> None:
    """RecordingError for another split than those of SPLITS; for a random one, with the reason."""
    if split in ("random", "packet", "beacon", "minute", "window", "row"):
        raise RecordingError(_REFUSED)
    if split not in SPLITS:
        raise RecordingError(f"unknown split {split!r}; known are {', '.join(SPLITS)}")


def folds(recordings: Sequence[Recording], split: str) -> Iterator[tuple[str, Fold]]:
    """(name, (to fit on, to judge)) for each part of the recordings that is held out.

    RecordingError for another split than those of SPLITS, and when only one part is there.
    """
    check(split)
    cut: Callable[[Sequence[Recording]], list[tuple[str, Fold]]]
    cut = _by_pair if split == "pair" else lambda rows: _by_label(rows, split)
    parts = cut([recording for recording in recordings if recording.free])
    if len(parts) < 2:
        raise RecordingError(
            f"there is only one {split} to split by: judge with the shipped parameters (--frozen)"
        )
    yield from parts


def _by_label(recordings: Sequence[Recording], split: str) -> list[tuple[str, Fold]]:
    labels = sorted({str(getattr(recording, split)) for recording in recordings})
    return [
        (
            label,
            (
                [recording for recording in recordings if getattr(recording, split) != label],
                [recording for recording in recordings if getattr(recording, split) == label],
            ),
        )
        for label in labels
    ]


def _by_pair(recordings: Sequence[Recording]) -> list[tuple[str, Fold]]:
    """The same two people stay together, in whatever session they meet."""
    couples = sorted({couple for recording in recordings for couple in _couples(recording)})
    fold_of = {couple: number % _FOLDS_OF_PAIRS for number, couple in enumerate(couples)}
    parts = []
    for number in sorted(set(fold_of.values())):
        fit_on, judged = [], []
        for recording in recordings:
            held = np.array([fold_of[couple] == number for couple in _couples(recording)], bool)
            fit_on.append(recording.rows(~held))
            judged.append(recording.rows(held))
        parts.append((f"pairs {number + 1} of {_FOLDS_OF_PAIRS}", (fit_on, judged)))
    return parts


def _couples(recording: Recording) -> list[tuple[str, str]]:
    """Of each row: the two phones, whoever heard."""
    names = recording.names
    return [
        (min(names[a], names[b]), max(names[a], names[b]))
        for a, b in zip(recording.receiver.tolist(), recording.sender.tolist(), strict=True)
    ]
