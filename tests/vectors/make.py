"""Makes the vectors of docs/protocol.md anew: `python -m tests.vectors.make`.

Signatures are deterministic here (RFC 6979), so that unchanged code makes unchanged files.
Private keys are small numbers that anybody can type: they sign nothing but these vectors.
"""

import base64
import io
import json
import zipfile
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from bluezone.protocol import envelope, exports
from bluezone.protocol.announcements import (
    Announcement,
    HealthStation,
    News,
    Stations,
    seal_announcement,
)
from bluezone.protocol.beacon import encode_advertisement, encode_metadata
from bluezone.protocol.claim import Claim, ClaimedDay
from bluezone.protocol.commitment import (
    CommittedDay,
    NightlyCommitment,
    key_content,
    sighting_contents,
)
from bluezone.protocol.handover import (
    ContactDetails,
    ExposureDay,
    HandedDiary,
    HandoverSecret,
    handover_id,
    reference,
)
from bluezone.protocol.index import Index, IndexedFile, seal_index
from bluezone.protocol.invitation import Invited, invitation_code
from bluezone.protocol.key_table import KeyTable
from bluezone.protocol.keys import (
    DiagnosisKey,
    ReportType,
    TemporaryExposureKey,
    associated_encrypted_metadata_key,
    crypt_metadata,
    rolling_proximity_identifier_key,
    rolling_proximity_identifiers,
)
from bluezone.protocol.sightings import SCAN_RECORD
from bluezone.protocol.trust import (
    Role,
    RoleCertificate,
    encode_public_key,
    issue_certificates,
    key_id,
)
from bluezone.protocol.upload import (
    KeyUpload,
    PermissionRequest,
    UploadedKey,
    encode_permission_request,
    encode_upload,
    upload_digest,
)

FOLDER = Path(__file__).parent
_DETERMINISTIC = ec.ECDSA(hashes.SHA256(), deterministic_signing=True)
_DAY = 18_642  # 2021-01-15, in days since 1970
_TIME = _DAY * 86_400 + 36_000
_ROOT = ec.derive_private_key(1, ec.SECP256R1())
_EXPORT = ec.derive_private_key(2, ec.SECP256R1())
_ANNOUNCEMENTS = ec.derive_private_key(3, ec.SECP256R1())


def _bytes(label: int, length: int) -> bytes:
    return bytes((label + i) % 256 for i in range(length))


def _public(key: ec.EllipticCurvePrivateKey) -> dict[str, str]:
    pem = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return {
        "private_scalar": hex(key.private_numbers().private_value),
        "public_key_pem": pem.decode(),
        "public_key_der": encode_public_key(key.public_key()).hex(),
        "id": key_id(key.public_key()),
    }


def beacons() -> dict[str, Any]:
    """Key -> derived keys -> identifiers -> payload -> advertisement."""
    tek = TemporaryExposureKey(_bytes(0xA0, 16), _DAY * 144)
    aem_key = associated_encrypted_metadata_key(tek.key)
    identifiers = rolling_proximity_identifiers(tek)
    rows = []
    for offset, power in ((0, 8), (1, -20), (143, 0)):
        rpi = identifiers[16 * offset : 16 * offset + 16]
        aem = crypt_metadata(aem_key, rpi, encode_metadata(power))
        rows.append(
            {
                "interval": tek.rolling_start + offset,
                "tx_power": power,
                "metadata": encode_metadata(power).hex(),
                "rpi": rpi.hex(),
                "aem": aem.hex(),
                "advertisement": encode_advertisement(rpi + aem).hex(),
            }
        )
    return {
        "tek": tek.key.hex(),
        "rolling_start": tek.rolling_start,
        "rpik": rolling_proximity_identifier_key(tek.key).hex(),
        "aemk": aem_key.hex(),
        "beacons": rows,
    }


def _keys() -> list[DiagnosisKey]:
    """Not in the order of publication, and with every kind of optional value."""
    return [
        DiagnosisKey(
            TemporaryExposureKey(_bytes(label, 16), (_DAY - days) * 144, period), kind, onset
        )
        for label, days, period, kind, onset in (
            (0x50, 0, 61, ReportType.CONFIRMED_TEST, 2),
            (0x10, 1, 144, ReportType.CONFIRMED_TEST, 1),
            (0x90, 4, 144, ReportType.CONFIRMED_TEST, -2),
            (0x30, 2, 144, ReportType.CONFIRMED_CLINICAL_DIAGNOSIS, None),
            (0x70, 14, 1, ReportType.CONFIRMED_CLINICAL_DIAGNOSIS, -100),
        )
    ]


def _row(key: DiagnosisKey) -> dict[str, Any]:
    return {
        "key": key.tek.key.hex(),
        "rolling_start": key.tek.rolling_start,
        "rolling_period": key.tek.rolling_period,
        "report_type": int(key.report_type),
        "days_since_onset": key.days_since_onset,
    }


def export() -> dict[str, Any]:
    """Keys -> export.bin and export.sig."""
    signer = exports.ExportSigner(_EXPORT, "e1")
    (data,) = exports.write_exports(KeyTable.of(_keys()), _TIME - 3600, _TIME, signer)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    return {
        "signer": {"key_id": "e1", "key_version": "v1", **_public(_EXPORT)},
        "start": _TIME - 3600,
        "end": _TIME,
        "region": "VN",
        "keys": [_row(key) for key in _keys()],
        "export_bin": members["export.bin"].hex(),
        "export_sig": members["export.sig"].hex(),
        "zip": base64.b64encode(data).decode(),
    }


def documents() -> dict[str, Any]:
    """Bytes to sign, the trust document and the index."""
    parts = [b"e1", b'{"version":1}', b""]
    certificate = RoleCertificate(
        Role.EXPORT, "e1", encode_public_key(_EXPORT.public_key()), _TIME, _TIME + 90 * 86_400
    )
    trust = issue_certificates([certificate], 3, _ROOT, key_id(_ROOT.public_key()))
    file = IndexedFile("2021-01-15-10-1.zip", "ab" * 32, 4321, _TIME)
    index = seal_index(Index(12, _TIME, _TIME + 86_400, _TIME + 3600, 600, (file,)), "e1", _EXPORT)
    return {
        "bytes_to_sign": {
            "tag": "BZ1-INDEX",
            "parts": [part.hex() for part in parts],
            "result": envelope.bytes_to_sign(b"BZ1-INDEX", *parts).hex(),
        },
        "root": _public(_ROOT),
        "export_key": _public(_EXPORT),
        "trust": {
            "document": trust.decode(),
            "payload": envelope.parse(trust).payload.decode(),
            "valid_at": _TIME,
        },
        "index": {
            "document": index.decode(),
            "payload": envelope.parse(index).payload.decode(),
            "valid_at": _TIME,
        },
    }


def upload() -> dict[str, Any]:
    """Keys -> the digest a permission is bound to -> the two bodies on the wire."""
    keys = _keys()
    slots = [
        UploadedKey(
            key=row.tek.key,
            rolling_start=row.tek.rolling_start,
            rolling_period=row.tek.rolling_period,
            days_since_onset=row.days_since_onset,
        )
        for row in keys
    ]
    unused = [
        UploadedKey(key=_bytes(0xC0 + i, 16), rolling_start=_DAY * 144, rolling_period=0)
        for i in range(30 - len(slots))
    ]
    request = PermissionRequest(
        code="123456789012", blinded_messages={"permission-confirmed-test": _bytes(1, 256)}
    )
    body = KeyUpload(
        keys=slots + unused,
        report_type=1,
        permission_key_id="permission-confirmed-test",
        permission_prefix=_bytes(2, 32),
        permission_signature=_bytes(3, 256),
    )
    return {
        "keys": [_row(key) for key in keys],
        "digest": upload_digest(keys).hex(),
        "permission_request": encode_permission_request(request).decode(),
        "key_upload": encode_upload(body).decode(),
        "without_padding": msgspec.json.encode(body).decode(),
    }


def handover() -> dict[str, Any]:
    """What a phone hands over, and what it calls itself by: ids and codes from secrets."""
    secret = _bytes(0x10, 16)
    slot = UploadedKey(key=_bytes(0x20, 16), rolling_start=_DAY * 144, rolling_period=144)
    details = ContactDetails(
        handover=handover_id(secret),
        name="Trần Thị Lan",
        phone_number="+84901234567",
        number_receipt=_bytes(4, 32),
        number_verified_at=_TIME,
        commune="00004",
        days=(ExposureDay("2021-01-14", ("morning", "noon"), 25, "LIKELY"),),
        note="Xin gọi sau 17 giờ.",
    )
    diary = HandedDiary(
        handover=handover_id(secret), code="123456789012", keys=[slot], records=_bytes(5, 64)
    )
    return {
        "secret": secret.hex(),
        "id": handover_id(secret).hex(),
        "reference": reference(handover_id(secret)),
        "details": msgspec.json.encode(details).decode(),
        "diary": msgspec.json.encode(diary).decode(),
        "question": msgspec.json.encode(HandoverSecret(secret)).decode(),
        "invitation_code": invitation_code(secret),
        "invited": msgspec.json.encode(Invited(invitation_code(secret))).decode(),
    }


def announcements() -> dict[str, Any]:
    """News and the health stations of a province, as documents and as their payloads."""
    item = Announcement(
        id="2021-01-15-0a1b2c3d",
        published_at=_TIME,
        title={"vi": "Tin", "en": "News"},
        body={"vi": "Một.\n\nHai.", "en": "One.\n\nTwo."},
        important=True,
    )
    station = HealthStation(
        commune="00004", name="Trạm y tế Ba Đình", phone="024 3845 0000", address="1 Ngọc Hà"
    )
    contents: dict[str, News | Stations] = {
        "news": News(sequence=5, issued_at=_TIME, items=(item,)),
        "stations": Stations(sequence=6, issued_at=_TIME, province="01", stations=(station,)),
    }
    sealed = {
        name: seal_announcement(content, "a1", _ANNOUNCEMENTS) for name, content in contents.items()
    }
    return {
        "announcements_key": _public(_ANNOUNCEMENTS),
        **{
            name: {
                "document": document.decode(),
                "payload": envelope.parse(document).payload.decode(),
            }
            for name, document in sealed.items()
        },
    }


def commitment() -> dict[str, Any]:
    """A day's leaves -> places, salts, hashes -> the commitment -> openings -> a claim."""
    secret = _bytes(0x40, 32)
    heard = np.zeros(3, SCAN_RECORD)
    heard["rpi"] = [np.void(_bytes(label, 16)) for label in (0x21, 0x21, 0x31)]
    heard["aem"] = np.void(_bytes(7, 4))
    heard["time"] = [_DAY * 86_400 + at for at in (60, 300, 360)]
    heard["since_last_scan"], heard["rssi_mean"], heard["rssi_max"] = 240, -6125, -58
    heard["packets"], heard["trusted_clock"] = 9, True
    tek = TemporaryExposureKey(_bytes(0x20, 16), _DAY * 144)
    contents = [key_content(tek, [-8, 4]), *sighting_contents(heard)]
    tree = CommittedDay.of(_DAY, secret, contents)
    opened = tree.open(contents[:2])
    claim = Claim(published=[_bytes(0x50, 16)], days=[ClaimedDay(day=_DAY, leaves=opened)])
    return {
        "day": _DAY,
        "secret": secret.hex(),
        "contents": [content.hex() for content in contents],
        "hashes": {str(place): tree.hashes[place].hex() for place in sorted(tree.hashes)},
        "commitment": tree.commitment().hex(),
        "message": msgspec.json.encode(NightlyCommitment(tree.commitment())).decode(),
        "claim": msgspec.json.encode(claim).decode(),
    }


def make() -> dict[str, dict[str, Any]]:
    """All vectors, by the stem of their file."""
    random_signatures = envelope._ECDSA, exports._ECDSA
    envelope._ECDSA = exports._ECDSA = _DETERMINISTIC
    try:
        made = {
            "beacons": beacons(),
            "export": export(),
            "documents": documents(),
            "upload": upload(),
            "handover": handover(),
            "commitment": commitment(),
            "announcements": announcements(),
        }
    finally:
        envelope._ECDSA, exports._ECDSA = random_signatures
    return made


def main() -> None:
    """Write the files beside this one."""
    for name, content in make().items():
        path = FOLDER / f"{name}.json"
        path.write_text(
            json.dumps({"made_by": "tests/vectors/make.py", **content}, indent=2) + "\n"
        )


if __name__ == "__main__":
    main()
