"""Decisions about staff: roles, who may give them, names, passwords, lockout."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from bluezone.server.people.scope import EVERYWHERE, NOWHERE, Scope, is_within
from bluezone.server.places.units import NATION
from bluezone.web.catalogue import _

MIN_PASSWORD_CHARACTERS: Final = 12
MAX_PASSWORD_CHARACTERS: Final = 200  # hashing megabytes would be an attack
FREE_FAILURES: Final = 5
FIRST_LOCK_SECONDS: Final = 30
LONGEST_LOCK_SECONDS: Final = 15 * 60  # longer would hand attackers a way to shut people out
FAILURES_KEPT_SECONDS: Final = 24 * 3600
INVITATION_SECONDS: Final = 72 * 3600  # a weekend
UNFINISHED_SECONDS: Final = 15 * 60  # between the password and the second factor

_NAME: Final = re.compile(r"[a-z0-9][a-z0-9._@-]{1,63}")
# NIST SP 800-63B, 5.1.1.2: length and a list of the expected, no rules of composition.
_EXPECTED: Final = (
    "password",
    "matkhau",
    "bluezone",
    "qwerty",
    "vietnam",
    "covid",
    "123456",
    "abcdef",
    "iloveyou",
    "admin",
)


class StaffRole(StrEnum):
    """What somebody may do in the subtree of a unit. The unit's level says how far: a health
    worker of a commune and a tracer of a province have the same role, and other subtrees."""

    HEALTH_WORKER = "health-worker"  # cases, contacts, their follow-up, one-time codes
    LABORATORY = "laboratory"  # hands in results, sees its own
    HOTLINE = "hotline"  # takes calls down, finds whom they concern
    AUDITOR = "auditor"  # sees who did what, and no person's data
    ADMIN = "admin"  # accounts; of the nation also news


@dataclass(frozen=True, slots=True)
class Grant:
    """A role in the subtree of a unit (a path of places.units)."""

    role: StaffRole
    unit: str


class Stage(StrEnum):
    """How far a session has come."""

    CODE = "code"  # the password was right, the second factor is missing
    ENROL = "enrol"  # the same, and there is no second factor yet
    OPEN = "open"


@dataclass(frozen=True, slots=True)
class Staff:
    """A signed-in member of staff. `scope`: where the endpoint's roles were granted to them."""

    account_id: int
    name: str
    grants: tuple[Grant, ...]
    scope: Scope = NOWHERE
    stage: Stage = Stage.OPEN

    @property
    def unit(self) -> str:
        """The path of the unit they work for: that of the first grant."""
        return self.grants[0].unit

    @property
    def roles(self) -> frozenset[StaffRole]:
        return frozenset(grant.role for grant in self.grants)

    def holds(self, role: StaffRole, unit: str) -> bool:
        """Whether the role was granted for the whole subtree of a unit."""
        return any(one.role == role and is_within(unit, one.unit) for one in self.grants)

    def acting_as(self, roles: frozenset[StaffRole]) -> "Staff":
        """The same person, with the scope that these roles give them."""
        units = (grant.unit for grant in self.grants if grant.role in roles)
        return replace(self, scope=Scope.over(units))


# Whoever works with a shell on the service's machine; the audit knows them as account 0.
OPERATOR: Final = Staff(0, "operator", (Grant(StaffRole.ADMIN, NATION),), EVERYWHERE)


def may_give(giver: Staff, grant: Grant) -> bool:
    """Whether `giver` may give or take this grant: an administrator, for their whole subtree.

    Administrators are made and unmade from above alone, so that two of one unit cannot shut each
    other out; those of the nation by the operator.
    """
    if grant.role is StaffRole.ADMIN and giver != OPERATOR:
        above, _dot, _own = grant.unit.rpartition(".")
        return bool(above) and giver.holds(StaffRole.ADMIN, above)
    return giver.holds(StaffRole.ADMIN, grant.unit)


def may_manage(giver: Staff, grants: Iterable[Grant]) -> bool:
    """Whether `giver` may do to an account what concerns all of its grants: end it, renew it."""
    return all(may_give(giver, grant) for grant in grants)


NAME_TAKEN: Final = _("An account of this name exists already.")


class AccountError(ValueError):
    """An account cannot be made like this; `message` is a catalogue message."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


def normal_name(text: str) -> str:
    """A name as it is kept and compared."""
    return text.strip().lower()


def check_name(name: str) -> None:
    """Raises AccountError unless `name` (normalised) can be an account's."""
    if not _NAME.fullmatch(name):
        raise AccountError(
            _("A name has 2 to 64 characters: letters a-z, digits, dot, hyphen, underscore, @.")
        )


def check_password(password: str, name: str) -> None:
    """Raises AccountError if a guesser would try `password` early."""
    if not MIN_PASSWORD_CHARACTERS <= len(password) <= MAX_PASSWORD_CHARACTERS:
        raise AccountError(_("A password has 12 to 200 characters; several words are fine."))
    plain = password.lower()
    # What is left without the expected parts must still be worth guessing.
    for part in (*_EXPECTED, name, *name.split("@")):
        plain = plain.replace(part, "")
    if len(set(plain)) < 6 or len(plain) < 8:
        raise AccountError(
            _("This password is easy to guess. Take several unrelated words, or a longer phrase.")
        )


def lock_seconds(failures: int) -> int:
    """How long a name is locked after so many failures in a row."""
    if failures < FREE_FAILURES:
        return 0
    doublings = min(failures - FREE_FAILURES, 16)
    return int(min(FIRST_LOCK_SECONDS * 2**doublings, LONGEST_LOCK_SECONDS))
