"""A crowd that tests make up: people who move, phones of three models, levels drawn at random.

The story is that of docs/proximity.md with numbers of its own, so that a fit has something to
find. Nothing here uses the code that is tested.
"""

import csv
import gzip
import io
import math
import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

SLOPE_DB = 20.0
AT_ONE_METRE_DB = 50.0
PAIR_DB, DIRECTION_DB, SHADOW_DB, PACKET_DB = 2.0, 1.5, 3.0, 3.0
SHADOW_SECONDS = 100.0
# By how many dB more a model attenuates: when it sends, when it receives.
MODELS = {"Alpha": (4.0, -2.0), "Beta": (-4.0, 2.0), "Gamma": (0.0, 0.0)}
TX_POWER = -20
# The unit of the published thresholds: attenuation = power - 8.5 - level.
UNIT_DB = 8.5

Results = list[tuple[Any, ...]]


@dataclass(frozen=True)
class Crowd:
    """Packets between people; arrays have shape (N,). `time` in seconds, `distance` in metres."""

    receiver: np.ndarray
    sender: np.ndarray
    time: np.ndarray
    distance: np.ndarray
    rssi: np.ndarray
    models: tuple[str, ...]

    def results(self, *, truth: bool = True) -> Results:
        """Rows of a table `results`. Of one packet in ten the distance is not known."""
        rows: Results = []
        packets = zip(self.receiver, self.sender, self.time, self.distance, self.rssi, strict=True)
        for number, (receiver, sender, time, distance, rssi) in enumerate(packets):
            known: float | None = float(distance) if truth else None
            if truth and number % 10 == 3:
                known = None if number % 20 == 3 else -1.0
            rows.append(
                (
                    f"phone{receiver:02}",
                    self.models[receiver],
                    f"phone{sender:02}",
                    self.models[sender],
                    round(float(time) * 1000, 3),
                    int(rssi),
                    TX_POWER,
                    known,
                )
            )
        return rows


def crowd(
    seed: int, *, people: int = 9, minutes: int = 30, every: float = 20.0, slope: float = SLOPE_DB
) -> Crowd:
    """Tables of three; half-way everybody looks for another seat. A packet `every` seconds."""
    rng = np.random.default_rng(seed)
    where = _walk(rng, people, minutes * 60)
    models = tuple(list(MODELS)[number % 3] for number in range(people))
    parts: list[tuple[np.ndarray, ...]] = []
    for a in range(people):
        for b in range(a + 1, people):
            apart = np.maximum(np.linalg.norm(where[:, a] - where[:, b], axis=1), 0.3)
            pair = rng.normal(0, PAIR_DB)
            shadow = _wander(rng, len(apart), SHADOW_DB, SHADOW_SECONDS)
            for receiver, sender in ((a, b), (b, a)):
                time = np.arange(0, minutes * 60, every)
                time = time + rng.uniform(0.001, every * 0.9, len(time))
                at = (time / _STEP).astype(int)
                attenuation = (
                    AT_ONE_METRE_DB
                    + slope * np.log10(apart[at])
                    + MODELS[models[sender]][0]
                    + MODELS[models[receiver]][1]
                    + pair
                    + rng.normal(0, DIRECTION_DB)
                    + shadow[at]
                    + rng.normal(0, PACKET_DB, len(time))
                )
                level = np.clip(np.rint(TX_POWER - UNIT_DB - attenuation), -120, -1)
                who = np.full(len(time), receiver), np.full(len(time), sender)
                parts.append((*who, 1_000_000.0 + time, apart[at], level))
    receiver, sender, time, distance, level = (np.concatenate(c) for c in zip(*parts, strict=True))
    order = np.argsort(time)
    return Crowd(receiver[order], sender[order], time[order], distance[order], level[order], models)


_STEP = 5.0


def _walk(rng: np.random.Generator, people: int, seconds: int) -> np.ndarray:
    """Shape (steps, people, 2): metres."""
    steps = int(seconds / _STEP)
    seats = np.array(
        [
            (
                4.0 * (place // 3 % 2) + 0.6 * math.cos(2.1 * (place % 3)),
                4.0 * (place // 6) + 0.6 * math.sin(2.1 * (place % 3)),
            )
            for place in range(people)
        ]
    )
    where = np.empty((steps, people, 2))
    half = steps // 2
    for rows in (slice(0, half), slice(half, steps)):
        where[rows] = seats[rng.permutation(people)]
    for person in range(people):
        for axis in (0, 1):
            where[:, person, axis] += _wander(rng, steps, 0.4, 200.0)
    return where


def _wander(rng: np.random.Generator, steps: int, spread: float, coherence: float) -> np.ndarray:
    keep = math.exp(-_STEP / coherence)
    values = np.empty(steps)
    values[0] = rng.normal(0, spread)
    noise = rng.normal(0, spread * math.sqrt(1 - keep * keep), steps)
    for step in range(1, steps):
        values[step] = keep * values[step - 1] + noise[step]
    return values


def shuffled_between_pairs(made: Crowd, seed: int) -> Crowd:
    """The same packets, with the distances of another pair: nothing true is left to learn."""
    rng = np.random.default_rng(seed)
    code = np.minimum(made.receiver, made.sender) * 1000 + np.maximum(made.receiver, made.sender)
    couples = np.unique(code)
    distance = np.empty_like(made.distance)
    for couple, other in zip(couples, rng.permutation(couples), strict=True):
        rows = np.flatnonzero(code == couple)
        distance[rows] = np.resize(made.distance[code == other], len(rows))
    return replace(made, distance=distance)


# --- files ---------------------------------------------------------------------------------
COLUMNS = (
    "receiver_id TEXT",
    "receiver_model TEXT",
    "transmitter_id TEXT",
    "transmitter_model TEXT",
    "timestamp REAL",
    "rssi INTEGER",
    "tx_power INTEGER",
    "ground_truth_distance REAL",
)


def write_results(
    path: Path, rows: Iterable[Sequence[Any]], columns: Sequence[str] = COLUMNS
) -> Path:
    """An SQLite file as DP-3T published them."""
    path.parent.mkdir(parents=True, exist_ok=True)
    database = sqlite3.connect(path)
    with database:
        database.execute(f"CREATE TABLE results ({', '.join(columns)})")
        marks = ", ".join("?" * len(columns))
        database.executemany(f"INSERT INTO results VALUES ({marks})", rows)  # noqa: S608
    database.close()
    return path


def write_csv(path: Path, header: str, rows: Iterable[Sequence[Any]]) -> Path:
    """A CSV, compressed if its name says so."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header.split(","))
    writer.writerows(rows)
    data = text.getvalue().encode()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


def _level(distance: float, number: int, carriage_db: float = 0.0) -> int:
    attenuation = AT_ONE_METRE_DB + SLOPE_DB * math.log10(distance) + carriage_db
    return round(TX_POWER - UNIT_DB - attenuation) + (number % 5 - 2)


def write_human(path: Path) -> Path:
    """Ng, Spachos, Plataniotis 2020: two phones on marks, distances in cm."""
    rows = [
        (device, metres * 600 + 2.5 * n, _level(metres, n), metres * 100)
        for device in ("one", "two")
        for metres in (1, 2, 4)
        for n in range(40)
    ]
    return write_csv(path, "device,elapsed,rss,dist", rows)


def write_cable_car(path: Path) -> Path:
    """Herald: a motor brings the phones nearer, whole seconds, distances in cm."""
    rows = [
        (f"2021-01-01 19:{n // 60:02}:{n % 60:02}", float(_level(4 - n / 200, n)), 400 - n // 2)
        for n in range(600)
    ]
    return write_csv(path, "time,rssi,distance", rows)


CARRIAGE_DB = {"left ear": -3.0, "front pants pocket L": 4.0, "purse R": -1.0}


def write_static(path: Path) -> Path:
    """MITRE: six feet apart, the sender at three places of a body."""
    rows = [
        ("Hall", "phone", angle, place, f"{n * 1.5 + 0.25:.3f}", _level(1.8288, n, more), 1.8288)
        for angle in (0, 90)
        for place, more in CARRIAGE_DB.items()
        for n in range(50)
    ]
    header = "environment,receiver,angle_deg,tx_position,t_s,rssi,distance_m"
    return write_csv(path, header, rows)


def write_range_angle(path: Path) -> Path:
    """MIT Lincoln Laboratory: a log for each mark, each from time zero."""
    rows = [
        ("user1", f"log-{metres}", f"{n * 2.5:.3f}", metres, _level(metres, n))
        for metres in (1, 2, 3)
        for n in range(40)
    ]
    return write_csv(path, "session,recording,t_s,distance_m,rssi", rows)


FORMS = {
    "human": write_human,
    "cable car": write_cable_car,
    "static": write_static,
    "range and angle": write_range_angle,
}
