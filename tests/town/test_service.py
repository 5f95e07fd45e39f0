"""The health authority of a town serves everybody, one after the other."""

import asyncio
from pathlib import Path

import httpx

from bluezone.town.service import HealthAuthority, start_service
from bluezone.town.time import InFlight, VirtualTimeLoop
from bluezone.town.town import BEGINS

_MORE_THAN_SIGN_INS_A_MINUTE = 31


def test_many_who_are_positive_at_one_moment_all_get_a_code(tmp_path: Path):
    """Somebody at the page may declare the whole town positive while it stands still."""
    service = start_service(tmp_path, BEGINS)
    loop = VirtualTimeLoop()
    loop.drive(service.clock_file, BEGINS, service.check)

    async def everybody() -> list[str]:
        worker = HealthAuthority(service, lambda: InFlight(loop, httpx.AsyncHTTPTransport()))
        asked = [worker.issue_code("2021-01-17") for _ in range(_MORE_THAN_SIGN_INS_A_MINUTE)]
        return await asyncio.gather(*asked)

    try:
        codes = loop.run_until_complete(everybody())
    finally:
        loop.close()
        service.stop()
    assert len(set(codes)) == _MORE_THAN_SIGN_INS_A_MINUTE
