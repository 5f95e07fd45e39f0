"""The verbs of evidence: take commitments and claims in, check them, forget. None commits."""

import asyncio
import hmac
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import msgspec
import numpy as np
import structlog
from sqlalchemy import delete, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from bluezone.protocol.claim import Claim, ReadDay, read_claim
from bluezone.protocol.confirmation import (
    CaseKey,
    CaseSide,
    ClaimantKey,
    ClaimantSide,
    Encounter,
    Flag,
    confirm,
)
from bluezone.protocol.envelope import bytes_to_sign
from bluezone.protocol.intervals import utc_day_number
from bluezone.protocol.keys import TemporaryExposureKey
from bluezone.protocol.sightings import SCAN_RECORD
from bluezone.server.context import Services
from bluezone.server.diagnosis import service as diagnosis
from bluezone.server.evidence import rules
from bluezone.server.evidence.nearness import judge
from bluezone.server.evidence.tables import (
    Commitment,
    DiaryKey,
    EvidenceClaim,
    EvidenceVerdict,
    UsedEvidence,
)
from bluezone.server.keys import KeyUnavailable
from bluezone.server.sealing import Sealer
from bluezone.server.secret_files import secret_file
from bluezone.server.tracing import service as tracing
from bluezone.storage.database import upsert
from bluezone.storage.lease import Lease

# One warning seldom has more than one case; a claim may name 64 keys.
MOST_DIARIES: Final = 16
_CLAIM: Final = b"evidence-claim"
_VERDICT: Final = b"evidence-verdict"
_TAG_DIARY_KEY: Final = b"BZ1-EVIDENCE-DIARY-KEY"
_TAG_USED: Final = b"BZ1-EVIDENCE-USED"

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class CaseVerdict:
    """What was found of one case. `diary` is the id of the case's hand-over, None without one."""

    diary: bytes | None
    encounters: tuple[Encounter, ...] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the check of a hand-over's claim found; `checked_at` is None while it waits.

    Wherever it is shown, `rules.WHAT_IT_MEANS` and `rules.WHAT_MISSING_MEANS` stand beside it.
    """

    checked_at: int | None
    cases: tuple[CaseVerdict, ...]


# --- what phones send ------------------------------------------------------------------
async def receive_commitment(session: AsyncSession, commitment: bytes, now: int) -> None:
    """Keep a commitment with its hour; one that is known keeps the hour in which it first came."""
    statement = upsert(session, Commitment).values(
        commitment=commitment, hour=rules.received_hour(now)
    )
    await session.execute(statement.on_conflict_do_nothing())


async def keep_claim(
    session: AsyncSession, secrets_folder: Path, handover: bytes, claim: Claim, now: int
) -> None:
    """Keep the claim of a hand-over, sealed; one that is there, checked or not, stays."""
    sealed = _sealer(secrets_folder).seal(msgspec.msgpack.encode(claim), _CLAIM, handover)
    statement = upsert(session, EvidenceClaim).values(
        handover=handover, received_at=now, checked_at=None, claim=sealed
    )
    await session.execute(statement.on_conflict_do_nothing())


async def remember_diary(
    session: AsyncSession, secrets_folder: Path, diary: bytes, keys: Collection[bytes]
) -> None:
    """Let claims that name one of these `keys` find this diary."""
    for mac in _macs(secrets_folder, _TAG_DIARY_KEY, keys):
        statement = upsert(session, DiaryKey).values(mac=mac, diary=diary)
        await session.execute(statement.on_conflict_do_nothing())


async def forget(session: AsyncSession, handover: bytes) -> None:
    """Delete what was kept of a hand-over, or found by it. What was used stays used."""
    await session.execute(delete(EvidenceClaim).where(EvidenceClaim.handover == handover))
    await session.execute(delete(DiaryKey).where(DiaryKey.diary == handover))
    await session.execute(
        delete(EvidenceVerdict).where(
            (EvidenceVerdict.handover == handover) | (EvidenceVerdict.diary == handover)
        )
    )


# --- the check ---------------------------------------------------------------------------
async def check(session: AsyncSession, services: Services, handover: bytes) -> Verdict | None:
    """Decide the claim of a hand-over, delete it, and keep the verdict; None without a claim.

    One that is checked already answers as before: its keys are gone.
    """
    folder = services.settings.secrets_folder
    row = await session.get(EvidenceClaim, handover, with_for_update=True)
    if row is None or row.claim is None:
        return await verdict(session, services, handover)
    claim = msgspec.msgpack.decode(_sealer(folder).open(row.claim, _CLAIM, handover), type=Claim)
    claimant = await _claimant(session, services, read_claim(claim), row.received_at)
    for diary, case in await _cases(session, services, claim):
        found = await asyncio.to_thread(confirm, case, claimant, judge)
        if found:
            session.add(
                EvidenceVerdict(
                    handover=handover,
                    diary=diary,
                    sealed=_sealer(folder).seal(msgspec.msgpack.encode(found), _VERDICT, handover),
                )
            )
    await session.execute(
        update(EvidenceClaim)
        .where(EvidenceClaim.handover == handover)
        .values(claim=None, checked_at=services.now)
    )
    await session.flush()
    await session.refresh(row)
    return await verdict(session, services, handover)


async def verdict(session: AsyncSession, services: Services, handover: bytes) -> Verdict | None:
    """What the check found; None for a hand-over without a claim."""
    row = await session.get(EvidenceClaim, handover)
    if row is None:
        return None
    sealer = _sealer(services.settings.secrets_folder)
    rows = await session.scalars(
        select(EvidenceVerdict)
        .where(EvidenceVerdict.handover == handover)
        .order_by(EvidenceVerdict.id)
    )
    return Verdict(
        row.checked_at,
        tuple(
            CaseVerdict(
                one.diary,
                msgspec.msgpack.decode(
                    sealer.open(one.sealed, _VERDICT, handover), type=tuple[Encounter, ...]
                ),
            )
            for one in rows
        ),
    )


async def _claimant(
    session: AsyncSession, services: Services, days: Iterable[ReadDay], received_at: int
) -> ClaimantSide:
    days = list(days)
    teks = {leaf.tek.key: day.day for day in days for leaf in day.keys}
    public = await diagnosis.released(session, list(teks), services.now)
    refused = {teks[key]: Flag.KEY_PUBLISHED for key in public}
    for day in await _use(session, services.settings.secrets_folder, days):
        refused.setdefault(day, Flag.ALREADY_CLAIMED)
    hours = await _hours(session, [day.commitment for day in days if day.commitment])
    committed = [
        np.where(day.committed, hours.get(day.commitment or b"", 0), 0).astype(np.int64)
        for day in days
    ]
    return ClaimantSide(
        keys=tuple(ClaimantKey(leaf.tek, leaf.powers) for day in days for leaf in day.keys),
        records=np.concatenate([day.records for day in days]),
        committed=np.concatenate(committed),
        refused=refused,
        received_at=received_at,
    )


async def _hours(session: AsyncSession, commitments: Collection[bytes]) -> Mapping[bytes, int]:
    """By when each commitment was certainly here."""
    rows = await session.execute(
        select(Commitment.commitment, Commitment.hour).where(Commitment.commitment.in_(commitments))
    )
    return {commitment: rules.certainly_received(hour) for commitment, hour in rows}


async def _use(session: AsyncSession, folder: Path, days: Iterable[ReadDay]) -> set[int]:
    """Mark keys and commitments as claimed; the UTC days of which one was claimed before.

    In the database: of two checks at once, one has them.
    """
    taken: set[int] = set()
    for day in days:
        named = [leaf.tek.key for leaf in day.keys]
        if day.commitment is not None:
            named.append(day.commitment)
        for mac in _macs(folder, _TAG_USED, set(named)):
            statement = upsert(session, UsedEvidence).values(mac=mac, day=day.day)
            fresh = await session.scalar(
                statement.on_conflict_do_nothing().returning(UsedEvidence.day)
            )
            if fresh is None:
                taken.add(day.day)
    return taken


async def _cases(
    session: AsyncSession, services: Services, claim: Claim
) -> list[tuple[bytes | None, CaseSide]]:
    """The cases that a claim names: those with a diary, then published keys of no diary."""
    folder = services.settings.secrets_folder
    rows = await session.scalars(
        select(DiaryKey.diary)
        .where(DiaryKey.mac.in_(_macs(folder, _TAG_DIARY_KEY, claim.published)))
        .distinct()
        .limit(MOST_DIARIES)
    )
    sealer = tracing.inbox_sealer(folder)
    cases: list[tuple[bytes | None, CaseSide]] = []
    left = set(claim.published)
    for diary in sorted(rows):
        handed = await tracing.handed_diary(session, sealer, diary)
        if handed is None:
            continue
        content, received_at = handed
        keys = [one.key for one in content.keys]
        left -= set(keys)
        public = await diagnosis.released(session, keys, services.now)
        side = CaseSide(
            keys=tuple(
                CaseKey(
                    TemporaryExposureKey(one.key, one.rolling_start, one.rolling_period),
                    public[one.key].at if one.key in public else None,
                )
                for one in content.keys
            ),
            powers=tuple(content.powers),
            records=np.frombuffer(content.records, SCAN_RECORD),
            received_at=received_at,
        )
        cases.append((diary, side))
    public = await diagnosis.released(session, sorted(left), services.now)
    nothing = np.zeros(0, SCAN_RECORD)
    for key in sorted(public):
        one = public[key]
        cases.append((None, CaseSide((CaseKey(one.tek, one.at),), (), nothing, None)))
    return cases


def _sealer(secrets_folder: Path) -> Sealer:
    return Sealer(secrets_folder, "evidence")


def _macs(secrets_folder: Path, tag: bytes, named: Iterable[bytes]) -> list[bytes]:
    """With a key that is not in the database: who steals it cannot look a known key up."""
    secret = secret_file(secrets_folder / "evidence-mac-key")
    return [hmac.digest(secret, bytes_to_sign(tag, one), "sha256") for one in sorted(named)]


# --- periodic work -----------------------------------------------------------------------
async def check_waiting(services: Services, lease: Lease) -> None:
    """Check what waits, oldest first, each in a transaction of its own.

    One that does not open (its key file or its row was exchanged) stays, is said in the log, and
    does not keep the others waiting.
    """
    async with services.database.read() as session:
        rows = await session.scalars(
            select(EvidenceClaim.handover)
            .where(EvidenceClaim.checked_at.is_(None))
            .order_by(EvidenceClaim.received_at)
        )
        waiting = rows.all()
    for handover in waiting:
        try:
            async with services.database.transaction() as session:
                await lease.confirm(session)
                await check(session, services, handover)
        except KeyUnavailable as error:
            _log.error("a claim does not open", reason=str(error))
    if waiting:
        await services.database.forget_deleted()  # the claimants' keys
        _log.info("claims checked", claims=len(waiting))


async def forget_old(services: Services, lease: Lease) -> None:
    """Retention: commitments after 15 days, marks when no phone has the key any more.

    Claims and verdicts go with the hand-over that they belong to.
    """
    now = services.now
    async with services.database.transaction() as session:
        await lease.confirm(session)
        await session.execute(
            delete(Commitment).where(Commitment.hour <= now - rules.COMMITMENT_KEPT_SECONDS)
        )
        await session.execute(
            delete(UsedEvidence).where(
                UsedEvidence.day < utc_day_number(now) - rules.USED_KEPT_DAYS
            )
        )
