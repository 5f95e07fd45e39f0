"""Tables for spreadsheets: CSV and XLSX as they are written, line by line, nothing kept.

A cell that a spreadsheet would run as a formula is made text (in CSV by an apostrophe before it,
as OWASP advises for CSV injection; cells of our XLSX are text or numbers by their type).
"""

import csv
import io
import re
import zipfile
from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Final
from xml.sax.saxutils import escape

Cell = str | int | float | bool | None
MARK: Final = b"\xef\xbb\xbf"  # by which Excel knows that a CSV is UTF-8
MOST_ROWS: Final = 1_048_576  # of a sheet, the head included
# Where a formula may begin: at the start, and where a reader splits the cell that we did not split
# (Excel in Vietnam does at semicolons). The wide signs of East Asian fonts count for some.
_RUNS: Final = re.compile("(?:^|(?<=[;\t]))(?=[ \xa0]*[=+@\uff1d\uff0b\uff0d\uff20\t\r\n-])")
_PLAIN_NUMBER: Final = re.compile(r"[+-]?[0-9][0-9 .,]*")  # a telephone number runs nothing
# XML 1.0 has no other control characters, not even as references.
_UNWRITABLE: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")


def harmless(text: str) -> str:
    """The text, with an apostrophe before whatever a spreadsheet would take for a formula."""
    return text if _PLAIN_NUMBER.fullmatch(text) else _RUNS.sub("'", text)


def csv_line(cells: Iterable[Cell]) -> str:
    """One line of CSV (RFC 4180), harmless."""
    line = io.StringIO()
    csv.writer(line).writerow([harmless(_text(cell)) for cell in cells])
    return line.getvalue()


def _text(cell: Cell) -> str:
    if cell is None:
        return ""
    if isinstance(cell, bool):
        return "1" if cell else "0"
    return str(cell)


async def csv_bytes(
    head: Sequence[str], pages: AsyncIterator[Sequence[Sequence[Cell]]], *, mark: bool
) -> AsyncIterator[bytes]:
    """A CSV a page of rows at a time; `mark`: for Excel."""
    yield (MARK if mark else b"") + csv_line(head).encode()
    async for rows in pages:
        lines = io.StringIO()
        csv.writer(lines).writerows([harmless(_text(cell)) for cell in row] for row in rows)
        yield lines.getvalue().encode()


async def xlsx_bytes(
    name: str, head: Sequence[str], pages: AsyncIterator[Sequence[Sequence[Cell]]]
) -> AsyncIterator[bytes]:
    """A workbook of one sheet a page of rows at a time.

    Written here because the libraries park the sheet in a plain temporary file, and it is full of
    people's names. Raises ValueError for more rows than a sheet has.
    """
    out = _Pipe()
    count = 1
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for path, content in _parts(name):
            archive.writestr(path, content)
        with archive.open("xl/worksheets/sheet1.xml", "w", force_zip64=True) as sheet:
            sheet.write(_SHEET_BEGIN.encode())
            sheet.write(_row(head, style=' s="1"').encode())
            async for rows in pages:
                count += len(rows)
                if count > MOST_ROWS:
                    raise ValueError("more rows than a sheet has")
                sheet.write("".join(map(_row, rows)).encode())
                yield out.taken()
            sheet.write(b"</sheetData></worksheet>")
    yield out.taken()


class _Pipe(io.RawIOBase):
    """What a zip is written to when it cannot be gone back in; `taken` empties it."""

    def __init__(self) -> None:
        self._kept: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, data: object) -> int:
        content = bytes(data)  # type: ignore[call-overload]
        self._kept.append(content)
        return len(content)

    def taken(self) -> bytes:
        content = b"".join(self._kept)
        self._kept.clear()
        return content


def _row(cells: Sequence[Cell], style: str = "") -> str:
    return f"<row>{''.join([_cell(cell, style) for cell in cells])}</row>"


def _cell(cell: Cell, style: str) -> str:
    if cell is None or cell == "":
        return "<c/>"
    if isinstance(cell, bool):
        return f'<c t="b"><v>{int(cell)}</v></c>'
    if isinstance(cell, int | float):
        return f"<c><v>{cell}</v></c>"
    text = escape(_UNWRITABLE.sub("\ufffd", cell))
    return f'<c t="inlineStr"{style}><is><t xml:space="preserve">{text}</t></is></c>'


_XML: Final = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>'
_MAIN: Final = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_LINKS: Final = "http://schemas.openxmlformats.org/package/2006/relationships"
_OFFICE: Final = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_TYPES: Final = "application/vnd.openxmlformats-officedocument.spreadsheetml"
# The head stays in sight while one scrolls.
_SHEET_BEGIN: Final = (
    f'{_XML}<worksheet xmlns="{_MAIN}"><sheetViews><sheetView workbookViewId="0">'
    '<pane ySplit="1" topLeftCell="A2" activePane="bottomLeft" state="frozen"/></sheetView>'
    "</sheetViews><sheetData>"
)


def _parts(name: str) -> list[tuple[str, str]]:
    """Everything of the workbook but its sheet (ECMA-376, part 1)."""
    title = escape(re.sub(r"[\[\]:*?/\\]", " ", name)[:31], {'"': "&quot;"})
    return [
        (
            "[Content_Types].xml",
            f'{_XML}<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">'
            '<Default Extension="rels"'
            ' ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
            f'<Override PartName="/xl/workbook.xml" ContentType="{_TYPES}.sheet.main+xml"/>'
            f'<Override PartName="/xl/styles.xml" ContentType="{_TYPES}.styles+xml"/>'
            '<Override PartName="/xl/worksheets/sheet1.xml"'
            f' ContentType="{_TYPES}.worksheet+xml"/></Types>',
        ),
        (
            "_rels/.rels",
            f'{_XML}<Relationships xmlns="{_LINKS}"><Relationship Id="rId1"'
            f' Type="{_OFFICE}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
        ),
        (
            "xl/workbook.xml",
            f'{_XML}<workbook xmlns="{_MAIN}" xmlns:r="{_OFFICE}"><sheets>'
            f'<sheet name="{title}" sheetId="1" r:id="rId1"/></sheets></workbook>',
        ),
        (
            "xl/_rels/workbook.xml.rels",
            f'{_XML}<Relationships xmlns="{_LINKS}">'
            f'<Relationship Id="rId1" Type="{_OFFICE}/worksheet" Target="worksheets/sheet1.xml"/>'
            f'<Relationship Id="rId2" Type="{_OFFICE}/styles" Target="styles.xml"/>'
            "</Relationships>",
        ),
        (
            "xl/styles.xml",
            f'{_XML}<styleSheet xmlns="{_MAIN}"><fonts count="2"><font><sz val="11"/></font>'
            '<font><b/><sz val="11"/></font></fonts><fills count="2"><fill><patternFill'
            ' patternType="none"/></fill><fill><patternFill patternType="gray125"/></fill></fills>'
            '<borders count="1"><border/></borders>'
            '<cellStyleXfs count="1"><xf/></cellStyleXfs><cellXfs count="2"><xf xfId="0"/>'
            '<xf xfId="0" fontId="1" applyFont="1"/></cellXfs><cellStyles count="1">'
            '<cellStyle name="Normal" xfId="0" builtinId="0"/></cellStyles></styleSheet>',
        ),
    ]
