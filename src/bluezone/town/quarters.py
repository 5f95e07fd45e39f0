"""The quarters of a town as its leader sees them: processes that live when they are told to."""

import multiprocessing
import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import Final, Self

from bluezone.town.messages import Beginning, Failed, Order, Report, encode, read_report
from bluezone.town.plan import Plan
from bluezone.town.service import ServiceProcess
from bluezone.town.time import StalledError

_FEWEST_PEOPLE: Final = 10  # of whom a process of their own is worth its start
_MOST: Final = 8
_LOOK_SECONDS: Final = 0.2  # between two looks whether everybody is still there


class QuarterFailed(Exception):  # noqa: N818 - what happened, not a kind of error
    """A quarter's process broke; the text says where."""


class Quarters:
    """As many processes as this machine has processors for, if there are people enough.

    They load what they need while the service starts. Use it as a context.
    """

    def __init__(self, people: int, count: int | None = None) -> None:
        processors = min(os.cpu_count() or 1, _MOST)
        self._count = count or max(1, min(processors, people // _FEWEST_PEOPLE))
        self._processes: list[subprocess.Popen[bytes]] = []
        self._pipes: list[Connection] = []

    def __enter__(self) -> Self:
        for _ in range(self._count):
            ours, theirs = multiprocessing.Pipe()
            self._processes.append(
                subprocess.Popen(
                    [sys.executable, "-m", "bluezone.town.quarter", str(theirs.fileno())],
                    stdin=subprocess.DEVNULL,
                    pass_fds=[theirs.fileno()],
                    start_new_session=True,  # Ctrl-C is for the town, which then ends them
                )
            )
            theirs.close()
            self._pipes.append(ours)
        return self

    def __exit__(self, *_: object) -> None:
        for pipe in self._pipes:
            pipe.close()  # who waits for an order learns so that none will come
        for process in self._processes:
            process.terminate()
            process.wait()

    def begin(self, plan: Plan, service: ServiceProcess) -> list[Report]:
        """Open the phones, and live through the first moment. Raises as `live_to`."""
        folder = str(service.home.parent)
        for share, pipe in enumerate(self._pipes):
            beginning = Beginning(plan, share, self._count, service.url, service.root, folder)
            _send(pipe, encode(beginning))
        return self._reports(service.check)

    def live_to(
        self, order: Order, check: Callable[[], None], meanwhile: Callable[[], None]
    ) -> list[Report]:
        """Let all live up to the same moment, and do something `meanwhile`.

        `check` is called now and then, and may raise. Raises StalledError, QuarterFailed.
        """
        message = encode(order)
        for pipe in self._pipes:
            _send(pipe, message)
        meanwhile()
        return self._reports(check)

    def end(self) -> None:
        """No more orders: close the phones, and wait for it."""
        for pipe in self._pipes:
            _send(pipe, encode(Order(None)))
        for process in self._processes:
            process.wait()

    def _reports(self, check: Callable[[], None]) -> list[Report]:
        reports = []
        for pipe, process in zip(self._pipes, self._processes, strict=True):
            while not pipe.poll(_LOOK_SECONDS):
                check()
            try:
                report = read_report(pipe.recv_bytes())
            except (EOFError, ConnectionError) as error:
                raise QuarterFailed(
                    f"a process of the town ended with status {process.wait()}"
                ) from error
            if isinstance(report, Failed):
                if report.stalled:
                    raise StalledError(report.stalled)
                raise QuarterFailed(report.trace)
            reports.append(report)
        return reports


def _send(pipe: Connection, message: bytes) -> None:
    # If it has gone, what it said last and its status are read with the reports.
    with suppress(ConnectionError):
        pipe.send_bytes(message)
