"""Diagnosis keys in columns: a national export has too many of them for an object each."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from bluezone.protocol.keys import DiagnosisKey, ReportType, TemporaryExposureKey

NO_ONSET: Final = -(2**15)  # days_since_onset of a key without a known onset


@dataclass(frozen=True, slots=True)
class KeyTable:
    """N diagnosis keys.

    `key` has shape (N, 16) uint8, the others shape (N,): `rolling_start` uint32 interval
    numbers, `rolling_period` uint16, `report_type` uint8, `days_since_onset` int16
    (NO_ONSET where none is known).
    """

    key: NDArray[np.uint8] = field(repr=False)
    rolling_start: NDArray[np.uint32]
    rolling_period: NDArray[np.uint16]
    report_type: NDArray[np.uint8]
    days_since_onset: NDArray[np.int16]

    def __len__(self) -> int:
        return len(self.rolling_start)

    def __getitem__(self, row: int) -> DiagnosisKey:
        onset = int(self.days_since_onset[row])
        return DiagnosisKey(
            TemporaryExposureKey(
                self.key[row].tobytes(), int(self.rolling_start[row]), int(self.rolling_period[row])
            ),
            ReportType(int(self.report_type[row])),
            None if onset == NO_ONSET else onset,
        )

    def __iter__(self) -> Iterator[DiagnosisKey]:
        return (self[row] for row in range(len(self)))

    def take(self, rows: NDArray[np.intp] | slice) -> "KeyTable":
        """The table of the given rows, in the given order."""
        return KeyTable(
            self.key[rows],
            self.rolling_start[rows],
            self.rolling_period[rows],
            self.report_type[rows],
            self.days_since_onset[rows],
        )

    @classmethod
    def concatenate(cls, tables: Sequence["KeyTable"]) -> "KeyTable":
        """The rows of all `tables`, one table after the other."""
        parts = [cls.of([]), *tables]
        return cls(
            np.concatenate([part.key for part in parts]),
            np.concatenate([part.rolling_start for part in parts]),
            np.concatenate([part.rolling_period for part in parts]),
            np.concatenate([part.report_type for part in parts]),
            np.concatenate([part.days_since_onset for part in parts]),
        )

    @classmethod
    def of(cls, keys: Iterable[DiagnosisKey]) -> "KeyTable":
        """Columns of the given keys, in their order."""
        rows = list(keys)
        joined = b"".join(row.tek.key for row in rows)
        return cls(
            np.frombuffer(joined, np.uint8).reshape(len(rows), 16),
            np.array([row.tek.rolling_start for row in rows], np.uint32),
            np.array([row.tek.rolling_period for row in rows], np.uint16),
            np.array([row.report_type for row in rows], np.uint8),
            np.array(
                [
                    NO_ONSET if row.days_since_onset is None else row.days_since_onset
                    for row in rows
                ],
                np.int16,
            ),
        )
