"""`bluezone export inspect`: look into a published key file of any system."""

import base64
import datetime as dt
import json
import sys
from collections import Counter
from pathlib import Path

import click
import numpy as np

from bluezone.commands.key_files import read_key_file, read_public_key
from bluezone.protocol.deployment import ROLLING_PERIOD
from bluezone.protocol.exports import Export, ExportError, ExportSignature
from bluezone.protocol.intervals import interval_number, interval_start, utc_day
from bluezone.protocol.key_table import NO_ONSET, KeyTable
from bluezone.protocol.keys import ReportType

_LAST_SHOWN_TIME = 253_402_300_799  # the year 9999


@click.group()
def command() -> None:
    """Look into published key files (Exposure Key Export format, `EK Export v1`).

    Files of any system of the family can be read, whatever its Bluetooth service UUID. A
    file that a phone would refuse is refused here too, with the reason.
    """


@command.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--public-key",
    type=click.Path(path_type=Path),
    help="Check the signature with this ECDSA P-256 public key (PEM or DER).",
)
@click.option("--keys", "show_keys", is_flag=True, help="List the published keys themselves.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def inspect(file: Path, public_key: Path | None, show_keys: bool, as_json: bool) -> None:
    """Show what the key file FILE holds, and whether its signature is good.

    Without --public-key the signature is not checked. Exit status 1 when the file is
    refused or its signature is not by that key.
    """
    try:
        key = None if public_key is None else read_public_key(public_key)
        export = read_key_file(file, file.name, key)
    except (ExportError, click.ClickException) as error:
        message = error.message if isinstance(error, click.ClickException) else str(error)
        if as_json:
            click.echo(json.dumps({"file": file.name, "valid": False, "refused": message}))
        click.echo(f"refused: {message}", err=True)
        sys.exit(1)
    report = _report(export)
    if show_keys:
        report["keys"] = _listed(export.keys)
        report["revised_keys"] = _listed(export.revised)
    if as_json:
        click.echo(json.dumps(report))
    else:
        _print(report)


def _report(export: Export) -> dict[str, object]:
    keys = export.keys
    periods = Counter(keys.rolling_period.tolist())
    types = Counter(keys.report_type.tolist())
    onsets = Counter(keys.days_since_onset.tolist())
    days = Counter((keys.rolling_start // ROLLING_PERIOD).tolist())
    unknown = onsets.pop(NO_ONSET, 0)
    checked = [s.valid for s in export.signatures if s.valid is not None]
    return {
        "file": export.name,
        "valid": any(checked) if checked else None,
        "start": export.start,
        "end": export.end,
        "region": export.region,
        "batch_num": export.batch_num,
        "batch_size": export.batch_size,
        "key_count": len(keys),
        "revised_key_count": len(export.revised),
        "by_rolling_period": {str(period): periods[period] for period in sorted(periods)},
        "by_report_type": {ReportType(t).name: types[t] for t in sorted(types)},
        "by_days_since_onset": {str(day): onsets[day] for day in sorted(onsets)}
        | ({"unknown": unknown} if unknown else {}),
        "by_key_day": {
            utc_day(interval_start(day * ROLLING_PERIOD)).isoformat(): days[day]
            for day in sorted(days)
        },
        "sorted": _is_sorted(keys),
        "signatures": [_signature(s) for s in export.signatures],
        "other_members": list(export.other_members),
        "warnings": _warnings(export),
    }


def _signature(signature: ExportSignature) -> dict[str, object]:
    verdict = {None: "not checked", True: "valid", False: "not by this key"}
    return {
        "key_id": signature.key_id,
        "key_version": signature.key_version,
        "algorithm": signature.algorithm,
        "verdict": verdict[signature.valid],
    }


def _is_sorted(keys: KeyTable) -> bool:
    rows = np.ascontiguousarray(keys.key).view("S16")[:, 0]
    return bool(np.all(rows[:-1] < rows[1:]))


def _warnings(export: Export) -> list[str]:
    """What is allowed in the field but a careful publisher does not do."""
    keys = export.keys
    found = []
    if not _is_sorted(keys):
        found.append("keys are not sorted: their order may tell who reported together")
    if np.any(keys.rolling_start % ROLLING_PERIOD):
        found.append("some keys do not start at 00:00 UTC")
    if not len(keys):
        found.append("the file holds no keys")
    if export.end < export.start:
        found.append("the file's period ends before it starts")
    if not 1 <= export.batch_num <= export.batch_size:
        found.append(f"batch {export.batch_num} of {export.batch_size} makes no sense")
    for signature in export.signatures:
        if not signature.key_id:
            found.append("a signature does not say by which key it was made")
        if not signature.algorithm:
            found.append("a signature does not say its algorithm")
        if (signature.batch_num, signature.batch_size) != (export.batch_num, export.batch_size):
            found.append("export.sig and export.bin count batches differently")
    late = np.count_nonzero(keys.rolling_start > interval_number(export.end))
    if late:
        found.append(f"{late} keys begin after the file's period: not yet on the air, or padding")
    if export.other_members:
        found.append(f"a member that phones ignore: {export.other_members[0]}")
    return found


def _listed(keys: KeyTable) -> list[dict[str, object]]:
    return [
        {
            "key": base64.b64encode(row.tek.key).decode(),
            "rolling_start": row.tek.rolling_start,
            "rolling_period": row.tek.rolling_period,
            "report_type": row.report_type.name,
            "days_since_onset": row.days_since_onset,
        }
        for row in keys
    ]


# --- on the terminal ------------------------------------------------------------------


def _print(report: dict[str, object]) -> None:
    period = f"{_time(report['start'])} to {_time(report['end'])}"
    lines = {
        "file": report["file"],
        "period": period,
        "region": _printable(report["region"]) or "not given",
        "batch": f"{report['batch_num']} of {report['batch_size']}",
        "keys": f"{report['key_count']}, {'sorted' if report['sorted'] else 'not sorted'}",
        "revised keys": report["revised_key_count"],
    }
    for name, value in lines.items():
        click.echo(f"{name:<18}{value}")
    for name in ("by_rolling_period", "by_report_type", "by_days_since_onset", "by_key_day"):
        counts = report[name]
        if isinstance(counts, dict) and counts:
            title = name.removeprefix("by_").replace("_", " ")
            listed = ", ".join(f"{value}: {count}" for value, count in counts.items())
            click.echo(f"{title:<18}{listed}")
    signatures = report["signatures"]
    for signature in signatures if isinstance(signatures, list) else []:
        click.echo(
            f"{'signature':<18}key {_printable(signature['key_id']) or 'not named'}"
            f" {_printable(signature['key_version'])}, {_printable(signature['algorithm'])}:"
            f" {signature['verdict']}"
        )
    warnings = report["warnings"]
    for warning in warnings if isinstance(warnings, list) else []:
        click.echo(f"{'warning':<18}{_printable(warning)}")
    for name in ("keys", "revised_keys"):
        rows = report.get(name)
        for row in rows if isinstance(rows, list) else []:
            click.echo(
                f"{row['key']}  {row['rolling_start']}  {row['rolling_period']:>3}"
                f"  {row['report_type']}  {row['days_since_onset']}"
            )


def _time(seconds: object) -> str:
    if isinstance(seconds, int) and 0 <= seconds <= _LAST_SHOWN_TIME:
        return f"{dt.datetime.fromtimestamp(seconds, dt.UTC):%Y-%m-%d %H:%M:%S} UTC"
    return f"{seconds} (no Unix time in seconds)"


def _printable(text: object) -> str:
    """Text from a file, without the control characters that could steer a terminal."""
    return "".join(c if c.isprintable() else "?" for c in str(text))[:200]
