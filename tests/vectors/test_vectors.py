"""The vectors of docs/protocol.md: our code still makes them, and plain libraries agree.

The second half uses nothing of `bluezone`: it is what another implementer would write.
"""

import base64
import hashlib
import json
import struct
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from bluezone.protocol.exports import read_export
from bluezone.protocol.index import read_index
from bluezone.protocol.trust import Pins, Role, read_certificates
from tests.vectors.make import FOLDER, make

_MADE = make()


def _vector(name: str) -> dict[str, Any]:
    vector: dict[str, Any] = json.loads((FOLDER / f"{name}.json").read_text())
    return vector


@pytest.mark.parametrize("name", _MADE)
def test_our_code_still_makes_the_vector(name: str) -> None:
    on_disk, made = _vector(name), json.loads(json.dumps(_MADE[name]))
    del on_disk["made_by"]
    for either in (on_disk, made):
        either.pop("zip", None)  # another zlib may compress otherwise; its members are compared
    assert made == on_disk, "a byte format has changed: is its version raised?"


def test_our_readers_accept_the_vectors() -> None:
    documents, export = _vector("documents"), _vector("export")
    pins = Pins.from_pem(documents["root"]["public_key_pem"].encode())
    trust = read_certificates(documents["trust"]["document"].encode(), pins)
    now = documents["index"]["valid_at"]
    index = read_index(documents["index"]["document"].encode(), trust, now, last_sequence=12)
    assert index.files[0].name == "2021-01-15-10-1.zip"
    keys = trust.ec_keys(Role.EXPORT, now)
    read = read_export(base64.b64decode(export["zip"]), "vector", keys)
    assert [row.tek.key.hex() for row in read.keys] == sorted(row["key"] for row in export["keys"])


# --- without our code -------------------------------------------------------------------


def _hkdf(key: bytes, info: bytes) -> bytes:
    return HKDF(hashes.SHA256(), 16, None, info).derive(key)


def test_beacons_by_the_specification() -> None:
    vector = _vector("beacons")
    tek = bytes.fromhex(vector["tek"])
    rpik, aemk = _hkdf(tek, b"EN-RPIK"), _hkdf(tek, b"EN-AEMK")
    assert (rpik.hex(), aemk.hex()) == (vector["rpik"], vector["aemk"])
    for row in vector["beacons"]:
        block = b"EN-RPI" + bytes(6) + struct.pack("<I", row["interval"])
        rpi = Cipher(algorithms.AES(rpik), modes.ECB()).encryptor().update(block)  # noqa: S305
        metadata = struct.pack(">BbH", 0x40, row["tx_power"], 0)
        aem = Cipher(algorithms.AES(aemk), modes.CTR(rpi)).encryptor().update(metadata)
        assert (rpi.hex(), aem.hex()) == (row["rpi"], row["aem"])
        assert row["advertisement"] == "0303564e1716564e" + rpi.hex() + aem.hex()


def _prefixed(*parts: bytes) -> bytes:
    return b"".join(struct.pack(">I", len(part)) + part for part in parts)


def _verify(pem: str, signature: bytes, message: bytes) -> None:
    key = serialization.load_pem_public_key(pem.encode())
    assert isinstance(key, ec.EllipticCurvePublicKey)
    key.verify(signature, message, ec.ECDSA(hashes.SHA256()))


def test_signed_documents_by_plain_libraries() -> None:
    vector = _vector("documents")
    parts = [bytes.fromhex(part) for part in vector["bytes_to_sign"]["parts"]]
    assert vector["bytes_to_sign"]["result"] == _prefixed(b"BZ1-INDEX", *parts).hex()
    for name, tag, signer in (
        ("trust", b"BZ1-CERTIFICATE", "root"),
        ("index", b"BZ1-INDEX", "export_key"),
    ):
        document = json.loads(vector[name]["document"])
        payload = base64.b64decode(document["payload"])
        assert payload.decode() == vector[name]["payload"]
        message = _prefixed(tag, document["key_id"].encode(), payload)
        signature = base64.b64decode(document["signature"])
        _verify(vector[signer]["public_key_pem"], signature, message)
    root = vector["root"]
    assert root["id"] == hashlib.sha256(bytes.fromhex(root["public_key_der"])).hexdigest()[:16]


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        value |= (data[at] & 0x7F) << shift
        shift, at = shift + 7, at + 1
        if data[at - 1] < 0x80:
            return value, at


def _fields(data: bytes) -> list[tuple[int, Any]]:
    """A protobuf message as (field number, value) in order."""
    at, fields = 0, []
    while at < len(data):
        tag, at = _varint(data, at)
        value: Any
        if tag & 7 == 0:
            value, at = _varint(data, at)
        elif tag & 7 == 1:
            value, at = struct.unpack_from("<Q", data, at)[0], at + 8
        else:
            length, at = _varint(data, at)
            value, at = data[at : at + length], at + length
        fields.append((tag >> 3, value))
    return fields


def test_a_key_file_by_a_reader_of_thirty_lines() -> None:
    vector = _vector("export")
    content = bytes.fromhex(vector["export_bin"])
    assert content[:16] == b"EK Export v1    "
    fields = _fields(content[16:])
    head = dict(fields[:5])
    assert head == {1: vector["start"], 2: vector["end"], 3: b"VN", 4: 1, 5: 1}
    keys = []
    for message in (dict(_fields(value)) for number, value in fields if number == 7):
        onset = message.get(6)
        keys.append(
            {
                "key": message[1].hex(),
                "rolling_start": message[3],
                "rolling_period": message[4],
                "report_type": message[5],
                "days_since_onset": None if onset is None else onset >> 1 ^ -(onset & 1),
            }
        )
    assert keys == sorted(vector["keys"], key=lambda row: row["key"])
    (entry,) = [dict(_fields(v)) for _, v in _fields(bytes.fromhex(vector["export_sig"]))]
    assert dict(_fields(entry[1])) == {3: b"v1", 4: b"e1", 5: b"1.2.840.10045.4.3.2"}
    _verify(vector["signer"]["public_key_pem"], entry[4], content)


def test_the_upload_digest_by_plain_libraries() -> None:
    vector = _vector("upload")
    parts = [b"BZ1-UPLOAD"]
    for row in sorted(vector["keys"], key=lambda row: row["key"]):
        parts += [
            bytes.fromhex(row["key"]),
            struct.pack(">I", row["rolling_start"]),
            struct.pack(">H", row["rolling_period"]),
        ]
    assert hashlib.sha256(_prefixed(*parts)).hexdigest() == vector["digest"]
    assert len(vector["key_upload"]) == len(vector["permission_request"]) == 4096
    upload = json.loads(vector["key_upload"])
    assert len(upload["keys"]) == 30
    assert base64.b64decode(upload["keys"][0]["key"]).hex() == vector["keys"][0]["key"]
    assert sum(slot["rolling_period"] != 0 for slot in upload["keys"]) == len(vector["keys"])


def test_announcements_by_plain_libraries() -> None:
    vector = _vector("announcements")
    for name, tag in (("news", b"BZ1-NEWS"), ("stations", b"BZ1-STATIONS")):
        document = json.loads(vector[name]["document"])
        payload = base64.b64decode(document["payload"])
        assert payload.decode() == vector[name]["payload"]
        message = _prefixed(tag, document["key_id"].encode(), payload)
        signature = base64.b64decode(document["signature"])
        _verify(vector["announcements_key"]["public_key_pem"], signature, message)


def test_hand_over_ids_and_invitation_codes_by_plain_libraries() -> None:
    vector = _vector("handover")
    hashed = hashlib.sha256(bytes.fromhex(vector["secret"])).digest()
    word = base64.b32encode(hashed[:5]).decode()
    assert vector["id"] == hashed.hex()
    assert vector["reference"] == f"{word[:4]}-{word[4:]}"
    assert vector["invitation_code"] == word
    for name in ("details", "diary"):
        assert base64.b64decode(json.loads(vector[name])["handover"]) == hashed


def test_a_commitment_by_plain_libraries() -> None:
    vector = _vector("commitment")
    (day,) = json.loads(vector["claim"])["days"]
    assert len(day["leaves"]) == 2
    for leaf, content in zip(day["leaves"], vector["contents"], strict=False):
        said, salt, path = (base64.b64decode(leaf[name]) for name in ("content", "salt", "path"))
        assert said.hex() == content
        node = hashlib.sha256(_prefixed(b"BZ1-COMMITMENT-LEAF", salt, said)).digest()
        assert vector["hashes"][str(leaf["place"])] == node.hex()
        for level in range(16):
            beside = path[32 * level : 32 * level + 32]
            pair = (beside, node) if leaf["place"] >> level & 1 else (node, beside)
            node = hashlib.sha256(_prefixed(b"BZ1-COMMITMENT-NODE", *pair)).digest()
        day_bytes = struct.pack(">I", day["day"])
        found = hashlib.sha256(_prefixed(b"BZ1-COMMITMENT", day_bytes, node)).hexdigest()
        assert found == vector["commitment"]
    message = base64.b64decode(json.loads(vector["message"])["commitment"])
    assert message.hex() == vector["commitment"]
