"""A whole service for each test."""

import io
import logging
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import structlog

from bluezone.server import keys as role_keys
from bluezone.server.logging import configure_logging
from tests.server.diagnosis.installation import NOON, Service, running


@pytest.fixture(scope="session")
def role_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Role keys and their trust document: making RSA keys is slow, so once for all tests."""
    home = tmp_path_factory.mktemp("roles")
    (home / "secrets").mkdir(mode=0o700)
    root = role_keys.new_root()
    start = NOON - 30 * 86400
    certificates = role_keys.make_role_keys(home / "secrets", start, start)
    (home / "public").mkdir()
    document = role_keys.certify(certificates, 1, root)
    (home / "public" / role_keys.TRUST_OBJECT).write_bytes(document)
    role_keys.save_public_key(home / role_keys.ROOT_PUBLIC, root.public_key())
    return home


@pytest.fixture
async def service(
    tmp_path: Path, role_home: Path, database_url: str, password_hash: str
) -> AsyncIterator[Service]:
    async with running(tmp_path, role_home, database_url, password_hash) as service:
        yield service


@pytest.fixture
def log(service: Service) -> Iterator[io.StringIO]:
    """What the service logs, configured as it is when it runs."""
    root, stream = logging.getLogger(), io.StringIO()
    before = root.handlers, root.level
    configure_logging(service.clock, stream)
    yield stream
    root.handlers, root.level = before
    structlog.reset_defaults()
