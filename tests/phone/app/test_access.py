"""Only the owner's browser gets anything: no other user, no other site, no forged request."""

import asyncio
from contextlib import AsyncExitStack

import httpx
import pytest
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route

from bluezone.phone.app.serving import served
from bluezone.phone.ledger import Exchange
from bluezone.phone.page_keys import PageKeys
from bluezone.phone.store import StoreError, StoreFault
from bluezone.phone.told import Kind, Told
from bluezone.web.loopback import listen
from tests.phone.app.conftest import HERE, PORT, Asking, make_asking
from tests.phone.conftest import World
from tests.streams import connected

_PRIVATE = ["/", "/history.html", "/app.js", "/api/v1/state", "/api/v1/history", "/api/v1/export"]


@pytest.fixture
def stranger(world: World) -> Asking:
    return make_asking(world)


@pytest.mark.parametrize("path", _PRIVATE)
def test_without_the_cookie_everything_is_locked(stranger: Asking, path: str) -> None:
    answer = stranger.send("GET", path)
    assert answer.status_code == 401
    assert "set-cookie" not in answer.headers
    assert "bluezone" not in answer.headers.get("server", "")


def test_a_link_opens_once(stranger: Asking) -> None:
    link = stranger.phone.page_keys.link(PORT).removeprefix(HERE)
    opened = stranger.send("GET", link)
    stranger.take(opened)
    cookie = opened.headers["set-cookie"].lower()
    assert f"bluezone-{PORT}=" in cookie
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert stranger.send("GET", "/api/v1/state").status_code == 200
    stranger.client.cookies.clear()
    assert stranger.send("GET", link).status_code == 401


def test_the_cookie_alone_opens_no_answer(asking: Asking) -> None:
    """Another user's server, on another port of this address, is sent the cookie too."""
    for token in ("", "x", "é", asking.phone.page_keys.cookie()):
        given = {"X-Bluezone-Token": token.encode()}
        for path in ("state", "words/vi", "export", "nothing"):
            assert asking.send("GET", f"/api/v1/{path}", headers=given).status_code == 401
        assert asking.send("POST", "/api/v1/check", headers=given, json={}).status_code == 401
    assert asking.send("GET", "/app.js").status_code == 200


def test_the_token_alone_opens_nothing(asking: Asking) -> None:
    asking.client.cookies.clear()
    assert asking.send("GET", "/api/v1/state").status_code == 401


@pytest.mark.parametrize("odd", ['a[]=1; b="x', "=; ;;", "né=1", "a b c", "{}=[]"])
def test_an_odd_cookie_of_another_program_locks_nobody_out(asking: Asking, odd: str) -> None:
    name = f"bluezone-{PORT}"
    cookie = f"{odd}; {name}={asking.phone.page_keys.cookie()}"
    asking.client.cookies.clear()
    answer = asking.send("GET", "/api/v1/state", headers={"Cookie": cookie.encode()})
    assert answer.status_code == 200


def test_a_link_that_nobody_used_for_an_hour_opens_nothing(stranger: Asking) -> None:
    link = stranger.phone.page_keys.link(PORT).removeprefix(HERE)
    stranger.world.run(stranger.world.clock.sleep(3601))
    assert stranger.send("GET", link).status_code == 401


@pytest.mark.parametrize("key", ["", "x", "../../etc/passwd", "a" * 5000, "\x00", "é"])
def test_a_guessed_key_opens_nothing(stranger: Asking, key: str) -> None:
    stranger.phone.page_keys.new()
    assert stranger.send("GET", "/open", params={"key": key}).status_code == 401
    assert stranger.send("GET", "/api/v1/state").status_code == 401


@pytest.mark.parametrize(
    "host", ["evil.example", f"evil.example:{PORT}", "127.0.0.1", "127.0.0.1:1", "", "localhost"]
)
def test_a_name_that_leads_here_is_refused(asking: Asking, host: str) -> None:
    """DNS rebinding: the browser would send the name's cookies, and believes the name's origin."""
    assert asking.send("GET", "/api/v1/state", headers={"Host": host}).status_code == 421
    link = asking.phone.page_keys.link(PORT).removeprefix(HERE)
    assert asking.send("GET", link, headers={"Host": host}).status_code == 421


@pytest.mark.parametrize("origin", ["https://evil.example", "null", f"http://127.0.0.1:{PORT + 1}"])
def test_a_request_forged_by_another_page_changes_nothing(asking: Asking, origin: str) -> None:
    answer = asking.send(
        "POST", "/api/v1/delete", headers={"Origin": origin},
        json={"what": "everything", "confirm": True},
    )  # fmt: skip
    assert answer.status_code == 403
    assert asking.send("DELETE", "/api/v1/history", headers={"Origin": origin}).status_code == 403


def test_a_form_cannot_speak_the_interface(asking: Asking) -> None:
    answer = asking.send(
        "POST", "/api/v1/start", headers={"Content-Type": "text/plain"}, content='{"consent": true}'
    )
    assert answer.status_code == 403
    assert not asking.phone.active


def test_a_deletion_with_a_body_is_json_or_refused(asking: Asking) -> None:
    answer = asking.send(
        "DELETE", "/api/v1/history", headers={"Content-Type": "text/plain"}, content="{}"
    )
    assert answer.status_code == 403


@pytest.mark.parametrize("method", ["PUT", "PATCH", "OPTIONS", "DELETE"])
def test_an_unknown_method_is_answered_as_a_fault(asking: Asking, method: str) -> None:
    assert asking.ask(method, "state", status=405)["error"] == "method"
    assert asking.send(method, "/api/v2/state", json={}).json()["error"] in ("method", "unknown")


@pytest.mark.parametrize(("fault", "status"), [(StoreFault.FULL, 507), (StoreFault.BUSY, 500)])
def test_who_cannot_be_known_is_let_in_nowhere(
    asking: Asking, monkeypatch: pytest.MonkeyPatch, fault: StoreFault, status: int
) -> None:
    def fail(_keys: PageKeys) -> str:
        raise StoreError(fault, "as on a dying disk")

    monkeypatch.setattr(PageKeys, "cookie", fail)
    for path in ("/", "/api/v1/state", asking.phone.page_keys.link(PORT).removeprefix(HERE)):
        answer = asking.send("GET", path)
        assert answer.status_code == status
        assert answer.json()["error"] == fault.value
        assert "default-src 'none'" in answer.headers["content-security-policy"]


def test_a_damaged_row_hides_no_other(asking: Asking) -> None:
    asking.ask("POST", "start", {"consent": True})
    store = asking.phone._store
    for time in (1.0, 2.0):
        asking.phone.messages.add(Told(Kind.NEWS, time, {"vi": "a", "en": "a"}))
        sealed = store.seal(Exchange(time, "NEWS", "/v1/news.json", 0, 1, True), "exchange:0")
        store.execute("INSERT INTO exchange (day, sealed) VALUES (0, ?)", (sealed,))
    store.execute("UPDATE told SET sealed = zeroblob(60) WHERE id = (SELECT max(id) FROM told)")
    store.execute("UPDATE exchange SET sealed = zeroblob(60) WHERE id = 2")
    assert [told.time for _, told in asking.phone.messages.all()] == [1.0]
    assert asking.ask("GET", "state")["unread_notices"] == 1
    assert len(asking.ask("GET", "notices")["items"]) == 1
    assert len(asking.ask("GET", "ledger")["entries"]) == 1
    asking.ask("POST", "notices/read", {})


def test_every_answer_carries_the_strict_policy(asking: Asking, stranger: Asking) -> None:
    for answer in (
        asking.send("GET", "/"),
        asking.send("GET", "/api/v1/state"),
        asking.send("GET", "/nothing-here"),
        stranger.send("GET", "/"),
    ):
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cache-control"] == "no-store"


def test_the_cookie_outlives_a_deletion_of_everything(asking: Asking) -> None:
    """Its owner is looking at the page at that moment."""
    asking.ask("POST", "start", {"consent": True})
    asking.ask("POST", "delete", {"what": "everything", "confirm": True})
    assert asking.ask("GET", "state")["started"] is False


async def test_who_opens_many_connections_is_closed_at_the_door() -> None:
    """Anybody on this computer may connect; the phone needs its own connections."""

    listener = listen(0)
    host, port = listener.getsockname()
    async with served(
        Starlette(routes=[Route("/", lambda _: Response("here"))]), listener
    ) as address:
        async with AsyncExitStack() as opened:
            many = [await opened.enter_async_context(connected(host, port)) for _ in range(100)]
            await asyncio.sleep(0.2)
            closed = [reader.at_eof() or reader.exception() is not None for reader, _ in many]
            assert 30 <= sum(closed) < 100
        await asyncio.sleep(0.2)
        async with httpx.AsyncClient(trust_env=False) as client:
            assert (await client.get(address)).text == "here"
