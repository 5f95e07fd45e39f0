"""`./bluezone bench NAME [FOLDER] [--json]`: the names are below."""

import importlib
import json
import os
import platform
from pathlib import Path

import click

_NAMES = (
    "matching", "air", "export", "upload", "proximity", "app", "ranks", "chains", "exports",
    "worklist", "contacts-import", "air-recordings",
)  # fmt: skip
_READS_A_FOLDER = ("air-recordings",)


def _machine() -> str:
    cpu = next(
        (
            line.split(":", 1)[1].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        platform.processor(),
    )
    return f"{cpu}, {os.cpu_count()} cores, Python {platform.python_version()}"


@click.command()
@click.argument("name", type=click.Choice(_NAMES))
@click.argument(
    "folder",
    required=False,
    type=click.Path(path_type=Path, exists=True, file_okay=False),
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of a table.")
def main(name: str, folder: Path | None, as_json: bool) -> None:
    """Measure one part beside a named peer or limit, in the same run.

    A benchmark module offers `measure() -> list[dict[str, object]]` (one dict a row, the
    same keys in each) and says what it measures in its docstring. `air-recordings` reads
    a FOLDER of recordings, which are not part of this repository.
    """
    if (folder is not None) != (name in _READS_A_FOLDER):
        wanted = "needs" if folder is None else "reads no"
        raise click.UsageError(f"{name} {wanted} FOLDER")
    module = importlib.import_module(f"benchmarks.{name.replace('-', '_')}")
    rows: list[dict[str, object]] = module.measure(folder) if folder else module.measure()
    if as_json:
        print(json.dumps({"benchmark": name, "machine": _machine(), "rows": rows}))
        return
    print((module.__doc__ or "").strip().splitlines()[0])
    print(f"on {_machine()}\n")
    columns = list(rows[0])
    cells = [columns, *([_cell(row[column]) for column in columns] for row in rows)]
    widths = [max(len(line[i]) for line in cells) for i in range(len(columns))]
    for line in cells:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)))


def _cell(value: object) -> str:
    if value is None:  # the column says nothing about this row
        return ""
    return f"{value:,.2f}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    main()
