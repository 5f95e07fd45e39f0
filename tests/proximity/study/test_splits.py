"""What is judged was never fitted on."""

from pathlib import Path

import numpy as np
import pytest

from bluezone.proximity.study.readers import read
from bluezone.proximity.study.recordings import Recording, RecordingError
from bluezone.proximity.study.splits import SPLITS, folds
from tests.proximity.simulated import crowd, write_human, write_results


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> list[Recording]:
    """Three scenarios in which the same people meet."""
    folder = tmp_path_factory.mktemp("splits")
    return [
        one
        for seed, name in enumerate(("lunch", "queue", "train"))
        for one in read(
            write_results(folder / f"{name}.sqlite", crowd(seed, people=5, minutes=5).results())
        )
    ]


def couples(recordings: list[Recording]) -> set[frozenset[str]]:
    return {
        frozenset((one.names[a], one.names[b]))
        for one in recordings
        for a, b in zip(one.receiver, one.sender, strict=True)
    }


def packets(recordings: list[Recording]) -> int:
    return sum(len(one.time) for one in recordings)


@pytest.mark.parametrize("split", ["random", "packet", "minute"])
def test_a_random_split_is_refused_with_the_reason(recordings: list[Recording], split: str) -> None:
    with pytest.raises(RecordingError, match="offset of the pair that lasts a whole session") as e:
        list(folds(recordings, split))
    assert "scenario, session, pair" in str(e.value)


@pytest.mark.parametrize("split", ["", "scenarios"])
def test_a_split_that_is_not_known_is_named(recordings: list[Recording], split: str) -> None:
    with pytest.raises(RecordingError, match=f"unknown split '{split}'; known are scenario"):
        list(folds(recordings, split))


@pytest.mark.parametrize("split", ["scenario", "session"])
def test_nothing_of_what_is_held_out_is_fitted_on(recordings: list[Recording], split: str) -> None:
    parts = list(folds(recordings, split))
    assert [name for name, _ in parts] == ["lunch", "queue", "train"]
    for name, (fit_on, judged) in parts:
        assert {getattr(one, split) for one in judged} == {name}
        assert {getattr(one, split) for one in fit_on} == {"lunch", "queue", "train"} - {name}


def test_two_people_are_judged_by_what_others_taught_in_whatever_scenario(
    recordings: list[Recording],
) -> None:
    seen: list[frozenset[str]] = []
    for _, (fit_on, judged) in folds(recordings, "pair"):
        assert couples(judged)
        assert not couples(judged) & couples(fit_on)
        seen += couples(judged)
    assert sorted(map(sorted, seen)) == sorted(map(sorted, couples(recordings)))


@pytest.mark.parametrize("split", SPLITS)
def test_every_packet_is_judged_once(recordings: list[Recording], split: str) -> None:
    parts = [part for _, part in folds(recordings, split)]
    assert sum(packets(judged) for _, judged in parts) == packets(recordings)
    for fit_on, judged in parts:
        assert packets(fit_on) + packets(judged) == packets(recordings)


def test_a_split_does_not_change_the_recordings(recordings: list[Recording]) -> None:
    before = [one.time.copy() for one in recordings]
    list(folds(recordings, "pair"))
    assert all(np.array_equal(a, one.time) for a, one in zip(before, recordings, strict=True))


@pytest.mark.parametrize("split", ["scenario", "session"])
def test_one_part_cannot_be_split(recordings: list[Recording], split: str) -> None:
    with pytest.raises(RecordingError, match=f"only one {split} .*--frozen"):
        list(folds(recordings[:1], split))


def test_one_pair_cannot_be_split(tmp_path: Path) -> None:
    path = write_results(tmp_path / "x.sqlite", crowd(1, people=2, minutes=2).results())
    with pytest.raises(RecordingError, match=r"only one pair .*--frozen"):
        list(folds(read(path), "pair"))


def test_phones_on_marks_are_no_part(recordings: list[Recording], tmp_path: Path) -> None:
    marks = read(write_human(tmp_path / "humanHH.csv"))
    assert len(list(folds([*recordings, *marks], "scenario"))) == 3
    with pytest.raises(RecordingError, match="--frozen"):
        list(folds(marks, "scenario"))
