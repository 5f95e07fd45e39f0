"""Sealed values open with their key, at their place, unchanged; and nowhere else."""

from pathlib import Path

import pytest

from bluezone.server.keys import KeyUnavailable
from bluezone.server.sealing import Sealer


def test_a_value_opens_at_its_place_alone(tmp_path: Path) -> None:
    sealer = Sealer(tmp_path, "inbox")
    sealed = sealer.seal("Trần Thị Lan".encode(), b"content", b"1")
    assert b"Lan" not in sealed
    assert sealer.open(sealed, b"content", b"1").decode() == "Trần Thị Lan"
    assert sealer.seal(b"x", b"a") != sealer.seal(b"x", b"a")
    for place in ((b"content", b"2"), (b"content1",), (b"content", b"1", b"")):
        with pytest.raises(KeyUnavailable):
            sealer.open(sealed, *place)
    for damaged in (sealed[:-1], b"", sealed[:12], bytes(12) + sealed[12:]):
        with pytest.raises(KeyUnavailable):
            sealer.open(damaged, b"content", b"1")


def test_another_key_opens_nothing_and_says_which_file_to_look_at(tmp_path: Path) -> None:
    sealed = Sealer(tmp_path, "inbox").seal(b"x", b"a")
    with pytest.raises(KeyUnavailable, match="outbox-key"):
        Sealer(tmp_path, "outbox").open(sealed, b"a")
