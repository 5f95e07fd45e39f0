"""Request bodies: read whole within a size and a time, then decoded by their type."""

import asyncio
import re
from typing import Final, TypeVar

import msgspec
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bluezone.server.errors import Refused, refusal_response
from bluezone.web.catalogue import _

_T = TypeVar("_T")
_DRAIN_SECONDS: Final = 5.0
_DRAIN_BYTES: Final = 32 * 1024 * 1024
_PLACE: Final = re.compile(r"at `(\$[^`]*)`")


class BodyLimits:
    """Takes in each body before the application sees the request.

    Too large is 413, as soon as it is known; too slow is 408. So no handler, and no
    database connection, ever waits for a client's network.
    """

    def __init__(self, app: ASGIApp, *, max_bytes: int, seconds: float) -> None:
        self._app = app
        self._max_bytes = max_bytes
        self._seconds = seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        try:
            body = await self._read(Headers(scope=scope), receive)
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

    async def _read(self, headers: Headers, receive: Receive) -> bytes | None:
        length = headers.get("content-length", "")
        if length and "transfer-encoding" in headers:
            # RFC 9112, 6.3: a proxy may see another end of this request than we do.
            raise Refused(
                400,
                "bad-request",
                _("The request is incomplete or malformed."),
                headers={"Connection": "close"},
            )
        if length.isdecimal() and int(length) > self._max_bytes:
            raise self._too_large()
        chunks: list[bytes] = []
        size = 0
        try:
            async with asyncio.timeout(self._seconds):
                while True:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        return None
                    chunk = message.get("body", b"")
                    size += len(chunk)
                    if size > self._max_bytes:
                        raise self._too_large()
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

    def _too_large(self) -> Refused:
        return Refused(
            413,
            "body-too-large",
            _("The request is larger than {limit} bytes."),
            headers={"Connection": "close"},
            limit=self._max_bytes,
        )

    async def _refuse(self, refused: Refused, scope: Scope, receive: Receive, send: Send) -> None:
        last: Message = {}

        async def hold_last(message: Message) -> None:
            nonlocal last
            if message["type"] == "http.response.body":
                last = message
                await send({**message, "more_body": True})
            else:
                await send(message)

        await refusal_response(refused)(scope, receive, hold_last)
        # The answer is out. A client still sending would lose it to a connection reset, so
        # take in what it sends for a moment, and throw it away.
        if refused.status_code == 413:
            await _drain(receive)
        await send({"type": last["type"], "body": b"", "more_body": False})


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
