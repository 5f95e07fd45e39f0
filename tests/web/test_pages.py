"""Pages: the reader's language, nothing unescaped, nothing missing in silence."""

from pathlib import Path

import pytest
from jinja2 import UndefinedError

from bluezone.web.pages import Pages, chosen_language


@pytest.fixture
def pages(tmp_path: Path) -> Pages:
    (tmp_path / "hello.html").write_text(
        '{% extends "web/frame.html" %}{% block title %}{{ _("Staff sign-in") }}{% endblock %}'
        '{% block content %}<p>{{ _("unit {unit}", unit=unit) }}</p>{% endblock %}'
    )
    return Pages({"duty": tmp_path})


def test_both_languages(pages: Pages) -> None:
    vietnamese = pages.render("duty/hello.html", "vi", unit="HN-01")
    assert '<html lang="vi">' in vietnamese
    assert "<title>Đăng nhập dành cho cán bộ y tế · Bluezone</title>" in vietnamese
    assert "<p>đơn vị HN-01</p>" in vietnamese
    assert "<p>unit HN-01</p>" in pages.render("duty/hello.html", "en", unit="HN-01")


def test_what_people_type_is_escaped(pages: Pages) -> None:
    html = pages.render("duty/hello.html", "vi", unit="<script>{0.__class__}")
    assert "&lt;script&gt;{0.__class__}" in html


def test_a_forgotten_value_is_an_error(pages: Pages) -> None:
    with pytest.raises(UndefinedError):
        pages.render("duty/hello.html", "vi")


@pytest.mark.parametrize(
    ("query", "cookie", "language"),
    [
        (None, None, "vi"),
        ("en", "vi", "en"),
        (None, "en", "en"),
        ("xx", "en", "en"),
        ("xx", "../../x", "vi"),
    ],
)
def test_the_language_chosen(query: str | None, cookie: str | None, language: str) -> None:
    assert chosen_language(query, cookie) == language
