"""Names, units, passwords and locks."""

import pytest

from bluezone.server.people import rules


@pytest.mark.parametrize(
    "password",
    [
        "short",
        "aaaaaaaaaaaaaaaa",
        "password123456",
        "MatKhau123456!",
        "nguyenlan123456",
        "bluezonevietnam",
        "abcabcabcabcabc",
        "x" * 201,
    ],
)
def test_passwords_that_are_refused(password: str) -> None:
    with pytest.raises(rules.AccountError):
        rules.check_password(password, "nguyenlan")


@pytest.mark.parametrize(
    "password", ["bốn con trâu qua cầu", "correct horse battery staple", "k9$Vw2!pQz7r"]
)
def test_passwords_that_are_fine(password: str) -> None:
    rules.check_password(password, "nguyenlan")


@pytest.mark.parametrize("name", ["", "a", "a b", "lan\n", "<lan>", "x" * 65, ".lan", "lân"])
def test_names_that_are_refused(name: str) -> None:
    with pytest.raises(rules.AccountError):
        rules.check_name(name)


def test_a_name_is_one_in_any_spelling() -> None:
    assert rules.normal_name("  Lan@HN.vn ") == "lan@hn.vn"
    rules.check_name("lan@hn.vn")


def test_locks_double_up_to_a_limit() -> None:
    assert [rules.lock_seconds(n) for n in range(4, 12)] == [0, 30, 60, 120, 240, 480, 900, 900]
    assert rules.lock_seconds(10**9) == 900
