"""Reading foreign JSON by hand: every value knows its path, so an error can name the place."""

import json
import math
from collections.abc import Iterable, Mapping
from enum import IntEnum
from typing import Any, NoReturn, TypeVar

_Enum = TypeVar("_Enum", bound=IntEnum)
_EXACT = 2**53  # beyond it a float no longer tells whole numbers apart
_KINDS = {dict: "an object", list: "a list", str: "a text", bool: "true or false"}


class JsonError(ValueError):
    """The JSON is not what was expected; `path` is where, `$` the whole document."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"{path}: {reason}")
        self.path = path
        self.reason = reason


class Node:
    """A JSON value and the path that leads to it."""

    def __init__(self, value: Any, path: str = "$") -> None:
        self.value = value
        self.path = path

    @classmethod
    def parse(cls, data: bytes) -> "Node":
        """Raises JsonError for anything but one JSON value in UTF-8 without repeated keys."""
        try:
            value = json.loads(
                data.decode("utf-8-sig"), object_pairs_hook=_unique, parse_constant=_no_constant
            )
        except JsonError:
            raise
        except RecursionError as error:
            raise JsonError("$", "nested too deeply") from error
        except ValueError as error:  # also UnicodeDecodeError, and integers of too many digits
            raise JsonError("$", f"not JSON: {error}") from error
        return cls(value)

    def fail(self, reason: str) -> NoReturn:
        raise JsonError(self.path, reason)

    def __contains__(self, key: str) -> bool:
        return isinstance(self.value, dict) and key in self.value

    def __getitem__(self, key: str) -> "Node":
        node = self.get(key)
        return node if node is not None else self.fail(f"the key {key!r} is missing")

    def get(self, *keys: str) -> "Node | None":
        """The value under the first of `keys` that is there and not null."""
        members = self._expect(dict)
        for key in keys:
            if members.get(key) is not None:
                return Node(members[key], f"{self.path}.{key}")
        return None

    def items(self) -> list["Node"]:
        """The elements of a list."""
        return [
            Node(value, f"{self.path}[{index}]") for index, value in enumerate(self._expect(list))
        ]

    def members(self) -> dict[str, "Node"]:
        """The members of an object."""
        return {key: Node(value, f"{self.path}.{key}") for key, value in self._expect(dict).items()}

    def only(self, known: Iterable[str]) -> None:
        """Refuse keys that are not `known` (a slip of the pen must not be passed over).

        Keys that begin with an underscore are comments.
        """
        for key in self._expect(dict).keys() - set(known):
            if not key.startswith("_"):
                raise JsonError(f"{self.path}.{key}", "unknown key")

    def number(self, least: float = -math.inf, most: float = math.inf) -> float:
        if isinstance(self.value, bool) or not isinstance(self.value, int | float):
            self.fail(f"expected a number, found {_describe(self.value)}")
        if not least <= self.value <= most or abs(self.value) > _EXACT:
            self.fail(f"{str(self.value)[:40]} is outside {least:g} to {most:g}")
        return float(self.value)

    def integer(self, least: int, most: int) -> int:
        number = self.number(least, most)
        if number != math.floor(number):
            self.fail(f"expected a whole number, found {self.value}")
        return int(number)

    def boolean(self) -> bool:
        value: bool = self._expect(bool)
        return value

    def text(self) -> str:
        value: str = self._expect(str)
        return value

    def member_of(self, enum: type[_Enum]) -> _Enum:
        """An enumeration value by its number or by its name in any usual spelling."""
        value = self.value
        if isinstance(value, str):
            names = {_plain(member.name): member for member in enum}
            if _plain(value) in names:
                return names[_plain(value)]
            value = int(value) if value.isascii() and value.isdigit() and len(value) < 10 else None
        member = next((member for member in enum if member == value), None)
        if member is None or isinstance(value, bool):
            choices = ", ".join(f"{member:d} or {spelling(member)!r}" for member in enum)
            self.fail(f"{_describe(self.value)} is none of {choices}")
        return member

    def _expect(self, kind: type) -> Any:
        if not isinstance(self.value, kind):
            self.fail(f"expected {_KINDS[kind]}, found {_describe(self.value)}")
        return self.value


def spelling(member: IntEnum) -> str:
    """The camelCase name of an enumeration value, as JSON documents write it."""
    first, *rest = member.name.lower().split("_")
    return first + "".join(word.capitalize() for word in rest)


def _plain(name: str) -> str:
    return name.replace("_", "").replace(" ", "").lower()


def _describe(value: object) -> str:
    if value is None:
        return "null"
    if isinstance(value, str):
        return repr(value[:40])
    return _KINDS.get(type(value), f"the number {value}")


def _unique(pairs: list[tuple[str, Any]]) -> Mapping[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        keys = [key for key, _ in pairs]
        repeated = next(key for key in keys if keys.count(key) > 1)
        raise JsonError("$", f"the key {repeated!r} is given twice in one object")
    return members


def _no_constant(name: str) -> NoReturn:
    raise JsonError("$", f"{name} is not a JSON number")
