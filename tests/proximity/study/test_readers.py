"""Every published form is read; every fault names its file."""

import gzip
import math
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bluezone.proximity import Carriage
from bluezone.proximity.study.pairs import attenuations
from bluezone.proximity.study.readers import read, read_all
from bluezone.proximity.study.recordings import Recording, RecordingError
from tests.proximity.simulated import (
    AT_ONE_METRE_DB,
    COLUMNS,
    FORMS,
    SLOPE_DB,
    crowd,
    write_csv,
    write_human,
    write_range_angle,
    write_results,
    write_static,
)

ROW = ("a", "Alpha", "b", "Beta", 1500.5, -70, -20, 1.5)


def refused(path: Path) -> str:
    """What the refusal says, which begins with the file."""
    with pytest.raises(RecordingError) as caught:
        read(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    return message.removeprefix(f"{path}: ")


def names(recording: Recording, numbers: np.ndarray) -> list[str]:
    return [recording.names[number] for number in numbers]


# --- DP-3T ---------------------------------------------------------------------------------
def test_a_table_of_results_is_read_as_it_stands(tmp_path: Path) -> None:
    made = crowd(4, people=3, minutes=5)
    (got,) = read(write_results(tmp_path / "set" / "lunch.sqlite", made.results()))
    assert (got.collection, got.scenario, got.session) == ("set", "lunch", "lunch")
    assert got.free
    assert names(got, got.receiver) == [f"phone{n:02}" for n in made.receiver]
    assert names(got, got.sender) == [f"phone{n:02}" for n in made.sender]
    assert np.allclose(got.time, made.time)
    assert np.array_equal(got.rssi, made.rssi)
    assert np.all(got.tx_power == -20)
    known = np.isfinite(got.distance)
    assert np.mean(known) == pytest.approx(0.9, abs=0.01)
    assert np.allclose(got.distance[known], made.distance[known])
    assert {name: phone.model for name, phone in zip(got.names, got.phones, strict=True)} == {
        "phone00": "Alpha",
        "phone01": "Beta",
        "phone02": "Gamma",
    }


def test_distances_of_minus_one_and_none_are_not_known(tmp_path: Path) -> None:
    rows = [ROW, (*ROW[:4], 2500.5, -71, None, -1), (*ROW[:4], 3500.5, -72, None, None)]
    (got,) = read(write_results(tmp_path / "x.sqlite", rows))
    assert [math.isnan(distance) for distance in got.distance] == [False, True, True]
    assert [math.isnan(power) for power in got.tx_power] == [False, True, True]


def test_a_time_that_is_missing_and_a_phone_that_hears_itself_are_left_out(tmp_path: Path) -> None:
    rows = [ROW, (*ROW[:4], None, -70, -20, 1.5), ("a", "Alpha", "a", "Alpha", 2500.5, -40, -20, 0)]
    (got,) = read(write_results(tmp_path / "x.sqlite", rows))
    assert len(got.time) == 1
    assert got.dropped == {"no time": 1, "a phone that hears itself": 1}


def test_a_recording_named_from_within_its_folder_has_the_same_collection(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_results(tmp_path / "set" / "lunch.sqlite", [ROW])
    write_human(tmp_path / "set" / "humanHH.csv")
    monkeypatch.chdir(tmp_path / "set")
    assert {r.collection for r in read_all([Path("lunch.sqlite"), Path("humanHH.csv")], print)} == {
        "set"
    }


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    path = tmp_path / "x.sqlite"
    path.write_bytes(b"anything else")
    assert "not a recording" in refused(path)


def test_an_empty_file(tmp_path: Path) -> None:
    for name in ("x.sqlite", "x.csv"):
        (tmp_path / name).touch()
        assert "not a recording" in refused(tmp_path / name)
    write_csv(tmp_path / "x.csv.gz", "", [])
    assert "not a recording" in refused(tmp_path / "x.csv.gz")


def test_a_database_without_the_table(tmp_path: Path) -> None:
    path = tmp_path / "x.sqlite"
    database = sqlite3.connect(path)
    database.execute("CREATE TABLE other (rssi INTEGER)")
    database.close()
    assert "no table `results`" in refused(path)


def test_a_table_without_rows(tmp_path: Path) -> None:
    assert "its table `results` is empty" in refused(write_results(tmp_path / "x.sqlite", []))


def test_a_table_that_lacks_columns_names_them(tmp_path: Path) -> None:
    columns = [column for column in COLUMNS if not column.startswith(("rssi", "tx_power"))]
    path = write_results(tmp_path / "x.sqlite", [], columns)
    assert "lacks rssi, tx_power" in refused(path)


@pytest.mark.parametrize(
    ("column", "value", "named"),
    [(4, "noon", "time"), (5, "loud", "rssi"), (6, "?", "tx_power"), (7, b"\x00", "distance")],
)
def test_text_in_a_column_of_numbers_names_row_and_column(
    tmp_path: Path, column: int, value: Any, named: str
) -> None:
    bad = [*ROW[:column], value, *ROW[column + 1 :]]
    message = refused(write_results(tmp_path / "x.sqlite", [ROW, bad]))
    assert message.startswith(f"row 2: {named} is {value!r}")


def test_a_database_cut_off_or_overwritten(tmp_path: Path) -> None:
    path = write_results(tmp_path / "x.sqlite", crowd(4, people=3, minutes=5).results())
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    assert refused(path)
    path.write_bytes(whole[:4096] + b"\xff" * (len(whole) - 4096))
    assert refused(path)
    path.write_bytes(whole[:16])
    assert refused(path)


# --- phones on marks -----------------------------------------------------------------------
@pytest.mark.parametrize("ending", [".csv", ".csv.gz"])
@pytest.mark.parametrize("form", FORMS)
def test_levels_of_every_published_form_fit_its_distances(
    tmp_path: Path, form: str, ending: str
) -> None:
    got = read(FORMS[form](tmp_path / "marks" / f"a-B{ending}"))
    assert got
    for one in got:
        assert (one.collection, one.free) == ("marks", False)
        assert len(one.time) > 50
        assert np.all((one.distance >= 1) & (one.distance <= 4))
        assert np.all(np.diff(one.time) >= 0)
        assert set(one.receiver.tolist()) == {0}
        # The power is not recorded: 0.5 dB is what is then assumed, 4 dB carriage, 2.5 noise.
        expected = AT_ONE_METRE_DB + SLOPE_DB * np.log10(one.distance)
        assert np.all(np.abs(attenuations(one) - expected) < 7.1)


def test_how_phones_were_carried_is_in_the_name_of_the_file(tmp_path: Path) -> None:
    for name, carriages in (
        ("humanHP.csv", (Carriage.HAND, Carriage.POCKET)),
        ("humanBH.csv.gz", (Carriage.BAG, Carriage.HAND)),
        ("other.csv", (None, None)),
    ):
        got = read(write_human(tmp_path / name))
        assert len(got) == 2, "one session a device"
        assert all(tuple(phone.carriage for phone in one.phones) == carriages for one in got)


def test_places_of_a_body_are_carriages(tmp_path: Path) -> None:
    got = read(write_static(tmp_path / "x.csv"))
    assert len(got) == 2, "one session an angle"
    for one in got:
        assert [phone.carriage for phone in one.phones] == [None, "pocket", "hand", "bag"]
        assert sorted(set(one.sender.tolist())) == [1, 2, 3]


def test_logs_of_one_session_follow_each_other_an_hour_apart(tmp_path: Path) -> None:
    (one,) = read(write_range_angle(tmp_path / "x.csv"))
    assert len(one.time) == 120
    gaps = np.diff(one.time)
    assert np.sum(gaps > 1800) == 2
    assert np.sum(np.diff(one.distance) != 0) == 2


HEADS = {
    "human": ("device,elapsed,rss,dist", ("one", 1.5, -60, 100)),
    "cable car": ("time,rssi,distance", ("2021-01-01 10:00:00", -60.0, 100)),
    "static": (
        "environment,receiver,angle_deg,tx_position,t_s,rssi,distance_m",
        ("Hall", "phone", 0, "purse R", 1.5, -60, 1.8),
    ),
    "range and angle": ("session,recording,t_s,rssi,distance_m", ("u", "log", 1.5, -60, 1.5)),
}
forms = pytest.mark.parametrize("form", HEADS)


@forms
def test_a_line_with_a_missing_field_is_named(tmp_path: Path, form: str) -> None:
    header, row = HEADS[form]
    message = refused(write_csv(tmp_path / "x.csv", header, [row, row[:-1]]))
    assert message == f"line 3: {len(row) - 1} fields where the header has {len(row)}"


@forms
def test_text_in_place_of_a_level_names_line_and_column(tmp_path: Path, form: str) -> None:
    header, row = HEADS[form]
    names = header.split(",")
    at = names.index("rss" if form == "human" else "rssi")
    bad = [*row[:at], "loud", *row[at + 1 :]]
    message = refused(write_csv(tmp_path / "x.csv", header, [row, row, bad]))
    assert message.startswith(f"line 4: {names[at]}: ")
    assert "'loud'" in message


@forms
def test_an_empty_field_is_not_known(tmp_path: Path, form: str) -> None:
    """No level, no distance, no time: the row or its truth is left out, the rest is read."""
    header, row = HEADS[form]
    for field, value in enumerate(row):
        if header.split(",")[field] in ("device", "environment", "receiver", "session"):
            continue
        bad = [*row[:field], "", *row[field + 1 :]]
        got = read(write_csv(tmp_path / f"{form}-{field}.csv", header, [row, bad]))
        assert 1 <= sum(len(one.time) for one in got) <= 2, value
        for one in got:
            assert np.all(np.isfinite(one.time))
            assert np.all(one.time >= 0)


@forms
def test_a_header_without_rows_is_no_recording(tmp_path: Path, form: str) -> None:
    path = write_csv(tmp_path / "x.csv", HEADS[form][0], [])
    with pytest.raises(RecordingError, match=r"x\.csv: there is nothing below its header"):
        read(path)


def test_a_date_that_is_none(tmp_path: Path) -> None:
    header, row = HEADS["cable car"]
    path = write_csv(tmp_path / "x.csv", header, [row, ("yesterday", *row[1:])])
    assert "time is not yyyy-mm-dd hh:mm:ss" in refused(path)


def test_an_unknown_csv_that_was_named_is_refused(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "prices.csv", "fruit,price", [("mango", 3)])
    assert "not a recording; known are SQLite files" in refused(path)


def truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-40])


def shortened(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:12])


def bent(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[20:60] = bytes(40)
    path.write_bytes(data)


def plain(path: Path) -> None:
    path.write_bytes(b"device,elapsed,rss,dist\n")


def not_text(path: Path) -> None:
    write_csv(path, "device,elapsed,rss,dist", [])
    path.write_bytes(gzip.compress(b"device,elapsed,rss,dist\n\xff\xfe,1,2,3\n"))


DAMAGES = pytest.mark.parametrize("damage", [truncated, shortened, bent, plain, not_text])


@DAMAGES
def test_a_damaged_archive(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    path = write_human(tmp_path / "humanHH.csv.gz")
    damage(path)
    assert refused(path)


@DAMAGES
def test_a_damaged_archive_in_a_folder_is_named_too(
    tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    path = write_human(tmp_path / "set" / "humanHH.csv.gz")
    damage(path)
    with pytest.raises(RecordingError, match=r"humanHH\.csv\.gz: "):
        read_all([tmp_path], lambda *_: None)


def test_a_file_that_is_missing(tmp_path: Path) -> None:
    assert "No such file" in refused(tmp_path / "missing.sqlite")


# --- folders -------------------------------------------------------------------------------
def test_a_folder_is_read_through_and_what_is_no_recording_is_said(tmp_path: Path) -> None:
    write_results(tmp_path / "one" / "lunch.sqlite", [ROW])
    write_human(tmp_path / "two" / "deep" / "humanHH.csv.gz")
    (tmp_path / "README.md").write_text("words")
    prices = write_csv(tmp_path / "two" / "prices.csv", "fruit,price", [("mango", 3)])
    skipped: list[Path] = []
    got = read_all([tmp_path], lambda path, _: skipped.append(path))
    assert {one.collection for one in got} == {"one", "deep"}
    assert sorted(skipped) == sorted([tmp_path / "README.md", prices])


def test_a_damaged_recording_in_a_folder_is_not_passed_over(tmp_path: Path) -> None:
    write_results(tmp_path / "good.sqlite", [ROW])
    write_results(tmp_path / "bad.sqlite", [(*ROW[:5], "loud", *ROW[6:])])
    with pytest.raises(RecordingError, match=r"bad\.sqlite: row 1: rssi"):
        read_all([tmp_path], lambda *_: None)


def test_a_folder_without_recordings(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("words")
    with pytest.raises(RecordingError, match="no recording") as caught:
        read_all([tmp_path], lambda *_: None)
    assert str(tmp_path) in str(caught.value)
