"""What a kernel is asked, and what it answers."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

# An identifier that may be in the diary, and where it comes from.
CANDIDATE: Final = np.dtype([("rpi", "V16"), ("key_row", "<u4"), ("interval", "<u4")])


@dataclass(frozen=True, slots=True)
class Prefilter:
    """A set of 64-bit numbers as a bit table: it may say yes wrongly, but never no.

    `bits` has shape (size / 8,) uint8, `size` a power of two; number x has bit x mod 8 of
    byte (x mod size) // 8. Identifiers are uniformly random, so they are their own hash.
    """

    bits: NDArray[np.uint8]

    @property
    def size(self) -> int:
        """Number of bits."""
        return 8 * len(self.bits)

    @classmethod
    def of(cls, numbers: NDArray[np.uint64]) -> "Prefilter":
        """The table of N numbers with at least 64 N bits, so at most 1.6 % are wrongly yes."""
        size = 1 << (64 * max(len(numbers), 1) - 1).bit_length()
        table = np.zeros(size, np.bool_)
        table[numbers & np.uint64(size - 1)] = True
        return cls(np.packbits(table, bitorder="little"))

    def rows_in(self, numbers: NDArray[np.uint64]) -> NDArray[np.intp]:
        """Rows of `numbers` that may be in the set."""
        position = numbers & np.uint64(self.size - 1)
        byte = self.bits[position >> np.uint64(3)]
        return np.flatnonzero(byte >> (position & np.uint64(7)).astype(np.uint8) & 1)


# (keys (N, 16) uint8, rolling starts (N,) uint32, rolling periods (N,) uint16, prefilter)
# -> CANDIDATE records, by key row, then interval: every identifier of the keys whose first
# eight bytes, as a little-endian number, pass the prefilter.
Search = Callable[
    [NDArray[np.uint8], NDArray[np.uint32], NDArray[np.uint16], Prefilter], NDArray[np.void]
]
