"""Names with and without accents, what a record is found by, how alike two records are."""

import datetime as dt
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bluezone.server.register.rules import (
    ALIKE,
    SAME,
    Details,
    DetailsError,
    Sex,
    Token,
    check_details,
    likeness,
    name_words,
    plain,
    sought,
    token_texts,
    tokens,
)

TODAY = dt.date(2021, 1, 20)
KEY = bytes(range(32))
_VIETNAMESE = (
    "aăâeêioôơuưyđáàảãạắằẳẵặấầẩẫậéèẻẽẹếềểễệíìỉĩịóòỏõọốồổỗộớờởỡợúùủũụứừửữựýỳỷỹỵ bcdghklmnpqrstvx"
)
_names = st.text(_VIETNAMESE + _VIETNAMESE.upper(), min_size=1, max_size=40).filter(name_words)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Thị  Đào", "thi dao"),
        ("NGUYỄN VĂN ƯỚC", "nguyen van uoc"),
        ("Trần Thị Lan", "tran thi lan"),
        ("Nguye\u0302\u0303n", "nguyen"),  # the accents as characters of their own
        ("O'Brien-Lê", "o brien le"),
        ("\u200b  ", ""),
        ("Straße", "strasse"),
    ],
)
def test_accents_and_case_do_not_count(text: str, expected: str) -> None:
    assert plain(text) == expected


@given(st.text(max_size=60))
def test_plain_is_stable_and_says_nothing_twice(text: str) -> None:
    once = plain(text)
    assert plain(once) == once
    assert once == once.strip()
    assert "  " not in once


@given(_names)
def test_a_name_is_found_by_any_way_of_writing_it(name: str) -> None:
    def names(text: str) -> set[tuple[Token, bytes]]:
        return set(tokens(Details(name=text), "vn", KEY))

    assert names(name) == names(name.upper()) == names(f"  {name.lower()} ")
    assert names(name) == names(unicodedata.normalize("NFD", name)) == names(plain(name))
    wanted = {(kind, text) for kind, text in sought(name)}
    assert wanted <= set(token_texts(Details(name=name), "vn"))
    assert wanted


@given(_names, _names)
def test_tokens_tell_names_apart_and_need_the_key(one: str, other: str) -> None:
    def full(name: str, key: bytes = KEY) -> bytes:
        return dict(tokens(Details(name=name), "vn", key))[Token.FULL_NAME]

    assert (full(one) == full(other)) == (name_words(one) == name_words(other))
    assert full(one) != full(one, bytes(32))
    assert len(full(one)) == 16


def test_a_line_asks_for_a_name_a_telephone_or_an_identity() -> None:
    assert sought("Lan") == [(Token.GIVEN_NAME, "lan")]
    assert sought("Trần Thị Lan") == [(Token.WORD_PAIR, "thi lan"), (Token.WORD_PAIR, "tran thi")]
    assert sought(" 0901 234 567") == [(Token.PHONE, "+84901234567")]
    assert sought("001 090 012 345") == [(Token.IDENTITY, "001090012345")]
    assert sought("123456789") == [(Token.IDENTITY, "123456789")]
    for nothing in ("", "   ", "12345", "...", "1" * 40, "٠٩٠١٢٣٤٥٦٧"):
        assert sought(nothing) == []


def test_details_come_into_their_normal_form() -> None:
    given_ = Details(
        name="  Tra\u0302\u0300n  Thị Lan ",
        phone="090 123 4567",
        identity="001.090.012.345",
        birth=" 1990-05-17 ",
        address=" 1 Ngọc Hà ",
    )
    checked = check_details(given_, TODAY)
    assert (checked.name, checked.phone) == ("Trần Thị Lan", "+84901234567")
    assert (checked.identity, checked.birth) == ("001090012345", "1990-05-17")
    assert check_details(checked, TODAY) == checked


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": "123 456"}, "name"),
        ({"name": "Lan\u202e"}, "name"),
        ({"note": "a\0b"}, "name"),
        ({"phone": "12"}, "phone"),
        ({"identity": "12345"}, "identity"),
        ({"birth": "17/05/1990"}, "birth"),
        ({"birth": "2021-02-30"}, "birth"),
        ({"birth": "2021-01-21"}, "birth"),
        ({"birth": "1800"}, "birth"),
        # What is longer than a record takes would be sealed, and never open again.
        ({"name": "Lan " * 31}, "name"),
        ({"name": "\u0958" * 120}, "name"),  # twice as long in its normal form
        ({"address": "x" * 301}, "address"),
        ({"occupation": "x" * 121}, "occupation"),
        ({"workplace": "x" * 301}, "workplace"),
        ({"note": "x" * 501}, "note"),
        ({"language": "x" * 6}, "language"),
    ],
)
def test_what_cannot_be_names_its_field(changes: dict[str, str], field: str) -> None:
    with pytest.raises(DetailsError) as refused:
        check_details(Details(**{"name": "Lan", **changes}), TODAY)
    assert refused.value.field == field


def _alike(one: Details, other: Details, *, near: bool = True) -> float:
    score = likeness(one, other, same_commune=near).score
    assert score == likeness(other, one, same_commune=near).score
    return score


def test_likeness_knows_who_is_who() -> None:
    lan = Details(name="Trần Thị Lan", phone="+84901234567", birth="1990-05-17", sex=Sex.FEMALE)
    assert _alike(lan, Details(name="TRAN THI LAN", phone="+84901234567", birth="1990")) >= SAME
    assert _alike(lan, Details(name="tran thi lan", birth="1990-05-17"), near=False) >= ALIKE
    # A mother and her son with one telephone.
    son = Details(name="Nguyễn Văn An", phone="+84901234567", birth="2015", sex=Sex.MALE)
    assert _alike(lan, son) < ALIKE
    # Two who have the commonest name in one commune, and other birthdays.
    assert _alike(lan, Details(name="Trần Thị Lan", birth="1955")) < ALIKE
    assert 0 <= _alike(Details(name="A"), Details(name="B"), near=False) <= 1


def test_the_identity_number_decides() -> None:
    one = Details(name="Lan", identity="001090012345", phone="+84901234567", birth="1990")
    assert _alike(one, Details(name="Khác", identity="001090012345"), near=False) == 1
    other = Details(name="Lan", identity="001090012346", phone="+84901234567", birth="1990")
    assert _alike(one, other) == 0
    old = Details(name="Lan", identity="123456789", phone="+84901234567", birth="1990")
    assert _alike(one, old) >= SAME  # an old number says nothing against a new one
