"""What recordings of real phones say about the virtual air's constants (docs/air.md).

`./bluezone bench air-recordings FOLDER`, with these public recordings as folders in it:
`rss_humanhuman` (Ng, Spachos, Plataniotis 2020), `mit_range_angle` and `mit_static_configs`
(MIT Lincoln Laboratory and MITRE), `herald_edison` (Herald project), as gzipped CSV.

A stay is what one receiver heard of one sender while both kept place and direction. Its mean
is one observation: packets of one stay are no independent witnesses of anything but fading.
"""

import csv
import gzip
import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final, TypeVar

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Row = Mapping[str, str]
Item = TypeVar("Item")
Group = TypeVar("Group")
Key = tuple[tuple[str, ...], float, float]  # session, metres, degrees
Packet = tuple[Key, float, int]  # of a stay, at a time (s), with a level (dBm)

_FEWEST: Final = 30  # packets; the mean of a stay with fewer says little
_COMBINATIONS: Final = ("HH", "HP", "HB", "PB", "PP", "BB")  # hand, pocket, backpack
_AT_THE_FLOOR: Final = {"PP", "BB"}  # the weakest packets are missing: flatter than it was
_ROOMS: Final = {"1-May Screen Room", "5-May Conference Room", "5-May Conference Room Wall"}
_SIX_FEET: Final = 1.8288
# Distances as people's are: log-normal, median 1.8 m, between 0.4 and 6 m.
_MEDIAN_M, _SPREAD, _NEAREST_M, _FARTHEST_M = 1.8, 0.7, 0.4, 6.0


@dataclass(frozen=True, slots=True)
class Stay:
    """Packets of one sender at one receiver, both keeping still; angle in radians."""

    session: tuple[str, ...]
    metres: float
    angle: float
    times: Floats
    levels: Floats

    @property
    def mean(self) -> float:
        return float(self.levels.mean())


def measure(folder: Path) -> list[dict[str, object]]:
    """One row a figure; also what was left out."""
    table = _Table()
    people = table.read("rss_humanhuman", _people(folder / "rss_humanhuman"))
    turning = table.read("mit_range_angle", _range_angle(folder / "mit_range_angle"))
    static = table.read("mit_static_configs", _static(folder / "mit_static_configs"))
    missing: list[str] = []
    car = table.read("herald_edison", _herald(folder / "herald_edison", missing))
    table.add("recordings missing", "herald_edison", [len(missing)], ", ".join(missing), "")
    _distance(table, people, turning, car)
    _carriage(table, people)
    _devices(table, car, folder / "herald_edison" / "phones.csv")
    _meetings(table, turning)
    _bodies(table, turning, static)
    _rooms(table, static)
    _packets(table, people, turning, static)
    _spread(table, people, turning, static)
    _ranking(table, people, turning, car)
    return table.rows


class _Table:
    def __init__(self) -> None:
        self.rows: list[dict[str, object]] = []

    def add(
        self, figure: str, recording: str, values: Iterable[float], note: str = "", unit: str = "dB"
    ) -> None:
        """A figure measured several times: its mean, and how far the single ones differ."""
        found = np.array(list(values))
        row: dict[str, object] = {"figure": figure, "recording": recording, "unit": unit}
        row["value"] = float(found.mean())
        row["median"] = float(np.median(found))
        row["spread"] = float(found.std(ddof=1)) if len(found) > 1 else None
        row["of"] = len(found)
        row["note"] = note
        self.rows.append(row)

    def read(self, recording: str, packets: Iterator[Packet]) -> list[Stay]:
        """Group packets to stays; the sentinels and short stays left out are counted."""
        packets_of: dict[Key, list[tuple[float, int]]] = defaultdict(list)
        sentinels = nowhere = 0
        for key, time, level in packets:
            _, metres, _ = key
            if level >= 0:  # 127: the receiver had no value
                sentinels += 1
            elif metres <= 0.0:  # the car at its stop, or not in its place
                nowhere += 1
            else:
                packets_of[key].append((time, level))
        stays = []
        short = 0
        for (session, metres, degrees), heard in sorted(packets_of.items()):
            if len(heard) < _FEWEST:
                short += len(heard)
                continue
            times, levels = np.array(sorted(heard), np.float64).T
            stays.append(Stay(session, metres, math.radians(degrees), times, levels))
        note = (
            f"left out: {sentinels} without level, {nowhere} at distance 0, {short} in"
            f" {len(packets_of) - len(stays)} stays of less than {_FEWEST}"
        )
        self.add("packets", recording, [sum(len(stay.levels) for stay in stays)], note, "")
        return stays


# --- reading ------------------------------------------------------------------------------


def _rows(path: Path) -> Iterator[Row]:
    with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
        yield from csv.DictReader(file)


def _people(folder: Path) -> Iterator[Packet]:
    for combination in _COMBINATIONS:
        for row in _rows(folder / f"RSS_human{combination}.csv.gz"):
            session = (combination, row["device"])
            yield (session, int(row["dist"]) / 100, 0.0), float(row["elapsed"]), _level(row["rss"])


def _range_angle(folder: Path) -> Iterator[Packet]:
    begins: dict[str, float] = {}  # each recording has its own clock: an hour keeps them apart
    for row in _rows(folder / "range_angle_ble.csv.gz"):
        stay = (row["session"],), float(row["distance_m"]), float(row["angle_deg"])
        begin = begins.setdefault(row["recording"], 3600.0 * len(begins))
        yield stay, begin + float(row["t_s"]), _level(row["rssi"])


def _static(folder: Path) -> Iterator[Packet]:
    for row in _rows(folder / "static_6ft.csv.gz"):
        session = (row["environment"], row["receiver"], row["tx_position"])
        stay = session, float(row["distance_m"]), float(row["angle_deg"])
        yield stay, float(row["t_s"]), _level(row["rssi"])


def _herald(folder: Path, missing: list[str]) -> Iterator[Packet]:
    """One file for each receiver of a run; `metadata.csv` says who it and its sender were."""
    with (folder / "metadata.csv").open(encoding="utf-8", newline="") as file:
        runs = list(csv.DictReader(file))
    for run in runs:
        a, b = run["phoneaname"], run["phonebname"]
        files = ((run["filenamephonea"], a, b), (run["filenamephoneb"], b, a))
        for name, receiver, sender in files:
            path = folder / f"{name.strip()}.gz"
            if not name.strip() or not path.exists():
                missing.append(f"{run['testid']} at {receiver}")
                continue
            for row in _rows(path):
                metres = round(float(row["distance"]) / 10) / 10
                time = datetime.fromisoformat(row["time"]).timestamp()
                yield ((name[:13], receiver, sender), metres, 0.0), time, _level(row["rssi"])


def _level(text: str) -> int:
    return round(float(text))


# --- figures --------------------------------------------------------------------------------


def _distance(table: _Table, people: list[Stay], turning: list[Stay], car: list[Stay]) -> None:
    """Level against the logarithm of distance, within one session."""
    fits = {s: _line(stays) for s, stays in _by(people, _session).items()}
    slopes = []
    for combination in _COMBINATIONS:
        both = [fit.slope for (name, _), fit in fits.items() if name == combination]
        note = "near the receivers' floor: not in the mean" if combination in _AT_THE_FLOOR else ""
        table.add(f"slope a decade, {combination}", "rss_humanhuman", both, note)
        if combination not in _AT_THE_FLOOR:
            slopes.append(float(np.mean(both)))
    rounds = {s: _line(stays) for s, stays in _by(turning, _session).items() if _ranges(stays) > 3}
    for (session,), fit in rounds.items():
        table.add("slope a decade", "mit_range_angle", [fit.slope], session)
        slopes.append(fit.slope)
    table.add("slope a decade, people", "both", slopes, "each session once")
    runs = {s: _line(stays) for s, stays in _by(car, _session).items()}
    table.add("slope a decade, no bodies", "herald_edison", [f.slope for f in runs.values()])

    table.add("place: stays about that line", "rss_humanhuman", [f.spread for f in fits.values()])
    table.add("place: stays about that line", "herald_edison", [f.spread for f in runs.values()])
    table.add(
        "the same place in both directions",
        "rss_humanhuman",
        [
            _likeness(*(fit for (name, _), fit in fits.items() if name == combination))
            for combination in _COMBINATIONS
        ],
        "correlation of those residuals",
        "",
    )
    pairs = _by(list(runs), lambda session: session[:1]).values()
    likeness = [_likeness(runs[pair[0]], runs[pair[1]]) for pair in pairs if len(pair) == 2]
    table.add("the same place in both directions", "herald_edison", likeness, "correlation", "")


def _carriage(table: _Table, people: list[Stay]) -> None:
    """Pocket and backpack against the hand: the same two phones carried differently."""
    found = [stay for stay in people if 0.4 <= stay.metres <= 2.0]
    receivers = sorted({stay.session[1] for stay in found})
    columns = [[float(stay.session[1] == receiver) for stay in found] for receiver in receivers]
    columns.append([math.log10(stay.metres) for stay in found])
    columns += [[float(stay.session[0].count(where)) for stay in found] for where in "PB"]
    solution = _solve(columns, [stay.mean for stay in found])
    table.add("loss in a pocket", "rss_humanhuman", [-solution[-2]], "0.4 to 2 m, least squares")
    table.add("loss in a backpack", "rss_humanhuman", [-solution[-1]], "0.4 to 2 m, least squares")


def _devices(table: _Table, car: list[Stay], phones: Path) -> None:
    """Phones differ, sending and receiving, once the system's power setting is taken off."""
    with phones.open(encoding="utf-8", newline="") as file:
        system = {row["name"]: row["os"] for row in csv.DictReader(file)}
    middle = [stay for stay in car if 0.5 <= stay.metres <= 2.5]
    runs = [
        (s, float(np.mean([x.mean for x in stays]))) for s, stays in _by(middle, _session).items()
    ]
    names = sorted({name for (_, *both), _ in runs for name in both})
    columns = [
        [float(system[sender] == one) for (_, _, sender), _ in runs] for one in ("iOS", "Android")
    ]
    columns += [[float(sender == name) for (_, _, sender), _ in runs] for name in names]
    columns += [[float(receiver == name) for (_, receiver, _), _ in runs] for name in names]
    levels = [level for _, level in runs]
    solution = _solve(columns, levels)
    sending, receiving = np.split(solution[2:], 2)
    note = "spread is the figure; mean level by system taken off"
    table.add("device, sending", "herald_edison", sending, note)
    table.add("device, receiving", "herald_edison", receiving, note)
    likeness = float(np.corrcoef(sending, receiving)[0, 1])
    table.add("device, sending and receiving", "herald_edison", [likeness], "correlation", "")
    design = np.array(columns)
    rest = np.array(levels) - solution @ design
    variance = float(rest @ rest) / (len(levels) - np.linalg.matrix_rank(design))
    table.add(
        "meeting: what differs between runs of one pair", "herald_edison", [math.sqrt(variance)]
    )
    # What the spread of devices would be if all were alike and only runs differed.
    errors = np.split(np.linalg.pinv(design @ design.T, hermitian=True)[2:, 2:], 2)
    for figure, half, part in (("sending", 0, errors[0]), ("receiving", 1, errors[1])):
        own = np.split(part, 2, axis=1)[half] * variance
        alike = (float(np.trace(own)) - float(own.mean()) * len(names)) / (len(names) - 1)
        table.add(f"device, {figure}: the runs' share", "herald_edison", [math.sqrt(alike)])


def _meetings(table: _Table, turning: list[Stay]) -> None:
    """Different pairs at the same distance, all directions together."""
    six = [stay for stay in turning if abs(stay.metres - _SIX_FEET) < 0.01]
    levels = [float(np.mean([x.mean for x in stays])) for stays in _by(six, _session).values()]
    note = "spread is the figure: devices, pockets and meeting together"
    table.add("level of sessions at 6 ft", "mit_range_angle", levels, note, "dBm")


def _bodies(table: _Table, turning: list[Stay], static: list[Stay]) -> None:
    """Mean levels round the compass: a wave of this swing, and what remains beside it."""
    rounds = _by(turning, lambda stay: (*stay.session, stay.metres)).values()
    walks = _by(static, _session)
    for name, recording, circles in (
        ("in rooms", "mit_range_angle", list(rounds)),
        ("in rooms", "mit_static_configs", [c for s, c in walks.items() if s[0] in _ROOMS]),
        ("in the open", "mit_static_configs", [c for s, c in walks.items() if s[0] not in _ROOMS]),
    ):
        waves = [_wave(circle) for circle in circles if len(circle) >= 7]
        left_out = len(circles) - len(waves)
        note = f"{left_out} circles with gaps left out"
        table.add(f"swing of a turning body {name}", recording, (w[0] for w in waves), note)
        table.add(f"beside the swing {name}", recording, (w[1] for w in waves))


def _rooms(table: _Table, static: list[Stay]) -> None:
    """The same people and phones in a room, behind its partition, and without reflections."""
    levels = {s: float(np.mean([x.mean for x in c])) for s, c in _by(static, _session).items()}
    for figure, here, there in (
        (
            "conference room above the anechoic chamber",
            "5-May Conference Room",
            "1-May Anechoic Chamber",
        ),
        ("screen room above the anechoic chamber", "1-May Screen Room", "1-May Anechoic Chamber"),
        ("loss of the partition", "5-May Conference Room", "5-May Conference Room Wall"),
    ):
        pairs = [s[1:] for s in levels if s[0] == here and (there, *s[1:]) in levels]
        differences = [levels[here, *s] - levels[there, *s] for s in pairs]
        table.add(figure, "mit_static_configs", differences, "each receiver and position")


def _packets(table: _Table, people: list[Stay], turning: list[Stay], static: list[Stay]) -> None:
    """Fading: packets a quarter of a second apart, and all within half a minute."""
    for recording, stays in (
        ("rss_humanhuman", [s for s in people if not _rounded(s)]),
        ("mit_range_angle", turning),
        ("mit_static_configs", [stay for stay in static if stay.session[0] in _ROOMS]),
    ):
        for low, high in ((0.15, 0.3), (1.0, 2.0), (5.0, 10.0), (10.0, 20.0)):
            spreads = [s for s in (_structure(stay, low, high) for stay in stays) if s is not None]
            table.add(f"packets {low:g} to {high:g} s apart", recording, spreads, "each stay once")
        table.add("packets of a stay", recording, [float(stay.levels.std()) for stay in stays])


def _spread(table: _Table, people: list[Stay], turning: list[Stay], static: list[Stay]) -> None:
    """All packets at one distance: what a phone that knows nothing else has to do with."""
    two = [stay for stay in people if 1.2 <= stay.metres <= 2.0]
    for (receiver,), stays in _by(two, lambda stay: stay.session[1:]).items():
        table.add("all levels at 1.2 to 2 m", "rss_humanhuman", [_pooled(stays)], receiver)
    six = [stay for stay in turning if 1.2 <= stay.metres <= 2.0]
    table.add("all levels at 4 to 6 ft", "mit_range_angle", [_pooled(six)])
    rooms = [stay for stay in static if stay.session[0] in _ROOMS]
    for (receiver,), stays in _by(rooms, lambda stay: stay.session[1:2]).items():
        table.add("all levels at 6 ft in rooms", "mit_static_configs", [_pooled(stays)], receiver)


def _ranking(table: _Table, people: list[Stay], turning: list[Stay], car: list[Stay]) -> None:
    """How well one packet's level ranks nearer than 2 m before farther, people's distances."""
    phones = _by(people, lambda stay: stay.session[1:])
    table.add(
        "AUC of all packets", "rss_humanhuman", map(_auc, phones.values()), "each receiver", ""
    )
    # Not mit_range_angle: each of its users recorded other distances.
    for recording, found in (
        ("rss_humanhuman", people),
        ("mit_range_angle", turning),
        ("herald_edison", car),
    ):
        sessions = _by(found, _session).values()
        both = [s for s in sessions if min(x.metres for x in s) <= 2.0 < max(x.metres for x in s)]
        note = f"{len(sessions) - len(both)} on one side of 2 m left out"
        table.add("AUC within a session", recording, map(_auc, both), note, "")


# --- arithmetic -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Line:
    """Mean levels of a session by distance, and the line through them over log10 metres."""

    metres: Floats
    rest: Floats
    one_metre: float
    slope: float

    @property
    def spread(self) -> float:
        return math.sqrt(float(self.rest @ self.rest) / (len(self.rest) - 2))

    def at(self, metres: float) -> float:
        return self.one_metre + self.slope * math.log10(metres)


def _line(stays: Sequence[Stay]) -> _Line:
    by_distance = _by(stays, lambda stay: stay.metres)
    metres = np.array(sorted(by_distance))
    levels = np.array([np.mean([s.mean for s in by_distance[x]]) for x in metres.tolist()])
    slope, one_metre = np.polyfit(np.log10(metres), levels, 1)
    rest = levels - one_metre - slope * np.log10(metres)
    return _Line(metres, rest, float(one_metre), float(slope))


def _ranges(stays: Sequence[Stay]) -> int:
    return len({stay.metres for stay in stays})


def _likeness(one: _Line, other: _Line) -> float:
    common = np.intersect1d(one.metres, other.metres)
    first, second = (line.rest[np.isin(line.metres, common)] for line in (one, other))
    return float(np.corrcoef(first, second)[0, 1])


def _wave(circle: Sequence[Stay]) -> tuple[float, float]:
    """Swing of the first harmonic, and the spread of what remains."""
    angles = np.array([stay.angle for stay in circle])
    columns = np.array((np.ones(len(angles)), np.cos(angles), np.sin(angles)))
    levels = np.array([stay.mean for stay in circle])
    solution = _solve(columns, levels)
    rest = levels - solution @ columns
    return 2 * math.hypot(*solution[1:]), math.sqrt(float(rest @ rest) / (len(angles) - 3))


def _solve(columns: Any, values: Any) -> Floats:
    """Least squares; of equally good answers the smallest."""
    solution: Floats = np.linalg.lstsq(np.array(columns).T, np.array(values), rcond=None)[0]
    return solution


def _rounded(stay: Stay) -> bool:
    """Two sessions have their times in hundreds of seconds: they say nothing of succession."""
    return not np.any(stay.times % 100.0)


def _structure(stay: Stay, low: float, high: float) -> float | None:
    """Spread of packets `low` to `high` seconds apart, as if they were independent."""
    first = np.searchsorted(stay.times, stay.times + low)
    last = np.searchsorted(stay.times, stay.times + high)
    squares = [
        (stay.levels[a:b] - level) ** 2
        for a, b, level in zip(first.tolist(), last.tolist(), stay.levels.tolist(), strict=True)
        if b > a
    ]
    return math.sqrt(float(np.mean(np.concatenate(squares))) / 2) if len(squares) >= 30 else None


def _pooled(stays: Sequence[Stay]) -> float:
    """Spread of all packets, each stay with the same weight."""
    means = np.array([stay.mean for stay in stays])
    return math.sqrt(float(np.mean([stay.levels.var() for stay in stays]) + means.var()))


def _auc(stays: Sequence[Stay]) -> float:
    """Chance that a packet from within 2 m is stronger than one from beyond; ties count half."""
    metres = np.array(sorted({s.metres for s in stays if _NEAREST_M <= s.metres <= _FARTHEST_M}))
    edges = np.sqrt(np.concatenate(([_NEAREST_M**2], metres[1:] * metres[:-1], [_FARTHEST_M**2])))
    density = np.exp(-0.5 * (np.log(metres / _MEDIAN_M) / _SPREAD) ** 2) * np.diff(np.log(edges))
    shares = dict(zip(metres.tolist(), density.tolist(), strict=True))
    counts = _by(stays, lambda stay: stay.metres)
    near, far = np.zeros(256), np.zeros(256)  # by level, from -255 dBm on
    for stay in stays:
        if stay.metres in shares:
            side = near if stay.metres <= 2.0 else far
            weight = shares[stay.metres] / len(counts[stay.metres]) / len(stay.levels)
            side += weight * np.bincount(stay.levels.astype(np.intp) + 255, minlength=256)
    below = np.cumsum(far) - far / 2
    return float(near @ below / near.sum() / far.sum())


def _session(stay: Stay) -> tuple[str, ...]:
    return stay.session


def _by(items: Iterable[Item], key: Callable[[Item], Group]) -> dict[Group, list[Item]]:
    groups: dict[Group, list[Item]] = defaultdict(list)
    for item in items:
        groups[key(item)].append(item)
    return groups
