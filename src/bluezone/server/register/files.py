"""Tables that people hand in: CSV in the encodings of Vietnamese offices, and XLSX. As text.

A formula is the text it is written as; nothing is ever calculated.
"""

import csv
import datetime as dt
import io
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final
from unicodedata import normalize
from xml.etree import ElementTree

import openpyxl

from bluezone.server.errors import Refused
from bluezone.server.register.sheet_sizes import SheetTooLargeError, check_sheet
from bluezone.server.spreadsheets import harmless
from bluezone.web.catalogue import _

MAX_BYTES: Final = 32 * 1024 * 1024
MAX_ROWS: Final = 50_000
MAX_COLUMNS: Final = 200
# An XLSX is a zip: what a small file may unpack to, and how much of it is kept in memory at once.
_MAX_UNPACKED: Final = 512 * 1024 * 1024
_MAX_STRINGS: Final = 64 * 1024 * 1024
# What is neither sheets nor their strings is read as one tree, into many times as much memory.
_MAX_PART: Final = 4 * 1024 * 1024
_MAX_PARTS: Final = 1000
_STRINGS: Final = "xl/sharedStrings.xml"
_SHEETS: Final = "xl/worksheets/"
# Empty rows and cells cost nothing in a file, and a row may be said to have any number.
_MAX_LINES: Final = 1_048_576  # as many as a sheet has
_MAX_CELLS: Final = 2 * MAX_ROWS * MAX_COLUMNS
_ZIP: Final = b"PK\x03\x04"
_OLD_EXCEL: Final = b"\xd0\xcf\x11\xe0"
_UTF16: Final = (b"\xff\xfe", b"\xfe\xff")
_DELIMITERS: Final = ",;\t"
EXCEL_EPOCH: Final = dt.datetime(1899, 12, 30)
UNREADABLE: Final = "\ufffd"


class FileError(Refused):
    """The whole file cannot be read, and what to do about it."""

    def __init__(self, message: str, **values: Any) -> None:
        super().__init__(422, "file-unreadable", message, **values)


@dataclass(frozen=True, slots=True)
class Table:
    """The rows of a file as they come, numbered as a spreadsheet numbers them (from 1).

    `epoch`: what the bare numbers of its days count from. Reading on may raise FileError.
    """

    rows: Iterator[tuple[int, list[str]]]
    epoch: dt.datetime = EXCEL_EPOCH


def read_table(content: bytes) -> Table:
    """The table in a CSV or XLSX file; it is read while its rows are taken. Raises FileError."""
    if not content.strip(b"\0\r\n\t "):
        raise FileError(_("The file is empty."))
    if content.startswith(_ZIP):
        return _xlsx(content)
    if content.startswith(_OLD_EXCEL):
        raise FileError(
            _("This is a file of an old Excel. Please save it as XLSX or as CSV UTF-8.")
        )
    return Table(_numbered(_csv(content)))


def write_csv(rows: Sequence[Sequence[str]]) -> bytes:
    """A CSV file that Excel opens with its accents, and without calculating anything."""
    text = io.StringIO()
    csv.writer(text).writerows([harmless(cell) for cell in row] for row in rows)
    return text.getvalue().encode("utf-8-sig")


def _numbered(rows: Iterator[Sequence[str]]) -> Iterator[tuple[int, list[str]]]:
    """Rows with anything in them. Raises FileError beyond MAX_ROWS of them."""
    full = read = 0
    for number, row in enumerate(rows, 1):
        read += len(row)
        if number > _MAX_LINES or read > _MAX_CELLS:
            raise _too_much()
        cells = [
            normalize("NFC", cell.replace("\u00a0", " ").strip()) for cell in row[:MAX_COLUMNS]
        ]
        if any(cell.strip() for cell in row[MAX_COLUMNS:]):
            raise FileError(
                _("Row {row} has more than {limit} columns. Is this the right file?"),
                row=number,
                limit=MAX_COLUMNS,
            )
        if not any(cells):
            continue
        full += 1
        if full > MAX_ROWS + 1:  # the head is no row of the list
            raise FileError(
                _(
                    "The file has more than {limit} rows. Please split it, by commune or by week;"
                    " people who come in two of the files are recognised."
                ),
                limit=MAX_ROWS,
            )
        yield number, cells


# --- CSV -------------------------------------------------------------------------------
def _csv(content: bytes) -> Iterator[list[str]]:
    lines = _lines(content)
    first = next(lines, "")
    if first.startswith("sep=") and len(first.strip()) == 5:  # Excel's own way to name it
        reader = csv.reader(lines, delimiter=first[4], strict=True)
        yield []  # it is a row of the file
    else:
        delimiter = max(_DELIMITERS, key=lambda one: _columns(first, one))
        reader = csv.reader(_again(first, lines), delimiter=delimiter, strict=True)
    try:
        yield from reader
    except csv.Error:
        raise FileError(
            _("Line {line} is not CSV: a quotation mark is open, or a cell is too long."),
            line=reader.line_num,
        ) from None


def _columns(line: str, delimiter: str) -> int:
    try:
        return len(next(csv.reader([line], delimiter=delimiter), []))
    except csv.Error:
        return 0


def _again(first: str, rest: Iterator[str]) -> Iterator[str]:
    yield first
    yield from rest


def _lines(content: bytes) -> Iterator[str]:
    if content.startswith(_UTF16):
        yield from _utf16(content, "utf-16")
    elif content[1:40:2].count(0) > 9 or content[0:40:2].count(0) > 9:  # without its mark
        yield from _utf16(content, "utf-16-le" if content[1] == 0 else "utf-16-be")
    else:
        for line in io.BytesIO(content.removeprefix(b"\xef\xbb\xbf")):
            yield _decoded(line)


def _utf16(content: bytes, encoding: str) -> Iterator[str]:
    with io.TextIOWrapper(
        io.BytesIO(content), encoding=encoding, errors="replace", newline=""
    ) as text:
        for line in text:
            yield line.replace("\0", UNREADABLE)


def _decoded(line: bytes) -> str:
    """Line by line, because files are put together from others: UTF-8, else Windows-1258."""
    try:
        text = line.decode("utf-8")
    except UnicodeDecodeError:
        # A byte that it does not know is told with its row and column.
        text = line.decode("cp1258", errors="replace")
    return text.replace("\0", UNREADABLE)


# --- XLSX ------------------------------------------------------------------------------
def _xlsx(content: bytes) -> Table:
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            _check_sizes(archive)
        book = openpyxl.load_workbook(
            io.BytesIO(content), read_only=True, data_only=False, keep_links=False
        )
        sheet = next((one for one in book.worksheets if one.sheet_state == "visible"), None)
    except FileError:
        raise
    except SheetTooLargeError:
        raise _too_much() from None
    except Exception:  # openpyxl says in many ways that it does not understand a file
        raise _no_workbook() from None
    if sheet is None:
        raise _no_workbook()
    sheet.reset_dimensions()  # what a file says of its own size need not be true
    return Table(_numbered(_sheet_rows(sheet, book.epoch)), book.epoch)


def _check_sizes(archive: zipfile.ZipFile) -> None:
    """Raises FileError for what would fill the memory, whatever it calls itself."""
    parts = archive.infolist()
    if sum(one.file_size for one in parts) > _MAX_UNPACKED:
        raise _too_much()
    if len(parts) > _MAX_PARTS:
        raise _too_much()
    links = [one for one in parts if one.filename.endswith(".rels")]
    elements = 0
    for one in parts:
        most = _MAX_STRINGS if one.filename == _STRINGS else _MAX_PART
        if one.filename.startswith(_SHEETS) and not one.filename.endswith(".rels"):
            with archive.open(one) as sheet:
                elements = check_sheet(sheet, _MAX_PART, elements)
        elif one.file_size > most:
            raise _too_much()
    # Where sheets are, which are read row by row, nothing lies that is read at once.
    for kind in ElementTree.fromstring(archive.read("[Content_Types].xml")):  # noqa: S314 - small
        name, content = kind.get("PartName", ""), kind.get("ContentType", "")
        if name.startswith(f"/{_SHEETS}") and not content.endswith(".worksheet+xml"):
            raise _no_workbook()
    for one in links:
        tree = ElementTree.fromstring(archive.read(one))  # noqa: S314 - small
        if any("chartsheet" in link.get("Type", "") for link in tree):
            raise _no_workbook()


def _sheet_rows(sheet: Any, epoch: dt.datetime) -> Iterator[list[str]]:
    rows = sheet.iter_rows(values_only=True)
    while True:
        try:
            row = next(rows, None)
        except Exception:  # as above, in the middle of it
            raise _no_workbook() from None
        if row is None:
            return
        yield [_text(value) for value in row]


def _text(value: object) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "1" if value else "0"
        case float() if value.is_integer() and abs(value) < 1e15:
            return str(int(value))
        case dt.datetime() if value.time() == dt.time():
            return value.date().isoformat()
        case dt.datetime() | dt.date() | dt.time():
            return value.isoformat()
        case _:
            return str(value).replace("\0", UNREADABLE)


def _too_much() -> FileError:
    return FileError(_("The file unpacks to too much. Please save the list alone as CSV UTF-8."))


def _no_workbook() -> FileError:
    return FileError(
        _("This XLSX file is damaged or protected. Please save it anew, or as CSV UTF-8.")
    )
