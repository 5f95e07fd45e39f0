"""The signed documents of the service as one phone accepts them: trust, configuration, index.

docs/protocol.md, "Trust", "Index". Each is kept as it was fetched and never goes back.
"""

from contextlib import suppress
from enum import Enum
from typing import Final

import msgspec

from bluezone.clock import Clock
from bluezone.phone.ledger import LedgeredService
from bluezone.phone.service import ServiceError
from bluezone.phone.store import Store
from bluezone.protocol.configuration import (
    DEFAULT_CONFIGURATION,
    RiskConfiguration,
    read_configuration,
)
from bluezone.protocol.envelope import EnvelopeError
from bluezone.protocol.index import Index, IndexFault, IndexRefused, read_index
from bluezone.protocol.trust import Pins, Trust, read_certificates
from bluezone.web.catalogue import DEFAULT_LANGUAGE, _, translate

MAX_DOCUMENT_BYTES: Final = 1024 * 1024
# Role keys and risk numbers change a few times a year; a withdrawn key must be gone in a day.
DOCUMENTS_SECONDS: Final = 24 * 3600
_STATE: Final = "check"


class Problem(Enum):
    """Why a check could not be finished; the value is the sentence for the owner."""

    TRUST_REFUSED = _(
        "The service could not prove who it is, so nothing was taken from it. If this lasts,"
        " update the app."
    )
    CONFIGURATION_REFUSED = _(
        "The rules for judging encounters that the service sent are not valid. The phone goes on"
        " with the rules it has."
    )
    INDEX_REFUSED = _(
        "The list of key files is not properly signed and was refused. Earlier results stay valid."
    )
    INDEX_EXPIRED = _(
        "The list of key files has expired. Check date and time of this phone; if they are right,"
        " someone may be holding back newer lists."
    )
    INDEX_ROLLED_BACK = _(
        "The service sent a list of key files that is older than one it sent before. It was"
        " refused."
    )


class CheckError(Exception):
    """The check stopped early; what was found before stays."""

    def __init__(self, problem: Problem, detail: str) -> None:
        super().__init__(f"{problem.name.lower()}: {detail}")
        self.problem = problem

    def text(self, language: str = DEFAULT_LANGUAGE) -> str:
        """What to tell the owner."""
        return translate(self.problem.value, language)


class CheckState(msgspec.Struct, kw_only=True):
    """What one check leaves for the next; times are Unix seconds, by the phone's clock
    except for `server_time`, the latest signed time of the service."""

    server_time: int = 0
    trust_sequence: int = 0
    configuration_version: int = 0
    index_sequence: int = 0
    documents_at: float = 0.0
    checked_at: float = 0.0
    next_at: float = 0.0
    failures: int = 0
    succeeded_at: float = 0.0  # the last check without an error
    error: dict[str, str] | None = None  # why the last one failed, by language


class _Document(msgspec.Struct, frozen=True):
    body: bytes
    etag: str | None


class SignedDocuments:
    """What has been accepted, and how to get what is newer."""

    def __init__(self, store: Store, service: LedgeredService, pins: Pins, clock: Clock) -> None:
        self._store = store
        self._service = service
        self._pins = pins
        self._clock = clock
        self.state = store.load(_STATE, CheckState) or CheckState()
        self._trust: Trust | None = None
        self._configuration: RiskConfiguration | None = None

    def reload(self) -> None:
        """Take over what another process of this phone has accepted since."""
        self.state = self._store.load(_STATE, CheckState) or self.state

    def save(self) -> None:
        """Keep `state`. Raises StoreError."""
        self._store.save(_STATE, self.state)

    @property
    def due(self) -> bool:
        """Whether trust and configuration have to be fetched anew."""
        age = self._clock.now() - self.state.documents_at
        return not 0 <= age < DOCUMENTS_SECONDS

    @property
    def signed_now(self) -> float:
        """The later of the phone's clock and the last signed server time."""
        return max(self._clock.now(), self.state.server_time)

    @property
    def trust(self) -> Trust | None:
        """The role keys of the last trust document that was accepted, if there is one."""
        if self._trust is None and (document := self._kept("trust")):
            with suppress(EnvelopeError):  # an update of the app may have pinned other roots
                self._trust = read_certificates(
                    document.body, self._pins, self.state.trust_sequence
                )
        return self._trust

    def doubt_documents(self) -> None:
        """Fetch trust and configuration anew at the next check."""
        self.state.documents_at = 0.0
        self.save()

    @property
    def configuration(self) -> RiskConfiguration:
        """The accepted configuration; before there is one, the one built in."""
        if self._configuration is None:
            document = self._kept("configuration")
            if document is None or self.trust is None:
                return DEFAULT_CONFIGURATION
            try:
                self._configuration = self._read_configuration(document, self.trust)
            except EnvelopeError:  # its key has expired since
                return DEFAULT_CONFIGURATION
        return self._configuration

    async def refresh_trust(self) -> Trust:
        """Fetch and accept the role keys. Raises ServiceError, CheckError."""
        document = await self._fetch_document("trust", "/v1/trust.json")
        try:
            trust = read_certificates(document.body, self._pins, self.state.trust_sequence)
        except EnvelopeError as error:
            raise CheckError(Problem.TRUST_REFUSED, str(error)) from error
        self._trust = trust
        self.state.trust_sequence = trust.sequence
        self._store.save("trust", document)
        return trust

    async def refresh_configuration(self, trust: Trust) -> ServiceError | CheckError | None:
        """The phone can go on with the rules it has, so a fault is returned, not raised."""
        try:
            document = await self._fetch_document("configuration", "/v1/configuration.json")
            configuration = self._read_configuration(document, trust)
        except ServiceError as error:
            return error
        except EnvelopeError as error:
            return CheckError(Problem.CONFIGURATION_REFUSED, str(error))
        self._configuration = configuration
        self.state.configuration_version = configuration.version
        self._store.save("configuration", document)
        return None

    def _read_configuration(self, document: _Document, trust: Trust) -> RiskConfiguration:
        return read_configuration(
            document.body, trust, self.signed_now, self.state.configuration_version
        )

    async def fetch_index(self, trust: Trust) -> tuple[Index, Trust]:
        """The index, and the role keys that it was checked with in the end.

        Raises ServiceError, CheckError.
        """
        document = await self._fetch_document("index", "/v1/index.json")
        try:
            index = self._read_index(document, trust)
        except IndexRefused as error:
            if error.fault is not IndexFault.SIGNATURE:
                raise _index_error(error) from error
            trust = await self.refresh_trust()  # perhaps by a key certified an hour ago
            try:
                index = self._read_index(document, trust)
            except IndexRefused as again:
                raise _index_error(again) from again
        self.state.index_sequence = index.sequence
        self.state.server_time = max(self.state.server_time, index.issued_at)
        self._store.save("index", document)
        return index, trust

    def _read_index(self, document: _Document, trust: Trust) -> Index:
        return read_index(
            document.body, trust, self.signed_now, last_sequence=self.state.index_sequence
        )

    async def _fetch_document(self, name: str, path: str) -> _Document:
        known = self._kept(name)
        fetched = await self._service.fetch(path, MAX_DOCUMENT_BYTES, known.etag if known else None)
        if fetched.body is None and known is not None:
            return known
        return _Document(fetched.body or b"", fetched.etag)

    def _kept(self, name: str) -> _Document | None:
        return self._store.load(name, _Document)


def _index_error(error: IndexRefused) -> CheckError:
    problem = {
        IndexFault.EXPIRED: Problem.INDEX_EXPIRED,
        IndexFault.ROLLED_BACK: Problem.INDEX_ROLLED_BACK,
    }.get(error.fault, Problem.INDEX_REFUSED)
    return CheckError(problem, str(error))
