"""Vietnam's provinces and communes since July 2025, by their official codes (Statistics Office)."""

import sqlite3
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

_PACKAGE: Final = "vietnamadminunits"
_QUERY: Final = """
    SELECT provinceCode, province, provinceShort, wardCode, ward, wardType
    FROM admin_units ORDER BY provinceCode, wardCode
"""


@dataclass(frozen=True, slots=True)
class Province:
    """One of 34: `name` is official ("Tỉnh Cao Bằng"), `short_name` as people say it."""

    code: str
    name: str
    short_name: str


@dataclass(frozen=True, slots=True)
class Commune:
    """One of 3,321: `name` with its kind ("Phường Ba Đình"), `province` a code."""

    code: str
    name: str
    kind: str  # "Phường", "Xã" or "Đặc khu"
    province: str


def provinces() -> tuple[Province, ...]:
    """All provinces, in the order of their codes."""
    return tuple(_provinces().values())


def province(code: str) -> Province | None:
    """The province of a two-digit code."""
    return _provinces().get(code)


def communes(province: str) -> tuple[Commune, ...]:
    """The communes of a province, in the order of their codes; none for an unknown code."""
    return _by_province().get(province, ())


def commune(code: str) -> Commune | None:
    """The commune of a five-digit code."""
    return _communes().get(code)


def package_data(name: str) -> Path:
    """A data file of the package that knows Vietnam's units, of both eras.

    Only its data: importing the package would load data frames and geometry.
    """
    spec = find_spec(_PACKAGE)
    folders = spec and spec.submodule_search_locations
    if not folders:
        raise ModuleNotFoundError(f"the package {_PACKAGE} is not installed", name=_PACKAGE)
    return (Path(folders[0]) / "data" / name).absolute()


def query_units(sql: str) -> list[tuple[Any, ...]]:
    """Rows of the package's tables (`admin_units`, `admin_units_legacy`)."""
    # immutable: the folder of a package may be read-only, and needs no locks
    database = package_data("dataset.db").as_uri() + "?immutable=1"
    with closing(sqlite3.connect(database, uri=True)) as connection:
        return connection.execute(sql).fetchall()


@cache
def _rows() -> list[tuple[str, ...]]:
    return query_units(_QUERY)


@cache
def _provinces() -> Mapping[str, Province]:
    return {code: Province(code, name, short) for code, name, short, *_ in _rows()}


@cache
def _communes() -> Mapping[str, Commune]:
    return {
        code: Commune(code, name, kind, province) for province, _, _, code, name, kind in _rows()
    }


@cache
def _by_province() -> Mapping[str, tuple[Commune, ...]]:
    found: dict[str, list[Commune]] = {}
    for one in _communes().values():
        found.setdefault(one.province, []).append(one)
    return {code: tuple(rows) for code, rows in found.items()}
