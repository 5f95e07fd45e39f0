"""A hostile page in the browser of a health worker, and hostile text in forms and headers."""

import re

import httpx
import pytest

from bluezone.server import forms
from tests.conftest import database_url
from tests.server.diagnosis.installation import PASSWORD, Service

__all__ = ["database_url"]  # both kinds of store


async def form_token(browser: httpx.AsyncClient, path: str) -> str:
    found = re.search(r'name="form_token" value="([0-9a-f]{64})"', (await browser.get(path)).text)
    assert found
    return found.group(1)


async def signed_in(browser: httpx.AsyncClient) -> httpx.Response:
    form = {"form_token": await form_token(browser, "/staff/sign-in"), "name": "lan"}
    answer = await browser.post("/staff/sign-in", data={**form, "password": PASSWORD})
    assert answer.status_code == 303
    return answer


@pytest.mark.parametrize(
    "path",
    ["/v1/index.json/", "/staff/", "/v1/keys/", "/health/live/", "//evil.example/..", "/static"],
)
async def test_no_answer_leads_to_another_host(service: Service, path: str) -> None:
    """A redirect made from the Host header, kept by a cache, would send phones elsewhere."""
    for method in ("GET", "POST"):
        request = httpx.Request(
            method, f"https://service.test{path}", headers={"Host": "evil.example"}
        )
        answer = await service.client.send(request)
        assert "evil" not in answer.headers.get("location", "")
        assert "evil" not in answer.text


async def test_a_session_planted_before_signing_in_is_not_adopted(service: Service) -> None:
    service.client.cookies.set(forms.SESSION_COOKIE, "planted")
    await signed_in(service.client)
    tokens = [
        cookie.value for cookie in service.client.cookies.jar if cookie.name == "bluezone_session"
    ]
    assert any(token != "planted" for token in tokens)
    async with service.from_address("198.51.100.7") as thief:
        thief.cookies.set(forms.SESSION_COOKIE, "planted")
        assert (await thief.get("/staff")).status_code == 303


async def test_a_cookie_planted_by_a_sibling_site_makes_no_form_valid(service: Service) -> None:
    """Any host below our domain can set cookies for us, and its requests count as same-site."""
    await signed_in(service.client)
    planted = "known to the attacker"
    service.client.cookies.set(forms._VISITOR_COOKIE, planted)
    form = {
        "form_token": forms._token(planted),
        "report_type": "confirmed-test",
        "symptom_onset": "",
    }
    answer = await service.client.post("/staff/codes", data=form)
    assert answer.status_code == 403
    assert 'id="code"' not in answer.text


@pytest.mark.parametrize(
    "text",
    [
        '"><script>alert(1)</script>',
        "{{7*7}}{%raw%}",
        "{seconds.__class__}",
        "%(x)s",
        "a\x00b",
        "\ud800".encode("utf-8", "surrogatepass").decode("latin-1"),
        "'; DROP TABLE staff_accounts; --",
        "lan\r\nSet-Cookie: a=b",
    ],
)
async def test_hostile_names_are_text_and_nothing_else(service: Service, text: str) -> None:
    form = {
        "form_token": await form_token(service.client, "/staff/sign-in"),
        "name": text,
        "password": text,
    }
    answer = await service.client.post("/staff/sign-in", data=form)
    assert answer.status_code == 401
    assert "<script>alert" not in answer.text
    assert "49" not in re.findall(r'value="([^"]*)"', answer.text)
    assert "set-cookie" not in answer.headers
    answer = await service.client.post("/v1/staff/session", json={"name": text, "password": text})
    assert answer.status_code == 401
    answer = await service.client.post(
        "/v1/staff/session", content=b'{"name":"\\ud800","password":"\\udfff"}'
    )
    assert answer.status_code in (400, 401)
    await signed_in(service.client)  # the accounts are still there
