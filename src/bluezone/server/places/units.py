"""The administrative tree: who belongs under whom, in both eras, and what became of the old units.

Since 1 July 2025 Vietnam has 34 provinces and 3,321 communes and nothing in between. Health work
still has something in between: the regional medical centres that the districts left behind. So our
tree has four levels: nation, province, area, commune. An area is what a district of before became:
the communes that took most of its wards.

A unit is stored as its *path*, `vn.01.001.00004`: whoever may see a unit may see every path below
it (`people.scope`). People type and read *codes*, the last part: `vn`, two digits for a province,
three for an area, five for a commune.
"""

import datetime as dt
import json
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from typing import Final

from bluezone.server.errors import Refused
from bluezone.web.catalogue import _
from bluezone.web.places import package_data, query_units

NATION: Final = "vn"
# Law 72/2025/QH15: the last day of the 63 provinces and of the districts.
LEGACY_UNTIL: Final = dt.date(2025, 6, 30)
TREE_SINCE: Final = dt.date(2025, 7, 1)


class Level(StrEnum):
    """The four levels, from the top."""

    NATION = "nation"
    PROVINCE = "province"
    AREA = "area"
    COMMUNE = "commune"


_LEVELS: Final = tuple(Level)


@dataclass(frozen=True, slots=True)
class Unit:
    """A unit of today's tree; position in degrees (WGS 84)."""

    path: str
    name: str
    latitude: float
    longitude: float

    @property
    def code(self) -> str:
        return self.path.rpartition(".")[2]

    @property
    def level(self) -> Level:
        return level_of(self.path)

    @property
    def parent(self) -> str | None:
        """The path of the unit above."""
        return self.path.rpartition(".")[0] or None


@dataclass(frozen=True, slots=True)
class LegacyUnit:
    """A province, district or commune that was valid until LEGACY_UNTIL.

    `successors` are codes of today's communes (of a commune), the likeliest first; where there is
    more than one, the old commune was divided. Of a province or district: all that took part of it.
    """

    code: str
    level: Level  # AREA: a district
    name: str
    parent: str | None  # code
    successors: tuple[str, ...]


def level_of(path: str) -> Level:
    """The level of a path."""
    return _LEVELS[path.count(".")]


def unit(path: str) -> Unit | None:
    """The unit of a path."""
    return _tree().get(path)


def unit_named(code: str) -> Unit:
    """The unit of a code, or of a path. Raises Refused (422) for what is neither."""
    found = _tree().get(code) or _by_code().get(code)
    if found is None:
        raise Refused(
            422,
            "unit-unknown",
            _(
                "There is no unit {code}. Give vn, the two digits of a province, the three of an"
                " area or the five of a commune as published since July 2025."
            ),
            code=code[:32],
        )
    return found


def path_of(code: str) -> str | None:
    """The path of a code of today's tree."""
    found = _by_code().get(code)
    return found.path if found else None


def children(path: str) -> tuple[Unit, ...]:
    """The units directly below, by code."""
    return _children().get(path, ())


def ancestors(path: str) -> tuple[Unit, ...]:
    """From the nation down to the unit itself."""
    parts = path.split(".")
    paths = (".".join(parts[: n + 1]) for n in range(len(parts)))
    return tuple(found for one in paths if (found := unit(one)))


def full_name(path: str) -> str:
    """As an address is written, from the commune up: "Phường Ba Đình, Thành phố Hà Nội"."""
    names = [one.name for one in ancestors(path) if one.level in (Level.PROVINCE, Level.COMMUNE)]
    here = unit(path)
    if here is not None and here.level in (Level.NATION, Level.AREA):
        names.append(here.name)
    return ", ".join(reversed(names))


def legacy_unit(code: str) -> LegacyUnit | None:
    """A unit of before July 2025 by its code: two, three or five digits."""
    return _legacy().get(code)


def legacy_communes() -> Iterator[LegacyUnit]:
    """Every commune that was valid until LEGACY_UNTIL."""
    return (one for one in _legacy().values() if one.level is Level.COMMUNE)


def resolve(code: str, day: dt.date | None = None) -> Unit:
    """Today's unit for a code as some list gave it, which may be from before July 2025.

    Codes were used again for units of another extent. So with a `day` before that reform the old
    meaning counts; without one, today's comes first. Raises Refused (422): an unknown code, or an
    old commune that was divided, naming the communes it became.
    """
    old = _legacy().get(code)
    today = _tree().get(code) or _by_code().get(code)
    if today is not None and (old is None or day is None or day > LEGACY_UNTIL):
        return today
    if old is None:
        return unit_named(code)
    if old.level is Level.COMMUNE and len(old.successors) == 1:
        return unit_named(old.successors[0])
    # A province or district: the smallest unit of today that holds all of it.
    if old.level is not Level.COMMUNE and old.successors:
        return unit_named(_common(unit_named(one).path for one in old.successors))
    raise Refused(
        422,
        "unit-divided",
        _("{name} ({code}) no longer exists; it became {successors}. Please give one of these."),
        name=old.name,
        code=old.code,
        successors=", ".join(f"{one} {unit_named(one).name}" for one in old.successors) or "-",
    )


def _common(paths: Iterable[str]) -> str:
    first, *rest = (path.split(".") for path in paths)
    for other in rest:
        same = 0
        while same < min(len(first), len(other)) and first[same] == other[same]:
            same += 1
        first = first[:same]
    return ".".join(first)


# --- built once from the package's tables -------------------------------------------------
@cache
def _new_rows() -> list[tuple[str, str, str, str, float, float, str, str, float, float]]:
    return query_units(
        "SELECT provinceCode, province, wardCode, ward, wardLat, wardLon, provinceKey, wardKey,"
        " provinceLat, provinceLon FROM admin_units ORDER BY provinceCode, wardCode"
    )


@cache
def _old_rows() -> list[tuple[str, str, str, str, str | None, str, float, float, str, str]]:
    return query_units(
        "SELECT provinceCode, province, districtCode, district, wardCode, ward, districtLat,"
        " districtLon, provinceKey || '_' || districtKey || '_' || coalesce(wardKey, ''),"
        " districtShort FROM admin_units_legacy ORDER BY provinceCode, districtCode, wardCode"
    )


@cache
def _successors() -> Mapping[str, tuple[str, ...]]:
    """Codes of today's communes by the key of an old one, the likeliest first."""
    converter = json.loads(package_data("converter_2025.json").read_text())
    code = {(row[6], row[7]): row[2] for row in _new_rows()}
    found: dict[str, list[str]] = {}
    for province, wards in converter["DICT_PROVINCE_WARD_NO_DIVIDED"].items():
        for ward, old_keys in wards.items():
            for old in old_keys:
                if (province, ward) in code:
                    found.setdefault(old, []).append(code[province, ward])
    for province, olds in converter["DICT_PROVINCE_WARD_DIVIDED"].items():
        for old, parts in olds.items():
            for part in sorted(parts, key=lambda one: not one["isDefaultNewWard"]):
                if (province, part["newWardKey"]) in code:
                    found.setdefault(old, []).append(code[province, part["newWardKey"]])
    return {old: tuple(dict.fromkeys(codes)) for old, codes in found.items()}


@cache
def _area_of_commune() -> Mapping[str, str]:
    """Today's commune -> the code of the old district that most of its wards came from."""
    votes: dict[str, Counter[str]] = {}
    province_of = {row[2]: row[0] for row in _new_rows()}
    districts: dict[str, tuple[float, float]] = {}
    in_province: dict[str, set[str]] = {}
    for old in _old_rows():
        district, key = old[2], old[8]
        districts[district] = (old[6], old[7])
        for code in _successors().get(key, ())[:1]:
            votes.setdefault(code, Counter())[district] += 1
            in_province.setdefault(province_of[code], set()).add(district)
    chosen: dict[str, str] = {}
    for province, _name, code, _ward, latitude, longitude, *_rest in _new_rows():
        if code in votes:
            # Ties go to the smaller code, so that the tree is the same everywhere.
            chosen[code] = min(votes[code].items(), key=lambda vote: (-vote[1], vote[0]))[0]
        else:  # a commune that no old one became: the nearest district of its province
            chosen[code] = min(
                in_province[province],
                key=lambda one: math.dist(districts[one], (latitude, longitude)),
            )
    return chosen


@cache
def _tree() -> Mapping[str, Unit]:
    old_district = {row[2]: row for row in _old_rows()}
    tree = {NATION: Unit(NATION, "Việt Nam", 16.0, 106.5)}
    for province, name, code, ward, latitude, longitude, _pk, _wk, p_lat, p_lon in _new_rows():
        above = f"{NATION}.{province}"
        tree.setdefault(above, Unit(above, name, p_lat, p_lon))
        area = _area_of_commune()[code]
        row = old_district[area]
        path = f"{above}.{area}"
        # Where communes of one old district came to two provinces, it is an area in each.
        tree.setdefault(path, Unit(path, f"Khu vực {row[9]}", row[6], row[7]))
        tree[f"{path}.{code}"] = Unit(f"{path}.{code}", ward, latitude, longitude)
    return tree


@cache
def _by_code() -> Mapping[str, Unit]:
    found: dict[str, Unit] = {}
    for one in _tree().values():
        found.setdefault(one.code, one)
    return found


@cache
def _children() -> Mapping[str, tuple[Unit, ...]]:
    found: dict[str, list[Unit]] = {}
    for one in _tree().values():
        if one.parent:
            found.setdefault(one.parent, []).append(one)
    return {path: tuple(sorted(units, key=lambda one: one.code)) for path, units in found.items()}


@cache
def _legacy() -> Mapping[str, LegacyUnit]:
    below: dict[str, dict[str, None]] = {}
    names: dict[str, tuple[Level, str, str | None]] = {}
    for province, p_name, district, d_name, ward, w_name, *_position, key, _short in _old_rows():
        names.setdefault(province, (Level.PROVINCE, p_name, None))
        names.setdefault(district, (Level.AREA, d_name, province))
        successors = dict.fromkeys(_successors().get(key, ()))
        if ward is not None:
            names[ward] = (Level.COMMUNE, w_name, district)
            below[ward] = successors
        below.setdefault(district, {}).update(successors)
        below.setdefault(province, {}).update(successors)
    return {
        code: LegacyUnit(code, level, name, parent, tuple(below[code]))
        for code, (level, name, parent) in names.items()
    }
