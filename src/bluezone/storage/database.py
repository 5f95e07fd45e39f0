"""The relational store: SQLite in a file, or PostgreSQL, behind the same few verbs."""

import asyncio
import os
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext, suppress
from typing import Any, Final
from weakref import WeakSet

from sqlalchemy import BigInteger, Integer, MetaData, event
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import URL, Connection, make_url
from sqlalchemy.exc import (
    ArgumentError,
    DatabaseError,
    DataError,
    InterfaceError,
    OperationalError,
)
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine
from sqlalchemy.orm import DeclarativeBase

_DRIVERS: Final = {"sqlite": "sqlite+aiosqlite", "postgresql": "postgresql+psycopg"}
_WAIT_SECONDS: Final = 5  # for a connection, for a lock: a person is waiting for the answer
_STATEMENT_SECONDS: Final = 60
_LAST: Final = "before commit"  # in a session's `info`
# Unique and foreign keys: on SQLite, with its one writer, these are faults of ours.
_BROKEN_BY_ANOTHER: Final = {"23505", "23503"}


class Base(DeclarativeBase):
    """Parent of every table. Integers are 64 bits wide; times are whole Unix seconds."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(column_0_label)s",
            "uq": "uq_%(table_name)s_%(column_0_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    # SQLite gives an automatic number only to a primary key declared INTEGER.
    type_annotation_map = {int: BigInteger().with_variant(Integer, "sqlite")}  # noqa: RUF012


class StorageUnavailable(Exception):  # noqa: N818
    """The database is gone, busy or full: nothing was written, trying later may work."""


class ValueImpossible(Exception):  # noqa: N818
    """A number or text that no column takes: beyond 64 bits, or with NUL. Nothing was written."""


class DatabaseUrlError(ValueError):
    """The address of the database is not one that can be used."""


class Database:
    """A pool of connections to one store.

    `url`: `sqlite:////absolute/file.db` or `postgresql://user@host/name`. Raises
    DatabaseUrlError for anything else.
    """

    def __init__(self, url: str) -> None:
        self.url = _full_url(url)
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        self.engine = _sqlite(self.url) if self.is_sqlite else _postgresql(self.url)
        # SQLite has one writer. Queueing here is fair; its own busy loop is not.
        self._writer = asyncio.Lock() if self.is_sqlite else None

    def transaction(self) -> AbstractAsyncContextManager[AsyncSession]:
        """A session that commits on leaving and rolls back on any exception.

        On SQLite it is a writer from its first moment (BEGIN IMMEDIATE); on PostgreSQL it is
        READ COMMITTED. Raises StorageUnavailable, ValueImpossible.
        """
        return self._session(self.engine, self._writer)

    def read(self) -> AbstractAsyncContextManager[AsyncSession]:
        """A session on one consistent snapshot that writes nothing.

        Raises StorageUnavailable, ValueImpossible.
        """
        return self._session(self._readers(), None)

    def _readers(self) -> AsyncEngine:
        if self.is_sqlite:
            return self.engine.execution_options(read_only=True)
        return self.engine.execution_options(
            isolation_level="REPEATABLE READ", postgresql_readonly=True
        )

    @asynccontextmanager
    async def _session(
        self, engine: AsyncEngine, lock: asyncio.Lock | None
    ) -> AsyncIterator[AsyncSession]:
        try:
            async with (
                lock or nullcontext(),
                AsyncSession(engine, expire_on_commit=False) as session,
                session.begin(),
            ):
                yield session
                for last in session.info.pop(_LAST, {}).values():
                    await last()
        except DataError as error:
            raise ValueImpossible(_reason(error)) from error
        except OverflowError as error:
            if "SQLite" not in str(error):  # "Python int too large to convert to SQLite INTEGER"
                raise
            raise ValueImpossible("OverflowError") from error
        except (DatabaseError, InterfaceError, PoolTimeout) as error:
            if isinstance(error, DatabaseError) and not _is_unavailable(error):
                raise
            # The driver's text may quote values; its class and code never do.
            raise StorageUnavailable(_reason(error)) from error

    async def forget_deleted(self) -> None:
        """After a deletion: empty SQLite's write-ahead log, which still holds what was deleted.

        PostgreSQL's vacuum and log have their own times (docs/threats.md).
        """
        if self._writer is None:
            return
        async with self._writer, self.engine.connect() as connection:
            raw = (await connection.get_raw_connection()).driver_connection
            if raw is not None:
                cursor = await raw.execute("PRAGMA wal_checkpoint(TRUNCATE)")
                await cursor.close()

    async def dispose(self) -> None:
        """Close every connection."""
        await self.engine.dispose()


def before_commit(session: AsyncSession, key: str, last: Callable[[], Awaitable[None]]) -> None:
    """Call `last` when the rest of a transaction is done: for locks that all transactions need.

    Once for each `key`, in the order of the first calls; not if the transaction fails before.
    """
    session.info.setdefault(_LAST, {}).setdefault(key, last)


def upsert(session: AsyncSession, table: type[Base]) -> postgresql.Insert | sqlite.Insert:
    """An INSERT that knows ON CONFLICT, in the dialect of the session's store."""
    if session.get_bind().dialect.name == "sqlite":
        return sqlite.insert(table)
    return postgresql.insert(table)


def _full_url(url: str) -> URL:
    try:
        parsed = make_url(url)
        driver = _DRIVERS[parsed.get_backend_name()]
    except (ArgumentError, KeyError):
        raise DatabaseUrlError(
            "a database URL looks like sqlite:////folder/file.db or postgresql://user@host/name"
        ) from None
    if driver.startswith("sqlite") and not parsed.database:
        raise DatabaseUrlError("a SQLite URL needs a file: sqlite:////folder/file.db")
    return parsed.set(drivername=driver)


def _is_unavailable(error: DatabaseError) -> bool:
    # PostgreSQL: somebody else wrote the same, or deleted what this refers to, at the same moment.
    if getattr(error.orig, "sqlstate", None) in _BROKEN_BY_ANOTHER:
        return True
    # SQLite says that a file is damaged, or none of its own, with the bare class.
    return isinstance(error, OperationalError) or type(error.orig) is sqlite3.DatabaseError


def _reason(error: Exception) -> str:
    cause = getattr(error, "orig", None) or error
    code = getattr(cause, "sqlstate", None) or getattr(cause, "sqlite_errorname", None)
    return f"{type(cause).__name__} {code}" if code else type(cause).__name__


def _postgresql(url: URL) -> AsyncEngine:
    return create_async_engine(
        url,
        hide_parameters=True,
        pool_size=10,
        max_overflow=0,
        pool_timeout=_WAIT_SECONDS,
        pool_pre_ping=True,  # after a restart of the server no request meets a dead connection
        connect_args={
            "connect_timeout": _WAIT_SECONDS,
            "options": f"-c lock_timeout={_WAIT_SECONDS}s"
            f" -c statement_timeout={_STATEMENT_SECONDS}s"
            f" -c idle_in_transaction_session_timeout={_STATEMENT_SECONDS}s"
            # Compiling a query takes longer than any page of ours may.
            " -c jit=off",
        },
    )


class _SqliteConnection(sqlite3.Connection):
    """Ends its statements when it is closed.

    One that was cancelled between two rows would otherwise live on, with its lock on the file,
    for as long as anything refers to it.
    """

    def __init__(self, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)
        self._cursors: WeakSet[sqlite3.Cursor] = WeakSet()

    def cursor(self, *args: Any, **named: Any) -> Any:
        made = super().cursor(*args, **named)
        self._cursors.add(made)
        return made

    def close(self) -> None:
        for one in list(self._cursors):
            one.close()
        super().close()


def _sqlite(url: URL) -> AsyncEngine:
    engine = create_async_engine(
        url,
        hide_parameters=True,
        pool_timeout=_WAIT_SECONDS,
        connect_args={"timeout": _WAIT_SECONDS, "factory": _SqliteConnection},
    )

    @event.listens_for(engine.sync_engine, "do_connect")
    def try_first(*_: object) -> None:
        path = url.database or ""
        with suppress(OSError):  # SQLite says better what is wrong
            # Made here for its owner alone; SQLite gives its log the same mode.
            # Only when it is new: closing a file of a live database drops all its locks
            # (sqlite.org/howtocorrupt.html, 2.2).
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
        # aiosqlite leaves a thread behind when it cannot open the file; so fail before it.
        sqlite3.connect(path).close()

    @event.listens_for(engine.sync_engine, "connect")
    def prepare(connection: Any, _record: object) -> None:
        connection.isolation_level = None  # we say BEGIN ourselves, below
        cursor = connection.cursor()
        cursor.execute("PRAGMA journal_mode = WAL")
        cursor.execute("PRAGMA synchronous = FULL")  # an answered upload survives a power cut
        cursor.execute("PRAGMA foreign_keys = ON")
        cursor.execute("PRAGMA secure_delete = ON")  # what retention deletes is overwritten
        cursor.close()

    @event.listens_for(engine.sync_engine, "begin")
    def begin(connection: Connection) -> None:
        # A deferred BEGIN that writes later fails at once if another writer came between.
        read_only = connection.get_execution_options().get("read_only", False)
        connection.exec_driver_sql("BEGIN" if read_only else "BEGIN IMMEDIATE")

    return engine


assert sqlite3.sqlite_version_info >= (3, 35), "SQLite 3.35 or newer is needed (RETURNING)"  # noqa: S101 - a broken installation, said at import
