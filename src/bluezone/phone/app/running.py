"""The pages of a running phone: served, and its messages brought to its owner."""

import asyncio
import errno
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from bluezone.clock import Clock
from bluezone.phone.app.alerts import Alerts, Notify
from bluezone.phone.app.core import App
from bluezone.phone.app.reporting import Reporting
from bluezone.phone.app.routes import create_pages
from bluezone.phone.app.serving import served
from bluezone.phone.explanation import ExposureWarning
from bluezone.phone.phone import Phone
from bluezone.phone.store import StoreError
from bluezone.protocol.deployment import APP_PORT
from bluezone.protocol.trust import Pins
from bluezone.radio.interface import Capabilities
from bluezone.web.catalogue import DEFAULT_LANGUAGE, _, translate
from bluezone.web.loopback import listen


class PortUnusableError(Exception):
    """The pages cannot be served on the port that was asked for."""

    def __init__(self, port: int, *, taken: bool) -> None:
        super().__init__(port)
        self._port = port
        self._taken = taken

    def text(self, language: str = DEFAULT_LANGUAGE) -> str:
        """What to tell the owner, and what to do."""
        message = (
            _(
                "Port {port} is taken by another program. Choose another one with --port, or leave"
                " --port out: then Bluezone finds a free one."
            )
            if self._taken
            else _(
                "Port {port} may not be used here. Choose one from 1024 on with --port, or leave"
                " --port out: then Bluezone finds a free one."
            )
        )
        return translate(message, language, port=self._port)


class Pages:
    """What a phone with pages offers to whoever runs it."""

    def __init__(self, app: App, alerts: Alerts, port: int) -> None:
        self._app = app
        self._alerts = alerts
        self._port = port
        self._telling: set[asyncio.Task[None]] = set()

    def link(self) -> str:
        """An address that opens the pages once."""
        return self._app.phone.page_keys.link(self._port)

    def warned(self, warning: ExposureWarning) -> None:
        """Tell an exposure, beside what is going on."""

        async def tell() -> None:
            with suppress(StoreError):  # the warning itself is kept with the next check
                await self._alerts.warned(warning)

        task = asyncio.create_task(tell())
        self._telling.add(task)
        task.add_done_callback(self._telling.discard)


@asynccontextmanager
async def pages_of(
    phone: Phone,
    *,
    clock: Clock,
    home: Path,
    pins: Pins,
    service: str,
    capabilities: Callable[[], Capabilities],
    port: int | None,
    notify: Notify,
) -> AsyncIterator[Pages]:
    """Serve the pages of `phone` until the end of the block.

    `port` None: the usual one, or any free one if that is taken. Raises PortUnusableError if a
    given port is taken or forbidden.
    """
    try:
        listener = listen(APP_PORT if port is None else port)
    except OSError as error:
        if port is not None:
            raise PortUnusableError(port, taken=error.errno == errno.EADDRINUSE) from error
        listener = listen(0)
    app = App(phone, clock, home, pins, service, capabilities, Reporting(), clock.now())
    alerts = Alerts(app, notify)
    taken: int = listener.getsockname()[1]
    async with served(create_pages(app), listener):
        phone.page_keys.served_at(taken)
        looking = asyncio.create_task(alerts.run())
        try:
            yield Pages(app, alerts, taken)
        finally:
            looking.cancel()
            if app.reporting.task is not None:
                app.reporting.task.cancel()  # it goes on with the next start
            with suppress(StoreError):
                phone.page_keys.served_no_more()
