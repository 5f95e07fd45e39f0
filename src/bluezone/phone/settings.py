"""What the owner chose: language, look, battery, place; whether the app has begun or stopped."""

from typing import Literal

import msgspec

from bluezone.phone.store import Store
from bluezone.web.catalogue import DEFAULT_LANGUAGE

_SETTINGS = "settings"


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Kept sealed in the diary's file; nothing of it leaves the phone by itself."""

    consented_at: float | None = None  # the first start is done; without it nothing begins
    stopped_at: float | None = None  # the owner stopped using the app
    language: str = DEFAULT_LANGUAGE
    text_size: Literal["normal", "large", "largest"] = "normal"
    theme: Literal["system", "light", "dark"] = "system"
    battery: Literal["usual", "saving"] = "usual"
    commune: str | None = None
    carrier: str | None = None
    desktop_notices: bool = True
    commitments_since: float | None = None  # the owner agreed to nightly commitments
    exposures_read_at: float = 0.0


def load_settings(store: Store) -> Settings:
    """The kept settings, or the first ones. Raises StoreError."""
    return store.load(_SETTINGS, Settings) or Settings()


def save_settings(store: Store, settings: Settings) -> None:
    """Raises StoreError."""
    store.save(_SETTINGS, settings)
