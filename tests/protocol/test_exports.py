"""Key files: what we write is read back, what is wrong is refused by name and fault."""

import base64
import io
import json
import struct
import zipfile
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given

from bluezone.protocol import export_pb2
from bluezone.protocol.deployment import EXPORT_HEADER, MAX_EXPORT_BYTES
from bluezone.protocol.exports import (
    ECDSA_P256_SHA256,
    MAX_ROLLING_START,
    MIN_ROLLING_START,
    ExportError,
    ExportSigner,
    read_export,
    write_exports,
)
from bluezone.protocol.key_table import KeyTable
from bluezone.protocol.keys import DiagnosisKey, ReportType, TemporaryExposureKey

_KEY = ec.derive_private_key(20_210_115, ec.SECP256R1())
_SIGNER = ExportSigner(_KEY, "e1")
_PINS = {"e1": _KEY.public_key()}
_START, _END = 1_610_668_800, 1_610_672_400
_VECTORS = Path(__file__).parent.parent / "vectors"

_diagnosis_keys = st.builds(
    DiagnosisKey,
    st.builds(
        TemporaryExposureKey,
        st.binary(min_size=16, max_size=16),
        st.integers(MIN_ROLLING_START, MAX_ROLLING_START),
        st.integers(1, 144),
    ),
    st.sampled_from(ReportType),
    st.none() | st.integers(-(2**15) + 1, 2**15 - 1),
)
_tables = st.lists(_diagnosis_keys, max_size=40, unique_by=lambda row: row.tek.key).map(KeyTable.of)


def _table(count: int, seed: int = 1) -> KeyTable:
    rng = np.random.default_rng(seed)
    return KeyTable(
        rng.integers(0, 256, (count, 16), np.uint8),
        (2_684_448 + 144 * rng.integers(0, 14, count)).astype(np.uint32),
        np.where(rng.random(count) < 0.1, 87, 144).astype(np.uint16),
        np.ones(count, np.uint8),
        rng.integers(-3, 12, count).astype(np.int16),
    )


def _message(**fields: Any) -> export_pb2.TemporaryExposureKeyExport:
    """A plain file of two keys, built by the protobuf library, with `fields` changed."""
    message = export_pb2.TemporaryExposureKeyExport(
        start_timestamp=_START, end_timestamp=_END, region="VN", batch_num=1, batch_size=1
    )
    for i in (1, 2):
        message.keys.add(
            key_data=bytes([i]) * 16, rolling_start_interval_number=2_684_448, rolling_period=144
        )
    for name, value in fields.items():
        setattr(message, name, value)
    return message


def _content(message: export_pb2.TemporaryExposureKeyExport) -> bytes:
    return EXPORT_HEADER + message.SerializeToString()


def _signature_list(
    content: bytes,
    key: ec.EllipticCurvePrivateKey = _KEY,
    key_id: str = "e1",
    algorithm: str = ECDSA_P256_SHA256,
) -> export_pb2.TEKSignatureList:
    info = export_pb2.SignatureInfo(
        verification_key_version="v1", verification_key_id=key_id, signature_algorithm=algorithm
    )
    signature = key.sign(content, ec.ECDSA(hashes.SHA256()))
    entry = export_pb2.TEKSignature(
        signature_info=info, batch_num=1, batch_size=1, signature=signature
    )
    return export_pb2.TEKSignatureList(signatures=[entry])


def _zip(members: dict[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    output = io.BytesIO()
    with zipfile.ZipFile(output, "w", compression) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return output.getvalue()


def _file(content: bytes, **more: bytes) -> bytes:
    signature = _signature_list(content).SerializeToString()
    return _zip({"export.bin": content, "export.sig": signature, **more})


def _refusal(data: bytes, pins: dict[str, ec.EllipticCurvePublicKey] | None = _PINS) -> str:
    with pytest.raises(ExportError) as caught:
        read_export(data, "2021-01-15-07.zip", pins)
    assert caught.value.name == "2021-01-15-07.zip"
    assert str(caught.value) == f"2021-01-15-07.zip: {caught.value.fault}"
    return caught.value.fault


# --- what we write ----------------------------------------------------------------------


@given(_tables, st.integers(1, 15))
def test_what_is_written_is_read_back_sorted_and_complete(table: KeyTable, max_keys: int) -> None:
    files = write_exports(table, _START, _END, _SIGNER, max_keys=max_keys)
    exports = [read_export(data, "x.zip", _PINS) for data in files]
    read = [row for export in exports for row in export.keys]
    assert read == sorted(table, key=lambda row: row.tek.key)
    assert len(files) == -(-len(table) // max_keys)
    for number, export in enumerate(exports, start=1):
        assert (export.start, export.end, export.region) == (_START, _END, "VN")
        assert (export.batch_num, export.batch_size) == (number, len(files))
        assert 1 <= len(export.keys) <= max_keys
        assert [signature.valid for signature in export.signatures] == [True]


@given(_tables.filter(len))
def test_the_bytes_are_those_of_the_protobuf_library(table: KeyTable) -> None:
    (data,) = write_exports(table, _START, _END, _SIGNER)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        content = archive.read("export.bin")
    ours = export_pb2.TemporaryExposureKeyExport.FromString(content[16:])
    expected = export_pb2.TemporaryExposureKeyExport(
        start_timestamp=_START,
        end_timestamp=_END,
        region="VN",
        batch_num=1,
        batch_size=1,
        signature_infos=ours.signature_infos,
    )
    for row in sorted(table, key=lambda row: row.tek.key):
        key = expected.keys.add(
            key_data=row.tek.key,
            rolling_start_interval_number=row.tek.rolling_start,
            rolling_period=row.tek.rolling_period,
            report_type=int(row.report_type),
        )
        if row.days_since_onset is not None:
            key.days_since_onset_of_symptoms = row.days_since_onset
    assert content == EXPORT_HEADER + expected.SerializeToString(deterministic=True)


def test_apart_from_the_signature_the_order_of_arrival_changes_nothing() -> None:
    table = _table(50)
    shuffled = table.take(np.random.default_rng(2).permutation(50))

    def members(keys: KeyTable) -> list[tuple[tuple[int, ...], bytes]]:
        (data,) = write_exports(keys, _START, _END, _SIGNER)
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return [(info.date_time, archive.read(info)) for info in archive.infolist()][:1]

    assert members(table) == members(shuffled)


def test_a_batch_that_would_be_too_large_is_split_further() -> None:
    table = _table(1000)
    files = write_exports(table, _START, _END, _SIGNER, max_bytes=8_000)
    assert len(files) > 1
    assert all(len(data) <= 8_000 for data in files)
    assert sum(len(read_export(data, "x", _PINS).keys) for data in files) == 1000
    with pytest.raises(ValueError, match="one key does not fit"):
        write_exports(table.take(slice(0, 2)), _START, _END, _SIGNER, max_bytes=100)


def test_a_writer_refuses_what_readers_would_refuse() -> None:
    good = TemporaryExposureKey(bytes(16), 2_684_448)
    for bad in (
        TemporaryExposureKey(b"x" * 16, 2_684_448, 0),
        TemporaryExposureKey(b"x" * 16, 2_684_448, 145),
        TemporaryExposureKey(b"x" * 16, 5, 144),
        good,
    ):
        with pytest.raises(ValueError, match="not fit to be published"):
            write_exports(
                KeyTable.of([DiagnosisKey(good), DiagnosisKey(bad)]), _START, _END, _SIGNER
            )


def test_no_keys_make_no_file() -> None:
    assert write_exports(_table(0), _START, _END, _SIGNER) == []


# --- files of other systems -------------------------------------------------------------


_GOOGLE = json.loads((_VECTORS / "google_server_export.json").read_text())


def _published_test_export() -> tuple[bytes, dict[str, ec.EllipticCurvePublicKey]]:
    key = serialization.load_pem_public_key(_GOOGLE["public_key_pem"].encode())
    assert isinstance(key, ec.EllipticCurvePublicKey)
    return base64.b64decode(_GOOGLE["zip"]), {"some_id": key}


def test_the_published_test_export_of_the_google_server() -> None:
    vector = _GOOGLE
    data, pins = _published_test_export()
    export = read_export(data, "test", pins)
    assert (export.start, export.end) == (vector["start"], vector["end"])
    assert (export.region, export.batch_num, export.batch_size) == ("US", 1, 1)
    assert [
        (base64.b64encode(row.tek.key).decode(), row.tek.rolling_start, row.tek.rolling_period)
        for row in export.keys
    ] == [(row["key"], row["rollingStartNumber"], row["rollingPeriod"]) for row in vector["keys"]]
    assert {row.report_type for row in export.keys} == {ReportType.UNKNOWN}
    assert {row.days_since_onset for row in export.keys} == {None}


def test_what_production_files_carry_is_accepted() -> None:
    """Unsorted keys, mixed and missing rolling periods, revised keys, one member more."""
    message = _message()
    del message.keys[:]
    message.keys.add(key_data=b"\x02" * 16, rolling_start_interval_number=2_684_448)
    message.keys.add(
        key_data=b"\x01" * 16,
        rolling_start_interval_number=2_684_448,
        rolling_period=96,
        transmission_risk_level=5,
        report_type=4,
        days_since_onset_of_symptoms=3999,  # some publishers encode more than days here
    )
    message.revised_keys.add(
        key_data=b"\x03" * 16, rolling_start_interval_number=2_684_448, report_type=5
    )
    export = read_export(_file(_content(message), **{"README.txt": b"hello"}), "x", _PINS)
    assert [row.tek.rolling_period for row in export.keys] == [144, 96]
    assert [row.days_since_onset for row in export.keys] == [None, 3999]
    assert [row.report_type for row in export.revised] == [ReportType.REVOKED]
    assert export.other_members == ("README.txt",)


def test_deprecated_and_future_fields_are_passed_over() -> None:
    content = _content(_message()) + b"\x7a\x03new"  # field 15, unknown to this reader
    signatures = _signature_list(content)
    info = signatures.signatures[0].signature_info.SerializeToString()
    old = b"\x0a\x05a.b.c" + b"\x12\x05a.b.c"  # app bundle and Android package
    entry = (
        b"\x0a"
        + bytes([len(old + info)])
        + old
        + info
        + b"\x22"
        + bytes([len(signatures.signatures[0].signature)])
        + signatures.signatures[0].signature
    )
    signature_list = b"\x0a" + len(entry).to_bytes(1, "big") + entry
    if len(entry) > 127:
        signature_list = b"\x0a" + bytes([len(entry) & 0x7F | 0x80, len(entry) >> 7]) + entry
    export = read_export(_zip({"export.bin": content, "export.sig": signature_list}), "x", _PINS)
    assert len(export.keys) == 2
    assert export.signatures[0].key_id == "e1"


def test_an_unknown_report_type_reads_as_unknown() -> None:
    content = _content(_message())
    record = b"\x0a\x10" + b"\x05" * 16 + b"\x18\xa0\xec\xa3\x01" + b"\x28\x2a"
    content += b"\x3a" + bytes([len(record)]) + record
    export = read_export(_file(content), "x", _PINS)
    assert export.keys[2].report_type == ReportType.UNKNOWN


def test_one_good_signature_is_enough_while_keys_change() -> None:
    content = _content(_message())
    other = ec.generate_private_key(ec.SECP256R1())
    signatures = _signature_list(content, other, "next")
    signatures.MergeFrom(_signature_list(content))
    data = _zip({"export.bin": content, "export.sig": signatures.SerializeToString()})
    export = read_export(data, "x", _PINS)
    assert [s.valid for s in export.signatures] == [False, True]
    read_export(data, "x", {"next": other.public_key()})


def test_a_signature_that_names_no_key_is_tried_with_each() -> None:
    content = _content(_message())
    signature = _signature_list(content, key_id="").SerializeToString()
    data = _zip({"export.bin": content, "export.sig": signature})
    assert len(read_export(data, "x", _PINS).keys) == 2
    stranger = ec.generate_private_key(ec.SECP256R1()).public_key()
    assert "does not match" in _refusal(data, {"e1": stranger})


def test_a_single_key_counts_under_whatever_id() -> None:
    (data,) = write_exports(_table(3), _START, _END, _SIGNER)
    export = read_export(data, "x", _SIGNER.private_key.public_key())
    assert [s.valid for s in export.signatures] == [True]
    with pytest.raises(ExportError, match="does not match"):
        read_export(data, "x", ec.generate_private_key(ec.SECP256R1()).public_key())


def test_without_pinned_keys_a_signature_is_not_checked() -> None:
    (data,) = write_exports(_table(3), _START, _END, _SIGNER)
    assert read_export(data, "x", None).signatures[0].valid is None


# --- refusals ---------------------------------------------------------------------------


def test_every_truncation_is_refused() -> None:
    (data,) = write_exports(_table(3), _START, _END, _SIGNER)
    for length in range(len(data)):
        assert _refusal(data[:length])


def test_a_changed_bit_is_refused_or_changes_nothing() -> None:
    good, pins = _published_test_export()
    keys = list(read_export(good, "x", pins).keys)
    refused = 0
    for bit in range(8 * len(good)):
        changed = bytearray(good)
        changed[bit // 8] ^= 1 << bit % 8
        try:
            export = read_export(bytes(changed), "x", pins)
        except ExportError:
            refused += 1
        else:
            assert list(export.keys) == keys
    assert refused > 2500  # of 4,040; the rest are dates, flags and attributes of the zip


@given(st.binary(max_size=300))
def test_junk_is_refused(junk: bytes) -> None:
    assert _refusal(junk)
    assert _refusal(b"PK\x03\x04" + junk)
    assert _refusal(_zip({"export.bin": junk, "export.sig": junk}))
    assert _refusal(_zip({"export.bin": EXPORT_HEADER + junk, "export.sig": junk}), None)


_GOOD = _content(_message())
_GOOD_SIGNATURE = _signature_list(_GOOD).SerializeToString()


@pytest.mark.parametrize(
    ("members", "fault"),
    [
        ({"a/export.bin": _GOOD, "a/export.sig": _GOOD_SIGNATURE}, "not at the top"),
        ({"../export.bin": _GOOD, "export.sig": _GOOD_SIGNATURE}, "not at the top"),
        ({"Export.bin": _GOOD, "export.sig": _GOOD_SIGNATURE}, "no member 'export.bin'"),
        ({"export.bin": _GOOD}, "no member 'export.sig'"),
        ({}, "not a zip file"),
        ({"export.bin": b"", "export.sig": _GOOD_SIGNATURE}, "does not match"),
        ({"export.bin": _GOOD, "export.sig": b""}, "holds no signature"),
        ({"export.bin": _GOOD, "export.sig": b"\xff\xff"}, "not a list of signatures"),
        (
            {"export.bin": _GOOD, "export.sig": _GOOD_SIGNATURE, "a": b"", "b": b""},
            "unexpected members: 'a', 'b'",
        ),
        (
            {"export.bin": _GOOD, "export.sig": _GOOD_SIGNATURE, "sub/readme": b""},
            "not at the top",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_wrong_members(members: dict[str, bytes], fault: str) -> None:
    assert fault in _refusal(_zip(members))


def test_a_member_named_twice() -> None:
    output = io.BytesIO()
    with zipfile.ZipFile(output, "w") as archive:
        archive.writestr("export.bin", _GOOD)
        archive.writestr("export.sig", _GOOD_SIGNATURE)
        with pytest.warns(UserWarning, match="Duplicate name"):
            archive.writestr("export.bin", b"other")
    assert "names a member twice" in _refusal(output.getvalue())


def test_other_compressions_and_encryption() -> None:
    members = {"export.bin": _GOOD, "export.sig": _GOOD_SIGNATURE}
    assert "compressed by method 14" in _refusal(_zip(members, zipfile.ZIP_LZMA))
    encrypted = bytearray(_zip(members, zipfile.ZIP_STORED))
    central = encrypted.index(b"PK\x01\x02")
    encrypted[6] |= 1  # general purpose bit 0, in both headers
    encrypted[central + 8] |= 1
    assert "encrypted" in _refusal(bytes(encrypted))
    assert len(read_export(_zip(members, zipfile.ZIP_STORED), "x", _PINS).keys) == 2


def test_too_large_a_file() -> None:
    assert "more than" in _refusal(b"PK\x03\x04" + bytes(MAX_EXPORT_BYTES))


def test_a_decompression_bomb_is_not_inflated() -> None:
    bomb = _zip({"export.bin": bytes(65 * 1024 * 1024), "export.sig": _GOOD_SIGNATURE})
    assert len(bomb) < 100_000
    assert "declares 68157440 bytes" in _refusal(bomb)
    # The same with a lie about its size: inflation stops at the declared size.
    lying = bytearray(bomb)
    central = lying.index(b"PK\x01\x02")
    struct.pack_into("<I", lying, central + 24, 1000)
    assert "damaged or truncated" in _refusal(bytes(lying))
    signature = _zip({"export.bin": _GOOD, "export.sig": bytes(100_000)})
    assert "export.sig declares 100000 bytes" in _refusal(signature)


@pytest.mark.parametrize("empty", [b"\x3a\x00", b"\xba\x00\x00", b"\x42\x00", b"\x32\x00"])
def test_a_bomb_of_empty_messages_is_not_parsed(empty: bytes) -> None:
    """Small as a zip, within the limit once inflated, gigabytes once parsed."""
    content = EXPORT_HEADER + empty * 7_000_000
    assert "more messages than any file of keys" in _refusal(_file(content), None)


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b"", "begins with b''"),
        (b"EK Export v1", "begins with b'EK Export v1'"),
        (b"EK Export v2    " + _GOOD[16:], "begins with b'EK Export v2    '"),
        (EXPORT_HEADER, "nothing after its header"),
        (_GOOD[:-1], "not an Exposure Key Export message"),
        (_GOOD + b"\x3a", "not an Exposure Key Export message"),
    ],
)
def test_wrong_content_even_with_a_good_signature(content: bytes, fault: str) -> None:
    assert fault in _refusal(_file(content))


@pytest.mark.parametrize(
    ("field", "value", "fault"),
    [
        ("key_data", b"short", "key 1 has 5 bytes, not 16"),
        ("key_data", b"long" * 5, "key 1 has 20 bytes, not 16"),
        ("key_data", b"\x01" * 16, "key 1 appears twice"),
        ("rolling_period", 0, "key 1 has rolling period 0"),
        ("rolling_period", 145, "key 1 has rolling period 145"),
        ("rolling_period", -1, "key 1 has rolling period -1"),
        ("rolling_start_interval_number", 0, "key 1 has rolling start 0"),
        ("rolling_start_interval_number", -5, "key 1 has rolling start -5"),
        ("rolling_start_interval_number", 2**31 - 1, "key 1 has rolling start 2147483647"),
        ("days_since_onset_of_symptoms", 2**15, "key 1 has days since onset 32768"),
    ],
)
def test_malformed_keys_even_with_a_good_signature(field: str, value: Any, fault: str) -> None:
    message = _message()
    setattr(message.keys[1], field, value)
    assert f"keys: {fault}" in _refusal(_file(_content(message)))
    revised = _message()
    revised.revised_keys.extend(message.keys)
    assert f"revised keys: {fault}" in _refusal(_file(_content(revised)))


def test_a_key_without_data_is_refused() -> None:
    message = _message()
    message.keys[0].ClearField("key_data")
    assert "key 0 has 0 bytes" in _refusal(_file(_content(message)))


def test_a_signature_by_another_key() -> None:
    stranger = ec.generate_private_key(ec.SECP256R1())
    forged = _signature_list(_GOOD, stranger, "e1").SerializeToString()
    assert "does not match the content" in _refusal(
        _zip({"export.bin": _GOOD, "export.sig": forged})
    )
    unknown = _signature_list(_GOOD, stranger, "e9").SerializeToString()
    assert "key 'e9', which signed it, is not pinned" in _refusal(
        _zip({"export.bin": _GOOD, "export.sig": unknown})
    )
    assert "is not pinned" in _refusal(_zip({"export.bin": _GOOD, "export.sig": unknown}), {})


@pytest.mark.parametrize("pins", [_PINS, None], ids=["checked", "not checked"])
@pytest.mark.parametrize("junk", [b"", b"junk", bytes(64), b"0\x06\x02\x01\x01\x02\x01\x01\x00"])
def test_a_signature_that_is_not_der(
    junk: bytes, pins: dict[str, ec.EllipticCurvePublicKey] | None
) -> None:
    signatures = _signature_list(_GOOD)
    signatures.signatures[0].signature = junk
    data = _zip({"export.bin": _GOOD, "export.sig": signatures.SerializeToString()})
    assert "is not a DER ECDSA signature" in _refusal(data, pins)


def test_another_algorithm_is_refused() -> None:
    signature = _signature_list(_GOOD, algorithm="1.2.840.113549.1.1.11").SerializeToString()
    fault = _refusal(_zip({"export.bin": _GOOD, "export.sig": signature}))
    assert "uses algorithm '1.2.840.113549.1.1.11'" in fault


def test_a_signature_over_another_header_is_refused() -> None:
    """The signature covers the header: the message alone is not what is signed."""
    signature = _signature_list(_GOOD[16:]).SerializeToString()
    assert "does not match" in _refusal(_zip({"export.bin": _GOOD, "export.sig": signature}))


def test_a_flood_of_signatures_is_refused() -> None:
    signatures = export_pb2.TEKSignatureList()
    for _ in range(17):
        signatures.MergeFrom(_signature_list(_GOOD))
    data = _zip({"export.bin": _GOOD, "export.sig": signatures.SerializeToString()})
    assert "17 signatures" in _refusal(data)


def test_after_a_refused_file_a_good_one_is_read() -> None:
    (good,) = write_exports(_table(3), _START, _END, _SIGNER)
    _refusal(good[:-30])
    assert len(read_export(good, "x", _PINS).keys) == 3
