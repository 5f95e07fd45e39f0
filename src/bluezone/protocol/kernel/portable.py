"""The kernel for any processor: OpenSSL derives, numpy looks up. It defines what is right."""

from functools import lru_cache

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from numpy.typing import NDArray

from bluezone.protocol.kernel.candidates import CANDIDATE, Prefilter
from bluezone.protocol.keys import padded_intervals, rolling_proximity_identifier_key

_ECB = modes.ECB()  # noqa: S305 - the specification's construction: one block per identifier
_padded_intervals = lru_cache(maxsize=256)(padded_intervals)


def search(
    keys: NDArray[np.uint8],
    rolling_start: NDArray[np.uint32],
    rolling_period: NDArray[np.uint16],
    prefilter: Prefilter,
) -> NDArray[np.void]:
    """See `candidates.Search`."""
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
    found = np.empty(len(hits), CANDIDATE)
    found["rpi"] = identifiers[hits]
    found["key_row"] = row
    found["interval"] = rolling_start[row] + (hits - ends[row] + rolling_period[row])
    return found
