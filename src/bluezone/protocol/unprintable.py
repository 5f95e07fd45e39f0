"""The parent of messages and records whose content must never reach a log or a screen."""

import msgspec


class Unprintable(msgspec.Struct, frozen=True):
    """A struct that says what it is and nothing of what it holds."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}(<hidden>)"
