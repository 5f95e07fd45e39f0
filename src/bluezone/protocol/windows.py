"""From matched records to exposure windows (the terms of the Exposure Notification API v2)."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from bluezone.protocol.beacon import decode_metadata
from bluezone.protocol.deployment import ROLLING_PERIOD
from bluezone.protocol.exposure import (
    MAX_SECONDS_PER_SCAN,
    MAX_WINDOW_SECONDS,
    ExposureWindow,
    Infectiousness,
    ScanInstance,
)
from bluezone.protocol.key_table import KeyTable
from bluezone.protocol.keys import associated_encrypted_metadata_key, crypt_metadata
from bluezone.protocol.matching import Matches
from bluezone.protocol.sightings import ScanRecords


def exposure_windows(
    keys: KeyTable,
    records: ScanRecords,
    matches: Matches,
    infectiousness: Callable[[int | None], Infectiousness],
    *,
    first_encounter: int = 0,
) -> list[ExposureWindow]:
    """Windows of at most 30 minutes near each matched key, by encounter, then time.

    Records are grouped by key and cut into windows that neither span nor stand for more
    than 30 minutes. A key that appears in several rows is one encounter, described by
    its last row, because a revision follows what it revises. Encounters are numbered from
    `first_encounter`. A record whose metadata has a foreign major version is dropped: its
    level cannot be read as an attenuation.
    """
    rows_of_key: dict[bytes, list[int]] = {}
    records_of_key: dict[bytes, set[int]] = {}
    for key_row, record_row in zip(
        matches.key_row.tolist(), matches.record_row.tolist(), strict=True
    ):
        key = keys.key[key_row].tobytes()
        rows_of_key.setdefault(key, []).append(key_row)
        records_of_key.setdefault(key, set()).add(record_row)

    windows: list[ExposureWindow] = []
    encounter = first_encounter
    for key, rows in rows_of_key.items():
        published = keys[max(rows)]
        heard = records[np.array(sorted(records_of_key[key]), np.intp)]
        groups = _cut(_scans(key, heard))
        windows += [
            ExposureWindow(
                day=published.tek.rolling_start // ROLLING_PERIOD,
                report_type=published.report_type,
                infectiousness=infectiousness(published.days_since_onset),
                scan_instances=group,
                encounter=encounter,
            )
            for group in groups
        ]
        encounter += bool(groups)
    return windows


@dataclass(slots=True)
class _Scan:
    """What one scan heard of one key; attenuations in hundredths of a dB, exact to add up."""

    time: int
    seconds: int
    packets: int = 0
    attenuation_sum: int = 0
    attenuation_min: int = 2**31

    def add(self, record: np.void, tx_power: int) -> None:
        packets = max(int(record["packets"]), 1)
        self.packets += packets
        self.attenuation_sum += packets * (100 * tx_power - int(record["rssi_mean"]))
        self.attenuation_min = min(self.attenuation_min, 100 * (tx_power - int(record["rssi_max"])))

    def instance(self) -> ScanInstance:
        return ScanInstance(
            typical_attenuation=round(self.attenuation_sum / self.packets / 100, 2),
            min_attenuation=self.attenuation_min / 100,
            seconds_since_last_scan=self.seconds,
            time=self.time,
        )


def _scans(key: bytes, heard: ScanRecords) -> list[_Scan]:
    """The scans in which the key's phone was heard, in order of time.

    A diary may hold a record twice, and a phone that turns its identifier during a scan
    leaves two of it. Two times belong to one scan when they lie within half of the time
    that the later one stands for: the scan before that one was longer ago.
    """
    aem_key = associated_encrypted_metadata_key(key)
    scans: list[_Scan] = []
    distinct = {record.tobytes(): record for record in heard}
    for _, record in sorted(distinct.items(), key=lambda item: (item[1]["time"], item[0])):
        metadata = crypt_metadata(aem_key, record["rpi"].tobytes(), record["aem"].tobytes())
        tx_power = decode_metadata(metadata)
        if tx_power is None:
            continue
        time = int(record["time"])
        seconds = min(int(record["since_last_scan"]), MAX_SECONDS_PER_SCAN)
        if not scans or 2 * (time - scans[-1].time) > seconds:
            scans.append(_Scan(time, seconds))
        scans[-1].seconds = max(scans[-1].seconds, seconds)
        scans[-1].add(record, tx_power)
    return scans


def _cut(scans: list[_Scan]) -> list[tuple[ScanInstance, ...]]:
    """Windows that neither span nor stand for more than MAX_WINDOW_SECONDS."""
    windows: list[list[ScanInstance]] = []
    start = seconds = 0
    for scan in scans:
        seconds += scan.seconds
        full = seconds > MAX_WINDOW_SECONDS or scan.time - start >= MAX_WINDOW_SECONDS
        if full or not windows:
            windows.append([])
            start, seconds = scan.time, scan.seconds
        windows[-1].append(scan.instance())
    return [tuple(window) for window in windows]
