"""Which unit somebody means who writes its code or its name, of today or of before July 2025."""

import datetime as dt
import re
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Final

from bluezone.server.errors import Refused
from bluezone.server.places import units
from bluezone.server.places.units import Level, Unit
from bluezone.server.register.rules import plain
from bluezone.web.catalogue import _

_SHOWN: Final = 5
_LONGEST: Final = 200
# The kinds of units as they stand before names, without accents; the longer first.
_KIND: Final = re.compile(
    r"^(?:thanh pho|thi tran|thi xa|dac khu|khu vuc|phuong|huyen|tinh|quan|xa|tp|tt|tx|h|p|q|x)"
    r"\s+(?=\S)"
)
# A code alone, or one in full with the name behind it.
_CODE: Final = re.compile(r"\d{5}(?!\d)|\d{1,4}$")


def commune_named(text: str, day: dt.date | None = None) -> Unit:
    """Today's commune for "Ba Đình, Hà Nội", with or without kinds and accents, or for a code.

    Names from the smallest unit up, between commas; a name of before July 2025 leads to what the
    commune became. `day`: when the list was written (units.resolve). Raises Refused (422): unknown,
    ambiguous or divided, naming what could be meant.
    """
    words = text.strip()[:_LONGEST]
    code = _CODE.match(words)
    if code:
        # A spreadsheet takes the zeros in front away; what still has some is another code.
        digits = code.group()
        if len(digits) < 5 and digits.startswith("0"):
            raise _unknown(words)
        return _a_commune(units.resolve(digits.zfill(5), day), words)
    names = [bare for part in words.split(",") if (bare := _bare(part))]
    if not names:
        raise _unknown(words)
    known, old = _fitting(_todays(), names), _fitting(_legacies(), names)
    if known and (day is None or day > units.LEGACY_UNTIL or not old):
        return units.unit_named(_only(known, words))
    if old:
        return _a_commune(units.resolve(_only(old, words), units.LEGACY_UNTIL), words)
    raise _unknown(words)


def _bare(name: str) -> str:
    """A name to compare by: without accents and without the kind of unit before it."""
    return _KIND.sub("", plain(name))


def _fitting(index: Mapping[str, list[tuple[str, frozenset[str]]]], names: list[str]) -> list[str]:
    """Codes of the communes of the first name that lie in all that follow."""
    return [code for code, above in index.get(names[0], ()) if above.issuperset(names[1:])]


def _only(codes: Iterable[str], words: str) -> str:
    found = sorted(codes)
    if len(found) == 1:
        return found[0]
    raise Refused(
        422,
        "commune-ambiguous",
        _("There are {count} communes that {words} can mean: {some}. Please add the province."),
        count=len(found),
        words=words,
        some="; ".join(_described(code) for code in found[:_SHOWN]),
    )


def _described(code: str) -> str:
    today = units.path_of(code)
    if today is not None:
        return f"{units.full_name(today)} ({code})"
    names, one = [], units.legacy_unit(code)
    while one is not None:
        names.append(one.name)
        one = units.legacy_unit(one.parent) if one.parent else None
    return f"{', '.join(names)} ({code})"


def _a_commune(unit: Unit, words: str) -> Unit:
    if unit.level is not Level.COMMUNE:
        raise _unknown(words)
    return unit


def _unknown(words: str) -> Refused:
    return Refused(
        422,
        "commune-unknown",
        _("There is no commune {words}. Write it as Ba Đình, Hà Nội, or give its 5 digits."),
        words=words or "-",
    )


@cache
def _todays() -> Mapping[str, list[tuple[str, frozenset[str]]]]:
    """Bare names of today's communes to their codes and the bare names above them."""
    found: dict[str, list[tuple[str, frozenset[str]]]] = {}
    for province in units.children(units.NATION):
        for area in units.children(province.path):
            above = frozenset({_bare(province.name), _bare(area.name)})
            for commune in units.children(area.path):
                found.setdefault(_bare(commune.name), []).append((commune.code, above))
    return found


@cache
def _legacies() -> Mapping[str, list[tuple[str, frozenset[str]]]]:
    found: dict[str, list[tuple[str, frozenset[str]]]] = {}
    for old in units.legacy_communes():
        district = units.legacy_unit(old.parent or "")
        province = units.legacy_unit(district.parent or "") if district else None
        above = frozenset(_bare(one.name) for one in (district, province) if one)
        found.setdefault(_bare(old.name), []).append((old.code, above))
    return found
