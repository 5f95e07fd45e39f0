"""Pictures are the same file for the same judgement, and none without truth."""

from pathlib import Path
from xml.etree import ElementTree

import pytest

from bluezone.proximity import SHIPPED
from bluezone.proximity.study.evaluate import Judged, judge
from bluezone.proximity.study.pairs import pairs_of
from bluezone.proximity.study.pictures import draw
from bluezone.proximity.study.readers import read
from tests.proximity.simulated import crowd, write_results


def judged(folder: Path, *, truth: bool = True) -> list[Judged]:
    rows = crowd(5, people=4, minutes=8).results(truth=truth)
    (one,) = read(write_results(folder / "set" / f"{truth}.sqlite", rows))
    return [judge(pair, SHIPPED) for pair in pairs_of(one)]


def test_two_pictures_are_drawn_and_repeat_exactly(tmp_path: Path) -> None:
    rows = judged(tmp_path)
    once, again = (draw(rows, tmp_path / name, "set") for name in ("one", "deep/two"))
    assert [path.name for path in once] == ["roc.svg", "reliability.svg"]
    assert [path.read_bytes() for path in once] == [path.read_bytes() for path in again]
    for path in once:
        root = ElementTree.fromstring(path.read_bytes())  # noqa: S314 - we drew it
        assert root.tag.endswith("svg")
    assert once[0].read_bytes() != once[1].read_bytes()


@pytest.mark.parametrize("collection", ["set", "another"])
def test_nothing_is_drawn_without_truth(tmp_path: Path, collection: str) -> None:
    rows = judged(tmp_path, truth=collection != "set")
    assert draw(rows, tmp_path / "pictures", collection) == []
    assert not (tmp_path / "pictures").exists()
