"""Phones on a virtual air, in virtual time, with a service in the test's own process."""

import itertools
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from bluezone.clock import LoopClock
from bluezone.phone.phone import Phone
from bluezone.phone.sealing import Sealer
from bluezone.phone.service import Service
from bluezone.phone.store import Store
from bluezone.radio.air import Air
from bluezone.radio.direct import DirectRadio
from bluezone.town.time import VirtualTimeLoop
from tests.phone.national_service import NationalService, pins

# Wednesday 20 January 2021, 08:00 in Vietnam (01:00 UTC).
EPOCH = 1_611_104_400.0


class World:
    """Some phones, the air between them, and their service."""

    def __init__(self, loop: VirtualTimeLoop, folder: Path, epoch: float = EPOCH) -> None:
        self.loop = loop
        self.folder = folder
        self.clock = LoopClock(loop, epoch)
        self.air = Air(self.clock, seed=1)
        self.national = NationalService(self.clock)
        self._names = itertools.count(1)

    def service(self) -> Service:
        return Service("https://bluezone.example", transport=self.national.transport)

    def phone(self, x: float = 0.0, *, home: Path | None = None, **options: Any) -> Phone:
        number = next(self._names)
        return Phone(
            home or self.folder / f"phone{number}",
            DirectRadio(self.air, (x, 0.0), "room"),
            self.service(),
            pins(),
            options.pop("clock", self.clock),
            rng=random.Random(number),
            use_keyring=False,
            **options,
        )

    def run(self, coroutine: Any) -> Any:
        return self.loop.run_until_complete(coroutine)


@pytest.fixture
def make_world(tmp_path: Path) -> Iterator[Callable[..., World]]:
    loops: list[VirtualTimeLoop] = []

    def make(epoch: float = EPOCH) -> World:
        loops.append(VirtualTimeLoop())
        return World(loops[-1], tmp_path, epoch)

    yield make
    for loop in loops:
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()


@pytest.fixture
def world(make_world: Callable[..., World]) -> World:
    return make_world()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(tmp_path / "diary.sqlite", Sealer(bytes(range(32))))
    yield store
    store.close()
