"""A recording: who heard whom, how loudly, and how far apart they truly were."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

import numpy as np

from bluezone.proximity.handset import Handset
from bluezone.proximity.levels import Floats, Ints

# Bluetooth phones send within these; 127 or -999 in a file stands for "not known".
_POWERS_DBM: Final = (-40.0, 20.0)


class RecordingError(Exception):
    """A file is not a recording we can read; the message names it and says why."""


@dataclass(frozen=True, slots=True)
class Recording:
    """Packets of one session, in order of time; arrays have shape (N,).

    `time` in seconds, `rssi` in dBm, `tx_power` in dBm as recorded (NaN: not known),
    `distance` in metres (NaN: not known), `receiver` and `sender` index `phones`
    and `names`.
    `collection` is whose measurements they are, `scenario` what people did, `session` one
    run of it. `free` tells people who moved as people do, whose distances may teach how
    far apart people are, from phones on marks. `dropped` counts rows left out, by reason.
    """

    collection: str
    scenario: str
    session: str
    time: Floats
    rssi: Floats
    tx_power: Floats
    distance: Floats
    receiver: Ints
    sender: Ints
    phones: tuple[Handset, ...]
    names: tuple[str, ...]
    free: bool = False
    dropped: Mapping[str, int] = field(default_factory=dict)

    def rows(self, chosen: "np.ndarray") -> "Recording":
        """Only the chosen rows (a mask or indices)."""
        return replace(
            self,
            time=self.time[chosen],
            rssi=self.rssi[chosen],
            tx_power=self.tx_power[chosen],
            distance=self.distance[chosen],
            receiver=self.receiver[chosen],
            sender=self.sender[chosen],
        )

    def thinned(self, every: float, scan: float = 4.0) -> "Recording":
        """What phones would have heard that scan `scan` seconds of every `every`.

        Each receiver begins at its own moment, as phones do.
        """
        begin = (self.receiver * 97.0) % every
        return self.rows((self.time - begin) % every < scan)


def recording(
    *,
    collection: str,
    scenario: str,
    session: str,
    columns: Mapping[str, Any],
    phones: Sequence[Handset],
    names: Sequence[str] = (),
    free: bool = False,
) -> Recording:
    """Clean what a file says. `columns` may leave out tx_power and distance.

    Levels that are no levels (127, 0 and above, NaN), phones that hear themselves and rows
    that stand twice are left out and counted; distances below 0 and powers that no phone has
    mean that none is known.
    """
    count = len(columns.get("time", ()))
    nothing = np.full(count, np.nan)
    arrays = {
        name: np.asarray(columns.get(name, nothing), np.float64)
        for name in ("time", "rssi", "tx_power", "distance", "receiver", "sender")
    }
    arrays["distance"] = np.where(arrays["distance"] >= 0, arrays["distance"], np.nan)
    least, most = _POWERS_DBM
    power = arrays["tx_power"]
    arrays["tx_power"] = np.where((power >= least) & (power <= most), power, np.nan)
    dropped: dict[str, int] = {}
    with np.errstate(invalid="ignore"):
        faults = {
            "no time": ~np.isfinite(arrays["time"]),
            "no level (127, 0 or above, not a number)": ~(
                (arrays["rssi"] < 0) & (arrays["rssi"] > -128)
            ),
            "a phone that hears itself": arrays["receiver"] == arrays["sender"],
        }
    good = np.ones(count, bool)
    for reason, rows in faults.items():
        if fresh := int(np.sum(good & rows)):
            dropped[reason] = fresh
        good &= ~rows
    table = np.stack([column[good] for column in arrays.values()], axis=1)
    table = table[np.argsort(table[:, 0], kind="stable")]
    if np.any(table[:, 0] % 1):  # by a clock of whole seconds, rows that agree are other packets
        _, first = np.unique(np.nan_to_num(table, nan=-1.0), axis=0, return_index=True)
        if twice := len(table) - len(first):
            dropped["twice the same row"] = twice
        table = table[np.sort(first)]
    time, rssi, tx_power, distance, receiver, sender = table.T
    return Recording(
        collection,
        scenario,
        session,
        time,
        rssi,
        tx_power,
        distance,
        receiver.astype(np.int64),
        sender.astype(np.int64),
        tuple(phones),
        tuple(names) or tuple(map(str, range(len(phones)))),
        free,
        dropped,
    )
