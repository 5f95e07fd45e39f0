"""The national service as a phone reaches it: signed files to fetch, two messages to send.

Every answer has a size limit that holds while it streams in and a deadline for the whole of
it, so neither a broken server nor a hostile network can fill the phone or keep it waiting.
"""

import asyncio
import ipaddress
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from typing import Final

import httpx
import msgspec

from bluezone.protocol.upload import Refusal
from bluezone.web.catalogue import DEFAULT_LANGUAGE, _, translate

DEADLINE_SECONDS: Final = 60.0
_TIMEOUT: Final = httpx.Timeout(20.0, connect=10.0)
MAX_ANSWER_BYTES: Final = 64 * 1024
# One constant for all versions: it must not tell phones apart.
_HEADERS: Final = {"User-Agent": "bluezone", "Accept-Encoding": "identity"}


class ServiceFault(Enum):
    """Why an exchange failed; the value is the sentence for the owner."""

    UNREACHABLE = _("The service cannot be reached. Check the internet connection; it is retried.")
    SLOW = _("The service did not answer in time. It is retried.")
    TOO_LARGE = _("The service sent more than it may. The answer was thrown away.")
    MISSING = _("The service does not have what was asked for. It is retried.")
    REFUSED = _("The service refused the request.")
    FAILED = _("The service is out of order at the moment. It is retried.")
    NOT_UNDERSTOOD = _("The service gave an answer that this app does not understand.")


class ServiceError(Exception):
    """An exchange with the service failed.

    `reason` is the service's own name for a refusal (such as `code-expired`), or empty.
    """

    def __init__(
        self, fault: ServiceFault, detail: str = "", refusal: Refusal | None = None
    ) -> None:
        super().__init__(f"{fault.name.lower()}: {detail}" if detail else fault.name.lower())
        self.fault = fault
        self.reason = refusal.error if refusal else ""
        self._message = refusal.message if refusal else {}

    @property
    def final(self) -> bool:
        """Whether asking again with the same words is pointless."""
        return self.fault is ServiceFault.REFUSED

    def text(self, language: str = DEFAULT_LANGUAGE) -> str:
        """What to tell the owner: the service's own words if it gave any."""
        return self._message.get(language) or translate(self.fault.value, language)


@dataclass(frozen=True, slots=True)
class Fetched:
    """A file of the service. `body` is None if it is still the one with the known `etag`."""

    body: bytes | None
    etag: str | None


class Service:
    """A client for one base address; phones of one town may share it."""

    def __init__(
        self,
        base_url: str,
        *,
        transport: Callable[[], httpx.AsyncBaseTransport] | None = None,
    ) -> None:
        """`transport` makes the connections (a town counts them). ValueError for an unsafe URL."""
        self._base_url = _safe(base_url)
        # Reading the system's certificates takes tens of milliseconds: once, not for each upload.
        self._tls = httpx.create_ssl_context() if self._base_url.scheme == "https" else False
        self._transport = transport
        self._address = lru_cache(maxsize=64)(self._address_of)  # the same few every hour
        self._downloads = self._client()

    @property
    def address(self) -> str:
        """The base address."""
        return str(self._base_url)

    async def fetch(self, path: str, max_bytes: int, etag: str | None = None) -> Fetched:
        """GET a file of at most `max_bytes`. Raises ServiceError."""
        headers = {"If-None-Match": etag} if etag else {}
        status, answer, body = await self._exchange(
            self._downloads, httpx.Request("GET", self._address(path), headers=headers), max_bytes
        )
        if status == httpx.codes.NOT_MODIFIED and etag:
            return Fetched(None, etag)
        _check(status, body)
        return Fetched(body, answer.get("ETag"))

    async def send(self, path: str, body: bytes) -> bytes:
        """POST a JSON message on a connection of its own and return the answer.

        Nothing of it (connection, TLS session, cookie) is shared with any other request, so
        the service cannot join two messages by it. Raises ServiceError.
        """
        async with self._client() as client:
            headers = {"Content-Type": "application/json", "Connection": "close"}
            request = httpx.Request("POST", self._address(path), headers=headers, content=body)
            status, _answer, answer = await self._exchange(client, request, MAX_ANSWER_BYTES)
        _check(status, answer)
        return answer

    async def close(self) -> None:
        """Close the connections."""
        await self._downloads.aclose()

    async def _exchange(
        self, client: httpx.AsyncClient, request: httpx.Request, max_bytes: int
    ) -> tuple[int, httpx.Headers, bytes]:
        request.headers.update(_HEADERS)
        request.extensions["timeout"] = _TIMEOUT.as_dict()
        body = bytearray()
        try:
            async with asyncio.timeout(DEADLINE_SECONDS):
                answer = await client.send(request, stream=True)
                try:
                    async for piece in answer.aiter_raw():
                        body += piece
                        if len(body) > max_bytes:
                            raise ServiceError(ServiceFault.TOO_LARGE, f"over {max_bytes} bytes")
                finally:
                    await answer.aclose()
        except (TimeoutError, httpx.TimeoutException) as error:
            raise ServiceError(ServiceFault.SLOW) from error
        except (httpx.HTTPError, OSError, ssl.SSLError) as error:
            raise ServiceError(ServiceFault.UNREACHABLE, type(error).__name__) from error
        return answer.status_code, answer.headers, bytes(body)

    def _client(self) -> httpx.AsyncClient:
        transport = self._transport() if self._transport else None
        # A proxy set for the outside world cannot reach a service on this machine.
        outside = self._base_url.scheme == "https"
        return _Client(transport=transport, verify=self._tls, trust_env=outside)

    def _address_of(self, path: str) -> httpx.URL:
        return self._base_url.copy_with(path=self._base_url.path.rstrip("/") + path)


class _NoCookies(httpx.Cookies):
    def extract_cookies(self, response: httpx.Response) -> None:
        """Keep none: nobody may know a phone by it."""


class _Client(httpx.AsyncClient):
    """A client that does not even look for cookies."""

    cookies = _NoCookies()  # type: ignore[override]


def _check(status: int, body: bytes) -> None:
    if httpx.codes.is_success(status):
        return
    try:
        refusal = msgspec.json.decode(body, type=Refusal)
    except msgspec.DecodeError:
        refusal = None
    detail = f"status {status}"
    if status == httpx.codes.NOT_FOUND:
        raise ServiceError(ServiceFault.MISSING, detail, refusal)
    if status >= 500 or status in (httpx.codes.TOO_MANY_REQUESTS, httpx.codes.REQUEST_TIMEOUT):
        raise ServiceError(ServiceFault.FAILED, detail, refusal)
    if 400 <= status < 500 and refusal is not None:
        raise ServiceError(ServiceFault.REFUSED, detail, refusal)
    raise ServiceError(ServiceFault.NOT_UNDERSTOOD, detail)


def _safe(base_url: str) -> httpx.URL:
    try:
        url = httpx.URL(base_url)
    except httpx.InvalidURL as error:
        raise ValueError(f"{base_url!r} is not an address: {error}") from error
    if url.scheme == "https" and url.host:
        return url
    if url.scheme == "http" and _is_loopback(url.host):
        return url
    raise ValueError(
        f"{base_url!r}: a service is reached by https (http only on this machine), because a"
        " report must not be read on its way"
    )


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
