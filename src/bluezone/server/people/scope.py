"""Whose records somebody may see: the subtrees of the units granted to them. The one place."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from sqlalchemy import ColumnElement, Text, and_, false, or_
from sqlalchemy.orm import InstrumentedAttribute

from bluezone.server.places.units import NATION

# Paths are compared byte by byte; a database's own collation would order them as words.
UnitPath = Text().with_variant(Text(collation="C"), "postgresql")


@dataclass(frozen=True, slots=True)
class Scope:
    """Paths of units (`places.units`), each with everything below it. Without any: nothing."""

    units: tuple[str, ...] = ()

    @classmethod
    def over(cls, units: Iterable[str]) -> "Scope":
        """The scope of these units, without those that lie within another."""
        smallest: list[str] = []
        for path in sorted(set(units)):
            if not smallest or not is_within(path, smallest[-1]):
                smallest.append(path)
        return cls(tuple(smallest))

    def covers(self, path: str) -> bool:
        """Whether a record of the unit `path` is within."""
        return any(is_within(path, unit) for unit in self.units)

    def of(self, column: InstrumentedAttribute[str]) -> ColumnElement[bool]:
        """The condition of a query that `column`, a path, is within; an index serves it."""
        if not self.units:
            return false()
        # "/" follows "." in ASCII: between them lies the unit's whole subtree.
        return or_(
            *(
                or_(column == unit, and_(column > f"{unit}.", column < f"{unit}/"))
                for unit in self.units
            )
        )


EVERYWHERE: Final = Scope((NATION,))
NOWHERE: Final = Scope()


def is_within(path: str, unit: str) -> bool:
    """Whether `path` is `unit` or lies below it."""
    return path == unit or path.startswith(f"{unit}.")
