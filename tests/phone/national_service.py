"""A small national service in the test's own process: real keys, real signatures, real files."""

import hashlib
from dataclasses import dataclass, field

import httpx
import msgspec
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from bluezone.clock import Clock
from bluezone.protocol import blind_rsa
from bluezone.protocol.configuration import (
    DEFAULT_CONFIGURATION,
    RiskConfiguration,
    seal_configuration,
)
from bluezone.protocol.deployment import UPLOAD_BODY_BYTES
from bluezone.protocol.exports import ExportSigner, write_exports
from bluezone.protocol.index import Index, IndexedFile, seal_index
from bluezone.protocol.key_table import KeyTable
from bluezone.protocol.keys import DiagnosisKey, ReportType, TemporaryExposureKey
from bluezone.protocol.trust import (
    Pins,
    Role,
    RoleCertificate,
    encode_public_key,
    issue_certificates,
    key_id,
)
from bluezone.protocol.upload import (
    KeyUpload,
    PermissionAnswer,
    PermissionRequest,
    UploadAnswer,
    upload_digest,
)

_YEAR = 366 * 86400
PERMISSION_KEY_ID = "permission-confirmed-test-2021-01"
_ROOT = ec.generate_private_key(ec.SECP256R1())
_EXPORT = ec.generate_private_key(ec.SECP256R1())
_CONFIGURATION = ec.generate_private_key(ec.SECP256R1())
_PERMISSION = rsa.generate_private_key(65537, 2048)


def pins() -> Pins:
    return Pins({key_id(_ROOT.public_key()): _ROOT.public_key()})


@dataclass
class NationalService:
    """Publishes what it is told to, and takes reports with the code it gave out."""

    clock: Clock
    requests: list[httpx.Request] = field(default_factory=list)
    files: dict[str, bytes] = field(default_factory=dict)
    indexed: list[IndexedFile] = field(default_factory=list)
    uploads: list[KeyUpload] = field(default_factory=list)
    codes: dict[str, str | None] = field(default_factory=dict)  # code -> onset
    taken: dict[str, bytes] = field(default_factory=dict)  # code -> blinded message
    sequence: int = 1
    configuration: bytes = b""
    trust: bytes = b""
    index: bytes = b""
    down: bool = False

    def __post_init__(self) -> None:
        now = int(self.clock.now())
        self.trust = self.certify(now)
        self.configure(DEFAULT_CONFIGURATION)
        self.publish_index()

    def configure(self, configuration: RiskConfiguration) -> None:
        self.configuration = seal_configuration(configuration, "configuration-1", _CONFIGURATION)

    def certify(
        self, now: int, sequence: int = 1, export: ec.EllipticCurvePrivateKey = _EXPORT
    ) -> bytes:
        rows = [
            (Role.EXPORT, "export-1", export.public_key()),
            (Role.CONFIGURATION, "configuration-1", _CONFIGURATION.public_key()),
            (Role.PERMISSION, PERMISSION_KEY_ID, _PERMISSION.public_key()),
        ]
        return issue_certificates(
            [
                RoleCertificate(role, name, encode_public_key(key), now - _YEAR, now + _YEAR)
                for role, name, key in rows
            ],
            sequence,
            _ROOT,
            key_id(_ROOT.public_key()),
        )

    def publish_index(
        self, *, sequence: int | None = None, signer: ec.EllipticCurvePrivateKey = _EXPORT
    ) -> None:
        now = int(self.clock.now())
        if sequence is None:
            self.sequence += 1
        self.index = seal_index(
            Index(
                sequence=self.sequence if sequence is None else sequence,
                issued_at=now,
                expires_at=now + 3 * 86400,
                next_at=now + 3600,
                spread_seconds=600,
                files=tuple(self.indexed),
            ),
            "export-1",
            signer,
        )

    def publish(
        self,
        keys: list[DiagnosisKey],
        name: str,
        *,
        signer: ec.EllipticCurvePrivateKey = _EXPORT,
        served: bytes | None = None,
    ) -> bytes:
        """Release keys in a file; `served` is what goes over the wire instead of it."""
        now = int(self.clock.now())
        start = now // 3600 * 3600
        (data,) = write_exports(
            KeyTable.of(keys), start - 3600, start, ExportSigner(signer, "export-1")
        )
        self.list(name, data, served)
        self.publish_index()
        return data

    def list(self, name: str, data: bytes, served: bytes | None = None) -> None:
        self.files[name] = data if served is None else served
        self.indexed.append(
            IndexedFile(name, hashlib.sha256(data).hexdigest(), len(data), int(self.clock.now()))
        )

    def release_uploads(self, name: str) -> None:
        """Publish every real upload received so far in one file."""
        self.publish(
            [
                DiagnosisKey(
                    TemporaryExposureKey(slot.key, slot.rolling_start, slot.rolling_period),
                    ReportType(upload.report_type),
                    slot.days_since_onset,
                )
                for upload in self.uploads
                if not upload.chaff
                for slot in upload.keys
                if slot.rolling_period
            ],
            name,
        )

    def transport(self) -> httpx.AsyncBaseTransport:
        return _InProcess(self)

    def answer(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        if self.down:
            raise httpx.ConnectError("no route", request=request)
        documents = {
            "/v1/trust.json": self.trust,
            "/v1/configuration.json": self.configuration,
            "/v1/index.json": self.index,
        }
        path = request.url.path
        if path in documents:
            return self._document(request, documents[path])
        if path.startswith("/v1/exports/") and path[12:] in self.files:
            return httpx.Response(200, content=self.files[path[12:]])
        if path == "/v1/permission":
            return self._permission(request.content)
        if path == "/v1/keys":
            return self._keys(request.content)
        return httpx.Response(404)

    def _document(self, request: httpx.Request, body: bytes) -> httpx.Response:
        etag = f'"{hashlib.sha256(body).hexdigest()[:16]}"'
        if request.headers.get("If-None-Match") == etag:
            return httpx.Response(304, headers={"ETag": etag})
        return httpx.Response(200, content=body, headers={"ETag": etag})

    def _permission(self, body: bytes) -> httpx.Response:
        assert len(body) == UPLOAD_BODY_BYTES
        request = msgspec.json.decode(body, type=PermissionRequest)
        message = request.blinded_messages[PERMISSION_KEY_ID]
        signature, onset = bytes(256), None
        if not request.chaff:
            if request.code not in self.codes:
                return _refusal(403, "code-unknown", "Mã không đúng.", "Wrong code.")
            if self.taken.setdefault(request.code, message) != message:
                return _refusal(403, "code-used", "Mã đã dùng.", "Used code.")
            signature = blind_rsa.blind_sign(_PERMISSION, message)
            onset = self.codes[request.code]
        answer = PermissionAnswer(
            blind_signature=signature,
            key_id=PERMISSION_KEY_ID,
            report_type=ReportType.CONFIRMED_TEST,
            symptom_onset=onset,
        )
        return httpx.Response(200, content=msgspec.json.encode(answer))

    def _keys(self, body: bytes) -> httpx.Response:
        assert len(body) == UPLOAD_BODY_BYTES
        upload = msgspec.json.decode(body, type=KeyUpload)
        if not upload.chaff:
            real = [
                DiagnosisKey(TemporaryExposureKey(s.key, s.rolling_start, s.rolling_period))
                for s in upload.keys
                if s.rolling_period
            ]
            prepared = upload.permission_prefix + upload_digest(real)
            blind_rsa.verify(_PERMISSION.public_key(), prepared, upload.permission_signature)
        self.uploads.append(upload)
        return httpx.Response(200, content=msgspec.json.encode(UploadAnswer()))


class _InProcess(httpx.AsyncBaseTransport):
    """Hands requests over without a socket; answers stream as they do over one."""

    def __init__(self, national: NationalService) -> None:
        self._national = national

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        await request.aread()
        answer = self._national.answer(request)
        return httpx.Response(
            answer.status_code, headers=answer.headers, stream=httpx.ByteStream(answer.content)
        )


def _refusal(status: int, error: str, vi: str, en: str) -> httpx.Response:
    body = msgspec.json.encode({"error": error, "message": {"vi": vi, "en": en}})
    return httpx.Response(status, content=body)
