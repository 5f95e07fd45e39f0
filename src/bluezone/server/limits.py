"""Limits on abuse: leaky buckets by client address, and one for everybody together.

They live in the memory of each process: N processes allow up to N times as much, and a
restart forgets. Whatever must hold exactly (tries of a code, of a password) is counted
in the database by the duty that owns it.
"""

import ipaddress
import math
from dataclasses import dataclass
from typing import Final

from bluezone.clock import Clock
from bluezone.server.errors import Refused
from bluezone.web.catalogue import _

EVERYBODY: Final = ""
_MAX_SUBJECTS: Final = 100_000  # a flood from many addresses must not fill the memory


@dataclass(frozen=True, slots=True)
class Rule:
    """At most `burst` at once, and `burst` more in each `seconds`."""

    name: str
    burst: int
    seconds: float


class Limits:
    """Counts against rules, on the given clock."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        # (rule, subject) -> the time at which its bucket is empty again (GCRA)
        self._empty_at: dict[tuple[str, str], float] = {}

    def spend(self, rule: Rule, subject: str = EVERYBODY) -> None:
        """Count one against `subject`. Raises Refused (429) when the bucket is full."""
        self.require(rule, subject)
        self.count(rule, subject)

    def count(self, rule: Rule, subject: str = EVERYBODY) -> None:
        """Count one and refuse nothing; a full bucket stays full."""
        if self.full(rule, subject):
            return
        now = self._clock.now()
        if len(self._empty_at) >= _MAX_SUBJECTS:
            self._empty_at = {key: at for key, at in self._empty_at.items() if at > now}
            if len(self._empty_at) >= _MAX_SUBJECTS:
                self._empty_at.clear()
        empty_at = max(now, self._empty_at.get((rule.name, subject), now))
        self._empty_at[rule.name, subject] = empty_at + rule.seconds / rule.burst

    def full(self, rule: Rule, subject: str = EVERYBODY) -> bool:
        """Whether one more would be refused."""
        return self._wait(rule, subject) > 0

    def require(self, rule: Rule, subject: str = EVERYBODY) -> None:
        """Refuse (429) when the bucket is full, without counting: for what counts only failures."""
        wait = self._wait(rule, subject)
        if wait > 0:
            raise Refused(
                429,
                "too-many-requests",
                _("Too many requests. Please try again in {seconds} seconds."),
                headers={"Retry-After": str(math.ceil(wait))},
                seconds=math.ceil(wait),
            )

    def _wait(self, rule: Rule, subject: str) -> float:
        now = self._clock.now()
        filled = max(0.0, self._empty_at.get((rule.name, subject), now) - now)
        return filled + rule.seconds / rule.burst - rule.seconds


@dataclass(frozen=True, slots=True)
class Budget:
    """Limits on what strangers may do: each client, then all together.

    Once all together have spent theirs, every network (IPv6: a /48, the most that one
    subscriber gets) has the little of `beyond`: else whoever fills it would keep a whole
    country out.
    """

    by_client: Rule
    together: Rule
    beyond: Rule

    def require(self, limits: Limits, host: str | None) -> None:
        """Raises Refused (429) when it is spent, without counting."""
        limits.require(self.by_client, client_subject(host))
        if limits.full(self.together):
            limits.require(self.beyond, client_subject(host, ipv6_prefix=48))

    def spend(self, limits: Limits, host: str | None) -> None:
        """Count one for this client. Raises Refused (429) when it was one too many."""
        self.require(limits, host)
        limits.count(self.by_client, client_subject(host))
        limits.count(self.together)
        limits.count(self.beyond, client_subject(host, ipv6_prefix=48))


def client_subject(host: str | None, ipv6_prefix: int = 64) -> str:
    """Whom to count against: an IPv4 address, or an IPv6 /64 (one subscriber has them all)."""
    try:
        address = ipaddress.ip_address(host or "")
    except ValueError:
        return "unknown"
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped:
            return str(address.ipv4_mapped)
        return str(ipaddress.ip_network((address, ipv6_prefix), strict=False).network_address)
    return str(address)
