"""The ledger: every exchange with the service, for the owner to read.

It stands between the phone and its `Service`, so nothing can leave without an entry. Decoys are
named as what they are; who reads the ledger holds the unlocked phone anyway.
"""

from contextlib import suppress
from enum import Enum
from typing import Final

import msgspec

from bluezone.clock import Clock
from bluezone.phone.service import Fetched, Service
from bluezone.phone.store import Store, StoreError
from bluezone.protocol.intervals import utc_day_number
from bluezone.web.catalogue import _


class Purpose(Enum):
    """Why something was exchanged; the value is the sentence for the owner."""

    LIST = _("Asked for the list of key files. Every phone asks the same; nothing of you is in it.")
    KEYS = _("Fetched a file with keys of confirmed cases, the same for every phone.")
    RULES = _("Fetched the signed rules: whose signatures count, how encounters are judged.")
    NEWS = _("Fetched the news of the health authority, the same for every phone.")
    STATIONS = _(
        "Fetched the health stations of your province, so the service learns the province."
    )
    CODE = _("Your report: the one-time code, exchanged for a permission. No keys, no name.")
    REPORT = _("Your report: the random keys of this phone. No name, no number, not whom you met.")
    DECOY = _("A decoy without content, so that nobody on the network can tell who reports.")
    DETAILS = _("Details that you chose to send to the health authority.")
    COMMITMENT = _(
        "A nightly proof of your day for later, if you ever want one: 32 random-looking bytes."
    )
    DIARY = _("Your diary, which you chose to hand to the tracers.")
    ASKED = _("Asked what became of what you sent, or took it back.")
    NUMBER = _("Your telephone number, to send a code to it.")
    INVITED = _("Counted an invitation: its code, nothing of you.")
    INVITATIONS = _("Asked how many came by your invitation.")


_BY_PATH: Final = (
    ("/v1/index.json", Purpose.LIST),
    ("/v1/exports/", Purpose.KEYS),
    ("/v1/trust.json", Purpose.RULES),
    ("/v1/configuration.json", Purpose.RULES),
    ("/v1/news.json", Purpose.NEWS),
    ("/v1/stations/", Purpose.STATIONS),
    ("/v1/permission", Purpose.CODE),
    ("/v1/keys", Purpose.REPORT),
    ("/v1/handovers/details", Purpose.DETAILS),
    ("/v1/handovers/diary", Purpose.DIARY),
    ("/v1/handovers/", Purpose.ASKED),
    ("/v1/commitments", Purpose.COMMITMENT),
    ("/v1/phone-numbers", Purpose.NUMBER),
    ("/v1/invitations/count", Purpose.INVITATIONS),
    ("/v1/invitations", Purpose.INVITED),
)


class Exchange(msgspec.Struct, frozen=True):
    """One message out and its answer; sizes in bytes, without headers."""

    time: float
    purpose: str  # a Purpose's name
    path: str
    sent: int
    received: int
    ok: bool


class LedgeredService:
    """A `Service` whose every exchange is written down."""

    def __init__(self, service: Service, store: Store, clock: Clock) -> None:
        self._service = service
        self._store = store
        self._clock = clock

    @property
    def address(self) -> str:
        """The base address of the service."""
        return self._service.address

    async def fetch(self, path: str, max_bytes: int, etag: str | None = None) -> Fetched:
        """As `Service.fetch`."""
        entry = self._begun(path, 0)
        fetched = await self._service.fetch(path, max_bytes, etag)
        self._done(entry, len(fetched.body or b""))
        return fetched

    async def send(self, path: str, body: bytes, *, decoy: bool = False) -> bytes:
        """As `Service.send`; `decoy` says that it is chaff."""
        entry = self._begun(path, len(body), Purpose.DECOY if decoy else None)
        answer = await self._service.send(path, body)
        self._done(entry, len(answer))
        return answer

    def entries(self) -> list[Exchange]:
        """What has been exchanged, newest first. Raises StoreError.

        A damaged row is passed over: it must not hide the others.
        """
        found: list[Exchange] = []
        for day, sealed in self._store.execute("SELECT day, sealed FROM exchange ORDER BY id DESC"):
            with suppress(StoreError):
                found.append(self._store.open(sealed, f"exchange:{day}", Exchange))
        return found

    def forget_before(self, day: int) -> int:
        """Delete the entries of all UTC days before `day`; return how many."""
        gone = self._store.execute("SELECT count(*) FROM exchange WHERE day < ?", (day,))[0][0]
        self._store.execute("DELETE FROM exchange WHERE day < ?", (day,))
        return int(gone)

    def _begun(
        self, path: str, sent: int, purpose: Purpose | None = None
    ) -> tuple[int, bytes, Exchange] | None:
        """Write down an exchange before anything leaves: it may be cancelled, or the phone die.

        A refusal was sent as well, and of a broken connection nobody knows: until the answer is
        here it stands there as failed.
        """
        purpose = purpose or next(one for start, one in _BY_PATH if path.startswith(start))
        now = self._clock.now()
        day = utc_day_number(now)
        entry = Exchange(now, purpose.name, path, sent, 0, ok=False)
        with suppress(StoreError):  # a full disk must not keep a warning away; it is said elsewhere
            sealed = self._store.seal(entry, f"exchange:{day}")
            ((number,),) = self._store.execute(
                "INSERT INTO exchange (day, sealed) VALUES (?, ?) RETURNING id", (day, sealed)
            )
            return number, sealed, entry
        return None

    def _done(self, begun: tuple[int, bytes, Exchange] | None, received: int) -> None:
        if begun is None:
            return
        number, sealed, entry = begun
        day = utc_day_number(entry.time)
        answered = msgspec.structs.replace(entry, received=received, ok=True)
        with suppress(StoreError):
            # By its content too: after "delete everything" its number may be another's.
            self._store.execute(
                "UPDATE exchange SET sealed = ? WHERE id = ? AND sealed = ?",
                (self._store.seal(answered, f"exchange:{day}"), number, sealed),
            )
