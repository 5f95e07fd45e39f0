"""The fuzzing entry runs, finds nothing in a few seconds, and would notice if it did."""

import os
import subprocess
import sys
from pathlib import Path

_ROOT = Path(__file__).parent.parent.parent


def _run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(_ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_few_thousand_hostile_inputs(tmp_path: Path) -> None:
    options = ("-runs=20000", "-max_total_time=8", "-max_len=600", "-seed=1")
    done = _run(tmp_path, "-m", "tests.fuzz.fuzz_readers", *options)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "Done" in done.stderr


def test_an_unexpected_error_is_a_finding(tmp_path: Path) -> None:
    broken = (
        "from tests.fuzz import fuzz_readers as f\n"
        "def fail(data): raise IndexError('not a refusal')\n"
        "f._READERS = (fail,)\n"
        "f._seeds = lambda: [b'xx']\n"
        "f.main()\n"
    )
    done = _run(tmp_path, "-c", broken)
    assert done.returncode != 0
    assert "not a refusal" in done.stdout + done.stderr
