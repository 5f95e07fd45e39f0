"""Secrets in files: one for all processes, readable by its owner alone, never half there."""

import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from bluezone.server import secret_files
from bluezone.server.keys import KeyUnavailable

_fresh = secret_files.secret_file


def test_all_who_start_together_have_one(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as starting:
        found = set(starting.map(_fresh, [tmp_path / "pepper"] * 32))
    assert len(found) == 1
    assert os.listdir(tmp_path) == ["pepper"]
    assert stat.S_IMODE((tmp_path / "pepper").stat().st_mode) == 0o600


def test_one_that_is_there_needs_no_right_to_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = _fresh(tmp_path / "pepper")

    def read_only(**_: object) -> None:
        raise PermissionError(30, "Read-only file system")

    monkeypatch.setattr(secret_files.tempfile, "mkstemp", read_only)
    assert _fresh(tmp_path / "pepper") == made


def test_one_that_cannot_be_made_or_is_damaged_is_said(tmp_path: Path) -> None:
    with pytest.raises(KeyUnavailable, match="cannot be read or made: No such file"):
        _fresh(tmp_path / "nowhere" / "pepper")
    (tmp_path / "pepper").write_bytes(b"short")
    with pytest.raises(KeyUnavailable, match="has 5 bytes, not 32: remove it"):
        _fresh(tmp_path / "pepper")
