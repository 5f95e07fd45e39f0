"""The export job: every released key is published in exactly one file, whatever dies when.

Three steps, each of which may be repeated. Planning puts the due keys into a batch, in one
transaction with the padding. Building writes the files of a batch and, in one
transaction, records them and closes the batch; a file is named by its content, so two
attempts never overwrite each other. Indexing signs the list of recorded files. A file that
nothing records was left by a run that died, and is removed.
"""

import asyncio
import hashlib
import secrets
from collections.abc import Sequence
from itertools import groupby
from typing import Any, Final

import numpy as np
import structlog
from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from bluezone.protocol.deployment import EXPORT_REGION
from bluezone.protocol.exports import ExportSigner, write_exports
from bluezone.protocol.index import Index, IndexedFile, seal_index
from bluezone.protocol.key_table import NO_ONSET, KeyTable
from bluezone.protocol.keys import KEY_BYTES, DiagnosisKey, ReportType, TemporaryExposureKey
from bluezone.protocol.padding import synthetic_users
from bluezone.protocol.trust import Role
from bluezone.server.context import Services
from bluezone.server.diagnosis.intake import key_rows
from bluezone.server.diagnosis.rules import padding_wanted
from bluezone.server.diagnosis.tables import ExportBatch, ExportFile, IndexState, PublishedKey
from bluezone.server.downloads import EXPORTS, INDEX_OBJECT
from bluezone.storage.database import upsert
from bluezone.storage.lease import Lease

# A phone that gets no newer index for so long is being kept from it, or we are down.
INDEX_VALID_SECONDS: Final = 24 * 3600

# The keys of a synthetic user that are due only later have to be made up for, and so on.
_PADDING_ROUNDS: Final = 4
_ROWS_AT_ONCE: Final = 20_000

_log = structlog.get_logger()
_rng = secrets.SystemRandom()
_COLUMNS: Final = (
    PublishedKey.key,
    PublishedKey.rolling_start,
    PublishedKey.rolling_period,
    PublishedKey.report_type,
    PublishedKey.days_since_onset,
)


async def export_keys(services: Services, lease: Lease) -> None:
    """Publish what is due and refresh the signed index. Finishes what an earlier run left."""
    await _plan(services, lease)
    async with services.database.read() as session:
        batches = await session.scalars(
            select(ExportBatch).where(~ExportBatch.done).order_by(ExportBatch.id)
        )
        planned = batches.all()
    for batch in planned:
        await _build(services, lease, batch)
    await publish_index(services, lease)
    await _remove_strays(services, lease)


# --- plan ------------------------------------------------------------------------------
async def _plan(services: Services, lease: Lease) -> None:
    period = services.settings.export_period_seconds
    end = services.now // period * period
    async with services.database.transaction() as session:
        await lease.confirm(session)
        last = await session.scalar(select(func.max(ExportBatch.end)))
        if last is not None and last >= end:
            return  # this hour's file is out; what came since is due with the next
        due = (PublishedKey.batch_id.is_(None), PublishedKey.release_at <= end)
        count = await session.scalar(select(func.count()).where(*due))
        if not count:
            return
        await _pad(session, count, end, services)
        batch = ExportBatch(start=end - period if last is None else last, end=end, done=False)
        session.add(batch)
        await session.flush()
        await session.execute(update(PublishedKey).where(*due).values(batch_id=batch.id))


async def _pad(session: AsyncSession, due: int, end: int, services: Services) -> None:
    """Add synthetic users beside the phones that are new in this batch, then forget who is new.

    Only new phones bring padding: the later keys of synthetic users must not ask for
    synthetic users of their own, for ever.
    """
    new = (
        select(PublishedKey.chain)
        .where(PublishedKey.chain.is_not(None), PublishedKey.release_at <= end)
        .distinct()
    )
    rows = await session.execute(
        select(PublishedKey.chain, *_COLUMNS)
        .where(PublishedKey.chain.in_(new))
        .order_by(PublishedKey.chain, PublishedKey.rolling_start)
    )
    real = [
        [_diagnosis_key(row[1:]) for row in phone] for _, phone in groupby(rows, lambda row: row[0])
    ]
    if not real:
        return
    wanted = padding_wanted(due, services.settings.export_minimum_keys, _rng)
    padding = _padding_rows(real, wanted, end, services.settings.export_period_seconds)
    if padding:
        insert = upsert(session, PublishedKey).on_conflict_do_nothing()
        await session.execute(insert, padding)
    await session.execute(
        update(PublishedKey).where(PublishedKey.chain.in_(new)).values(chain=None)
    )


def _padding_rows(
    real: Sequence[Sequence[DiagnosisKey]], wanted: int, end: int, period: int
) -> list[dict[str, Any]]:
    """Rows of whole synthetic users, `wanted` of them due at `end`, in the order of their keys."""
    rows: list[dict[str, Any]] = []
    due = 0
    for _ in range(_PADDING_ROUNDS):
        for user in synthetic_users(real, wanted - due, end, _rng, period):
            rows += key_rows(user, end, period, None)
        due = sum(row["release_at"] <= end for row in rows)
    return sorted(rows, key=lambda row: row["key"])


def _diagnosis_key(row: Sequence[Any]) -> DiagnosisKey:
    key, start, period, report_type, onset = row
    return DiagnosisKey(TemporaryExposureKey(key, start, period), ReportType(report_type), onset)


# --- build -----------------------------------------------------------------------------
async def _build(services: Services, lease: Lease, batch: ExportBatch) -> None:
    async with services.database.read() as session:
        keys = await _key_table(session, batch)
    key = services.keys.signing(Role.EXPORT, services.now)
    signer = ExportSigner(key.private_key, key.key_id)
    # A national batch takes seconds: uploads must not wait for it.
    zips = await asyncio.to_thread(
        write_exports, keys, batch.start, batch.end, signer, EXPORT_REGION
    )
    files = []
    for number, data in enumerate(zips, start=1):
        digest = hashlib.sha256(data).hexdigest()
        name = f"{batch.end}-{number}-{digest[:16]}.zip"
        await services.objects.put(EXPORTS + name, data)
        files.append(
            ExportFile(
                name=name,
                batch_id=batch.id,
                sha256=digest,
                size=len(data),
                released_at=batch.end,
            )
        )
    async with services.database.transaction() as session:
        await lease.confirm(session)
        open_batch = await session.scalar(
            update(ExportBatch)
            .where(ExportBatch.id == batch.id, ~ExportBatch.done)
            .values(done=True)
            .returning(ExportBatch.id)
        )
        if open_batch is not None:
            session.add_all(files)
    if open_batch is not None:
        services.metrics.exports.inc(len(files))
        _log.info("keys exported", batch=batch.id, files=len(files))


async def _key_table(session: AsyncSession, batch: ExportBatch) -> KeyTable:
    """The keys of a batch, read in pieces: a national one as rows would fill the memory."""
    pieces = []
    stream = await session.stream(select(*_COLUMNS).where(PublishedKey.batch_id == batch.id))
    async for rows in stream.partitions(_ROWS_AT_ONCE):
        keys, starts, periods, types, onsets = zip(*rows, strict=True)
        pieces.append(
            (
                np.frombuffer(b"".join(keys), np.uint8).reshape(-1, KEY_BYTES),
                np.array(starts, np.uint32),
                np.array(periods, np.uint16),
                np.array(types, np.uint8),
                np.array([NO_ONSET if onset is None else onset for onset in onsets], np.int16),
            )
        )
    if not pieces:  # retention came first
        return KeyTable.of([])
    return KeyTable(*(np.concatenate(column) for column in zip(*pieces, strict=True)))


# --- index -----------------------------------------------------------------------------
async def publish_index(services: Services, lease: Lease) -> None:
    """Sign the list of recorded files, even when nothing is new: phones learn the time from it."""
    now, period = services.now, services.settings.export_period_seconds
    async with services.database.transaction() as session:
        await lease.confirm(session)
        last = await session.scalar(select(IndexState.sequence))
        # Counted from the time, so that a database restored from yesterday's copy does not
        # start below what phones have seen already.
        sequence = max((last or 0) + 1, now)
        statement = upsert(session, IndexState).values(id=1, sequence=sequence)
        await session.execute(
            statement.on_conflict_do_update(
                index_elements=[IndexState.id], set_={"sequence": sequence}
            )
        )
        rows = await session.scalars(
            select(ExportFile).order_by(ExportFile.released_at, ExportFile.name)
        )
        files = tuple(IndexedFile(row.name, row.sha256, row.size, row.released_at) for row in rows)
    index = Index(
        sequence=sequence,
        issued_at=now,
        expires_at=now + INDEX_VALID_SECONDS,
        next_at=(now // period + 1) * period,
        spread_seconds=services.settings.index_spread_seconds,
        files=files,
    )
    key = services.keys.signing(Role.EXPORT, now)
    await services.objects.put(INDEX_OBJECT, seal_index(index, key.key_id, key.private_key))


async def _remove_strays(services: Services, lease: Lease) -> None:
    # Listed before the lease is confirmed, so that a process which slept through its lease
    # never takes a file for a stray that another has built meanwhile.
    names = await services.objects.list(EXPORTS)
    async with services.database.transaction() as session:
        await lease.confirm(session)
        recorded = set(await session.scalars(select(ExportFile.name)))
    for name in names:
        if name.removeprefix(EXPORTS) not in recorded:
            await services.objects.delete(name)
