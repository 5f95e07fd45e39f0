"""What a diary keeps of one identifier in one scan window, in 32 packed bytes.

Level, not attenuation, is kept: the sender's power is inside the encrypted metadata and
can be read only once its key is published.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

# Big-endian, so that a diary page means the same on every machine.
SCAN_RECORD: Final = np.dtype(
    [
        ("rpi", "V16"),  # rolling proximity identifier
        ("aem", "V4"),  # associated encrypted metadata, as received
        ("time", ">u4"),  # Unix time of the scan window's first packet
        ("since_last_scan", ">u2"),  # seconds this scan stands for (capped at 300 by the phone)
        ("rssi_mean", ">i2"),  # hundredths of a dBm: mean over the packets of the window
        ("rssi_max", "i1"),  # dBm: the strongest packet
        ("packets", "u1"),  # packets heard, at most 255
        ("trusted_clock", "?"),  # False: the clock stood before the last signed server time - 2 h
        ("reserved", "V1"),
    ]
)

ScanRecords = NDArray[np.void]  # shape (N,), dtype SCAN_RECORD
