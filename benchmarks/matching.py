"""Matching: a 24,000-key file against a diary of 50,000 sightings, keys/s on one core.

Every row does the same job on the same bytes in the same run unless it says otherwise: read
the zip, check its signature, parse it, derive 144 identifiers per key and look each up among
the sightings of 14 days. CPU time of this process, the best of a few rounds.
"""

import time
from collections.abc import Callable
from unittest import mock

import numpy as np
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from bluezone.protocol import kernel
from bluezone.protocol.deployment import INTERVAL_SECONDS, ROLLING_PERIOD
from bluezone.protocol.exports import ExportSigner, read_export, write_exports
from bluezone.protocol.kernel import portable, x86
from bluezone.protocol.kernel.candidates import Search
from bluezone.protocol.key_table import KeyTable
from bluezone.protocol.keys import (
    padded_intervals,
    rolling_proximity_identifier_key,
    rolling_proximity_identifiers,
)
from bluezone.protocol.matching import find_matches
from bluezone.protocol.sightings import SCAN_RECORD, ScanRecords

_KEYS = 24_000
_SIGHTINGS = 50_000
_DAYS = 14
_PLANTED = 20
_FIRST_INTERVAL = 2_642_976  # 00:00 UTC
_ROUNDS = 3
_KEY_ID = "bench"
_ECB = modes.ECB()  # noqa: S305 - the specification's construction


def _keys(rng: np.random.Generator) -> KeyTable:
    return KeyTable(
        rng.integers(0, 256, (_KEYS, 16), dtype=np.uint8),
        (_FIRST_INTERVAL + ROLLING_PERIOD * rng.integers(0, _DAYS, _KEYS)).astype(np.uint32),
        np.full(_KEYS, ROLLING_PERIOD, np.uint16),
        np.ones(_KEYS, np.uint8),
        rng.integers(-3, 10, _KEYS).astype(np.int16),
    )


def _diary(rng: np.random.Generator, keys: KeyTable) -> ScanRecords:
    """Sightings spread over all 14 days, so that no key can be skipped; 20 are of keys."""
    records = np.zeros(_SIGHTINGS, SCAN_RECORD)
    records["rpi"] = np.frombuffer(rng.bytes(16 * _SIGHTINGS), "V16")
    first = _FIRST_INTERVAL * INTERVAL_SECONDS
    records["time"] = first + rng.integers(0, _DAYS * 86_400, _SIGHTINGS)
    records["trusted_clock"] = True
    rows = rng.choice(_KEYS, _PLANTED, replace=False)
    for record, row in zip(records[:: _SIGHTINGS // _PLANTED], rows, strict=True):
        offset = int(rng.integers(0, ROLLING_PERIOD))
        record["rpi"] = rolling_proximity_identifiers(keys[int(row)].tek)[
            16 * offset : 16 * offset + 16
        ]
        record["time"] = (int(keys.rolling_start[row]) + offset) * INTERVAL_SECONDS
    return records


def _plain(keys: KeyTable, records: ScanRecords) -> int:
    """What one writes first: HKDF and Cipher objects for each key, a Python set, a loop."""
    seen = {rpi.tobytes() for rpi in records["rpi"]}
    found = 0
    for key, start in zip(keys.key, keys.rolling_start.tolist(), strict=True):
        identifier_key = HKDF(hashes.SHA256(), 16, None, b"EN-RPIK").derive(key.tobytes())
        encryptor = Cipher(algorithms.AES(identifier_key), _ECB).encryptor()
        joined = encryptor.update(padded_intervals(start, ROLLING_PERIOD)) + encryptor.finalize()
        for at in range(0, len(joined), 16):
            found += joined[at : at + 16] in seen
    return found


def _derive_only(keys: KeyTable) -> int:
    """OpenSSL's part alone, its input made beforehand: no Python way can be faster than this."""
    blocks = {
        start: padded_intervals(start, ROLLING_PERIOD) for start in set(keys.rolling_start.tolist())
    }
    size = 0
    for key, start in zip(keys.key, keys.rolling_start.tolist(), strict=True):
        identifier_key = rolling_proximity_identifier_key(key.tobytes())
        size += len(Cipher(algorithms.AES(identifier_key), _ECB).encryptor().update(blocks[start]))
    return size


def _seconds(work: Callable[[], object]) -> float:
    best = float("inf")
    for _ in range(_ROUNDS):
        begin = time.process_time()
        work()
        best = min(best, time.process_time() - begin)
    return best


def measure() -> list[dict[str, object]]:
    """Rows with keys/s and the ratio to plain `cryptography`; refuses rows that miss a match."""
    rng = np.random.default_rng(20_200_418)
    written = _keys(rng)
    records = _diary(rng, written)
    private_key = ec.generate_private_key(ec.SECP256R1())
    pinned = {_KEY_ID: private_key.public_key()}
    first = _FIRST_INTERVAL * INTERVAL_SECONDS
    (file,) = write_exports(
        written, first, first + _DAYS * 86_400, ExportSigner(private_key, _KEY_ID)
    )
    keys = read_export(file, "bench", pinned).keys

    def read() -> KeyTable:
        return read_export(file, "bench", pinned).keys

    def with_kernel(search: Search, work: Callable[[], int]) -> float:
        with mock.patch.object(kernel, "_search_for", return_value=search):
            assert work() == _PLANTED
            return _seconds(work)

    def whole() -> int:
        return len(find_matches(read(), records))

    def match() -> int:
        return len(find_matches(keys, records))

    assert _plain(keys, records) == _PLANTED
    plain = _seconds(lambda: _plain(read(), records))
    rows = [
        ("baseline: plain cryptography per key, Python set, whole job", plain),
        ("baseline: OpenSSL derivation alone", _seconds(lambda: _derive_only(keys))),
        ("portable kernel, whole job", with_kernel(portable.search, whole)),
    ]
    compiled = x86.compiled()
    if compiled is not None:
        rows += [
            ("compiled kernel, whole job", with_kernel(compiled, whole)),
            ("compiled kernel, keys already parsed", with_kernel(compiled, match)),
        ]
    rows.append(("no matching: read, verify and parse the file", _seconds(read)))
    table: list[dict[str, object]] = [
        {"what": what, "ms": 1e3 * s, "keys/s": round(_KEYS / s), "ratio": round(plain / s, 1)}
        for what, s in rows
    ]
    if compiled is not None:
        once = _seconds(lambda: x86.compiled.__wrapped__())
        what = "compiling the kernel, once a process"
        table.append({"what": what, "ms": 1e3 * once, "keys/s": None, "ratio": None})
    return table
