"""Request bodies: read whole within a size and a time, then decoded by their type."""

import asyncio
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final, TypeVar

import msgspec
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bluezone.server.errors import Refused
from bluezone.server.limits import client_subject
from bluezone.web.catalogue import _

_T = TypeVar("_T")
_DRAIN_SECONDS: Final = 5.0
_DRAIN_BYTES: Final = 32 * 1024 * 1024
_PLACE: Final = re.compile(r"at `(\$[^`]*)`")


@dataclass(frozen=True, slots=True)
class BodyLimit:
    """How large a body may be, how long it may take, and how many may be under way at once.

    `at_once` (0: any number) bounds the memory that large bodies hold while they come in; one
    client may hold `at_once_by_client` of these places.
    """

    max_bytes: int
    seconds: float
    at_once: int = 0
    at_once_by_client: int = 0
    too_large: str = _("The request is larger than {limit} bytes.")  # and what to do about it


class BodyLimits:
    """Takes in each body before the application sees the request.

    Too large is 413, as soon as it is known; too slow is 408. So no handler, and no
    database connection, ever waits for a client's network. `routes` gives paths a limit of
    their own.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        general: BodyLimit,
        routes: Mapping[str, BodyLimit],
        answer: Callable[[Request, Refused], Response],
    ) -> None:
        self._answer = answer
        self._app = app
        self._general = general
        self._routes = routes
        self._under_way: Counter[str] = Counter()  # by path, and by path and client

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        if "content-length" not in headers and "transfer-encoding" not in headers:
            await self._app(scope, receive, send)  # RFC 9112, 6.3: it has no body
            return
        limit = self._routes.get(scope["path"], self._general)
        client = client_subject(scope["client"][0] if scope.get("client") else None)
        try:
            with self._place(scope["path"], client, limit):
                body = await _read(headers, receive, limit)
        except Refused as refused:
            await self._refuse(refused, scope, receive, send)
            return
        if body is None:  # the client has gone
            return
        replayed = False

        async def replay() -> Message:
            nonlocal replayed
            if replayed:
                return await receive()
            replayed = True
            return {"type": "http.request", "body": body, "more_body": False}

        await self._app(scope, replay, send)

    @contextmanager
    def _place(self, path: str, client: str, limit: BodyLimit) -> Iterator[None]:
        if not limit.at_once:
            yield
            return
        own = f"{path} {client}"
        if (
            self._under_way[path] >= limit.at_once
            or self._under_way[own] >= limit.at_once_by_client
        ):
            raise Refused(
                503,
                "busy",
                _("The service cannot do this right now. Please try again in a few minutes."),
                headers={"Retry-After": "30", "Connection": "close"},
            )
        self._under_way.update((path, own))
        try:
            yield
        finally:
            self._under_way.subtract((path, own))
            self._under_way += Counter()  # forgets the clients that have gone

    async def _refuse(self, refused: Refused, scope: Scope, receive: Receive, send: Send) -> None:
        last: Message = {}

        async def hold_last(message: Message) -> None:
            nonlocal last
            if message["type"] == "http.response.body":
                last = message
                await send({**message, "more_body": True})
            else:
                await send(message)

        await self._answer(Request(scope), refused)(scope, receive, hold_last)
        # The answer is out. A client still sending would lose it to a connection reset, so
        # take in what it sends for a moment, and throw it away.
        if refused.status_code in (413, 503):
            await _drain(receive)
        await send({"type": last["type"], "body": b"", "more_body": False})


async def _read(headers: Headers, receive: Receive, limit: BodyLimit) -> bytes | None:
    length = headers.get("content-length", "")
    if length and "transfer-encoding" in headers:
        # RFC 9112, 6.3: a proxy may see another end of this request than we do.
        raise Refused(
            400,
            "bad-request",
            _("The request is incomplete or malformed."),
            headers={"Connection": "close"},
        )
    if length.isdecimal() and int(length) > limit.max_bytes:
        raise _too_large(limit)
    chunks: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(limit.seconds):
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    return None
                chunk = message.get("body", b"")
                size += len(chunk)
                if size > limit.max_bytes:
                    raise _too_large(limit)
                chunks.append(chunk)
                if not message.get("more_body", False):
                    return b"".join(chunks)
    except TimeoutError:
        raise Refused(
            408,
            "body-too-slow",
            _("The request took too long to arrive. Please check the network and retry."),
            headers={"Connection": "close"},
        ) from None


def _too_large(limit: BodyLimit) -> Refused:
    return Refused(
        413,
        "body-too-large",
        limit.too_large,
        headers={"Connection": "close"},
        limit=limit.max_bytes,
    )


async def _drain(receive: Receive) -> None:
    taken = 0
    try:
        async with asyncio.timeout(_DRAIN_SECONDS):
            while taken < _DRAIN_BYTES:
                message = await receive()
                taken += len(message.get("body", b""))
                if not message.get("more_body", False):
                    return
    except TimeoutError:
        return


async def read_json(request: Request, kind: type[_T]) -> _T:
    """The body as a value of a msgspec type. Raises Refused (400)."""
    try:
        return msgspec.json.decode(await request.body(), type=kind)
    except msgspec.ValidationError as error:
        # msgspec's text may quote what was sent; the place alone never does.
        place = _PLACE.search(str(error))
        raise Refused(
            400,
            "wrong-form",
            _("The request does not have the expected form (at {place})."),
            place=place.group(1) if place else "$",
        ) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise Refused(400, "not-json", _("The request is not valid JSON.")) from None


def json_answer(answer: object) -> Response:
    """An answer to one client alone: never cached."""
    return Response(
        msgspec.json.encode(answer),
        headers={"Cache-Control": "no-store"},
        media_type="application/json",
    )
