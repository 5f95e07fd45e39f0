"""Reads recordings in the forms in which they were published (docs/proximity.md, "Recordings")."""

import csv
import gzip
import math
import re
import sqlite3
import zlib
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from bluezone.proximity.handset import UNKNOWN, Carriage, Handset
from bluezone.proximity.levels import Floats, Ints
from bluezone.proximity.study.recordings import Recording, RecordingError, recording

_RESULTS: Final = (
    "receiver_id",
    "receiver_model",
    "transmitter_id",
    "transmitter_model",
    "timestamp",
    "rssi",
    "tx_power",
    "ground_truth_distance",
)
_SQLITE: Final = b"SQLite format 3\0"


def read_all(paths: Sequence[Path], skipped: Callable[[Path, str], None]) -> list[Recording]:
    """Every recording in the given files, and in the given folders and what lies below them.

    A file in a folder that is no recording is told to `skipped`; one that was named, or that
    is a damaged recording, raises RecordingError.
    """
    found: list[Recording] = []
    for path in paths:
        if path.is_dir():
            for file in sorted(file for file in path.rglob("*") if file.is_file()):
                if _form(file) is None:
                    skipped(file, "not a recording")
                else:
                    found += read(file)
        else:
            found += read(path)
    if not found:
        raise RecordingError(f"there is no recording in {', '.join(map(str, paths))}")
    return found


def read(path: Path) -> list[Recording]:
    """The recordings in one file. RecordingError names the file and the fault."""
    form = _form(path)
    if form is None:
        raise RecordingError(
            f"{path}: not a recording; known are SQLite files with a table `results` and CSV"
            " files with the columns of one of the published sets (docs/proximity.md)"
        )
    with _faults_named(path):
        return list(form(path))


@contextmanager
def _faults_named(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise RecordingError(f"{path}: {error.strerror or error}") from error
    except (UnicodeDecodeError, EOFError, csv.Error, zlib.error) as error:
        raise RecordingError(f"{path}: damaged: {error}") from error


def _form(path: Path) -> "Callable[[Path], Iterator[Recording]] | None":
    """What reads this file; None: it is no recording."""
    with _faults_named(path):
        return _kind(path)


def _collection(path: Path) -> str:
    return path.absolute().parent.name


def _kind(path: Path) -> "Callable[[Path], Iterator[Recording]] | None":
    with path.open("rb") as file:
        head = file.read(16)
    if head == _SQLITE:
        return _read_results
    if not path.name.endswith((".csv", ".csv.gz")):
        return None
    with _open_text(path) as lines:
        header = set(next(csv.reader(lines), []))
    for columns, reader in _CSV_FORMS:
        if columns <= header:
            return reader
    return None


def _open_text(path: Path) -> Any:
    if path.name.endswith(".gz"):
        return gzip.open(path, "rt", encoding="utf-8", newline="")
    return path.open(encoding="utf-8", newline="")


class _Table:
    """A CSV file by columns: millions of rows are not worth an object each."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with _open_text(path) as lines:
            reader = csv.reader(lines)
            names = next(reader)
            rows = [row for row in reader if row]
        if not rows:
            raise RecordingError(f"{path}: there is nothing below its header")
        for line, row in enumerate(rows, 2):
            if len(row) != len(names):
                raise RecordingError(
                    f"{path}: line {line}: {len(row)} fields where the header has {len(names)}"
                )
        self._columns = dict(zip(names, zip(*rows, strict=True), strict=True))
        self.length = len(rows)

    def words(self, name: str) -> "NDArray[np.str_]":
        return np.array(self._columns.get(name, ()), np.str_)

    def numbers(self, name: str) -> Floats:
        """NaN for an empty field; anything else that is no number is a fault of the file."""
        texts = self._columns.get(name, ())
        try:
            return np.array([float(text or "nan") for text in texts], np.float64)
        except ValueError as error:
            line = next(n for n, text in enumerate(texts, 2) if repr(text) in str(error))
            raise RecordingError(f"{self.path}: line {line}: {name}: {error}") from None

    def groups(self, *names: str) -> Iterator[tuple[str, Ints]]:
        """(values joined, rows) of the rows that agree in the named columns."""
        keys = [" ".join(parts) for parts in zip(*(self.words(n) for n in names), strict=True)]
        values, group = np.unique(np.array(keys, np.str_), return_inverse=True)
        for number, value in enumerate(values.tolist()):
            yield value, np.flatnonzero(group == number)


# --- DP-3T ---------------------------------------------------------------------------------
def _read_results(path: Path) -> Iterator[Recording]:
    """A table `results`: one session of people whom cameras followed, times in ms."""
    try:
        source = f"{path.absolute().as_uri()}?mode=ro"
        with closing(sqlite3.connect(source, uri=True)) as database:
            have = {row[1] for row in database.execute("PRAGMA table_info(results)")}
            if not have:
                raise RecordingError(f"{path}: it has no table `results`")
            if missing := [name for name in _RESULTS if name not in have]:
                raise RecordingError(f"{path}: its table `results` lacks {', '.join(missing)}")
            rows = database.execute(f"SELECT {', '.join(_RESULTS)} FROM results").fetchall()  # noqa: S608
    except sqlite3.DatabaseError as error:
        raise RecordingError(f"{path}: {error}") from error
    if not rows:
        raise RecordingError(f"{path}: its table `results` is empty")
    phones: dict[Any, int] = {}
    models: list[str | None] = []

    def number(name: Any, model: Any) -> int:
        if name not in phones:
            phones[name] = len(models)
            models.append(_model(model))
        return phones[name]

    columns: dict[str, list[float]] = defaultdict(list)
    for line, (receiver, r_model, sender, s_model, ms, rssi, tx_power, distance) in enumerate(
        rows, 1
    ):
        columns["receiver"].append(number(receiver, r_model))
        columns["sender"].append(number(sender, s_model))
        for name, value in (
            ("time", ms),
            ("rssi", rssi),
            ("tx_power", tx_power),
            ("distance", distance),
        ):
            if value is not None and not isinstance(value, int | float):
                raise RecordingError(f"{path}: row {line}: {name} is {value!r}, not a number")
            columns[name].append(math.nan if value is None else value)
    columns["time"] = [ms / 1000 for ms in columns["time"]]
    yield recording(
        collection=_collection(path),
        scenario=path.name.removesuffix(".sqlite"),
        session=path.name.removesuffix(".sqlite"),
        columns=columns,
        phones=[Handset(model=model) for model in models],
        names=[str(name) for name in phones],
        free=True,
    )


def _model(text: Any) -> str | None:
    """As the phone calls itself (Build.MODEL): SM-G981B, not the label's SM-G981B/DS."""
    return str(text).split("/")[0] if text else None


# --- phones on marks -----------------------------------------------------------------------
_LETTERS: Final = {"H": Carriage.HAND, "P": Carriage.POCKET, "B": Carriage.BAG}


def _read_human(path: Path) -> Iterator[Recording]:
    """Ng, Spachos, Plataniotis 2020: the file's name ends in how the two phones were carried."""
    table = _Table(path)
    name = re.search(r"human([HPB])([HPB])\.csv", path.name)
    carriages = [_LETTERS[letter] for letter in name.groups()] if name else [None, None]
    scenario = path.name.split(".")[0]
    time, rssi, metres = (table.numbers(n) for n in ("elapsed", "rss", "dist"))
    for device, rows in table.groups("device"):
        yield recording(
            collection=_collection(path),
            scenario=scenario,
            session=f"{scenario} {device}",
            columns=_one_way(time[rows], rssi[rows], metres[rows] / 100),
            phones=[Handset(carriage=carriage) for carriage in carriages],
        )


def _read_cable_car(path: Path) -> Iterator[Recording]:
    """Herald: two phones on a motor, no bodies; times are whole seconds of a wall clock."""
    table = _Table(path)
    try:
        moments = table.words("time").astype("datetime64[s]")
    except ValueError as error:
        raise RecordingError(f"{path}: time is not yyyy-mm-dd hh:mm:ss: {error}") from None
    time = np.where(np.isnat(moments), np.nan, moments.astype(np.float64))
    session = path.name.split(".")[0]
    yield recording(
        collection=_collection(path),
        scenario=session.rsplit("-", 1)[0],
        session=session,
        columns=_one_way(time, table.numbers("rssi"), table.numbers("distance") / 100),
        phones=[UNKNOWN, UNKNOWN],
    )


def _read_static(path: Path) -> Iterator[Recording]:
    """MITRE: always six feet apart; one receiver hears phones at several places of a body."""
    table = _Table(path)
    time, rssi, metres = (table.numbers(n) for n in ("t_s", "rssi", "distance_m"))
    environment, position = table.words("environment"), table.words("tx_position")
    for session, rows in table.groups("environment", "receiver", "angle_deg"):
        places, sender = np.unique(position[rows], return_inverse=True)
        yield recording(
            collection=_collection(path),
            scenario=str(environment[rows[0]]),
            session=session,
            columns=_one_way(time[rows], rssi[rows], metres[rows]) | {"sender": sender + 1},
            phones=[UNKNOWN, *(Handset(carriage=_carriage(place)) for place in places.tolist())],
        )


def _read_range_angle(path: Path) -> Iterator[Recording]:
    """MIT Lincoln Laboratory: one log a mark, several marks a session of one pair."""
    table = _Table(path)
    time, rssi, metres = (table.numbers(n) for n in ("t_s", "rssi", "distance_m"))
    begin = 0.0
    for _, rows in table.groups("session", "recording"):
        # Each log counts from zero, in no known order: they follow each other, hours apart.
        time[rows] += begin
        last = float(np.max(time[rows], initial=begin, where=np.isfinite(time[rows])))
        begin = 3600.0 * math.ceil(last / 3600.0 + 1)
    for session, rows in table.groups("session"):
        yield recording(
            collection=_collection(path),
            scenario=session,
            session=session,
            columns=_one_way(time[rows], rssi[rows], metres[rows]),
            phones=[UNKNOWN, UNKNOWN],
        )


def _one_way(time: Floats, rssi: Floats, metres: Floats) -> dict[str, Any]:
    """Phone 0 hears phone 1."""
    return {
        "time": time,
        "rssi": rssi,
        "distance": metres,
        "receiver": np.zeros(len(time)),
        "sender": np.ones(len(time)),
    }


def _carriage(position: str) -> Carriage | None:
    words = {"ear": Carriage.HAND, "pocket": Carriage.POCKET, "purse": Carriage.BAG}
    return next((carriage for word, carriage in words.items() if word in position.split()), None)


_CSV_FORMS: Final = (
    ({"device", "elapsed", "rss", "dist"}, _read_human),
    ({"environment", "receiver", "tx_position", "t_s", "rssi", "distance_m"}, _read_static),
    ({"session", "recording", "t_s", "rssi", "distance_m"}, _read_range_angle),
    ({"time", "rssi", "distance"}, _read_cable_car),
)
