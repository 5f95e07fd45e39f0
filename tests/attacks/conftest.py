"""The service and the phones under attack are those of the other tests."""

import shutil
from pathlib import Path

import pytest

from tests.phone.conftest import make_world, world
from tests.server.conftest import password_hash
from tests.server.diagnosis.conftest import role_home, service

__all__ = ["make_world", "password_hash", "role_home", "service", "world"]


@pytest.fixture
def database_url(tmp_path: Path, sqlite_template: Path) -> str:
    """SQLite; where the store itself is attacked, a module takes both kinds again."""
    path = tmp_path / "service.db"
    shutil.copy(sqlite_template, path)
    return f"sqlite:///{path}"
