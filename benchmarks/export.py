"""Key files: time and memory to build and to read them, beside the protobuf library.

Every row runs in a process of its own, so that its peak memory is its own; times are CPU
seconds. "build" is the whole of it: sort, encode, sign, compress. "encode" turns columns
into protobuf bytes, beside the library doing the same with a message object for each key.
"read" includes decompression, the signature and every check.
"""

import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable

import numpy as np
from cryptography.hazmat.primitives.asymmetric import ec

from bluezone.protocol import export_pb2
from bluezone.protocol.export_records import key_records
from bluezone.protocol.exports import ExportSigner, read_export, write_exports
from bluezone.protocol.key_table import KeyTable

_SIGNER = ExportSigner(ec.derive_private_key(1, ec.SECP256R1()), "e1")
_START, _END = 1_610_668_800, 1_610_672_400


def _table(count: int) -> KeyTable:
    """Keys as an hour of a bad day would bring them: 14 days, one in 14 truncated."""
    rng = np.random.default_rng(1)
    day = rng.integers(0, 14, count)
    return KeyTable(
        rng.integers(0, 256, (count, 16), np.uint8),
        (2_684_448 - 144 * day).astype(np.uint32),
        np.where(day == 0, rng.integers(1, 145, count), 144).astype(np.uint16),
        np.ones(count, np.uint8),
        (rng.integers(0, 9, count) - day).astype(np.int16),
    )


def _build(count: int) -> dict[str, object]:
    table = _table(count)
    return _timed(lambda: write_exports(table, _START, _END, _SIGNER))


def _encode(count: int) -> dict[str, object]:
    table = _table(count)
    return _timed(lambda: [key_records(table)[0]])


def _encode_with_protobuf(count: int) -> dict[str, object]:
    table = _table(count)

    def encode() -> list[bytes]:
        message = export_pb2.TemporaryExposureKeyExport()
        columns = (
            table.rolling_start.tolist(),
            table.rolling_period.tolist(),
            table.report_type.tolist(),
            table.days_since_onset.tolist(),
        )
        for key, start, period, report_type, onset in zip(table.key, *columns, strict=True):
            message.keys.add(
                key_data=key.tobytes(),
                rolling_start_interval_number=start,
                rolling_period=period,
                report_type=report_type,
                days_since_onset_of_symptoms=onset,
            )
        data: bytes = message.SerializeToString()
        return [data]

    return _timed(encode)


def _read(count: int) -> dict[str, object]:
    files = write_exports(_table(count), _START, _END, _SIGNER)
    pins = {_SIGNER.key_id: _SIGNER.private_key.public_key()}

    def read() -> list[bytes]:
        found = sum(len(read_export(data, "file", pins).keys) for data in files)
        assert found == count
        return files

    return _timed(read)


def _timed(work: Callable[[], list[bytes]]) -> dict[str, object]:
    started = time.process_time()
    files = work()
    return {
        "cpu_seconds": time.process_time() - started,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "files": len(files),
        "largest_file_mb": max(map(len, files)) / 2**20,
    }


_TASKS: dict[str, Callable[[int], dict[str, object]]] = {
    "build": _build,
    "encode": _encode,
    "encode, protobuf library": _encode_with_protobuf,
    "read": _read,
}


def measure() -> list[dict[str, object]]:
    """One row a task and number of keys."""
    rows: list[dict[str, object]] = []
    for task, count in (
        ("build", 750_000),
        ("build", 1_600_000),
        ("encode", 750_000),
        ("encode, protobuf library", 750_000),
        ("read", 24_000),
        ("read", 750_000),
    ):
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.export", task, str(count)],
            capture_output=True,
            text=True,
            check=True,
        )
        rows.append({"task": task, "keys": count, **json.loads(done.stdout)})
    return rows


if __name__ == "__main__":
    print(json.dumps(_TASKS[sys.argv[1]](int(sys.argv[2]))))
