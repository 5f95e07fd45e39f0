"""News: only what was looked at goes out, signed, in editions that only grow."""

import re

import httpx
import pytest

from bluezone.clock import ManualClock
from bluezone.protocol.announcements import News, read_announcement
from bluezone.protocol.trust import read_certificates
from bluezone.server.context import Services
from bluezone.server.errors import Refused
from bluezone.server.keys import load_pins
from bluezone.server.news import service
from bluezone.server.news.rules import MAX_ITEMS, Text, check_text, read_text
from bluezone.server.people.rules import StaffRole
from tests.server.conftest import PASSWORD, AddStaff, RunJob, SignInAs

TEXT = Text("Tin", "News", "Một.\n\nHai.", "One.\n\nTwo.", important=True)
FORM = {
    "title_vi": "Xin <b>chào</b>",
    "title_en": "Hello",
    "body_vi": "Nội dung\r\n\r\nđoạn hai",
    "body_en": "{{ 7*7 }} {text.__class__}",
}


async def edition(client: httpx.AsyncClient, services: Services, last: int = 0) -> News:
    document = (services.settings.objects_folder / "trust.json").read_bytes()
    trust = read_certificates(document, load_pins(services.settings.home))
    response = await client.get("/v1/news.json")
    assert response.status_code == 200
    return read_announcement(response.content, News, trust, services.now, last_sequence=last)


async def publish(services: Services, text: Text = TEXT) -> str:
    async with services.database.transaction() as session:
        item = await service.write(session, text, by="root", now=services.now)
        await service.publish(
            session, services, item.id, by="root", seen=services.now, now=services.now
        )
    return item.id


async def withdraw(services: Services, identity: str) -> None:
    async with services.database.transaction() as session:
        await service.withdraw(session, services, identity, now=services.now)


async def test_published_news_is_on_phones_newest_first_until_it_is_withdrawn(
    client: httpx.AsyncClient, services: Services, clock: ManualClock
) -> None:
    assert (await client.get("/v1/news.json")).status_code == 404
    old = await publish(services)
    first = await edition(client, services)
    clock.advance(60)
    new = await publish(services)
    second = await edition(client, services, first.sequence + 1)
    assert [one.id for one in second.items] == [new, old]
    one = second.items[0]
    assert (one.title["vi"], one.body["en"], one.important) == ("Tin", "One.\n\nTwo.", True)
    assert one.published_at == second.issued_at == services.now
    await withdraw(services, old)
    third = await edition(client, services, second.sequence + 1)
    assert [one.id for one in third.items] == [new]
    with pytest.raises(Refused, match="news-changed"):
        await withdraw(services, old)


async def test_it_is_cached_and_not_sent_twice(
    client: httpx.AsyncClient, services: Services
) -> None:
    await publish(services)
    first = await client.get("/v1/news.json")
    assert first.headers["cache-control"] == "public, max-age=60"
    same = {"If-None-Match": first.headers["etag"]}
    assert (await client.get("/v1/news.json", headers=same)).status_code == 304
    await publish(services)
    assert (await client.get("/v1/news.json", headers=same)).status_code == 200


async def test_a_renewal_repairs_what_a_killed_run_left(
    client: httpx.AsyncClient, services: Services, run_job: RunJob
) -> None:
    await run_job("renew-news")
    assert (await client.get("/v1/news.json")).status_code == 404
    await publish(services)
    first = await edition(client, services)
    await run_job("renew-news")
    assert await edition(client, services) == first
    await services.objects.delete("news.json")
    await run_job("renew-news")
    assert (await edition(client, services, first.sequence + 1)).items == first.items


async def test_no_more_than_a_phone_reads(
    services: Services, client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service.rules, "MAX_ITEMS", 2)
    await publish(services)
    await publish(services)
    with pytest.raises(Refused, match="news-too-many"):
        await publish(services)
    assert len((await edition(client, services)).items) == 2
    assert MAX_ITEMS == 200  # the schema of announcements


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"title_en": " \0"}, "news-incomplete"),
        ({"body_vi": ""}, "news-incomplete"),
        ({"title_vi": "x" * 201}, "news-title"),
        ({"title_vi": "a\nb"}, "news-title"),
        ({"body_en": "x" * 4001}, "news-body"),
    ],
)
def test_what_phones_would_refuse_is_refused_first(changes: dict[str, str], error: str) -> None:
    given = {"title_vi": "a", "title_en": "b", "body_vi": "c", "body_en": "d", **changes}
    with pytest.raises(Refused, match=error):
        check_text(Text(**given, important=False))


def test_what_nobody_sees_is_left_out() -> None:
    kept = check_text(Text(" a\u00a0b\0 ", "b", "c\r\n\r\nd\x07", "d", important=False))
    assert (kept.title_vi, kept.body_vi) == ("a b", "c\n\nd")


@pytest.mark.parametrize("content", [b"", b"[]", b'{"title": {"vi": "a"}, "body": {}}', b"\xff"])
def test_a_file_that_is_no_news_is_said(content: bytes) -> None:
    with pytest.raises(ValueError, match="the file must be"):
        read_text(content)


async def token_of(client: httpx.AsyncClient, path: str) -> str:
    found = re.search(r'name="form_token" value="([0-9a-f]{64})"', (await client.get(path)).text)
    assert found
    return found.group(1)


async def sign_in(client: httpx.AsyncClient, name: str) -> None:
    form = {"form_token": await token_of(client, "/staff/sign-in"), "name": name}
    signed_in = await client.post("/staff/sign-in", data={**form, "password": PASSWORD})
    assert signed_in.status_code == 303


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_it_is_written_looked_at_and_published_on_pages(
    client: httpx.AsyncClient, services: Services, add_staff: AddStaff, clock: ManualClock
) -> None:
    await add_staff("root", StaffRole.ADMIN)
    await sign_in(client, "root")
    token = {"form_token": await token_of(client, "/staff/news")}
    incomplete = await client.post("/staff/news", data={**token, **FORM, "title_en": ""})
    assert incomplete.status_code == 400
    assert "Xin &lt;b&gt;chào" in incomplete.text, "what was typed is still there"
    kept = await client.post("/staff/news", data={**token, **FORM})
    address = kept.headers["location"]
    preview = (await client.get(address)).text
    assert "Xin &lt;b&gt;chào&lt;/b&gt;" in preview
    assert "{{ 7*7 }} {text.__class__}" in preview
    assert (await client.get("/v1/news.json")).status_code == 404, "nothing is out yet"

    seen = {"seen": str(services.now)}
    unsure = await client.post(f"{address}/publish", data={**token, **seen})
    assert unsure.status_code == 400
    clock.advance(10)  # somebody else changes the draft meanwhile
    changed = {**token, **FORM, "title_en": "Good day", "important": "yes"}
    assert (await client.post(address, data=changed)).status_code == 303
    late = await client.post(f"{address}/publish", data={**token, **seen, "sure": "yes"})
    assert late.status_code == 409
    assert (await client.get("/v1/news.json")).status_code == 404
    seen = {"seen": str(services.now), "sure": "yes"}
    assert (await client.post(f"{address}/publish", data={**token, **seen})).status_code == 303
    [one] = (await edition(client, services)).items
    assert (one.title["en"], one.important) == ("Good day", True)
    assert one.body["vi"] == "Nội dung\n\nđoạn hai"
    # What is out cannot be rewritten, only withdrawn.
    assert (await client.post(address, data={**token, **FORM})).status_code == 409
    gone = await client.post(f"{address}/withdraw", data={**token, "sure": "yes"})
    assert gone.status_code == 303
    assert (await edition(client, services)).items == ()
    assert (await client.get("/staff/news/a%00b")).status_code == 404


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_a_health_worker_publishes_nothing(
    client: httpx.AsyncClient, services: Services, add_staff: AddStaff, bearer: SignInAs
) -> None:
    async with services.database.transaction() as session:
        item = await service.write(session, TEXT, by="root", now=services.now)
    await add_staff("lan")
    await sign_in(client, "lan")
    token = {"form_token": await token_of(client, "/staff/codes")}
    for path in ("", f"/{item.id}", f"/{item.id}/publish", f"/{item.id}/withdraw"):
        refused = await client.post(f"/staff/news{path}", data={**token, **FORM, "sure": "yes"})
        assert refused.status_code == 403
    assert (await client.get("/staff/news")).status_code == 403
    assert (await client.get("/v1/news.json")).status_code == 404


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_without_a_key_the_page_says_what_the_operator_must_do(
    client: httpx.AsyncClient, services: Services, add_staff: AddStaff
) -> None:
    services.keys._held = []
    await add_staff("root", StaffRole.ADMIN)
    await sign_in(client, "root")
    token = {"form_token": await token_of(client, "/staff/news")}
    address = (await client.post("/staff/news", data={**token, **FORM})).headers["location"]
    form = {**token, "sure": "yes", "seen": str(services.now)}
    refused = await client.post(f"{address}/publish", data=form)
    assert refused.status_code == 503
    assert "bluezone server keys complete" in refused.text
    async with services.database.read() as session:
        [item] = await service.items(session)
    assert item.state == "draft"
