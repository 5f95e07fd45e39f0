"""Derive the identifiers of many keys and keep those that may be in a diary."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from numpy.typing import NDArray

from bluezone.protocol.keys import padded_intervals, rolling_proximity_identifier_key

CANDIDATE: Final = np.dtype([("rpi", "V16"), ("key_row", "<u4"), ("interval", "<u4")])

_ECB = modes.ECB()  # noqa: S305 - the specification's construction: one block per identifier
_KEYS_PER_CHUNK = 1024  # 2.4 MB of identifiers: few enough to stay in a phone's cache
_padded_intervals = lru_cache(maxsize=256)(padded_intervals)


@dataclass(frozen=True, slots=True)
class Prefilter:
    """A set of 64-bit numbers as a bit table: it may say yes wrongly, but never no.

    `bits` has a power-of-two number of bits, packed little-endian; number x sits at bit
    x mod size. Identifiers are uniformly random in every bit, so they are their own hash.
    """

    bits: NDArray[np.uint8]

    @classmethod
    def of(cls, numbers: NDArray[np.uint64]) -> "Prefilter":
        """The table of `numbers`, with at least 64 bits for each: 1.6 % are wrongly yes."""
        size = 1 << max(10, (64 * len(numbers) - 1).bit_length())
        table = np.zeros(size, np.bool_)
        table[numbers & np.uint64(size - 1)] = True
        return cls(np.packbits(table, bitorder="little"))

    def __contains__(self, number: int) -> bool:
        position = number & (8 * len(self.bits) - 1)
        return bool(self.bits[position >> 3] >> (position & 7) & 1)

    def rows_in(self, numbers: NDArray[np.uint64]) -> NDArray[np.intp]:
        """Rows of `numbers` that may be in the set."""
        position = numbers & np.uint64(8 * len(self.bits) - 1)
        byte = self.bits[position >> np.uint64(3)]
        return np.flatnonzero(byte >> (position & np.uint64(7)).astype(np.uint8) & 1)


def find_candidates(
    keys: NDArray[np.uint8],
    rolling_start: NDArray[np.uint32],
    rolling_period: NDArray[np.uint16],
    prefilter: Prefilter,
) -> NDArray[np.void]:
    """The identifiers of N keys whose first eight bytes (little-endian) pass `prefilter`.

    `keys` has shape (N, 16). Returns CANDIDATE records ordered by key row and interval.
    """
    chunks = [
        _portable(
            keys[row : row + _KEYS_PER_CHUNK],
            rolling_start[row : row + _KEYS_PER_CHUNK],
            rolling_period[row : row + _KEYS_PER_CHUNK],
            prefilter,
            row,
        )
        for row in range(0, len(keys), _KEYS_PER_CHUNK)
    ]
    return np.concatenate(chunks) if chunks else np.zeros(0, CANDIDATE)


def _portable(
    keys: NDArray[np.uint8],
    rolling_start: NDArray[np.uint32],
    rolling_period: NDArray[np.uint16],
    prefilter: Prefilter,
    first_row: int,
) -> NDArray[np.void]:
    identifiers = np.frombuffer(
        b"".join(
            Cipher(algorithms.AES(rolling_proximity_identifier_key(key.tobytes())), _ECB)
            .encryptor()
            .update(_padded_intervals(start, period))
            for key, start, period in zip(
                keys, rolling_start.tolist(), rolling_period.tolist(), strict=True
            )
        ),
        "V16",
    )
    hits = prefilter.rows_in(identifiers.view("<u8")[::2])
    ends = np.cumsum(rolling_period, dtype=np.int64)
    row = np.searchsorted(ends, hits, "right")
    found = np.zeros(len(hits), CANDIDATE)
    found["rpi"] = identifiers[hits]
    found["key_row"] = row + first_row
    found["interval"] = rolling_start[row] + (hits - ends[row] + rolling_period[row])
    return found
