"""What an operator can set: one typed object, read from BLUEZONE_* environment variables."""

import math
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Final, get_type_hints


class Environment(StrEnum):
    """What this installation is for."""

    PRODUCTION = "production"
    DEMO = "demo"  # the only one whose time another process may drive


class SecondFactor(StrEnum):
    """Whether a password alone signs anybody in."""

    BY_ENVIRONMENT = "by-environment"
    REQUIRED = "required"
    OPTIONAL = "optional"  # asked of those who have one


class SettingError(ValueError):
    """A setting is not usable; the operator must change it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Each field, with its why, is the variable BLUEZONE_<FIELD>; docs/operations.md lists them."""

    home: Annotated[Path, "Folder of this installation: database, published files, secrets."]
    environment: Annotated[
        Environment,
        "`demo` allows a clock driven by another process; anything real is `production`.",
    ] = Environment.PRODUCTION
    clock_file: Annotated[
        str,
        "File through which another process drives the time (see Demonstrations); empty for the "
        "system's own time.",
    ] = ""
    database: Annotated[
        str,
        "URL of the database; empty for the SQLite file `service.db` in the home folder. "
        "Several processes or machines need `postgresql://user@host/name`.",
    ] = field(default="", repr=False)  # may hold a password
    max_body_bytes: Annotated[
        int, "Largest request body but of a hand-over; an upload has 4 KiB."
    ] = 64 * 1024
    body_seconds: Annotated[
        float, "Time a client has to send its body; slower ones would hold connections for nothing."
    ] = 10.0
    max_connections: Annotated[
        int, "Connections at once; more are answered 503 at the door, so that the rest go on."
    ] = 1000
    trusted_proxies: Annotated[
        str,
        "Addresses (comma separated) whose X-Forwarded-For is believed; with a wrong value "
        "clients choose the address that limits count against.",
    ] = "127.0.0.1"
    session_seconds: Annotated[int, "A staff member signs in once for a working shift."] = 8 * 3600
    session_idle_seconds: Annotated[
        int, "Without a request for so long a session ends: somebody left the room."
    ] = 3600
    second_factor: Annotated[
        SecondFactor,
        "`required`: whoever signs in needs an authenticator app; `optional`: whoever has one. "
        "`by-environment` is `required` in production, where nothing else is allowed.",
    ] = SecondFactor.BY_ENVIRONMENT
    metrics_token: Annotated[
        str, "Bearer token for /metrics; empty: only this machine itself may read them."
    ] = field(default="", repr=False)
    codes_per_worker_per_hour: Annotated[
        int, "A health worker issues one code a patient; more is a stolen account."
    ] = 60
    codes_per_unit_per_hour: Annotated[int, "The same for all workers of a unit together."] = 600
    number_codes_per_hour: Annotated[
        int, "Each code to a telephone number is a paid SMS; a flood must not become a bill."
    ] = 20_000
    answer_seconds: Annotated[
        float,
        "Permissions and uploads are answered no sooner, so that an observer of the network "
        "cannot tell chaff by its speed; 0 where nobody observes (a demonstration).",
    ] = 0.1
    export_period_seconds: Annotated[
        int, "Keys are published on this grid; shorter warns sooner, longer blurs more."
    ] = 3600
    export_minimum_keys: Annotated[
        int, "New reports are padded to this many keys, so that a file hides how many people."
    ] = 1000
    index_spread_seconds: Annotated[
        int, "Phones ask for a new index spread over this time, lest all ask at once."
    ] = 900

    @property
    def second_factor_required(self) -> bool:
        """Whether a password alone signs nobody in."""
        if self.second_factor is SecondFactor.BY_ENVIRONMENT:
            return self.environment is Environment.PRODUCTION
        return self.second_factor is SecondFactor.REQUIRED

    @property
    def database_url(self) -> str:
        return self.database or f"sqlite:///{(self.home / 'service.db').absolute()}"

    @property
    def objects_folder(self) -> Path:
        """Published files; a web server or CDN may serve this folder as it is."""
        return self.home / "public"

    @property
    def secrets_folder(self) -> Path:
        """Private role keys, readable by the service's user alone."""
        return self.home / "secrets"


def load_settings(environment: Mapping[str, str], **given: Any) -> Settings:
    """Settings from the environment; `given` values (a command's options) win over it.

    Raises SettingError for a value of the wrong type or size, a missing home and an unknown
    BLUEZONE_ variable, which is most likely a misspelt one.
    """
    known = {f"BLUEZONE_{one.name.upper()}": one for one in fields(Settings)}
    unknown = sorted(
        name for name in environment if name.startswith("BLUEZONE_") and name not in known
    )
    if unknown:
        raise SettingError(f"unknown setting {unknown[0]}; known are {', '.join(sorted(known))}")
    kinds = get_type_hints(Settings)
    values = {name: value for name, value in given.items() if value is not None}
    for variable, one in known.items():
        if one.name not in values and variable in environment:
            values[one.name] = _convert(variable, environment[variable], kinds[one.name])
    missing = [
        f"BLUEZONE_{one.name.upper()}"
        for one in fields(Settings)
        if one.default is MISSING and one.name not in values
    ]
    if missing:
        raise SettingError(f"{missing[0]} is not set")
    settings = Settings(**values)
    for variable, one in known.items():
        _check_range(variable, getattr(settings, one.name))
    if settings.environment is Environment.PRODUCTION and not settings.second_factor_required:
        raise SettingError(
            "BLUEZONE_SECOND_FACTOR=optional lets staff in by a password alone; "
            "only BLUEZONE_ENVIRONMENT=demo allows it"
        )
    return settings


_KINDS: Final = {int: "a whole number", float: "a number"}
_RANGES: Final = {  # any other number must be above zero
    "BLUEZONE_ANSWER_SECONDS": (0, 10),
    "BLUEZONE_EXPORT_MINIMUM_KEYS": (0, 100_000),
    # An index holds 10,000 files of a fortnight, and is valid for a day.
    "BLUEZONE_EXPORT_PERIOD_SECONDS": (300, 12 * 3600),
    "BLUEZONE_INDEX_SPREAD_SECONDS": (0, 12 * 3600),
}


def _check_range(variable: str, value: object) -> None:
    if not isinstance(value, int | float):
        return
    if variable in _RANGES:
        smallest, largest = _RANGES[variable]
        fits, limit = smallest <= value <= largest, f"between {smallest} and {largest}"
    else:
        fits, limit = 0 < value < math.inf, "above zero"
    if not fits:
        raise SettingError(f"{variable} must be {limit}, not {value}")


def _convert(variable: str, text: str, kind: Any) -> Any:
    try:
        return kind(text)
    except ValueError:
        expected = " or ".join(kind) if issubclass(kind, StrEnum) else _KINDS[kind]
        raise SettingError(f"{variable} must be {expected}, not {text!r}") from None
