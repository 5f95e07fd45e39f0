"""Key files in the Exposure Key Export format, written and strictly read (docs/protocol.md,
"Key files").

A file is a zip of `export.bin` (16-byte header, then protobuf) and `export.sig` (ECDSA over
the whole of export.bin). Every system of the family reads the same files, so the reader is
tolerant exactly where files in the field need it, and nowhere else.
"""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils
from google.protobuf.message import DecodeError
from numpy.typing import NDArray

from bluezone.protocol import export_pb2
from bluezone.protocol.deployment import (
    EXPORT_HEADER,
    EXPORT_REGION,
    MAX_EXPORT_BYTES,
    MAX_KEYS_PER_EXPORT,
    ROLLING_PERIOD,
)
from bluezone.protocol.export_archive import ExportFault, unzip, zip_members
from bluezone.protocol.export_records import key_records
from bluezone.protocol.key_table import NO_ONSET, KeyTable
from bluezone.protocol.keys import KEY_BYTES

ECDSA_P256_SHA256: Final = "1.2.840.10045.4.3.2"
# Published rolling starts: from 2020, before which no such key exists, to the last day whose
# times still fit the unsigned 32 bits of a scan record (2106).
MIN_ROLLING_START: Final = 2_629_440
MAX_ROLLING_START: Final = (2**32 - 1) // 600 - ROLLING_PERIOD

# A file within its size limits holds about a million keys. Thirty million empty ones compress
# to nothing but cost the parser gigabytes, and a file that is only looked into is not signed
# by anyone we know. Each costs at least the byte that begins it, so those bytes are counted:
# the tags of keys, revised keys and signature_infos, in their short and longer spellings.
_MESSAGE_TAGS: Final = (b"\x3a", b"\xba", b"\x42", b"\xc2", b"\x32", b"\xb2")
_MAX_MESSAGE_TAGS: Final = 6_000_000

_ECDSA = ec.ECDSA(hashes.SHA256())

# What a file must be signed by: keys pinned by key id, or one key under whatever id.
PublicKeys = Mapping[str, ec.EllipticCurvePublicKey] | ec.EllipticCurvePublicKey


class ExportError(ValueError):
    """A key file is refused: `name` is the file, `fault` what is wrong with it.

    Whoever published or carried the file is to blame; other files are still good.
    """

    def __init__(self, name: str, fault: str) -> None:
        super().__init__(f"{name}: {fault}")
        self.name = name
        self.fault = fault


@dataclass(frozen=True, slots=True)
class ExportSigner:
    """The key that signs files, and how files name it."""

    private_key: ec.EllipticCurvePrivateKey
    key_id: str
    key_version: str = "v1"


@dataclass(frozen=True, slots=True)
class ExportSignature:
    """A signature in export.sig. `valid` is None when there was no key to check it with."""

    key_id: str
    key_version: str
    algorithm: str
    batch_num: int
    batch_size: int
    der: bytes
    valid: bool | None = None


@dataclass(frozen=True, slots=True)
class Export:
    """A key file that was accepted; `start` and `end` are Unix seconds as the file says."""

    name: str
    start: int
    end: int
    region: str
    batch_num: int
    batch_size: int
    keys: KeyTable
    revised: KeyTable
    signatures: tuple[ExportSignature, ...]
    other_members: tuple[str, ...] = ()


# --- reading --------------------------------------------------------------------------


def read_export(data: bytes, name: str, public_keys: PublicKeys | None) -> Export:
    """Read one key file.

    `public_keys` are the pinned keys by key id: one signature must be by one of them. A
    signature that names no key is tried with each. A single key is tried with every
    signature. None checks no signature, for looking into files only. Raises ExportError,
    which names the file and the fault.
    """
    try:
        content, signature_list, others = unzip(data)
        signatures = _check_signatures(content, signature_list, public_keys)
        message = _parse_content(content)
        return Export(
            name,
            message.start_timestamp,
            message.end_timestamp,
            message.region,
            message.batch_num,
            message.batch_size,
            _table(message.keys, "keys"),
            _table(message.revised_keys, "revised keys"),
            signatures,
            others,
        )
    except ExportFault as fault:
        raise ExportError(name, str(fault)) from fault


def _check_signatures(
    content: bytes, signature_list: bytes, public_keys: PublicKeys | None
) -> tuple[ExportSignature, ...]:
    """The signatures, each checked where a key is pinned; ExportFault unless one is good."""
    try:
        parsed = export_pb2.TEKSignatureList.FromString(signature_list)
    except DecodeError as error:
        raise ExportFault("export.sig is not a list of signatures") from error
    signatures = [
        ExportSignature(
            entry.signature_info.verification_key_id,
            entry.signature_info.verification_key_version,
            entry.signature_info.signature_algorithm,
            entry.batch_num,
            entry.batch_size,
            entry.signature,
        )
        for entry in parsed.signatures
    ]
    if not signatures:
        raise ExportFault("export.sig holds no signature")
    if len(signatures) > 16:
        raise ExportFault(f"export.sig holds {len(signatures)} signatures, more than 16")
    faults = []
    checked = []
    for signature in signatures:
        fault = _signature_fault(signature, content, public_keys)
        if fault is not None:
            faults.append(fault)
        valid = None if public_keys is None else fault is None
        checked.append(replace(signature, valid=valid))
    if len(faults) == len(signatures):
        raise ExportFault("; ".join(dict.fromkeys(faults)))
    return tuple(checked)


def _signature_fault(
    signature: ExportSignature, content: bytes, public_keys: PublicKeys | None
) -> str | None:
    label = f"the signature of key {signature.key_id[:80]!r}"
    if signature.algorithm not in ("", ECDSA_P256_SHA256):
        return f"{label} uses algorithm {signature.algorithm[:80]!r}, not {ECDSA_P256_SHA256}"
    try:
        utils.decode_dss_signature(signature.der)
    except ValueError:
        return f"{label} is not a DER ECDSA signature"
    if public_keys is None:
        return None
    if isinstance(public_keys, ec.EllipticCurvePublicKey):
        candidates = [public_keys]
    elif signature.key_id:
        candidates = [public_keys[signature.key_id]] if signature.key_id in public_keys else []
    else:
        candidates = list(public_keys.values())
    if not candidates:
        return f"key {signature.key_id[:80]!r}, which signed it, is not pinned"
    for key in candidates:
        try:
            key.verify(signature.der, content, _ECDSA)
        except InvalidSignature:
            continue
        return None
    return f"{label} does not match the content"


def _parse_content(content: bytes) -> export_pb2.TemporaryExposureKeyExport:
    header = content[: len(EXPORT_HEADER)]
    if header != EXPORT_HEADER:
        raise ExportFault(f"export.bin begins with {header!r}, not {EXPORT_HEADER!r}")
    if len(content) == len(EXPORT_HEADER):
        raise ExportFault("export.bin has nothing after its header")
    if sum(content.count(tag) for tag in _MESSAGE_TAGS) > _MAX_MESSAGE_TAGS:
        raise ExportFault("export.bin holds more messages than any file of keys")
    try:
        return export_pb2.TemporaryExposureKeyExport.FromString(content[len(EXPORT_HEADER) :])
    except DecodeError as error:
        raise ExportFault("export.bin is not an Exposure Key Export message") from error


def _table(keys: Sequence[export_pb2.TemporaryExposureKey], label: str) -> KeyTable:
    # Comprehensions over the parsed messages: 24,000 keys in 20 ms, so no parser of our own.
    key_data = [key.key_data for key in keys]
    if any(len(data) != KEY_BYTES for data in key_data):
        row = next(row for row, data in enumerate(key_data) if len(data) != KEY_BYTES)
        raise ExportFault(f"{label}: key {row} has {len(key_data[row])} bytes, not {KEY_BYTES}")
    start = np.array([key.rolling_start_interval_number for key in keys], np.int64)
    period = np.array([key.rolling_period for key in keys], np.int64)
    onset = np.array(
        [
            key.days_since_onset_of_symptoms
            if key.HasField("days_since_onset_of_symptoms")
            else NO_ONSET
            for key in keys
        ],
        np.int64,
    )
    fault = _range_fault(start, period, onset)
    if fault is not None:
        raise ExportFault(f"{label}: {fault}")
    table = KeyTable(
        np.frombuffer(b"".join(key_data), np.uint8).reshape(len(key_data), KEY_BYTES),
        start.astype(np.uint32),
        period.astype(np.uint16),
        np.array([key.report_type for key in keys], np.uint8),
        onset.astype(np.int16),
    )
    duplicate = _first_duplicate(table.key, _sorted_rows(table.key))
    if duplicate is not None:
        raise ExportFault(f"{label}: key {duplicate} appears twice")
    return table


def _range_fault(
    start: NDArray[np.int64], period: NDArray[np.int64], onset: NDArray[np.int64]
) -> str | None:
    checks = (
        ("rolling start", start, MIN_ROLLING_START, MAX_ROLLING_START),
        ("rolling period", period, 1, ROLLING_PERIOD),
        ("days since onset", onset, NO_ONSET, 2**15 - 1),
    )
    for what, values, low, high in checks:
        wrong = np.flatnonzero((values < low) | (values > high))
        if wrong.size:
            return f"key {wrong[0]} has {what} {values[wrong[0]]}, outside {low}..{high}"
    return None


# --- writing --------------------------------------------------------------------------


def write_exports(
    keys: KeyTable,
    start: int,
    end: int,
    signer: ExportSigner,
    region: str = EXPORT_REGION,
    *,
    max_keys: int = MAX_KEYS_PER_EXPORT,
    max_bytes: int = MAX_EXPORT_BYTES,
) -> list[bytes]:
    """The zips of one period `start`..`end` (Unix seconds): none when there are no keys.

    Keys are sorted by their bytes, so order says nothing about who reported or when, and
    split evenly into as few batches as the limits allow. Apart from the signature the bytes
    depend on the arguments alone. ValueError for keys that a reader would refuse.
    """
    fault = _range_fault(
        keys.rolling_start.astype(np.int64),
        keys.rolling_period.astype(np.int64),
        keys.days_since_onset.astype(np.int64),
    )
    if fault is not None:
        raise ValueError(f"not fit to be published: {fault}")
    order = _sorted_rows(keys.key)
    duplicate = _first_duplicate(keys.key, order)
    if duplicate is not None:
        raise ValueError(f"not fit to be published: key {duplicate} appears twice")
    if not len(keys):
        return []
    records, ends = key_records(keys.take(order))
    batches = -(-len(keys) // max_keys)
    while True:
        cuts = [len(keys) * i // batches for i in range(batches + 1)]
        zips = []
        for number, (first, last) in enumerate(itertools.pairwise(cuts), start=1):
            head = _head(start, end, region, number, batches, signer)
            body = records[ends[first] : ends[last]]
            zips.append(_zip(EXPORT_HEADER + head + body, number, batches, signer))
        if max(map(len, zips)) <= max_bytes:
            return zips
        if batches == len(keys):
            raise ValueError(f"one key does not fit into {max_bytes} bytes")
        batches += 1


def _info(signer: ExportSigner) -> export_pb2.SignatureInfo:
    return export_pb2.SignatureInfo(
        verification_key_version=signer.key_version,
        verification_key_id=signer.key_id,
        signature_algorithm=ECDSA_P256_SHA256,
    )


def _head(
    start: int, end: int, region: str, number: int, batches: int, signer: ExportSigner
) -> bytes:
    return export_pb2.TemporaryExposureKeyExport(
        start_timestamp=start,
        end_timestamp=end,
        region=region,
        batch_num=number,
        batch_size=batches,
        signature_infos=[_info(signer)],
    ).SerializeToString()


def _zip(content: bytes, number: int, batches: int, signer: ExportSigner) -> bytes:
    signature = export_pb2.TEKSignature(
        signature_info=_info(signer),
        batch_num=number,
        batch_size=batches,
        signature=signer.private_key.sign(content, _ECDSA),
    )
    signature_list = export_pb2.TEKSignatureList(signatures=[signature]).SerializeToString()
    return zip_members(content, signature_list)


def _sorted_rows(key: NDArray[np.uint8]) -> NDArray[np.intp]:
    halves = np.ascontiguousarray(key).view(">u8")
    return np.lexsort((halves[:, 1], halves[:, 0]))


def _first_duplicate(key: NDArray[np.uint8], order: NDArray[np.intp]) -> int | None:
    """The row of a key that an earlier row already has; `order` sorts the rows by key."""
    in_order = key[order]
    same = np.flatnonzero((in_order[1:] == in_order[:-1]).all(axis=1))
    return int(order[same[0] + 1]) if same.size else None
