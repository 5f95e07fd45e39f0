"""Nothing that the service writes about itself names who handed over, a number or a code."""

import io
import logging
import re
from collections.abc import Iterator

import httpx
import pytest
import structlog
from sqlalchemy import text

from bluezone.clock import ManualClock
from bluezone.server.context import Services
from bluezone.server.logging import configure_logging
from tests.server.conftest import AddStaff, RunJob, SignInAs
from tests.server.tracing.conftest import IssueCode, ask, details, diary, send

SECRET = bytes(range(16))


@pytest.fixture
def log(clock: ManualClock) -> Iterator[io.StringIO]:
    root, stream = logging.getLogger(), io.StringIO()
    before = root.handlers, root.level
    configure_logging(clock, stream)
    yield stream
    root.handlers, root.level = before
    structlog.reset_defaults()


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_logs_and_counters_name_nobody(
    client: httpx.AsyncClient,
    services: Services,
    issue: IssueCode,
    add_staff: AddStaff,
    bearer: SignInAs,
    run_job: RunJob,
    stations: None,
    log: io.StringIO,
) -> None:
    code = await issue()
    await client.post("/v1/phone-numbers", json={"phone_number": "0901234567"})
    await client.post(
        "/v1/phone-numbers/confirm", json={"phone_number": "0901234567", "code": "000000"}
    )
    await send(client, details(SECRET))
    await send(client, diary(bytes(16), code))
    await add_staff("lan")
    lan = await bearer("lan")
    handover = details(SECRET).handover.hex()
    await client.get(f"/v1/staff/inbox/{handover}", headers=lan)
    await client.get("/v1/staff/inbox?reference=ABCD-EFGH", headers=lan)
    body = {"state": "cleared", "words": "Chị Lan Trần khỏe.", "seen": 0}
    await client.post(f"/v1/staff/inbox/{handover}", json=body, headers=lan)
    await ask(client, SECRET, "withdraw")
    for job in ("tracing-retention", "messaging-retention"):
        await run_job(job)
    async with services.database.engine.begin() as connection:
        await connection.execute(text("DROP TABLE handover_contents"))
    failed = await send(client, details(b"x" * 16))  # an error with the content at hand
    assert failed.status_code >= 500

    lines = log.getvalue().splitlines()
    ours = [line for line in lines if "HTTP Request" not in line]  # that is the test's client
    written = "\n".join(ours) + services.metrics.text().decode()
    for route in ("/v1/handovers/details", "/v1/staff/inbox/{handover}", "/v1/phone-numbers"):
        assert route in written, f"{route} was not logged, so nothing was tested"
    for secret in ("Lan", "Trần", "901234567", code, handover, "ABCD-EFGH", "khỏe"):
        assert secret not in written
    assert not re.search(r"127\.0\.0\.1\b", written)
