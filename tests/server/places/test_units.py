"""The administrative tree: all of it is there, once; old units lead to today's."""

import datetime as dt
from collections import Counter

import pytest

from bluezone.server.errors import Refused
from bluezone.server.places import units
from bluezone.server.places.units import NATION, Level, unit_named
from bluezone.web.places import query_units

BEFORE, SINCE = dt.date(2025, 6, 30), dt.date(2025, 7, 1)
_TODAY = query_units("SELECT wardCode, ward, provinceCode, province FROM admin_units")
_OLD = query_units("SELECT provinceCode, districtCode, wardCode FROM admin_units_legacy")


def _walk(path: str) -> list[units.Unit]:
    found = units.unit(path)
    assert found is not None
    return [found, *(below for one in units.children(path) for below in _walk(one.path))]


def test_every_unit_of_today_is_there_once() -> None:
    everything = _walk(NATION)
    counts = Counter(one.level for one in everything)
    assert (counts[Level.NATION], counts[Level.PROVINCE], counts[Level.COMMUNE]) == (1, 34, 3321)
    assert len({one.path for one in everything}) == len(everything)
    assert counts[Level.PROVINCE] < counts[Level.AREA] < counts[Level.COMMUNE]
    communes = {one.code: one for one in everything if one.level is Level.COMMUNE}
    assert communes.keys() == {row[0] for row in _TODAY}
    for code, ward, province, province_name in _TODAY:
        found = communes[code]
        nation, above, area, itself = units.ancestors(found.path)
        assert (nation.path, above.code, above.name) == (NATION, province, province_name)
        assert (area.level, itself) == (Level.AREA, found)
        assert area.parent == above.path
        assert found.name == ward


def test_codes_and_paths_name_the_same() -> None:
    for one in _walk(NATION):
        assert unit_named(one.path) == one
        if one.level is not Level.AREA:  # an area of two provinces has the same code in both
            assert unit_named(one.code) == one
            assert units.path_of(one.code) == one.path
    for strange in ("", "vn.", "VN", "1", "99", "00000", "vn.01.00004", "x" * 1000, "ấ", "\0"):
        with pytest.raises(Refused) as refused:
            unit_named(strange)
        assert refused.value.status_code == 422
        assert len(refused.value.values["code"]) <= 32


def test_names_as_an_address_has_them() -> None:
    assert units.full_name("vn.01.001.00004") == "Phường Ba Đình, Thành phố Hà Nội"
    assert units.full_name("vn.01.001") == "Khu vực Ba Đình, Thành phố Hà Nội"
    assert units.full_name("vn.01") == "Thành phố Hà Nội"
    assert units.full_name(NATION) == "Việt Nam"
    assert units.full_name("vn.77.777.77777") == ""  # unknown


def test_every_unit_of_before_is_there_and_leads_somewhere() -> None:
    provinces = {row[0] for row in _OLD}
    districts = {row[1] for row in _OLD}
    communes = {row[2] for row in _OLD if row[2] is not None}
    assert (len(provinces), len(communes)) == (63, 10_035)
    today = {row[0] for row in _TODAY}
    without = []
    for codes, level in (
        (provinces, Level.PROVINCE),
        (districts, Level.AREA),
        (communes, Level.COMMUNE),
    ):
        for code in codes:
            found = units.legacy_unit(code)
            assert found is not None
            assert found.level is level
            assert today.issuperset(found.successors)
            assert len(set(found.successors)) == len(found.successors)
            if not found.successors:
                without.append(code)
            if found.parent is not None:
                above = units.legacy_unit(found.parent)
                assert above is not None
                assert set(found.successors) <= set(above.successors)
    assert without == []
    reached = {one for code in provinces for one in units.legacy_unit(code).successors}  # type: ignore[union-attr]
    assert len(reached) > 3000


@pytest.mark.parametrize(
    ("code", "day", "name"),
    [
        ("00004", None, "Phường Ba Đình"),  # today's meaning comes first
        ("00004", SINCE, "Phường Ba Đình"),
        ("01", None, "Thành phố Hà Nội"),
        ("01", BEFORE, "Thành phố Hà Nội"),  # it lost and won nothing
        ("vn", BEFORE, "Việt Nam"),
        ("vn.01", BEFORE, "Thành phố Hà Nội"),
    ],
)
def test_what_a_code_meant_on_a_day(code: str, day: dt.date | None, name: str) -> None:
    assert units.resolve(code, day).name == name


def test_an_old_commune_is_its_successor_or_a_clear_refusal() -> None:
    whole = divided = 0
    for code in {row[2] for row in _OLD if row[2] is not None}:
        successors = units.legacy_unit(code).successors  # type: ignore[union-attr]
        if len(successors) == 1:
            assert units.resolve(code, BEFORE).code == successors[0]
            whole += 1
            continue
        with pytest.raises(Refused) as refused:
            units.resolve(code, BEFORE)
        assert refused.value.error == "unit-divided"
        for one in successors:
            assert f"{one} {unit_named(one).name}" in refused.value.values["successors"]
        divided += 1
    assert whole > 9000
    assert divided > 100


def test_an_old_district_or_province_is_the_smallest_unit_that_holds_it() -> None:
    for code in {row[1] for row in _OLD} | {row[0] for row in _OLD}:
        found = units.resolve(code, BEFORE)
        for one in units.legacy_unit(code).successors:  # type: ignore[union-attr]
            path = unit_named(one).path
            assert f"{path}.".startswith(f"{found.path}."), (code, found)
    # Two old provinces of the same new one.
    old = {row[0]: units.resolve(row[0], BEFORE).path for row in _OLD}
    assert len(set(old.values())) < 63


def test_an_unknown_code_is_refused_on_any_day() -> None:
    for day in (None, BEFORE, SINCE):
        with pytest.raises(Refused) as refused:
            units.resolve("99999", day)
        assert refused.value.error == "unit-unknown"
