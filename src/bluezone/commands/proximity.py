"""`bluezone proximity`: fit and judge the estimator on recordings with true distances."""

import datetime as dt
import json
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import groupby
from pathlib import Path
from typing import Any

import click

from bluezone.clock import WallClock
from bluezone.proximity import SHIPPED, Parameters
from bluezone.proximity.study.evaluate import Judged, judge, report
from bluezone.proximity.study.fit import fit
from bluezone.proximity.study.pairs import pairs_of, scale_shift
from bluezone.proximity.study.pictures import draw
from bluezone.proximity.study.readers import read_all
from bluezone.proximity.study.recordings import Recording, RecordingError
from bluezone.proximity.study.splits import SPLITS, check, folds
from bluezone.proximity.study.tables import text

_DATASETS = click.argument(
    "datasets", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path)
)


@click.group("proximity")
def command() -> None:
    """How probably were two phones within 2 m? Fit and judge the estimator that says so.

    DATASET is a recording or a folder of them: an SQLite file with a table `results`
    (DP-3T), or a CSV of one of the published sets that docs/proximity.md names.
    """


@command.command("fit")
@_DATASETS
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write the parameters there instead of printing them.",
)
def fit_command(datasets: tuple[Path, ...], out: Path | None) -> None:
    """Fit the estimator's numbers to all of DATASETS; takes about a minute.

    Only people who moved freely teach distances (a table `results`); phones of known
    carriage at one fixed distance teach what carriage costs.

    \b
    Example: bluezone proximity fit recordings/ --out parameters.json
    """
    if out is not None:
        with _write_faults(out):
            out.absolute().parent.stat()  # now, not after the minute that a fit takes
    recordings = _read(datasets)
    today = dt.datetime.fromtimestamp(WallClock().now(), dt.UTC).date()
    try:
        parameters = fit(recordings, _say, fitted_at=today.isoformat())
    except RecordingError as error:
        raise click.ClickException(str(error)) from error
    if out is None:
        click.echo(parameters.as_json(), nl=False)
    else:
        with _write_faults(out):
            out.write_text(parameters.as_json(), encoding="utf-8")
        _say(f"wrote {out}")


@command.command("evaluate")
@_DATASETS
@click.option(
    "--frozen",
    is_flag=True,
    help="Judge the shipped parameters as they are, instead of fitting on the other parts.",
)
@click.option(
    "--parameters",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="With --frozen: judge these, as `fit --out` writes them.",
)
@click.option(
    "--split",
    default=SPLITS[0],
    show_default=True,
    help=f"What is held out while the rest is fitted on: {', '.join(SPLITS)}.",
)
@click.option(
    "--scan-every",
    type=click.FloatRange(min=10),
    metavar="SECONDS",
    help="Judge only by what phones would hear that scan 4 s of every so many.",
)
@click.option("--ignore-models", is_flag=True, help="As if no phone's model were known.")
@click.option(
    "--pictures",
    type=click.Path(file_okay=False, path_type=Path),
    help="Draw roc.svg and reliability.svg of each collection into this folder.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of tables.")
def evaluate_command(
    datasets: tuple[Path, ...],
    frozen: bool,
    parameters: Path | None,
    split: str,
    scan_every: float | None,
    ignore_models: bool,
    pictures: Path | None,
    as_json: bool,
) -> None:
    """Judge the estimator on DATASETS, beside the published rules on the same packets.

    Without --frozen, each part of the recordings is judged by numbers fitted on the other
    parts. Recordings without true distances get predictions only.

    \b
    Examples:
      bluezone proximity evaluate recordings/
      bluezone proximity evaluate --frozen new-day.sqlite
      bluezone proximity evaluate --split pair --scan-every 240 recordings/
    """
    if parameters is not None and not frozen:
        raise click.UsageError("--parameters goes with --frozen")
    try:
        check(split)
    except RecordingError as error:
        raise click.UsageError(str(error)) from error
    recordings = _read(datasets)
    if ignore_models:
        recordings = [_nameless(recording) for recording in recordings]
    try:
        if frozen:
            judged = _judge(recordings, _parameters(parameters), scan_every)
        else:
            judged = _cross_validated(recordings, split, scan_every)
    except RecordingError as error:
        raise click.ClickException(str(error)) from error
    if not judged:
        raise click.ClickException("no two phones heard each other in these recordings")
    _say("comparing")
    found = report(judged)
    if pictures is not None:
        with _write_faults(pictures):
            _draw(judged, list(found), pictures)
    click.echo(json.dumps(_finite(found)) if as_json else text(found))


@contextmanager
def _write_faults(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise click.ClickException(f"{path}: {error.strerror or error}") from error


def _draw(judged: Sequence[Judged], collections: Sequence[str], folder: Path) -> None:
    for collection in collections:
        place = folder if len(collections) == 1 else folder / collection
        for path in draw(judged, place, collection):
            _say(f"wrote {path}")


def _read(datasets: Sequence[Path]) -> list[Recording]:
    def skipped(path: Path, reason: str) -> None:
        if path.suffix in (".csv", ".gz", ".sqlite"):
            _say(f"skipped {path}: {reason}")

    try:
        recordings = read_all(datasets, skipped)
    except RecordingError as error:
        raise click.ClickException(str(error)) from error
    _say(f"{len(recordings)} recordings, {sum(len(r.time) for r in recordings):,} packets")
    faults: dict[str, int] = {}
    for recording in recordings:
        for reason, count in recording.dropped.items():
            faults[reason] = faults.get(reason, 0) + count
    for reason, count in faults.items():
        _say(f"left out {count:,} rows: {reason}")
    return recordings


def _parameters(path: Path | None) -> Parameters:
    if path is None:
        return SHIPPED
    try:
        return Parameters.from_json(path.read_text(encoding="utf-8"))
    except (ValueError, OSError) as error:
        raise click.ClickException(f"{path}: {error}") from error


def _cross_validated(
    recordings: Sequence[Recording], split: str, scan_every: float | None
) -> list[Judged]:
    judged: list[Judged] = []
    for name, (fit_on, held_out) in folds(recordings, split):
        _say(f"held out: {name}")
        parameters = fit([*fit_on, *_on_marks(recordings)], _say)
        judged += _judge(held_out, parameters, scan_every)
    if on_marks := _on_marks(recordings):
        _say("held out: phones on marks")
        free = [recording for recording in recordings if recording.free]
        parameters = replace(fit(free, _say), carriage_db={})
        judged += _judge(on_marks, parameters, scan_every)
    return judged


def _on_marks(recordings: Sequence[Recording]) -> list[Recording]:
    return [recording for recording in recordings if not recording.free]


def _judge(
    recordings: Sequence[Recording], parameters: Parameters, scan_every: float | None
) -> list[Judged]:
    """Every pair, each collection on the scale of its own capture app."""
    judged: list[Judged] = []
    by_collection = sorted(recordings, key=lambda recording: recording.collection)
    for collection, group in groupby(by_collection, key=lambda recording: recording.collection):
        rows = [one.thinned(scan_every) if scan_every else one for one in group]
        if shift := scale_shift(rows, parameters):
            _say(f"{collection}: another scale; {shift:+.1f} dB taken off, learned without truth")
        for recording in rows:
            judged += [judge(pair, parameters) for pair in pairs_of(recording, shift)]
    return judged


def _nameless(recording: Recording) -> Recording:
    return replace(
        recording, phones=tuple(replace(phone, model=None) for phone in recording.phones)
    )


def _finite(value: Any) -> Any:
    """JSON knows no NaN: what could not be computed is null."""
    if isinstance(value, dict):
        return {key: _finite(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_finite(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _say(message: str) -> None:
    click.echo(message, err=True)
