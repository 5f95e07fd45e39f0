"""Parts of a service that end the process at a chosen step: each commit, each changed object."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from bluezone.server.context import Services
from bluezone.storage.database import Database
from bluezone.storage.objects import ObjectStore


class Fuse:
    """Calls `die` at step number `steps`."""

    def __init__(self, steps: int, die: Callable[[], None]) -> None:
        self._left = steps
        self._die = die

    def burn(self) -> None:
        self._left -= 1
        if self._left == 0:
            self._die()


def with_fuse(services: Services, fuse: Fuse) -> Services:
    """The same service, with a step before and after each commit, put and delete."""
    return replace(
        services,
        database=_Database(services.database, fuse),  # type: ignore[arg-type]
        objects=_Objects(services.objects, fuse),
    )


class _Objects:
    def __init__(self, objects: ObjectStore, fuse: Fuse) -> None:
        self._objects = objects
        self._fuse = fuse

    async def put(self, name: str, data: bytes) -> None:
        self._fuse.burn()
        await self._objects.put(name, data)
        self._fuse.burn()

    async def delete(self, name: str) -> None:
        self._fuse.burn()
        await self._objects.delete(name)
        self._fuse.burn()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._objects, name)


class _Database:
    def __init__(self, database: Database, fuse: Fuse) -> None:
        self._database = database
        self._fuse = fuse

    def transaction(self) -> AbstractAsyncContextManager[AsyncSession]:
        return self._transaction()

    @asynccontextmanager
    async def _transaction(self) -> AsyncIterator[AsyncSession]:
        async with self._database.transaction() as session:
            yield session
            self._fuse.burn()
        self._fuse.burn()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._database, name)
