"""Every setting is documented, and a wrong one is told apart from a right one."""

import re
from dataclasses import MISSING, fields
from pathlib import Path
from typing import get_type_hints

import pytest

from bluezone.server.config import Environment, SettingError, Settings, load_settings

OPERATIONS = Path(__file__).parents[2] / "docs" / "operations.md"


def _rows() -> list[str]:
    hints = get_type_hints(Settings, include_extras=True)
    rows = []
    for field in fields(Settings):
        default = "(required)" if field.default is MISSING else f"`{field.default}`"
        default = "(empty)" if field.default == "" else default
        (why,) = hints[field.name].__metadata__
        rows.append(f"| `BLUEZONE_{field.name.upper()}` | {default} | {why} |")
    return rows


def test_operations_lists_every_setting_with_its_default_and_why() -> None:
    documented = re.findall(r"^\| `BLUEZONE_.*$", OPERATIONS.read_text("utf-8"), re.M)
    assert documented == _rows(), "copy this into docs/operations.md:\n" + "\n".join(_rows())


def test_values_are_typed() -> None:
    settings = load_settings(
        {"BLUEZONE_HOME": "/srv/x", "BLUEZONE_ENVIRONMENT": "demo", "BLUEZONE_BODY_SECONDS": "2.5"}
    )
    assert settings.home == Path("/srv/x")
    assert settings.environment is Environment.DEMO
    assert settings.body_seconds == 2.5
    assert settings.database_url == "sqlite:////srv/x/service.db"


@pytest.mark.parametrize(
    ("environment", "chosen", "required"),
    [
        ("production", "by-environment", True),
        ("production", "required", True),
        ("demo", "by-environment", False),
        ("demo", "required", True),
        ("demo", "optional", False),
    ],
)
def test_a_real_service_requires_the_second_factor(
    environment: str, chosen: str, required: bool
) -> None:
    settings = load_settings(
        {
            "BLUEZONE_HOME": "/a",
            "BLUEZONE_ENVIRONMENT": environment,
            "BLUEZONE_SECOND_FACTOR": chosen,
        }
    )
    assert settings.second_factor_required is required
    with pytest.raises(SettingError, match="only BLUEZONE_ENVIRONMENT=demo"):
        load_settings({"BLUEZONE_HOME": "/a", "BLUEZONE_SECOND_FACTOR": "optional"})


def test_some_numbers_may_be_zero() -> None:
    names = ("ANSWER_SECONDS", "EXPORT_MINIMUM_KEYS", "INDEX_SPREAD_SECONDS")
    zeros = {f"BLUEZONE_{name}": "0" for name in names}
    assert load_settings({"BLUEZONE_HOME": "/a", **zeros}).answer_seconds == 0


def test_options_win_over_the_environment() -> None:
    settings = load_settings({"BLUEZONE_HOME": "/a"}, home=Path("/b"), database=None)
    assert (settings.home, settings.database) == (Path("/b"), "")


@pytest.mark.parametrize(
    ("environment", "told"),
    [
        ({}, "BLUEZONE_HOME is not set"),
        ({"BLUEZONE_HOME": "/a", "BLUEZONE_HOEM": "/a"}, "unknown setting BLUEZONE_HOEM"),
        ({"BLUEZONE_HOME": "/a", "BLUEZONE_MAX_BODY_BYTES": "1k"}, "must be a whole number"),
        ({"BLUEZONE_HOME": "/a", "BLUEZONE_BODY_SECONDS": ""}, "must be a number"),
        ({"BLUEZONE_HOME": "/a", "BLUEZONE_ENVIRONMENT": "dev"}, "must be production or demo"),
        ({"BLUEZONE_HOME": "/a", "BLUEZONE_MAX_BODY_BYTES": "-1"}, "above zero, not -1"),
        ({"BLUEZONE_HOME": "/a", "BLUEZONE_BODY_SECONDS": "0"}, "above zero"),
        ({"BLUEZONE_HOME": "/a", "BLUEZONE_BODY_SECONDS": "nan"}, "above zero"),
        ({"BLUEZONE_HOME": "/a", "BLUEZONE_EXPORT_PERIOD_SECONDS": "0"}, "between 300 and 43200"),
        ({"BLUEZONE_HOME": "/a", "BLUEZONE_EXPORT_PERIOD_SECONDS": "60"}, "between 300 and 43200"),
        ({"BLUEZONE_HOME": "/a", "BLUEZONE_INDEX_SPREAD_SECONDS": "-1"}, "between 0 and 43200"),
    ],
)
def test_what_is_wrong_is_said(environment: dict[str, str], told: str) -> None:
    with pytest.raises(SettingError, match=told):
        load_settings(environment)
