"""Objects appear whole or not at all, and no name leaves the folder."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bluezone.storage import objects
from bluezone.storage.objects import FolderObjects, ObjectMissing, ObjectStoreFull


async def test_put_get_list_delete(tmp_path: Path) -> None:
    store = FolderObjects(tmp_path / "public")
    await store.put("index.json", b"{}")
    await store.put("exports/b.zip", b"2")
    await store.put("exports/a.zip", b"1")
    await store.put("exports/a.zip", b"one")
    assert await store.get("exports/a.zip") == b"one"
    assert await store.exists("index.json")
    assert list(await store.list("exports/")) == ["exports/a.zip", "exports/b.zip"]
    await store.delete("exports/a.zip")
    await store.delete("exports/a.zip")
    assert not await store.exists("exports/a.zip")
    with pytest.raises(ObjectMissing):
        await store.get("exports/a.zip")
    with pytest.raises(ObjectMissing):
        await store.get("exports")


@pytest.mark.parametrize(
    "name",
    ["", "/etc/passwd", "../x", "a/../b", "a//b", ".hidden", "a/.tmp-1", "a b", "a\n", "a\0b", "é"],
)
async def test_names_that_are_refused(tmp_path: Path, name: str) -> None:
    store = FolderObjects(tmp_path)
    with pytest.raises(ValueError, match="is not an object name"):
        await store.put(name, b"")
    with pytest.raises(ValueError, match="is not an object name"):
        await store.get(name)


@given(st.text(max_size=40))
def test_no_name_leads_outside(name: str) -> None:
    folder = Path("/srv/public")
    store = FolderObjects.__new__(FolderObjects)
    store._folder = folder
    try:
        path = store._path(name)
    except ValueError:
        return
    assert folder in path.resolve().parents


async def test_a_failed_write_leaves_the_old_object_and_no_rubbish(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = FolderObjects(tmp_path)
    await store.put("index.json", b"old")

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(objects.os, "fsync", full)
    with pytest.raises(ObjectStoreFull, match=r"index\.json"):
        await store.put("index.json", b"new")
    assert await store.get("index.json") == b"old"
    assert os.listdir(tmp_path) == ["index.json"]


async def test_what_a_killed_writer_left_is_no_object(tmp_path: Path) -> None:
    store = FolderObjects(tmp_path)
    (tmp_path / ".tmp-abc").write_bytes(b"half")
    assert list(await store.list()) == []
