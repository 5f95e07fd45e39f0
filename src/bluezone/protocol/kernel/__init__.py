"""Derive the identifiers of many keys and keep those that may be in a diary.

Two kernels answer alike: `portable`, and `x86`, some twenty times as fast, which has to be
compiled first (ARCHITECTURE.md, "Matching kernel").
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from bluezone.protocol.kernel import portable
from bluezone.protocol.kernel.candidates import CANDIDATE, Prefilter, Search

__all__ = ["CANDIDATE", "Prefilter", "find_candidates"]

# 2.4 MB of identifiers: few enough to stay in a processor's cache.
_KEYS_PER_CHUNK: Final = 1024
# Compiling takes as long as the portable kernel takes for about this many keys. A process
# that has fewer never waits for the compiler; one that has more waits once.
_KEYS_WORTH_COMPILING: Final = 12_000

_keys_so_far = 0


def find_candidates(
    keys: NDArray[np.uint8],
    rolling_start: NDArray[np.uint32],
    rolling_period: NDArray[np.uint16],
    prefilter: Prefilter,
) -> NDArray[np.void]:
    """The identifiers of N keys whose first eight bytes (little-endian) pass `prefilter`.

    `keys` has shape (N, 16), the others (N,). Returns CANDIDATE records by key row, then
    interval.
    """
    chunks = [np.zeros(0, CANDIDATE)]
    search = _search_for(len(keys))
    for row in range(0, len(keys), _KEYS_PER_CHUNK):
        rows = slice(row, row + _KEYS_PER_CHUNK)
        found = search(keys[rows], rolling_start[rows], rolling_period[rows], prefilter)
        found["key_row"] += row
        chunks.append(found)
    return np.concatenate(chunks)


def _search_for(keys: int) -> Search:
    global _keys_so_far
    _keys_so_far += keys
    if _keys_so_far < _KEYS_WORTH_COMPILING:
        return portable.search
    from bluezone.protocol.kernel import x86  # LLVM takes 0.1 s to load

    return x86.compiled() or portable.search
