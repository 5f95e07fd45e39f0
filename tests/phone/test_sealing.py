"""Sealed values open only in their place and with their key; the key is kept where it is said."""

import stat
from pathlib import Path

import hypothesis.strategies as st
import keyring.backend
import keyring.errors
import pytest
from hypothesis import given

from bluezone.phone.sealing import (
    KeyPlace,
    KeyUnavailableError,
    Sealer,
    UnsealError,
    diary_key,
    forget_key,
)


class Ring(keyring.backend.KeyringBackend):
    """A keyring in memory, which can be locked."""

    priority = -1  # backends register themselves: nobody else may be given this one

    def __init__(self) -> None:
        super().__init__()
        self.kept: dict[tuple[str, str], str] = {}
        self.locked = False

    def _check(self) -> None:
        if self.locked:
            raise keyring.errors.KeyringLocked("locked")

    def get_password(self, service: str, username: str) -> str | None:
        self._check()
        return self.kept.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self._check()
        self.kept[service, username] = password

    def delete_password(self, service: str, username: str) -> None:
        self._check()
        if self.kept.pop((service, username), None) is None:
            raise keyring.errors.PasswordDeleteError("not there")


@given(st.binary(max_size=200), st.binary(max_size=20))
def test_what_is_sealed_opens_in_its_place(plain: bytes, place: bytes) -> None:
    sealer = Sealer(bytes(32))
    sealed = sealer.seal(plain, place)
    assert sealer.unseal(sealed, place) == plain
    assert len(sealed) == len(plain) + 28
    for other in (Sealer(b"k" * 32), sealer):
        elsewhere = place if other is not sealer else place + b"!"
        with pytest.raises(UnsealError):
            other.unseal(sealed, elsewhere)
    with pytest.raises(UnsealError):
        sealer.unseal(sealed[:-1], place)


def test_without_a_keyring_the_key_is_a_file_for_the_owner_alone(tmp_path: Path) -> None:
    first = diary_key(tmp_path, None)
    assert (first.place, first.made_now) == (KeyPlace.FILE, True)
    assert stat.S_IMODE((tmp_path / "diary.key").stat().st_mode) == 0o600
    again = diary_key(tmp_path, Ring())
    assert (again.key, again.place, again.made_now) == (first.key, KeyPlace.FILE, False)
    assert first.key.hex() not in repr(first)


def test_with_a_keyring_the_key_is_not_on_the_disk(tmp_path: Path) -> None:
    ring = Ring()
    first = diary_key(tmp_path, ring)
    assert first.place is KeyPlace.KEYRING
    assert first.key not in (tmp_path / "diary.key").read_bytes()
    assert diary_key(tmp_path, ring).key == first.key
    forget_key(tmp_path, ring)
    assert ring.kept == {}


def test_a_locked_keyring_is_no_lost_key(tmp_path: Path) -> None:
    ring = Ring()
    first = diary_key(tmp_path, ring)
    ring.locked = True
    for unusable in (ring, None):
        with pytest.raises(KeyUnavailableError) as error:
            diary_key(tmp_path, unusable)
        assert "keyring" in error.value.text("en")
    ring.locked = False
    assert diary_key(tmp_path, ring).key == first.key


def test_a_keyring_that_keeps_nothing_falls_back_to_the_file(tmp_path: Path) -> None:
    ring = Ring()
    ring.locked = True
    assert diary_key(tmp_path, ring).place is KeyPlace.FILE


def test_a_key_file_cut_short_is_put_aside(tmp_path: Path) -> None:
    (tmp_path / "diary.key").write_bytes(b"short")
    assert diary_key(tmp_path, None).made_now
    assert (tmp_path / "diary.key.damaged-1").read_bytes() == b"short"
