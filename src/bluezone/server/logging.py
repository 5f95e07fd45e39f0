"""Structured logs: one JSON object per line, on the service's clock, without secrets.

An exception is logged as its class and where it was raised. Its text is left out, for
drivers quote values in it.
"""

import logging
import sys
import traceback
from collections.abc import MutableMapping
from typing import Any, Final, TextIO

import structlog

from bluezone.clock import Clock
from bluezone.protocol.intervals import vietnam_time

# Fields that must never be logged; a programming mistake, caught here as a last resort.
_SECRET_WORDS: Final = ("password", "secret", "token", "code", "key", "identifier", "cookie")
_HARMLESS: Final = frozenset({"key_id", "status_code"})

_Event = MutableMapping[str, Any]


def configure_logging(clock: Clock, stream: TextIO | None = None) -> None:
    """Send everything, that of libraries too, as JSON lines to `stream`, or standard error."""

    def stamp(_logger: object, _method: str, event: _Event) -> _Event:
        event["time"] = vietnam_time(clock.now()).isoformat(timespec="milliseconds")
        return event

    shared: list[structlog.typing.Processor] = [
        structlog.stdlib.add_log_level,
        stamp,
        _name_exception,
        hide_secrets,
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
    )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(ensure_ascii=False, default=_opaque),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(logging.INFO)
    for library in ("uvicorn", "uvicorn.error", "alembic"):
        logging.getLogger(library).handlers = []
    logging.getLogger("alembic").setLevel(logging.WARNING)


def hide_secrets(_logger: object, _method: str, event: _Event) -> _Event:
    """Replace values whose name says that they are secret, and all bytes."""
    for name, value in event.items():
        secret = any(word in name.lower() for word in _SECRET_WORDS) and name not in _HARMLESS
        if secret or isinstance(value, bytes):
            event[name] = "<hidden>"
    return event


def describe(error: BaseException) -> list[str]:
    """An exception and its causes: classes and places, outermost frame first, without texts."""
    lines: list[str] = []
    seen: BaseException | None = error
    while seen is not None:
        lines.append(f"{type(seen).__module__}.{type(seen).__qualname__}")
        lines += [
            f"  {frame.filename}:{frame.lineno} {frame.name}"
            for frame in traceback.extract_tb(seen.__traceback__)
        ]
        seen = seen.__cause__ or seen.__context__
    return lines


def _name_exception(_logger: object, _method: str, event: _Event) -> _Event:
    error = event.pop("exc_info", None)
    if error is True:
        error = sys.exc_info()
    if isinstance(error, tuple):
        error = error[1]
    if isinstance(error, BaseException):
        event["exception"] = describe(error)
    return event


def _opaque(value: object) -> str:
    return f"<{type(value).__name__}>"
