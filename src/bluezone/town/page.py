"""The town's page: static files, the latest frame as JSON, and three buttons' requests.

It runs in a thread with its own ordinary event loop, on the loopback address alone.
"""

import asyncio
import threading
from pathlib import Path
from typing import Final

import msgspec
import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bluezone.town.scene import Scene
from bluezone.town.words import page_words
from bluezone.web.loopback import listen

FASTEST: Final = 1e6  # virtual seconds per second: more than any machine manages
_FILES: Final = Path(__file__).parent / "page"
_HEADERS: Final = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
}
_JSON: Final = "application/json"
_LAST_FRAME_SECONDS: Final = 1.0


class _Positive(msgspec.Struct, forbid_unknown_fields=True):
    person: int


class _NewPace(msgspec.Struct, forbid_unknown_fields=True):
    # What is not named stays: the page knows the other only as of its latest picture.
    paused: bool | msgspec.UnsetType = msgspec.UNSET
    speed: float | msgspec.UnsetType | None = msgspec.UNSET


class _SafeHeaders:
    """Adds the same headers to every answer."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                extra = [(name.encode(), value.encode()) for name, value in _HEADERS.items()]
                message["headers"] = [*message["headers"], *extra]
            await send(message)

        await self._app(scope, receive, with_headers)


def create_page(scene: Scene) -> Starlette:
    """The page's application."""

    async def world(_: Request) -> Response:
        return Response(scene.world, media_type=_JSON)

    async def frame(_: Request) -> Response:
        return Response(scene.picture(), media_type=_JSON)

    async def words(_: Request) -> Response:
        return Response(msgspec.json.encode(page_words()), media_type=_JSON)

    async def positive(request: Request) -> Response:
        try:
            asked = msgspec.json.decode(await _json_body(request), type=_Positive)
        except msgspec.DecodeError as error:
            return _refused(str(error))
        if scene.confirm is None:
            return _refused("the town has not started yet, or has finished", status=409)
        try:
            scene.confirm(asked.person)
        except LookupError:
            return _refused(f"nobody in this town has the number {asked.person}", status=404)
        return Response(status_code=202)

    async def pace(request: Request) -> Response:
        try:
            asked = msgspec.json.decode(await _json_body(request), type=_NewPace)
        except msgspec.DecodeError as error:
            return _refused(str(error))
        if isinstance(asked.speed, float) and not 1 <= asked.speed <= FASTEST:
            return _refused(f"speed must lie between 1 and {FASTEST:.0f}, or be null")
        if asked.speed is not msgspec.UNSET:
            scene.pace.speed = asked.speed
        if asked.paused is not msgspec.UNSET:
            scene.pace.paused = asked.paused
        return Response(status_code=204)

    return Starlette(
        routes=[
            Route("/world.json", world),
            Route("/frame.json", frame),
            Route("/words.json", words),
            Route("/positive", positive, methods=["POST"]),
            Route("/pace", pace, methods=["POST"]),
            Mount("/", StaticFiles(directory=_FILES, html=True)),
        ],
        middleware=[
            Middleware(_SafeHeaders),
            # Another site's page can reach the loopback address by a name of its own.
            Middleware(TrustedHostMiddleware, allowed_hosts=["127.0.0.1", "localhost"]),
        ],
    )


async def _json_body(request: Request) -> bytes:
    # A form of another site cannot send this type without the browser asking us first.
    if request.headers.get("content-type", "").split(";")[0] != _JSON:
        raise msgspec.DecodeError(f"the body must be {_JSON}")
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > 1000:
            raise msgspec.DecodeError("the body is too long")
    return body


def _refused(why: str, status: int = 400) -> Response:
    return Response(msgspec.json.encode({"error": why}), status, media_type=_JSON)


class Page:
    """Serves the page from its own thread until `close`."""

    def __init__(self, scene: Scene, port: int = 0) -> None:
        """Listen on 127.0.0.1 (port 0: any free one). Raises OSError if the port is taken."""
        self._socket = listen(port)
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}/"
        config = uvicorn.Config(
            create_page(scene), log_config=None, access_log=False, lifespan="off", ws="none"
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._serve, name="town page", daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        asyncio.run(self._server.serve(sockets=[self._socket]))

    def let_watchers_see_the_end(self) -> None:
        """Wait until the last frame can have been fetched by an open page."""
        self._thread.join(timeout=_LAST_FRAME_SECONDS)

    def close(self) -> None:
        """Stop serving."""
        self._server.should_exit = True
        self._thread.join(timeout=5)
        self._socket.close()
