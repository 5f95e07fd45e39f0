"""What a sheet of a workbook would take to read, found before it is read.

The reader keeps one row at a time, and everything that is not a row for as long as it reads: a
few kilobytes of zip could fill the memory with either.
"""

from typing import IO, Any, Final
from xml.parsers import expat

_MAX_ROW: Final = 8 * 1024 * 1024  # bytes of one row: 16,384 cells of 500
_MAX_ELEMENTS: Final = 20_000_000  # of all sheets; 50,000 rows of 100 cells are 15 million
_ROW: Final = "http://schemas.openxmlformats.org/spreadsheetml/2006/main row"
_PIECE: Final = 1 << 16


class SheetTooLargeError(Exception):
    """Reading this sheet would take too much memory or time."""


def check_sheet(sheet: IO[bytes], most_outside: int, elements: int = 0) -> int:
    """Go through a sheet's XML (ECMA-376, part 1, 18.3.1) without keeping anything.

    `most_outside`: bytes of everything that is in no row; `elements`: those of the sheets before.
    Returns how many they are with this one's. Raises SheetTooLargeError, and expat.ExpatError for
    what is no XML, or has a document type of its own.
    """
    sizes = _Sizes(elements)
    while piece := sheet.read(_PIECE):
        sizes.feed(piece)
        if sizes.outside > most_outside or sizes.row > _MAX_ROW or sizes.elements > _MAX_ELEMENTS:
            raise SheetTooLargeError
    return sizes.elements


class _Sizes:
    def __init__(self, elements: int) -> None:
        self.elements = elements
        self.outside = 0  # bytes
        self.row = 0  # bytes of the largest row, as far as it has been read
        self._fed = 0
        self._depth = 0  # in a row: how many elements are open
        self._since = 0  # where the row, or what is outside of rows, begins
        self._parser = expat.ParserCreate(namespace_separator=" ")
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.StartDoctypeDeclHandler = self._refuse

    def feed(self, piece: bytes) -> None:
        self._parser.Parse(piece)
        self._fed += len(piece)
        self._pass(self._fed)

    def _pass(self, position: int) -> None:
        if self._depth:
            self.row = max(self.row, position - self._since)
        else:
            self.outside += position - self._since
            self._since = position

    def _start(self, name: str, _attributes: Any) -> None:
        self.elements += 1
        if self._depth:
            self._depth += 1
        elif name == _ROW:
            self._pass(self._parser.CurrentByteIndex)
            self._depth = 1

    def _end(self, _name: str) -> None:
        if self._depth == 1:
            self._pass(self._parser.CurrentByteIndex)
            self._since = self._parser.CurrentByteIndex
        self._depth = max(0, self._depth - 1)

    def _refuse(self, *_doctype: Any) -> None:
        raise expat.ExpatError("a sheet has no document type")
