"""Which list of health stations is acceptable: every row, or nothing."""

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Final

import msgspec

from bluezone.protocol.announcements import HealthStation
from bluezone.server.places.units import path_of
from bluezone.web.places import commune

COLUMNS: Final = ("commune", "name", "phone", "address", "unit")
_MAY_BE_EMPTY: Final = ("address", "unit")
_FAULTS: Final = {
    "name": "has more than 200 characters",
    "phone": "is no telephone number: 3 to 40 digits, spaces and + ( ) . -",
    "address": "has more than 300 characters",
}


@dataclass(frozen=True, slots=True)
class StationRow:
    """One line of the list. `unit` is the code of the unit that gets the commune's requests;
    empty: the commune itself."""

    commune: str
    name: str
    phone: str
    address: str
    unit: str

    def published(self) -> HealthStation:
        """What phones are given of it."""
        return HealthStation(
            commune=self.commune, name=self.name, phone=self.phone, address=self.address
        )


class StationListError(ValueError):
    """A list cannot be taken; `faults` has one sentence for each bad line."""

    def __init__(self, faults: Sequence[str]) -> None:
        super().__init__("nothing was imported:\n" + "\n".join(faults))
        self.faults = tuple(faults)


def read_stations(content: bytes) -> list[StationRow]:
    """The stations of a CSV file (UTF-8, with a header). Raises StationListError."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise StationListError(["the file is not UTF-8: save it as CSV UTF-8"]) from None
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    rows, faults = [], []
    seen: dict[str, int] = {}
    try:
        columns = _columns(next(reader, []))
        for cells in reader:
            if not any(cell.strip() for cell in cells):
                continue
            line = reader.line_num
            if len(cells) != len(columns):
                faults.append(f"line {line}: {len(cells)} values for {len(columns)} columns")
                continue
            plain = [cell.replace("\u00a0", " ").strip() for cell in cells]  # spreadsheets' spaces
            named = dict(zip(columns, plain, strict=True))
            row = StationRow(**{name: named[name] for name in COLUMNS})
            faults += [f"line {line}: {fault}" for fault in _faults(row)]
            first = seen.setdefault(row.commune, line)
            if first != line:
                faults.append(f"line {line}: commune {row.commune} is on line {first} already")
            rows.append(row)
    except csv.Error as error:
        faults.append(f"line {reader.line_num}: not CSV ({error})")
    if not rows and not faults:
        faults.append("the file has no station")
    if faults:
        raise StationListError(faults)
    return rows


def write_stations(rows: Sequence[StationRow]) -> bytes:
    """The same list as a CSV file that `read_stations` reads."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(asdict(row).values() for row in rows)
    return text.getvalue().encode()


def _columns(header: Sequence[str]) -> list[str]:
    columns = [name.strip().lower() for name in header]
    missing = [name for name in COLUMNS if name not in columns]
    unknown = [name for name in columns if name not in COLUMNS]
    if missing or unknown or len(columns) != len(COLUMNS):
        raise StationListError(
            [f"line 1: the columns must be {', '.join(COLUMNS)}; found {', '.join(columns)}"]
        )
    return columns


def _faults(row: StationRow) -> Iterator[str]:
    if commune(row.commune) is None:
        yield (
            f"there is no commune {row.commune!r}: five digits, as published since July 2025"
            " (a spreadsheet may have taken leading zeros away)"
        )
    for name in COLUMNS:
        value: str = getattr(row, name)
        if not value and name not in _MAY_BE_EMPTY:
            yield f"{name} is empty"
        elif not value.isprintable():
            yield f"{name} has characters that cannot be shown"
        elif value and name in _FAULTS and not _phones_take(name, value):
            yield f"{name} {_FAULTS[name]}"
    if row.unit and path_of(row.unit) is None:
        yield (
            f"there is no unit {row.unit!r}: vn, two digits of a province, three of an area or"
            " five of a commune"
        )


def _phones_take(name: str, value: str) -> bool:
    """Whether a phone would accept it: it refuses a whole province for one bad station."""
    valid = {"commune": "00000", "name": "x", "phone": "000"}
    try:
        msgspec.convert(valid | {name: value}, HealthStation)
    except msgspec.ValidationError:
        return False
    return True
