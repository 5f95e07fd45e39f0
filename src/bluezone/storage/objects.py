"""Published files behind a small object-store interface; a folder now."""

import asyncio
import os
import re
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Protocol

_NAME: Final = re.compile(
    r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}(/[A-Za-z0-9][A-Za-z0-9._-]{0,127}){0,3}"
)

_READ_AT_ONCE_BYTES: Final = 64 * 1024


class ObjectMissing(LookupError):  # noqa: N818
    """There is no object of this name."""


class ObjectStoreFull(OSError):  # noqa: N818
    """The store took no more: nothing was written under the name."""


class ObjectStore(Protocol):
    """Whole objects by name: letters, digits, `.`, `_`, `-`, and `/` between parts.

    Each method raises ValueError for any other name.
    """

    async def put(self, name: str, data: bytes) -> None:
        """Store `data`, durably and at once: a reader sees the old object or the new."""
        ...

    async def get(self, name: str) -> bytes:
        """The object's bytes. Raises ObjectMissing."""
        ...

    async def exists(self, name: str) -> bool: ...

    async def list(self, prefix: str = "") -> Sequence[str]:
        """Names that begin with `prefix`, sorted."""
        ...

    async def delete(self, name: str) -> None:
        """Remove the object if it is there."""
        ...


class FolderObjects:
    """Objects as files below a folder, which is made when it is not there."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    async def put(self, name: str, data: bytes) -> None:
        path = self._path(name)
        try:
            await asyncio.to_thread(write_atomically, path, data)
        except OSError as error:
            raise ObjectStoreFull(error.errno, f"cannot store {name}: {error.strerror}") from error

    async def get(self, name: str) -> bytes:
        path = self._path(name)
        try:
            # What every phone asks for every hour is small and in the page cache: to hand it to
            # a thread and back takes longer than to read it.
            if path.stat().st_size <= _READ_AT_ONCE_BYTES:
                return path.read_bytes()
            return await asyncio.to_thread(path.read_bytes)
        except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
            raise ObjectMissing(name) from None

    async def exists(self, name: str) -> bool:
        return await asyncio.to_thread(self._path(name).is_file)

    async def list(self, prefix: str = "") -> Sequence[str]:
        return await asyncio.to_thread(self._names, prefix)

    async def delete(self, name: str) -> None:
        path = self._path(name)
        await asyncio.to_thread(path.unlink, missing_ok=True)

    def _path(self, name: str) -> Path:
        if not _NAME.fullmatch(name):
            raise ValueError(f"{name!r} is not an object name")
        return self._folder / name

    def _names(self, prefix: str) -> Sequence[str]:
        files = (path for path in self._folder.rglob("*") if path.is_file())
        names = (path.relative_to(self._folder).as_posix() for path in files)
        # A file left by a killed writer (".tmp-…") is no object.
        return sorted(name for name in names if name.startswith(prefix) and _NAME.fullmatch(name))


def write_atomically(path: Path, data: bytes, mode: int = 0o644) -> None:
    """Write a file that is either wholly there or not at all, even after a power cut."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(prefix=".tmp-", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, mode)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
