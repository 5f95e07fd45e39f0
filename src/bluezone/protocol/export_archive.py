"""The zip around a key file: `export.bin` and `export.sig`, opened without trusting it."""

import io
import zipfile
import zlib
from collections.abc import Sequence
from typing import Final

from bluezone.protocol.deployment import MAX_EXPORT_BYTES

MAX_CONTENT_BYTES: Final = 64 * 1024 * 1024  # export.bin once decompressed
MAX_SIGNATURE_BYTES: Final = 64 * 1024  # export.sig

_BIN = "export.bin"
_SIG = "export.sig"
_MEMBER_DATE = (2020, 1, 1, 0, 0, 0)  # fixed: the same keys make the same bytes
_KNOWN_COMPRESSION = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_ZIP_ERRORS = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    NotImplementedError,  # a compression or zip version that no writer of key files uses
    RuntimeError,  # an encrypted member
    ValueError,
    OSError,
    OverflowError,
)


class ExportFault(Exception):  # noqa: N818 - becomes an ExportError once the file's name is known
    """What is wrong with a key file."""


def unzip(data: bytes) -> tuple[bytes, bytes, tuple[str, ...]]:
    """export.bin, export.sig, and the names of other members. Raises ExportFault."""
    if not data:
        raise ExportFault("the file is empty")
    if len(data) > MAX_EXPORT_BYTES:
        raise ExportFault(f"the file has {len(data)} bytes, more than {MAX_EXPORT_BYTES}")
    if not data.startswith(b"PK\x03\x04"):
        raise ExportFault("not a zip file")
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = archive.infolist()
            others = _check_members(members)
            by_name = {member.filename: member for member in members}
            content = _member(archive, by_name[_BIN], MAX_CONTENT_BYTES)
            signature_list = _member(archive, by_name[_SIG], MAX_SIGNATURE_BYTES)
    except _ZIP_ERRORS as error:
        raise ExportFault(f"damaged or truncated zip file: {error}") from error
    return content, signature_list, others


def _check_members(members: Sequence[zipfile.ZipInfo]) -> tuple[str, ...]:
    names = [member.orig_filename for member in members]
    for name in names:
        if "/" in name or "\\" in name or "\0" in name:
            raise ExportFault(f"member {name[:80]!r} is not at the top of the zip")
    if len(set(names)) != len(names):
        raise ExportFault("the zip names a member twice")
    for required in (_BIN, _SIG):
        if required not in names:
            raise ExportFault(f"the zip has no member {required!r}, but {_list(names)}")
    others = tuple(name for name in names if name not in (_BIN, _SIG))
    if len(others) > 1:  # some publishers add one file of their own; it is never opened
        raise ExportFault(f"the zip has unexpected members: {_list(others)}")
    return others


def _list(names: Sequence[str]) -> str:
    shown = ", ".join(repr(name[:80]) for name in names[:5])
    return (shown or "none") + (f" and {len(names) - 5} more" if len(names) > 5 else "")


def _member(archive: zipfile.ZipFile, info: zipfile.ZipInfo, limit: int) -> bytes:
    if info.compress_type not in _KNOWN_COMPRESSION:
        raise ExportFault(f"{info.filename} is compressed by method {info.compress_type}")
    # Judged by the declared size, so that a bomb is never inflated: zipfile stops there, and
    # what then differs from the checksum or the declaration is refused.
    if info.file_size > limit:
        raise ExportFault(f"{info.filename} declares {info.file_size} bytes, more than {limit}")
    with archive.open(info) as member:
        content = member.read()
    if len(content) != info.file_size:
        raise ExportFault(f"{info.filename} is truncated: {len(content)} of {info.file_size} bytes")
    return content


def zip_members(content: bytes, signature_list: bytes) -> bytes:
    """The zip of one key file; equal members give equal bytes."""
    output = io.BytesIO()
    with zipfile.ZipFile(output, "w") as archive:
        for name, member in ((_BIN, content), (_SIG, signature_list)):
            info = zipfile.ZipInfo(name, _MEMBER_DATE)
            info.create_system = 3  # whatever machine writes it
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, member)
    return output.getvalue()
