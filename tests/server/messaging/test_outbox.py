"""The outbox: administrators read it, nobody else, and each look is written down."""

import httpx
from sqlalchemy import select

from bluezone.server.audit.tables import AuditEntry
from bluezone.server.context import Services
from bluezone.server.people.rules import StaffRole
from tests.server.conftest import AddStaff, SignInAs


async def test_administrators_alone_read_messages(
    client: httpx.AsyncClient, services: Services, add_staff: AddStaff, bearer: SignInAs
) -> None:
    await client.post("/v1/phone-numbers", json={"phone_number": "0901234567", "language": "en"})
    await add_staff("root", StaffRole.ADMIN)
    await add_staff("lan")
    for headers, status in ((await bearer("lan"), 403), ({}, 401)):
        refused = await client.get("/v1/staff/outbox", headers=headers)
        assert refused.status_code == status
        assert "901234567" not in refused.text
    [message] = (await client.get("/v1/staff/outbox", headers=await bearer("root"))).json()[
        "messages"
    ]
    assert message["to"] == "+84901234567"
    assert "Bluezone" in message["text"]
    assert (message["purpose"], message["state"]) == ("number-code", "kept")
    async with services.database.read() as session:
        [look] = await session.scalars(select(AuditEntry))
    assert (look.account_name, look.action, look.subject) == ("root", "look", "outbox")
