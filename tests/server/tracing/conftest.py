"""A phone that hands over, and one-time codes of a unit."""

import os
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import msgspec
import numpy as np
import pytest

from bluezone.protocol.handover import (
    ContactDetails,
    ExposureDay,
    HandedDiary,
    HandoverAnswer,
    handover_id,
)
from bluezone.protocol.keys import ReportType
from bluezone.protocol.sightings import SCAN_RECORD
from bluezone.protocol.upload import UploadedKey
from bluezone.server.context import Services
from bluezone.server.diagnosis.pepper import code_pepper
from bluezone.server.diagnosis.service import issue_code
from tests.server.conftest import BA_DINH, NOON

IssueCode = Callable[[], Awaitable[str]]


def details(secret: bytes, **changes: Any) -> ContactDetails:
    """What a warned person sends."""
    given = ContactDetails(
        handover=handover_id(secret),
        name="Trần Thị Lan",
        phone_number="+84901234567",
        commune="00004",
        days=(ExposureDay("2021-01-19", ("morning", "noon"), 25, "LIKELY"),),
        note="Xin gọi sau 17 giờ.\nCảm ơn.",
    )
    return msgspec.structs.replace(given, **changes)


def diary(secret: bytes, code: str, records: int = 50, **changes: Any) -> HandedDiary:
    """What a case adds to a report: records of two days."""
    heard = np.zeros(records, SCAN_RECORD)
    heard["time"] = NOON - 86400 * (np.arange(records) % 2)
    heard["rpi"] = np.frombuffer(os.urandom(16 * records), "V16")
    given = HandedDiary(
        handover=handover_id(secret),
        code=code,
        keys=[UploadedKey(key=os.urandom(16), rolling_start=2_684_880, rolling_period=144)],
        records=heard.tobytes(),
    )
    return msgspec.structs.replace(given, **changes)


async def send(client: httpx.AsyncClient, message: ContactDetails | HandedDiary) -> httpx.Response:
    """As the phone sends it."""
    kind = "details" if isinstance(message, ContactDetails) else "diary"
    return await client.post(f"/v1/handovers/{kind}", content=msgspec.json.encode(message))


async def ask(client: httpx.AsyncClient, secret: bytes, verb: str = "status") -> httpx.Response:
    """`status` or `withdraw`."""
    body = msgspec.json.encode({"secret": secret})
    return await client.post(f"/v1/handovers/{verb}", content=body)


def answer(response: httpx.Response) -> HandoverAnswer:
    assert response.status_code == 200, response.text
    return msgspec.json.decode(response.content, type=HandoverAnswer)


def unit_code(services: Services) -> IssueCode:
    """Issues one-time codes of BA_DINH."""

    async def one() -> str:
        async with services.database.transaction() as session:
            issued = await issue_code(
                session,
                code_pepper(services.settings.secrets_folder),
                services.now,
                worker=1,
                unit=BA_DINH,
                report_type=ReportType.CONFIRMED_TEST,
                symptom_onset=None,
                per_worker=1000,
                per_unit=1000,
            )
        return issued.code

    return one


@pytest.fixture
def issue(services: Services) -> IssueCode:
    return unit_code(services)
