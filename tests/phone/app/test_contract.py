"""The interface is what its document says, for this core and for any other."""

import inspect
import json
import re
from pathlib import Path
from typing import Any, get_type_hints

import msgspec
import pytest

from bluezone.phone.app import interface
from bluezone.phone.app.interface import Answer, Fault, Question
from bluezone.phone.app.routes import ENDPOINTS
from bluezone.phone.phone import Everything
from tests.phone.app.conftest import Asking

_DOCUMENT = Path(__file__).parents[3] / "docs" / "phone-interface.md"
_SCHEMA = Path(__file__).parent / "contract.json"
_KINDS = [
    kind
    for _name, kind in inspect.getmembers(interface, inspect.isclass)
    if issubclass(kind, Answer | Question) and kind not in (Answer, Question)
]


def test_the_schema_for_other_languages_is_current() -> None:
    """To renew it after a field was added: write `schema()` to contract.json."""
    assert json.loads(_SCHEMA.read_text()) == schema()


def schema() -> dict[str, Any]:
    _roots, components = msgspec.json.schema_components(_KINDS)
    found: dict[str, Any] = json.loads(msgspec.json.encode(components))
    return found


def test_every_type_and_field_is_only_a_form_of_json() -> None:
    for kind in _KINDS:
        assert kind.__doc__, f"{kind.__name__} does not say what it is"


def test_the_document_lists_every_question() -> None:
    rows = re.findall(r"^\| (.*?) \|", _DOCUMENT.read_text(), re.M)
    listed: set[tuple[str, str]] = set()
    for row in rows:
        methods: list[str] = []
        for method, path in re.findall(r"(GET|POST|DELETE)?,? ?(?:`([^`]+)`)?", row):
            if method:
                methods.append(method)
            if path:
                listed |= {(one, re.sub(r"\{\w+\}", "{}", path)) for one in methods}
                methods = []
    assert listed == set(ENDPOINTS)


@pytest.mark.parametrize(("method", "path"), [key for key in ENDPOINTS if key[0] == "GET"])
def test_what_is_asked_is_answered_in_its_form(asking: Asking, method: str, path: str) -> None:
    asking.ask("POST", "start", {"consent": True})
    filled = {"places/{}": "places/01", "words/{}": "words/vi"}.get(path, path)
    answer = asking.send(method, f"/api/v1/{filled}")
    assert answer.status_code == 200, answer.text
    kind = get_type_hints(ENDPOINTS[method, path].answer)["return"]
    decoded = msgspec.json.decode(answer.content, type=kind, strict=True)
    if kind is not Everything and isinstance(decoded, msgspec.Struct):
        sent = set(json.loads(answer.content))
        assert sent == set(kind.__struct_fields__)


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "error"),
    [
        ("GET", "nothing", None, 404, "unknown"),
        ("GET", "places/77", None, 404, "province-unknown"),
        ("GET", "words/fr", None, 404, "language-unknown"),
        ("DELETE", "state", None, 405, "method"),
        ("DELETE", "history/yesterday", None, 404, "no-such-day"),
        ("POST", "start", {"consent": False}, 400, "no-consent"),
        ("POST", "start", {"consent": True, "commune": "99999"}, 400, "commune-unknown"),
        ("POST", "start", {"consent": True, "invitation": "x"}, 400, "invitation-malformed"),
        ("POST", "start", {"consent": True, "spy": 1}, 400, "malformed"),
        ("POST", "settings", {"language": "fr"}, 400, "malformed"),
        ("POST", "settings", {"carrier": "Nobody"}, 400, "carrier-unknown"),
        ("POST", "number", {"phone_number": "12"}, 400, "number-malformed"),
        ("POST", "number/confirm", {"code": "1"}, 409, "no-code-asked"),
        ("POST", "report/preview", {"code": "12"}, 400, "code-malformed"),
        ("POST", "report/preview", {"code": "1" * 12, "onset": "2031-01-01"}, 400, "onset-wrong"),
        ("POST", "report", {"code": "1" * 12}, 400, "no-consent"),
        ("POST", "details", {"name": "Hoa"}, 400, "no-consent"),
        ("POST", "details", {"consent": True}, 400, "details-empty"),
        ("POST", "details/preview", {"phone_number": "abc"}, 400, "number-malformed"),
        ("POST", "details/preview", {"commune": "99999"}, 400, "commune-unknown"),
        ("POST", "details/preview", {"note": "x" * 501}, 400, "too-long"),
        ("POST", "handovers/withdraw", {"reference": "AAAA-AAAA"}, 404, "handover-unknown"),
        ("POST", "delete", {"what": "everything"}, 400, "not-confirmed"),
        ("POST", "delete", {"what": "all", "confirm": True}, 400, "malformed"),
    ],
)
def test_what_cannot_be_is_refused_in_both_languages(
    asking: Asking, method: str, path: str, body: Any, status: int, error: str
) -> None:
    answer = asking.ask(method, path, body, status)
    fault = msgspec.convert(answer, Fault)
    assert fault.error == error
    assert set(fault.message) == {"vi", "en"}
    assert fault.message["vi"] != fault.message["en"]
    assert not asking.phone.active


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b"\xff", b"[" * 50_000])
def test_a_body_that_is_no_question_is_refused(asking: Asking, body: bytes) -> None:
    answer = asking.send("POST", "/api/v1/start", content=body)
    assert answer.status_code == 400
    assert answer.json()["error"] == "malformed"


def test_a_body_that_is_too_long_is_refused(asking: Asking) -> None:
    answer = asking.send("POST", "/api/v1/start", content=b" " * 70_000)
    assert answer.status_code == 413
