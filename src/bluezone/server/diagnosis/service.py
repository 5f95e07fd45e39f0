"""The verbs of diagnosis: issue a code, exchange it, check an upload. Nothing here commits."""

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Final

from sqlalchemy import func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from bluezone.protocol import blind_rsa
from bluezone.protocol.deployment import CODE_TTL_SECONDS
from bluezone.protocol.keys import DiagnosisKey, ReportType, TemporaryExposureKey
from bluezone.protocol.upload import KeyUpload, PermissionRequest, upload_digest
from bluezone.server.diagnosis import rules
from bluezone.server.diagnosis.tables import Code, ExportBatch, PublishedKey
from bluezone.server.errors import Refused
from bluezone.server.keys import PermissionKey, RoleKeys
from bluezone.web.catalogue import _

_HOUR: Final = 3600


@dataclass(frozen=True, slots=True)
class IssuedCode:
    """A code, readable this once."""

    code: str = field(repr=False)
    expires_at: int


@dataclass(frozen=True, slots=True)
class Grant:
    """A code that may be exchanged, and for what. Nothing is marked yet."""

    mac: bytes
    key: PermissionKey
    blinded_message: bytes
    symptom_onset: str | None


async def issue_code(
    session: AsyncSession,
    pepper: bytes,
    now: int,
    *,
    worker: int,
    unit: str,
    report_type: ReportType,
    symptom_onset: str | None,
    per_worker: int,
    per_unit: int,
) -> IssuedCode:
    """Make a code for one patient. Raises Refused (429) over `per_worker`/`per_unit` an hour."""
    recent = select(func.count()).where(Code.issued_at > now - _HOUR)
    by_worker = await session.scalar(recent.where(Code.issued_by == worker)) or 0
    by_unit = await session.scalar(recent.where(Code.unit == unit)) or 0
    if by_worker >= per_worker or by_unit >= per_unit:
        raise Refused(
            429,
            "too-many-codes",
            _("Too many codes were issued within an hour. Please wait, or ask your unit."),
            headers={"Retry-After": str(_HOUR)},
        )
    code = rules.new_code()
    while await session.get(Code, rules.code_mac(code, pepper)):
        code = rules.new_code()
    expires_at = now + CODE_TTL_SECONDS
    session.add(
        Code(
            mac=rules.code_mac(code, pepper),
            report_type=report_type,
            symptom_onset=symptom_onset,
            issued_by=worker,
            unit=unit,
            issued_at=now,
            expires_at=expires_at,
        )
    )
    return IssuedCode(code, expires_at)


async def recent_codes(session: AsyncSession, worker: int, now: int) -> Sequence[Code]:
    """What a worker issued within a day, newest first; the codes themselves are not kept."""
    rows = await session.scalars(
        select(Code)
        .where(Code.issued_by == worker, Code.issued_at > now - 24 * _HOUR)
        .order_by(Code.issued_at.desc())
        .limit(20)
    )
    return rows.all()


@dataclass(frozen=True, slots=True)
class KnownCode:
    """A code that was issued within a day, exchanged or not."""

    mac: bytes
    unit: str


async def unit_of_code(session: AsyncSession, code: str, pepper: bytes, now: int) -> KnownCode:
    """Which unit gave this code to a case. Raises Refused: 400 malformed, 403 not (or no more) one.

    Good for a day from its issue, longer than for a report: the diary may follow later.
    """
    mac = rules.code_mac(rules.typed_code(code), pepper)
    row = await session.get(Code, mac)
    if row is None or row.issued_at + rules.CODE_NAMES_UNIT_SECONDS <= now:
        raise _unknown()
    return KnownCode(mac, row.unit)


async def find_grant(
    session: AsyncSession, request: PermissionRequest, keys: RoleKeys, pepper: bytes, now: int
) -> Grant:
    """What the code in `request` permits. Raises Refused if it permits nothing."""
    mac = rules.code_mac(rules.typed_code(request.code), pepper)
    row = await session.get(Code, mac)
    if row is None:
        raise _unknown()
    if row.blinded_digest is None and row.expires_at <= now:
        raise Refused(
            403,
            "code-expired",
            _("This code has expired. Please ask the health worker for a new one."),
        )
    # Who asks again gets the key of the first time, even if a newer one has come since.
    usable = [
        key
        for key in keys.permissions(now)
        if key.report_type == row.report_type
        and key.key_id in request.blinded_messages
        and row.key_id in (None, key.key_id)
    ]
    if not usable:
        if row.key_id is not None:
            raise _used()
        raise Refused(
            409,
            "permission-key-unknown",
            _("The app does not know the service's current keys yet. Please try again shortly."),
        )
    grant = Grant(mac, usable[0], request.blinded_messages[usable[0].key_id], row.symptom_onset)
    if row.blinded_digest not in (None, _digest(grant)):
        raise _used()
    return grant


async def take_grant(session: AsyncSession, grant: Grant) -> None:
    """Mark the code as exchanged for this message. Raises Refused if another came first."""
    digest = _digest(grant)
    taken = await session.scalar(
        update(Code)
        .where(
            Code.mac == grant.mac,
            or_(Code.blinded_digest.is_(None), Code.blinded_digest == digest),
        )
        .values(blinded_digest=digest, key_id=grant.key.key_id)
        .returning(Code.expires_at)
    )
    if taken is None:
        raise _used()


def check_permission(
    upload: KeyUpload, real: Sequence[DiagnosisKey], permissions: Sequence[PermissionKey]
) -> None:
    """Refuse (403) unless exactly these keys were permitted, as this report type."""
    key = next((one for one in permissions if one.key_id == upload.permission_key_id), None)
    prefix_fits = len(upload.permission_prefix) == blind_rsa.PREFIX_BYTES
    if key is not None and prefix_fits and key.report_type == upload.report_type:
        prepared = upload.permission_prefix + upload_digest(real)
        try:
            blind_rsa.verify(key.private_key.public_key(), prepared, upload.permission_signature)
            return
        except blind_rsa.BlindSignatureError:
            pass
    raise Refused(
        403,
        "permission-mismatch",
        _("The permission does not belong to these keys. Please report again with a new code."),
    )


@dataclass(frozen=True, slots=True)
class ReleasedKey:
    """A key as it was published, and since when (Unix time) anybody could have it."""

    tek: TemporaryExposureKey = field(repr=False)
    at: int


async def released(
    session: AsyncSession, keys: Collection[bytes], now: int
) -> dict[bytes, ReleasedKey]:
    """Those of `keys` that are public now. What still waits is nobody's business."""
    rows = await session.execute(
        select(
            PublishedKey.key,
            PublishedKey.rolling_start,
            PublishedKey.rolling_period,
            ExportBatch.end,
        )
        .join(ExportBatch, ExportBatch.id == PublishedKey.batch_id)
        .where(PublishedKey.key.in_(keys), ExportBatch.end <= now)
    )
    return {
        key: ReleasedKey(TemporaryExposureKey(key, start, period), end)
        for key, start, period, end in rows
    }


def _digest(grant: Grant) -> bytes:
    return hashlib.sha256(grant.blinded_message).digest()


def _unknown() -> Refused:
    return Refused(403, "code-unknown", _("This code is not valid. Please check what you typed."))


def _used() -> Refused:
    return Refused(
        403,
        "code-used",
        _("This code has been used already. Please ask the health worker for a new one."),
    )
