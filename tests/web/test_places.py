"""Vietnam's administrative units: all of them, once, under the codes that everybody uses."""

import subprocess
import sys

from bluezone.web.places import commune, communes, province, provinces


def test_there_are_34_provinces_and_3321_communes() -> None:
    assert len(provinces()) == 34
    everywhere = [one for each in provinces() for one in communes(each.code)]
    assert len(everywhere) == len({one.code for one in everywhere}) == 3321
    assert all(len(each.code) == 2 for each in provinces())
    assert all(len(one.code) == 5 for one in everywhere)
    assert {one.kind for one in everywhere} == {"Phường", "Xã", "Đặc khu"}


def test_a_commune_is_found_by_its_code() -> None:
    ba_dinh = commune("00004")
    assert ba_dinh is not None
    assert (ba_dinh.name, ba_dinh.province) == ("Phường Ba Đình", "01")
    assert ba_dinh in communes("01")
    hanoi = province("01")
    assert hanoi is not None
    assert (hanoi.name, hanoi.short_name) == ("Thành phố Hà Nội", "Hà Nội")


def test_what_does_not_exist_is_not_found() -> None:
    assert commune("99999") is None
    assert commune("4") is None
    assert province("00") is None
    assert communes("00") == ()


def test_the_heavy_package_is_not_imported() -> None:
    script = (
        "import sys; from bluezone.web.places import provinces; provinces();"
        "print(sorted({'pandas', 'vietnamadminunits'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
