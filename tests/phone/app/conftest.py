"""A phone with its pages in virtual time, asked as a browser asks."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from bluezone.phone.app.core import App
from bluezone.phone.app.reporting import Reporting
from bluezone.phone.app.routes import create_pages
from bluezone.phone.phone import Phone
from bluezone.radio.interface import Capabilities
from tests.phone.conftest import World
from tests.phone.national_service import pins

PORT = 8460
HERE = f"http://127.0.0.1:{PORT}"
CAN = Capabilities("virtual air", "", broadcasts=True)


class Asking:
    """One phone, its app and a browser that has the cookie and the token."""

    def __init__(self, world: World, phone: Phone, app: App) -> None:
        self.world = world
        self.phone = phone
        self.app = app
        self.client = httpx.AsyncClient(
            transport=httpx.ASGITransport(create_pages(app), client=("127.0.0.1", 50_000)),
            base_url=HERE,
            headers={"Origin": HERE, "Content-Type": "application/json"},
        )

    def send(self, method: str, path: str, **options: Any) -> httpx.Response:
        return self.world.run(self.client.request(method, path, **options))

    def open(self) -> None:
        """As by the phone's link."""
        link = self.phone.page_keys.link(PORT)
        self.take(self.send("GET", link.removeprefix(HERE)))

    def take(self, opened: httpx.Response) -> None:
        """As the pages take the token from the fragment."""
        assert opened.status_code == 200
        found = re.search(r"url=/#open=([\w-]+)\"", opened.text)
        assert found
        self.client.headers["X-Bluezone-Token"] = found[1]

    def ask(self, method: str, path: str, question: Any = None, status: int = 200) -> Any:
        answer = self.send(method, f"/api/v1/{path}", json=question if question is not None else {})
        assert answer.status_code == status, answer.text
        return answer.json()


@pytest.fixture
def asking(world: World, tmp_path: Path) -> Asking:
    made = make_asking(world, needs_consent=True)
    made.open()
    return made


def make_asking(world: World, **options: Any) -> Asking:
    phone = world.phone(**options)
    app = App(
        phone, world.clock, world.folder, pins(), "https://bluezone.example", lambda: CAN,
        Reporting(), world.clock.now(),
    )  # fmt: skip
    return Asking(world, phone, app)


MakeWorld = Callable[..., World]
