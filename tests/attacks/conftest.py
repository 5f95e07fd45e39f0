"""The service and the phones under attack are those of the other tests."""

from tests.phone.conftest import make_world, world
from tests.server.diagnosis.conftest import log, password_hash, role_home, service

__all__ = ["log", "make_world", "password_hash", "role_home", "service", "world"]
