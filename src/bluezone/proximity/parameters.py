"""The fitted numbers of the estimator, with where they come from. They ship in parameters.json."""

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from importlib.resources import files
from typing import Any


@dataclass(frozen=True, slots=True)
class ModelOffsets:
    """By how many dB more a phone model attenuates than the average one."""

    sends_db: float
    receives_db: float


@dataclass(frozen=True, slots=True)
class Parameters:
    """A pair's log10 distance and its readings as one Gaussian process (docs/proximity.md).

    All spreads are standard deviations, all times coherence times in seconds, distances log10
    metres, levels dB. Attenuation is in the unit of the published thresholds (55/63 dB).
    """

    # People: how far apart two are on average over a meeting, and how they move in it.
    typical_distance: float
    distance_between: float
    distance_within: float
    distance_seconds: float
    # Radio: attenuation at the typical distance, and how it grows per factor ten.
    attenuation_db: float
    slope_db: float
    # What is constant over a meeting: for both directions alike, and for each by itself.
    pair_db: float
    direction_db: float
    # What changes within it: bodies that turn, and what one minute's mean still errs.
    shadow_db: float
    shadow_seconds: float
    minute_db: float
    packet_db: float
    # What a phone's own diary says of it: the median of all phones, and how far to believe it.
    diary_attenuation_db: float
    diary_weight: float = 0.5
    diary_bound_db: float = 8.0
    # Spread over models, for a phone whose model is not known.
    sends_sd_db: float = 0.0
    receives_sd_db: float = 0.0
    models: Mapping[str, ModelOffsets] = field(default_factory=dict)
    carriage_db: Mapping[str, float] = field(default_factory=dict)
    fitted_on: tuple[str, ...] = ()
    fitted_at: str = ""

    def as_json(self) -> str:
        """The form of parameters.json."""
        return json.dumps(asdict(self), indent=2, ensure_ascii=False) + "\n"

    @classmethod
    def from_json(cls, text: str) -> "Parameters":
        """ValueError that names what is missing, unknown or not a number."""
        try:
            values = json.loads(text)
            rows = _object("models", values.pop("models", {}))
            models = {
                name: ModelOffsets(**_object(f"models: {name}", row)) for name, row in rows.items()
            }
            carriages = _object("carriage_db", values.pop("carriage_db", {}))
            fitted_on = values.pop("fitted_on", [])
            if not isinstance(fitted_on, list):
                raise TypeError(f"fitted_on must be a list, not {fitted_on!r}")
            made = cls(
                **values, models=models, carriage_db=carriages, fitted_on=tuple(map(str, fitted_on))
            )
        except (json.JSONDecodeError, TypeError, AttributeError) as error:
            raise ValueError(f"these are not parameters of the estimator: {error}") from error
        own = {row.name: getattr(made, row.name) for row in fields(cls) if row.type is float}
        offsets = {
            f"models: {name}: {which}": value
            for name, row in models.items()
            for which, value in asdict(row).items()
        } | {f"carriage_db: {name}": value for name, value in carriages.items()}
        for name, value in (own | offsets).items():
            if not _is_number(value):
                raise ValueError(f"{name} must be a number, not {value!r}")
            if name in _POSITIVE and value <= 0:
                raise ValueError(f"{name} must be a number above 0, not {value!r}")
            if name in own and name not in _PLACES and value < 0:
                raise ValueError(f"{name} must not be below 0, but is {value!r}")
        return made


def _object(name: str, value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise TypeError(f"{name} must be an object, not {value!r}")
    return value


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


_POSITIVE = (
    "distance_between",
    "distance_within",
    "distance_seconds",
    "slope_db",
    "pair_db",
    "shadow_seconds",
    "minute_db",
)
_PLACES = ("typical_distance", "attenuation_db", "diary_attenuation_db")

SHIPPED = Parameters.from_json(
    (files("bluezone.proximity") / "parameters.json").read_text(encoding="utf-8")
)
