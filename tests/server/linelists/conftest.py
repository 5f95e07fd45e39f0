"""The outbreak of the situation, and its readers."""

from tests.server.situation.conftest import outbreak, reader

__all__ = ["outbreak", "reader"]
