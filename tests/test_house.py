"""House rules: every message has its Vietnamese, every dependency its reason, no stray words."""

import re
import subprocess
import tomllib
from functools import cache
from pathlib import Path

import pytest
from babel.messages.extract import extract_from_dir

from bluezone.web.catalogue import translate
from tests.conftest import LONGEST

_ROOT = Path(__file__).parent.parent
_SOURCE = _ROOT / "src" / "bluezone"


@cache
def _messages() -> frozenset[str]:
    found = extract_from_dir(
        str(_SOURCE),
        method_map=[("**.py", "python"), ("**/templates/**.html", "jinja2")],
        keywords={"_": None, "translate": None, "in_all_languages": None},
    )
    return frozenset(message for _, _, message, _, _ in found if isinstance(message, str))


def test_every_message_has_its_vietnamese() -> None:
    messages = _messages()
    assert len(messages) > 40, "the extraction finds too little to be believed"
    missing = sorted(m for m in messages if translate(m, "vi") == m)
    assert not missing, missing


def test_translations_keep_the_named_places() -> None:
    place = re.compile(r"\{(\w+)[^}]*\}")
    for message in _messages():
        assert set(place.findall(message)) == set(place.findall(translate(message, "vi"))), message


def test_every_dependency_has_its_line_of_why() -> None:
    project = tomllib.loads((_ROOT / "pyproject.toml").read_text())["project"]
    named = [*project["dependencies"], *project["optional-dependencies"]["dev"]]
    map_of_the_house = (_ROOT / "ARCHITECTURE.md").read_text()
    for requirement in named:
        name = re.split(r"[\[<>=!; ]", requirement)[0]
        if name != "bluezone":
            assert f"`{name}`" in map_of_the_house, f"ARCHITECTURE.md does not say why {name}"


def test_locks_name_no_registry() -> None:
    for lock in (_ROOT / "requirements").glob("*.txt"):
        assert "http://" not in lock.read_text()
        assert "https://" not in lock.read_text()


@pytest.mark.parametrize("name", ["README.md", "ARCHITECTURE.md"])
def test_the_maps_point_at_things_that_exist(name: str) -> None:
    """Links between our own pages, and pictures, lead somewhere."""
    text = (_ROOT / name).read_text()
    for target in re.findall(r"\]\(([^)#:]+)\)", text):
        assert (_ROOT / target).exists(), f"{name} points at {target}, which does not exist"


def test_every_verb_of_the_command_explains_itself() -> None:
    script = Path(__import__("sys").executable).parent / "bluezone"
    verbs = ["demo", "phone", "radio", "server", "export", "match", "proximity", "risk"]
    for verb in verbs:
        done = subprocess.run([script, verb, "--help"], capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{verb}: {done.stderr}"
        assert len(done.stdout) > 200, f"{verb} --help says too little"


def test_the_longest_tests_are_where_the_list_says() -> None:
    assert [name for name in LONGEST if not (_ROOT / name).exists()] == []
