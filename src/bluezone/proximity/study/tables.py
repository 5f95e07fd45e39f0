"""An evaluation as text, in the words of the model card."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from bluezone.proximity.study.evaluate import BOTH, ONE, RULE, SINGLE

_SCORERS = (BOTH, ONE, SINGLE, RULE)


def text(report: Mapping[str, Any]) -> str:
    """All collections, one after the other."""
    return "\n".join(line for name, part in report.items() for line in _collection(name, part))


def _collection(name: str, part: Mapping[str, Any]) -> Iterator[str]:
    yield f"== {name}: {part['pairs']} pairs"
    if "all" in part:
        whole = part["all"]
        yield f"{whole['beacons']:,} beacons with truth, {whole['within 2 m']:.0%} within 2 m"
        yield ""
        if part["metrics"]:
            yield from _aligned(
                [("", *_SCORERS)]
                + [
                    (metric, *(_value(row.get(scorer)) for scorer in _SCORERS))
                    for metric, row in part["metrics"].items()
                ]
            )
            yield "[95 % interval; lead over single beacons], resampling whole pairs"
            yield ""
        yield from _scenarios(part)
        if part.get("exposures"):
            yield from _exposures(part["exposures"])
    for scenario, row in part.get("without truth", {}).items():
        classes = ", ".join(f"{count} {kind}" for kind, count in
                            row["pairs by exposure class"].items())  # fmt: skip
        yield (
            f"no truth in {scenario}, predictions only: {row['pairs']} pairs, median"
            f" {row['expected close minutes (median)']:.1f} close minutes; {classes}"
        )
    yield ""


def _scenarios(part: Mapping[str, Any]) -> Iterator[str]:
    rows: list[Sequence[str]] = [
        ("by scenario", "beacons", "near", "AUC", "Brier", "ECE", "| single", "Brier", "ECE",
         "| rule", "Brier")
    ]  # fmt: skip
    for scenario, row in (*part["scenarios"].items(), ("all together", part["all"])):
        both, single, rule = (row["by"][scorer] for scorer in (BOTH, SINGLE, RULE))
        rows.append(
            (
                scenario,
                f"{row['beacons']:,}",
                f"{row['within 2 m']:.0%}",
                *(f"{both[name]:.3f}" for name in ("AUC", "Brier", "ECE")),
                *(f"{single[name]:.3f}" for name in ("AUC", "Brier", "ECE")),
                *(f"{rule[name]:.3f}" for name in ("AUC", "Brier")),
            )
        )
    yield from _aligned(rows)
    yield ""


def _exposures(part: Mapping[str, Any]) -> Iterator[str]:
    yield (
        f"exposures (15 min within 2 m): {part['exposed']} of {part['pairs']} pairs;"
        f" minutes err by {part['mean absolute error of minutes']:.1f} on average;"
        f" the 80 % interval holds {part['interval holds the truth']:.0%}"
    )
    for name, row in part.items():
        if name.startswith("recall at"):
            said = ", ".join(f"{scorer} {_value(value)}" for scorer, value in row.items())
            yield f"{name}: {said}"
    for scorer, row in part.get("as it stands", {}).items():
        yield (
            f"as it stands, {scorer}: recall {row['recall']:.3f}, false-positive rate"
            f" {row['false-positive rate']:.3f}"
        )
    yield ""


def _value(row: Mapping[str, Any] | None) -> str:
    if row is None:
        return "–"
    parts = [f"{row['value']:.3f}"]
    if "interval" in row:
        low, high = row["interval"]
        lead = "; {:+.3f} {:+.3f}".format(*row["lead"]) if "lead" in row else ""
        parts.append(f"[{low:.3f} {high:.3f}{lead}]")
    return " ".join(parts)


def _aligned(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        yield "  ".join(cells).rstrip()
