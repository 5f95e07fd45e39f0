"""The second factor: codes of an authenticator app (RFC 6238), each good once; recovery codes.

None of these verbs commits. Tries are counted by the caller before (`service.begin_try`).
"""

import base64
import hashlib
import hmac
import secrets
from dataclasses import dataclass, field
from typing import Final

import msgspec
import pyotp
from sqlalchemy import delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from bluezone.server.context import Services
from bluezone.server.errors import Refused
from bluezone.server.keys import KeyUnavailable
from bluezone.server.people.tables import RecoveryCode, SecondFactor
from bluezone.server.sealing import Sealer
from bluezone.storage.database import upsert
from bluezone.web.catalogue import _

STEP_SECONDS: Final = 30
RECOVERY_CODES: Final = 8
TRIES: Final = "code"  # of service.tries_of_account
_DRIFT: Final = (0, -1, 1)  # steps that a phone's clock may be off
_RECOVERY_BYTES: Final = 10
_OFFER_SECONDS: Final = 15 * 60
_KEPT: Final = b"second-factor"
_OFFERED: Final = b"second-factor-offer"
_ISSUER: Final = "Bluezone"


class _Offered(msgspec.Struct, frozen=True, array_like=True):
    secret: str
    at: int


@dataclass(frozen=True, slots=True)
class Offer:
    """A secret that nobody has proved to hold yet, kept nowhere but in the form (`sealed`)."""

    secret: str = field(repr=False)  # base32, as people type it
    address: str = field(repr=False)  # otpauth://, as a camera reads it
    sealed: str = field(repr=False)


def offer(services: Services, account_id: int, name: str) -> Offer:
    """A fresh secret for an account to enrol with, within a quarter of an hour."""
    secret = pyotp.random_base32()
    content = msgspec.msgpack.encode(_Offered(secret, services.now))
    return _shown(secret, name, _sealer(services).seal(content, _OFFERED, _row(account_id)))


def offered_again(services: Services, account_id: int, name: str, sealed: str) -> Offer:
    """What `offer` gave, as a form brought it back. Raises Refused (422): too old, or foreign."""
    try:
        raw = base64.urlsafe_b64decode(sealed)
        content = _sealer(services).open(raw, _OFFERED, _row(account_id))
        found = msgspec.msgpack.decode(content, type=_Offered)
    except (ValueError, KeyUnavailable):
        raise _expired() from None
    if found.at + _OFFER_SECONDS <= services.now:
        raise _expired()
    return _shown(found.secret, name, raw)


def check_offered(services: Services, offered: Offer, code: str) -> int:
    """The step of a first code, which proves the app. Raises Refused (422) for a wrong one."""
    step = _step_of(offered.secret, code, services.now)
    if step is None:
        raise Refused(
            422,
            "wrong-code",
            _(
                "This code does not belong to the picture above. Please look whether the phone's"
                " time is right, and type the code that the app shows now."
            ),
        )
    return step


async def enrol(
    session: AsyncSession, services: Services, account_id: int, offered: Offer, step: int
) -> list[str]:
    """Keep a proved secret (`check_offered`), in the place of the one before.

    Returns the recovery codes, which are shown once.
    """
    values = {
        "sealed": _sealer(services).seal(offered.secret.encode(), _KEPT, _row(account_id)),
        "last_step": step,
        "enrolled_at": services.now,
    }
    await session.execute(
        upsert(session, SecondFactor)
        .values(account_id=account_id, **values)
        .on_conflict_do_update(index_elements=[SecondFactor.account_id], set_=values)
    )
    await session.execute(delete(RecoveryCode).where(RecoveryCode.account_id == account_id))
    codes = [_recovery_code() for _number in range(RECOVERY_CODES)]
    session.add_all(
        RecoveryCode(code_hash=_recovery_hash(code), account_id=account_id) for code in codes
    )
    return codes


async def enrolled_at(session: AsyncSession, account_id: int) -> int | None:
    """Since when an account has a second factor."""
    return await session.scalar(
        select(SecondFactor.enrolled_at).where(SecondFactor.account_id == account_id)
    )


async def recovery_codes_left(session: AsyncSession, account_id: int) -> int:
    """How many recovery codes an account has not used."""
    found = await session.scalar(
        select(func.count()).select_from(RecoveryCode).where(RecoveryCode.account_id == account_id)
    )
    return found or 0


async def spend(session: AsyncSession, services: Services, account_id: int, typed: str) -> bool:
    """Whether `typed` is the app's code of now or a recovery code; either is spent by this."""
    row = await session.get(SecondFactor, account_id)
    if row is None:
        return False
    secret = _sealer(services).open(row.sealed, _KEPT, _row(account_id)).decode()
    step = _step_of(secret, typed, services.now)
    if step is None:
        spent = await session.scalar(
            delete(RecoveryCode)
            .where(
                RecoveryCode.account_id == account_id,
                RecoveryCode.code_hash == _recovery_hash(typed),
            )
            .returning(RecoveryCode.account_id)
        )
        return spent is not None
    # In the database: of two who send the same code at once, one gets in.
    moved = await session.scalar(
        update(SecondFactor)
        .where(SecondFactor.account_id == account_id, SecondFactor.last_step < step)
        .values(last_step=step)
        .returning(SecondFactor.account_id)
    )
    return moved is not None


async def forget(session: AsyncSession, account_id: int) -> None:
    """The account has no second factor any more."""
    await session.execute(delete(RecoveryCode).where(RecoveryCode.account_id == account_id))
    await session.execute(delete(SecondFactor).where(SecondFactor.account_id == account_id))


def code_at(secret: str, now: int) -> str:
    """The code that an app shows at a Unix time."""
    return pyotp.TOTP(secret, interval=STEP_SECONDS).generate_otp(now // STEP_SECONDS)


def _step_of(secret: str, typed: str, now: int) -> int | None:
    digits = "".join(typed.split()).encode()
    for drift in _DRIFT:
        at = now + drift * STEP_SECONDS
        if hmac.compare_digest(code_at(secret, at).encode(), digits):
            return at // STEP_SECONDS
    return None


def _sealer(services: Services) -> Sealer:
    return Sealer(services.settings.secrets_folder, "totp")


def _row(account_id: int) -> bytes:
    return str(account_id).encode()


def _shown(secret: str, name: str, raw: bytes) -> Offer:
    address = pyotp.TOTP(secret).provisioning_uri(name=name, issuer_name=_ISSUER)
    return Offer(secret, address, base64.urlsafe_b64encode(raw).decode())


def _recovery_code() -> str:
    text = base64.b32encode(secrets.token_bytes(_RECOVERY_BYTES)).decode()
    return "-".join(text[start : start + 4] for start in range(0, len(text), 4))


def _recovery_hash(typed: str) -> str:
    plain = "".join(one for one in typed.upper() if one.isalnum())
    return hashlib.sha256(plain.encode(errors="replace")).hexdigest()


def _expired() -> Refused:
    return Refused(
        422,
        "offer-expired",
        _("The picture was shown too long ago. Please take the new one."),
    )
