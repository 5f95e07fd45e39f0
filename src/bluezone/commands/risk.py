"""`bluezone risk`: score given exposure windows with a given risk configuration."""

import datetime as dt
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from bluezone.clock import Clock, WallClock
from bluezone.phone.closeness import Closeness
from bluezone.protocol.configuration import (
    DEFAULT_CONFIGURATION,
    ConfigurationError,
    encode_configuration,
    parse_configuration,
)
from bluezone.protocol.exposure_json import read_windows
from bluezone.protocol.intervals import day_date, day_number, utc_day_number
from bluezone.protocol.json_reader import JsonError, Node
from bluezone.protocol.risk import DayRisk, RiskResult, WindowRisk, score
from bluezone.protocol.risk_model import Attenuation, ClosenessBy, RiskConfiguration, RiskLevel

_MAX_INPUT_BYTES = 64 * 1024 * 1024
_LEVELS = (RiskLevel.LOW, RiskLevel.HIGH)


def _print_default(context: click.Context, _parameter: click.Parameter, wanted: bool) -> None:
    if wanted and not context.resilient_parsing:
        click.echo(encode_configuration(DEFAULT_CONFIGURATION))
        context.exit()


@click.command("risk")
@click.argument("config", type=click.Path(path_type=Path))
@click.argument("windows", type=click.Path(path_type=Path))
@click.option(
    "--attenuation",
    type=click.Choice([choice.name.lower() for choice in Attenuation]),
    help="Judge scans by their strongest packet (minimum) or the mean (typical), whatever"
    " CONFIG says. The estimator always takes the mean.",
)
@click.option(
    "--closeness",
    type=click.Choice([choice.name.lower() for choice in ClosenessBy]),
    help="Count time by CONFIG's attenuation ranges (weights) or by the proximity estimator"
    " (estimate), whatever CONFIG says.",
)
@click.option(
    "--today",
    type=click.DateTime(["%Y-%m-%d"]),
    help="The day that ageInDays counts back from. Default: today, UTC.",
)
@click.option(
    "--print-default",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_print_default,
    help="Print Bluezone's own configuration, to start from, and exit.",
)
def command(
    config: Path,
    windows: Path,
    attenuation: str | None,
    closeness: str | None,
    today: dt.datetime | None,
) -> None:
    """Score the exposure windows in the file WINDOWS with the risk model in CONFIG.

    Prints JSON: each window's level and minutes, each day's, and the highest level.
    CONFIG may be a configuration of ours, of Corona-Warn-App or a DailySummariesConfig of
    the Exposure Notification framework; a file of Corona-Warn-App's test cases serves as
    either argument. docs/risk.md explains the forms and the model.

    \b
    Example:
      bluezone risk --print-default > config.json
      cat > windows.json <<END
      [{"day": "2021-01-31", "reportType": "confirmedTest", "daysSinceOnset": 1,
        "scanInstances": [{"typicalAttenuation": 50, "secondsSinceLastScan": 300},
                          {"typicalAttenuation": 58, "secondsSinceLastScan": 300}]}]
      END
      bluezone risk config.json windows.json
    """
    try:
        configuration = parse_configuration(_read(config))
    except ConfigurationError as error:
        raise click.ClickException(f"{config}: {error}") from error
    if attenuation is not None:
        configuration = replace(configuration, attenuation=Attenuation[attenuation.upper()])
    if closeness is not None:
        configuration = replace(configuration, closeness=ClosenessBy[closeness.upper()])
    day = day_number(today.date()) if today is not None else _today(WallClock())
    try:
        output = _score(Node.parse(_read(windows)), configuration, day)
    except JsonError as error:
        raise click.ClickException(f"{windows}: {error}") from error
    click.echo(json.dumps(output, indent=2, ensure_ascii=False))


def _read(path: Path) -> bytes:
    try:
        if path.stat().st_size > _MAX_INPUT_BYTES:
            raise click.ClickException(f"{path}: more than {_MAX_INPUT_BYTES} bytes")
        return path.read_bytes()
    except OSError as error:
        raise click.ClickException(f"{path}: {error.strerror}") from error


def _today(clock: Clock) -> int:
    return utc_day_number(clock.now())


def _score(node: Node, configuration: RiskConfiguration, today: int) -> dict[str, Any]:
    if "testCases" not in node:
        return _result(node, configuration, today)
    return {
        "cases": [
            {"description": case["description"].text(), **_result(case, configuration, today)}
            for case in node["testCases"].items()
        ]
    }


def _result(node: Node, configuration: RiskConfiguration, today: int) -> dict[str, Any]:
    result = score(
        read_windows(node, configuration, today), configuration, Closeness().judge, today=today
    )
    return {
        "level": _name(result.level),
        "days": [_day(day, today) for day in result.days],
        "windows": [_window(window) for window in result.windows],
        **_totals(result),
    }


def _day(day: DayRisk, today: int) -> dict[str, Any]:
    return {
        "day": day_date(day.day).isoformat(),
        "ageInDays": today - day.day,
        "level": _name(day.level),
        "minutes": day.minutes,
        "minimumDistinctEncounters": {
            _name(level): day.minimum_encounters[level] for level in _LEVELS
        },
        "encounters": None
        if day.encounters is None
        else {_name(level): day.encounters[level] for level in _LEVELS},
    }


def _window(row: WindowRisk) -> dict[str, Any]:
    return {
        "day": day_date(row.window.local_day).isoformat(),
        "level": _name(row.level),
        "minutes": row.minutes,
        "weightedMinutes": round(row.weighted_minutes, 9),
        "transmissionRiskLevel": row.transmission_risk.level,
        "transmissionRiskValue": row.transmission_risk.value,
        "dropped": row.dropped,
    }


def _totals(result: RiskResult) -> dict[str, Any]:
    days = {level: result.most_recent_day(level) for level in _LEVELS}
    return {
        "mostRecentDay": {
            _name(level): None if day is None else day_date(day).isoformat()
            for level, day in days.items()
        },
        "numberOfDays": {_name(level): result.number_of_days(level) for level in _LEVELS},
        "minimumDistinctEncounters": {
            _name(level): result.minimum_encounters(level) for level in _LEVELS
        },
    }


def _name(level: RiskLevel) -> str:
    return level.name.lower()
