"""Guessing one-time codes: all at once, and from so many addresses that others suffer."""

import asyncio
from collections import Counter

import httpx

from bluezone.server.diagnosis.guessing import WRONG_CODES_BY_ADDRESS
from tests.conftest import database_url
from tests.server.diagnosis.installation import Service

__all__ = ["database_url"]  # both kinds of store


async def test_guesses_sent_all_at_once_are_all_counted(service: Service) -> None:
    """A limit that is looked at before the search and paid after it lets a volley through."""
    report = service.prepare(service.keys())
    code = await service.code()
    volley = [f"{number:012d}" for number in range(40)]
    async with service.from_address("198.51.100.7") as guesser:

        async def guess(digits: str) -> httpx.Response:
            return await guesser.post("/v1/permission", content=report.request(digits))

        answers = await asyncio.gather(*map(guess, [*volley, code]))
    seen = Counter(answer.status_code for answer in answers)
    assert seen[403] <= WRONG_CODES_BY_ADDRESS.burst
    assert answers[-1].status_code == 429
    # The owner of the code is not harmed.
    assert (await service.ask(report, code)).status_code == 200
