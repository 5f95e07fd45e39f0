"""The verbs of rotation: replace a key, carry on where the last run stopped, let the old one go.

Whoever opens sees both keys from the moment of the replacement; whoever seals takes the new one.
A pass goes through all rows in the order of their primary keys and seals anew what is still under
the old key; where it is, is written in the transaction of each batch. The old key is deleted after
a pass that found nothing to do, an hour after the replacement at the earliest: by then no request
that began before is still writing.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec
import structlog
from sqlalchemy import Table, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncSession

from bluezone.server.audit import service as audit
from bluezone.server.audit.rules import Action, Purpose
from bluezone.server.context import Services
from bluezone.server.keys import KeyUnavailable
from bluezone.server.register import service as register
from bluezone.server.rotation.columns import KEYS, SEALED, SEARCH_KEY, Sealed
from bluezone.server.rotation.tables import KeyRotation
from bluezone.server.sealing import Sealer
from bluezone.server.secret_files import old_key, replace_secret
from bluezone.storage.database import Base
from bluezone.storage.lease import Lease

GRACE_SECONDS: Final = 3600
_AT_ONCE: Final = 500

_log = structlog.get_logger()

Progress = Callable[[KeyRotation], None]


class _Position(msgspec.Struct, frozen=True, array_like=True):
    """The next row of a pass: after `last`, in the column of this number."""

    column: int = 0
    last: tuple[Any, ...] = ()  # its primary key


def key_files(names: Sequence[str] = ()) -> list[str]:
    """The files of the keys of these names ("register"), or of all. Raises KeyUnavailable."""
    unknown = sorted(set(names) - set(KEYS))
    if unknown:
        raise KeyUnavailable(f"there is no key {unknown[0]!r}; there are {', '.join(KEYS)}")
    return [f"{name}-key" for name in names or KEYS]


async def begin(services: Services, lease: Lease, file: str) -> None:
    """Replace one key. Nothing is sealed anew yet. Raises KeyUnavailable if one is under way."""
    async with services.database.transaction() as session:
        await lease.confirm(session)  # of two who rotate, the second key would be lost
        known = await session.get(KeyRotation, file)
        if known is None:
            session.add(_new(file, services.now))
        replace_secret(services.settings.secrets_folder / file)
        await audit.record(
            session,
            services,
            audit.SERVICE,
            Action.CHANGE,
            subject=f"key:{file}",
            purpose=Purpose.ADMINISTRATION,
            detail="replaced",
        )


def under_way(secrets_folder: Path) -> list[str]:
    """The files of the keys that were replaced and whose rows are not all sealed anew."""
    files = [*key_files(), SEARCH_KEY]
    return [file for file in files if old_key(secrets_folder / file).exists()]


async def carry_on(
    services: Services, lease: Lease, progress: Progress = lambda _state: None
) -> None:
    """One pass for each key that was replaced, from where the last one stopped."""
    for file in under_way(services.settings.secrets_folder):
        state = await _step(services, lease, file)
        progress(state)
        while state.position:
            state = await _step(services, lease, file)
            progress(state)
        await _end(services, lease, state)


async def _step(services: Services, lease: Lease, file: str) -> KeyRotation:
    """One batch, and where it ended, in one transaction."""
    async with services.database.transaction() as session:
        await lease.confirm(session)
        state = await session.get(KeyRotation, file)
        if state is None:  # the process that replaced the key died right after
            state = _new(file, services.now)
            session.add(state)
        begins = not state.position
        position = _Position() if begins else msgspec.msgpack.decode(state.position, type=_Position)
        if begins:
            state.found = state.unreadable = 0
        secrets = services.settings.secrets_folder
        if file == SEARCH_KEY:
            found, unreadable, following = await _tokens(session, secrets, position)
        else:
            found, unreadable, following = await _seal(session, secrets, file, position)
        state.found += found
        state.done += found
        state.unreadable += unreadable
        state.position = msgspec.msgpack.encode(following) if following else b""
        await session.flush()
    return state


def _new(file: str, now: int) -> KeyRotation:
    return KeyRotation(name=file, began_at=now, position=b"", done=0, found=0, unreadable=0)


async def _seal(
    session: AsyncSession, secrets: Path, file: str, position: _Position
) -> tuple[int, int, _Position | None]:
    mine = [one for one in SEALED if f"{one.key}-key" == file]
    column = mine[position.column]
    sealer = Sealer(secrets, column.key)
    rows = await _rows(session, column, position.last)
    found = unreadable = 0
    table = Base.metadata.tables[column.table]
    for row in rows:
        place, sealed = column.place_of(row), row[column.column]
        if sealer.is_current(sealed, *place):
            continue
        try:
            fresh = sealer.seal(sealer.open(sealed, *place), *place)
        except KeyUnavailable:
            unreadable += 1
            _log.error("a row opens with neither key", column=column.name)
            continue
        same = [key == row[key.name] for key in table.primary_key]
        # Only what was read: who changed the row meanwhile has sealed it anew.
        await session.execute(
            update(table)
            .where(*same, table.c[column.column] == sealed)
            .values({column.column: fresh})
        )
        found += 1
    if len(rows) == _AT_ONCE:
        keys = tuple(rows[-1][key.name] for key in table.primary_key)
        return found, unreadable, _Position(position.column, keys)
    if position.column + 1 < len(mine):
        return found, unreadable, _Position(position.column + 1)
    return found, unreadable, None


async def _rows(
    session: AsyncSession, column: Sealed, last: tuple[Any, ...]
) -> list[dict[str, Any]]:
    table: Table = Base.metadata.tables[column.table]
    keys = list(table.primary_key)
    wanted = {
        *(key.name for key in keys),
        *(one for one in column.place if isinstance(one, str)),
        column.column,
    }
    query = (
        select(*(table.c[name] for name in sorted(wanted)))
        .where(table.c[column.column].is_not(None))
        .order_by(*keys)
        .limit(_AT_ONCE)
    )
    if last:
        query = query.where(tuple_(*keys) > last)
    return [dict(row) for row in (await session.execute(query)).mappings()]


async def _tokens(
    session: AsyncSession, secrets: Path, position: _Position
) -> tuple[int, int, _Position | None]:
    after = int(position.last[0]) if position.last else 0
    renewed = await register.renew_tokens(
        session, register.Register.open(secrets), after=after, limit=_AT_ONCE
    )
    following = _Position(0, (renewed.last,)) if renewed.last is not None else None
    return renewed.changed, renewed.unreadable, following


async def _end(services: Services, lease: Lease, state: KeyRotation) -> None:
    """Delete the old key, if the pass that has ended found no row that needs it."""
    if state.unreadable:
        _log.error("the old key is kept", key=state.name, unreadable=state.unreadable)
        return
    if state.found or services.now < state.began_at + GRACE_SECONDS:
        return
    async with services.database.transaction() as session:
        await lease.confirm(session)
        row = await session.get(KeyRotation, state.name)
        if row is not None:
            await session.delete(row)
        await audit.record(
            session,
            services,
            audit.SERVICE,
            Action.CHANGE,
            subject=f"key:{state.name}",
            purpose=Purpose.ADMINISTRATION,
            detail=f"old one deleted, rows={state.done}",
        )
    # After the commit: a process that dies in between makes one more pass.
    old_key(services.settings.secrets_folder / state.name).unlink(missing_ok=True)
