"""`bluezone match`: match seen identifiers against published key files of any system."""

import csv
import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from string import hexdigits
from typing import Final

import click
import numpy as np

from bluezone.commands.key_files import read_file, read_key_file, read_public_key
from bluezone.protocol.beacon import AEM_BYTES, RPI_BYTES
from bluezone.protocol.exports import Export, ExportError
from bluezone.protocol.exposure import MAX_SECONDS_PER_SCAN, Infectiousness
from bluezone.protocol.intervals import vietnam_day
from bluezone.protocol.key_table import KeyTable
from bluezone.protocol.matching import Matches, find_matches
from bluezone.protocol.sightings import SCAN_RECORD, ScanRecords
from bluezone.protocol.windows import exposure_windows

_SHOWN_FAULTS: Final = 10
_LAST_SECOND: Final = 2**32 - 1
_IDENTIFIER_DIGITS: Final = (2 * RPI_BYTES, 2 * (RPI_BYTES + AEM_BYTES))
_HEXADECIMAL: Final = frozenset(hexdigits)


@dataclass(frozen=True, slots=True)
class Seen:
    """A file of sightings, one record and one line number for each row.

    `with_metadata` says which rows carry the four bytes behind the identifier.
    """

    records: ScanRecords
    lines: list[int]
    with_metadata: np.ndarray[tuple[int], np.dtype[np.bool_]]


@dataclass(frozen=True, slots=True)
class DayOfMatches:
    """Matches of one Vietnamese day; attenuation in dB, None where no metadata was seen."""

    day: str
    keys: int
    sightings: int
    minutes: float
    rssi_mean: float
    rssi_max: int
    attenuation_mean: float | None
    attenuation_min: float | None


def parse_seen(text: str) -> Seen:
    """Read `identifier,time,rssi` lines. ClickException lists what is wrong, by line.

    The identifier is hexadecimal: 16 bytes, or 20 with the encrypted metadata; the time is
    in Unix seconds; the RSSI in dBm. A first line of names is skipped. A sighting stands for
    the time since the one before it in the file, at most five minutes; the first for none.
    """
    rows: list[tuple[bytes, int, int]] = []
    lines: list[int] = []
    faults: list[str] = []
    for line, cells in _cells(text):
        try:
            rows.append(_sighting(cells))
            lines.append(line)
        except ValueError as fault:
            faults.append(f"line {line}: {fault}")
    if faults:
        shown = "\n  ".join(faults[:_SHOWN_FAULTS])
        more = len(faults) - _SHOWN_FAULTS
        rest = f"\n  and {more} more" if more > 0 else ""
        count = "1 line" if len(faults) == 1 else f"{len(faults)} lines"
        raise click.ClickException(f"{count} cannot be read:\n  {shown}{rest}")

    records = np.zeros(len(rows), SCAN_RECORD)
    for record, (beacon, time, rssi) in zip(records, rows, strict=True):
        record["rpi"] = beacon[:RPI_BYTES]
        record["aem"] = beacon[RPI_BYTES:].ljust(AEM_BYTES, b"\0")
        record["time"], record["rssi_mean"], record["rssi_max"] = time, 100 * rssi, rssi
    records["packets"] = 1
    records["trusted_clock"] = True
    times, which = np.unique(records["time"].astype(np.int64), return_inverse=True)
    gaps = np.minimum(np.diff(times, prepend=times[:1]), MAX_SECONDS_PER_SCAN)
    records["since_last_scan"] = gaps[which]
    with_metadata = np.array([len(beacon) > RPI_BYTES for beacon, _, _ in rows], np.bool_)
    return Seen(records, lines, with_metadata)


def _cells(text: str) -> Iterator[tuple[int, list[str]]]:
    """Line number and stripped cells of each line that has any, without the line of names."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    first = True
    try:
        for row in reader:
            cells = [cell.strip() for cell in row]
            if not any(cells):
                continue
            if not (first and _are_names(cells)):
                yield reader.line_num, cells
            first = False
    except csv.Error as error:
        raise click.ClickException(f"line {reader.line_num}: not CSV: {error}") from error


def _are_names(cells: list[str]) -> bool:
    """Whether a first line names columns, rather than being a damaged sighting."""
    return (
        len(cells) == 3
        and len(cells[0]) not in _IDENTIFIER_DIGITS
        and not any(character.isdigit() for character in "".join(cells[1:]))
    )


def _sighting(cells: list[str]) -> tuple[bytes, int, int]:
    """Beacon (16 or 20 bytes), Unix seconds and dBm. ValueError says which cell is wrong."""
    if len(cells) != 3:
        raise ValueError(f"{len(cells)} columns, not 3 (identifier, time, RSSI, with commas)")
    identifier, time, rssi = cells
    # The identifier itself is not printed: it is somebody's, and errors end up in logs.
    if len(identifier) not in _IDENTIFIER_DIGITS:
        raise ValueError(f"the identifier has {len(identifier)} characters, not 32 (or 40)")
    if not set(identifier) <= _HEXADECIMAL:
        raise ValueError("the identifier is not hexadecimal")
    beacon = bytes.fromhex(identifier)
    try:
        seconds = int(float(time))
    except (ValueError, OverflowError):
        raise ValueError(f"the time {time[:40]!r} is not a number of Unix seconds") from None
    if not 0 <= seconds <= _LAST_SECOND:
        hint = "; divide milliseconds by 1000" if 0 < seconds // 1000 <= _LAST_SECOND else ""
        raise ValueError(f"the time {time[:40]!r} is outside 0..{_LAST_SECOND}{hint}")
    try:
        level = round(float(rssi))
    except (ValueError, OverflowError):
        raise ValueError(f"the RSSI {rssi[:40]!r} is not a number of dBm") from None
    if not -127 <= level <= 20:
        raise ValueError(f"the RSSI {rssi[:40]!r} is outside -127..20 dBm")
    return beacon, seconds, level


def days_of_matches(keys: KeyTable, seen: Seen, matches: Matches) -> list[DayOfMatches]:
    """What was matched, by the Vietnamese day of the sighting.

    A moment near two keys counts once.
    """
    known = seen.with_metadata[matches.record_row]
    with_metadata = Matches(matches.key_row[known], matches.record_row[known])
    windows = exposure_windows(keys, seen.records, with_metadata, lambda _: Infectiousness.STANDARD)
    attenuations: dict[str, list[tuple[float, float]]] = {}
    for window in windows:
        for scan in window.scan_instances:
            day = _day(scan.time or 0)
            attenuations.setdefault(day, []).append(
                (scan.typical_attenuation, scan.min_attenuation)
            )
    by_day: dict[str, list[int]] = {}
    for pair, time in enumerate(seen.records["time"][matches.record_row].tolist()):
        by_day.setdefault(_day(time), []).append(pair)

    days = []
    for day, pairs in sorted(by_day.items()):
        rows = np.unique(matches.record_row[pairs])
        heard = seen.records[rows]
        moments = dict(zip(heard["time"].tolist(), heard["since_last_scan"].tolist(), strict=True))
        levels = attenuations.get(day)
        days.append(
            DayOfMatches(
                day,
                len({keys.key[row].tobytes() for row in matches.key_row[pairs]}),
                len(rows),
                round(sum(moments.values()) / 60, 1),
                round(float(heard["rssi_mean"].mean()) / 100, 1),
                int(heard["rssi_max"].max()),
                round(sum(mean for mean, _ in levels) / len(levels), 1) if levels else None,
                min(least for _, least in levels) if levels else None,
            )
        )
    return days


def _day(unix_time: int) -> str:
    return vietnam_day(unix_time).isoformat()


@click.command("match")
@click.option(
    "--seen",
    required=True,
    type=click.Path(path_type=Path),
    help="CSV: identifier (hexadecimal), Unix time, RSSI.",
)
@click.option(
    "--public-key",
    type=click.Path(path_type=Path),
    help="The ECDSA P-256 key (PEM or DER) that must have signed every file. Without it no"
    " signature is checked.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.argument("exports", nargs=-1, required=True, type=click.Path(path_type=Path))
def command(seen: Path, public_key: Path | None, as_json: bool, exports: Sequence[Path]) -> None:
    """Match the identifiers in SEEN against the key files EXPORTS.

    The identifier has 32 hexadecimal digits, or 40 with the encrypted metadata, which tells
    attenuation. A sighting counts up to two hours around its identifier's ten minutes. It
    stands for the time since the sighting before it in the file, at most five minutes. Days
    are Vietnamese. A file that cannot be read is named, the others are still matched, and
    the exit status is 1.
    """
    key = None if public_key is None else read_public_key(public_key)
    content = read_file(seen)
    try:
        sightings = parse_seen(content.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise click.ClickException(f"{seen}: not UTF-8 text (byte {error.start})") from error
    except click.ClickException as error:
        raise click.ClickException(f"{seen}: {error.message}") from error

    files: list[Export] = []
    refused: list[str] = []
    for path in exports:
        try:
            files.append(read_key_file(path, str(path), key))
        except ExportError as error:
            refused.append(str(error))
        except click.ClickException as error:
            refused.append(error.message)
    keys = KeyTable.concatenate([table for file in files for table in (file.keys, file.revised)])
    matches = find_matches(keys, sightings.records)
    days = days_of_matches(keys, sightings, matches)

    rows = np.unique(matches.record_row).tolist()
    if as_json:
        report = {
            "files": [
                {"name": file.name, "keys": len(file.keys), "revised": len(file.revised)}
                for file in files
            ],
            "refused": refused,
            "signatures_checked": key is not None,
            "sightings": len(sightings.records),
            "matched_sightings": len(rows),
            "matched_lines": [sightings.lines[row] for row in rows],
            "days": [asdict(day) for day in days],
        }
        click.echo(json.dumps(report))
    else:
        checked = "checked" if key is not None else "not checked (--public-key checks them)"
        click.echo(f"Key files: {len(files)}, keys: {len(keys):,}, signatures {checked}")
        click.echo(f"Sightings: {len(sightings.records):,}, matching: {len(rows):,}")
        _print_days(days)
    for fault in refused:
        click.echo(f"Error: {fault}", err=True)
    if refused:
        raise click.exceptions.Exit(1)


def _print_days(days: list[DayOfMatches]) -> None:
    if not days:
        return
    click.echo()
    line = "{:<10}  {:>4}  {:>9}  {:>7}  {:>9}  {:>9}  {:>16}"
    titles = ("day", "keys", "sightings", "minutes", "mean RSSI", "strongest", "mean attenuation")
    click.echo(line.format(*titles))
    for day in days:
        mean = day.attenuation_mean
        attenuation = "unknown" if mean is None else f"{mean:.1f} dB"
        click.echo(
            line.format(
                day.day,
                day.keys,
                day.sightings,
                f"{day.minutes:.1f}",
                f"{day.rssi_mean:.1f} dBm",
                f"{day.rssi_max} dBm",
                attenuation,
            )
        )
