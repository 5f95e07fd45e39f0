"""Virtual time for radio tests: hours of air in a second, every timer of Bumble included."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from bluezone.clock import LoopClock
from bluezone.town.time import VirtualTimeLoop

NOON = 1_611_118_800.0  # 2021-01-20, 12:00 in Vietnam
T = TypeVar("T")


def in_virtual_time(scene: Callable[[LoopClock], Awaitable[T]]) -> T:
    """Run `scene(clock)` on a loop that jumps from timer to timer."""

    async def main() -> T:
        return await scene(LoopClock(asyncio.get_running_loop(), NOON))

    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(main())
